//! One run, live: the heart of the studio.

use super::{
    figures::Figures,
    head::Head,
    live::{First, Live},
    log::Log,
    sections::{Attempts, Files, RecipeView, Samples},
};
use crate::components::{Chart, Load, Page};
use domain::event::series;
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
    // Awaited, so that the server's page has it in its heading.
    let heading = move || {
        let called = async move { first.await.map_or_else(|_| "Run".to_owned(), |first| first.detail.row.name) };
        view! { <Transition>{Suspend::new(called)}</Transition> }
    };
    view! {
        <Page title=name heading trail=vec![("/runs", "Runs")] wide=true>
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
        <div class="card"><Chart title="Loss" unit="nats per token" curves=live.curves(LOSSES) zoomed=live.zoom on_zoom=zoom/></div>
        <div class="small-charts">
            <div class="card"><Chart title="Learning rate" small=true curves=live.curves(RATE) zoomed=live.zoom on_zoom=zoom/></div>
            <div class="card"><Chart title="Gradient norm" small=true curves=live.curves(NORM) zoomed=live.zoom on_zoom=zoom/></div>
            <div class="card"><Chart title="Tokens per second" small=true curves=live.curves(SPEED) zoomed=live.zoom on_zoom=zoom/></div>
            <div class="card"><Chart title="Memory" unit="bytes" small=true curves=live.curves(MEMORY) zoomed=live.zoom on_zoom=zoom/></div>
        </div>
        <Samples live/>
        <Log live/>
        <div class="beside even"><RecipeView live/><div class="stack"><Attempts live/><Files live/></div></div>
    }
}
