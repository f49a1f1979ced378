//! What a recipe says when training does not begin from nothing: the base model, the method, and LoRA's settings.

use crate::{model::ModelConfig, recipe::ModelRecipe};
use serde::{Deserialize, Serialize};

/// What a training starts from: a shape with fresh weights, or a base model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "Keys")]
pub enum ModelSource {
    Scratch(ModelRecipe),
    Base(BaseRecipe),
}

/// A model that was trained before. Its shape, tokenizer and chat template are its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseRecipe {
    /// The name under which the server knows it (`anneal models list`), or a folder for `anneal train`.
    pub base: String,
    /// The longest sequence in tokens; at most the base model's own.
    pub context: usize,
}

/// All keys that `model` may have, so that one list of known keys is told to who mistypes one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    base: Option<String>,
    d_model: Option<usize>,
    layers: Option<usize>,
    heads: Option<usize>,
    kv_heads: Option<usize>,
    head_dim: Option<usize>,
    d_ff: Option<usize>,
    context: Option<usize>,
    rope_theta: Option<f64>,
    tie_embeddings: Option<bool>,
}

impl TryFrom<Keys> for ModelSource {
    type Error = String;

    /// Errors in serde's own words, which readers of recipes understand.
    fn try_from(keys: Keys) -> Result<Self, String> {
        let missing = |key: &str| format!("missing field `{key}`");
        let context = keys.context.ok_or_else(|| missing("context"))?;
        let Some(base) = keys.base else {
            let default = ModelRecipe::default();
            return Ok(Self::Scratch(ModelRecipe {
                d_model: keys.d_model.ok_or_else(|| missing("d_model"))?,
                layers: keys.layers.ok_or_else(|| missing("layers"))?,
                heads: keys.heads.ok_or_else(|| missing("heads"))?,
                kv_heads: keys.kv_heads,
                head_dim: keys.head_dim,
                d_ff: keys.d_ff,
                context,
                rope_theta: keys.rope_theta.unwrap_or(default.rope_theta),
                tie_embeddings: keys.tie_embeddings.unwrap_or(default.tie_embeddings),
            }));
        };
        let set = [
            ("d_model", keys.d_model.is_some()),
            ("layers", keys.layers.is_some()),
            ("heads", keys.heads.is_some()),
            ("kv_heads", keys.kv_heads.is_some()),
            ("head_dim", keys.head_dim.is_some()),
            ("d_ff", keys.d_ff.is_some()),
            ("rope_theta", keys.rope_theta.is_some()),
            ("tie_embeddings", keys.tie_embeddings.is_some()),
        ];
        match set.iter().find(|(_, set)| *set) {
            Some((key, _)) => Err(format!("leave `{key}` out: the base model has a shape of its own")),
            None => Ok(Self::Base(BaseRecipe { base, context })),
        }
    }
}

impl ModelSource {
    /// The longest sequence in tokens.
    pub fn context(&self) -> usize {
        match self {
            Self::Scratch(shape) => shape.context,
            Self::Base(base) => base.context,
        }
    }

    /// The shape to train from scratch, if that is what the recipe does.
    pub fn shape(&self) -> Option<&ModelRecipe> {
        match self {
            Self::Scratch(shape) => Some(shape),
            Self::Base(_) => None,
        }
    }

    /// The same, to change it.
    pub fn shape_mut(&mut self) -> Option<&mut ModelRecipe> {
        match self {
            Self::Scratch(shape) => Some(shape),
            Self::Base(_) => None,
        }
    }

    /// The base model's name.
    pub fn base(&self) -> Option<&str> {
        match self {
            Self::Scratch(_) => None,
            Self::Base(base) => Some(&base.base),
        }
    }
}

/// Which weights are trained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// All of them.
    #[default]
    Sft,
    /// Low-rank updates beside frozen weights.
    Lora,
}

impl Method {
    /// Whether it is what a recipe without the key means; such keys are not written, so that old recipes keep their hash.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A matrix of a block that LoRA can adapt, by our name or Hugging Face's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    #[serde(alias = "q_proj")]
    Query,
    #[serde(alias = "k_proj")]
    Key,
    #[serde(alias = "v_proj")]
    Value,
    #[serde(alias = "o_proj")]
    Output,
    #[serde(alias = "gate_proj")]
    Gate,
    #[serde(alias = "up_proj")]
    Up,
    #[serde(alias = "down_proj")]
    Down,
}

