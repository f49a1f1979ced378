//! A recipe: how to train. Plain types with defaults; `service::recipe` reads YAML and reports errors by key.
//! Every key is honoured by the trainer; a key without effect does not belong here.

use crate::{
    device::DeviceChoice,
    finetune::{LoraRecipe, Method, ModelSource},
    optimizer::is_default,
    precision::Precision,
};
pub use crate::{
    micro_batch::{Micro, MicroBatch},
    optimizer::{OptimizerKind, OptimizerRecipe},
    schedule::{ScheduleKind, ScheduleRecipe},
};
use serde::{Deserialize, Serialize};

/// How to train one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Shown as the run's name unless the person gives another.
    pub name: String,
    #[serde(default = "one")]
    pub seed: u64,
    pub model: ModelSource,
    /// For a model from scratch; a base model brings its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<TokenizerRecipe>,
    #[serde(default, skip_serializing_if = "Method::is_default")]
    pub method: Method,
    /// For method `lora`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraRecipe>,
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

impl Default for ModelRecipe {
    /// The smallest shape; what a recipe need not say is here as it is when left out.
    fn default() -> Self {
        Self {
            d_model: 8,
            layers: 1,
            heads: 1,
            kv_heads: None,
            head_dim: None,
            d_ff: None,
            context: 8,
            rope_theta: rope_theta(),
            tie_embeddings: yes(),
        }
    }
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
    /// An instruction that stands before every prompt, in training and in evaluation; a trace's own goes before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    #[serde(default)]
    pub long_traces: LongTraces,
    /// Several traces share one sequence of up to `model.context` tokens, by best fit (Ding et al. 2024); none sees another.
    #[serde(default, skip_serializing_if = "is_default")]
    pub packing: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainRecipe {
    /// Optimizer steps.
    pub steps: u64,
    /// Sequences in a micro-batch; `auto`: the most that memory holds, as a whole part of `batch_total`.
    pub batch: MicroBatch,
    /// Micro-batches summed before one optimizer step.
    #[serde(default = "one_usize")]
    pub accumulate: usize,
    /// Sequences in an optimizer step, in place of `accumulate`: as many micro-batches are summed as make it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_total: Option<usize>,
    /// Compute each block again on the way back instead of keeping what it made: a third more work, far less memory.
    #[serde(default, skip_serializing_if = "is_default")]
    pub recompute: bool,
    /// What matrix products and activations are computed in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub precision: Precision,
    /// Stop after this many minutes with what is there; none: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_minutes: Option<f64>,
    /// Share of each target's probability spread evenly over the vocabulary (Szegedy et al. 2016).
    #[serde(default, skip_serializing_if = "is_default")]
    pub label_smoothing: f64,
    /// Weight of log²Z in the loss, which keeps logits from drifting (Chowdhery et al. 2022, PaLM: 1e-4).
    #[serde(default, skip_serializing_if = "is_default")]
    pub z_loss: f64,
    /// Decay of a moving average of the weights, which is then what is evaluated and exported; none: no average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema_decay: Option<f64>,
}

fn one_usize() -> usize {
    1
}

/// Evaluation while training and at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Stop after so many evaluations in a row without a better validation loss; none: train to the last step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_after: Option<u64>,
    /// By how much the loss must fall to count as better for `stop_after`.
    #[serde(skip_serializing_if = "is_default")]
    pub min_delta: f64,
}

impl Default for EvaluationRecipe {
    fn default() -> Self {
        Self {
            every: 100,
            val_items: 256,
            samples: 2,
            max_new_tokens: 128,
            test_items: 0,
            stop_after: None,
            min_delta: 0.0,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointRecipe {
    /// A checkpoint every so many steps; 0: only at the end.
    pub every: u64,
    /// Also when so many minutes have passed since the last one; none: by steps alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes: Option<f64>,
    /// How many of the newest to keep, besides the best.
    pub keep: usize,
}

impl Default for CheckpointRecipe {
    fn default() -> Self {
        Self { every: 100, minutes: None, keep: 2 }
    }
}
