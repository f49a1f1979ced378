//! The loop of a training: steps, evaluations and checkpoints in their turn, then the predictions and the export.

use super::{Outcome, Run, TrainError};
use crate::{
    alarms::{Figures, Watch},
    batches,
    checkpoint::{Checkpoints, Progress, sha256},
    evaluate, export, memory,
    objective::{self, Objective, Sum},
    optimizer::{self, Optimizer},
    precision::LossScale,
    start::{self, Start},
};
use burn::optim::GradientsParams;
use domain::{TrainEvent, recipe::Micro};
use model::{Decoder, devices};
use std::time::Instant;
use text::layout::Encoded;

/// Rows that a checkpoint is tried on before it is written, at most.
const PROBE: usize = 8;

/// A training under way.
pub(super) struct Loop<'a> {
    pub(super) run: Run<'a>,
    pub(super) start: Start,
    pub(super) rows: Vec<Encoded>,
    pub(super) val_rows: Vec<Encoded>,
    pub(super) sampler: batches::Sampler,
    pub(super) micro: Micro,
    /// What lengths of micro-batches are multiples of.
    pub(super) stride: usize,
    pub(super) checkpoints: Checkpoints,
    pub(super) progress: Progress,
    pub(super) optimizer: Optimizer,
    pub(super) watch: Watch,
    pub(super) begun: Instant,
}

impl Loop<'_> {
    /// Trains from where the progress is to the end, then evaluates and exports.
    pub(super) fn go(mut self, mut decoder: Decoder) -> Result<Outcome, TrainError> {
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
            peak_memory_bytes: devices::reserved(self.start.device()).unwrap_or_else(memory::peak),
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
                batches::laid_out(&sequences.iter().map(rows).collect::<Vec<_>>(), self.stride)
            })
            .collect();
        let trained: usize = micro.iter().map(|b| b.places.len()).sum();
        let tokens: u64 = micro.iter().map(|b| b.tokens).sum();
        let rate = recipe.optimizer.learning_rate * recipe.schedule.factor(step, recipe.train.steps);
        let (total, norm) = loop {
            let factor = self.progress.loss_scale.map_or(1.0, LossScale::factor);
            let (shares, gradients) = self.gradients(&mut decoder, &micro, trained as f64, factor);
            let norm;
            (decoder, norm) = self.optimizer.step(decoder, gradients, factor, rate);
            let total: f64 = shares.into_iter().map(|share| share.read() / factor).sum();
            if !total.is_finite() {
                return Err(TrainError::NotFinite { what: "the loss", value: total, step: step + 1 });
            }
            if norm.is_finite() {
                break (total, norm);
            }
            // Nothing was updated: the same step is taken again with a smaller scale.
            let Some(smaller) = self.progress.loss_scale.and_then(LossScale::overflowed) else {
                return Err(TrainError::NotFinite { what: "the gradient norm", value: norm, step: step + 1 });
            };
            self.progress.loss_scale = Some(smaller);
            let line =
                format!("step {}: f16 overflowed, so the loss scale is halved to {}", step + 1, smaller.factor());
            (self.run.sink)(TrainEvent::Log { line });
        };
        self.progress.loss_scale = self.progress.loss_scale.map(LossScale::held);
        self.progress.step += 1;
        self.progress.tokens += tokens;
        let (step, seconds) = (self.progress.step, clock.elapsed().as_secs_f64());
        (self.run.sink)(TrainEvent::Step {
            step,
            loss: total,
            learning_rate: rate,
            grad_norm: norm,
            tokens_per_sec: tokens as f64 / seconds.max(1e-9),
            memory_bytes: devices::reserved(self.start.device()).unwrap_or_else(memory::resident),
            tokens: self.progress.tokens,
        });
        self.look_at(Figures { step, loss: total, grad_norm: norm, seconds });
        Ok(decoder)
    }

    /// The losses of a step's micro-batches and their gradients' sum, all multiplied by `factor`. `trained`: tokens over all.
    fn gradients(
        &self,
        decoder: &mut Decoder,
        micro: &[batches::Batch],
        trained: f64,
        factor: f64,
    ) -> (Vec<Sum>, GradientsParams) {
        let objective = Objective::of(&self.run.job.recipe.train);
        let (mut shares, mut gradients) = (Vec::with_capacity(micro.len()), None);
        let first = self.progress.step * self.micro.accumulate as u64;
        for (number, batch) in (first..).zip(micro) {
            self.start.draw_dropout(decoder, number);
            let (share, more) = objective::gradients(decoder, batch, trained / factor, objective);
            shares.push(share);
            gradients = Some(match gradients {
                None => more,
                Some(all) => optimizer::add(decoder, all, more),
            });
        }
        (shares, gradients.unwrap_or_default())
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
        let value = value.read();
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
