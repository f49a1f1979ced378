//! Pagination by links, so that it works before and without JavaScript.

use super::{Icon, count};
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

/// "1–50 of 5,000" with links to the neighbours. `link` makes an address of an offset.
#[component]
pub fn Pager<L>(offset: u64, limit: u32, total: u64, link: L) -> impl IntoView
where
    L: Fn(u64) -> String,
{
    let limit = u64::from(limit.max(1));
    let end = (offset + limit).min(total);
    let before = (offset > 0).then(|| link(offset.saturating_sub(limit)));
    let after = (end < total).then(|| link(end));
    view! {
        <nav class="pager" aria-label="Pages">
            <span class="dim">{format!("{}–{} of {}", count((offset + 1).min(total)), count(end), count(total))}</span>
            {before.map(|href| view! { <a class="button small" rel="prev" href=href><Icon name="chevron-left"/>"Back"</a> })}
            {after.map(|href| view! { <a class="button small" rel="next" href=href>"Next"<Icon name="chevron-right"/></a> })}
        </nav>
    }
}
