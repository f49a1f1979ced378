//! Weights as safetensors under Hugging Face's names, in f32. Reading accepts f32, f16 and bf16 and names every tensor
//! that is missing, extra or misshapen.

use crate::decoder::{Block, Decoder, matrix_param, tracked};
use burn::{
    module::{Param, ParamId},
    tensor::{Device, Tensor, TensorData},
};
use domain::ModelConfig;
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::{BTreeMap, BTreeSet};

/// Why weights cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("model.safetensors cannot be read: {0}")]
    Read(String),
    #[error("model.safetensors lacks {name} of shape {shape:?}")]
    Missing { name: String, shape: Vec<usize> },
    #[error("{name} has shape {found:?}; expected {expected:?}")]
    Shape { name: String, expected: Vec<usize>, found: Vec<usize> },
    #[error("{name} has the unsupported type {dtype}; known: F32, F16, BF16")]
    Dtype { name: String, dtype: String },
    #[error("model.safetensors holds tensors that this model does not have: {0}")]
    Extra(String),
}

/// Every weight with its name and, for matrices, values `[in, out]`.
enum Weight<'a> {
    Vector(&'a Param<Tensor<1>>),
    /// Kept `[in, out]` here, `[out, in]` in the file.
    Matrix(&'a Param<Tensor<2>>),
    /// The same in both.
    Table(&'a Param<Tensor<2>>),
}

fn weights(decoder: &Decoder) -> Vec<(String, Weight<'_>)> {
    let mut all = vec![("model.embed_tokens.weight".to_owned(), Weight::Table(&decoder.embedding))];
    for (layer, block) in decoder.blocks.iter().enumerate() {
        let Block { attention_norm, query, key, value, output, feed_norm, gate, up, down } = block;
        let parts = [
            ("input_layernorm", Weight::Vector(attention_norm)),
            ("self_attn.q_proj", Weight::Matrix(query)),
            ("self_attn.k_proj", Weight::Matrix(key)),
            ("self_attn.v_proj", Weight::Matrix(value)),
            ("self_attn.o_proj", Weight::Matrix(output)),
            ("post_attention_layernorm", Weight::Vector(feed_norm)),
            ("mlp.gate_proj", Weight::Matrix(gate)),
            ("mlp.up_proj", Weight::Matrix(up)),
            ("mlp.down_proj", Weight::Matrix(down)),
        ];
        all.extend(parts.map(|(name, weight)| (format!("model.layers.{layer}.{name}.weight"), weight)));
    }
    all.push(("model.norm.weight".to_owned(), Weight::Vector(&decoder.norm)));
    if let Some(head) = &decoder.head {
        all.push(("lm_head.weight".to_owned(), Weight::Matrix(head)));
    }
    all
}

/// The bytes of `model.safetensors`.
pub fn to_safetensors(decoder: &Decoder) -> Result<Vec<u8>, StoreError> {
    let mut buffers: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, weight) in weights(decoder) {
        let (data, shape) = match weight {
            Weight::Vector(p) => (p.val().into_data(), p.val().dims().to_vec()),
            Weight::Table(p) => (p.val().into_data(), p.val().dims().to_vec()),
            Weight::Matrix(p) => {
                let turned = p.val().transpose();
                let shape = turned.dims().to_vec();
                (turned.into_data(), shape)
            }
        };
        let values = data.try_to_vec::<f32>().map_err(|e| StoreError::Read(format!("{name}: {e:?}")))?;
        buffers.push((name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect()));
    }
    let views: Result<BTreeMap<String, TensorView<'_>>, _> = buffers
        .iter()
        .map(|(name, shape, bytes)| Ok((name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect();
    let read = |e: safetensors::SafeTensorError| StoreError::Read(e.to_string());
    // `transformers` asks for this key.
    let metadata = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views.map_err(read)?, Some(metadata)).map_err(read)
}

/// A decoder of shape `config` with the weights of `bytes`.
pub fn from_safetensors(config: &ModelConfig, bytes: &[u8], device: &Device) -> Result<Decoder, StoreError> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| StoreError::Read(e.to_string()))?;
    let mut reader = Reader { file: &file, used: BTreeSet::new(), places: 0, device };
    let (d, q, kv) = (config.d_model, config.heads * config.head_dim, config.kv_heads * config.head_dim);
    let embedding = reader.matrix("model.embed_tokens.weight", config.vocab, d, false)?;
    let mut blocks = Vec::new();
    for layer in 0..config.layers {
        let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
        blocks.push(Block {
            attention_norm: reader.vector(&name("input_layernorm"), d)?,
            query: reader.matrix(&name("self_attn.q_proj"), d, q, true)?,
            key: reader.matrix(&name("self_attn.k_proj"), d, kv, true)?,
            value: reader.matrix(&name("self_attn.v_proj"), d, kv, true)?,
            output: reader.matrix(&name("self_attn.o_proj"), q, d, true)?,
            feed_norm: reader.vector(&name("post_attention_layernorm"), d)?,
            gate: reader.matrix(&name("mlp.gate_proj"), d, config.d_ff, true)?,
            up: reader.matrix(&name("mlp.up_proj"), d, config.d_ff, true)?,
            down: reader.matrix(&name("mlp.down_proj"), config.d_ff, d, true)?,
        });
    }
    let norm = reader.vector("model.norm.weight", d)?;
    let head = if config.tie_embeddings {
        // Some files carry the tied head as well; it is the embedding.
        reader.used.insert("lm_head.weight".to_owned());
        None
    } else {
        Some(reader.matrix("lm_head.weight", d, config.vocab, true)?)
    };
    let extra: Vec<&str> = file.names().into_iter().filter(|n| !reader.used.contains(*n)).collect();
    if !extra.is_empty() {
        return Err(StoreError::Extra(extra.join(", ")));
    }
    Ok(Decoder { embedding, blocks, norm, head, config: config.clone() })
}

struct Reader<'a> {
    file: &'a SafeTensors<'a>,
    used: BTreeSet<String>,
    places: u64,
    device: &'a Device,
}

