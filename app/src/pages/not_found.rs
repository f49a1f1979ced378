//! The page for an address that leads nowhere. The server sends it with status 404.

use crate::components::{Empty, Page};
use leptos::prelude::*;

#[component]
pub fn NotFoundPage() -> impl IntoView {
    view! {
        <Page title="Page not found">
            <Empty icon="search" title="There is nothing at this address">
                <p>"The link may be old, or the address mistyped."</p>
                <a class="button primary" href="/">"Go home"</a>
            </Empty>
        </Page>
    }
}
