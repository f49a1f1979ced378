//! The search of a list: a field that `/` focuses, and choices that apply at once. Its words stand in the address.

use super::Icon;
use crate::browser;
use leptos::prelude::*;
use leptos_router::{components::Form, hooks::use_query_map};

/// A list's search form. `children` are its choices.
#[component]
pub fn Search(
    action: &'static str,
    /// What is searched: "prompts and answers".
    what: &'static str,
    #[prop(optional)] children: Option<Children>,
) -> impl IntoView {
    let query = use_query_map();
    let words = move || query.read().get("search").unwrap_or_default();
    let first = query.read_untracked().get("search").unwrap_or_default();
    let label = format!("Search {what}");
    view! {
        <Form method="GET" action=action attr:class="searching" attr:role="search">
            <label class="search">
                <span class="visually-hidden">{label.clone()}</span>
                <Icon name="search"/>
                <input type="search" name="search" placeholder=label data-search autocomplete="off" value=first prop:value=words/>
                <kbd aria-hidden="true">"/"</kbd>
            </label>
            {children.map(|children| children())}
            <button class="button no-js">"Search"</button>
        </Form>
    }
}

/// A choice that filters or orders a list; `options` are values with their words. It follows the address, so that
/// "clear filters" and the way back show what holds.
#[component]
pub fn Choice(
    /// The key in the address.
    name: &'static str,
    /// What it does, for its label: "Filter by family".
    label: &'static str,
    options: Vec<(String, String)>,
) -> impl IntoView {
    let query = use_query_map();
    let chosen = move || query.read().get(name).unwrap_or_default();
    let first = query.read_untracked().get(name).unwrap_or_default();
    let options = options
        .into_iter()
        .map(|(value, words)| {
            let selected = value == first;
            view! { <option value=value selected=selected>{words}</option> }
        })
        .collect_view();
    view! { <select name=name aria-label=label prop:value=chosen on:change=move |ev| browser::submit_form_of(&ev)>{options}</select> }
}
