//! Choosing the second trace of a comparison: a short list with a search, each row a link.

use crate::{
    api::traces_list,
    components::{Icon, Load, count},
};
use domain::api::ListTraces;
use leptos::prelude::*;
use leptos_router::{components::Form, hooks::use_query_map};

/// Enough to choose from without leaving the page; the search finds the rest.
const SHOWN: u32 = 12;

#[component]
pub(super) fn Chooser(
    /// The trace that is chosen already; empty: none.
    known: String,
    asked: ListTraces,
) -> impl IntoView {
    let query = use_query_map();
    let first = asked.search.clone();
    let traces = Resource::new(
        move || ListTraces {
            limit: SHOWN,
            offset: 0,
            search: query.read().get("search").unwrap_or_default(),
            ..asked.clone()
        },
        traces_list,
    );
    let chosen = known.clone();
    view! {
        <section class="card stack" aria-labelledby="choose-title">
            <h2 id="choose-title">{if known.is_empty() { "Choose the first trace" } else { "Choose the second trace" }}</h2>
            <Form method="GET" action="/traces/compare" attr:class="searching" attr:role="search">
                {(!chosen.is_empty()).then(|| view! { <input type="hidden" name="a" value=chosen.clone()/> })}
                <label class="search"><span class="visually-hidden">"Search prompts and answers"</span><Icon name="search"/><input type="search" name="search" placeholder="Search prompts and answers" data-search value=first/><kbd aria-hidden="true">"/"</kbd></label>
                <button class="button no-js">"Search"</button>
            </Form>
            <Load from=traces let:page>
                {
                    let known = known.clone();
                    let rows = page.rows.into_iter().filter(|row| row.id.to_string() != known).map(|row| {
                        let href = if known.is_empty() { format!("/traces/compare?a={}", row.id) } else { format!("/traces/compare?a={known}&b={}", row.id) };
                        view! { <li><a class="pick" data-row href=href title=row.prompt.clone()><span class="clip">{row.prompt.clone()}</span><span class="mono clip dim">{row.final_answer}</span></a></li> }
                    }).collect_view();
                    view! { <ul class="picks">{rows}</ul><p class="dim">{format!("The newest of {}", count(page.total))}</p> }
                }
            </Load>
        </section>
    }
}
