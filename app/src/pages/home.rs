//! Home: what runs now, what finished, what needs you; on a first visit, the way from nothing to a model that answers.

mod first_steps;
mod running;

use crate::{
    api::{DatasetsBuild, RunsCreate, TracesGenerate, home_get},
    browser,
    components::{Icon, Load, Page, count, margin, value},
};
use domain::api::{GetHome, Home};
use first_steps::FirstSteps;
use leptos::prelude::*;
use running::{Finished, NeedsYou, Running};
use std::time::Duration;

/// How often the page asks again while something runs.
const REFRESH: Duration = Duration::from_secs(3);
/// While nothing does, every so many times only: a run may be started elsewhere.
const IDLE: u32 = 5;

#[component]
pub fn HomePage() -> impl IntoView {
    let generate = ServerAction::<TracesGenerate>::new();
    let freeze = ServerAction::<DatasetsBuild>::new();
    let start = ServerAction::<RunsCreate>::new();
    let tick = RwSignal::new(0_u32);
    let home = Resource::new(
        move || (tick.get(), generate.version().get(), freeze.version().get()),
        |_| home_get(GetHome::default()),
    );
    let waited = StoredValue::new(0);
    Effect::new(move |_| {
        let timer = set_interval_with_handle(
            move || {
                let known = home.try_get_untracked().flatten();
                let busy = known.is_some_and(|home| home.is_ok_and(|home| !home.active.is_empty()));
                waited.update_value(|n| *n += 1);
                if busy || waited.get_value() >= IDLE {
                    waited.set_value(0);
                    tick.update(|n| *n += 1);
                }
            },
            REFRESH,
        );
        on_cleanup(move || {
            if let Ok(timer) = timer {
                timer.clear();
            }
        });
    });
    // What finished after the last visit is marked as new; the moment of this visit is remembered when the page is left.
    let seen = RwSignal::new(None::<i64>);
    Effect::new(move |_| {
        seen.set(browser::remembered("anneal-seen").and_then(|text| text.parse().ok()));
        browser::remember("anneal-seen", &browser::now().0.to_string());
    });
    view! {
        <Page title="Home" action=|| view! { <a class="button primary" href="/runs/new"><Icon name="play"/>"Start a run"</a> }>
            <Load from=home let:home>
                <Glance home seen generate freeze start/>
            </Load>
        </Page>
    }
}

#[component]
fn Glance(
    home: Home,
    seen: RwSignal<Option<i64>>,
    generate: ServerAction<TracesGenerate>,
    freeze: ServerAction<DatasetsBuild>,
    start: ServerAction<RunsCreate>,
) -> impl IntoView {
    let first = home.best.is_none();
    view! {
        <div class="stack loose">
            {first.then(|| view! { <FirstSteps home=home.clone() generate freeze start/> })}
            {(!first).then(|| view! { <Numbers home=home.clone()/> })}
            {(!home.active.is_empty()).then(|| view! { <Running rows=home.active.clone()/> })}
            {(!home.failed.is_empty()).then(|| view! { <NeedsYou rows=home.failed.clone()/> })}
            {(!home.finished.is_empty()).then(|| view! { <Finished rows=home.finished.clone() seen/> })}
        </div>
    }
}

/// The whole in five numbers, each the way to its place.
#[component]
fn Numbers(home: Home) -> impl IntoView {
    let best = home.best.and_then(|run| Some((run.strict?, run.name, run.id)));
    let running = home.active.len() as u64;
    view! {
        <dl class="figures" aria-label="At a glance">
            <div class:burning={running > 0}><dt>"Under way"</dt><dd><a href="/runs?state=active">{count(running)}</a></dd></div>
            {best.map(|(strict, name, id)| view! {
                <div class="best"><dt>"Best strict score"</dt><dd><a href=format!("/runs/{id}")>{value(&strict)}</a><small class="num">{margin(&strict)}</small><p class="clip dim" title=name.clone()>{name.clone()}</p></dd></div>
            })}
            <div><dt>"Runs"</dt><dd><a href="/runs">{count(home.runs)}</a></dd></div>
            <div><dt>"Datasets"</dt><dd><a href="/datasets">{count(home.datasets)}</a></dd></div>
            <div><dt>"Traces"</dt><dd><a href="/traces">{count(home.traces)}</a></dd></div>
        </dl>
    }
}
