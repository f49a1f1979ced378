//! What a page shows when there is nothing, not yet, or an error.

use super::{Icon, bytes};
use crate::api::Failure;
use domain::api::ErrorKind;
use leptos::{either::Either, prelude::*};

/// Nothing here: what this is, why it is empty, and the one thing to do.
#[component]
pub fn Empty(icon: &'static str, #[prop(into)] title: String, children: Children) -> impl IntoView {
    view! {
        <div class="empty">
            <span class="empty-icon"><Icon name=icon/></span>
            <h2>{title}</h2>
            {children()}
        </div>
    }
}

/// A failure in plain words.
#[component]
pub fn Problem(failure: Failure) -> impl IntoView {
    let title = match failure.0.kind {
        ErrorKind::NotFound => "Not found",
        ErrorKind::Invalid => "This needs a correction",
        ErrorKind::Conflict => "This is in conflict with what is there",
        ErrorKind::Internal => "Something went wrong",
        ErrorKind::Unreachable => "The server cannot be reached",
    };
    view! {
        <div class="notice bad" role="alert">
            <Icon name="triangle-alert"/>
            <div>
                <strong>{title}</strong>
                <p>{failure.0.message}</p>
            </div>
        </div>
    }
}

/// How far an upload is.
#[component]
pub fn UploadBar(
    /// What is sent.
    name: String,
    /// Bytes sent, and all.
    sent: f64,
    all: f64,
    /// What the server does once all has arrived.
    then: &'static str,
) -> impl IntoView {
    let share = if all > 0.0 { sent / all * 100.0 } else { 0.0 };
    let words =
        if share >= 100.0 { then.to_owned() } else { format!("{} of {}", bytes(sent as u64), bytes(all as u64)) };
    view! {
        <div class="stack tight">
            <div class="row between"><b class="clip">{name}</b><span class="num dim">{words}</span></div>
            <div class="progress" role="progressbar" aria-label="Upload" aria-valuenow=share.round() aria-valuemax="100"><i style:width=format!("{share:.0}%")></i></div>
        </div>
    }
}

/// Shows what a resource brings, a skeleton until then (after 200 ms, by the style sheet), or its failure.
#[component]
pub fn Load<T, F, V>(from: Resource<Result<T, Failure>>, children: F) -> impl IntoView
where
    T: Clone + Send + Sync + 'static,
    F: Fn(T) -> V + Clone + Send + Sync + 'static,
    V: IntoView + 'static,
{
    view! {
        <Transition fallback=|| view! { <Skeleton/> }>
            {move || {
                let children = children.clone();
                Suspend::new(async move {
                    match from.await {
                        Ok(value) => Either::Left(children(value)),
                        Err(failure) => Either::Right(view! { <Problem failure/> }),
                    }
                })
            }}
        </Transition>
    }
}

#[component]
fn Skeleton() -> impl IntoView {
    view! {
        <div class="skeleton" aria-hidden="true">
            <i></i><i></i><i></i><i></i><i></i><i></i>
        </div>
    }
}
