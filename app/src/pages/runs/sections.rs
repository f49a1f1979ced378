//! The quieter parts of a run's page: samples, recipe, attempts with checkpoints and alarms, files.

use super::live::Live;
use crate::components::{CopyButton, Icon, Time, bytes, count, counted, speaker};
use domain::{
    Turn,
    api::{RunDetail, Sample},
};
use leptos::prelude::*;
use text::score::judge;

/// Samples that are open to the eye; the others are folded away.
const OPEN: usize = 6;

/// Text generated during training, the newest first.
#[component]
pub(super) fn Samples(live: Live) -> impl IntoView {
    let shown = move |from: usize, to: usize| {
        live.samples
            .with(|all| all.iter().take(to).skip(from).cloned().map(|s| view! { <SampleCard s/> }).collect_view())
    };
    let older = move || live.samples.with(Vec::len).saturating_sub(OPEN) as u64;
    view! {
        <section class="card stack" aria-labelledby="samples-title">
            <h2 id="samples-title">"Samples"</h2>
            <Show when=move || live.samples.with(Vec::is_empty)><p class="dim">"The model writes its first samples at the first evaluation (evaluation.every)."</p></Show>
            <ul class="samples">{move || shown(0, OPEN)}</ul>
            <div hidden=move || older() == 0>
                <details class="older">
                    <summary>{move || counted(older(), "older sample", "older samples")}</summary>
                    <ul class="samples">{move || shown(OPEN, usize::MAX)}</ul>
                </details>
            </div>
        </section>
    }
}

#[component]
fn SampleCard(s: Sample) -> impl IntoView {
    // By the strict rule of the evaluation; whether a verifier would accept more is seen there.
    let right = judge(&s.expected, &s.text, |_| false).strict;
    view! {
        <li class="sample">
            {earlier(s.history)}
            <p class="row between"><code class="sample-prompt">{s.prompt}</code><span class="dim num">"step "{count(s.step)}</span></p>
            <pre>{s.text}</pre>
            <p class="row dim"><span>"Expected "<code>{s.expected}</code></span>{right.then(|| view! { <span class="badge good"><Icon name="check"/>"Right"</span> })}</p>
        </li>
    }
}

/// What was said before a sample's prompt, folded away: the answer is what one looks for.
fn earlier(history: Vec<Turn>) -> Option<impl IntoView> {
    (!history.is_empty()).then(|| {
        let words = counted(history.len() as u64, "earlier turn", "earlier turns");
        let turns = history
            .into_iter()
            .map(|turn| view! { <li><span class="label">{speaker(turn.role)}</span><pre>{turn.content}</pre></li> })
            .collect_view();
        view! { <details class="said-before"><summary class="dim">{words}</summary><ol class="stack tight">{turns}</ol></details> }
    })
}

#[component]
pub(super) fn RecipeView(live: Live) -> impl IntoView {
    let (yaml, hash, dataset, data_hash) = live.detail.with_untracked(|d| {
        (d.recipe_yaml.clone(), d.recipe_hash.clone(), d.row.dataset.to_string(), d.dataset_hash.clone())
    });
    let (copied, short_hash) = (yaml.clone(), hash.chars().take(12).collect::<String>());
    let short_data: String = data_hash.chars().take(12).collect();
    view! {
        <section class="card stack" aria-labelledby="recipe-title">
            <header class="row between">
                <h2 id="recipe-title">"Recipe"</h2>
                <div class="row"><code class="dim" title=hash>{short_hash}</code><CopyButton text=Signal::stored(copied) label="Copy recipe"/></div>
            </header>
            <p class="wrap">"On "<a href=format!("/datasets/{dataset}")>{dataset.clone()}</a>" "<code class="dim" title=data_hash>{short_data}</code></p>
            <pre class="code">{yaml}</pre>
        </section>
    }
}

#[component]
pub(super) fn Attempts(live: Live) -> impl IntoView {
    let attempts = move || {
        live.detail.with(|d| d.attempts_made.clone()).into_iter().map(|a| {
            let resumed = a.resumed_from.map(|s| format!(", from step {}", count(s)));
            view! { <li><b>"Attempt "{a.number}</b>", "<Time at=a.started_at/>{resumed}" · "{a.worker}<p class="dim wrap">{a.outcome.unwrap_or_else(|| "goes on".to_owned())}</p></li> }
        }).collect_view()
    };
    let checkpoints = move || {
        live.detail.with(kept).into_iter().map(|(step, size, word)| {
            view! { <li class="row between"><span>"Step "{count(step)}" "<span class="badge">{word}</span></span><span class="dim num">{bytes(size)}</span></li> }
        }).collect_view()
    };
    let made = move || live.detail.with(|d| d.checkpoints.len()) as u64;
    let alarms = move || {
        live.detail.with(|d| d.alarms.clone()).into_iter().map(|a| {
            view! { <li class="notice bad"><Icon name="triangle-alert"/><div>"Step "{count(a.step)}": "{a.message}</div></li> }
        }).collect_view()
    };
    view! {
        <section class="card stack" aria-labelledby="attempts-title">
            <h2 id="attempts-title">"Attempts and checkpoints"</h2>
            <ul class="stack tight">{alarms}</ul>
            <ul class="stack tight">{attempts}</ul>
            <h3>"Checkpoints kept"</h3>
            <ul class="stack tight">{checkpoints}</ul>
            <p class="dim">{move || match made() { 0 => "None yet.".to_owned(), n => format!("{} saved so far; older ones made room.", counted(n, "checkpoint", "checkpoints")) }}</p>
        </section>
    }
}

/// The checkpoints that the recipe keeps: the newest few, and the best. Step, size and which of these it is.
fn kept(run: &RunDetail) -> Vec<(u64, u64, &'static str)> {
    let best = run.checkpoints.iter().filter(|c| c.best).map(|c| c.step).max();
    let mut newest: Vec<_> = run.checkpoints.iter().collect();
    newest.sort_by_key(|c| std::cmp::Reverse(c.step));
    let places = newest.into_iter().enumerate();
    let stays = places.filter(|(place, c)| *place < run.recipe.checkpoint.keep.max(1) || Some(c.step) == best);
    let word = |place: usize, step: u64| match (place, Some(step) == best) {
        (0, true) => "Newest and best",
        (0, false) => "Newest",
        (_, true) => "Best",
        _ => "Kept",
    };
    stays.map(|(place, c)| (c.step, c.bytes, word(place, c.step))).collect()
}

#[component]
pub(super) fn Files(live: Live) -> impl IntoView {
    let files = move || {
        live.detail.with(|d| {
            let id = d.row.id;
            d.files.clone().into_iter().map(|f| {
                let hash: String = f.sha256.chars().take(12).collect();
                view! { <li class="row between"><a href=format!("/api/runs/{id}/files/{}", f.name) download=f.name.clone()><Icon name="download"/>" "{f.name.clone()}</a><span class="dim num" title=f.sha256>{hash}" · "{bytes(f.bytes)}</span></li> }
            }).collect_view()
        })
    };
    view! {
        <section class="card stack" aria-labelledby="files-title">
            <h2 id="files-title">"Files"</h2>
            <Show when=move || live.detail.with(|d| d.files.is_empty())><p class="dim">"The exported model appears here when the run is done: a folder that transformers loads."</p></Show>
            <ul class="stack tight">{files}</ul>
        </section>
    }
}
