//! `anneal runs`: start, list, show, watch, log, cancel, retry.

use super::{
    follow,
    out::{Out, file_error},
    table::{ago, bytes, duration, facts, figure, score, table},
};
use clap::Subcommand;
use client::Client;
use domain::{
    RunState,
    api::{ApiError, CancelRun, CreateRun, GetRun, ListRuns, Page, RetryRun, RunDetail, RunLog, RunRow},
    event::{LogLine, LogStream},
};
use service::dialect;
use std::{collections::BTreeMap, path::Path, process::ExitCode};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Queue a run of a recipe on a dataset
    Start(Start),
    /// List runs, newest first
    List(List),
    /// Show one run
    Show { id: String },
    /// Follow a run to its end
    Watch { id: String },
    /// Print a run's log
    Log {
        id: String,
        /// At most so many lines
        #[arg(short = 'n', long, default_value_t = 1_000)]
        lines: u32,
        /// Lines after this number, instead of the last ones
        #[arg(long, default_value_t = 0)]
        after: u64,
    },
    /// Ask a run to stop; its last checkpoint stays
    Cancel { id: String },
    /// Put a failed or cancelled run back into the queue, from its last checkpoint
    Retry { id: String },
}

#[derive(Debug, clap::Args)]
pub(super) struct Start {
    /// A YAML file, or the name of a recipe that comes with Anneal
    recipe: String,
    /// name@version
    #[arg(long)]
    dataset: String,
    /// Instead of the recipe's name
    #[arg(long, default_value = "")]
    name: String,
    /// A value over the recipe's own, like optimizer.learning_rate=0.001; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Watch until it ends
    #[arg(long)]
    follow: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Words in name, dataset or id
    #[arg(long, default_value = "")]
    search: String,
    /// queued, running, …, or active
    #[arg(long, default_value = "")]
    state: String,
    #[arg(long, default_value = "")]
    dataset: String,
    /// created, name, state, loss, val_loss or score; - in front reverses
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    sort: String,
    #[arg(long, default_value_t = 0)]
    offset: u64,
    #[arg(long, default_value_t = 50)]
    limit: u32,
}

