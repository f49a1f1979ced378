//! Importing a JSONL file: dropped or chosen, sent with progress; without JavaScript an ordinary form.

use crate::api::Failure;
use crate::{
    browser::{self, Chosen, Upload},
    components::{DropZone, Icon, Page, Problem, UploadBar, count, counted},
};
use domain::api::{ApiError, ImportReport};
use leptos::prelude::*;

const URL: &str = "/api/traces/import";
const BROKEN: &str =
    "The connection broke off. Lines that had arrived are kept; import the file again to add the rest.";

/// Where the import stands.
#[derive(Clone)]
enum Stand {
    Waiting,
    Sending { name: String, sent: f64, all: f64 },
    Done(ImportReport),
    Failed(Failure),
}

#[component]
pub fn ImportPage() -> impl IntoView {
    let stand = RwSignal::new(Stand::Waiting);
    let send = move |file: Chosen| {
        let name = file.name();
        stand.set(Stand::Sending { name: name.clone(), sent: 0.0, all: file.bytes() as f64 });
        browser::upload(URL, &[], &[file], BROKEN, move |news| match news {
            Upload::Sent(sent, all) => stand.set(Stand::Sending { name: name.clone(), sent, all }),
            Upload::Done(answer) => {
                let report = answer.and_then(|text| {
                    serde_json::from_str(&text)
                        .map_err(|e| ApiError::internal(format!("The server's answer cannot be read: {e}")))
                });
                stand.set(report.map_or_else(|error| Stand::Failed(Failure(error)), Stand::Done));
            }
        });
    };
    let on_files = move |files: Vec<Chosen>| {
        if let Some(file) = files.into_iter().next() {
            send(file);
        }
    };
    view! {
        <Page title="Import" trail=vec![("/traces", "Traces")]>
            <form method="post" action=URL enctype="multipart/form-data" class="stack reading">
                <DropZone
                    title="Drop a JSONL file here, or choose one"
                    hint="One trace, or one conversation (messages), a line. Good lines are kept; bad ones are listed with number and reason."
                    accept=".jsonl,.ndjson,.json,application/jsonl"
                    on_files
                />
                <div class="form-foot no-js"><button class="primary">"Import"</button></div>
            </form>
            <div class="reading stack" aria-live="polite">{move || view! { <Progress stand=stand.get()/> }}</div>
            <section class="reading stack">
                <h2>"What a line looks like"</h2>
                <pre class="code">{r#"{"trace_version":"1.0","prompt":"12 + 30 =","final_answer":"42","steps":[{"i":0,"type":"compute","content":"2 + 0 = 2"}],"meta":{"category":"arithmetic"}}"#}</pre>
            </section>
        </Page>
    }
}

#[component]
fn Progress(stand: Stand) -> impl IntoView {
    match stand {
        Stand::Waiting => ().into_any(),
        Stand::Sending { name, sent, all } => {
            view! { <div class="card"><UploadBar name sent all then="Reading the lines…"/></div> }.into_any()
        }
        Stand::Failed(failure) => view! { <Problem failure/> }.into_any(),
        Stand::Done(report) => view! { <Report report/> }.into_any(),
    }
}

#[component]
fn Report(report: ImportReport) -> impl IntoView {
    let first = report.problems.first().map(|p| format!(": line {}: {}", p.line, p.reason)).unwrap_or_default();
    let summary = format!("{} added, {} refused{first}", count(report.added), count(report.refused));
    let lines = report
        .problems
        .into_iter()
        .map(|p| view! { <tr><td class="num">{count(p.line)}</td><td class="reason">{p.reason}</td></tr> })
        .collect_view();
    let tone = if report.added > 0 { "notice good" } else { "notice bad" };
    let icon = if report.added > 0 { "circle-check" } else { "triangle-alert" };
    view! {
        <div class=tone>
            <Icon name=icon/>
            <div>
                <strong>{summary}</strong>
                <p class="row"><a href="/traces">"See the traces"</a><a href="/datasets/new">"Build a dataset"</a></p>
            </div>
        </div>
        {(report.refused > 0).then(|| view! {
            <div class="table-box">
                <table>
                    <caption>{counted(report.refused, "line refused", "lines refused")}{(report.refused > 100).then_some("; the first 100")}</caption>
                    <thead><tr><th class="num">"Line"</th><th>"Reason"</th></tr></thead>
                    <tbody>{lines}</tbody>
                </table>
            </div>
        })}
    }
}
