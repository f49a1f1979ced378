//! Home: what runs now, what finished, what needs you; on a first visit, the way from nothing to a model that answers.

mod first_steps;
mod running;

use crate::{
    api::{DatasetsBuild, RunsCreate, TracesGenerate, home_get},
    browser,
    components::{Icon, Load, Page, counted},
};
use domain::api::{GetHome, Home};
use first_steps::FirstSteps;
use leptos::prelude::*;
use running::{Finished, NeedsYou, Running};
use std::time::Duration;

/// How often the page asks again while something runs.
const REFRESH: Duration = Duration::from_secs(3);

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
    Effect::new(move |_| {
        let timer = set_interval_with_handle(
            move || {
                let busy = home
                    .try_get_untracked()
                    .flatten()
                    .is_some_and(|home| home.is_ok_and(|home| !home.active.is_empty()));
                if busy {
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
        <Page title="Home" action=|| view! { <a class="button primary" href="/runs/new"><Icon name="plus"/>"New run"</a> }>
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
    let quiet = home.active.is_empty() && !first;
    view! {
        <div class="stack loose">
            {first.then(|| view! { <FirstSteps home=home.clone() generate freeze start/> })}
            {(!home.active.is_empty()).then(|| view! { <Running rows=home.active.clone()/> })}
            {quiet.then(|| view! { <p class="dim">"Nothing runs right now."</p> })}
            {(!home.failed.is_empty()).then(|| view! { <NeedsYou rows=home.failed.clone()/> })}
            {(!home.finished.is_empty()).then(|| view! { <Finished rows=home.finished.clone() seen/> })}
            <p class="row dim">
                <a href="/traces">{counted(home.traces, "trace", "traces")}</a>
                "·"
                <a href="/datasets">{counted(home.datasets, "dataset", "datasets")}</a>
                "·"
                <a href="/runs">{counted(home.runs, "run", "runs")}</a>
            </p>
        </div>
    }
}
