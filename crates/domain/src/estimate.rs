//! What a run will need, by arithmetic alone, so that the server can refuse what cannot fit. Bytes unless said otherwise.

mod moments;

use crate::{
    finetune::LoraRecipe, micro_batch::Micro, model::ModelConfig, optimizer::OptimizerKind, recipe::TrainRecipe,
};
use serde::{Deserialize, Serialize};

/// Memory and work of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub parameters: u64,
    /// Tokens read over all steps, padding included (an upper bound).
    pub tokens: u64,
    pub weights_bytes: u64,
    pub gradients_bytes: u64,
    pub optimizer_bytes: u64,
    pub activations_bytes: u64,
    pub logits_bytes: u64,
    pub total_bytes: u64,
    /// Floating-point operations of the whole run: 6 a parameter and token (Kaplan et al. 2020) and attention's own.
    pub flops: f64,
    /// How the sequences of a step are read; absent in estimates of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro: Option<Micro>,
    /// Seconds of training, from a step that was measured; absent before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// Bytes of an f32, and of an f16 or bf16.
const F32: u64 = 4;
const HALF: u64 = 2;
/// The process itself: code, tokenizer, data, allocator.
const BASE: u64 = 60 << 20;

/// The share of the memory available that a micro-batch left to the trainer may fill.
const SHARE: f64 = 0.8;

/// The estimate for training `model` in f32 on sequences of `sequence` tokens by an optimizer of this `kind`; with `lora`, of
/// adapters beside its frozen weights. Where the recipe leaves the micro-batch to the trainer: the largest that fits into `available`, or the
/// smallest when none does or nobody knows.
pub fn training(
    model: &ModelConfig,
    train: &TrainRecipe,
    kind: OptimizerKind,
    lora: Option<&LoraRecipe>,
    sequence: usize,
    available: Option<u64>,
) -> Estimate {
    let choices = train.choices();
    let smallest = choices.last().copied().unwrap_or(Micro { batch: 1, accumulate: 1 });
    let most = available.map_or(0.0, |available| SHARE * available as f64);
    let all = choices.into_iter().map(|micro| with(model, train, kind, lora, micro, sequence));
    let fits = all.into_iter().find(|e| e.total_bytes as f64 <= most);
    fits.unwrap_or_else(|| with(model, train, kind, lora, smallest, sequence))
}

/// The estimate for a given micro-batch.
pub fn with(
    model: &ModelConfig,
    train: &TrainRecipe,
    kind: OptimizerKind,
    lora: Option<&LoraRecipe>,
    micro: Micro,
    sequence: usize,
) -> Estimate {
    let parameters = model.parameters();
    let trained = lora.map_or(parameters, |lora| lora.parameters(model));
    let (batch, seq) = (micro.batch as u64, sequence as u64);
    let rows = product(&[batch, seq]);
    let (d, f, heads) = (model.d_model as u64, model.d_ff as u64, model.heads as u64);
    let attention = (model.heads + 2 * model.kv_heads) as u64 * model.head_dim as u64;
    // Kept for backward, per token of a layer: inputs and normed inputs twice, q/k/v with and without rotation,
    // attention output, gate, up, SiLU and their product; per pair of tokens: scores and probabilities.
    let per_token = 6 * d + 2 * attention + 4 * f + lora.map_or(0, |lora| beside(model, lora));
    let pairs = product(&[2, batch, heads, seq, seq]);
    let (block, layers) = (product(&[rows, per_token]).saturating_add(pairs), model.layers as u64);
    // With recomputation: what goes into each block, and all of one.
    let kept =
        if train.recompute { product(&[layers, rows, d]).saturating_add(block) } else { product(&[layers, block]) };
    // `auto` may turn out to be f32.
    let activations_bytes = product(&[kept, if train.precision.is_half() { HALF } else { F32 }]);
    let logits_bytes = product(&[3, rows, model.vocab as u64, F32]);
    // Adapters are weights, too; frozen ones have neither gradients nor moments.
    let weights_bytes = F32 * (parameters + lora.map_or(0, |_| trained));
    let trained_bytes = F32 * trained;
    let averages = if train.ema_decay.is_some() { trained_bytes } else { 0 };
    let optimizer_bytes = F32 * moments::numbers(model, kind, lora) + averages;
    let total_bytes = (BASE + weights_bytes + trained_bytes + optimizer_bytes)
        .saturating_add(activations_bytes)
        .saturating_add(logits_bytes);
    let tokens = product(&[train.steps, train.sequences(), seq]);
    let attention_flops = 12.0 * (model.layers * model.heads * model.head_dim) as f64 * seq as f64;
    Estimate {
        parameters,
        tokens,
        weights_bytes,
        gradients_bytes: trained_bytes,
        optimizer_bytes,
        activations_bytes,
        logits_bytes,
        total_bytes,
        // Twice forward, twice back to the inputs, twice to the gradients of what is trained.
        flops: tokens as f64
            * (4.0 * parameters as f64 + 2.0 * trained as f64 + attention_flops)
            * if train.recompute { 4.0 / 3.0 } else { 1.0 },
        micro: Some(micro),
        seconds: None,
    }
}

