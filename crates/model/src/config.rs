//! `config.json` in Hugging Face's layout, both ways, for the Llama family.

use domain::model::{Architecture, ModelConfig};
use serde_json::{Value, json};

/// Why a `config.json` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("config.json is not JSON: {0}")]
    Json(String),
    #[error("config.json has no usable {0}")]
    Missing(&'static str),
    #[error("unknown model_type {0:?}; known: llama")]
    Type(String),
}

/// Reads a `config.json`. `rope_theta` may stand at the top or inside `rope_parameters`.
pub fn from_json(text: &str) -> Result<ModelConfig, ConfigError> {
    let json: Value = serde_json::from_str(text).map_err(|e| ConfigError::Json(e.to_string()))?;
    let kind = json["model_type"].as_str().unwrap_or_default();
    if kind != "llama" {
        return Err(ConfigError::Type(kind.to_owned()));
    }
    let size = |key: &'static str| {
        let value = json[key].as_u64().filter(|v| *v > 0).and_then(|v| usize::try_from(v).ok());
        value.ok_or(ConfigError::Missing(key))
    };
    let (d_model, heads) = (size("hidden_size")?, size("num_attention_heads")?);
    let theta = json["rope_theta"].as_f64().or_else(|| json["rope_parameters"]["rope_theta"].as_f64());
    Ok(ModelConfig {
        architecture: Architecture::Llama,
        vocab: size("vocab_size")?,
        d_model,
        layers: size("num_hidden_layers")?,
        heads,
        kv_heads: size("num_key_value_heads").unwrap_or(heads),
        head_dim: size("head_dim").unwrap_or(d_model / heads),
        d_ff: size("intermediate_size")?,
        context: size("max_position_embeddings")?,
        rope_theta: theta.unwrap_or(10_000.0),
        norm_eps: json["rms_norm_eps"].as_f64().unwrap_or(1e-6),
        tie_embeddings: json["tie_word_embeddings"].as_bool().unwrap_or(false),
    })
}

/// Writes a `config.json` that `transformers` loads as `LlamaForCausalLM`. Special tokens: pad 0, bos 1, eos 2.
pub fn to_json(config: &ModelConfig) -> String {
    let json = json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.vocab,
        "hidden_size": config.d_model,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.d_ff,
        "max_position_embeddings": config.context,
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tie_embeddings,
        "hidden_act": "silu",
        "attention_bias": false,
        "mlp_bias": false,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "dtype": "float32",
    });
    format!("{json:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_configs_read_back() {
        let text = include_str!("../tests/fixtures/llama/config.json");
        let config = from_json(text).unwrap();
        assert_eq!((config.d_model, config.kv_heads, config.head_dim, config.tie_embeddings), (48, 2, 8, true));
        assert_eq!(from_json(&to_json(&config)).unwrap(), config);
    }

    #[test]
    fn others_are_refused() {
        assert_eq!(from_json(r#"{"model_type":"bert"}"#), Err(ConfigError::Type("bert".into())));
        assert_eq!(from_json(r#"{"model_type":"llama"}"#), Err(ConfigError::Missing("hidden_size")));
    }
}
