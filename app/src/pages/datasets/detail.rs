//! One dataset: its figures, lengths, what it was made from, and its items.

use super::items::Items;
use crate::{
    api::datasets_get,
    components::{CopyButton, Icon, Load, Page, Time, count},
};
use domain::{
    api::GetDataset,
    dataset::{Count, Dataset, DatasetStats, Selection},
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;

#[component]
pub fn DatasetPage() -> impl IntoView {
    let params = use_params_map();
    let name = Memo::new(move |_| params.read().get("dataset").unwrap_or_default());
    let dataset = Resource::new_blocking(move || name.get(), |dataset| datasets_get(GetDataset { dataset }));
    let action = move || {
        view! { <a class="button primary" href=move || format!("/runs/new?dataset={}", name.get())><Icon name="play"/>"Train on this"</a> }
    };
    view! {
        <Page title=name trail=vec![("/datasets", "Datasets")] action>
            <Load from=dataset let:dataset>
                {
                    let sizes = [dataset.stats.train, dataset.stats.val, dataset.stats.test];
                    view! { <Overview dataset/><Items dataset=name sizes/> }
                }
            </Load>
        </Page>
    }
}

#[component]
fn Overview(dataset: Dataset) -> impl IntoView {
    let s = dataset.stats.clone();
    view! {
        <dl class="figures">
            <div><dt>"Traces"</dt><dd>{count(s.traces.into())}</dd></div>
            <div><dt>"Train"</dt><dd>{count(s.train.into())}</dd></div>
            <div><dt>"Val"</dt><dd>{count(s.val.into())}</dd></div>
            <div><dt>"Test"</dt><dd>{count(s.test.into())}</dd></div>
            <div><dt>"Steps, mean"</dt><dd>{format!("{:.1}", s.mean_steps)}<small>{format!(" {}–{}", s.min_steps, s.max_steps)}</small></dd></div>
            <div><dt>"Characters, mean"</dt><dd>{format!("{:.0}", s.mean_characters)}<small>{format!(" up to {}", count(s.max_characters.into()))}</small></dd></div>
        </dl>
        <div class="columns">
            <section class="card">
                <header><h2>"Lengths"</h2><span class="dim">"in character tokens"</span></header>
                <Histogram stats=s.clone()/>
            </section>
            <section class="card stack">
                <h2>"What it holds"</h2>
                <Counts title="Families" counts=s.families/>
                <Counts title="Categories" counts=s.categories/>
            </section>
            <section class="card stack">
                <h2>"What it was made from"</h2>
                <Origin dataset/>
            </section>
        </div>
    }
}

#[component]
fn Histogram(stats: DatasetStats) -> impl IntoView {
    let most = stats.length_histogram.iter().copied().max().unwrap_or(0).max(1);
    let width = f64::from(stats.max_characters) / stats.length_histogram.len().max(1) as f64;
    let bars = stats
        .length_histogram
        .iter()
        .enumerate()
        .map(|(bin, &n)| {
            let height = f64::from(n) / f64::from(most) * 100.0;
            let words = format!("{:.0}–{:.0}: {n}", bin as f64 * width, (bin + 1) as f64 * width);
            view! {
                <rect x=bin * 20 + 1 y=format!("{:.2}", 100.0 - height) width="18" height=format!("{height:.2}") rx="1"><title>{words}</title></rect>
            }
        })
        .collect_view();
    let box_size = format!("0 0 {} 100", stats.length_histogram.len() * 20);
    let label = format!("Histogram of lengths from 0 to {} tokens", stats.max_characters);
    view! {
        <svg class="histogram" viewBox=box_size preserveAspectRatio="none" role="img" aria-label=label>{bars}</svg>
        <p class="row between dim num"><span>"0"</span><span>{count(stats.max_characters.into())}</span></p>
    }
}

#[component]
fn Counts(title: &'static str, counts: Vec<Count>) -> impl IntoView {
    let all = counts.iter().map(|c| c.count).sum::<u32>().max(1);
    (!counts.is_empty()).then(|| {
        let lines = counts
            .into_iter()
            .map(|c| {
                let share = f64::from(c.count) / f64::from(all) * 100.0;
                view! {
                    <li class="share">
                        <span class="clip" title=c.value.clone()>{c.value.clone()}</span>
                        <span class="share-bar"><i style:width=format!("{share:.1}%")></i></span>
                        <span class="num">{count(c.count.into())}</span>
                    </li>
                }
            })
            .collect_view();
        view! { <div class="stack tight"><h3 class="label">{title}</h3><ul>{lines}</ul></div> }
    })
}

#[component]
fn Origin(dataset: Dataset) -> impl IntoView {
    let f = dataset.filter;
    let wanted = [
        ("Family", f.family.map(|f| f.key().to_owned())),
        ("Source", f.source),
        ("Category", f.category),
        ("Search", f.search),
    ];
    let wanted = wanted
        .into_iter()
        .filter_map(|(key, value)| value.map(|value| view! { <dt>{key}</dt><dd>{value}</dd> }))
        .collect_view();
    let selection = match dataset.selection {
        Selection::Latest => "Newest first",
        Selection::Random => "Random",
    };
    let limit = dataset.limit.map_or_else(|| "all that match".to_owned(), |n| format!("at most {}", count(n.into())));
    view! {
        <dl class="pairs">
            <dt>"Hash"</dt><dd class="one-line"><code class="clip" title=dataset.content_hash.clone()>{dataset.content_hash.clone()}</code><CopyButton text=dataset.content_hash label="Copy hash"/></dd>
            {wanted}
            <dt>"Selection"</dt><dd>{format!("{selection}, {limit}")}</dd>
            <dt>"Split"</dt><dd class="num">{dataset.split.to_string()}</dd>
            <dt>"Seed"</dt><dd class="num">{dataset.seed}</dd>
            <dt>"Doubles"</dt><dd>{format!("{} left out", count(dataset.stats.duplicates_removed.into()))}</dd>
            <dt>"Built"</dt><dd><Time at=dataset.created_at/></dd>
        </dl>
    }
}
