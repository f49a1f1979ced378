//! `anneal train`: a recipe on a file, without a server. The same trainer as a run's; events go to `events.jsonl`.

use super::{
    out::{Out, file_error},
    runs::{pairs, yaml},
    table::{bytes, duration, facts, figure, score},
};
use domain::{
    Job, NewTrace, SplitName, SplitPercent, TaskFamily, TrainEvent,
    api::{ApiError, ErrorKind},
    evaluation::Score,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::random::Random;
use serde::Serialize;
use service::{import::Lines, recipe};
use sha2::{Digest, Sha256};
use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};
use training::{Outcome, StopSignal};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// A YAML file, or the name of a recipe that comes with Anneal
    recipe: String,
    /// Traces or conversations (`messages`), one JSON a line
    #[arg(long)]
    data: PathBuf,
    /// Where checkpoints and the model go; the same folder again goes on from the last checkpoint
    #[arg(long)]
    out: PathBuf,
    /// train/val/test in per cent, by the recipe's seed
    #[arg(long, default_value = "80/10/10")]
    split: String,
    /// A value over the recipe's own; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
struct Report {
    out: PathBuf,
    refused: u64,
    steps: u64,
    seconds: f64,
    loss: Option<f64>,
    val_loss: Option<f64>,
    tokens_per_sec: f64,
    peak_memory_bytes: u64,
    parameters: u64,
    items: u32,
    strict: Score,
    flexible: Score,
    finished: bool,
}

pub(super) fn run(options: Options, out: Out) -> Result<ExitCode, ApiError> {
    let text = yaml(&options.recipe, out)?;
    let recipe = recipe::parse(recipe::resolve(&text), &pairs(&options.overrides)?).map_err(ApiError::fields)?;
    let split: SplitPercent = options.split.parse().map_err(|e| ApiError::field("split", e))?;
    let (traces, refused) = read(&options.data, out)?;
    let job = prepare(recipe, traces, split, &options.out)?;

    let stop = StopSignal::default();
    stop_at_ctrl_c(stop.clone());
    let path = options.out.join("events.jsonl");
    let file = File::options().create(true).append(true).open(&path).map_err(|e| file_error(&path, &e))?;
    let mut watch =
        Watch::new(BufWriter::new(file), out, Report { out: options.out.clone(), refused, ..Report::default() });
    let outcome = training::run(&job, &mut |event| watch.event(&event), &stop);
    watch.bar.finish_and_clear();
    let mut report = watch.report;
    report.finished = matches!(outcome, Ok(Outcome::Finished));
    match outcome {
        Ok(Outcome::Finished) => {}
        Ok(Outcome::Stopped) => out.say("Stopped after a checkpoint. The same command goes on from there."),
        Err(error) => return Err(ApiError::new(ErrorKind::Invalid, error.to_string())),
    }
    (report.strict, report.flexible) =
        (text::score::wilson(watch.strict, report.items), text::score::wilson(watch.flexible, report.items));
    out.show(&report, words)?;
    Ok(if report.finished { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The file's good lines, each question once, and how many were refused.
fn read(path: &Path, out: Out) -> Result<(Vec<NewTrace>, u64), ApiError> {
    let mut file = File::open(path).map_err(|e| file_error(path, &e))?;
    let (mut lines, mut buffer) = (Lines::new(), vec![0; 256 << 10]);
    let mut found = Vec::new();
    loop {
        let count = file.read(&mut buffer).map_err(|e| file_error(path, &e))?;
        if count == 0 {
            break;
        }
        found.extend(lines.push(&buffer[..count]));
    }
    found.extend(lines.finish());
    let (mut traces, mut refused, mut seen) = (Vec::new(), 0, HashSet::new());
    for line in found {
        match line.result {
            // One question, after the same turns, never stands in two splits.
            Ok(trace) if seen.insert((trace.history.clone(), trace.prompt.clone())) => traces.push(trace),
            Ok(_) => {}
            Err(reason) => {
                refused += 1;
                out.say(&format!("line {}: {reason}", line.number));
            }
        }
    }
    if traces.is_empty() {
        return Err(ApiError::field("data", format!("{} has no usable trace", path.display())));
    }
    Ok((traces, refused))
}

/// A folder belongs to one training: another recipe or other data would take its tokenizer and clear its checkpoints away.
fn claim(recipe: &domain::Recipe, traces: &[NewTrace], split: SplitPercent, out: &Path) -> Result<(), ApiError> {
    std::fs::create_dir_all(out).map_err(|e| file_error(out, &e))?;
    let unwritten = |e: serde_json::Error| ApiError::internal(e.to_string());
    let mut hash = Sha256::new_with_prefix(split.to_string());
    hash.update(serde_json::to_vec(recipe).map_err(unwritten)?);
    for trace in traces {
        hash.update(serde_json::to_vec(trace).map_err(unwritten)?);
    }
    let mine: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let path = out.join("made-from");
    if std::fs::read_to_string(&path).is_ok_and(|found| found == mine) {
        return Ok(());
    }
    if std::fs::read_dir(out.join("checkpoints")).is_ok_and(|mut found| found.next().is_some()) {
        return Err(ApiError::conflict(format!(
            "{} holds a training of another recipe or other data: name another folder, or remove this one",
            out.display()
        )));
    }
    // Nothing was trained yet; the tokenizer of such a try would be taken for ours.
    let tokenizer = out.join("tokenizer.json");
    match std::fs::remove_file(&tokenizer) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error(&tokenizer, &error)),
        _ => std::fs::write(&path, mine).map_err(|e| file_error(&path, &e)),
    }
}

/// Splits by the recipe's seed and writes the splits beside the checkpoints.
fn prepare(
    recipe: domain::Recipe,
    mut traces: Vec<NewTrace>,
    split: SplitPercent,
    out: &Path,
) -> Result<Job, ApiError> {
    let mut random = Random(recipe.seed);
    for i in (1..traces.len()).rev() {
        traces.swap(i, random.below(i + 1));
    }
    let part = |percent: u8| traces.len() * usize::from(percent) / 100;
    let (val, test) = (part(split.val), part(split.test).max(1));
    if val + test >= traces.len() {
        let message = format!("{} traces are too few for a split of {split}", traces.len());
        return Err(ApiError::field("data", message));
    }
    let base = recipe.model.base().map(PathBuf::from);
    if let Some(base) = base.as_ref().filter(|base| !base.is_dir()) {
        let message = format!("{} is no folder: without a server, name the base model's folder", base.display());
        return Err(ApiError::field("model.base", message));
    }
    let base = base.map(|base| base.canonicalize().map_err(|e| file_error(&base, &e))).transpose()?;
    claim(&recipe, &traces, split, out)?;
    let (held_out, train) = traces.split_at(val + test);
    let (val, test) = held_out.split_at(val);
    let out = out.canonicalize().map_err(|e| file_error(out, &e))?;
    let write = |name: SplitName, traces: &[NewTrace]| {
        let path = out.join(format!("{name}.jsonl"));
        let save = || {
            let mut file = BufWriter::new(File::create(&path)?);
            for trace in traces {
                serde_json::to_writer(&mut file, trace)?;
                file.write_all(b"\n")?;
            }
            file.flush()
        };
        save().map_err(|e: io::Error| file_error(&path, &e)).map(|()| path)
    };
    let families: HashSet<Option<TaskFamily>> = train.iter().map(NewTrace::family).collect();
    let family = if families.len() == 1 { families.into_iter().next().flatten() } else { None };
    let (train, val, test) =
        (write(SplitName::Train, train)?, write(SplitName::Val, val)?, write(SplitName::Test, test)?);
    Ok(Job { recipe, train, val, test, work: out, family, base })
}

/// The first Ctrl-C asks to stop after a checkpoint; the second ends at once, as usual.
fn stop_at_ctrl_c(stop: StopSignal) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let waited = runtime.and_then(|runtime| {
            runtime.block_on(async {
                tokio::signal::ctrl_c().await?;
                eprintln!("Stopping after a checkpoint; Ctrl-C again ends at once.");
                stop.ask();
                tokio::signal::ctrl_c().await
            })
        });
        if waited.is_ok() {
            std::process::exit(130);
        }
    });
}

