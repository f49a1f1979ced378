//! The document and the route table, nothing else.

use crate::{components::Frame, pages::*, state};
use leptos::prelude::*;
use leptos_meta::{MetaTags, Title, provide_meta_context};
use leptos_router::{
    SsrMode, StaticSegment as S,
    components::{FlatRoutes, Route, Router},
    path,
};

/// Addresses of the site's files, as the server serves them; given by the server as context.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assets {
    pub script: String,
    pub wasm: String,
    pub style: String,
    pub preview_script: String,
    pub preview_wasm: String,
}

/// Puts the remembered theme on the document before anything is painted.
const THEME: &str =
    "try{const t=localStorage.getItem('anneal-theme');if(t)document.documentElement.dataset.theme=t}catch{}";

/// The whole HTML document. Server only.
pub fn shell() -> impl IntoView {
    let assets = use_context::<Assets>().unwrap_or_default();
    let start = format!("import({:?}).then(m=>m.default({{module_or_path:{:?}}}))", assets.script, assets.wasm);
    view! {
        <!DOCTYPE html>
        <html lang="en" data-preview-script=assets.preview_script data-preview-wasm=assets.preview_wasm>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <meta name="description" content="Reasoning traces in, a measured model out, on your own machine."/>
                <link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E%3Cpath fill='%23c2410c' d='M12 3q1 4 4 6.5t3 5.5a1 1 0 0 1-14 0 5 5 0 0 1 1-3 1 1 0 0 0 5 0c0-2-1.5-3-1.5-5q0-2 2.5-4'/%3E%3C/svg%3E"/>
                <script inner_html=THEME></script>
                <link rel="stylesheet" href=assets.style/>
                <link rel="modulepreload" href=assets.script/>
                <link rel="preload" href=assets.wasm r#as="fetch" r#type="application/wasm" crossorigin="anonymous"/>
                <script type="module" inner_html=start></script>
                <MetaTags/>
            </head>
            <body><App/></body>
        </html>
    }
}

/// The application: what the server renders and the browser brings to life. Every page is rendered whole (`Async`), so
/// that it can be read without JavaScript.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    state::provide();
    view! {
        <Title formatter=title/>
        <Router>
            <Frame>
                <FlatRoutes fallback=NotFoundPage>
                    <Route path=S("") view=HomePage ssr=SsrMode::Async/>
                    <Route path=path!("/traces") view=TracesPage ssr=SsrMode::Async/>
                    <Route path=path!("/traces/import") view=ImportPage ssr=SsrMode::Async/>
                    <Route path=path!("/traces/generate") view=GeneratePage ssr=SsrMode::Async/>
                    <Route path=path!("/traces/compare") view=ComparePage ssr=SsrMode::Async/>
                    <Route path=path!("/traces/:id") view=TracePage ssr=SsrMode::Async/>
                    <Route path=path!("/datasets") view=DatasetsPage ssr=SsrMode::Async/>
                    <Route path=path!("/datasets/new") view=BuildPage ssr=SsrMode::Async/>
                    <Route path=path!("/datasets/:dataset") view=DatasetPage ssr=SsrMode::Async/>
                    <Route path=path!("/models") view=ModelsPage ssr=SsrMode::Async/>
                    <Route path=path!("/models/new") view=AddModelPage ssr=SsrMode::Async/>
                    <Route path=path!("/runs") view=RunsPage ssr=SsrMode::Async/>
                    <Route path=path!("/runs/new") view=NewRunPage ssr=SsrMode::Async/>
                    <Route path=path!("/runs/:id") view=RunPage ssr=SsrMode::Async/>
                    <Route path=path!("/runs/:id/evaluation") view=EvaluationPage ssr=SsrMode::Async/>
                    <Route path=path!("/leaderboard") view=LeaderboardPage ssr=SsrMode::Async/>
                    <Route path=path!("/playground") view=PlaygroundPage ssr=SsrMode::Async/>
                    <Route path=path!("/workers") view=WorkersPage ssr=SsrMode::Async/>
                </FlatRoutes>
            </Frame>
        </Router>
    }
}

/// The document's title. The server writes it into the page as it stands, so a run's name must not be able to end it there;
/// the browser sets it as text.
fn title(page: String) -> String {
    let title = if page.is_empty() { "Anneal".to_owned() } else { format!("{page} · Anneal") };
    if cfg!(target_family = "wasm") { title } else { title.replace('&', "&amp;").replace('<', "&lt;") }
}
