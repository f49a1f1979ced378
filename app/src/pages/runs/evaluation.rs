//! A run's evaluation, read like an exam paper: prompt, expected, what the model wrote with its answer marked, verdict.

use crate::{
    api::{Failure, evaluations_get, runs_get},
    components::{CrumbName, Empty, Icon, Load, Page, Pager, count, margin, speaker, value, with_query},
};
use domain::{
    Prediction, Score, Turn,
    api::{EvaluationDetail, GetEvaluation, GetRun},
};
use leptos::{either::Either, ev, prelude::*};
use leptos_router::{
    NavigateOptions,
    hooks::{use_navigate, use_params_map, use_query_map},
};

/// Predictions on a page.
const LIMIT: u32 = 50;

#[component]
pub fn EvaluationPage() -> impl IntoView {
    let (params, query) = (use_params_map(), use_query_map());
    let run = Memo::new(move |_| params.read().get("id").unwrap_or_default());
    let only = Memo::new(move |_| query.read().get("only").unwrap_or_default());
    let asked = move || GetEvaluation {
        run: run.get(),
        only: only.get(),
        offset: query.read().get("offset").and_then(|o| o.parse().ok()).unwrap_or(0),
        limit: LIMIT,
    };
    let detail = Resource::new_blocking(asked, |request: GetEvaluation| async move {
        let run = runs_get(GetRun { id: request.run.clone() }).await?;
        Ok::<_, Failure>((run.row.name, evaluations_get(request).await?))
    });
    let under = move || {
        let href = format!("/runs/{}", run.get_untracked());
        let crumb = async move { detail.await.ok().map(|(name, _)| view! { <CrumbName href name/> }) };
        view! { <Transition>{Suspend::new(crumb)}</Transition> }
    };
    let here = move || format!("/runs/{}/evaluation", run.get());
    let navigate = use_navigate();
    Effect::new(move |_| {
        let navigate = navigate.clone();
        let handle = window_event_listener(ev::keydown, move |key| {
            if key.key() == "f" && !crate::browser::is_typing(&key) && !key.ctrl_key() && !key.meta_key() {
                let next = if only.get_untracked() == "wrong" { "" } else { "?only=wrong" };
                let options = NavigateOptions { scroll: false, ..Default::default() };
                navigate(&format!("/runs/{}/evaluation{next}", run.get_untracked()), options);
            }
        });
        on_cleanup(move || handle.remove());
    });
    let tab = move |key: &'static str, words: &'static str, n: u32| {
        view! { <a data-noscroll href=move || with_query(&here(), &query.read(), &[("only", key), ("offset", "")]) aria-current=move || (only.get() == key).then_some("page")>{words}<small class="num">{count(n.into())}</small></a> }
    };
    view! {
        <Page title="Evaluation" trail=vec![("/runs", "Runs")] under>
            <Load from=detail let:found>
                {
                    let (_, detail) = found;
                    if detail.evaluation.items == 0 {
                        return Either::Left(view! { <Empty icon="gauge" title="Not evaluated yet"><p>"When training ends, the model answers every held-out item of the test split. They will stand here, one by one."</p></Empty> })
                    }
                    let offset = query.read_untracked().get("offset").and_then(|o| o.parse().ok()).unwrap_or(0);
                    let link = move |offset: u64| with_query(&here(), &query.read_untracked(), &[("offset", &offset.to_string())]);
                    let total = u64::from(detail.matching);
                    let items = detail.predictions.clone();
                    let all = detail.evaluation.strict.n;
                    let right = (detail.evaluation.strict.value * f64::from(all)).round() as u32;
                    Either::Right(view! {
                        <Scores detail/>
                        <div class="row between exam-head">
                            <nav class="tabs" aria-label="Filter">{tab("", "All", all)}{tab("wrong", "Wrong", all - right.min(all))}{tab("right", "Right", right)}</nav>
                            <p class="dim"><kbd>"j"</kbd>" "<kbd>"k"</kbd>" next and previous · "<kbd>"f"</kbd>" wrong only"</p>
                        </div>
                        {items.is_empty().then(|| view! { <p class="dim">"None."</p> })}
                        <ol class="exam">{items.into_iter().map(|p| view! { <Item p/> }).collect_view()}</ol>
                        <Pager offset limit=LIMIT total link/>
                    })
                }
            </Load>
        </Page>
    }
}

#[component]
fn Scores(detail: EvaluationDetail) -> impl IntoView {
    let e = detail.evaluation;
    view! {
        <dl class="figures">
            <div><dt>"Strict"</dt><dd>{value(&e.strict)}<small class="num">{margin(&e.strict)}</small><Interval of=e.strict/></dd></div>
            <div><dt>"Flexible"</dt><dd>{value(&e.flexible)}<small class="num">{margin(&e.flexible)}</small><Interval of=e.flexible/></dd></div>
            <div><dt>"Items"</dt><dd>{count(e.strict.n.into())}<small>{(!e.complete).then(|| format!(" of {}, unfinished", count(e.items.into())))}</small></dd></div>
            <div><dt>"Dataset"</dt><dd class="named"><a class="clip" href=format!("/datasets/{}", e.dataset) title=e.dataset.to_string()>{e.dataset.to_string()}</a><p class="dim">"test split, extractor "{e.extractor}</p></dd></div>
        </dl>
    }
}

/// A score and its 95 % interval from 0 to 1, as a picture.
#[component]
pub(crate) fn Interval(of: Score) -> impl IntoView {
    let percent = |v: f64| format!("{:.1}%", v * 100.0);
    let words = format!("95 % interval {:.3} to {:.3}", of.low, of.high);
    view! {
        <div class="interval" role="img" aria-label=words.clone() title=words>
            <i style:left=percent(of.low) style:width=percent(of.high - of.low)></i>
            <b style:left=percent(of.value)></b>
        </div>
    }
}

#[component]
fn Item(p: Prediction) -> impl IntoView {
    let (tone, icon, word) = match (p.verdict.strict, p.verdict.flexible) {
        (true, _) => ("good", "circle-check", "Right"),
        (false, true) => ("warn", "info", "Right but for its form"),
        _ => ("bad", "circle-x", "Wrong"),
    };
    let turn = |turn: Turn| view! { <h3>{speaker(turn.role)}</h3><pre>{turn.content}</pre> };
    let earlier = p.history.into_iter().map(turn).collect_view();
    let text = p.generated;
    let marked = p
        .verdict
        .extracted
        .filter(|e| text.is_char_boundary(e.start) && text.is_char_boundary(e.end) && e.start <= e.end);
    let written = match marked {
        Some(e) => Either::Left(
            view! { {text[..e.start].to_owned()}<mark>{text[e.start..e.end].to_owned()}</mark>{text[e.end..].to_owned()} },
        ),
        None => Either::Right(view! { {text} <em class="dim">" (no answer found)"</em> }),
    };
    view! {
        <li class="card exam-item" data-row tabindex="0">
            <header><span class="dim num">{p.item + 1}</span><span class=format!("badge {tone}")><Icon name=icon/>{word}</span><span class="dim">{p.category}</span>{(p.finish == "length").then(|| view! { <span class="badge warn"><Icon name="triangle-alert"/><span title="It reached evaluation.max_new_tokens">"Cut off"</span></span> })}</header>
            <div class="exam-parts">
                <div>{earlier}<h3>"Prompt"</h3><pre>{p.prompt}</pre></div>
                <div><h3>"Expected"</h3><pre>{p.expected}</pre></div>
                <div><h3>"The model wrote"</h3><pre>{written}</pre></div>
            </div>
        </li>
    }
}
