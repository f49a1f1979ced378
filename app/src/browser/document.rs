//! Clock, clipboard, theme, focus, dialogs.

use domain::Micros;
use leptos::{html, prelude::*};
use wasm_bindgen::JsCast;
use web_sys::{Event, HtmlElement, HtmlFormElement, HtmlInputElement, HtmlSelectElement, KeyboardEvent, PointerEvent};

/// Now, by the browser's clock.
pub fn now() -> Micros {
    Micros((js_sys::Date::now() * 1e3) as i64)
}

/// Puts `text` on the clipboard.
pub fn copy(text: &str) {
    // The promise's end needs no answer: browsers tell the person themselves when they refuse.
    let _promise = window().navigator().clipboard().write_text(text);
}

/// Light to dark and back; remembered for the next visit.
pub fn toggle_theme() {
    let Some(root) = document().document_element() else { return };
    let dark = match root.get_attribute("data-theme") {
        Some(theme) => theme == "dark",
        None => {
            window().match_media("(prefers-color-scheme: dark)").ok().flatten().is_some_and(|query| query.matches())
        }
    };
    let theme = if dark { "light" } else { "dark" };
    let _ = root.set_attribute("data-theme", theme);
    if let Ok(Some(storage)) = window().local_storage() {
        let _ = storage.set_item("anneal-theme", theme);
    }
}

/// A value that this browser remembers.
pub fn remembered(key: &str) -> Option<String> {
    window().local_storage().ok().flatten()?.get_item(key).ok().flatten()
}

/// Lets this browser remember a value.
pub fn remember(key: &str, value: &str) {
    if let Ok(Some(storage)) = window().local_storage() {
        let _ = storage.set_item(key, value);
    }
}

/// Whether the key goes into a field, where it is text and no command.
pub fn is_typing(key: &KeyboardEvent) -> bool {
    let Some(element) = key.target().and_then(|target| target.dyn_into::<HtmlElement>().ok()) else { return false };
    matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT") || element.is_content_editable()
}

/// Focuses the first element that matches; whether there is one.
pub fn focus(selector: &str) -> bool {
    let found = document().query_selector(selector).ok().flatten().and_then(|e| e.dyn_into::<HtmlElement>().ok());
    found.is_some_and(|element| element.focus().is_ok())
}

/// The same once the page has drawn what just changed.
pub fn focus_soon(selector: &'static str) {
    request_animation_frame(move || {
        focus(selector);
    });
}

/// Whether the key goes into the page's search.
pub fn is_search(key: &KeyboardEvent) -> bool {
    let target = key.target().and_then(|target| target.dyn_into::<HtmlElement>().ok());
    target.is_some_and(|element| element.has_attribute("data-search"))
}

/// Takes the focus from where it is.
pub fn leave_focus() {
    if let Some(active) = active() {
        let _ = active.blur();
    }
}

/// Whether arrow keys walk through rows instead of scrolling: on a row already, or nowhere on a page with a table of rows.
pub fn arrows_walk() -> bool {
    match active() {
        Some(element) if element.has_attribute("data-row") => true,
        Some(element) => {
            matches!(element.tag_name().as_str(), "BODY" | "MAIN")
                && document().query_selector("table [data-row]").is_ok_and(|row| row.is_some())
        }
        None => false,
    }
}

fn active() -> Option<HtmlElement> {
    document().active_element()?.dyn_into().ok()
}

/// Moves the focus through `[data-row]` elements by `by` rows; whether there are any.
pub fn walk_rows(by: i32) -> bool {
    let Ok(rows) = document().query_selector_all("[data-row]") else { return false };
    let active = document().active_element();
    let count = i32::try_from(rows.length()).unwrap_or(i32::MAX);
    let here = (0..rows.length()).find(|&i| {
        let row = rows.item(i);
        active.as_ref().is_some_and(|a| row.as_ref().is_some_and(|row| row == a.unchecked_ref::<web_sys::Node>()))
    });
    let next = here.map_or(if by > 0 { 0 } else { count - 1 }, |at| {
        (i32::try_from(at).unwrap_or(0) + by).clamp(0, (count - 1).max(0))
    });
    let row = u32::try_from(next).ok().and_then(|next| rows.item(next));
    row.and_then(|row| row.dyn_into::<HtmlElement>().ok()).is_some_and(|row| row.focus().is_ok())
}

/// Opens a modal dialog.
pub fn show_dialog(dialog: NodeRef<html::Dialog>) {
    if let Some(dialog) = dialog.get_untracked()
        && !dialog.open()
    {
        let _ = dialog.show_modal();
    }
}

/// Closes a dialog.
pub fn close_dialog(dialog: NodeRef<html::Dialog>) {
    if let Some(dialog) = dialog.get_untracked() {
        dialog.close();
    }
}

/// Keeps a drag's events coming when the pointer leaves the element it began on.
pub fn hold_pointer(event: &PointerEvent) {
    if let Some(element) = event.current_target().and_then(|target| target.dyn_into::<HtmlElement>().ok()) {
        let _ = element.set_pointer_capture(event.pointer_id());
    }
}

/// A `data-` attribute of the document's root, where the server leaves addresses for scripts.
pub fn root_data(name: &str) -> Option<String> {
    document().document_element()?.get_attribute(&format!("data-{name}"))
}

/// Sends the form of the field that changed.
pub fn submit_form_of(event: &Event) {
    let Some(target) = event.target() else { return };
    let form = match target.dyn_into::<HtmlSelectElement>() {
        Ok(select) => select.form(),
        Err(target) => target.dyn_into::<HtmlInputElement>().ok().and_then(|input| input.form()),
    };
    if let Some(form) = form {
        send(&form);
    }
}

fn send(form: &HtmlFormElement) {
    let _ = form.request_submit();
}
