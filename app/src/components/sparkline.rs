//! A curve in a word's height.

use leptos::prelude::*;

/// The last values, drawn 96×20; for eyes only (the figure stands beside it).
#[component]
pub fn Sparkline(values: Vec<f64>) -> impl IntoView {
    let finite: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    let low = finite.iter().copied().fold(f64::INFINITY, f64::min);
    let high = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let span = (high - low).max(1e-12);
    let last = finite.len().saturating_sub(1).max(1) as f64;
    let points = finite
        .iter()
        .enumerate()
        .map(|(i, v)| format!("{:.1},{:.1}", i as f64 / last * 94.0 + 1.0, 18.0 - (v - low) / span * 16.0))
        .collect::<Vec<_>>()
        .join(" ");
    view! {
        <svg class="sparkline" viewBox="0 0 96 20" preserveAspectRatio="none" aria-hidden="true">
            <polyline points=points fill="none" stroke="currentColor" stroke-width="1.5" vector-effect="non-scaling-stroke"/>
        </svg>
    }
}