impl Target {
    pub const ALL: [Self; 7] = [Self::Query, Self::Key, Self::Value, Self::Output, Self::Gate, Self::Up, Self::Down];

    /// The matrix's sizes, `[in, out]`; none when the family has no such matrix.
    pub fn sizes(self, config: &ModelConfig) -> Option<[usize; 2]> {
        let (d, f) = (config.d_model, config.d_ff);
        let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        match self {
            Self::Query => Some([d, q]),
            Self::Key | Self::Value => Some([d, kv]),
            Self::Output => Some([q, d]),
            Self::Gate => config.design.gated.then_some([d, f]),
            Self::Up => Some([d, f]),
            Self::Down => Some([f, d]),
        }
    }
}

/// Low-rank adaptation (Hu et al. 2021): a matrix W is used as W + (alpha / rank)·A·B, of which A and B are trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoraRecipe {
    /// Columns of A, rows of B.
    pub rank: usize,
    pub alpha: f64,
    /// The share of A's inputs that is zeroed in training.
    pub dropout: f64,
    pub targets: Vec<Target>,
}

impl Default for LoraRecipe {
    /// Query and value: the paper's own choice, and PEFT's for these families.
    fn default() -> Self {
        Self { rank: 8, alpha: 16.0, dropout: 0.0, targets: vec![Target::Query, Target::Value] }
    }
}

impl LoraRecipe {
    /// What A·B is multiplied by.
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    /// Trained parameters.
    pub fn parameters(&self, config: &ModelConfig) -> u64 {
        let sizes = self.targets.iter().filter_map(|target| target.sizes(config));
        let each: u64 = sizes.map(|[from, to]| ((from + to) * self.rank) as u64).sum();
        config.layers as u64 * each
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Architecture, Design};

    #[test]
    fn parameters_of_lora_by_hand() {
        // SmolLM2-135M: width 576, 9 query and 3 key/value heads of 64, feed-forward 1,536, 30 layers.
        let config = ModelConfig {
            architecture: Architecture::Llama,
            vocab: 49_152,
            d_model: 576,
            layers: 30,
            heads: 9,
            kv_heads: 3,
            head_dim: 64,
            d_ff: 1_536,
            context: 8_192,
            rope_theta: 1e5,
            norm_eps: 1e-5,
            tie_embeddings: true,
            design: Design::default(),
        };
        let lora = LoraRecipe { rank: 8, ..LoraRecipe::default() };
        // Query 8·(576+576), value 8·(576+192).
        assert_eq!(lora.parameters(&config), 30 * (9_216 + 6_144));
        let all = LoraRecipe { targets: Target::ALL.to_vec(), ..lora };
        // Key as value, output as query, gate, up and down 8·(576+1536) each.
        assert_eq!(all.parameters(&config), 30 * (2 * 9_216 + 2 * 6_144 + 3 * 16_896));
        let plain = ModelConfig { design: Architecture::Gpt2.design(), ..config };
        assert_eq!(Target::Gate.sizes(&plain), None);
    }

    #[test]
    fn sources_read_back_and_refuse_mixtures() {
        let read = serde_json::from_str::<ModelSource>;
        let base = read(r#"{"base":"smollm2","context":256}"#).unwrap();
        assert_eq!(serde_json::to_string(&base).unwrap(), r#"{"base":"smollm2","context":256}"#);
        let shape = r#"{"d_model":8,"layers":1,"heads":1,"context":8,"rope_theta":10000.0,"tie_embeddings":true}"#;
        assert_eq!(serde_json::to_string(&read(shape).unwrap()).unwrap(), shape);
        for (text, expected) in [
            (r#"{"base":"x"}"#, "missing field `context`"),
            (r#"{"layers":1,"heads":1,"context":8}"#, "missing field `d_model`"),
            (r#"{"base":"x","context":8,"layers":1}"#, "leave `layers` out: the base model has a shape of its own"),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn targets_have_two_names() {
        let read: Vec<Target> = serde_json::from_str(r#"["query","v_proj","down_proj"]"#).unwrap();
        assert_eq!(read, [Target::Query, Target::Value, Target::Down]);
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"["query","value","down"]"#);
    }
}
