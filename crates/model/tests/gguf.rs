//! GGUF files against the same model as a Hugging Face folder, whose results are held against `transformers` elsewhere.

#[path = "support/gguf.rs"]
mod support;

use burn::tensor::Device;
use half::f16;
use model::{Folder, config::TokenIds, gguf::Gguf, store};
use safetensors::SafeTensors;
use std::{fs, path::Path};
use support::{Meta, Packed, gguf, llama, permuted};
use tempfile::TempDir;

const F32: u32 = 0;
const F16: u32 = 1;
const Q4_0: u32 = 2;
const Q4_1: u32 = 3;
const Q8_0: u32 = 8;

/// Names there and here; layers are numbered in between.
const NAMES: [(&str, &str); 9] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// The fixture's tensors as llama.cpp's converter would write them, in f32.
fn converted(name: &str, heads: usize, kv_heads: usize) -> Vec<Packed> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name).join("model.safetensors");
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut packed = Vec::new();
    for (name, view) in file.tensors() {
        let values: Vec<f32> =
            view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let values = match &name {
            n if n.contains("q_proj") => permuted(&values, heads, view.shape()[1]),
            n if n.contains("k_proj") => permuted(&values, kv_heads, view.shape()[1]),
            _ => values,
        };
        let mut there = name
            .replace("model.layers.", "blk.")
            .replace("model.embed_tokens", "token_embd")
            .replace("model.norm", "output_norm")
            .replace("lm_head", "output");
        for (here, short) in NAMES {
            there = there.replace(&format!(".{here}."), &format!(".{short}."));
        }
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        packed.push(Packed { name: there, shape: view.shape().to_vec(), kind: F32, bytes });
    }
    packed
}

fn open(bytes: &[u8]) -> Result<Gguf, String> {
    let temp = TempDir::new().unwrap();
    let path = temp.path().join("model.gguf");
    fs::write(&path, bytes).unwrap();
    Gguf::open(&path).map_err(|e| e.to_string())
}

fn bits(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let decoder = open(bytes)?.decoder(&Device::flex()).map_err(|e| e.to_string())?;
    Ok(store::to_safetensors(&decoder).unwrap())
}

#[test]
fn a_converted_model_is_the_model() {
    for (name, d, heads, kv, epsilon) in [("llama", 48, 6, 2, 1e-5), ("llama_untied", 36, 3, 3, 1e-6)] {
        let folder = Folder::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap();
        let file = gguf(&llama(d, 3, heads, kv, 112, epsilon), &converted(name, heads as usize, kv as usize));
        let found = open(&file).unwrap();
        assert_eq!(found.config().unwrap(), folder.config, "{name}");
        assert_eq!(found.tokens(), TokenIds { bos: None, eos: vec![0], pad: None });
        assert_eq!(found.texts("tokenizer.ggml.tokens"), ["<end>", "a"]);
        assert_eq!(found.wholes("tokenizer.ggml.token_type"), [3, 1]);
        let wanted = store::to_safetensors(&folder.decoder(&Device::flex()).unwrap()).unwrap();
        assert!(bits(&file).unwrap() == wanted, "{name}");
    }
}

