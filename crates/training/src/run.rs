//! The whole of one training: data, loop, evaluation, export. Called again on the same work directory it goes on from the
//! last sound checkpoint; on Flex the losses are then the same, bit for bit, as if nothing had happened.

use crate::{
    StopSignal,
    alarms::{Figures, Watch},
    batches,
    checkpoint::{Checkpoints, Progress, sha256},
    data, device, evaluate, export,
    lock::WorkLock,
    memory,
    objective::{self, Objective},
    optimizer::{self, Optimizer},
    patience::Patience,
    preflight::Preflight,
    start::{self, Start},
};
use domain::{Job, NewTrace, TrainEvent, estimate, recipe::Micro};
use model::{Decoder, devices, store::StoreError};
use std::{io, time::Instant};
use text::{language::Language, layout::Encoded, pretrained::PretrainedError, tokenizer::TokenizerError};

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
    Weights(#[from] StoreError),
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

/// Rows that a checkpoint is tried on before it is written, at most.
const PROBE: usize = 8;

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
    let (device, info) = device::open(recipe.device, &mut |line| sink(TrainEvent::Log { line }))?;
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
    let start = Start::new(job, language.vocab_size(), base, device.autodiff())?;
    let (config, context) = (&start.config, recipe.model.context());
    let lengths: Vec<usize> = rows.rows.iter().map(|r| r.ids.len() - 1).collect();
    let capacity = recipe.data.packing.then_some(context);
    let sampler = batches::Sampler::new(recipe.seed, lengths.clone(), capacity);
    let longest = sampler.longest();
    // A GPU has memory of its own, which the driver guards.
    let on_cpu = info.backend == "flex";
    let available = if on_cpu { memory::available() } else { info.memory_bytes };
    let needed = estimate::training(config, &recipe.train, start.lora(), longest, available).total_bytes;
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
            },
            start.decoder()?,
            fresh,
        ),
    };
    let (parameters, steps) = (start.config.parameters(), recipe.train.steps);
    let line = format!(
        "{parameters} parameters{} on {} ({}), {} traces, {} of {steps} steps done",
        start.lora().map_or_else(String::new, |_| format!(" and {} trained beside them", start.trained())),
        info.backend,
        info.name,
        rows.rows.len(),
        progress.step
    );
    sink(TrainEvent::Log { line });
    // What is measured is a pass as training makes it.
    start.draw_dropout(&mut decoder, 0);
    let preflight = Preflight {
        model: config,
        train: &recipe.train,
        lora: start.lora(),
        rows: &rows.rows,
        sampler: &sampler,
        recipe_hash: &recipe_hash,
        on_cpu,
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
    let all = Loop { run, start, rows, val_rows, sampler, micro, checkpoints, progress, optimizer, watch, begun };
    let ended = all.go(decoder);
    if let Err(error @ TrainError::NotFinite { step, .. }) = &ended {
        sink(TrainEvent::Alarm { step: *step, message: error.to_string() });
    }
    ended
}

struct Loop<'a> {
    run: Run<'a>,
    start: Start,
    rows: Vec<Encoded>,
    val_rows: Vec<Encoded>,
    sampler: batches::Sampler,
    micro: Micro,
    checkpoints: Checkpoints,
    progress: Progress,
    optimizer: Optimizer,
    watch: Watch,
    begun: Instant,
}

