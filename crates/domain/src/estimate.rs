//! What a run will need, by arithmetic alone, so that the server can refuse what cannot fit. Bytes unless said otherwise.

use crate::{model::ModelConfig, recipe::TrainRecipe};
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
}

/// Bytes of an f32.
const F32: u64 = 4;
/// The process itself: code, tokenizer, data, allocator.
const BASE: u64 = 100 << 20;

/// The estimate for training `model` in f32 with AdamW on sequences of `sequence` tokens.
pub fn training(model: &ModelConfig, train: &TrainRecipe, sequence: usize) -> Estimate {
    let parameters = model.parameters();
    let (batch, seq) = (train.batch as u64, sequence as u64);
    let rows = batch * seq;
    let (d, f, heads) = (model.d_model as u64, model.d_ff as u64, model.heads as u64);
    let attention = (model.heads + 2 * model.kv_heads) as u64 * model.head_dim as u64;
    // Kept for backward, per token of a layer: inputs and normed inputs twice, q/k/v with and without rotation,
    // attention output, gate, up, SiLU and their product; per pair of tokens: scores and probabilities.
    let per_token = 6 * d + 2 * attention + 4 * f;
    let pairs = 2 * batch * heads * seq * seq;
    let activations_bytes = model.layers as u64 * (rows * per_token + pairs) * F32;
    let logits_bytes = 3 * rows * model.vocab as u64 * F32;
    let weights_bytes = parameters * F32;
    let total_bytes = BASE + 4 * weights_bytes + activations_bytes + logits_bytes;
    let tokens = train.steps * train.accumulate as u64 * rows;
    let attention_flops = 12.0 * (model.layers * model.heads * model.head_dim) as f64 * seq as f64;
    Estimate {
        parameters,
        tokens,
        weights_bytes,
        gradients_bytes: weights_bytes,
        optimizer_bytes: 2 * weights_bytes,
        activations_bytes,
        logits_bytes,
        total_bytes,
        flops: tokens as f64 * (6.0 * parameters as f64 + attention_flops),
    }
}
