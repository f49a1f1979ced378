//! `anneal model import`, `chat` and `export` through the program itself, on a GGUF file made here: a llama with random
//! weights and a byte-level tokenizer.

#[path = "../../crates/model/tests/support/gguf.rs"]
mod support;

use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use support::{Meta, Packed, gguf, llama, permuted};
use tempfile::TempDir;

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

fn file() -> Vec<u8> {
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

fn anneal(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_anneal")).arg("model").args(args).output().unwrap()
}

fn json(args: &[&str]) -> Value {
    let output = anneal(&[args, &["--json"]].concat());
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn made(temp: &TempDir) -> (PathBuf, PathBuf) {
    let (gguf, folder) = (temp.path().join("m.gguf"), temp.path().join("m"));
    fs::write(&gguf, file()).unwrap();
    (gguf, folder)
}

#[test]
fn a_gguf_file_is_imported_talked_to_and_exported() {
    let temp = TempDir::new().unwrap();
    let (file, folder) = made(&temp);
    let imported = json(&["import", text(&file), "--out", text(&folder)]);
    assert_eq!((&imported["model_type"], imported["parameters"].as_u64()), (&Value::from("llama"), Some(11_040)));
    let info = json(&["info", text(&folder)]);
    assert_eq!(info["config"]["kv_heads"], 2);
    assert_eq!(info["eos"], serde_json::json!([0]));

    let chat = |more: &[&str]| {
        json(&[&["chat", "--model", text(&folder), "--prompt", "hi hi", "--max-new-tokens", "6"], more].concat())
    };
    // <|user|> hi Ġhi Ċ <|assistant|>
    let greedy = chat(&[]);
    assert_eq!(
        (&greedy["prompt_tokens"], &greedy["tokens"]),
        (&Value::from(5), &Value::from(greedy["ids"].as_array().unwrap().len()))
    );
    assert!(greedy["text"].as_str().is_some_and(|t| !t.is_empty()), "{greedy}");
    // The same tokens as without chat: <|user|> is 1, <|assistant|> 2, Ċ 99, hi 100, Ġhi 101.
    let ids = json(&["greedy", "--model", text(&folder), "--ids", "1,100,101,99,2", "-n", "6"]);
    assert_eq!(ids["ids"], greedy["ids"]);
    // <|system|> h o Ċ in front.
    assert_eq!(chat(&["--system", "ho"])["prompt_tokens"], 9);
    let warm = ["--temperature", "1.5", "--seed", "4"];
    assert_eq!(chat(&warm)["ids"], chat(&warm)["ids"]);
    let words = anneal(&["chat", "--model", text(&folder), "--prompt", "hi hi", "--max-new-tokens", "6"]);
    assert!(String::from_utf8(words.stdout).unwrap().starts_with(greedy["text"].as_str().unwrap()));

    let again = temp.path().join("again");
    json(&["export", "--model", text(&folder), "--out", text(&again)]);
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(fs::read(folder.join(&name)).unwrap() == fs::read(again.join(&name)).unwrap(), "{name:?}");
    }
}

#[test]
fn bad_input_is_said_plainly() {
    let temp = TempDir::new().unwrap();
    let (file, folder) = made(&temp);
    let broken = temp.path().join("broken.gguf");
    fs::write(&broken, b"GGUF").unwrap();
    let llama = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/model/tests/fixtures/llama");
    let none = temp.path().join("none");
    for (args, says) in [
        (&["import", text(&none), "--out", text(&folder)][..], "no such file"),
        (&["import", text(&broken), "--out", text(&folder)], "ends within its header"),
        (&["import", text(&file), "--out", text(temp.path())], "is not empty"),
        (&["export", "--model", text(&none), "--out", text(&folder)], "there is no"),
        (&["chat", "--model", text(&llama), "--prompt", "hi"], "there is no tokenizer.json"),
    ] {
        let output = anneal(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains(says), "{args:?}: {said}");
    }
    assert!(!folder.exists());
}
