//! One run, live: the heart of the studio.

use super::{
    figures::Figures,
    live::{First, Live},
    log::Log,
    sections::{Attempts, Files, RecipeView, Samples},
};
use crate::{
    api::{RunsCancel, RunsRetry},
    components::{Chart, Icon, Load, Page, StateBadge, count, duration},
    state::Toaster,
};
use domain::{RunState, event::series};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

const LOSSES: &[(&str, &str, u8)] = &[(series::LOSS, "loss", 1), (series::VAL_LOSS, "val loss", 2)];
const RATE: &[(&str, &str, u8)] = &[(series::LEARNING_RATE, "learning rate", 3)];
const NORM: &[(&str, &str, u8)] = &[(series::GRAD_NORM, "gradient norm", 4)];
const SPEED: &[(&str, &str, u8)] = &[(series::TOKENS_PER_SEC, "tokens/s", 6)];
const MEMORY: &[(&str, &str, u8)] = &[(series::MEMORY_BYTES, "memory", 5)];

#[component]
pub fn RunPage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.read().get("id").unwrap_or_default());
    let first = Resource::new_blocking(move || id.get(), First::load);
    let name = RwSignal::new("Run".to_owned());
    view! {
        <Page title=name trail=vec![("/runs", "Runs")] wide=true>
            <Load from=first let:first>
                {
                    name.set(first.detail.row.name.clone());
                    view! { <Run first/> }
                }
            </Load>
        </Page>
    }
}

#[component]
fn Run(first: First) -> impl IntoView {
    let live = Live::new(first);
    Effect::new(move |_| live.follow());
    let zoom = Callback::new(move |range| live.look(range));
    view! {
        <Head live/>
        <Figures live/>
        <div class="card"><Chart title="Loss" unit="nats per token" curves=live.curves(LOSSES) on_zoom=zoom/></div>
        <div class="small-charts">
            <div class="card"><Chart title="Learning rate" small=true curves=live.curves(RATE) on_zoom=zoom/></div>
            <div class="card"><Chart title="Gradient norm" small=true curves=live.curves(NORM) on_zoom=zoom/></div>
            <div class="card"><Chart title="Tokens per second" small=true curves=live.curves(SPEED) on_zoom=zoom/></div>
            <div class="card"><Chart title="Memory" unit="bytes" small=true curves=live.curves(MEMORY) on_zoom=zoom/></div>
        </div>
        <Samples live/>
        <Log live/>
        <RecipeView live/>
        <div class="columns"><Attempts live/><Files live/></div>
    }
}

/// State, progress, and what can be done about them.
#[component]
fn Head(live: Live) -> impl IntoView {
    let toaster = expect_context::<Toaster>();
    let (cancel, retry) = (ServerAction::<RunsCancel>::new(), ServerAction::<RunsRetry>::new());
    Effect::new(move |_| {
        for answer in [cancel.value().get(), retry.value().get()].into_iter().flatten() {
            match answer {
                Ok(detail) => live.detail.set(detail),
                Err(failure) => toaster.warn(failure.0.message),
            }
        }
    });
    let state = Memo::new(move |_| live.detail.with(|d| d.row.state));
    let id = live.detail.with_untracked(|d| d.row.id.to_string());
    let (cancel_id, retry_id, talk, exam) = (id.clone(), id.clone(), id.clone(), id);
    let share = move || {
        live.detail.with(|d| if d.row.steps > 0 { d.row.step as f64 / d.row.steps as f64 * 100.0 } else { 0.0 })
    };
    let words = move || {
        live.detail.with(|d| match d.row.state {
            RunState::Queued => "Waits for a worker".to_owned(),
            RunState::Evaluating => {
                format!("{} of {} held-out items answered", count(d.evaluated.into()), count(d.evaluation_items.into()))
            }
            RunState::Failed | RunState::Cancelled => d.row.reason.clone().unwrap_or_default(),
            _ => d.row.seconds_left.map_or_else(String::new, |s| format!("{} left", duration(s))),
        })
    };
    let ember = move || matches!(state.get(), RunState::Running | RunState::Evaluating | RunState::Leased);
    view! {
        <section class="run-head" aria-label="State">
            <div class="row between">
                <div class="row">
                    {move || view! { <StateBadge state=state.get()/> }}
                    <span aria-live="polite">{words}</span>
                    <Show when=move || !live.connected.get() && !state.get().is_final()><span class="badge warn" role="status"><Icon name="loader"/>"Reconnecting"</span></Show>
                </div>
                <div class="row">
                    {move || (state.get() == RunState::Done).then(|| view! {
                        <a class="button" href=format!("/runs/{exam}/evaluation")><Icon name="gauge"/>"Evaluation"</a>
                        <a class="button primary" href=format!("/playground?run={talk}")><Icon name="message-square"/>"Talk to it"</a>
                    })}
                    <div hidden=move || state.get().is_final()>
                        <ActionForm action=cancel><input type="hidden" name="request[id]" value=cancel_id/><button class="button" disabled=move || state.get() == RunState::Cancelling><Icon name="square"/>"Stop"</button></ActionForm>
                    </div>
                    <div hidden=move || !matches!(state.get(), RunState::Failed | RunState::Cancelled)>
                        <ActionForm action=retry><input type="hidden" name="request[id]" value=retry_id/><button class="button primary"><Icon name="rotate-ccw"/>"Retry from last checkpoint"</button></ActionForm>
                    </div>
                </div>
            </div>
            <div class="progress" class:ember=ember role="progressbar" aria-label="Steps" aria-valuemin="0" aria-valuemax="100" aria-valuenow=move || format!("{:.0}", share())>
                <i style:width=move || format!("{:.1}%", share())></i>
            </div>
        </section>
    }
}
