//! A trace written out: prompt, typed steps, answer.

use domain::NewTrace;
use leptos::prelude::*;

/// The whole of a trace; parts that differ from those of `against` are marked, in words for screen readers.
#[component]
pub fn TraceBody(trace: NewTrace, #[prop(optional, into)] against: Option<NewTrace>) -> impl IntoView {
    let other = against.as_ref();
    let prompt = other.is_some_and(|other| other.prompt != trace.prompt);
    let answer = other.is_some_and(|other| other.final_answer != trace.final_answer);
    let steps = trace
        .steps
        .into_iter()
        .enumerate()
        .map(|(place, step)| {
            let same = |other: &NewTrace| {
                other.steps.get(place).is_some_and(|theirs| theirs.kind == step.kind && theirs.content == step.content)
            };
            let differs = other.is_some_and(|other| !same(other));
            view! {
                <li class:differs=differs>
                    <span class="step-number num">{step.i}</span>
                    <span class="step-kind" title=step.kind.clone()>{step.kind.clone()}</span>
                    <span class="step-text">{step.content}{differs.then(|| view! { <span class="visually-hidden">" (differs)"</span> })}</span>
                </li>
            }
        })
        .collect_view();
    view! {
        <div class="trace">
            <div class="trace-part" class:differs=prompt><span class="label">{label("Prompt", prompt)}</span><pre class="text">{trace.prompt}</pre></div>
            <div class="trace-part"><span class="label">"Steps"</span><ol class="steps">{steps}</ol></div>
            <div class="trace-part" class:differs=answer><span class="label">{label("Answer", answer)}</span><pre class="text answer">{trace.final_answer}</pre></div>
        </div>
    }
}

fn label(word: &str, differs: bool) -> String {
    if differs { format!("{word}, differs") } else { word.to_owned() }
}
