//! The list of datasets.

use crate::{
    api::datasets_list,
    components::{Empty, Found, Icon, Load, Page, Search, Time, count},
};
use domain::{api::ListDatasets, dataset::Dataset};
use leptos::{either::Either, prelude::*};
use leptos_router::hooks::use_query_map;

#[component]
pub fn DatasetsPage() -> impl IntoView {
    let query = use_query_map();
    let search = move || query.read().get("search").unwrap_or_default();
    let datasets = Resource::new(search, |search| datasets_list(ListDatasets { search }));
    view! {
        <Page title="Datasets" action=|| view! { <a class="button primary" href="/datasets/new"><Icon name="plus"/>"Build dataset"</a> }>
            <Search action="/datasets" what="datasets"/>
            <Load from=datasets let:datasets>
                {if datasets.is_empty() {
                    Either::Left(view! { <Nothing searched=!search().is_empty()/> })
                } else {
                    Either::Right(view! { <Found total=datasets.len() as u64 one="dataset" many="datasets"/><Table datasets/> })
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
                <p>"No name contains these words."</p>
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
                    <td class="name" title=families.clone()>{families.clone()}</td>
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
