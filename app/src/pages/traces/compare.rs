//! Two traces side by side, with what differs marked; `a` and `b` in the address are their ids. While one is missing, the
//! list offers it.

use super::{choose::Chooser, list::asked};
use crate::{
    api::{Failure, traces_get},
    components::{Icon, Load, Page, TraceBody},
};
use domain::{NewTrace, Trace, api::GetTrace};
use leptos::{either::Either, prelude::*};
use leptos_router::hooks::use_query_map;

async fn get(id: String) -> Result<Option<Trace>, Failure> {
    if id.is_empty() { Ok(None) } else { traces_get(GetTrace { id }).await.map(Some) }
}

#[component]
pub fn ComparePage() -> impl IntoView {
    let query = use_query_map();
    let id = move |key: &'static str| query.read().get(key).map(|id| id.trim().to_owned()).unwrap_or_default();
    let both = Resource::new_blocking(
        move || (id("a"), id("b")),
        |(a, b)| async move { Ok::<_, Failure>((get(a).await?, get(b).await?)) },
    );
    let swap = move || {
        let (a, b) = (id("a"), id("b"));
        (!a.is_empty() && !b.is_empty()).then(|| view! { <a class="button" href=format!("/traces/compare?a={b}&b={a}")><Icon name="columns-2"/>"Swap"</a> })
    };
    view! {
        <Page title="Compare" trail=vec![("/traces", "Traces")] action=swap>
            <Load from=both let:both>
                {match both {
                    (Some(a), Some(b)) => Either::Left(view! { <Both a b/> }),
                    (a, b) => Either::Right(view! { <Half known=a.or(b)/> }),
                }}
            </Load>
        </Page>
    }
}

#[component]
fn Both(a: Trace, b: Trace) -> impl IntoView {
    let differences = differing(&a.content, &b.content);
    let words = match differences {
        0 => "The same prompt, steps and answer.".to_owned(),
        1 => "They differ in 1 place, marked below.".to_owned(),
        n => format!("They differ in {n} places, marked below."),
    };
    view! {
        <p class="dim" role="status">{words}</p>
        <div class="columns compare">
            <Side trace=a.clone() against=b.content.clone()/>
            <Side trace=b against=a.content/>
        </div>
    }
}

/// How many of prompt, answer, earlier turns and steps (by place) are not the same in both.
fn differing(a: &NewTrace, b: &NewTrace) -> usize {
    let turns = (0..a.history.len().max(b.history.len())).filter(|&i| a.history.get(i) != b.history.get(i));
    let most = a.steps.len().max(b.steps.len());
    let steps = (0..most).filter(|&i| {
        let of = |trace: &NewTrace| trace.steps.get(i).map(|step| (step.kind.clone(), step.content.clone()));
        of(a) != of(b)
    });
    usize::from(a.prompt != b.prompt) + usize::from(a.final_answer != b.final_answer) + turns.count() + steps.count()
}

#[component]
fn Side(trace: Trace, against: NewTrace) -> impl IntoView {
    view! {
        <article class="card">
            <header><a class="mono" href=format!("/traces/{}", trace.id)>{trace.id.short()}</a><span class="chip" title=trace.source.clone()>{trace.source.clone()}</span></header>
            <TraceBody trace=trace.content against/>
        </article>
    }
}

/// One trace, or none, and a list to choose the other from.
#[component]
fn Half(known: Option<Trace>) -> impl IntoView {
    let id = known.as_ref().map(|trace| trace.id.to_string()).unwrap_or_default();
    view! {
        <div class="columns">
            {known.map(|trace| view! {
                <article class="card">
                    <header><a class="mono" href=format!("/traces/{}", trace.id)>{trace.id.short()}</a><span class="chip" title=trace.source.clone()>{trace.source.clone()}</span></header>
                    <TraceBody trace=trace.content/>
                </article>
            })}
            <Chooser known=id asked=asked(&use_query_map().read_untracked())/>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Role, Turn, trace::Step};

    #[test]
    fn places_that_differ() {
        let trace = |prompt: &str, steps: &[&str]| NewTrace {
            trace_version: "1.0".to_owned(),
            history: Vec::new(),
            prompt: prompt.to_owned(),
            final_answer: "1".to_owned(),
            steps: (0..)
                .zip(steps)
                .map(|(i, s)| Step { i, kind: "think".to_owned(), content: (*s).to_owned() })
                .collect(),
            meta: None,
        };
        let turn = |role, content: &str| Turn { role, content: content.to_owned() };
        let history = vec![turn(Role::User, "u"), turn(Role::Assistant, "v")];
        let after = NewTrace { history, ..trace("p", &["x"]) };
        for (a, b, expected) in [
            (after, trace("p", &["x"]), 2),
            (trace("p", &["x"]), trace("p", &["x"]), 0),
            (trace("p", &["x"]), trace("q", &["y"]), 2),
            (trace("p", &["x", "y"]), trace("p", &["x"]), 1),
        ] {
            assert_eq!(differing(&a, &b), expected);
        }
    }
}
