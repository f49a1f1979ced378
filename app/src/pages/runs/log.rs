//! A run's log: follows its end unless the person scrolls away; can be searched.

use super::live::{Live, MOST_LINES};
use crate::components::{Icon, counted};
use domain::event::{LogLine, LogStream};
use leptos::{html, prelude::*};

#[component]
pub(super) fn Log(live: Live) -> impl IntoView {
    let node = NodeRef::<html::Pre>::new();
    let following = RwSignal::new(true);
    let search = RwSignal::new(String::new());
    Effect::new(move |_| {
        live.log.track();
        if following.get()
            && let Some(pre) = node.get()
        {
            pre.set_scroll_top(pre.scroll_height());
        }
    });
    let scrolled = move |_| {
        if let Some(pre) = node.get_untracked() {
            following.set(pre.scroll_height() - pre.scroll_top() - pre.client_height() < 24);
        }
    };
    let shown = move || {
        let wanted = search.get().to_lowercase();
        let lines = live.log.get().into_iter();
        lines.filter(|l| wanted.is_empty() || l.chunk.to_lowercase().contains(&wanted)).collect::<Vec<LogLine>>()
    };
    let line = |line: LogLine| {
        let class = match line.stream {
            LogStream::Stdout => "out",
            LogStream::Stderr => "err",
            LogStream::System => "system",
        };
        view! { <span class=class>{line.chunk}{(!line.continued).then_some("\n")}</span> }
    };
    let id = live.detail.with_untracked(|d| d.row.id.to_string());
    let whole = format!("/api/runs/{id}/log");
    view! {
        <section class="card stack" aria-labelledby="log-title">
            <header class="row between">
                <h2 id="log-title">"Log"</h2>
                <div class="row">
                    <span class="dim">{move || counted(live.log.with(Vec::len) as u64, "line", "lines")}{move || live.log.with(|log| log.len() >= MOST_LINES).then_some(", the last ones")}</span>
                    <input type="search" class="log-search needs-js" placeholder="Search the log" aria-label="Search the log" on:input=move |ev| search.set(event_target_value(&ev))/>
                    <a class="button small" href=whole download=format!("run-{id}.log")><Icon name="download"/>"Whole log"</a>
                    <Show when=move || !following.get()><button type="button" class="button small" on:click=move |_| following.set(true)><Icon name="arrow-right"/>"Follow"</button></Show>
                </div>
            </header>
            <pre class="log" role="log" aria-live="off" node_ref=node tabindex="0" aria-label="Log lines" on:scroll=scrolled>
                <For each=shown key=|l| l.seq children=line/>
            </pre>
        </section>
    }
}
