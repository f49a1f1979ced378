//! Wakes the page: takes over what the server rendered. Nothing else belongs here.

/// Called once the module is loaded; the document says when with `data-hydrated`, for tests and styles.
#[cfg(target_family = "wasm")]
#[wasm_bindgen::prelude::wasm_bindgen(start)]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(app::App);
}
