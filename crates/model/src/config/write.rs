//! From a shape to a `config.json` that `transformers` loads as the family's `…ForCausalLM`.

use super::TokenIds;
use domain::{
    ModelConfig,
    model::{Activation, Architecture},
};
use serde_json::{Value, json};

/// Writes a `config.json`.
pub fn to_json(config: &ModelConfig, tokens: &TokenIds) -> String {
    let mut json = if config.architecture == Architecture::Gpt2 { gpt2(config) } else { llama(config) };
    json["model_type"] = json!(config.architecture.key());
    json["vocab_size"] = json!(config.vocab);
    json["tie_word_embeddings"] = json!(config.tie_embeddings);
    json["dtype"] = json!("float32");
    // The key of `transformers` 4.
    json["torch_dtype"] = json!("float32");
    put_tokens(&mut json, tokens);
    format!("{json:#}\n")
}

/// Writes a `generation_config.json`: greedy, stopping at the right tokens.
pub fn generation_json(tokens: &TokenIds) -> String {
    let mut json = json!({"do_sample": false});
    put_tokens(&mut json, tokens);
    format!("{json:#}\n")
}

fn put_tokens(json: &mut Value, tokens: &TokenIds) {
    json["bos_token_id"] = json!(tokens.bos);
    json["pad_token_id"] = json!(tokens.pad);
    json["eos_token_id"] = match tokens.eos.as_slice() {
        [] => Value::Null,
        [one] => json!(one),
        many => json!(many),
    };
}

fn llama(config: &ModelConfig) -> Value {
    let class = match config.architecture {
        Architecture::Qwen2 => "Qwen2ForCausalLM",
        Architecture::Qwen3 => "Qwen3ForCausalLM",
        Architecture::Gemma => "GemmaForCausalLM",
        Architecture::Llama | Architecture::Gpt2 => "LlamaForCausalLM",
    };
    let mut json = json!({
        "architectures": [class],
        "hidden_size": config.d_model,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.d_ff,
        "max_position_embeddings": config.context,
        "rms_norm_eps": config.norm_eps,
        "hidden_act": activation(config.design.activation),
    });
    if config.architecture != Architecture::Qwen2 {
        json["attention_bias"] = json!(config.design.qkv_bias);
    }
    if config.architecture == Architecture::Llama {
        json["mlp_bias"] = json!(config.design.feed_bias);
    }
    // Spelt for `transformers` 5 and, at the top, for those before it.
    json["rope_theta"] = json!(config.rope_theta);
    json["rope_parameters"] = json!({"rope_type": "default", "rope_theta": config.rope_theta});
    if let Some(s) = &config.design.rope_scaling {
        let stretched = json!({
            "rope_type": "llama3", "rope_theta": config.rope_theta, "factor": s.factor,
            "low_freq_factor": s.low_freq_factor, "high_freq_factor": s.high_freq_factor,
            "original_max_position_embeddings": s.original_context,
        });
        json["rope_scaling"] = stretched.clone();
        json["rope_parameters"] = stretched;
    }
    json
}

fn gpt2(config: &ModelConfig) -> Value {
    json!({
        "architectures": ["GPT2LMHeadModel"],
        "n_embd": config.d_model,
        "n_layer": config.layers,
        "n_head": config.heads,
        "n_inner": config.d_ff,
        "n_positions": config.context,
        "layer_norm_epsilon": config.norm_eps,
        "activation_function": match config.design.activation {
            Activation::GeluTanh => "gelu_new",
            other => activation(other),
        },
    })
}

const fn activation(kind: Activation) -> &'static str {
    match kind {
        Activation::Silu => "silu",
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_pytorch_tanh",
    }
}
