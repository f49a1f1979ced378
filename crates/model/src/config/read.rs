//! From `config.json` to a shape. What would change the result and is not computed here is refused, never passed over.

use super::{ConfigError, TokenIds};
use domain::{
    ModelConfig,
    model::{Activation, Architecture, Design, RopeScaling},
};
use serde_json::Value;

/// Sizes beyond this are mistakes; the products of these stay far below 2^64.
const WIDEST: u64 = 1 << 20;
const MOST: u64 = 1 << 12;
const LONGEST: u64 = 1 << 24;

/// Reads a `config.json`. `rope_theta` may stand at the top or inside `rope_parameters`.
pub fn from_json(text: &str) -> Result<ModelConfig, ConfigError> {
    let json: Value = parse(text)?;
    let kind = json["model_type"].as_str().unwrap_or_default();
    let known = Architecture::ALL.into_iter().find(|a| a.key() == kind);
    let architecture = known.ok_or_else(|| ConfigError::Type(kind.to_owned()))?;
    let file = File(&json);
    let config = if architecture == Architecture::Gpt2 { file.gpt2() } else { file.llama(architecture) }?;
    if !config.norm_eps.is_finite() || config.norm_eps <= 0.0 {
        return Err(ConfigError::Missing(if architecture == Architecture::Gpt2 {
            "layer_norm_epsilon"
        } else {
            "rms_norm_eps"
        }));
    }
    Ok(config)
}

/// The special tokens of a `config.json` or `generation_config.json`.
pub fn token_ids(text: &str) -> Result<TokenIds, ConfigError> {
    let json = parse(text)?;
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    let eos = match &json["eos_token_id"] {
        Value::Array(many) => many.iter().filter_map(id).collect(),
        one => id(one).into_iter().collect(),
    };
    Ok(TokenIds { bos: id(&json["bos_token_id"]), eos, pad: id(&json["pad_token_id"]) })
}

fn parse(text: &str) -> Result<Value, ConfigError> {
    serde_json::from_str(text).map_err(|e| ConfigError::Json(e.to_string()))
}

struct File<'a>(&'a Value);

