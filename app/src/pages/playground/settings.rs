//! How the next token is chosen, and where to compute.

use super::session::Session;
use crate::components::{Field, Select};
use domain::preview::PreviewBackend;
use leptos::prelude::*;

/// The sampler's settings; the server's sampler reads the same.
#[component]
pub(super) fn Settings(
    session: Session,
    /// The backend changed: the model must be loaded again.
    on_backend: Callback<()>,
) -> impl IntoView {
    let set = move |value: String, apply: fn(&mut domain::preview::SamplerSettings, f64)| {
        if let Ok(number) = value.parse::<f64>() {
            session.sampler.update(|sampler| apply(sampler, number));
        }
    };
    let backends = [("auto", "Fastest here"), ("webgpu", "WebGPU"), ("flex", "CPU (Flex)")];
    let backends = backends.map(|(key, words)| (key.to_owned(), words.to_owned())).to_vec();
    let choose = move |key: String| {
        session.backend.set(match key.as_str() {
            "webgpu" => PreviewBackend::WebGpu,
            "flex" => PreviewBackend::Flex,
            _ => PreviewBackend::Auto,
        });
        on_backend.run(());
    };
    view! {
        <details class="card settings">
            <summary>"Settings"</summary>
            <div class="form">
                <div class="field whole">
                    <label for="field-system">"System instruction"</label>
                    <textarea id="field-system" rows="2" placeholder="None" prop:value=session.system on:input=move |ev| session.system.set(event_target_value(&ev))></textarea>
                    <small class="note">"Told to the model before the conversation"</small>
                </div>
                <div class="ticks whole">
                    <label class="tick">
                        <input type="checkbox" prop:checked=session.remembers on:change=move |ev| session.remembers.set(event_target_checked(&ev))/>
                        "Remember what was said"
                    </label>
                </div>
                <Field label="Temperature" name="temperature" kind="number" value="0" min="0" hint="0 is greedy" on_change=Callback::new(move |v| set(v, |s, n| s.temperature = n as f32))/>
                <Field label="Top k" name="top_k" kind="number" value="0" min="0" hint="0 is no limit" on_change=Callback::new(move |v| set(v, |s, n| s.top_k = n as u32))/>
                <Field label="Top p" name="top_p" kind="number" value="1" min="0" max="1" hint="1 is no limit" on_change=Callback::new(move |v| set(v, |s, n| s.top_p = n as f32))/>
                <Field label="Seed" name="seed" kind="number" value="1" min="0" on_change=Callback::new(move |v| set(v, |s, n| s.seed = n as u64))/>
                <Field label="Longest answer, tokens" name="max_new_tokens" kind="number" value="256" min="1" on_change=Callback::new(move |v: String| if let Ok(n) = v.parse() { session.max_new_tokens.set(n) })/>
                <Select label="Compute on" name="backend" value="auto" options=backends on_change=Callback::new(choose)/>
            </div>
        </details>
    }
}