pub(super) async fn run(command: Command, client: &Client, out: Out) -> Result<ExitCode, ApiError> {
    match command {
        Command::Start(what) => return start(what, client, out).await,
        Command::Watch { id } => {
            let run = client.call(&GetRun { id }).await?;
            return watch(run, client, out).await;
        }
        Command::List(List { search, state, dataset, sort, offset, limit }) => {
            let request = ListRuns { search, state, dataset, sort, offset, limit };
            out.show(&client.call(&request).await?, list)?;
        }
        Command::Show { id } => out.show(&client.call(&GetRun { id }).await?, detail)?,
        Command::Log { id, lines, after } => {
            out.show(&client.call(&RunLog { id, after, limit: lines }).await?, |lines| log(lines))?;
        }
        Command::Cancel { id } => out.show(&client.call(&CancelRun { id }).await?, state)?,
        Command::Retry { id } => out.show(&client.call(&RetryRun { id }).await?, state)?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn start(what: Start, client: &Client, out: Out) -> Result<ExitCode, ApiError> {
    let Start { recipe, dataset, name, overrides, follow } = what;
    let request = CreateRun { recipe: yaml(&recipe, out)?, dataset, name, overrides: pairs(&overrides)? };
    let run = client.call(&request).await?;
    if follow {
        return watch(run, client, out).await;
    }
    out.show(&run, |run| format!("{}\nwatch it with: anneal runs watch {}", state(run), run.row.id))?;
    Ok(ExitCode::SUCCESS)
}

/// Follows, then prints what came of it. A run that did not get done is an error.
async fn watch(run: RunDetail, client: &Client, out: Out) -> Result<ExitCode, ApiError> {
    let Some(run) = follow::to_the_end(run, client, out).await? else { return Ok(ExitCode::SUCCESS) };
    out.show(&run, detail)?;
    Ok(if run.row.state == RunState::Done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The text of a recipe file, or the name of a shipped recipe as it is. A tunix-rt configuration becomes a recipe, and what
/// became of its keys is said.
pub(super) fn yaml(recipe: &str, out: Out) -> Result<String, ApiError> {
    let path = Path::new(recipe);
    let looks_like_file =
        recipe.contains('/') || recipe.ends_with(".yaml") || recipe.ends_with(".yml") || path.is_file();
    if !looks_like_file {
        return Ok(recipe.to_owned());
    }
    let text = std::fs::read_to_string(path).map_err(|e| file_error(path, &e))?;
    if !dialect::is_dialect(&text) {
        return Ok(text);
    }
    let made = dialect::convert(&text).map_err(ApiError::fields)?;
    for line in &made.mapping {
        out.say(line);
    }
    Ok(made.recipe)
}

/// `key=value` each.
pub(super) fn pairs(texts: &[String]) -> Result<BTreeMap<String, String>, ApiError> {
    let split = |text: &String| {
        let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
        let message = || ApiError::field("set", format!("{text:?} is not key=value, like train.steps=200"));
        pair.map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(message)
    };
    texts.iter().map(split).collect()
}

fn list(page: &Page<RunRow>) -> String {
    let row = |r: &RunRow| {
        vec![
            r.id.short(),
            r.name.clone(),
            r.state.to_string(),
            format!("{}/{}", r.step, r.steps),
            figure(r.loss),
            figure(r.val_loss),
            score(r.strict.as_ref()),
            r.dataset.to_string(),
            ago(r.created_at),
        ]
    };
    let head = ["id", "run", "state", ">step", ">loss", ">val loss", ">strict", "dataset", "created"];
    let rows: Vec<Vec<String>> = page.rows.iter().map(row).collect();
    table(&head, &rows) + &format!("{} of {}\n", page.rows.len(), page.total)
}

fn state(run: &RunDetail) -> String {
    let reason = run.row.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{} {} is {}{reason}", run.row.name, run.row.id, run.row.state)
}

fn detail(run: &RunDetail) -> String {
    let row = &run.row;
    let mut lines = vec![
        ("run", row.name.clone()),
        ("id", row.id.to_string()),
        ("state", row.state.to_string()),
        ("dataset", row.dataset.to_string()),
        ("step", format!("{} of {}", row.step, row.steps)),
        ("loss", figure(row.loss)),
        ("val loss", format!("{} (best {})", figure(row.val_loss), figure(row.best_val_loss))),
    ];
    if let Some(reason) = &row.reason {
        lines.insert(3, ("reason", reason.clone()));
    }
    if let (Some(device), parameters) = (&row.device, row.parameters.unwrap_or(0)) {
        lines.push(("device", format!("{device}, {:.2} M parameters", parameters as f64 / 1e6)));
    }
    if let Some(speed) = row.tokens_per_sec {
        lines.push(("speed", format!("{speed:.0} tokens/s")));
    }
    if let Some(memory) = row.peak_memory_bytes {
        lines.push(("memory", format!("{} at most", bytes(memory))));
    }
    if let (Some(start), Some(end)) = (row.started_at, row.finished_at) {
        lines.push(("took", duration(end.seconds_since(start))));
    }
    if let Some(left) = row.seconds_left {
        lines.push(("left", duration(left)));
    }
    if row.strict.is_some() {
        lines.push(("strict", score(row.strict.as_ref())));
        lines.push(("flexible", score(row.flexible.as_ref())));
    }
    for alarm in &run.alarms {
        lines.push(("alarm", format!("step {}: {}", alarm.step, alarm.message)));
    }
    facts(&lines)
}

fn log(lines: &[LogLine]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        if line.stream == LogStream::System {
            text += "· ";
        }
        text += &line.chunk;
        if !line.continued {
            text.push('\n');
        }
        text
    })
}
