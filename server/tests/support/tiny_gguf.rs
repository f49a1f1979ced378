//! A GGUF file made here: a llama with random weights and a byte-level tokenizer.

#[path = "../../../crates/model/tests/support/gguf.rs"]
mod support;

use support::{Meta, Packed, gguf, llama, permuted};

const D: usize = 32;
const D_FF: usize = 48;
const HEADS: usize = 4;
const KV: usize = 2;
const TEMPLATE: &str = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";

/// Control tokens, the bytes of ASCII that print, space and line break, as GPT-2 spells them, and two merged tokens.
fn tokens() -> Vec<String> {
    let control = ["<|end|>", "<|user|>", "<|assistant|>", "<|system|>"].map(str::to_owned);
    let bytes = (33..127_u8).map(|b| char::from(b).to_string());
    control.into_iter().chain(bytes).chain(["Ġ", "Ċ", "hi", "Ġhi"].map(str::to_owned)).collect()
}

/// Numbers between −0.5 and 0.5, the same every time.
fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

fn tensor(name: &str, shape: &[usize], values: &[f32]) -> Packed {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Packed { name: name.to_owned(), shape: shape.to_vec(), kind: 0, bytes }
}

/// The bytes of the file.
pub fn file() -> Vec<u8> {
    let tokens = tokens();
    let mut metadata = llama(D as u32, 1, HEADS as u32, KV as u32, D_FF as u32, 1e-5);
    metadata.retain(|(key, _)| !key.starts_with("tokenizer."));
    let kinds = (0..tokens.len()).map(|id| if id < 4 { 3 } else { 1 }).collect();
    let table = noise(1, tokens.len() * D);
    let mut tensors = vec![
        tensor("token_embd.weight", &[tokens.len(), D], &table),
        tensor("output_norm.weight", &[D], &[1.0; D]),
        tensor("blk.0.attn_norm.weight", &[D], &[1.0; D]),
        tensor("blk.0.ffn_norm.weight", &[D], &[1.0; D]),
        tensor("blk.0.attn_q.weight", &[D, D], &permuted(&noise(2, D * D), HEADS, D)),
        tensor("blk.0.attn_k.weight", &[D / 2, D], &permuted(&noise(3, D / 2 * D), KV, D)),
        tensor("blk.0.attn_v.weight", &[D / 2, D], &noise(4, D / 2 * D)),
        tensor("blk.0.attn_output.weight", &[D, D], &noise(5, D * D)),
    ];
    for (seed, name, shape) in [(6, "ffn_gate", [D_FF, D]), (7, "ffn_up", [D_FF, D]), (8, "ffn_down", [D, D_FF])] {
        tensors.push(tensor(&format!("blk.0.{name}.weight"), &shape, &noise(seed, D * D_FF)));
    }
    metadata.extend([
        ("tokenizer.ggml.model", Meta::Text("gpt2".into())),
        ("tokenizer.ggml.pre", Meta::Text("smollm".into())),
        ("tokenizer.ggml.tokens", Meta::Texts(tokens)),
        ("tokenizer.ggml.token_type", Meta::I32s(kinds)),
        ("tokenizer.ggml.merges", Meta::Texts(vec!["h i".into(), "Ġ hi".into()])),
        ("tokenizer.ggml.eos_token_id", Meta::U32(0)),
        ("tokenizer.chat_template", Meta::Text(TEMPLATE.into())),
    ]);
    gguf(&metadata, &tensors)
}
