//! Workers.

use crate::components::Page;
use leptos::prelude::*;

#[component]
pub fn WorkersPage() -> impl IntoView {
    view! { <Page title="Workers"><p>"…"</p></Page> }
}
