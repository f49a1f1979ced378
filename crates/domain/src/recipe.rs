//! A recipe: how to train. Plain types with defaults; `service::recipe` reads YAML and reports errors by key.
//! Every key is honoured by the trainer; a key without effect does not belong here.

use crate::device::DeviceChoice;
use serde::{Deserialize, Serialize};

/// How to train one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Shown as the run's name unless the person gives another.
    pub name: String,
    #[serde(default = "one")]
    pub seed: u64,
    pub model: ModelRecipe,
    pub tokenizer: TokenizerRecipe,
    #[serde(default)]
    pub data: DataRecipe,
    pub train: TrainRecipe,
    #[serde(default)]
    pub optimizer: OptimizerRecipe,
    #[serde(default)]
    pub schedule: ScheduleRecipe,
    #[serde(default)]
    pub evaluation: EvaluationRecipe,
    #[serde(default)]
    pub checkpoint: CheckpointRecipe,
    #[serde(default)]
    pub device: DeviceChoice,
}

fn one() -> u64 {
    1
}

/// A decoder trained from scratch. The vocabulary comes from the tokenizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRecipe {
    pub d_model: usize,
    pub layers: usize,
    pub heads: usize,
    /// Defaults to `heads`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_heads: Option<usize>,
    /// Defaults to `d_model / heads`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_dim: Option<usize>,
    /// Defaults to ⌊8·d_model/3⌋, the SwiGLU width with as many parameters as a plain layer of 4·d_model (Shazeer 2020).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_ff: Option<usize>,
    /// The longest sequence in tokens.
    pub context: usize,
    #[serde(default = "rope_theta")]
    pub rope_theta: f64,
    #[serde(default = "yes")]
    pub tie_embeddings: bool,
}

fn rope_theta() -> f64 {
    10_000.0
}

fn yes() -> bool {
    true
}

impl ModelRecipe {
    /// The model's shape once the vocabulary is known.
    pub fn config(&self, vocab: usize) -> crate::model::ModelConfig {
        crate::model::ModelConfig {
            architecture: crate::model::Architecture::Llama,
            vocab,
            d_model: self.d_model,
            layers: self.layers,
            heads: self.heads,
            kv_heads: self.kv_heads.unwrap_or(self.heads),
            head_dim: self.head_dim.unwrap_or(self.d_model / self.heads.max(1)),
            d_ff: self.d_ff.unwrap_or(8 * self.d_model / 3),
            context: self.context,
            rope_theta: self.rope_theta,
            norm_eps: 1e-5,
            tie_embeddings: self.tie_embeddings,
            design: crate::model::Design::default(),
        }
    }
}

/// The kind of tokenizer, trained on the dataset's train split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenizerKind {
    /// One token a character: best for digits.
    #[default]
    Char,
    /// Byte-level byte-pair encoding.
    Bpe,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerRecipe {
    pub kind: TokenizerKind,
    /// Tokens of a `bpe` vocabulary (at least 260: 256 bytes and 4 special tokens). Not for `char`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocab: Option<usize>,
}

/// What to do with a trace longer than the context.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LongTraces {
    /// Refuse to start, naming how many there are.
    #[default]
    Refuse,
    /// Leave them out, counted in the log.
    Drop,
    /// Cut the end off, counted in the log.
    Truncate,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRecipe {
    #[serde(default)]
    pub long_traces: LongTraces,
    /// Several traces share one sequence of up to `model.context` tokens, by best fit (Ding et al. 2024); none sees another.
    #[serde(default)]
    pub packing: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainRecipe {
    /// Optimizer steps.
    pub steps: u64,
    /// Sequences in a micro-batch.
    pub batch: usize,
    /// Micro-batches summed before one optimizer step.
    #[serde(default = "one_usize")]
    pub accumulate: usize,
    /// Stop after this many minutes with what is there; none: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_minutes: Option<f64>,
}

fn one_usize() -> usize {
    1
}

/// AdamW (Loshchilov & Hutter 2019); norms and embeddings are not decayed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerRecipe {
    pub learning_rate: f64,
    pub weight_decay: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    /// Largest global gradient norm; gradients are scaled down to it.
    pub clip_norm: f64,
}

impl Default for OptimizerRecipe {
    fn default() -> Self {
        Self { learning_rate: 1e-3, weight_decay: 0.1, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, clip_norm: 1.0 }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    Constant,
    Linear,
    #[default]
    Cosine,
}

/// The learning rate over the steps: warm-up from 0, then the schedule down to `min_ratio` of the peak.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleRecipe {
    pub kind: ScheduleKind,
    pub warmup_steps: u64,
    pub min_ratio: f64,
}

impl Default for ScheduleRecipe {
    fn default() -> Self {
        Self { kind: ScheduleKind::Cosine, warmup_steps: 50, min_ratio: 0.1 }
    }
}

impl ScheduleRecipe {
    /// The factor on the peak learning rate at `step` (from 0) of `steps`.
    pub fn factor(&self, step: u64, steps: u64) -> f64 {
        if step < self.warmup_steps {
            return (step + 1) as f64 / self.warmup_steps as f64;
        }
        let rest = steps.saturating_sub(self.warmup_steps).max(1);
        let done = ((step - self.warmup_steps) as f64 / rest as f64).min(1.0);
        let shape = match self.kind {
            ScheduleKind::Constant => return 1.0,
            ScheduleKind::Linear => 1.0 - done,
            ScheduleKind::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        };
        self.min_ratio + (1.0 - self.min_ratio) * shape
    }
}

/// Evaluation while training and at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationRecipe {
    /// Validation loss and samples every so many steps; 0: only at the end.
    pub every: u64,
    /// At most this many traces of the val split for the validation loss.
    pub val_items: usize,
    /// Samples generated at each evaluation.
    pub samples: usize,
    /// The longest answer, in tokens.
    pub max_new_tokens: usize,
    /// At most this many items of the test split in the final evaluation; 0: all.
    pub test_items: usize,
}

impl Default for EvaluationRecipe {
    fn default() -> Self {
        Self { every: 100, val_items: 256, samples: 2, max_new_tokens: 128, test_items: 0 }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointRecipe {
    /// A checkpoint every so many steps; 0: only at the end.
    pub every: u64,
    /// How many of the newest to keep, besides the best.
    pub keep: usize,
}

impl Default for CheckpointRecipe {
    fn default() -> Self {
        Self { every: 100, keep: 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_by_hand() {
        let cosine = ScheduleRecipe { kind: ScheduleKind::Cosine, warmup_steps: 10, min_ratio: 0.1 };
        for (step, expected) in [(0, 0.1), (9, 1.0), (10, 1.0), (60, 0.55), (110, 0.1), (500, 0.1)] {
            assert!((cosine.factor(step, 110) - expected).abs() < 1e-12, "{step}");
        }
        let linear = ScheduleRecipe { kind: ScheduleKind::Linear, warmup_steps: 0, min_ratio: 0.0 };
        assert!((linear.factor(25, 100) - 0.75).abs() < 1e-12);
    }
}