struct Watch {
    events: BufWriter<File>,
    out: Out,
    bar: ProgressBar,
    report: Report,
    strict: u32,
    flexible: u32,
}

impl Watch {
    fn new(events: BufWriter<File>, out: Out, report: Report) -> Self {
        let target = if out.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style = ProgressStyle::with_template("{bar:28} {pos}/{len}  {msg}  {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { events, out, bar, report, strict: 0, flexible: 0 }
    }

    /// A line that stays above the bar.
    fn say(&self, text: &str) {
        self.bar.suspend(|| self.out.say(text));
    }

    fn event(&mut self, event: &TrainEvent) {
        // The record of a training is worth less than the training: a full disk ends that by itself.
        let written = serde_json::to_writer(&mut self.events, event).map_err(io::Error::from);
        if let Err(error) = written.and_then(|()| self.events.write_all(b"\n")).and_then(|()| self.events.flush()) {
            self.say(&format!("events.jsonl cannot be written: {error}"));
        }
        match event {
            TrainEvent::Started { parameters, steps, resumed_from, .. } => {
                self.report.parameters = *parameters;
                self.bar.set_length(*steps);
                self.bar.set_position(resumed_from.unwrap_or(0));
            }
            TrainEvent::Step { step, loss, tokens_per_sec, .. } => {
                (self.report.steps, self.report.loss) = (*step, Some(*loss));
                self.bar.set_position(*step);
                let (loss, val) = (figure(Some(*loss)), figure(self.report.val_loss));
                self.bar.set_message(format!("loss {loss}  val {val}  {tokens_per_sec:.0} tokens/s"));
            }
            TrainEvent::Validation { loss, .. } => self.report.val_loss = Some(*loss),
            TrainEvent::Evaluating { items } => {
                self.bar.set_length(*items as u64);
                self.bar.set_position(0);
                self.bar.set_message("items evaluated");
            }
            TrainEvent::Predicted(prediction) => {
                self.report.items += 1;
                self.strict += u32::from(prediction.verdict.strict);
                self.flexible += u32::from(prediction.verdict.flexible);
                self.bar.inc(1);
            }
            TrainEvent::Alarm { step, message } => self.say(&format!("step {step}: {message}")),
            TrainEvent::Log { line } => self.say(line),
            TrainEvent::Finished { seconds, peak_memory_bytes, tokens_per_sec, .. } => {
                self.report.seconds = *seconds;
                self.report.peak_memory_bytes = *peak_memory_bytes;
                self.report.tokens_per_sec = *tokens_per_sec;
            }
            _ => {}
        }
    }
}

fn words(report: &Report) -> String {
    facts(&[
        ("model", report.out.join("export").display().to_string()),
        ("steps", report.steps.to_string()),
        ("took", duration(report.seconds)),
        ("loss", format!("{}, val {}", figure(report.loss), figure(report.val_loss))),
        ("speed", format!("{:.0} tokens/s", report.tokens_per_sec)),
        ("memory", format!("{} at most", bytes(report.peak_memory_bytes))),
        ("strict", format!("{} on {} held-out items", score(Some(&report.strict)), report.items)),
        ("flexible", score(Some(&report.flexible))),
    ])
}
