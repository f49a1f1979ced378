//! The playground: a run's model, loaded into this browser, answers here.

mod model;
mod session;
mod settings;
mod talk;

use crate::{
    api::{runs_get, runs_list},
    browser,
    components::{Empty, Icon, Load, Page, score},
};
use domain::api::{GetRun, ListRuns, RunRow};
use leptos::{either::Either, prelude::*};
use leptos_router::{
    NavigateOptions,
    components::Form,
    hooks::{use_navigate, use_query_map},
};
use model::ModelCard;
use session::Session;
use talk::Talk;

#[component]
pub fn PlaygroundPage() -> impl IntoView {
    let runs =
        Resource::new(|| (), |()| runs_list(ListRuns { state: "done".to_owned(), limit: 200, ..Default::default() }));
    on_cleanup(browser::end_preview);
    view! {
        <Page title="Playground">
            <Load from=runs let:page>
                {if page.rows.is_empty() {
                    Either::Left(view! { <Nothing/> })
                } else {
                    Either::Right(view! { <Choose runs=page.rows/> })
                }}
            </Load>
        </Page>
    }
}

#[component]
fn Nothing() -> impl IntoView {
    view! {
        <Empty icon="message-square" title="No model to talk to yet">
            <p>"Here a trained model answers in your browser, on your own processor or GPU. A model appears once a run is done."</p>
            <a class="button primary" href="/runs/new"><Icon name="play"/>"Train one"</a>
        </Empty>
    }
}

#[component]
fn Choose(runs: Vec<RunRow>) -> impl IntoView {
    let query = use_query_map();
    let strict = |run: &RunRow| run.strict.map_or(-1.0, |score| score.value);
    // The best, and the newest of equals (`max_by` takes the last).
    let first = runs.iter().rev().max_by(|a, b| strict(a).total_cmp(&strict(b)));
    let first = first.map(|run| run.id.to_string()).unwrap_or_default();
    let chosen =
        Memo::new(move |_| query.read().get("run").filter(|id| !id.is_empty()).unwrap_or_else(|| first.clone()));
    let run = Resource::new(move || chosen.get(), |id| runs_get(GetRun { id }));
    // Without a wish in the address: the model that was talked to last, whose weights this browser still has.
    let ids: Vec<String> = runs.iter().map(|run| run.id.to_string()).collect();
    let navigate = use_navigate();
    Effect::new(move |_| {
        let wished = query.read_untracked().get("run").is_some_and(|id| !id.is_empty());
        if let Some(id) = browser::remembered("anneal-model").filter(|id| !wished && ids.contains(id)) {
            let options = NavigateOptions { replace: true, scroll: false, ..Default::default() };
            navigate(&format!("/playground?run={id}"), options);
        }
    });
    let options = runs
        .into_iter()
        .map(|run| {
            let id = run.id.to_string();
            let words = match run.strict {
                Some(s) => format!("{} · {} · {} strict", run.name, run.id.short(), score(&s)),
                None => format!("{} · {}", run.name, run.id.short()),
            };
            let value = id.clone();
            view! { <option value=value selected=move || chosen.get() == id>{words}</option> }
        })
        .collect_view();
    view! {
        <Form method="GET" action="/playground" attr:class="searching">
            <label class="choose"><span class="label">"Model of run"</span>
                <select name="run" on:change=move |ev| browser::submit_form_of(&ev)>{options}</select>
            </label>
            <button class="button no-js">"Choose"</button>
        </Form>
        <Load from=run let:run>
            {
                let session = Session::new(&run.recipe);
                view! {
                    <div class="play">
                        <Talk session family=run.row.dataset.name.to_string()/>
                        <aside class="stack"><ModelCard session run/></aside>
                    </div>
                }
            }
        </Load>
    }
}
