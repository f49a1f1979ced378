//! The list of traces: search and filters in the address, pages by links.

use super::table::Table;
use crate::{
    api::{TracesDelete, traces_facets, traces_list},
    browser,
    components::{Empty, Icon, Load, Page, Pager, count, counted, with_query},
};
use domain::{
    api::{ListTraces, TraceFacets},
    dataset::Count,
};
use leptos::{either::Either, prelude::*};
use leptos_router::{components::Form, hooks::use_query_map};

/// What the address asks for.
pub(super) fn asked(query: &leptos_router::params::ParamsMap) -> ListTraces {
    let text = |key: &str| query.get(key).unwrap_or_default();
    ListTraces {
        search: text("search"),
        source: text("source"),
        family: text("family"),
        category: text("category"),
        offset: text("offset").parse().unwrap_or(0),
        limit: 50,
    }
}

#[component]
pub fn TracesPage() -> impl IntoView {
    let query = use_query_map();
    let delete = ServerAction::<TracesDelete>::new();
    let restored = RwSignal::new(0_usize);
    let versions = move || (delete.version().get(), restored.get());
    let page = Resource::new(move || (asked(&query.read()), versions()), |(request, _)| traces_list(request));
    let action = || {
        view! {
            <a class="button" href="/traces/import"><Icon name="upload"/>"Import"</a>
            <a class="button primary" href="/traces/generate"><Icon name="sparkles"/>"Generate"</a>
        }
    };
    let came = move || query.read().get("added").map(|_| view! { <Came/> });
    view! {
        <Page title="Traces" action>
            {came}
            <Filters versions=Signal::derive(versions)/>
            <Load from=page let:page>
                {if page.total == 0 {
                    Either::Left(view! { <Nothing/> })
                } else {
                    let link = move |offset: u64| with_query("/traces", &query.read_untracked(), &[("offset", &offset.to_string())]);
                    Either::Right(view! {
                        <Table rows=page.rows delete restored/>
                        <Pager offset=page.offset limit=page.limit total=page.total link/>
                    })
                }}
            </Load>
        </Page>
    }
}

/// What came of the generation or import that led here; a form without JavaScript has no other place to say it.
#[component]
fn Came() -> impl IntoView {
    let query = use_query_map().read_untracked().clone();
    let number = |key: &str| query.get(key).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    let (added, refused) = (number("added"), number("refused"));
    let mut words = counted(added, "trace added", "traces added");
    if refused > 0 {
        words.push_str(&format!(", {} refused", count(refused)));
    }
    if let Some(problem) = query.get("problem") {
        words.push_str(&format!(": {problem}"));
    }
    let (tone, icon) = if added > 0 { ("notice good", "circle-check") } else { ("notice bad", "triangle-alert") };
    view! {
        <div class=tone role="status">
            <Icon name=icon/>
            <div>{words}". "{(added > 0).then(|| view! { <a href="/datasets/new">"Build a dataset"</a> })}</div>
        </div>
    }
}

#[component]
fn Nothing() -> impl IntoView {
    let query = use_query_map();
    let filtered = {
        let asked = asked(&query.read_untracked());
        asked != ListTraces { limit: asked.limit, offset: asked.offset, ..Default::default() }
    };
    if filtered {
        Either::Left(view! {
            <Empty icon="search" title="No trace matches">
                <p>"Nothing passes this search and these filters together."</p>
                <a class="button" href="/traces">"Clear filters"</a>
            </Empty>
        })
    } else {
        Either::Right(view! {
            <Empty icon="file-text" title="No traces yet">
                <p>"A trace is one reasoning example: a prompt, ordered steps, a final answer. Models learn from them. There are none because nothing was imported or generated yet."</p>
                <div class="row"><a class="button primary" href="/traces/generate"><Icon name="sparkles"/>"Generate traces"</a><a class="button" href="/traces/import"><Icon name="upload"/>"Import a file"</a></div>
            </Empty>
        })
    }
}

#[component]
fn Filters(versions: Signal<(usize, usize)>) -> impl IntoView {
    let query = use_query_map();
    let facets = Resource::new(move || versions.get(), |_| traces_facets(TraceFacets::default()));
    view! {
        <Form method="GET" action="/traces" attr:class="searching" attr:role="search">
            <label class="search">
                <span class="visually-hidden">"Search prompts and answers"</span>
                <Icon name="search"/>
                <input type="search" name="search" placeholder="Search prompts and answers" data-search prop:value=move || asked(&query.read()).search value=asked(&query.read_untracked()).search/>
                <kbd aria-hidden="true">"/"</kbd>
            </label>
            <Load from=facets let:facets>
                <Facet name="family" word="family" values=facets.families/>
                <Facet name="source" word="source" values=facets.sources/>
                <Facet name="category" word="category" values=facets.categories/>
            </Load>
            <button class="button">"Search"</button>
        </Form>
    }
}

#[component]
fn Facet(name: &'static str, word: &'static str, values: Vec<Count>) -> impl IntoView {
    let query = use_query_map();
    let chosen = query.read_untracked().get(name).unwrap_or_default();
    let options = values
        .into_iter()
        .map(|value| {
            let selected = value.value == chosen;
            view! { <option value=value.value.clone() selected=selected>{format!("{} ({})", value.value, value.count)}</option> }
        })
        .collect_view();
    view! {
        <select name=name aria-label=format!("Filter by {word}") on:change=move |ev| browser::submit_form_of(&ev)>
            <option value="">{format!("Any {word}")}</option>
            {options}
        </select>
    }
}
