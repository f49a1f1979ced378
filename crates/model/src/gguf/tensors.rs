//! The tensors of a GGUF file under Hugging Face's names, unpacked when they are asked for.

use super::{
    Gguf,
    blocks::{KNOWN, Packing},
    header::Info,
};
use crate::store::{StoreError, Tensors};
use std::io::{Read, Seek, SeekFrom};

impl Gguf {
    fn unpacked(&mut self, name: &str, info: &Info) -> Result<Vec<f32>, StoreError> {
        let packing = Packing::from_number(info.kind).map_err(|dtype| StoreError::Dtype {
            name: name.to_owned(),
            dtype,
            known: KNOWN,
        })?;
        let damaged = || StoreError::Read(format!("{name} reaches beyond the end of the file"));
        let (numbers, size) = packing.block();
        let count = info.shape.iter().try_fold(1_usize, |all, n| all.checked_mul(*n)).ok_or_else(damaged)?;
        if !info.shape.last().unwrap_or(&1).is_multiple_of(numbers) {
            let what = format!("{name} of shape {:?} cannot be in blocks of {}", info.shape, packing.name());
            return Err(StoreError::Read(what));
        }
        let bytes = (count / numbers).checked_mul(size).ok_or_else(damaged)?;
        let start = self.header.data.checked_add(info.offset).ok_or_else(damaged)?;
        if start.checked_add(bytes as u64).is_none_or(|end| end > self.length) {
            return Err(damaged());
        }
        let mut packed = vec![0; bytes];
        let read = self.file.seek(SeekFrom::Start(start)).and_then(|_| self.file.read_exact(&mut packed));
        read.map_err(|e| StoreError::Read(format!("{name}: {e}")))?;
        Ok(packing.unpack(&packed))
    }
}

/// The file's tensors under Hugging Face's names.
pub(super) struct Renamed<'a> {
    pub(super) gguf: &'a mut Gguf,
    pub(super) head_dim: usize,
}

/// Names inside a block, there and here.
const PARTS: [(&str, &str); 9] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// Hugging Face's name of a tensor; itself when it has none.
fn renamed(name: &str) -> String {
    let known = || {
        let (rest, kind) = name.rsplit_once('.')?;
        Some(match rest {
            "token_embd" => format!("model.embed_tokens.{kind}"),
            "output_norm" => format!("model.norm.{kind}"),
            "output" => format!("lm_head.{kind}"),
            _ => {
                let (layer, part) = rest.strip_prefix("blk.")?.split_once('.')?;
                let part = PARTS.iter().find(|(there, _)| *there == part)?.1;
                format!("model.layers.{layer}.{part}.{kind}")
            }
        })
    };
    known().unwrap_or_else(|| name.to_owned())
}

impl Renamed<'_> {
    fn find(&self, name: &str) -> Option<(String, Info)> {
        let found = self.gguf.header.tensors.iter().find(|(there, _)| renamed(there) == name);
        found.map(|(there, info)| (there.clone(), info.clone()))
    }
}

impl Tensors for Renamed<'_> {
    fn names(&self) -> Vec<String> {
        self.gguf.header.tensors.keys().map(|name| renamed(name)).collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.find(name).map(|(_, info)| info.shape)
    }

    fn values(&mut self, name: &str) -> Result<Vec<f32>, StoreError> {
        let (there, info) = self.find(name).ok_or_else(|| StoreError::Read(format!("{name} is not there")))?;
        let values = self.gguf.unpacked(&there, &info)?;
        // Queries and keys: llama.cpp turns neighbours against each other, so its converter has put the two halves of each
        // head's rows by turns (`LlamaModel.permute` in convert_hf_to_gguf.py).
        let turned = name.contains(".q_proj.") || name.contains(".k_proj.");
        Ok(if turned { halves(&values, self.head_dim, info.shape.get(1).copied().unwrap_or(1)) } else { values })
    }
}

/// Rows 0, 2, 4 … of each head first, then rows 1, 3, 5 ….
fn halves(values: &[f32], head_dim: usize, columns: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for head in values.chunks(head_dim * columns) {
        for half in 0..2 {
            for row in head.chunks(columns).skip(half).step_by(2) {
                out.extend(row);
            }
        }
    }
    out
}
