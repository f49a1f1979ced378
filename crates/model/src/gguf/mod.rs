//! A model in one GGUF file of llama.cpp, of the llama architecture: read into a decoder; its tokenizer's parts are handed
//! out as they are. Written are only folders (see `folder`).

mod blocks;
mod header;
mod tensors;

use crate::{
    config::TokenIds,
    decoder::Decoder,
    store::{self, StoreError},
};
use burn::tensor::Device;
use domain::{
    ModelConfig,
    model::{Architecture, Design},
};
use header::{Header, Value, bad};
use std::{
    fs::File,
    io::{self, BufReader},
    path::Path,
};
use tensors::Renamed;

/// Why a GGUF file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("its metadata has no usable {0}")]
    Missing(String),
    #[error("its {key} is {value}; known: {known}")]
    Unsupported { key: String, value: String, known: &'static str },
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// An open file whose head is read; its tensors are not yet.
#[derive(Debug)]
pub struct Gguf {
    header: Header,
    file: File,
    length: u64,
}

impl Gguf {
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let header = header::read(&mut BufReader::new(&file)).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => bad("it ends within its header"),
            _ => e,
        })?;
        Ok(Self { header, file, length })
    }

    /// A number of the metadata.
    pub fn number(&self, key: &str) -> Option<f64> {
        match self.header.metadata.get(key)? {
            Value::Whole(n) => Some(*n as f64),
            Value::Real(n) => Some(*n),
            _ => None,
        }
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        if let Value::Text(text) = self.header.metadata.get(key)? { Some(text) } else { None }
    }

    /// The texts of a list; empty when there is none.
    pub fn texts(&self, key: &str) -> Vec<String> {
        let text = |value: &Value| if let Value::Text(text) = value { Some(text.clone()) } else { None };
        self.list(key).iter().filter_map(text).collect()
    }

    /// The whole numbers of a list; empty when there is none.
    pub fn wholes(&self, key: &str) -> Vec<i64> {
        let whole = |value: &Value| if let Value::Whole(n) = value { i64::try_from(*n).ok() } else { None };
        self.list(key).iter().filter_map(whole).collect()
    }

    fn list(&self, key: &str) -> &[Value] {
        if let Some(Value::List(list)) = self.header.metadata.get(key) { list } else { &[] }
    }

    fn size(&self, key: &str) -> Result<usize, GgufError> {
        /// As large as any size of a model gets.
        const LARGEST: i128 = 1 << 24;
        match self.header.metadata.get(key) {
            Some(Value::Whole(n)) if (1..=LARGEST).contains(n) => Ok(*n as usize),
            _ => Err(GgufError::Missing(key.to_owned())),
        }
    }

    fn size_or(&self, key: &str, otherwise: usize) -> Result<usize, GgufError> {
        if self.header.metadata.contains_key(key) { self.size(key) } else { Ok(otherwise) }
    }

    /// The model's shape.
    pub fn config(&self) -> Result<ModelConfig, GgufError> {
        let unsupported =
            |key: &str, value: String, known| GgufError::Unsupported { key: key.to_owned(), value, known };
        let architecture = self.text("general.architecture").unwrap_or_default();
        if architecture != "llama" {
            return Err(unsupported("general.architecture", format!("{architecture:?}"), "llama"));
        }
        let key = |name: &str| format!("llama.{name}");
        let (d_model, heads) = (self.size(&key("embedding_length"))?, self.size(&key("attention.head_count"))?);
        let kv_heads = self.size_or(&key("attention.head_count_kv"), heads)?;
        let head_dim = self.size_or(&key("attention.key_length"), d_model / heads)?;
        if !heads.is_multiple_of(kv_heads) {
            return Err(unsupported(
                &key("attention.head_count_kv"),
                kv_heads.to_string(),
                "divisors of the head count",
            ));
        }
        for other in ["attention.value_length", "rope.dimension_count"] {
            let found = self.size_or(&key(other), head_dim)?;
            if found != head_dim || !head_dim.is_multiple_of(2) {
                return Err(unsupported(&key(other), found.to_string(), "the width of a head, which is even"));
            }
        }
        if let Some(kind) = self.text(&key("rope.scaling.type")).filter(|kind| *kind != "none") {
            return Err(unsupported(&key("rope.scaling.type"), format!("{kind:?}"), "none"));
        }
        if self.header.tensors.contains_key("rope_freqs.weight") {
            return Err(unsupported("rope_freqs.weight", "a tensor".to_owned(), "files without stretched frequencies"));
        }
        if let Some(experts) = self.number(&key("expert_count")).filter(|n| *n > 0.0) {
            return Err(unsupported(&key("expert_count"), experts.to_string(), "0"));
        }
        let epsilon = self.number(&key("attention.layer_norm_rms_epsilon")).filter(|e| *e > 0.0);
        let embedding = self.header.tensors.get("token_embd.weight").and_then(|info| info.shape.first().copied());
        let has = |name: &str| self.header.tensors.contains_key(name);
        Ok(ModelConfig {
            architecture: Architecture::Llama,
            vocab: embedding.ok_or_else(|| GgufError::Missing("token_embd.weight".to_owned()))?,
            d_model,
            layers: self.size(&key("block_count"))?,
            heads,
            kv_heads,
            head_dim,
            d_ff: self.size(&key("feed_forward_length"))?,
            context: self.size(&key("context_length"))?,
            rope_theta: self.number(&key("rope.freq_base")).unwrap_or(10_000.0),
            norm_eps: epsilon.ok_or_else(|| GgufError::Missing(key("attention.layer_norm_rms_epsilon")))?,
            tie_embeddings: !has("output.weight"),
            design: Design {
                qkv_bias: has("blk.0.attn_q.bias"),
                output_bias: has("blk.0.attn_output.bias"),
                feed_bias: has("blk.0.ffn_up.bias"),
                ..Architecture::Llama.design()
            },
        })
    }

    /// The special tokens.
    pub fn tokens(&self) -> TokenIds {
        let id = |name: &str| self.number(&format!("tokenizer.ggml.{name}_token_id")).map(|id| id as u32);
        TokenIds { bos: id("bos"), eos: [id("eos"), id("eot")].into_iter().flatten().collect(), pad: id("padding") }
    }

    /// The decoder, every weight unpacked to f32.
    pub fn decoder(&mut self, device: &Device) -> Result<Decoder, GgufError> {
        let config = self.config()?;
        let head_dim = config.head_dim;
        Ok(store::from_tensors(&config, Renamed { gguf: self, head_dim }, device)?)
    }
}
