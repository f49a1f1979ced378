//! `anneal bench`: speed of training and generation on this machine, and a data directory for measuring pages.

use super::{
    out::Out,
    table::{bytes, facts},
};
use clap::Subcommand;
use domain::{DatasetRef, DeviceChoice, Micros, ModelConfig, Precision, RunId, api::ApiError, model::Architecture};
use model::{Folder, folder::FolderError};
use serde::Serialize;
use service::recipe;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use storage::{NewRun, SqliteStore};
use training::{
    bench::{self, BenchError, BenchReport, Size},
    shapes,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Training speed
    Train {
        #[command(flatten)]
        shape: Shape,
        #[arg(long, default_value_t = 8)]
        batch: usize,
        #[arg(long, default_value_t = 10)]
        steps: u64,
        /// What matrix products are computed in: auto, f32, f16 or bf16
        #[arg(long, default_value_t = Precision::F32)]
        precision: Precision,
        /// Freeze the weights and train adapters of this rank beside every matrix
        #[arg(long, value_name = "RANK")]
        lora: Option<usize>,
    },
    /// Generation speed, one sequence, with the KV cache
    Generate {
        #[command(flatten)]
        shape: Shape,
        #[arg(long, default_value_t = 100)]
        tokens: u64,
    },
    /// Fill a fresh data directory with finished runs
    Seed(Seed),
}

#[derive(Debug, clap::Args)]
pub(super) struct Shape {
    /// gpt2 (124 M), llama-30m, smollm2 (135 M), or a model's folder; in place of the sizes
    #[arg(long)]
    model: Option<String>,
    #[arg(long, default_value_t = 256)]
    d_model: usize,
    #[arg(long, default_value_t = 6)]
    layers: usize,
    #[arg(long, default_value_t = 8)]
    heads: usize,
    #[arg(long, default_value_t = 4096)]
    vocab: usize,
    #[arg(long, default_value_t = 128)]
    seq: usize,
    #[arg(long, default_value = "flex")]
    device: DeviceChoice,
}

#[derive(Debug, clap::Args)]
pub(super) struct Seed {
    #[arg(long)]
    data: PathBuf,
    #[arg(long, default_value_t = 1_000)]
    runs: u32,
    /// Points of the newest run's curves; the others have 100
    #[arg(long, default_value_t = 100_000)]
    points: u64,
}

#[derive(Serialize)]
struct Measured {
    #[serde(flatten)]
    report: BenchReport,
    batch: usize,
    seq: usize,
}

impl Command {
    pub(super) fn needs_runtime(&self) -> bool {
        matches!(self, Self::Seed(_))
    }
}

impl Shape {
    fn config(&self) -> Result<ModelConfig, ApiError> {
        if let Some(name) = &self.model {
            return named(name, self.seq);
        }
        let Self { d_model, layers, heads, vocab, seq, .. } = *self;
        if [d_model, layers, heads, vocab, seq].contains(&0) || d_model % heads != 0 || d_model / heads % 2 != 0 {
            let message = "d-model must be heads times an even number, and no size may be 0";
            return Err(ApiError::field("d-model", message));
        }
        // Not tied, as in the PyTorch program that figures are held against.
        let tie_embeddings = false;
        let config = shapes::shape(Architecture::Llama, d_model, layers, heads);
        Ok(ModelConfig { vocab, context: seq, tie_embeddings, ..config })
    }
}

/// A shape by its name, or that of a model's folder; what is measured are fresh weights.
fn named(name: &str, seq: usize) -> Result<ModelConfig, ApiError> {
    let config = match shapes::named(name) {
        Some(config) => config,
        None if Path::new(name).is_dir() => {
            let unreadable = |e: FolderError| ApiError::field("model", format!("{name}: {e}"));
            Folder::open(Path::new(name)).map_err(unreadable)?.config
        }
        None => {
            let message = format!("{name:?} is neither a folder nor a known shape: {}", shapes::NAMES.join(", "));
            return Err(ApiError::field("model", message));
        }
    };
    Ok(ModelConfig { context: config.context.max(seq), ..config })
}

pub(super) fn run(command: Command, out: Out) -> Result<(), ApiError> {
    let failed = |error: BenchError| match error {
        BenchError::Device(error) => ApiError::field("device", error.to_string()),
        BenchError::Precision(message) => ApiError::field("precision", message),
        BenchError::Lora(message) => ApiError::field("lora", message),
    };
    let measured = match command {
        Command::Train { shape, batch, steps, precision, lora } => {
            if batch == 0 || steps == 0 || lora == Some(0) {
                return Err(ApiError::field("batch", "batch, steps and lora must be 1 or more"));
            }
            let size = Size { batch, seq: shape.seq, steps, lora };
            let report = bench::train(&shape.config()?, size, shape.device, precision).map_err(failed)?;
            Measured { report, batch, seq: shape.seq }
        }
        Command::Generate { shape, tokens } => {
            let report = bench::generate(&shape.config()?, tokens.max(1), shape.device).map_err(failed)?;
            Measured { report, batch: 1, seq: shape.seq }
        }
        Command::Seed(_) => return Ok(()),
    };
    out.show(&measured, |m| {
        facts(&[
            ("device", format!("{} ({}) in {}", m.report.device.backend, m.report.device.name, m.report.precision)),
            ("parameters", format!("{:.2} M", m.report.parameters as f64 / 1e6)),
            ("speed", format!("{:.0} tokens/s over {} steps", m.report.tokens_per_sec, m.report.steps)),
            ("memory", format!("{} at most", bytes(m.report.peak_memory_bytes))),
        ])
    })
}

/// Points of every run but the newest.
const FEW: u64 = 100;

#[derive(Serialize)]
struct Seeded {
    runs: u32,
    points: u64,
    data: PathBuf,
}

/// Straight into storage: the figures are made up, so no server may ever take them for its own work.
pub(super) async fn seed(command: Command, out: Out) -> Result<(), ApiError> {
    let Command::Seed(Seed { data, runs, points }) = command else { return Ok(()) };
    if data.join("anneal.db").exists() {
        return Err(ApiError::conflict(format!("{} has a database; name a fresh directory", data.display())));
    }
    let failed = |e: storage::StorageError| ApiError::internal(e.to_string());
    let store = SqliteStore::open(&data).await.map_err(failed)?;
    let yaml = recipe::resolve("addition");
    let parsed = recipe::parse(yaml, &BTreeMap::new()).map_err(ApiError::fields)?;
    let dataset: DatasetRef = "bench@1".parse().map_err(|e| ApiError::internal(format!("{e}")))?;
    let now = Micros::now();
    for run in 0..runs {
        // A second apart, the newest last.
        let at = Micros(now.0 - i64::from(runs - run) * 1_000_000);
        let new = NewRun {
            id: RunId::from_parts(at.0.unsigned_abs() / 1_000, u128::from(run)),
            name: format!("bench-{run}"),
            dataset: dataset.clone(),
            dataset_hash: "0".repeat(64),
            recipe: parsed.clone(),
            recipe_yaml: yaml.to_owned(),
            recipe_hash: recipe::hash(&parsed),
            estimate: None,
            created_at: at,
        };
        let count = if run + 1 == runs { points } else { points.min(FEW) };
        store.seed_run(&new, count).await.map_err(failed)?;
    }
    out.show(&Seeded { runs, points, data }, |s| format!("{} runs in {}", s.runs, s.data.display()))
}
