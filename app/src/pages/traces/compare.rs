//! Two traces side by side; `a` and `b` in the address are their ids.

use crate::{
    api::{Failure, traces_get},
    components::{Field, Load, Page, TraceBody},
};
use domain::{Trace, api::GetTrace};
use leptos::{either::Either, prelude::*};
use leptos_router::{components::Form, hooks::use_query_map};

async fn get(id: String) -> Result<Option<Trace>, Failure> {
    if id.is_empty() { Ok(None) } else { traces_get(GetTrace { id }).await.map(Some) }
}

#[component]
pub fn ComparePage() -> impl IntoView {
    let query = use_query_map();
    let asked = move |key: &'static str| query.read().get(key).map(|id| id.trim().to_owned()).unwrap_or_default();
    let a = Resource::new_blocking(move || asked("a"), get);
    let b = Resource::new_blocking(move || asked("b"), get);
    let first = query.read_untracked().get("a").unwrap_or_default();
    let second = query.read_untracked().get("b").unwrap_or_default();
    view! {
        <Page title="Compare" trail=vec![("/traces", "Traces")]>
            <Form method="GET" action="/traces/compare" attr:class="form">
                <Field label="First trace" name="a" value=first placeholder="Id of a trace"/>
                <Field label="Second trace" name="b" value=second placeholder="Id of a trace" hint="Or select two rows in the list and press Compare"/>
                <div class="form-foot compare-foot"><button class="primary">"Compare"</button></div>
            </Form>
            <div class="columns">
                <Load from=a let:trace><Side trace/></Load>
                <Load from=b let:trace><Side trace/></Load>
            </div>
        </Page>
    }
}

#[component]
fn Side(trace: Option<Trace>) -> impl IntoView {
    match trace {
        Some(trace) => Either::Left(view! {
            <article class="card">
                <header><a class="mono" href=format!("/traces/{}", trace.id)>{trace.id.short()}</a><span class="chip">{trace.source}</span></header>
                <TraceBody trace=trace.content/>
            </article>
        }),
        None => Either::Right(view! { <p class="card dim">"No trace chosen."</p> }),
    }
}
