//! The list of traces: search and filters in the address, pages by links.

use super::table::Table;
use crate::{
    api::{TracesDelete, traces_facets, traces_list},
    components::{Choice, Empty, Found, Icon, Load, Page, Pager, Search, count, counted, with_query},
};
use domain::{
    api::{ListTraces, TraceFacets},
    dataset::Count,
};
use leptos::{either::Either, prelude::*};
use leptos_router::hooks::use_query_map;

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
                        <Found total=page.total one="trace" many="traces"/>
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
    let facets = Resource::new(move || versions.get(), |_| traces_facets(TraceFacets::default()));
    view! {
        <Search action="/traces" what="prompts and answers">
            <Load from=facets let:facets>
                <Choice name="family" label="Filter by family" options=options("family", facets.families)/>
                <Choice name="source" label="Filter by source" options=options("source", facets.sources)/>
                <Choice name="category" label="Filter by category" options=options("category", facets.categories)/>
            </Load>
        </Search>
    }
}

fn options(word: &str, values: Vec<Count>) -> Vec<(String, String)> {
    let any = (String::new(), format!("Any {word}"));
    let values = values.into_iter().map(|v| (v.value.clone(), format!("{} ({})", v.value, count(v.count.into()))));
    std::iter::once(any).chain(values).collect()
}