/// A block of each packing that repeats through a matrix, and the first numbers it stands for.
#[test]
fn packed_matrices_are_unpacked() {
    let half = |v: f32| f16::from_f32(v).to_le_bytes().to_vec();
    let cases: [(u32, usize, Vec<u8>, [f32; 3]); 4] = [
        (F16, 2, [half(0.5), half(-2.0)].concat(), [0.5, -2.0, 0.5]),
        (Q8_0, 32, [half(0.5), [2, 0xfe].repeat(16)].concat(), [1.0, -1.0, 1.0]),
        (Q4_0, 32, [half(2.0), [0x09, 0x17].repeat(8)].concat(), [2.0, -2.0, 2.0]),
        (Q4_1, 32, [half(2.0), half(1.0), [0x09, 0x17].repeat(8)].concat(), [19.0, 15.0, 19.0]),
    ];
    for (kind, numbers, block, expected) in cases {
        let plain = |name: &str, shape: &[usize]| {
            let bytes = vec![0; 4 * shape.iter().product::<usize>()];
            Packed { name: name.to_owned(), shape: shape.to_vec(), kind: F32, bytes }
        };
        let mut tensors = vec![
            plain("blk.0.attn_norm.weight", &[32]),
            plain("blk.0.ffn_norm.weight", &[32]),
            plain("output_norm.weight", &[32]),
            Packed {
                name: "token_embd.weight".to_owned(),
                shape: vec![7, 32],
                kind,
                bytes: block.repeat(7 * 32 / numbers),
            },
        ];
        for name in ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"] {
            tensors.push(plain(&format!("blk.0.{name}.weight"), &[32, 32]));
        }
        let bytes = bits(&gguf(&llama(32, 1, 2, 2, 32, 1e-5), &tensors)).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let table = file.tensor("model.embed_tokens.weight").unwrap();
        assert_eq!(table.shape(), [7, 32]);
        let found: Vec<f32> =
            table.data().chunks_exact(4).take(3).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        assert_eq!(found, expected, "type {kind}");
    }
}

#[test]
fn damaged_and_unknown_files_are_refused() {
    let metadata = || llama(48, 3, 6, 2, 112, 1e-5);
    let good = || gguf(&metadata(), &converted("llama", 6, 2));
    let with = |key: &'static str, value: Meta| {
        let mut metadata = metadata();
        metadata.retain(|(k, _)| *k != key);
        metadata.push((key, value));
        bits(&gguf(&metadata, &converted("llama", 6, 2))).unwrap_err()
    };
    let changed = |change: &dyn Fn(&mut Vec<Packed>)| {
        let mut tensors = converted("llama", 6, 2);
        change(&mut tensors);
        bits(&gguf(&metadata(), &tensors)).unwrap_err()
    };
    let find = |tensors: &mut Vec<Packed>, name: &str| tensors.iter().position(|t| t.name == name).unwrap();
    let mut old = good();
    old[4] = 1;
    for (said, says) in [
        (bits(b"not a model").unwrap_err(), "does not begin with GGUF"),
        (bits(&old).unwrap_err(), "its version is 1; known: 2, 3"),
        (bits(&good()[..300]).unwrap_err(), "ends within its header"),
        (bits(&good()[..good().len() - 50_000]).unwrap_err(), "reaches beyond the end of the file"),
        (with("general.architecture", Meta::Text("gemma3".into())), "general.architecture is \"gemma3\"; known: llama"),
        (with("llama.rope.scaling.type", Meta::Text("yarn".into())), "rope.scaling.type is \"yarn\""),
        (with("llama.embedding_length", Meta::U32(0)), "no usable llama.embedding_length"),
        (with("llama.feed_forward_length", Meta::U32(100)), "has shape [112, 48]; expected [100, 48]"),
        (changed(&|t| t.retain(|x| x.name != "blk.1.ffn_up.weight")), "lack model.layers.1.mlp.up_proj.weight"),
        (
            changed(&|t| {
                let at = find(t, "output_norm.weight");
                t[at].kind = 12;
            }),
            "has the unsupported type Q4_K; known: F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q6_K",
        ),
        (
            changed(&|t| {
                let at = find(t, "output_norm.weight");
                t[at].kind = Q8_0;
            }),
            "of shape [48] cannot be in blocks of Q8_0",
        ),
        (
            changed(&|t| {
                t.push(Packed { name: "blk.7.x.weight".into(), shape: vec![2], kind: F32, bytes: vec![0; 8] });
            }),
            "does not have: blk.7.x.weight [2]",
        ),
    ] {
        assert!(said.contains(says), "{said}");
    }
}
