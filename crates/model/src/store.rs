//! Weights as safetensors under Hugging Face's names. Reading accepts f32, f16 and bf16 and names every tensor that is
//! missing, extra or misshapen; writing is f32. Here the bytes are in memory; `folder` reads and writes files.

use crate::{
    build::{self, Source},
    decoder::Decoder,
    naming::{self, Layout},
    weights::{Part, Place},
};
use burn::tensor::Device;
use domain::{ModelConfig, model::Architecture};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeSet;

pub use crate::write::to_safetensors;

/// Why weights cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the weights cannot be read: {0}")]
    Read(String),
    #[error("the weights lack {name} of shape {shape:?}")]
    Missing { name: String, shape: Vec<usize> },
    #[error("{name} has shape {found:?}; expected {expected:?}")]
    Shape { name: String, expected: Vec<usize>, found: Vec<usize> },
    #[error("{name} has the unsupported type {dtype}; known: {known}")]
    Dtype { name: String, dtype: String, known: &'static str },
    #[error("the weights hold tensors that this model does not have: {0}")]
    Extra(String),
}

/// A decoder of shape `config` with the weights of `bytes`, a whole `model.safetensors`.
pub fn from_safetensors(config: &ModelConfig, bytes: &[u8], device: &Device) -> Result<Decoder, StoreError> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| StoreError::Read(e.to_string()))?;
    from_tensors(config, file, device)
}

/// Named tensors, wherever they lie.
pub(crate) trait Tensors {
    fn names(&self) -> Vec<String>;
    fn shape(&self, name: &str) -> Option<Vec<usize>>;
    /// The values of a tensor that is there.
    fn values(&mut self, name: &str) -> Result<Vec<f32>, StoreError>;
}

/// A decoder of shape `config` with all the weights of `tensors`, under Hugging Face's names.
pub(crate) fn from_tensors(
    config: &ModelConfig,
    tensors: impl Tensors,
    device: &Device,
) -> Result<Decoder, StoreError> {
    let architecture = config.architecture;
    let prefix = naming::prefix(architecture);
    let bare = !tensors.names().iter().any(|name| name.starts_with(prefix));
    let mut named = Named { tensors, architecture, bare, used: BTreeSet::new() };
    let decoder = build::build(config, &mut named, device)?;
    if config.tie_embeddings {
        // Some files carry the tied head as well; it is the embedding.
        named.used.insert("lm_head.weight".to_owned());
    }
    named.nothing_left()?;
    Ok(decoder)
}

struct Named<T> {
    tensors: T,
    architecture: Architecture,
    /// Whether names lack the language model's prefix.
    bare: bool,
    used: BTreeSet<String>,
}

impl<T: Tensors> Named<T> {
    fn nothing_left(&self) -> Result<(), StoreError> {
        let extra = self.tensors.names().into_iter().filter(|n| !self.used.contains(n) && !naming::is_buffer(n));
        extra_error(extra.map(|n| (self.tensors.shape(&n).unwrap_or_default(), n)).collect())
    }
}

/// An error that names what is left over, if anything is.
pub(crate) fn extra_error(mut extra: Vec<(Vec<usize>, String)>) -> Result<(), StoreError> {
    /// More are only counted.
    const NAMED: usize = 8;
    if extra.is_empty() {
        return Ok(());
    }
    extra.sort_by(|a, b| a.1.cmp(&b.1));
    let mut text: Vec<String> = extra.iter().take(NAMED).map(|(shape, name)| format!("{name} {shape:?}")).collect();
    if extra.len() > NAMED {
        text.push(format!("and {} more", extra.len() - NAMED));
    }
    Err(StoreError::Extra(text.join(", ")))
}

/// The values of a tensor whose shape must be `shape`.
pub(crate) fn checked(tensors: &mut impl Tensors, name: &str, shape: &[usize]) -> Result<Vec<f32>, StoreError> {
    match tensors.shape(name) {
        None => Err(StoreError::Missing { name: name.to_owned(), shape: shape.to_vec() }),
        Some(found) if found != shape => {
            Err(StoreError::Shape { name: name.to_owned(), expected: shape.to_vec(), found })
        }
        Some(_) => tensors.values(name),
    }
}

impl<T: Tensors> Source for Named<T> {
    type Error = StoreError;

    fn values(&mut self, place: Place, shape: &[usize]) -> Result<Vec<f32>, StoreError> {
        let (mut name, layout) = naming::stored(self.architecture, place);
        if self.bare && place.part != Part::Head {
            name.drain(..naming::prefix(self.architecture).len());
        }
        let columns = shape[shape.len() - 1];
        let values = match layout {
            Layout::Same => checked(&mut self.tensors, &name, shape)?,
            Layout::Turned => turned(&checked(&mut self.tensors, &name, &[columns, shape[0]])?, shape[0]),
            Layout::Third(third) => {
                let mut wide = shape.to_vec();
                wide[shape.len() - 1] *= 3;
                let all = checked(&mut self.tensors, &name, &wide)?;
                let rows = all.chunks_exact(3 * columns);
                rows.flat_map(|row| &row[third * columns..(third + 1) * columns]).copied().collect()
            }
        };
        self.used.insert(name);
        Ok(values)
    }
}

/// The transposed of a matrix with `columns` columns.
pub(crate) fn turned(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns;
    let mut out = vec![0.0; values.len()];
    for (row, line) in values.chunks_exact(columns).enumerate() {
        for (column, value) in line.iter().enumerate() {
            out[column * rows + row] = *value;
        }
    }
    out
}

/// The numbers of a safetensors entry.
pub(crate) fn floats(name: &str, dtype: Dtype, data: &[u8]) -> Result<Vec<f32>, StoreError> {
    let pairs = || data.chunks_exact(2).map(|b| [b[0], b[1]]);
    Ok(match dtype {
        Dtype::F32 => data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        Dtype::F16 => pairs().map(|b| f16::from_le_bytes(b).to_f32()).collect(),
        Dtype::BF16 => pairs().map(|b| bf16::from_le_bytes(b).to_f32()).collect(),
        other => {
            let (name, dtype) = (name.to_owned(), format!("{other:?}"));
            return Err(StoreError::Dtype { name, dtype, known: "F32, F16, BF16" });
        }
    })
}

impl Tensors for SafeTensors<'_> {
    fn names(&self) -> Vec<String> {
        SafeTensors::names(self).into_iter().map(str::to_owned).collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensor(name).ok().map(|view| view.shape().to_vec())
    }

    fn values(&mut self, name: &str) -> Result<Vec<f32>, StoreError> {
        let view = self.tensor(name).map_err(|e| StoreError::Read(e.to_string()))?;
        floats(name, view.dtype(), view.data())
    }
}
