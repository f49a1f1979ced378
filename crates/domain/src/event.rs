//! What a training child says (one JSON line each on its standard output), and what watchers of a run receive.

use crate::{device::DeviceInfo, estimate::Estimate, evaluation::Prediction, run::RunState, time::Micros, turn::Turn};
use serde::{Deserialize, Serialize};

/// One thing that happened in training. The child prints them, the worker forwards them, storage keeps them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TrainEvent {
    /// The model is built and data is ready. `resumed_from` is the checkpoint's step.
    Started {
        device: DeviceInfo,
        parameters: u64,
        vocab: usize,
        train_items: usize,
        train_tokens: u64,
        steps: u64,
        resumed_from: Option<u64>,
        /// The estimate made before the first step, to be compared with the measured peak.
        estimated_memory_bytes: u64,
        /// All of the estimate, from a step that was measured.
        #[serde(default)]
        estimate: Option<Box<Estimate>>,
    },
    /// Figures of one optimizer step (1-based).
    Step {
        step: u64,
        loss: f64,
        learning_rate: f64,
        grad_norm: f64,
        tokens_per_sec: f64,
        memory_bytes: u64,
        /// Tokens trained on since the run's beginning.
        tokens: u64,
    },
    /// Loss on the val split.
    Validation { step: u64, loss: f64 },
    /// Text generated during training.
    Sample {
        step: u64,
        /// What was said before the prompt.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        history: Vec<Turn>,
        prompt: String,
        expected: String,
        text: String,
    },
    /// A checkpoint is on disk, verified.
    Checkpoint { step: u64, best: bool, bytes: u64 },
    /// Something to look at: NaN, spike, stall, disk low, a torn checkpoint skipped.
    Alarm { step: u64, message: String },
    /// A line for the run's log.
    Log { line: String },
    /// The final evaluation begins over so many items.
    Evaluating { items: usize },
    /// One item of the final evaluation.
    Predicted(Prediction),
    /// The exported model is in the work directory's `export/` folder.
    Exported { files: Vec<ExportedFile> },
    /// The child was asked to stop and saved a checkpoint at `step`.
    Stopped { step: u64 },
    /// All done.
    Finished { steps: u64, seconds: f64, peak_memory_bytes: u64, tokens_per_sec: f64 },
    /// It cannot go on; the message says why and what to do. `retry`: another attempt may help (disk full may be mended; NaN not).
    Failed { message: String, retry: bool },
}

/// A file of an exported model, named by its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedFile {
    /// `config.json`, `tokenizer.json`, `model.safetensors`, …
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
}

/// Where a log line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    Stdout,
    Stderr,
    /// The scheduler's and worker's own words.
    System,
}

/// One line of a run's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub seq: u64,
    pub stream: LogStream,
    /// Without the line break. A line over 64 KiB arrives as several chunks; `continued` says that more follows.
    pub chunk: String,
    #[serde(default)]
    pub continued: bool,
    pub created_at: Micros,
}

/// What watchers of a run receive, each with its sequence number as the event's id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEvent {
    /// Grows by one for each event of the run; the place to resume from.
    pub seq: u64,
    pub at: Micros,
    #[serde(flatten)]
    pub kind: RunEventKind,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RunEventKind {
    Status {
        state: RunState,
        reason: Option<String>,
    },
    Step {
        step: u64,
        loss: f64,
        learning_rate: f64,
        grad_norm: f64,
        tokens_per_sec: f64,
        memory_bytes: u64,
        tokens: u64,
    },
    Validation {
        step: u64,
        loss: f64,
    },
    Sample {
        step: u64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        history: Vec<Turn>,
        prompt: String,
        expected: String,
        text: String,
    },
    Checkpoint {
        step: u64,
        best: bool,
        bytes: u64,
    },
    Alarm {
        step: u64,
        message: String,
    },
    Log {
        stream: LogStream,
        chunk: String,
        continued: bool,
    },
    /// Items of the final evaluation done so far.
    EvaluationProgress {
        done: u32,
        items: u32,
    },
}

impl RunEventKind {
    /// The name of the server-sent event.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Step { .. } => "step",
            Self::Validation { .. } => "validation",
            Self::Sample { .. } => "sample",
            Self::Checkpoint { .. } => "checkpoint",
            Self::Alarm { .. } => "alarm",
            Self::Log { .. } => "log",
            Self::EvaluationProgress { .. } => "evaluation_progress",
        }
    }

    pub const NAMES: [&'static str; 8] =
        ["status", "step", "validation", "sample", "checkpoint", "alarm", "log", "evaluation_progress"];
}

/// The series a run draws, by their keys.
pub mod series {
    pub const LOSS: &str = "loss";
    pub const VAL_LOSS: &str = "val_loss";
    pub const LEARNING_RATE: &str = "learning_rate";
    pub const GRAD_NORM: &str = "grad_norm";
    pub const TOKENS_PER_SEC: &str = "tokens_per_sec";
    pub const MEMORY_BYTES: &str = "memory_bytes";
    pub const ALL: [&str; 6] = [LOSS, VAL_LOSS, LEARNING_RATE, GRAD_NORM, TOKENS_PER_SEC, MEMORY_BYTES];
}
