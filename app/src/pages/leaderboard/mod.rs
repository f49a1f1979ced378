//! The leaderboard: finished runs by score, each with its interval. Only runs on the same dataset can be compared.

use crate::{
    api::{datasets_list, leaderboard_list},
    components::{Choice, Empty, Found, Icon, Load, Page, Search, Time, count, margin, short, value},
    pages::runs::Interval,
};
use domain::{
    api::{Leaderboard, LeaderboardRow, ListDatasets},
    dataset::Dataset,
};
use leptos::{either::Either, prelude::*};
use leptos_router::hooks::use_query_map;

/// The server answers with so many at most.
const MOST: usize = 1_000;

#[component]
pub fn LeaderboardPage() -> impl IntoView {
    let query = use_query_map();
    let asked = Memo::new(move |_| {
        let text = |key: &str| query.read().get(key).unwrap_or_default();
        Leaderboard { dataset: text("dataset"), search: text("search") }
    });
    let rows = Resource::new(move || asked.get(), leaderboard_list);
    let datasets = Resource::new(|| (), |()| datasets_list(ListDatasets::default()));
    let action = || view! { <a class="button primary" href="/runs/new"><Icon name="play"/>"Start a run"</a> };
    view! {
        <Page title="Leaderboard" action>
            <Search action="/leaderboard" what="runs by name">
                <Load from=datasets let:datasets><Choice name="dataset" label="Filter by dataset" options=options(datasets)/></Load>
            </Search>
            <Load from=rows let:rows>
                {if rows.is_empty() {
                    Either::Left(view! { <Nothing filtered=asked.get_untracked() != Leaderboard::default()/> })
                } else {
                    Either::Right(view! { <Found total=rows.len() as u64 one="evaluated run" many="evaluated runs"/><Table rows/> })
                }}
            </Load>
        </Page>
    }
}

fn options(datasets: Vec<Dataset>) -> Vec<(String, String)> {
    let names = datasets.into_iter().map(|d| d.dataset.to_string()).map(|name| (name.clone(), name));
    std::iter::once((String::new(), "Any dataset".to_owned())).chain(names).collect()
}

#[component]
fn Nothing(filtered: bool) -> impl IntoView {
    if filtered {
        Either::Left(view! {
            <Empty icon="search" title="No run matches">
                <p>"No evaluated run passes this search and this dataset together."</p>
                <a class="button" href="/leaderboard">"Clear filters"</a>
            </Empty>
        })
    } else {
        Either::Right(view! {
            <Empty icon="trophy" title="No scores yet">
                <p>"Finished runs stand here by their score on held-out items, each with its 95 % interval. There is none because no run has finished yet."</p>
                <a class="button primary" href="/runs/new"><Icon name="play"/>"Start a run"</a>
            </Empty>
        })
    }
}

#[component]
fn Table(rows: Vec<LeaderboardRow>) -> impl IntoView {
    let first = rows.first().map(|r| (r.dataset_hash.clone(), r.extractor.clone()));
    let full = rows.len() >= MOST;
    let mixed = rows.iter().any(|r| Some((r.dataset_hash.clone(), r.extractor.clone())) != first);
    let lines = rows
        .into_iter()
        .map(|r| {
            view! {
                <tr>
                    <td class="num">{r.rank}</td>
                    <td class="fill"><a data-row href=format!("/runs/{}", r.run) title=r.name.clone()>{r.name.clone()}</a></td>
                    <td class="num"><a href=format!("/runs/{}/evaluation", r.run) title="Read its predictions">{value(&r.strict)}</a><small class="dim">{margin(&r.strict)}</small></td>
                    <td class="interval-cell"><Interval of=r.strict/></td>
                    <td class="num">{value(&r.flexible)}<small class="dim">{margin(&r.flexible)}</small></td>
                    <td class="num">{r.strict.n}</td>
                    <td class="name"><a class="quiet-link" href=format!("/leaderboard?dataset={}", r.dataset)>{r.dataset.to_string()}</a></td>
                    <td class="num">{short(r.parameters as f64)}</td>
                    <td class="dim"><Time at=r.finished_at/></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        {mixed.then(|| view! { <div class="notice"><Icon name="info"/><div>"Not all of these are comparable: they were scored on different datasets. Choose one dataset to compare its runs."</div></div> })}
        <div class="table-box">
            <table class="runs">
                <thead><tr><th class="num">"#"</th><th>"Run"</th><th class="num">"Strict"</th><th>"95 % interval"</th><th class="num">"Flexible"</th><th class="num">"Items"</th><th>"Dataset"</th><th class="num">"Parameters"</th><th>"Finished"</th></tr></thead>
                <tbody>{lines}</tbody>
            </table>
        </div>
        {full.then(|| view! { <p class="dim">{format!("The best {} are shown. Search, or choose one dataset, to see others.", count(MOST as u64))}</p> })}
    }
}
