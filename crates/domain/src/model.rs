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
    pub const ALL: [Self; 5] = [Self::Llama, Self::Qwen2, Self::Qwen3, Self::Gemma, Self::Gpt2];

    pub const fn key(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma => "gemma",
            Self::Gpt2 => "gpt2",
        }
    }

    /// How a family differs from Llama, as its `transformers` classes have it by default.
    pub fn design(self) -> Design {
        let llama = Design::default();
        match self {
            Self::Llama => llama,
            Self::Qwen2 => Design { qkv_bias: true, ..llama },
            Self::Qwen3 => Design { qk_norm: true, ..llama },
            Self::Gemma => {
                Design { norm: Norm::RmsOffset, activation: Activation::GeluTanh, scaled_embedding: true, ..llama }
            }
            Self::Gpt2 => Design {
                norm: Norm::Layer,
                activation: Activation::GeluTanh,
                gated: false,
                positions: Positions::Learned,
                qkv_bias: true,
                output_bias: true,
                feed_bias: true,
                ..llama
            },
        }
    }
}

/// How the inputs of a layer are normed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// RMSNorm, times the weight.
    #[default]
    Rms,
    /// RMSNorm, times 1 + weight (Gemma).
    RmsOffset,
    /// LayerNorm with a bias.
    Layer,
}

/// What bends the feed-forward layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    #[default]
    Silu,
    Gelu,
    /// GELU by its tanh approximation.
    GeluTanh,
}

/// How a token knows its place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Positions {
    /// Queries and keys are turned.
    #[default]
    Rotary,
    /// A learned vector for each position is added to the token's.
    Learned,
}

/// Rotary frequencies stretched for a longer context, as Llama 3.1 does (`rope_type: llama3`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RopeScaling {
    /// Long waves become so much longer.
    pub factor: f64,
    pub low_freq_factor: f64,
    pub high_freq_factor: f64,
    /// The context before stretching.
    pub original_context: usize,
}

/// The switches by which families differ. The default is Llama's, which configs written without them mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Design {
    pub norm: Norm,
    pub activation: Activation,
    /// down(activation(gate(x)) · up(x)) rather than down(activation(up(x))).
    pub gated: bool,
    pub positions: Positions,
    /// Biases of query, key and value; of the attention's output; of the feed-forward layer.
    pub qkv_bias: bool,
    pub output_bias: bool,
    pub feed_bias: bool,
    /// Whether each head's query and key are normed.
    pub qk_norm: bool,
    /// Whether a token's vector is multiplied by √d_model.
    pub scaled_embedding: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_scaling: Option<RopeScaling>,
}

impl Default for Design {
    fn default() -> Self {
        Self {
            norm: Norm::Rms,
            activation: Activation::Silu,
            gated: true,
            positions: Positions::Rotary,
            qkv_bias: false,
            output_bias: false,
            feed_bias: false,
            qk_norm: false,
            scaled_embedding: false,
            rope_scaling: None,
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
    #[serde(default)]
    pub design: Design,
}

impl ModelConfig {
    /// Trainable parameters.
    pub fn parameters(&self) -> u64 {
        let size = |n: usize| n as u64;
        let (d, f, hd) = (size(self.d_model), size(self.d_ff), size(self.head_dim));
        let (q, kv) = (size(self.heads) * hd, size(self.kv_heads) * hd);
        let with = |yes: bool, count: u64| if yes { count } else { 0 };
        let design = &self.design;
        let norm = d + with(design.norm == Norm::Layer, d);
        let attention = 2 * d * q + 2 * d * kv + with(design.qk_norm, 2 * hd);
        let biases = with(design.qkv_bias, q + 2 * kv) + with(design.output_bias, d);
        let wide = if design.gated { 2 } else { 1 };
        let feed = (wide + 1) * d * f + with(design.feed_bias, wide * f + d);
        let tables = if self.tie_embeddings { 1 } else { 2 } * size(self.vocab) * d;
        let positions = with(design.positions == Positions::Learned, size(self.context) * d);
        size(self.layers) * (attention + biases + feed + 2 * norm) + tables + positions + norm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(architecture: Architecture) -> ModelConfig {
        ModelConfig {
            architecture,
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
            design: architecture.design(),
        }
    }

    #[test]
    fn parameters_by_hand() {
        // block: q,o 2·48·48 + k,v 2·48·16 + mlp 3·48·112 + norms 96 = 22,368; three of them, 199·48 embeddings, 48 norm.
        let llama = 3 * 22_368 + 9_552 + 48;
        assert_eq!(config(Architecture::Llama).parameters(), llama);
        assert_eq!(config(Architecture::Qwen2).parameters(), llama + 3 * (48 + 16 + 16));
        assert_eq!(config(Architecture::Qwen3).parameters(), llama + 3 * 16);
        assert_eq!(config(Architecture::Gemma).parameters(), llama);
        // GPT-2 124M: the figure of `GPT2LMHeadModel("gpt2").num_parameters()`.
        let gpt2 = ModelConfig {
            vocab: 50_257,
            d_model: 768,
            layers: 12,
            heads: 12,
            kv_heads: 12,
            head_dim: 64,
            d_ff: 3_072,
            context: 1_024,
            ..config(Architecture::Gpt2)
        };
        assert_eq!(gpt2.parameters(), 124_439_808);
    }

    #[test]
    fn configs_without_a_design_are_llamas() {
        let stored = r#"{"architecture":"llama","vocab":199,"d_model":48,"layers":3,"heads":6,"kv_heads":2,"head_dim":8,
            "d_ff":112,"context":128,"rope_theta":10000.0,"norm_eps":1e-5,"tie_embeddings":true}"#;
        let read: ModelConfig = serde_json::from_str(stored).unwrap();
        assert_eq!(read, config(Architecture::Llama));
        for architecture in Architecture::ALL {
            let text = serde_json::to_string(&config(architecture)).unwrap();
            assert_eq!(serde_json::from_str::<ModelConfig>(&text).unwrap(), config(architecture));
        }
    }
}