/// Kept for backward by a layer's adapters, per token: x·A. What dropout zeroes is drawn again.
fn beside(model: &ModelConfig, lora: &LoraRecipe) -> u64 {
    lora.targets.iter().filter(|target| target.sizes(model).is_some()).map(|_| lora.rank as u64).sum()
}

/// Bytes above weights and optimizer while a checkpoint is written: the trained weights as a file, the moments as a file, and
/// the moments as numbers. These lie where the last step's gradients lay, whose place a process that keeps what was freed gives
/// back in part: three quarters stay (Adafactor, whose moments are small: 0.4 to 1.1 of it in a dozen runs on two machines).
pub fn saving(estimate: &Estimate) -> u64 {
    let numbers = estimate.optimizer_bytes.max(estimate.gradients_bytes / 4 * 3);
    estimate.gradients_bytes.saturating_add(estimate.optimizer_bytes).saturating_add(numbers)
}

/// What a recipe may ask for exceeds 64 bits: it is then the largest number, and refused as that.
fn product(factors: &[u64]) -> u64 {
    factors.iter().fold(1, |product, factor| product.saturating_mul(*factor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{precision::Precision, recipe::ModelRecipe};

    fn plain(batch: usize) -> TrainRecipe {
        TrainRecipe {
            steps: 1,
            batch: batch.into(),
            accumulate: 1,
            batch_total: None,
            recompute: false,
            precision: Default::default(),
            max_minutes: None,
            label_smoothing: 0.0,
            z_loss: 0.0,
            ema_decay: None,
        }
    }

    fn estimate(context: usize, batch: usize) -> Estimate {
        let model = ModelRecipe {
            d_model: 256,
            layers: 256,
            heads: 256,
            kv_heads: None,
            head_dim: Some(64),
            d_ff: None,
            context,
            rope_theta: 10_000.0,
            tie_embeddings: true,
        };
        let train = TrainRecipe { steps: 100_000_000, accumulate: 65_536, ..plain(batch) };
        training(&model.config(1_000_000), &train, OptimizerKind::AdamW, None, context, None)
    }

    #[test]
    fn frozen_weights_have_neither_gradients_nor_moments() {
        let shape = ModelRecipe { d_model: 64, layers: 2, heads: 2, context: 32, ..ModelRecipe::default() };
        let estimate = |lora| training(&shape.config(100), &plain(1), OptimizerKind::AdamW, lora, 32, None);
        let (full, lora) = (estimate(None), LoraRecipe::default());
        let tuned = estimate(Some(&lora));
        // Query and value of 64 by 64 by rank 8 in two layers.
        let trained = 2 * 2 * 8 * 128 * 4;
        assert_eq!(tuned.weights_bytes, full.weights_bytes + trained);
        assert_eq!((tuned.gradients_bytes, tuned.optimizer_bytes), (trained, 2 * trained));
        assert!(tuned.total_bytes < full.total_bytes && tuned.flops < full.flops);
        // x·A of two targets in two layers for each of 32 tokens.
        assert_eq!(tuned.activations_bytes - full.activations_bytes, 8 * 2 * 2 * 32 * 4);
    }

    #[test]
    fn half_precision_halves_activations_alone() {
        let shape = ModelRecipe { d_model: 64, layers: 2, heads: 2, context: 32, ..ModelRecipe::default() };
        let estimate = |precision| {
            let train = TrainRecipe { precision, ..plain(1) };
            training(&shape.config(100), &train, OptimizerKind::AdamW, None, 32, None)
        };
        let (auto, full, half) = (estimate(Precision::Auto), estimate(Precision::F32), estimate(Precision::Bf16));
        assert_eq!(auto, full);
        assert_eq!(half.activations_bytes, full.activations_bytes / 2);
        assert_eq!(full.total_bytes - half.total_bytes, half.activations_bytes);
    }

    #[test]
    fn the_largest_recipe_is_not_a_small_one() {
        let (small, large) = (estimate(8, 1), estimate(131_072, 65_536));
        assert!(small.total_bytes > small.weights_bytes * 4 && small.total_bytes < 1 << 40);
        assert_eq!((large.total_bytes, large.tokens), (u64::MAX, u64::MAX));
    }
}
