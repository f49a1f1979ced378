//! Pages of traces.

use crate::components::Page;
use leptos::prelude::*;

#[component]
pub fn ComparePage() -> impl IntoView {
    view! { <Page title="Compare"><p>"…"</p></Page> }
}

#[component]
pub fn GeneratePage() -> impl IntoView {
    view! { <Page title="Generate"><p>"…"</p></Page> }
}

#[component]
pub fn ImportPage() -> impl IntoView {
    view! { <Page title="Import"><p>"…"</p></Page> }
}

#[component]
pub fn TracePage() -> impl IntoView {
    view! { <Page title="Trace"><p>"…"</p></Page> }
}

#[component]
pub fn TracesPage() -> impl IntoView {
    view! { <Page title="Traces"><p>"…"</p></Page> }
}
