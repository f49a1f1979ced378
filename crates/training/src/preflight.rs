//! Before the first step: what the run will need, by one forward and backward pass measured, and the micro-batch where the
//! recipe leaves it to the trainer. Both are kept in the work directory, so that a run that goes on goes on as it began.

use crate::{
    batches::{self, Batch, Sampler},
    checkpoint, memory,
    objective::{self, Objective},
    run::TrainError,
};
use burn::module::Module;
use domain::{
    ModelConfig,
    estimate::{self, Estimate},
    finetune::LoraRecipe,
    recipe::{Micro, OptimizerKind, TrainRecipe},
};
use model::{Decoder, devices};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path, time::Instant};
use text::layout::Encoded;

const FILE: &str = "preflight.json";
/// The share of the memory available that a micro-batch chosen here may fill: other programs want some too.
const SHARE: f64 = 0.8;
/// A pass faster than this is measured twice: the first one also wakes threads and touches new memory.
const SHORT: f64 = 2.0;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    recipe_hash: String,
    estimate: Estimate,
}

/// What a pass over a micro-batch takes.
#[derive(Debug, Clone, Copy)]
struct Pass {
    /// Bytes above what was resident before: activations, logits, gradients, and what the backward pass needs beside them.
    /// None where the system does not tell.
    bytes: Option<u64>,
    seconds: f64,
    /// Tokens read, padding included.
    places: u64,
}

/// What a preflight is made from.
pub(crate) struct Preflight<'a> {
    pub(crate) model: &'a ModelConfig,
    pub(crate) train: &'a TrainRecipe,
    pub(crate) optimizer: OptimizerKind,
    /// What is trained beside frozen weights.
    pub(crate) lora: Option<&'a LoraRecipe>,
    pub(crate) rows: &'a [Encoded],
    pub(crate) sampler: &'a Sampler,
    pub(crate) recipe_hash: &'a str,
    /// Whether tensors lie in this process's memory.
    pub(crate) on_cpu: bool,
    /// What lengths of micro-batches are multiples of.
    pub(crate) stride: usize,
    /// Bytes of memory that were free before the model was made; none where nobody knows.
    pub(crate) available: Option<u64>,
}

