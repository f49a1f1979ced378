//! The whole of one training: what it reads and measures first; then `steps` goes to its end. Called again on the same work directory it goes on from the
//! last sound checkpoint; on Flex the losses are then the same, bit for bit, as if nothing had happened.

use crate::{
    StopSignal,
    alarms::Watch,
    batches,
    checkpoint::{Checkpoints, Progress, sha256},
    data,
    device::{self, Opened},
    lock::WorkLock,
    memory,
    optimizer::Optimizer,
    patience::Patience,
    precision::{self, LossScale},
    preflight::Preflight,
    start::{self, Start},
};
use domain::{Job, NewTrace, TrainEvent, estimate, recipe::Micro};
use model::{devices, store::StoreError};
use std::{io, time::Instant};
use steps::Loop;
use text::{
    conversation::ConversationError, language::Language, pretrained::PretrainedError, tokenizer::TokenizerError,
};

mod steps;
mod watching;

/// How a training ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Finished,
    /// Asked to stop; a checkpoint is saved.
    Stopped,
}

/// Why a training cannot go on; worded for the person who started it.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("the data cannot be trained on: {0}")]
    Data(String),
    #[error("{0}")]
    Tokenizer(#[from] TokenizerError),
    #[error("the base model cannot be used: {0}")]
    Base(String),
    #[error("{0}")]
    Language(#[from] PretrainedError),
    #[error("{0}")]
    Conversation(#[from] ConversationError),
    #[error("{0}")]
    Weights(#[from] StoreError),
    #[error("{0}")]
    Precision(String),
    #[error("{0}")]
    Device(#[from] devices::DeviceError),
    #[error(
        "this training needs about {:.1} GB of memory, {:.1} GB are available: lower train.batch, model.context or the model's sizes",
        *needed as f64 / 1e9, *available as f64 / 1e9
    )]
    Memory { needed: u64, available: u64 },
    #[error("writing to disk failed: {0}; the last checkpoint is intact: make room, then retry the run")]
    Disk(io::Error),
    #[error("the work directory cannot be used: {0}")]
    Work(#[from] io::Error),
    #[error(
        "{what} became {value} at step {step}; the last good checkpoint is kept: lower optimizer.learning_rate or optimizer.clip_norm"
    )]
    NotFinite { what: &'static str, value: f64, step: u64 },
}

/// What the parts of a training share.
pub(crate) struct Run<'a> {
    pub(crate) job: &'a Job,
    pub(crate) language: Language,
    pub(crate) val: Vec<NewTrace>,
    pub(crate) test: Vec<NewTrace>,
    /// Sequences that training reads at once.
    pub(crate) batch: usize,
    pub(crate) sink: &'a mut dyn FnMut(TrainEvent),
    pub(crate) stop: &'a StopSignal,
}

/// Trains `job` to its end, or until `stop` is asked.
pub fn run(job: &Job, sink: &mut dyn FnMut(TrainEvent), stop: &StopSignal) -> Result<Outcome, TrainError> {
    let begun = Instant::now();
    std::fs::create_dir_all(&job.work)?;
    let _lock = WorkLock::take(&job.work)?;
    let recipe = &job.recipe;
    let opened = device::open(recipe.device, &mut |line| sink(TrainEvent::Log { line }))?;
    let compute = precision::on(recipe.train.precision, &opened).map_err(TrainError::Precision)?;
    if let Some(line) = precision::doubt(compute, &opened) {
        sink(TrainEvent::Log { line });
    }
    let Opened { device, info, .. } = opened;
    let train = data::read(&job.train)?;
    let (val, test) = (data::read(&job.val)?, data::read(&job.test)?);
    let base = start::base(job)?;
    let language = match &base {
        Some(folder) => start::language(folder)?,
        None => Language::own(data::tokenizer(recipe, &train, &job.work)?),
    };
    let rows = data::tokenize(recipe, &language, &train)?;
    let mut val_rows = data::tokenize(recipe, &language, &val)?.rows;
    val_rows.truncate(recipe.evaluation.val_items);
    if rows.rows.is_empty() {
        return Err(TrainError::Data("no trace of the train split is left to train on".into()));
    }
    if let Some(line) = rows.left_out(recipe) {
        sink(TrainEvent::Log { line });
    }
    let start = Start::new(job, language.vocab_size(), base, device.autodiff(), compute)?;
    let (config, context) = (&start.config, recipe.model.context());
    let lengths: Vec<usize> = rows.rows.iter().map(|r| r.ids.len() - 1).collect();
    let capacity = recipe.data.packing.then_some(context);
    let sampler = batches::Sampler::new(recipe.seed, lengths.clone(), capacity);
    let longest = sampler.longest();
    // A GPU has memory of its own, which the driver guards.
    let on_cpu = info.backend == "flex";
    let stride = device::stride(&info);
    let available = if on_cpu { memory::available() } else { info.memory_bytes };
    let kind = recipe.optimizer.kind;
    let needed = estimate::training(config, &recipe.train, kind, start.lora(), longest, available).total_bytes;
    if let Some(available) = available.filter(|a| on_cpu && needed > *a) {
        return Err(TrainError::Memory { needed, available });
    }
    let canonical = serde_json::to_vec(recipe).map_err(|e| TrainError::Work(e.into()))?;
    let recipe_hash = sha256(&canonical);
    let checkpoints = Checkpoints::open(&job.work, recipe_hash.clone(), recipe.checkpoint.keep)?;
    let fresh = Optimizer::new(recipe.optimizer.clone()).averaging(recipe.train.ema_decay);
    let loaded = checkpoints.load(&start, &fresh, |step, reason| {
        sink(TrainEvent::Alarm { step, message: format!("checkpoint of step {step} passed over: {reason}") });
    });
    let resumed_from = loaded.as_ref().map(|l| l.progress.step);
    let (progress, mut decoder, optimizer) = match loaded {
        Some(l) => (l.progress, l.decoder, l.optimizer),
        None => (
            Progress {
                step: 0,
                tokens: 0,
                seconds: 0.0,
                best_val_loss: None,
                best_step: None,
                patience: Patience::default(),
                loss_scale: LossScale::first(compute),
            },
            start.decoder()?,
            fresh,
        ),
    };
    let (parameters, steps) = (start.config.parameters(), recipe.train.steps);
    let line = format!(
        "{parameters} parameters{} on {} ({}) in {}, {} traces, {} of {steps} steps done",
        start.lora().map_or_else(String::new, |_| format!(" and {} trained beside them", start.trained())),
        info.backend,
        info.name,
        precision::key(compute),
        rows.rows.len(),
        progress.step
    );
    sink(TrainEvent::Log { line });
    // What is measured is a pass as training makes it.
    start.draw_dropout(&mut decoder, 0);
    let preflight = Preflight {
        model: config,
        train: &recipe.train,
        optimizer: kind,
        lora: start.lora(),
        rows: &rows.rows,
        sampler: &sampler,
        recipe_hash: &recipe_hash,
        on_cpu,
        stride,
        available,
    };
    let estimate = preflight.run(&decoder, &job.work, &mut |line| sink(TrainEvent::Log { line }))?;
    let micro = estimate.micro.unwrap_or(Micro { batch: 1, accumulate: recipe.train.sequences() as usize });
    sink(TrainEvent::Started {
        device: info,
        parameters,
        vocab: start.config.vocab,
        train_items: rows.rows.len(),
        train_tokens: rows.rows.iter().map(|r| r.ids.len() as u64 - 1).sum(),
        steps,
        resumed_from,
        estimated_memory_bytes: estimate.total_bytes,
        estimate: Some(Box::new(estimate)),
    });
    if recipe.data.packing {
        let apart = batches::Sampler::new(recipe.seed, lengths, None).padding(micro.batch);
        let line = format!(
            "packing: {} traces in {} sequences of at most {} tokens; {:.1} % of the places read are padding, {:.1} % would \
             be without packing",
            rows.rows.len(),
            sampler.count(),
            context,
            100.0 * sampler.padding(micro.batch),
            100.0 * apart
        );
        sink(TrainEvent::Log { line });
    }
    let run = Run { job, language, val, test, batch: micro.batch, sink: &mut *sink, stop };
    let watch = Watch::default();
    let rows = rows.rows;
    let all =
        Loop { run, start, rows, val_rows, sampler, micro, stride, checkpoints, progress, optimizer, watch, begun };
    let ended = all.go(decoder);
    if let Err(error @ TrainError::NotFinite { step, .. }) = &ended {
        sink(TrainEvent::Alarm { step: *step, message: error.to_string() });
    }
    ended
}
