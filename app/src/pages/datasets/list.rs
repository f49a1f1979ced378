//! The list of datasets.

use crate::{
    api::datasets_list,
    components::{Empty, Icon, Load, Page, Time, count},
};
use domain::{api::ListDatasets, dataset::Dataset};
use leptos::{either::Either, prelude::*};
use leptos_router::{components::Form, hooks::use_query_map};

#[component]
pub fn DatasetsPage() -> impl IntoView {
    let query = use_query_map();
    let search = move || query.read().get("search").unwrap_or_default();
    let datasets = Resource::new(search, |search| datasets_list(ListDatasets { search }));
    view! {
        <Page title="Datasets" action=|| view! { <a class="button primary" href="/datasets/new"><Icon name="plus"/>"Build dataset"</a> }>
            <Form method="GET" action="/datasets" attr:class="searching" attr:role="search">
                <label class="search">
                    <span class="visually-hidden">"Search datasets"</span>
                    <Icon name="search"/>
                    <input type="search" name="search" placeholder="Search datasets" data-search value=query.read_untracked().get("search").unwrap_or_default()/>
                    <kbd aria-hidden="true">"/"</kbd>
                </label>
                <button class="button">"Search"</button>
            </Form>
            <Load from=datasets let:datasets>
                {if datasets.is_empty() {
                    Either::Left(view! { <Nothing searched=!search().is_empty()/> })
                } else {
                    Either::Right(view! { <Table datasets/> })
                }}
            </Load>
        </Page>
    }
}

#[component]
fn Nothing(searched: bool) -> impl IntoView {
    if searched {
        Either::Left(view! {
            <Empty icon="search" title="No dataset matches">
                <a class="button" href="/datasets">"Clear the search"</a>
            </Empty>
        })
    } else {
        Either::Right(view! {
            <Empty icon="database" title="No datasets yet">
                <p>"A dataset is a frozen selection of traces, split into train, val and test, and named by its content. Runs train on one. There is none because none was built yet."</p>
                <a class="button primary" href="/datasets/new"><Icon name="plus"/>"Build dataset"</a>
            </Empty>
        })
    }
}

#[component]
fn Table(datasets: Vec<Dataset>) -> impl IntoView {
    let rows = datasets
        .into_iter()
        .map(|dataset| {
            let name = dataset.dataset.to_string();
            let families = dataset.stats.families.iter().map(|f| f.value.clone()).collect::<Vec<_>>().join(", ");
            let s = dataset.stats;
            view! {
                <tr>
                    <td class="fill"><a data-row href=format!("/datasets/{name}") title=name.clone()>{name.clone()}</a></td>
                    <td class="num">{count(s.traces.into())}</td>
                    <td class="num">{count(s.train.into())}</td>
                    <td class="num">{count(s.val.into())}</td>
                    <td class="num">{count(s.test.into())}</td>
                    <td class="name">{families}</td>
                    <td class="mono dim" title=dataset.content_hash.clone()>{dataset.content_hash.get(..10).unwrap_or_default().to_owned()}</td>
                    <td class="dim"><Time at=dataset.created_at/></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <div class="table-box">
            <table>
                <thead><tr><th>"Dataset"</th><th class="num">"Traces"</th><th class="num">"Train"</th><th class="num">"Val"</th><th class="num">"Test"</th><th>"Families"</th><th>"Hash"</th><th>"Built"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}