impl Preflight<'_> {
    /// The estimate of this run, from the work directory when it is there, else measured on `decoder` and put there.
    pub(crate) fn run(
        &self,
        decoder: &Decoder,
        work: &Path,
        say: &mut dyn FnMut(String),
    ) -> Result<Estimate, TrainError> {
        let path = work.join(FILE);
        let kept = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
        if let Some(kept) = kept.filter(|kept| kept.recipe_hash == self.recipe_hash) {
            return Ok(kept.estimate);
        }
        let estimate = self.measured(decoder, say);
        let kept = Kept { recipe_hash: self.recipe_hash.to_owned(), estimate };
        let bytes = serde_json::to_vec_pretty(&kept).map_err(|e| TrainError::Disk(e.into()))?;
        checkpoint::write_atomic(&path, &bytes).map_err(TrainError::Disk)?;
        Ok(kept.estimate)
    }

    fn measured(&self, decoder: &Decoder, say: &mut dyn FnMut(String)) -> Estimate {
        let longest = self.sampler.longest();
        let planned = estimate::training(self.model, self.train, self.optimizer, self.lora, longest, self.available);
        let choices = self.train.choices();
        let planned_micro = planned.micro.unwrap_or(Micro { batch: 1, accumulate: 1 });
        // With a choice, a quarter of what arithmetic would take is tried: it must not fill the memory it is to measure.
        let tried = if choices.len() > 1 {
            let small = choices.iter().find(|m| m.batch <= planned_micro.batch.div_ceil(4));
            small.copied().unwrap_or(planned_micro)
        } else {
            planned_micro
        };
        let before = held(decoder);
        let pass = self.pass(decoder, tried.batch);
        let fit = |micro: Micro| self.corrected(micro, tried, before, pass, longest);
        let estimate = if choices.len() > 1 {
            let most = SHARE * self.available.unwrap_or(0) as f64;
            let chosen = choices.iter().map(|micro| fit(*micro)).find(|e| e.total_bytes as f64 <= most);
            let chosen = chosen.unwrap_or_else(|| fit(choices[choices.len() - 1]));
            let micro = chosen.micro.unwrap_or(tried);
            say(format!(
                "batch: {} sequences at once, {} times a step, of train.batch_total = {}: about {:.2} GB of {} (a pass of {} \
                 sequences was measured)",
                micro.batch,
                micro.accumulate,
                self.train.sequences(),
                chosen.total_bytes as f64 / 1e9,
                self.available.map_or("unknown memory".into(), |a| format!("{:.2} GB available", a as f64 / 1e9)),
                tried.batch
            ));
            chosen
        } else {
            fit(tried)
        };
        say(format!(
            "estimate: {:.2} GB of memory (weights {:.2}, gradients {:.2}, optimizer {:.2}, activations {:.2}, logits {:.2}; by \
             arithmetic alone {:.2} in all), {:.0} s of training",
            estimate.total_bytes as f64 / 1e9,
            estimate.weights_bytes as f64 / 1e9,
            estimate.gradients_bytes as f64 / 1e9,
            estimate.optimizer_bytes as f64 / 1e9,
            estimate.activations_bytes as f64 / 1e9,
            estimate.logits_bytes as f64 / 1e9,
            planned.total_bytes as f64 / 1e9,
            estimate.seconds.unwrap_or(0.0)
        ));
        estimate
    }

    /// One forward and backward pass over so many sequences, the longest among them.
    fn pass(&self, decoder: &Decoder, batch: usize) -> Pass {
        let sequences = self.sampler.with_longest(batch);
        let rows = |sequence: &Vec<usize>| sequence.iter().map(|row| &self.rows[*row]).collect();
        let batch = batches::laid_out(&sequences.iter().map(rows).collect::<Vec<_>>(), self.stride);
        measure(decoder, &batch, Objective::of(self.train), self.on_cpu)
    }

    /// The estimate for `micro`, scaled to what the pass over `tried` took.
    fn corrected(&self, micro: Micro, tried: Micro, before: u64, pass: Pass, longest: usize) -> Estimate {
        let mut estimate = estimate::with(self.model, self.train, self.optimizer, self.lora, micro, longest);
        let places = (1.0 - self.sampler.padding(micro.batch)).recip() * self.sampler.mean();
        let all = self.train.steps as f64 * self.train.sequences() as f64 * places;
        estimate.seconds = Some(all / pass.places as f64 * pass.seconds);
        let Some(bytes) = pass.bytes else { return estimate };
        let small = estimate::with(self.model, self.train, self.optimizer, self.lora, tried, longest);
        let gradients = estimate.gradients_bytes;
        let moving = |e: &Estimate| (e.activations_bytes.saturating_add(e.logits_bytes)) as f64;
        // Gradients come as activations go.
        let factor = bytes.saturating_sub(gradients) as f64 / moving(&small).max(1.0);
        let scale = |bytes: u64| (bytes as f64 * factor) as u64;
        estimate.activations_bytes = scale(estimate.activations_bytes);
        estimate.logits_bytes = scale(estimate.logits_bytes);
        // The sum of earlier micro-batches' gradients lies beside those of the next.
        let sums = if micro.accumulate > 1 { gradients } else { 0 };
        let step = estimate.activations_bytes.saturating_add(estimate.logits_bytes).saturating_add(gradients + sums);
        let saving = estimate::saving(&estimate);
        estimate.total_bytes = before.saturating_add(estimate.optimizer_bytes).saturating_add(step.max(saving));
        estimate
    }
}

/// Bytes that training with AdamW on batches like this one needs, from a pass that is measured; none where the system does not
/// tell.
pub(crate) fn needed(decoder: &Decoder, batch: &Batch, on_cpu: bool) -> Option<u64> {
    let before = held(decoder);
    let moments = 2 * 4 * decoder.num_params() as u64;
    measure(decoder, batch, Objective::default(), on_cpu).bytes.map(|bytes| before + bytes + moments)
}

fn measure(decoder: &Decoder, batch: &Batch, objective: Objective, on_cpu: bool) -> Pass {
    let before = held(decoder);
    let known = !on_cpu || memory::forget_peak();
    let mut seconds = step(decoder, batch, objective);
    let most = if on_cpu { memory::peak_since() } else { held(decoder) };
    let bytes = known.then(|| most.saturating_sub(before));
    // So does a GPU, which compiles its kernels in the first.
    if !on_cpu || seconds < SHORT {
        seconds = step(decoder, batch, objective);
    }
    Pass { bytes, seconds, places: (batch.rows * batch.length) as u64 }
}

/// Bytes that this process takes where the model lies: what a GPU once gave it keeps for the next pass.
fn held(decoder: &Decoder) -> u64 {
    devices::reserved(&decoder.device()).unwrap_or_else(memory::resident)
}

/// Seconds of a forward and backward pass whose gradients go unused.
fn step(decoder: &Decoder, batch: &Batch, objective: Objective) -> f64 {
    let clock = Instant::now();
    // The loss is read, which waits for a device that works on its own.
    let (loss, gradients) = objective::gradients(decoder, batch, batch.places.len().max(1) as f64, objective);
    loss.read();
    drop(gradients);
    clock.elapsed().as_secs_f64()
}
