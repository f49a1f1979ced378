//! A trace written out: prompt, typed steps, answer.

use domain::NewTrace;
use leptos::prelude::*;

/// The whole of a trace.
#[component]
pub fn TraceBody(trace: NewTrace) -> impl IntoView {
    let steps = trace
        .steps
        .into_iter()
        .map(|step| {
            view! {
                <li>
                    <span class="step-number num">{step.i}</span>
                    <span class="step-kind" title=step.kind.clone()>{step.kind.clone()}</span>
                    <span class="step-text">{step.content}</span>
                </li>
            }
        })
        .collect_view();
    view! {
        <div class="trace">
            <div class="trace-part"><span class="label">"Prompt"</span><pre class="text">{trace.prompt}</pre></div>
            <div class="trace-part"><span class="label">"Steps"</span><ol class="steps">{steps}</ol></div>
            <div class="trace-part"><span class="label">"Answer"</span><pre class="text answer">{trace.final_answer}</pre></div>
        </div>
    }
}
