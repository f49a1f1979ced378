//! The table of runs: search, state and order in the address; runs under way move by themselves.

use crate::{
    api::runs_list,
    components::{
        Choice, Empty, Found, Icon, Load, Page, Pager, Search, Sparkline, StateBadge, Time, count, duration, loss,
        margin, state_word, value, with_query,
    },
};
use domain::{
    RunState,
    api::{ListRuns, RunRow},
};
use leptos::{either::Either, prelude::*};
use leptos_router::{hooks::use_query_map, params::ParamsMap};
use std::time::Duration;

/// Often enough to look alive, seldom enough to cost nothing.
const REFRESH: Duration = Duration::from_secs(3);

fn asked(query: &ParamsMap) -> ListRuns {
    let text = |key: &str| query.get(key).unwrap_or_default();
    ListRuns {
        search: text("search"),
        state: text("state"),
        dataset: text("dataset"),
        sort: text("sort"),
        offset: text("offset").parse().unwrap_or(0),
        limit: 50,
    }
}

#[component]
pub fn RunsPage() -> impl IntoView {
    let query = use_query_map();
    let page = Resource::new(move || asked(&query.read()), runs_list);
    let moving = RwSignal::new(false);
    Effect::new(move |_| {
        moving.set(page.get().is_some_and(|p| p.is_ok_and(|p| p.rows.iter().any(|r| !r.state.is_final()))));
    });
    Effect::new(move |_| {
        if let Ok(timer) = set_interval_with_handle(
            move || {
                if moving.get_untracked() {
                    page.refetch()
                }
            },
            REFRESH,
        ) {
            on_cleanup(move || timer.clear());
        }
    });
    let action = || view! { <a class="button primary" href="/runs/new"><Icon name="play"/>"Start a run"</a> };
    view! {
        <Page title="Runs" action wide=true>
            <Filters/>
            <Load from=page let:page>
                {if page.total == 0 {
                    Either::Left(view! { <Nothing/> })
                } else {
                    let link = move |offset: u64| with_query("/runs", &query.read_untracked(), &[("offset", &offset.to_string())]);
                    Either::Right(view! { <Found total=page.total one="run" many="runs"/><Table rows=page.rows/><Pager offset=page.offset limit=page.limit total=page.total link/> })
                }}
            </Load>
        </Page>
    }
}

#[component]
fn Filters() -> impl IntoView {
    let pair = |(key, words): (&str, &str)| (key.to_owned(), words.to_owned());
    let states = [("", "Any state"), ("active", "Under way")].into_iter().map(pair);
    let states = states.chain(RunState::ALL.map(|state| (state.key().to_owned(), state_word(state).to_owned())));
    let orders = [
        ("", "Newest first"),
        ("-created", "Oldest first"),
        ("name", "Name"),
        ("loss", "Loss"),
        ("val_loss", "Val loss"),
        ("score", "Score"),
    ];
    view! {
        <Search action="/runs" what="name, dataset or id">
            <Choice name="state" label="Filter by state" options=states.collect()/>
            <Choice name="sort" label="Order" options=orders.map(pair).to_vec()/>
        </Search>
    }
}

#[component]
fn Nothing() -> impl IntoView {
    let query = use_query_map();
    let now = asked(&query.read_untracked());
    if now.search.is_empty() && now.state.is_empty() && now.dataset.is_empty() {
        Either::Left(view! {
            <Empty icon="activity" title="No runs yet">
                <p>"A run trains one model by a recipe on a dataset, evaluates it on held-out items, and keeps what came of it. None was started yet."</p>
                <a class="button primary" href="/runs/new"><Icon name="play"/>"Start a run"</a>
            </Empty>
        })
    } else {
        Either::Right(view! {
            <Empty icon="search" title="No run matches"><p>"Nothing passes this search and these filters together."</p><a class="button" href="/runs">"Clear filters"</a></Empty>
        })
    }
}

#[component]
fn Table(rows: Vec<RunRow>) -> impl IntoView {
    let rows = rows.into_iter().map(|row| view! { <Row row/> }).collect_view();
    view! {
        <div class="table-box">
            <table class="runs">
                <thead><tr><th>"Run"</th><th>"State"</th><th>"Dataset"</th><th class="num">"Steps"</th><th class="num">"Loss"</th><th></th><th class="num">"Val loss"</th><th class="num">"Strict score"</th><th class="num">"Tokens/s"</th><th>"Created"</th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

#[component]
fn Row(row: RunRow) -> impl IntoView {
    let dash = || "–".to_owned();
    let progress = match row.seconds_left {
        Some(left) => format!("{} left", duration(left)),
        None if row.step == row.steps => count(row.step),
        None => format!("{} / {}", count(row.step), count(row.steps)),
    };
    view! {
        <tr>
            <td class="fill"><a data-row href=format!("/runs/{}", row.id) title=row.name.clone()>{row.name.clone()}</a>" "<span class="dim mono">{row.id.short()}</span></td>
            <td><StateBadge state=row.state/></td>
            <td class="name"><a class="quiet-link" href=format!("/datasets/{}", row.dataset)>{row.dataset.to_string()}</a></td>
            <td class="num">{progress}</td>
            <td class="num">{row.loss.map_or_else(dash, loss)}</td>
            <td class="spark" class:burning=!row.state.is_final()><Sparkline values=row.sparkline/></td>
            <td class="num">{row.val_loss.map_or_else(dash, loss)}</td>
            <td class="num">{row.strict.map_or_else(dash, |s| value(&s))}<small class="dim">{row.strict.map(|s| margin(&s))}</small></td>
            <td class="num">{row.tokens_per_sec.map_or_else(dash, |t| count(t as u64))}</td>
            <td class="dim"><Time at=row.created_at/></td>
        </tr>
    }
}