impl Reader<'_> {
    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, StoreError> {
        let missing = |_| StoreError::Missing { name: name.to_owned(), shape: shape.to_vec() };
        let view = self.file.tensor(name).map_err(missing)?;
        if view.shape() != shape {
            let (expected, found) = (shape.to_vec(), view.shape().to_vec());
            return Err(StoreError::Shape { name: name.to_owned(), expected, found });
        }
        self.used.insert(name.to_owned());
        self.places += 1;
        let data = view.data();
        let pairs = || data.chunks_exact(2).map(|b| [b[0], b[1]]);
        Ok(match view.dtype() {
            Dtype::F32 => data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Dtype::F16 => pairs().map(|b| f16::from_le_bytes(b).to_f32()).collect(),
            Dtype::BF16 => pairs().map(|b| bf16::from_le_bytes(b).to_f32()).collect(),
            other => return Err(StoreError::Dtype { name: name.to_owned(), dtype: format!("{other:?}") }),
        })
    }

    fn vector(&mut self, name: &str, size: usize) -> Result<Param<Tensor<1>>, StoreError> {
        let values = self.values(name, &[size])?;
        let tensor = Tensor::from_data(TensorData::new(values, [size]), self.device);
        Ok(Param::initialized(ParamId::from(1_000_000 + self.places), tracked(tensor, self.device)))
    }

    /// `[rows, columns]` here; with `turned` the file holds `[columns, rows]`.
    fn matrix(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
        turned: bool,
    ) -> Result<Param<Tensor<2>>, StoreError> {
        if !turned {
            let values = self.values(name, &[rows, columns])?;
            return Ok(matrix_param(self.places, values, [rows, columns], self.device));
        }
        let file = self.values(name, &[columns, rows])?;
        let mut values = vec![0.0; file.len()];
        for (column, line) in file.chunks_exact(rows).enumerate() {
            for (row, value) in line.iter().enumerate() {
                values[row * columns + column] = *value;
            }
        }
        Ok(matrix_param(self.places, values, [rows, columns], self.device))
    }
}
