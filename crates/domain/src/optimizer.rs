//! The optimizer section of a recipe. Keys that a kind does not use are refused by `service::recipe`, unless at their default.

use serde::{Deserialize, Serialize};

/// The rule by which gradients change weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Loshchilov & Hutter 2019.
    #[default]
    AdamW,
    /// Shazeer & Stern 2018: hardly any memory beside the weights; the learning rate is a share of each weight's size.
    Adafactor,
    /// Jordan 2024 for hidden matrices, AdamW for embeddings, output head, norms and biases.
    Muon,
}

impl OptimizerKind {
    pub const fn key(self) -> &'static str {
        match self {
            Self::AdamW => "adamw",
            Self::Adafactor => "adafactor",
            Self::Muon => "muon",
        }
    }
}

/// Norms, biases and embeddings are not decayed, whatever the kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerRecipe {
    // Not written at its default, as all keys younger than the first recipes: their hashes stay what they were.
    #[serde(skip_serializing_if = "is_default")]
    pub kind: OptimizerKind,
    /// At its peak. For `adafactor` a share of each weight's root mean square.
    pub learning_rate: f64,
    pub weight_decay: f64,
    /// Running mean of gradients (`adamw`, `muon`).
    pub beta1: f64,
    /// Running mean of squared gradients (`adamw`, `muon`).
    pub beta2: f64,
    /// Added to the root of the second moment (`adamw`, `muon`).
    pub epsilon: f64,
    /// Running mean of a hidden matrix' gradients (`muon`).
    #[serde(skip_serializing_if = "is_momentum")]
    pub momentum: f64,
    /// Largest global gradient norm; gradients are scaled down to it.
    pub clip_norm: f64,
}

const MOMENTUM: f64 = 0.95;

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_momentum(value: &f64) -> bool {
    *value == MOMENTUM
}

impl Default for OptimizerRecipe {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::AdamW,
            learning_rate: 1e-3,
            weight_decay: 0.1,
            beta1: 0.9,
            beta2: 0.95,
            epsilon: 1e-8,
            momentum: MOMENTUM,
            clip_norm: 1.0,
        }
    }
}
