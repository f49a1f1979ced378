//! `config.json` in Hugging Face's layout, both ways, for all families.

mod read;
mod write;

pub use read::{from_json, token_ids};
pub use write::{generation_json, to_json};

use domain::model::Architecture;

/// Why a `config.json` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("config.json is not JSON: {0}")]
    Json(String),
    #[error("config.json has no usable {0}")]
    Missing(&'static str),
    #[error("config.json sets {key} to {value}; {known}")]
    Unsupported { key: &'static str, value: String, known: &'static str },
    #[error("unknown model_type {0:?}; known: {known}", known = known())]
    Type(String),
}

fn known() -> String {
    Architecture::ALL.map(Architecture::key).join(", ")
}

/// Special tokens of a checkpoint, by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenIds {
    pub bos: Option<u32>,
    /// Any of them ends a text.
    pub eos: Vec<u32>,
    pub pad: Option<u32>,
}

impl Default for TokenIds {
    /// Those of Anneal's own tokenizers.
    fn default() -> Self {
        Self { bos: Some(1), eos: vec![2], pad: Some(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::model::{Activation, Norm, Positions, RopeScaling};
    use serde_json::{Value, json};

    const FIXTURES: [(&str, &str); 6] = [
        ("llama", include_str!("../../tests/fixtures/llama/config.json")),
        ("llama_untied", include_str!("../../tests/fixtures/llama_untied/config.json")),
        ("qwen2", include_str!("../../tests/fixtures/qwen2/config.json")),
        ("qwen3", include_str!("../../tests/fixtures/qwen3/config.json")),
        ("gemma", include_str!("../../tests/fixtures/gemma/config.json")),
        ("gpt2", include_str!("../../tests/fixtures/gpt2/config.json")),
    ];

    fn fixture(name: &str) -> Value {
        let text = FIXTURES.iter().find(|f| f.0 == name).unwrap().1;
        serde_json::from_str(text).unwrap()
    }

    /// The fixture with keys set, or removed where the value is null.
    fn changed(name: &str, changes: Value) -> String {
        let mut json = fixture(name);
        for (key, value) in changes.as_object().unwrap() {
            json[key] = value.clone();
        }
        json.to_string()
    }

    #[test]
    fn written_configs_read_back() {
        for (name, text) in FIXTURES {
            let config = from_json(text).unwrap();
            let written = to_json(&config, &token_ids(text).unwrap());
            assert_eq!(from_json(&written).unwrap(), config, "{name}");
            assert_eq!(token_ids(&written).unwrap(), token_ids(text).unwrap(), "{name}");
            // What `transformers` wrote itself, we write alike, but for what does not change what is computed.
            let (ours, theirs): (Value, Value) = (serde_json::from_str(&written).unwrap(), fixture(name));
            for (key, value) in ours.as_object().unwrap() {
                // Spelt a second way for older versions.
                if !["rope_theta", "torch_dtype"].contains(&key.as_str()) {
                    let theirs = if name == "gpt2" && key == "n_inner" { &json!(192) } else { &theirs[key] };
                    assert!(value == theirs || theirs.is_null() && name == "qwen2", "{name}: {key}: {value} {theirs}");
                }
            }
        }
    }

    #[test]
    fn families_differ_where_they_should() {
        let gpt2 = from_json(FIXTURES[5].1).unwrap();
        assert_eq!((gpt2.d_ff, gpt2.kv_heads, gpt2.head_dim, gpt2.context), (192, 6, 8, 128));
        assert_eq!((gpt2.design.norm, gpt2.design.positions), (Norm::Layer, Positions::Learned));
        let gemma = from_json(FIXTURES[4].1).unwrap();
        assert_eq!((gemma.design.activation, gemma.head_dim, gemma.kv_heads), (Activation::GeluTanh, 16, 1));
        let old = from_json(&changed("gemma", json!({"hidden_act": "gelu", "tie_word_embeddings": null}))).unwrap();
        assert_eq!(
            old, gemma,
            "the first Gemma files say gelu and mean its approximation, and do not say that they tie"
        );
        let biased = from_json(&changed("llama", json!({"attention_bias": true, "mlp_bias": true}))).unwrap();
        assert!(biased.design.qkv_bias && biased.design.output_bias && biased.design.feed_bias);
        let mistral_like = changed("llama", json!({"num_key_value_heads": null, "head_dim": null}));
        let config = from_json(&mistral_like).unwrap();
        assert_eq!((config.kv_heads, config.head_dim), (6, 8));
    }

    #[test]
    fn both_rope_spellings() {
        let theta = |changes| from_json(&changed("llama", changes)).unwrap().rope_theta;
        assert_eq!(theta(json!({"rope_parameters": null, "rope_theta": 5e5})), 5e5);
        assert_eq!(theta(json!({"rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}})), 1e6);
        assert_eq!(theta(json!({"rope_parameters": null})), 1e4);
        let stretched = json!({"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192});
        let scaling = RopeScaling { factor: 32.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_context: 8192 };
        let old = changed("llama", json!({"rope_parameters": null, "rope_theta": 5e5, "rope_scaling": stretched}));
        let config = from_json(&old).unwrap();
        assert_eq!((config.rope_theta, config.design.rope_scaling), (5e5, Some(scaling)));
        assert_eq!(from_json(&to_json(&config, &TokenIds::default())).unwrap(), config);
    }

    #[test]
    fn others_are_refused() {
        let said = |text: &str| from_json(text).unwrap_err().to_string();
        let known = "known: llama, qwen2, qwen3, gemma, gpt2";
        assert_eq!(said(r#"{"model_type":"bert"}"#), format!("unknown model_type \"bert\"; {known}"));
        assert_eq!(said("{}"), format!("unknown model_type \"\"; {known}"));
        assert_eq!(said(r#"{"model_type":"llama"}"#), "config.json has no usable hidden_size");
        assert_eq!(said(r#"{"model_type":"gpt2"}"#), "config.json has no usable n_embd");
        assert!(said("[").contains("not JSON"));
        for (name, changes, says) in [
            ("llama", json!({"hidden_act": "relu"}), "hidden_act to \"relu\""),
            ("llama", json!({"rope_parameters": {"rope_type": "yarn"}}), "rope_type to \"yarn\""),
            ("llama", json!({"rope_scaling": {"type": "linear", "factor": 2}}), "rope_type to \"linear\""),
            ("llama", json!({"num_key_value_heads": 4}), "num_key_value_heads to 4"),
            ("llama", json!({"head_dim": 7}), "head_dim to 7"),
            ("llama", json!({"hidden_size": 1u64 << 40}), "hidden_size"),
            ("llama", json!({"rms_norm_eps": -1.0}), "rms_norm_eps"),
            ("qwen2", json!({"use_sliding_window": true}), "use_sliding_window to true"),
            ("gemma", json!({"use_bidirectional_attention": true}), "use_bidirectional_attention to true"),
            ("gpt2", json!({"scale_attn_by_inverse_layer_idx": true}), "scale_attn_by_inverse_layer_idx to true"),
            ("gpt2", json!({"n_head": 7}), "n_head to 7"),
        ] {
            let said = said(&changed(name, changes));
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn stop_tokens_may_be_many() {
        let ids = token_ids(&changed("llama", json!({"eos_token_id": [2, 7], "pad_token_id": null}))).unwrap();
        assert_eq!(ids, TokenIds { bos: Some(1), eos: vec![2, 7], pad: None });
        let config = from_json(FIXTURES[0].1).unwrap();
        assert_eq!(token_ids(&to_json(&config, &ids)).unwrap(), ids);
        assert_eq!(token_ids(&generation_json(&ids)).unwrap(), ids);
    }
}
