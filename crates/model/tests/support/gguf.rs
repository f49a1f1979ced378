//! Writes small GGUF files for tests, by the specification (`docs/gguf.md` of ggml, version 3).

/// A metadata value.
pub enum Meta {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    I32s(Vec<i32>),
}

/// A tensor: rows first, as everywhere but in the file.
pub struct Packed {
    pub name: String,
    pub shape: Vec<usize>,
    /// `enum ggml_type`
    pub kind: u32,
    pub bytes: Vec<u8>,
}

/// The bytes of the file.
pub fn gguf(metadata: &[(&str, Meta)], tensors: &[Packed]) -> Vec<u8> {
    let mut file = b"GGUF".to_vec();
    file.extend(3_u32.to_le_bytes());
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        text(&mut file, key);
        meta(&mut file, value);
    }
    let (mut data, mut offset) = (Vec::new(), 0);
    for tensor in tensors {
        text(&mut file, &tensor.name);
        file.extend((tensor.shape.len() as u32).to_le_bytes());
        for size in tensor.shape.iter().rev() {
            file.extend((*size as u64).to_le_bytes());
        }
        file.extend(tensor.kind.to_le_bytes());
        file.extend((offset as u64).to_le_bytes());
        data.extend(&tensor.bytes);
        data.resize(data.len().next_multiple_of(32), 0);
        offset = data.len();
    }
    file.resize(file.len().next_multiple_of(32), 0);
    file.extend(data);
    file
}

fn text(file: &mut Vec<u8>, text: &str) {
    file.extend((text.len() as u64).to_le_bytes());
    file.extend(text.as_bytes());
}

fn meta(file: &mut Vec<u8>, value: &Meta) {
    let kind = |file: &mut Vec<u8>, kind: u32| file.extend(kind.to_le_bytes());
    match value {
        Meta::U32(n) => {
            kind(file, 4);
            file.extend(n.to_le_bytes());
        }
        Meta::F32(n) => {
            kind(file, 6);
            file.extend(n.to_le_bytes());
        }
        Meta::Bool(yes) => {
            kind(file, 7);
            file.push(u8::from(*yes));
        }
        Meta::Text(words) => {
            kind(file, 8);
            text(file, words);
        }
        Meta::Texts(list) => {
            kind(file, 9);
            kind(file, 8);
            file.extend((list.len() as u64).to_le_bytes());
            list.iter().for_each(|words| text(file, words));
        }
        Meta::I32s(list) => {
            kind(file, 9);
            kind(file, 5);
            file.extend((list.len() as u64).to_le_bytes());
            list.iter().for_each(|n| file.extend(n.to_le_bytes()));
        }
    }
}

/// Metadata of a llama of these sizes.
pub fn llama(
    d_model: u32,
    layers: u32,
    heads: u32,
    kv_heads: u32,
    d_ff: u32,
    epsilon: f32,
) -> Vec<(&'static str, Meta)> {
    vec![
        ("general.architecture", Meta::Text("llama".into())),
        ("general.alignment", Meta::U32(32)),
        ("llama.block_count", Meta::U32(layers)),
        ("llama.context_length", Meta::U32(128)),
        ("llama.embedding_length", Meta::U32(d_model)),
        ("llama.feed_forward_length", Meta::U32(d_ff)),
        ("llama.attention.head_count", Meta::U32(heads)),
        ("llama.attention.head_count_kv", Meta::U32(kv_heads)),
        ("llama.rope.freq_base", Meta::F32(10_000.0)),
        ("llama.rope.dimension_count", Meta::U32(d_model / heads)),
        ("llama.attention.layer_norm_rms_epsilon", Meta::F32(epsilon)),
        ("tokenizer.ggml.add_bos_token", Meta::Bool(false)),
        ("tokenizer.ggml.token_type", Meta::I32s(vec![3, 1])),
        ("tokenizer.ggml.tokens", Meta::Texts(vec!["<end>".into(), "a".into()])),
        ("tokenizer.ggml.eos_token_id", Meta::U32(0)),
    ]
}

/// What llama.cpp's converter does to the rows of queries and keys: `[head, 2, half, columns]` → `[head, half, 2, columns]`
/// (`LlamaModel.permute` in convert_hf_to_gguf.py).
pub fn permuted(values: &[f32], heads: usize, columns: usize) -> Vec<f32> {
    let rows = values.len() / columns;
    let half = rows / heads / 2;
    let mut out = Vec::with_capacity(values.len());
    for head in 0..heads {
        for i in 0..half {
            for part in 0..2 {
                let row = (head * 2 + part) * half + i;
                out.extend(&values[row * columns..(row + 1) * columns]);
            }
        }
    }
    out
}
