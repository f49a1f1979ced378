//! The conversation: a prompt, tokens as they arrive, each with its probability and rivals.

use super::session::{Begun, End, Exchange, Phase, Session};
use crate::components::{CopyButton, Icon, count, counted};
use domain::{GenerateSpec, TaskFamily, preview::PreviewToken};
use leptos::prelude::*;

/// Prompts that the family's generator gives for a seed no recipe uses.
fn examples(family: &str) -> Vec<String> {
    let families: Vec<TaskFamily> = match family.parse() {
        Ok(family) => vec![family],
        Err(_) => TaskFamily::ALL.to_vec(),
    };
    let each = if families.len() == 1 { 4 } else { 2 };
    families
        .into_iter()
        .flat_map(|family| tasks::generate(&GenerateSpec { family, count: each, seed: 90_210, difficulty: None }))
        .map(|trace| trace.prompt)
        .collect()
}

#[component]
pub(super) fn Talk(session: Session, family: String) -> impl IntoView {
    let prompt = RwSignal::new(String::new());
    let ready = move || matches!(session.phase.get(), Phase::Ready(_));
    let ask = move || {
        let text = prompt.get_untracked();
        if !text.trim().is_empty()
            && matches!(session.phase.get_untracked(), Phase::Ready(_))
            && !untrack(|| session.busy())
        {
            session.ask(text);
            prompt.set(String::new());
        }
    };
    let on_key = move |ev: leptos::ev::KeyboardEvent| {
        if ev.key() == "Enter" && !ev.shift_key() {
            ev.prevent_default();
            ask();
        }
        // As in a shell.
        if ev.key() == "ArrowUp"
            && prompt.with_untracked(String::is_empty)
            && let Some(last) = session.exchanges.with_untracked(|all| all.last().copied())
        {
            ev.prevent_default();
            prompt.set(last.prompt.get_value());
        }
    };
    let no_more = move || session.exchanges.with(Vec::is_empty) || session.busy();
    let chips = examples(&family)
        .into_iter()
        .map(|text| {
            let shown = text.clone();
            view! { <button type="button" class="chip example" title=shown.clone() on:click=move |_| prompt.set(text.clone())>{shown.clone()}</button> }
        })
        .collect_view();
    view! {
        <section class="talk stack">
            <ol class="turns">
                <For each=move || session.exchanges.get() key=|exchange| exchange.id let:exchange><li><ExchangeView exchange/></li></For>
            </ol>
            <form class="ask" on:submit=move |ev| { ev.prevent_default(); ask(); }>
                <label class="visually-hidden" for="prompt">"Prompt"</label>
                <textarea id="prompt" rows="2" placeholder="12 + 30 =" prop:value=prompt on:input=move |ev| prompt.set(event_target_value(&ev)) on:keydown=on_key></textarea>
                <div class="row between">
                    <span class="dim">{move || if ready() { "Enter sends, Shift+Enter breaks the line, ↑ recalls" } else { "Load the model to ask it" }}</span>
                    <div class="row">
                    <button type="button" class="ghost" hidden=no_more on:click=move |_| session.begin_anew()><Icon name="rotate-ccw"/>"New conversation"</button>
                    {move || if session.busy() {
                        view! { <button type="button" class="button" on:click=move |_| session.stop()><Icon name="square"/>"Stop"</button> }.into_any()
                    } else {
                        view! { <button class="primary" disabled=move || !ready()><Icon name="arrow-right"/>"Ask"</button> }.into_any()
                    }}
                    </div>
                </div>
            </form>
            <div class="row examples"><span class="label">"Try"</span>{chips}</div>
        </section>
    }
}

