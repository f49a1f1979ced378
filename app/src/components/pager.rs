//! Pagination by links, so that it works before and without JavaScript.

use super::{Icon, count, counted};
use leptos::prelude::*;
use leptos_router::params::ParamsMap;

/// `path` with the given query, `set` over it; empty values are left out.
pub fn with_query(path: &str, query: &ParamsMap, set: &[(&str, &str)]) -> String {
    let mut map = query.clone();
    for (key, value) in set {
        map.remove(key);
        if !value.is_empty() {
            map.insert((*key).to_owned(), (*value).to_owned());
        }
    }
    for gone in ["__path", "__err", "added", "refused", "problem"] {
        map.remove(gone);
    }
    format!("{path}{}", map.to_query_string())
}

/// How many there are: `5,000 traces`, above the list.
#[component]
pub fn Found(total: u64, one: &'static str, many: &'static str) -> impl IntoView {
    view! { <p class="found dim" role="status">{counted(total, one, many)}</p> }
}

/// "1–50 of 5,000" with links to the neighbours. `link` makes an address of an offset.
#[component]
pub fn Pager<L>(
    offset: u64,
    limit: u32,
    total: u64,
    link: L,
    /// A list below other things: the page stays where it is scrolled to.
    #[prop(optional)]
    stay: bool,
) -> impl IntoView
where
    L: Fn(u64) -> String,
{
    let limit = u64::from(limit.max(1));
    let end = (offset + limit).min(total);
    let last = total.saturating_sub(1) / limit * limit;
    // An address may ask for what is no longer there: the way back is the last page.
    let before = (offset > 0).then(|| link(offset.saturating_sub(limit).min(last)));
    let after = (end < total).then(|| link(end));
    let first = (offset > limit).then(|| link(0));
    let final_page = (end + limit < total).then(|| link(last));
    view! {
        <nav class="pager" aria-label="Pages">
            <span class="dim">{format!("{}–{} of {}", count((offset + 1).min(total)), count(end), count(total))}</span>
            {first.map(|href| view! { <a class="button small" data-noscroll=stay href=href>"First"</a> })}
            {before.map(|href| view! { <a class="button small" rel="prev" data-noscroll=stay href=href><Icon name="chevron-left"/>"Back"</a> })}
            {after.map(|href| view! { <a class="button small" rel="next" data-noscroll=stay href=href>"Next"<Icon name="chevron-right"/></a> })}
            {final_page.map(|href| view! { <a class="button small" data-noscroll=stay href=href>"Last"</a> })}
        </nav>
    }
}
