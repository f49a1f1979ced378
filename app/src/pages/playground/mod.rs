//! Playground.

use crate::components::Page;
use leptos::prelude::*;

#[component]
pub fn PlaygroundPage() -> impl IntoView {
    view! { <Page title="Playground"><p>"…"</p></Page> }
}
