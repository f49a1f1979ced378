//! The leaderboard: finished runs by score, each with its interval. Only runs on the same dataset can be compared.

use crate::{
    api::leaderboard_list,
    components::{Empty, Icon, Load, Page, Time, score, short},
    pages::runs::Interval,
};
use domain::api::{Leaderboard, LeaderboardRow};
use leptos::{either::Either, prelude::*};
use leptos_router::{components::Form, hooks::use_query_map};

#[component]
pub fn LeaderboardPage() -> impl IntoView {
    let query = use_query_map();
    let asked = Memo::new(move |_| {
        let text = |key: &str| query.read().get(key).unwrap_or_default();
        Leaderboard { dataset: text("dataset"), search: text("search") }
    });
    let rows = Resource::new(move || asked.get(), leaderboard_list);
    let action = || view! { <a class="button primary" href="/runs/new"><Icon name="play"/>"Start a run"</a> };
    view! {
        <Page title="Leaderboard" action>
            <Form method="GET" action="/leaderboard" attr:class="searching" attr:role="search">
                <label class="search"><span class="visually-hidden">"Search runs"</span><Icon name="search"/><input type="search" name="search" placeholder="Search by name" data-search value=asked.get_untracked().search/></label>
                <label><span class="visually-hidden">"Dataset"</span><input name="dataset" placeholder="name@version" value=asked.get_untracked().dataset/></label>
                <button class="button">"Search"</button>
            </Form>
            <Load from=rows let:rows>
                {if rows.is_empty() {
                    Either::Left(view! {
                        <Empty icon="trophy" title="No scores yet">
                            <p>"Finished runs stand here by their score on held-out items, with a 95 % interval. None passes this search, or none has finished yet."</p>
                            <a class="button primary" href="/runs/new">"Start a run"</a>
                        </Empty>
                    })
                } else {
                    Either::Right(view! { <Table rows/> })
                }}
            </Load>
        </Page>
    }
}

#[component]
fn Table(rows: Vec<LeaderboardRow>) -> impl IntoView {
    let first = rows.first().map(|r| (r.dataset_hash.clone(), r.extractor.clone()));
    let mixed = rows.iter().any(|r| Some((r.dataset_hash.clone(), r.extractor.clone())) != first);
    let lines = rows
        .into_iter()
        .map(|r| {
            view! {
                <tr>
                    <td class="num">{r.rank}</td>
                    <td class="fill"><a data-row href=format!("/runs/{}", r.run) title=r.name.clone()>{r.name.clone()}</a></td>
                    <td class="num">{score(&r.strict)}</td>
                    <td class="interval-cell"><Interval of=r.strict/></td>
                    <td class="num">{score(&r.flexible)}</td>
                    <td class="num">{r.strict.n}</td>
                    <td class="name"><a class="quiet-link" href=format!("/leaderboard?dataset={}", r.dataset)>{r.dataset.to_string()}</a></td>
                    <td class="num">{short(r.parameters as f64)}</td>
                    <td class="dim"><Time at=r.finished_at/></td>
                    <td><a href=format!("/runs/{}/evaluation", r.run)>"Evaluation"</a></td>
                </tr>
            }
        })
        .collect_view();
    view! {
        {mixed.then(|| view! { <div class="notice"><Icon name="info"/><div>"These runs were scored on different datasets: not comparable with each other. Choose one dataset to compare."</div></div> })}
        <div class="table-box">
            <table>
                <thead><tr><th class="num">"#"</th><th>"Run"</th><th class="num">"Strict"</th><th>"95 % interval"</th><th class="num">"Flexible"</th><th class="num">"Items"</th><th>"Dataset"</th><th class="num">"Parameters"</th><th>"Finished"</th><th></th></tr></thead>
                <tbody>{lines}</tbody>
            </table>
        </div>
    }
}