impl File<'_> {
    fn llama(&self, architecture: Architecture) -> Result<ModelConfig, ConfigError> {
        let (d_model, heads) = (self.size("hidden_size", WIDEST)?, self.size("num_attention_heads", MOST)?);
        let kv_heads = if self.has("num_key_value_heads") { self.size("num_key_value_heads", MOST)? } else { heads };
        // What the classes of `transformers` take when the file does not say.
        let head_dim = match architecture {
            _ if self.has("head_dim") => self.size("head_dim", MOST)?,
            Architecture::Qwen3 => 128,
            Architecture::Gemma => 256,
            _ => d_model / heads,
        };
        if !heads.is_multiple_of(kv_heads) {
            return Err(self.unsupported("num_key_value_heads", "it must divide num_attention_heads"));
        }
        if head_dim == 0 || !head_dim.is_multiple_of(2) {
            return Err(self.unsupported("head_dim", "it must be even"));
        }
        let bias = |key: &str| self.0[key].as_bool();
        let mut design = architecture.design();
        // Qwen2's biases are not for the file to choose.
        if let (Some(biased), false) = (bias("attention_bias"), architecture == Architecture::Qwen2) {
            (design.qkv_bias, design.output_bias) = (biased, biased);
        }
        if let (Some(biased), Architecture::Llama) = (bias("mlp_bias"), architecture) {
            design.feed_bias = biased;
        }
        self.activation("hidden_act", architecture, &mut design)?;
        self.refuse("use_sliding_window", true, "only attention to all that precedes is known")?;
        self.refuse("use_bidirectional_attention", true, "only causal attention is known")?;
        let (rope_theta, scaling) = self.rope()?;
        design.rope_scaling = scaling;
        Ok(ModelConfig {
            architecture,
            vocab: self.size("vocab_size", LONGEST)?,
            d_model,
            layers: self.size("num_hidden_layers", MOST)?,
            heads,
            kv_heads,
            head_dim,
            d_ff: self.size("intermediate_size", WIDEST)?,
            context: self.size("max_position_embeddings", LONGEST)?,
            rope_theta,
            norm_eps: self.0["rms_norm_eps"].as_f64().unwrap_or(1e-6),
            tie_embeddings: self.0["tie_word_embeddings"].as_bool().unwrap_or(architecture == Architecture::Gemma),
            design,
        })
    }

    fn gpt2(&self) -> Result<ModelConfig, ConfigError> {
        let (d_model, heads) = (self.size("n_embd", WIDEST)?, self.size("n_head", MOST)?);
        if !d_model.is_multiple_of(heads) {
            return Err(self.unsupported("n_head", "it must divide n_embd"));
        }
        let mut design = Architecture::Gpt2.design();
        self.activation("activation_function", Architecture::Gpt2, &mut design)?;
        self.refuse("scale_attn_by_inverse_layer_idx", true, "only false is known")?;
        self.refuse("scale_attn_weights", false, "only true is known")?;
        self.refuse("add_cross_attention", true, "only decoders are known")?;
        Ok(ModelConfig {
            architecture: Architecture::Gpt2,
            vocab: self.size("vocab_size", LONGEST)?,
            d_model,
            layers: self.size("n_layer", MOST)?,
            heads,
            kv_heads: heads,
            head_dim: d_model / heads,
            d_ff: if self.has("n_inner") { self.size("n_inner", WIDEST)? } else { 4 * d_model },
            context: self.size("n_positions", LONGEST)?,
            rope_theta: 10_000.0,
            norm_eps: self.0["layer_norm_epsilon"].as_f64().unwrap_or(1e-5),
            tie_embeddings: self.0["tie_word_embeddings"].as_bool().unwrap_or(true),
            design,
        })
    }

    fn has(&self, key: &str) -> bool {
        !self.0[key].is_null()
    }

    fn size(&self, key: &'static str, most: u64) -> Result<usize, ConfigError> {
        let value = self.0[key].as_u64().filter(|v| (1..=most).contains(v)).and_then(|v| usize::try_from(v).ok());
        value.ok_or(ConfigError::Missing(key))
    }

    fn unsupported(&self, key: &'static str, known: &'static str) -> ConfigError {
        ConfigError::Unsupported { key, value: self.0[key].to_string(), known }
    }

    fn refuse(&self, key: &'static str, value: bool, known: &'static str) -> Result<(), ConfigError> {
        if self.0[key].as_bool() == Some(value) { Err(self.unsupported(key, known)) } else { Ok(()) }
    }

    fn activation(
        &self,
        key: &'static str,
        architecture: Architecture,
        design: &mut Design,
    ) -> Result<(), ConfigError> {
        if !self.has(key) {
            return Ok(());
        }
        design.activation = match self.0[key].as_str() {
            Some("silu" | "swish") => Activation::Silu,
            // The first Gemma files say so and mean the approximation.
            Some("gelu") if architecture == Architecture::Gemma => Activation::GeluTanh,
            Some("gelu") => Activation::Gelu,
            Some("gelu_new" | "gelu_pytorch_tanh") => Activation::GeluTanh,
            _ => return Err(self.unsupported(key, "known: silu, gelu, gelu_new, gelu_pytorch_tanh")),
        };
        Ok(())
    }

    /// theta and stretching: `transformers` 5 writes `rope_parameters`, older ones `rope_theta` and `rope_scaling`.
    fn rope(&self) -> Result<(f64, Option<RopeScaling>), ConfigError> {
        let parameters =
            ["rope_scaling", "rope_parameters"].map(|key| &self.0[key]).into_iter().find(|v| v.is_object());
        let rope = parameters.unwrap_or(&Value::Null);
        let theta = rope["rope_theta"].as_f64().or_else(|| self.0["rope_theta"].as_f64()).unwrap_or(10_000.0);
        if !theta.is_finite() || theta <= 0.0 {
            return Err(ConfigError::Missing("rope_theta"));
        }
        let partial = |v: &Value| v["partial_rotary_factor"].as_f64().is_some_and(|share| share != 1.0);
        if partial(rope) || partial(self.0) {
            return Err(ConfigError::Missing("partial_rotary_factor (only 1 is known)"));
        }
        let kind = if rope["rope_type"].is_null() { &rope["type"] } else { &rope["rope_type"] };
        match kind.as_str() {
            None | Some("default") => Ok((theta, None)),
            Some("llama3") => {
                let number = |key: &'static str| rope[key].as_f64().filter(|v| *v > 0.0);
                let read = || {
                    Some(RopeScaling {
                        factor: number("factor")?,
                        low_freq_factor: number("low_freq_factor")?,
                        high_freq_factor: number("high_freq_factor")?,
                        original_context: number("original_max_position_embeddings")? as usize,
                    })
                };
                let scaling = read().filter(|s| s.high_freq_factor > s.low_freq_factor);
                Ok((theta, Some(scaling.ok_or(ConfigError::Missing("rope_parameters for rope_type llama3"))?)))
            }
            Some(_) => {
                let (key, known) = ("rope_type", "known: default, llama3");
                Err(ConfigError::Unsupported { key, value: kind.to_string(), known })
            }
        }
    }
}
