//! What a run will need, beside the form that shapes it.

use crate::components::{Icon, about, bytes, count, short};
use domain::{api::RecipeCheck, estimate::Estimate};
use leptos::prelude::*;

/// Memory and time of the recipe as it stands, or what is to be mended first.
#[component]
pub(super) fn Needs(check: RecipeCheck) -> impl IntoView {
    let broken = check.errors.len();
    let errors =
        check.errors.into_iter().map(|e| view! { <li><code>{e.path}</code>" "{e.message}</li> }).collect_view();
    let available = check.memory_available_bytes;
    let seconds = check.estimated_seconds;
    let vocab = check.model.map(|model| model.vocab as u64);
    view! {
        <section class="card stack" aria-labelledby="needs-title">
            <h2 id="needs-title">"What it needs"</h2>
            {check.estimate.map(|e| view! {
                <dl class="needs">
                    <div><dt>"Time"</dt><dd class="big num">{seconds.map_or_else(|| "–".to_owned(), |s| format!("≈ {}", about(s)))}</dd></div>
                    <div><dt>"Memory"</dt><dd class="big num">{bytes(e.total_bytes)}</dd>
                        {available.map(|all| view! { <dd class="dim num">"of "{bytes(all)}" available"</dd> })}
                        <dd><Parts estimate=e.clone()/></dd>
                    </div>
                </dl>
                <dl class="pairs">
                    <dt>"Parameters"</dt><dd class="num">{short(e.parameters as f64)}</dd>
                    {e.micro.map(|m| view! { <dt>"Sequences at once"</dt><dd class="num">{count(m.batch as u64)}" × "{count(m.accumulate as u64)}</dd> })}
                    {vocab.map(|v| view! { <dt>"Vocabulary"</dt><dd class="num">{count(v)}</dd> })}
                    <dt>"Tokens read"</dt><dd class="num">{short(e.tokens as f64)}</dd>
                </dl>
            })}
            <div role="status">
                {(broken > 0).then(|| view! {
                    <div class="notice bad"><Icon name="triangle-alert"/><div><strong>{if broken == 1 { "One thing to mend first".to_owned() } else { format!("{broken} things to mend first") }}</strong><ul class="stack tight">{errors}</ul></div></div>
                })}
            </div>
        </section>
    }
}

/// Where the memory goes: the parts by name, each with its bytes.
fn shares(e: &Estimate) -> [(&'static str, u64); 6] {
    let known = e.weights_bytes + e.gradients_bytes + e.optimizer_bytes + e.activations_bytes + e.logits_bytes;
    [
        ("weights", e.weights_bytes),
        ("gradients", e.gradients_bytes),
        ("optimizer", e.optimizer_bytes),
        ("activations", e.activations_bytes),
        ("logits", e.logits_bytes),
        ("program and data", e.total_bytes.saturating_sub(known)),
    ]
}

/// The parts in words.
pub(super) fn memory_parts(estimate: &Estimate) -> String {
    shares(estimate).map(|(name, size)| format!("{name} {}", bytes(size))).join(", ")
}

/// Where the memory goes, as one bar.
#[component]
fn Parts(estimate: Estimate) -> impl IntoView {
    let words = memory_parts(&estimate);
    let bars = (1..)
        .zip(shares(&estimate))
        .map(|(colour, (_, size))| {
            let share = size as f64 / estimate.total_bytes.max(1) as f64 * 100.0;
            view! { <i class=format!("series-{colour}") style:width=format!("{share:.1}%")></i> }
        })
        .collect_view();
    view! { <div class="parts" role="img" aria-label=words.clone() title=words>{bars}</div> }
}
