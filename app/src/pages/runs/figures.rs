//! The headline figures of a run.

use super::{live::Live, needs::memory_parts};
use crate::components::{about, bytes, count, duration, loss, margin, short, value};
use leptos::prelude::*;

#[component]
pub(super) fn Figures(live: Live) -> impl IntoView {
    let dash = || "–".to_owned();
    let of =
        move |read: fn(&domain::api::RunDetail) -> Option<String>| move || live.detail.with(read).unwrap_or_else(dash);
    let note = move |read: fn(&domain::api::RunDetail) -> Option<String>| move || live.detail.with(read);
    let time = move || {
        let (from, to) = live.detail.with(|d| (d.row.started_at, d.row.finished_at));
        from.zip(to.or_else(|| live.at.get())).map_or_else(dash, |(from, to)| duration(to.seconds_since(from)))
    };
    // Where the memory was expected to go.
    let parts = move || live.detail.with(|d| d.estimate.as_ref().map(memory_parts));
    view! {
        <dl class="figures ten" aria-label="Figures">
            <div><dt>"Step"</dt><dd>{of(|d| Some(count(d.row.step)))}<small>{note(|d| Some(format!(" of {}", count(d.row.steps))))}</small></dd></div>
            <div><dt>"Loss"</dt><dd>{of(|d| d.row.loss.map(loss))}</dd></div>
            <div><dt>"Val loss"</dt><dd>{of(|d| d.row.val_loss.map(loss))}<small>{note(|d| d.row.best_val_loss.map(|b| format!(" best {}", loss(b))))}</small></dd></div>
            <div><dt>"Strict score"</dt><dd>{of(|d| d.row.strict.map(|s| value(&s)))}<small class="num">{note(|d| d.row.strict.map(|s| margin(&s)))}</small></dd></div>
            <div><dt>"Flexible score"</dt><dd>{of(|d| d.row.flexible.map(|s| value(&s)))}<small class="num">{note(|d| d.row.flexible.map(|s| margin(&s)))}</small></dd></div>
            <div><dt>"Tokens/s"</dt><dd>{of(|d| d.row.tokens_per_sec.map(|t| count(t as u64)))}</dd></div>
            <div title=parts><dt>"Peak memory"</dt><dd>{of(|d| d.row.peak_memory_bytes.map(bytes))}<small>{note(|d| d.estimate.as_ref().map(|e| format!(" estimated {}", bytes(e.total_bytes))))}</small></dd></div>
            <div><dt>"Parameters"</dt><dd>{of(|d| d.row.parameters.map(|p| short(p as f64)))}</dd></div>
            <div><dt>"Time"</dt><dd>{time}<small>{note(|d| d.estimate.as_ref().and_then(|e| e.seconds).map(|s| format!(" estimated {}", about(s))))}</small></dd></div>
            <div><dt>"Device"</dt><dd>{of(|d| d.row.device.clone())}<small>{note(|d| d.device_info.as_ref().map(|info| info.name.clone()))}</small></dd></div>
        </dl>
    }
}