#[component]
fn ExchangeView(exchange: Exchange) -> impl IntoView {
    let looked_at = RwSignal::new(None::<usize>);
    let end = move || {
        exchange.end.get().map(|end| match end {
            End::Finished { finish, tokens, tokens_per_sec } => {
                let why = if finish == "stop" {
                    ""
                } else if finish == "length" {
                    " · cut at the longest answer"
                } else {
                    " · stopped"
                };
                let read = exchange.begun.get_untracked().map(read);
                view! {
                    <p class="row turn-foot dim"><CopyButton text=Signal::derive(move || exchange.text()) label="Copy answer"/>
                        <span><span class="num">{format!("{tokens} tokens · {tokens_per_sec:.0} tokens/s{why}")}</span>{read}" · point at a token for its probability"</span></p>
                }
                .into_any()
            }
            End::Failed(why) => view! { <p class="bad-text" role="alert">{why}</p> }.into_any(),
        })
    };
    // One stop for the Tab key, arrows inside: an answer has hundreds of tokens.
    let walk = move |ev: leptos::ev::KeyboardEvent| {
        let last = exchange.tokens.with_untracked(Vec::len).saturating_sub(1);
        let here = looked_at.get_untracked();
        let next = match ev.key().as_str() {
            "ArrowRight" => here.map_or(0, |at| (at + 1).min(last)),
            "ArrowLeft" => here.map_or(last, |at| at.saturating_sub(1)),
            "Home" => 0,
            "End" => last,
            _ => return,
        };
        ev.prevent_default();
        looked_at.set(Some(next));
    };
    let seen = move || looked_at.get().and_then(|at| exchange.tokens.with(|tokens| tokens.get(at).cloned()));
    let whole = move || exchange.end.get().map(|_| exchange.text());
    view! {
        <article class="turn">
            <pre class="said">{exchange.prompt.get_value()}</pre>
            <div class="answer-box">
                <pre class="wrote" tabindex="0" role="group" aria-label="What the model wrote. Arrow keys read each token's probability and rivals."
                    class:arriving=move || exchange.end.get().is_none() on:mouseleave=move |_| looked_at.set(None) on:blur=move |_| looked_at.set(None) on:keydown=walk>
                    <For each=move || exchange.tokens.get().into_iter().enumerate() key=|(at, _)| *at let:entry>
                        {
                            let (at, token) = entry;
                            view! { <span class="token" class:looked=move || looked_at.get() == Some(at) style=("--sure", format!("{:.2}", token.probability)) on:mouseenter=move |_| looked_at.set(Some(at))>{token.text}</span> }
                        }
                    </For>
                </pre>
                // Floats below, so that nothing moves under the pointer.
                <div class="rivals" aria-live="polite">{move || seen().map(|token| view! { <Rivals token/> })}</div>
            </div>
            // Said once, when it is whole: token by token nobody could follow.
            <p class="visually-hidden" role="status">{whole}</p>
            {end}
        </article>
    }
}

/// How much of its context the model had before it wrote.
fn read(Begun { read, context, left_out }: Begun) -> String {
    let fit = match left_out {
        0 => String::new(),
        n => format!(", {} did not fit", counted(u64::from(n), "earlier turn", "earlier turns")),
    };
    format!(" · after {} of {} tokens{fit}", count(read.into()), count(context.into()))
}

#[component]
fn Rivals(token: PreviewToken) -> impl IntoView {
    let bars = token
        .rivals
        .into_iter()
        .map(|rival| {
            let share = rival.probability * 100.0;
            view! {
                <li class="share"><code>{visible(&rival.text)}</code><span class="share-bar"><i style:width=format!("{share:.1}%")></i></span><span class="num">{format!("{share:.1} %")}</span></li>
            }
        })
        .collect_view();
    view! {
        <p><code>{visible(&token.text)}</code>" "<span class="num">{format!("{:.1} %", token.probability * 100.0)}</span></p>
        <ul>{bars}</ul>
    }
}

/// Spaces and line breaks so that they can be seen.
fn visible(text: &str) -> String {
    text.replace(' ', "␣").replace('\n', "⏎")
}
