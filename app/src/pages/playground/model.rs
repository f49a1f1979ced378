//! The model: load it, see where it computes and why.

use super::{
    session::{Loaded, Phase, Session},
    settings::Settings,
};
use crate::{
    browser,
    components::{CopyButton, Icon, bytes, score, short},
};
use domain::{
    api::RunDetail,
    event::ExportedFile,
    preview::{PreviewBackend, ToPreview},
};
use leptos::prelude::*;
use std::collections::BTreeMap;

/// Addresses of the run's files, each with its content's hash, so that a browser may keep them for ever.
fn load_message(run: &RunDetail, backend: PreviewBackend) -> Option<ToPreview> {
    let url = |file: &ExportedFile| format!("/api/runs/{}/files/{}?sha256={}", run.row.id, file.name, file.sha256);
    let files: BTreeMap<String, String> = run.files.iter().map(|file| (file.name.clone(), url(file))).collect();
    let complete = ["config.json", "tokenizer.json", "model.safetensors"].iter().all(|name| files.contains_key(*name));
    complete.then_some(ToPreview::Load { files, backend })
}

#[component]
pub(super) fn ModelCard(session: Session, run: RunDetail) -> impl IntoView {
    let size = run.files.iter().find(|file| file.name == "model.safetensors").map(|file| file.bytes);
    let id = run.row.id.to_string();
    let complete = load_message(&run, PreviewBackend::Auto).is_some();
    let remembered = id.clone();
    let load = Callback::new({
        let run = StoredValue::new(run.clone());
        move |()| {
            if let Some(message) = run.with_value(|run| load_message(run, session.backend.get_untracked())) {
                browser::remember("anneal-model", &id);
                session.load(message);
            }
        }
    });
    // The model used last is in the browser's cache: no need to ask again.
    Effect::new(move |_| {
        if complete && browser::remembered("anneal-model").as_deref() == Some(&remembered) {
            load.run(());
        }
    });
    let words = size.map_or_else(|| "Load model".to_owned(), |size| format!("Load model ({})", bytes(size)));
    let state = move || {
        match session.phase.get() {
        Phase::Idle if !complete => view! { <p class="dim">"This run has no exported model to load."</p> }.into_any(),
        Phase::Idle => {
            let words = words.clone();
            view! { <button type="button" class="primary needs-js" on:click=move |_| load.run(())><Icon name="download"/>{words}</button> }.into_any()
        }
        Phase::Loading { stage, done, total } => view! { <Loading stage done total/> }.into_any(),
        Phase::Failed(why) => view! {
            <div class="notice bad" role="alert"><Icon name="triangle-alert"/><div><strong>"The model cannot be loaded"</strong><p>{why}</p></div></div>
            <button type="button" class="button" on:click=move |_| load.run(())><Icon name="rotate-ccw"/>"Try again"</button>
        }.into_any(),
        Phase::Ready(loaded) => view! { <Where loaded/> }.into_any(),
    }
    };
    view! {
        <section class="card stack">
            <div class="stack tight"><h2 class="wrap"><a href=format!("/runs/{}", run.row.id)>{run.row.name.clone()}</a></h2>
                <p class="dim wrap">{run.row.dataset.to_string()}{run.row.strict.map(|s| format!(" · {} strict", score(&s)))}</p>
            </div>
            <div class="stack tight" aria-live="polite">{state}</div>
        </section>
        <Settings session on_backend=load/>
        <noscript inner_html="<p class=notice>The model runs in your browser, which needs JavaScript. On the command line: anneal sample.</p>"></noscript>
    }
}

#[component]
fn Loading(stage: String, done: u64, total: u64) -> impl IntoView {
    let share = if total > 0 { done as f64 / total as f64 * 100.0 } else { 0.0 };
    let amount = (total > 0).then(|| format!("{share:.0} %"));
    view! {
        <p class="row between"><span>{stage}</span><span class="num dim">{amount}</span></p>
        <div class="progress" role="progressbar" aria-label="Loading the model" aria-valuenow=share.round() aria-valuemax="100"><i style:width=format!("{share:.1}%")></i></div>
    }
}

#[component]
fn Where(loaded: Loaded) -> impl IntoView {
    let backend = match loaded.backend {
        PreviewBackend::WebGpu => "WebGPU",
        PreviewBackend::Flex | PreviewBackend::Auto => "CPU (Flex)",
    };
    let hash = loaded.model_hash.clone();
    view! {
        <p><span class="badge good"><Icon name="circle-check"/>"Ready"</span></p>
        <dl class="pairs small">
            <dt>"Backend"</dt><dd data-backend>{backend}</dd>
            <dt>"Why"</dt><dd>{loaded.reason}</dd>
            <dt>"Parameters"</dt><dd class="num">{short(loaded.parameters as f64)}</dd>
            <dt>"Weights"</dt><dd><code title=hash.clone()>{hash.get(..12).unwrap_or(&hash).to_owned()}</code><CopyButton text=hash.clone() label="Copy hash"/></dd>
            <dt>"From"</dt><dd>{if loaded.cached { "this browser's cache" } else { "the server" }}</dd>
        </dl>
    }
}
