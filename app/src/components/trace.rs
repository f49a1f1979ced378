//! A trace written out: earlier turns, prompt, typed steps, answer.

use domain::{NewTrace, Role};
use leptos::{either::Either, prelude::*};

/// Who says an earlier turn.
pub fn speaker(role: Role) -> &'static str {
    match role {
        Role::System => "System",
        Role::User => "User",
        Role::Assistant => "Assistant",
    }
}

/// The whole of a trace; what differs from `against` is marked, step by step.
#[component]
pub fn TraceBody(trace: NewTrace, #[prop(optional, into)] against: Option<NewTrace>) -> impl IntoView {
    let other = against.as_ref();
    let prompt = other.map(|other| other.prompt.as_str());
    let answer = other.map(|other| other.final_answer.as_str());
    let history = trace
        .history
        .into_iter()
        .enumerate()
        .map(|(place, turn)| {
            let theirs = other.map(|other| other.history.get(place).map(|turn| turn.content.as_str()).unwrap_or_default());
            view! { <div class="trace-part"><span class="label">{speaker(turn.role)}</span><pre class="text">{marked(turn.content, theirs)}</pre></div> }
        })
        .collect_view();
    let steps = trace
        .steps
        .into_iter()
        .enumerate()
        .map(|(place, step)| {
            let theirs = other.map(|other| other.steps.get(place));
            let content = theirs.map(|step| step.map(|step| step.content.as_str()).unwrap_or_default());
            let kind = theirs.is_some_and(|theirs| theirs.is_none_or(|theirs| theirs.kind != step.kind));
            view! {
                <li>
                    <span class="step-number num">{step.i}</span>
                    <span class="step-kind" class:differs=kind title=step.kind.clone()>{step.kind.clone()}</span>
                    <span class="step-text">{marked(step.content.clone(), content)}</span>
                </li>
            }
        })
        .collect_view();
    view! {
        <div class="trace">
            {history}
            <div class="trace-part"><span class="label">"Prompt"</span><pre class="text">{marked(trace.prompt.clone(), prompt)}</pre></div>
            <div class="trace-part"><span class="label">"Steps"</span><ol class="steps">{steps}</ol></div>
            <div class="trace-part"><span class="label">"Answer"</span><pre class="text answer">{marked(trace.final_answer.clone(), answer)}</pre></div>
        </div>
    }
}

/// The text, with the part marked that is not in `other`.
fn marked(text: String, other: Option<&str>) -> impl IntoView + use<> {
    match other {
        Some(other) if other != text => {
            let (before, own, after) = own_part(&text, other);
            Either::Left(view! { {before.to_owned()}<mark>{own.to_owned()}</mark>{after.to_owned()} })
        }
        _ => Either::Right(text),
    }
}

/// What both begin with, what is this text's own, and what both end with.
fn own_part<'a>(text: &'a str, other: &str) -> (&'a str, &'a str, &'a str) {
    let head: usize = text.chars().zip(other.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    let (mine, theirs) = (&text[head..], &other[head..]);
    let tail: usize =
        mine.chars().rev().zip(theirs.chars().rev()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    (&text[..head], &mine[..mine.len() - tail], &mine[mine.len() - tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_parts() {
        for (text, other, expected) in [
            ("9+1+0=10", "9+2+0=11", ("9+", "1+0=10", "")),
            ("carry 101", "carry 11", ("carry 1", "0", "1")),
            ("aa", "a", ("a", "a", "")),
            ("für", "fär", ("f", "ü", "r")),
            ("x", "", ("", "x", "")),
        ] {
            assert_eq!(own_part(text, other), expected, "{text} against {other}");
        }
    }
}
