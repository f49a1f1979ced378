//! Shapes that speed is measured on.

use domain::{ModelConfig, model::Architecture};

/// Those that [`named`] knows.
pub const NAMES: [&str; 3] = ["gpt2", "llama-30m", "smollm2"];

/// A shape by its name: 124 M, 30 M and 135 M parameters.
pub fn named(name: &str) -> Option<ModelConfig> {
    Some(match name {
        // Radford et al. 2019; the vocabulary filled up to a multiple of 64, as llm.c and nanoGPT have it.
        "gpt2" => ModelConfig { vocab: 50_304, d_ff: 3_072, ..shape(Architecture::Gpt2, 768, 12, 12) },
        "llama-30m" => ModelConfig { vocab: 8_192, d_ff: 1_408, ..shape(Architecture::Llama, 512, 8, 8) },
        "smollm2" => ModelConfig { vocab: 49_152, d_ff: 1_536, kv_heads: 3, ..shape(Architecture::Llama, 576, 30, 9) },
        _ => return None,
    })
}

/// Of a family, with a feed-forward width of 8·d_model/3, tied to the embedding.
pub fn shape(architecture: Architecture, d_model: usize, layers: usize, heads: usize) -> ModelConfig {
    ModelConfig {
        architecture,
        vocab: 4_096,
        d_model,
        layers,
        heads,
        kv_heads: heads,
        head_dim: d_model / heads,
        d_ff: 8 * d_model / 3,
        context: 1_024,
        rope_theta: 10_000.0,
        norm_eps: 1e-5,
        tie_embeddings: true,
        design: architecture.design(),
    }
}
