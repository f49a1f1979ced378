//! Runs: the table, one run, a new one, its evaluation.

use crate::components::Page;
use leptos::prelude::*;

#[component]
pub fn RunsPage() -> impl IntoView {
    view! { <Page title="Runs"><p>"…"</p></Page> }
}

#[component]
pub fn RunPage() -> impl IntoView {
    view! { <Page title="Run"><p>"…"</p></Page> }
}

#[component]
pub fn NewRunPage() -> impl IntoView {
    view! { <Page title="New-run"><p>"…"</p></Page> }
}

#[component]
pub fn EvaluationPage() -> impl IntoView {
    view! { <Page title="Evaluation"><p>"…"</p></Page> }
}
