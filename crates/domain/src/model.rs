//! The shape of a model: everything needed to build one, besides its weights.

use serde::{Deserialize, Serialize};

/// The decoder family, by its Hugging Face `model_type`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// RMSNorm, rotary positions, SwiGLU, grouped-query attention.
    #[default]
    Llama,
    Qwen2,
    Qwen3,
    Gemma,
    Gpt2,
}

impl Architecture {
    pub const fn key(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma => "gemma",
            Self::Gpt2 => "gpt2",
        }
    }
}

/// Sizes of a decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    pub architecture: Architecture,
    pub vocab: usize,
    pub d_model: usize,
    pub layers: usize,
    pub heads: usize,
    /// Key/value heads; `heads` must be a multiple (grouped-query attention).
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Width of the feed-forward layer.
    pub d_ff: usize,
    /// The longest sequence, in tokens.
    pub context: usize,
    pub rope_theta: f64,
    pub norm_eps: f64,
    /// Whether the output head shares the embedding's weights.
    pub tie_embeddings: bool,
}

impl ModelConfig {
    /// Trainable parameters (Llama layout: no biases, one final norm).
    pub fn parameters(&self) -> u64 {
        let (d, f) = (self.d_model as u64, self.d_ff as u64);
        let q = d * (self.heads * self.head_dim) as u64;
        let kv = d * (self.kv_heads * self.head_dim) as u64;
        let block = 2 * q + 2 * kv + 3 * d * f + 2 * d;
        let heads = if self.tie_embeddings { 1 } else { 2 };
        self.layers as u64 * block + heads * self.vocab as u64 * d + d
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_by_hand() {
        let config = ModelConfig {
            architecture: Architecture::Llama,
            vocab: 199,
            d_model: 48,
            layers: 3,
            heads: 6,
            kv_heads: 2,
            head_dim: 8,
            d_ff: 112,
            context: 128,
            rope_theta: 10_000.0,
            norm_eps: 1e-5,
            tie_embeddings: true,
        };
        // block: q,o 2·48·48 + k,v 2·48·16 + mlp 3·48·112 + norms 96 = 22,368; three of them, 199·48 embeddings, 48 norm.
        assert_eq!(config.parameters(), 3 * 22_368 + 9_552 + 48);
    }
}
