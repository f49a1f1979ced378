//! The items of a split, each with the tokens the trainer sees and the mask of its loss.

use crate::{
    api::datasets_items,
    components::{Icon, Load, Pager, TraceBody, count, with_query},
};
use domain::{
    NewTrace, SplitName,
    api::{DatasetItem, ListDatasetItems},
    recipe::TokenizerKind,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use text::{layout, tokenizer, view};

/// Items on one page: each is written out whole.
const LIMIT: u32 = 20;

#[component]
pub(super) fn Items(
    #[prop(into)] dataset: Signal<String>,
    /// Items of train, val and test.
    sizes: [u32; 3],
) -> impl IntoView {
    let query = use_query_map();
    let split =
        Memo::new(move |_| query.read().get("split").filter(|s| !s.is_empty()).unwrap_or_else(|| "train".to_owned()));
    let offset = move || query.read().get("offset").and_then(|n| n.parse().ok()).unwrap_or(0);
    let items = Resource::new(
        move || ListDatasetItems { dataset: dataset.get(), split: split.get(), offset: offset(), limit: LIMIT },
        datasets_items,
    );
    let tabs = SplitName::ALL
        .into_iter()
        .zip(sizes)
        .map(|(name, size)| {
            let here = move || (split.get() == name.key()).then_some("page");
            view! { <a href=move || format!("/datasets/{}?split={name}", dataset.get()) aria-current=here data-noscroll>{name.key()}<small class="num">{count(size.into())}</small></a> }
        })
        .collect_view();
    view! {
        <section class="stack" aria-labelledby="items-title">
            <h2 id="items-title">"Items"</h2>
            <nav class="tabs" aria-label="Splits">{tabs}</nav>
            <Load from=items let:page>
                <ol class="items" start=page.offset + 1>{page.rows.into_iter().map(|item| view! { <Item item/> }).collect_view()}</ol>
                {
                    let path = format!("/datasets/{}", dataset.get_untracked());
                    let link = move |offset: u64| with_query(&path, &query.read_untracked(), &[("offset", &offset.to_string())]);
                    view! { <Pager offset=page.offset limit=page.limit total=page.total link stay=true/> }
                }
            </Load>
        </section>
    }
}

#[component]
fn Item(item: DatasetItem) -> impl IntoView {
    let trace = item.trace.clone();
    view! {
        <li>
            <details class="item">
                <summary data-row><Icon name="chevron-right"/><span class="num dim">{item.index + 1}</span><span class="clip">{item.trace.prompt.clone()}</span><span class="mono clip item-answer">{item.trace.final_answer.clone()}</span></summary>
                <div class="item-body columns">
                    <TraceBody trace=item.trace/>
                    <div class="stack tight"><span class="label">"As the model reads it"</span><Tokens trace/></div>
                </div>
            </details>
        </li>
    }
}

/// The trainer's own layout and mask, by a character tokenizer of this one text.
#[component]
fn Tokens(trace: NewTrace) -> impl IntoView {
    let tokens =
        tokenizer::train(TokenizerKind::Char, None, [layout::full_text(&trace)]).and_then(|t| view::tokens(&t, &trace));
    match tokens {
        Err(why) => view! { <p class="dim">{format!("This text cannot be cut into tokens: {why}")}</p> }.into_any(),
        Ok(tokens) => {
            let (all, trained) = (tokens.len(), tokens.iter().filter(|t| t.trains).count());
            // Neighbours with the same mask are one piece: a thousand spans an item would be slow.
            let mut pieces: Vec<(bool, String)> = Vec::new();
            for token in tokens {
                match pieces.last_mut() {
                    Some((trains, text)) if *trains == token.trains => text.push_str(&token.text),
                    _ => pieces.push((token.trains, token.text)),
                }
            }
            let pieces = pieces
                .into_iter()
                .map(|(trains, text)| {
                    if trains {
                        view! { <mark>{text}</mark> }.into_any()
                    } else {
                        view! { <span>{text}</span> }.into_any()
                    }
                })
                .collect_view();
            view! {
                <pre class="tokens">{pieces}</pre>
                <p class="dim"><mark>"Marked"</mark>{format!(" is what the loss falls on: {trained} of {all} character tokens.")}</p>
            }.into_any()
        }
    }
}