impl Loop<'_> {
    fn go(mut self, mut decoder: Decoder) -> Result<Outcome, TrainError> {
        let recipe = &self.run.job.recipe;
        let (steps, every, saves) = (recipe.train.steps, recipe.evaluation.every, recipe.checkpoint.every);
        let (before, tokens_before) = (self.progress.seconds, self.progress.tokens);
        let minutes = recipe.train.max_minutes.unwrap_or(f64::INFINITY);
        let stop_after = recipe.evaluation.stop_after;
        let between = recipe.checkpoint.minutes.unwrap_or(f64::INFINITY);
        let (mut saved, mut saved_at) = (self.progress.step, Instant::now());
        self.look_at_disk(None);
        while self.progress.step < steps
            && self.progress.seconds / 60.0 < minutes
            && !self.progress.patience.spent(stop_after)
        {
            if self.run.stop.asked() {
                // What is on disk is not written again: a kill in that moment must find it.
                if saved != self.progress.step {
                    self.save(&decoder, false)?;
                }
                (self.run.sink)(TrainEvent::Stopped { step: self.progress.step });
                return Ok(Outcome::Stopped);
            }
            decoder = self.step(decoder)?;
            self.progress.seconds = before + self.begun.elapsed().as_secs_f64();
            let step = self.progress.step;
            let last = step == steps;
            let mut best = false;
            if last || every > 0 && step.is_multiple_of(every) {
                best = self.evaluate(&decoder)?;
            }
            let due = saves > 0 && step.is_multiple_of(saves) || saved_at.elapsed().as_secs_f64() / 60.0 >= between;
            if best || last || due {
                self.save(&decoder, best)?;
                (saved, saved_at) = (step, Instant::now());
            }
        }
        if saved != self.progress.step {
            self.save(&decoder, false)?;
        }
        let tuned = self.outcome(&decoder);
        let (hash, plain) = (sha256(&start::trained_weights(&tuned)?), tuned.clone().merged());
        if !evaluate::predictions(&mut self.run, &plain, &hash)? {
            (self.run.sink)(TrainEvent::Stopped { step: self.progress.step });
            return Ok(Outcome::Stopped);
        }
        let files = export::write(&plain, &self.start, &self.run, &tuned)?;
        (self.run.sink)(TrainEvent::Exported { files });
        let trained = (self.progress.seconds - before).max(1e-9);
        (self.run.sink)(TrainEvent::Finished {
            steps: self.progress.step,
            seconds: before + self.begun.elapsed().as_secs_f64(),
            peak_memory_bytes: memory::peak(),
            tokens_per_sec: (self.progress.tokens - tokens_before) as f64 / trained,
        });
        Ok(Outcome::Finished)
    }

    /// One optimizer step over its micro-batches; every trained token weighs the same.
    fn step(&mut self, mut decoder: Decoder) -> Result<Decoder, TrainError> {
        let recipe = &self.run.job.recipe;
        let clock = Instant::now();
        let step = self.progress.step;
        let Micro { batch, accumulate } = self.micro;
        let micro: Vec<batches::Batch> = (0..accumulate as u64)
            .map(|k| self.sampler.sequences(step * accumulate as u64 + k, batch))
            .map(|sequences| {
                let rows = |sequence: &Vec<usize>| sequence.iter().map(|r| &self.rows[*r]).collect();
                batches::laid_out(&sequences.iter().map(rows).collect::<Vec<_>>())
            })
            .collect();
        let trained: usize = micro.iter().map(|b| b.places.len()).sum();
        let tokens: u64 = micro.iter().map(|b| b.tokens).sum();
        let (mut total, mut gradients) = (0.0, None);
        let first = step * accumulate as u64;
        for (number, batch) in (first..).zip(&micro) {
            self.start.draw_dropout(&mut decoder, number);
            let (share, more) = objective::gradients(&decoder, batch, trained as f64, Objective::of(&recipe.train));
            total += share;
            gradients = Some(match gradients {
                None => more,
                Some(all) => optimizer::add(&decoder, all, more),
            });
        }
        if !total.is_finite() {
            return Err(TrainError::NotFinite { what: "the loss", value: total, step: step + 1 });
        }
        let rate = recipe.optimizer.learning_rate * recipe.schedule.factor(step, recipe.train.steps);
        let (decoder, norm) = self.optimizer.step(decoder, gradients.unwrap_or_default(), rate);
        if !norm.is_finite() {
            return Err(TrainError::NotFinite { what: "the gradient norm", value: norm, step: step + 1 });
        }
        self.progress.step += 1;
        self.progress.tokens += tokens;
        let (step, seconds) = (self.progress.step, clock.elapsed().as_secs_f64());
        (self.run.sink)(TrainEvent::Step {
            step,
            loss: total,
            learning_rate: rate,
            grad_norm: norm,
            tokens_per_sec: tokens as f64 / seconds.max(1e-9),
            memory_bytes: memory::resident(),
            tokens: self.progress.tokens,
        });
        self.look_at(Figures { step, loss: total, grad_norm: norm, seconds });
        Ok(decoder)
    }

    /// Validation loss and samples; whether the loss is the best so far.
    fn evaluate(&mut self, decoder: &Decoder) -> Result<bool, TrainError> {
        let plain = self.optimizer.evaluated(decoder).merged();
        let step = self.progress.step;
        if self.val_rows.is_empty() {
            evaluate::samples(&mut self.run, &plain, step)?;
            return Ok(false);
        }
        let loss = evaluate::val_loss(&plain, &self.val_rows, self.run.batch);
        if !loss.is_finite() {
            return Err(TrainError::NotFinite { what: "the validation loss", value: loss, step });
        }
        (self.run.sink)(TrainEvent::Validation { step, loss });
        (self.run.sink)(TrainEvent::Log { line: format!("step {step}: val loss {loss:.4}") });
        evaluate::samples(&mut self.run, &plain, step)?;
        self.progress.patience.judge(loss, self.run.job.recipe.evaluation.min_delta);
        let best = self.progress.best_val_loss.is_none_or(|b| loss < b);
        if best {
            self.progress.best_val_loss = Some(loss);
            self.progress.best_step = Some(step);
        }
        Ok(best)
    }

    /// Whether a step could follow: the last update may have ruined the weights, and the loss or gradient that shows it
    /// would come a step too late for the good checkpoint that a new one replaces.
    fn sound(&self, decoder: &Decoder) -> Result<(), TrainError> {
        let step = self.progress.step;
        let rows = self.rows.len().min(PROBE).min(self.run.batch);
        let objective = Objective::of(&self.run.job.recipe.train);
        let (value, gradients) = objective::gradients(decoder, &batches::batch(&self.rows[..rows]), 1.0, objective);
        if !value.is_finite() {
            return Err(TrainError::NotFinite { what: "the loss", value, step });
        }
        let value = optimizer::global_norm(decoder, &gradients);
        if value.is_finite() { Ok(()) } else { Err(TrainError::NotFinite { what: "the gradient norm", value, step }) }
    }

    fn save(&mut self, decoder: &Decoder, best: bool) -> Result<(), TrainError> {
        self.sound(decoder)?;
        let step = self.progress.step;
        let bytes = self.checkpoints.save(&self.progress, decoder, &self.optimizer)?;
        (self.run.sink)(TrainEvent::Checkpoint { step, best, bytes });
        (self.run.sink)(TrainEvent::Log { line: format!("step {step}: checkpoint saved, {bytes} bytes") });
        self.look_at_disk(Some(bytes));
        Ok(())
    }
}
