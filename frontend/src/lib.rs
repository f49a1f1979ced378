//! Wakes the page: takes over what the server rendered. Nothing else belongs here.
#![cfg(target_family = "wasm")]

use leptos::prelude::document;
use wasm_bindgen::prelude::wasm_bindgen;

/// Called once the module is loaded. `data-hydrated` then says so, to tests and to style sheets.
#[wasm_bindgen(start)]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(app::App);
    let marked = document().document_element().map(|root| root.set_attribute("data-hydrated", "true"));
    debug_assert!(matches!(marked, Some(Ok(()))), "every document has a root that takes an attribute");
}
