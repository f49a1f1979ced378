//! Runs on the home page: under way, failed, finished.

use crate::components::{Icon, Sparkline, StateBadge, Time, count, duration, loss, margin, value};
use domain::{RunState, api::RunRow};
use leptos::prelude::*;

/// What runs now: progress, curve, time left.
#[component]
pub(super) fn Running(rows: Vec<RunRow>) -> impl IntoView {
    let cards = rows
        .into_iter()
        .map(|run| {
            let share = if run.steps > 0 { run.step as f64 / run.steps as f64 * 100.0 } else { 0.0 };
            let left = run.seconds_left.map(|s| format!("{} left", duration(s)));
            let note = match run.state {
                RunState::Queued => Some("Waits for a worker".to_owned()),
                RunState::Evaluating => Some("Answering the held-out items".to_owned()),
                _ => left,
            };
            view! {
                <li class="card live-card">
                    <header>
                        <a class="clip" data-row href=format!("/runs/{}", run.id)><b>{run.name.clone()}</b></a>
                        <StateBadge state=run.state/>
                    </header>
                    <div class="live-line">
                        <span class="big num">{run.loss.map_or_else(|| "–".to_owned(), loss)}<small class="dim">" loss"</small></span>
                        <span class="burning"><Sparkline values=run.sparkline/></span>
                    </div>
                    <div class="progress ember" role="progressbar" aria-label="Steps" aria-valuenow=run.step aria-valuemax=run.steps>
                        <i style:width=format!("{share:.1}%")></i>
                    </div>
                    <p class="row between dim">
                        <span class="num">{format!("{} / {} steps", count(run.step), count(run.steps))}</span>
                        <span>{note}</span>
                    </p>
                </li>
            }
        })
        .collect_view();
    view! { <section class="stack"><h2>"Running"</h2><ul class="cards">{cards}</ul></section> }
}

/// Failed runs, each with its reason.
#[component]
pub(super) fn NeedsYou(rows: Vec<RunRow>) -> impl IntoView {
    let items = rows
        .into_iter()
        .map(|run| {
            view! {
                <li class="notice bad">
                    <Icon name="triangle-alert"/>
                    <div>
                        <a data-row href=format!("/runs/{}", run.id)><b>{run.name}</b></a>" failed "
                        {run.finished_at.map(|at| view! { <Time at/> })}
                        <p>{run.reason.unwrap_or_else(|| "Its log says why.".to_owned())}</p>
                    </div>
                </li>
            }
        })
        .collect_view();
    view! { <section class="stack"><h2>"Needs you"</h2><ul class="stack tight">{items}</ul></section> }
}

/// The last finished runs; those after the last visit are marked.
#[component]
pub(super) fn Finished(rows: Vec<RunRow>, seen: RwSignal<Option<i64>>) -> impl IntoView {
    let rows = rows
        .into_iter()
        .map(|run| {
            let at = run.finished_at;
            let new = move || at.zip(seen.get()).is_some_and(|(at, seen)| at.0 > seen);
            view! {
                <tr>
                    <td class="fill"><a data-row href=format!("/runs/{}", run.id) title=run.name.clone()>{run.name.clone()}</a>{move || new().then(|| view! { " "<span class="badge good">"New"</span> })}</td>
                    <td><StateBadge state=run.state/></td>
                    <td class="name" title=run.dataset.to_string()>{run.dataset.to_string()}</td>
                    <td class="num">{run.strict.map_or_else(|| "–".to_owned(), |s| value(&s))}<small class="dim">{run.strict.map(|s| margin(&s))}</small></td>
                    <td class="num">{run.val_loss.or(run.loss).map_or_else(|| "–".to_owned(), loss)}</td>
                    <td>{at.map(|at| view! { <Time at/> })}</td>
                    <td>{(run.state == RunState::Done).then(|| view! { <a href=format!("/playground?run={}", run.id)>"Talk to it"</a> })}</td>
                </tr>
            }
        })
        .collect_view();
    view! {
        <section class="stack">
            <h2>"Finished"</h2>
            <div class="table-box">
                <table class="runs">
                    <thead><tr><th>"Run"</th><th>"State"</th><th>"Dataset"</th><th class="num">"Strict score"</th><th class="num">"Loss"</th><th>"When"</th><th></th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
}
