//! Home.

use crate::components::Page;
use leptos::prelude::*;

#[component]
pub fn HomePage() -> impl IntoView {
    view! { <Page title="Home"><p>"…"</p></Page> }
}
