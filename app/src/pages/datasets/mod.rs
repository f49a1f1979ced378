//! Pages of datasets.

use crate::components::Page;
use leptos::prelude::*;

#[component]
pub fn BuildPage() -> impl IntoView {
    view! { <Page title="Build"><p>"…"</p></Page> }
}

#[component]
pub fn DatasetPage() -> impl IntoView {
    view! { <Page title="Dataset"><p>"…"</p></Page> }
}

#[component]
pub fn DatasetsPage() -> impl IntoView {
    view! { <Page title="Datasets"><p>"…"</p></Page> }
}
