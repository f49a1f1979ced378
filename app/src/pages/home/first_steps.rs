//! The first visit: three steps, each with a button that does it.

use crate::{
    api::{DatasetsBuild, Failure, RunsCreate, TracesGenerate},
    components::{Icon, Problem, counted},
};
use domain::api::Home;
use leptos::{either::EitherOf5, prelude::*};
use leptos_router::hooks::use_query_map;

/// The name of the dataset that the first steps build.
const SUMS: &str = "addition@";

/// Where the person stands.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Stage {
    Traces,
    Dataset,
    Run,
    Waiting,
}

fn stage(home: &Home) -> Stage {
    match home {
        Home { traces: 0, datasets: 0, .. } => Stage::Traces,
        Home { newest_dataset: None, .. } => Stage::Dataset,
        home if home.active.is_empty() => Stage::Run,
        _ => Stage::Waiting,
    }
}

/// Generate traces → build and train → talk to it.
#[component]
pub(super) fn FirstSteps(
    home: Home,
    generate: ServerAction<TracesGenerate>,
    freeze: ServerAction<DatasetsBuild>,
    start: ServerAction<RunsCreate>,
) -> impl IntoView {
    let stage = stage(&home);
    let query = use_query_map();
    let failure = move || {
        let said = generate.value().get().and_then(Result::err);
        let said = said.or_else(|| freeze.value().get().and_then(Result::err));
        let said = said.or_else(|| start.value().get().and_then(Result::err));
        said.or_else(|| query.read().get("__err").map(|err| Failure::from_address(&err)))
    };
    let busy = move || generate.pending().get() || freeze.pending().get() || start.pending().get();
    let mark = move |done: bool, number: &'static str| {
        if done {
            view! { <span class="step-mark done"><Icon name="check"/></span> }.into_any()
        } else {
            view! { <span class="step-mark">{number}</span> }.into_any()
        }
    };
    let dataset = home.newest_dataset.clone().unwrap_or_default();
    let chosen = dataset.clone();
    let action = match stage {
        Stage::Traces => EitherOf5::A(view! {
            <ActionForm action=generate>
                <input type="hidden" name="request[family]" value="addition"/>
                <input type="hidden" name="request[count]" value="5000"/>
                <input type="hidden" name="request[seed]" value="1"/>
                <input type="hidden" name="request[difficulty]" value="0"/>
                <button class="primary" disabled=busy><Icon name="sparkles"/>"Generate 5,000 additions"</button>
            </ActionForm>
        }),
        Stage::Dataset => EitherOf5::B(view! {
            <ActionForm action=freeze>
                <input type="hidden" name="request[dataset]" value="addition@1"/>
                <input type="hidden" name="request[family]" value="addition"/>
                <input type="hidden" name="request[split]" value="80/10/10"/>
                <input type="hidden" name="request[seed]" value="1"/>
                <button class="primary" disabled=busy><Icon name="database"/>"Build addition@1"</button>
            </ActionForm>
        }),
        // A shipped recipe fits the sums; other data wants a recipe chosen for it.
        Stage::Run if !dataset.starts_with(SUMS) => EitherOf5::E(view! {
            <a class="button primary" href=format!("/runs/new?dataset={dataset}")><Icon name="play"/>"Choose a recipe and train"</a>
        }),
        Stage::Run => EitherOf5::C(view! {
            <ActionForm action=start>
                <input type="hidden" name="request[recipe]" value="addition"/>
                <input type="hidden" name="request[dataset]" value=chosen/>
                <button class="primary" disabled=busy><Icon name="play"/>"Start training"</button>
            </ActionForm>
        }),
        Stage::Waiting => {
            EitherOf5::D(view! { <p class="dim">"Training. It takes some minutes; the page follows it below."</p> })
        }
    };
    let (one, two) = (stage > Stage::Traces, stage == Stage::Waiting);
    let on_dataset = (!dataset.is_empty())
        .then(|| view! { ", on "<b class="clip inline-clip" title=dataset.clone()>{dataset.clone()}</b> });
    view! {
        <section class="first" aria-labelledby="first-title">
            <h2 id="first-title">"From nothing to a model that shows its work"</h2>
            <ol class="first-steps">
                <li class:now=stage == Stage::Traces>
                    {mark(one, "1")}
                    <div><h3>"Generate traces"</h3>
                    <p>{if one { format!("{} ready", counted(home.traces, "trace", "traces")) } else { "Sums with every carry written out, each checked by its own verifier.".to_owned() }}</p></div>
                </li>
                <li class:now=matches!(stage, Stage::Dataset | Stage::Run | Stage::Waiting)>
                    {mark(two, "2")}
                    <div><h3>"Build a dataset and train"</h3><p>"A small Llama from scratch, on this machine"{on_dataset}</p></div>
                </li>
                <li>
                    {mark(false, "3")}
                    <div><h3>"Talk to it"</h3><p>"The trained model answers in your browser, with nothing installed."</p></div>
                </li>
            </ol>
            {move || failure().map(|failure| view! { <Problem failure/> })}
            <div class="row">{action}<a class="quiet-link" href="/traces/import">"or import your own traces"</a></div>
        </section>
    }
}
