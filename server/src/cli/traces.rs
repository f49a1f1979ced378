//! `anneal traces`: import, generate, list, show.

use super::{
    out::{Out, file_error},
    table::{ago, facts, short, table},
};
use clap::Subcommand;
use client::Client;
use domain::{
    GenerateSpec, TaskFamily, Trace,
    api::{ApiError, GenerateTraces, GetTrace, ImportReport, ListTraces, Page},
    trace::TraceSummary,
};
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::{io::Write, path::PathBuf};
use tokio_util::io::ReaderStream;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add the traces of a JSONL file; bad lines are reported, good ones kept
    ///
    /// A line is a trace, or a conversation as OpenAI and TRL write it ({"messages": [{"role": …, "content": …}, …]}) whose last
    /// answer shows its reasoning; docs/TRACES.md says more.
    Import { file: PathBuf },
    /// Make traces by a task family
    Generate(Generate),
    /// List traces, newest first
    List(List),
    /// Show one trace
    Show { id: String },
}

#[derive(Debug, clap::Args)]
pub(super) struct Generate {
    /// addition, sorting or high_card_duel
    #[arg(long)]
    family: String,
    /// How many
    #[arg(short = 'n', long, default_value_t = 1_000)]
    count: u32,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// 1 (easiest) to 5; without it the family's default mix
    #[arg(long)]
    difficulty: Option<u8>,
    /// Write JSONL here, without a server
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Words that prompt or answer must contain
    #[arg(long, default_value = "")]
    search: String,
    #[arg(long, default_value = "")]
    source: String,
    #[arg(long, default_value = "")]
    family: String,
    #[arg(long, default_value = "")]
    category: String,
    #[arg(long, default_value_t = 0)]
    offset: u64,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: u32,
}

pub(super) async fn run(
    command: Command,
    client: impl Fn() -> Result<Client, ApiError>,
    out: Out,
) -> Result<(), ApiError> {
    match command {
        Command::Import { file } => import(&file, &client()?, out).await,
        Command::Generate(what) => match what.output.clone() {
            Some(file) => write(&what, &file, out),
            None => {
                let Generate { family, count, seed, difficulty, .. } = what;
                let request = GenerateTraces { family, count, seed, difficulty: difficulty.unwrap_or(0) };
                out.show(&client()?.call(&request).await?, report)
            }
        },
        Command::List(List { search, source, family, category, offset, limit }) => {
            let request = ListTraces { search, source, family, category, offset, limit };
            out.show(&client()?.call(&request).await?, list)
        }
        Command::Show { id } => out.show(&client()?.call(&GetTrace { id }).await?, trace),
    }
}

async fn import(path: &std::path::Path, client: &Client, out: Out) -> Result<(), ApiError> {
    let file = tokio::fs::File::open(path).await.map_err(|e| file_error(path, &e))?;
    let about = file.metadata().await.map_err(|e| file_error(path, &e))?;
    if about.is_dir() {
        return Err(ApiError::field(path.display().to_string(), "it is a folder; name a JSONL file"));
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let bar = if out.json { ProgressBar::hidden() } else { ProgressBar::new(about.len()) };
    let style = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let progress = bar.clone();
    let stream = ReaderStream::with_capacity(file, 256 << 10).boxed();
    let answer = client.import(stream, &name, move |sent| progress.set_position(sent)).await;
    bar.finish_and_clear();
    out.show(&answer?, report)
}

fn report(report: &ImportReport) -> String {
    let mut text = format!("{} added, {} refused", report.added, report.refused);
    for problem in &report.problems {
        text += &format!("\n  line {}: {}", problem.line, problem.reason);
    }
    let more = report.refused.saturating_sub(report.problems.len() as u64);
    if more > 0 {
        text += &format!("\n  and {more} more");
    }
    text
}

#[derive(Serialize)]
struct Written<'a> {
    added: u32,
    file: &'a std::path::Path,
}

/// Generates into a file: nothing but the family's code is needed.
fn write(what: &Generate, path: &std::path::Path, out: Out) -> Result<(), ApiError> {
    let family: TaskFamily = what.family.parse().map_err(|e| ApiError::field("family", format!("{e}")))?;
    if !(1..=1_000_000).contains(&what.count) {
        return Err(ApiError::field("count", "must be 1 to 1,000,000"));
    }
    if what.difficulty.is_some_and(|level| !(1..=tasks::HARDEST).contains(&level)) {
        return Err(ApiError::field("difficulty", format!("must be 1 to {}", tasks::HARDEST)));
    }
    let spec = GenerateSpec { family, count: what.count, seed: what.seed, difficulty: what.difficulty };
    let save = || {
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        for trace in tasks::generate(&spec) {
            serde_json::to_writer(&mut file, &trace)?;
            file.write_all(b"\n")?;
        }
        file.flush()
    };
    save().map_err(|e| file_error(path, &e))?;
    out.show(&Written { added: what.count, file: path }, |w| format!("{} traces in {}", w.added, w.file.display()))
}

fn list(page: &Page<TraceSummary>) -> String {
    let rows: Vec<Vec<String>> = page.rows.iter().map(row).collect();
    let mut text = table(&["id", "prompt", "answer", ">steps", "family", "source", "added"], &rows);
    text += &format!("{} of {}\n", page.rows.len(), page.total);
    text
}

fn row(trace: &TraceSummary) -> Vec<String> {
    vec![
        trace.id.to_string(),
        short(&trace.prompt, 40),
        short(&trace.final_answer, 20),
        trace.steps.to_string(),
        trace.family.clone().unwrap_or_else(|| "–".into()),
        short(&trace.source, 24),
        ago(trace.created_at),
    ]
}

fn trace(trace: &Trace) -> String {
    let mut before =
        vec![("id", trace.id.to_string()), ("source", trace.source.clone()), ("added", trace.created_at.iso())];
    before.extend(trace.content.history.iter().map(|turn| (turn.role.key(), turn.content.clone())));
    before.push(("prompt", trace.content.prompt.clone()));
    let mut text = facts(&before);
    for step in &trace.content.steps {
        text += &format!("{:>4}  {}: {}\n", step.i, step.kind, step.content);
    }
    text + &facts(&[("answer", trace.content.final_answer.clone())])
}
