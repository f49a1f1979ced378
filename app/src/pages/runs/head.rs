//! The head of a run's page: state, time left, progress, and what can be done about them.

use super::live::Live;
use crate::{
    api::{Failure, RunsCancel, RunsRetry},
    components::{Icon, Problem, StateBadge, count, duration},
    state::Toaster,
};
use domain::{RunState, api::RunDetail};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

#[component]
pub(super) fn Head(live: Live) -> impl IntoView {
    let toaster = expect_context::<Toaster>();
    let (cancel, retry) = (ServerAction::<RunsCancel>::new(), ServerAction::<RunsRetry>::new());
    Effect::new(move |_| match cancel.value().get() {
        Some(Ok(detail)) => {
            toaster.say("Asked to stop. It saves a checkpoint first; Retry goes on from there.");
            live.detail.set(detail);
        }
        Some(Err(failure)) => toaster.warn(failure.0.message),
        None => {}
    });
    Effect::new(move |_| match retry.value().get() {
        Some(Ok(detail)) => live.again(detail),
        Some(Err(failure)) => toaster.warn(failure.0.message),
        None => {}
    });
    let state = Memo::new(move |_| live.detail.with(|d| d.row.state));
    let share = move || live.detail.with(progress);
    let ember = move || matches!(state.get(), RunState::Running | RunState::Evaluating | RunState::Leased);
    let lost = move || !live.connected.get() && !state.get().is_final();
    let query = use_query_map();
    let refused = move || query.read().get("__err").map(|err| view! { <Problem failure=Failure::from_address(&err)/> });
    let reason = move || {
        let ended = matches!(state.get(), RunState::Failed | RunState::Cancelled);
        ended.then(|| live.detail.with(|d| d.row.reason.clone())).flatten()
    };
    view! {
        <section class="run-head" aria-label="State">
            <div class="row between">
                <div class="row">
                    <span role="status">{move || view! { <StateBadge state=state.get()/> }}</span>
                    <span class="num">{move || live.detail.with(words)}</span>
                    <Show when=lost><span class="badge warn" role="status"><Icon name="loader"/>"Reconnecting"</span></Show>
                </div>
                <Actions live state cancel retry/>
            </div>
            <div class="progress" class:ember=ember role="progressbar" aria-label="Steps" aria-valuemin="0" aria-valuemax="100" aria-valuenow=move || format!("{:.0}", share())>
                <i style:width=move || format!("{:.1}%", share())></i>
            </div>
            {refused}
            {move || reason().map(|why| {
                let tone = if state.get() == RunState::Failed { "notice bad" } else { "notice" };
                view! { <div class=tone><Icon name="triangle-alert"/><p>{why}</p></div> }
            })}
        </section>
    }
}

#[component]
fn Actions(
    live: Live,
    state: Memo<RunState>,
    cancel: ServerAction<RunsCancel>,
    retry: ServerAction<RunsRetry>,
) -> impl IntoView {
    let (id, dataset) = live.detail.with_untracked(|d| (d.row.id.to_string(), d.row.dataset.to_string()));
    let (own, stop, again) = (id.clone(), id.clone(), format!("/runs/new?recipe={id}&dataset={dataset}"));
    let done = move || state.get() == RunState::Done;
    let stopping = move || state.get() == RunState::Cancelling;
    let kept = move || {
        live.detail.with(|d| match d.row.state {
            RunState::Running => "Saves a checkpoint, then stops. Nothing learned is lost; Retry goes on from there.",
            RunState::Evaluating => "Keeps the trained model\u{2019}s checkpoint; the evaluation begins anew on Retry.",
            _ => "Takes the run out of the queue. Retry puts it back.",
        })
    };
    view! {
        <div class="row">
            <a class="button" href=again title="Start a new run from this recipe and dataset"><Icon name="copy"/>"Use again"</a>
            {move || done().then(|| view! {
                <a class="button" href=format!("/runs/{own}/evaluation")><Icon name="gauge"/>"Evaluation"</a>
                <a class="button primary" href=format!("/playground?run={own}")><Icon name="message-square"/>"Talk to it"</a>
            })}
            <div hidden=move || state.get().is_final()>
                <ActionForm action=cancel><input type="hidden" name="request[id]" value=stop/><button class="button" title=kept disabled=stopping><Icon name="square"/>{move || if stopping() { "Stopping…" } else { "Stop" }}</button></ActionForm>
            </div>
            <div hidden=move || !matches!(state.get(), RunState::Failed | RunState::Cancelled)>
                <ActionForm action=retry><input type="hidden" name="request[id]" value=id/><button class="button primary" disabled=move || retry.pending().get()><Icon name="rotate-ccw"/>{move || live.detail.with(retry_words)}</button></ActionForm>
            </div>
        </div>
    }
}

/// Steps done, in percent.
fn progress(run: &RunDetail) -> f64 {
    if run.row.steps > 0 { run.row.step as f64 / run.row.steps as f64 * 100.0 } else { 0.0 }
}

/// What goes on, in a few words.
fn words(run: &RunDetail) -> String {
    match run.row.state {
        RunState::Queued => "waits for a worker".to_owned(),
        RunState::Leased => "a worker prepares the data".to_owned(),
        RunState::Evaluating => {
            format!("{} of {} held-out items answered", count(run.evaluated.into()), count(run.evaluation_items.into()))
        }
        RunState::Cancelling => "saves a checkpoint".to_owned(),
        _ => run.row.seconds_left.map_or_else(String::new, |s| format!("{} left", duration(s))),
    }
}

fn retry_words(run: &RunDetail) -> String {
    let newest = run.checkpoints.iter().map(|c| c.step).max();
    newest.map_or_else(|| "Retry".to_owned(), |step| format!("Retry from step {}", count(step)))
}
