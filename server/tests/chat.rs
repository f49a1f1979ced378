//! `anneal model import`, `chat` and `export` through the program itself, on a GGUF file made here: a llama with random
//! weights and a byte-level tokenizer.

#[path = "support/tiny_gguf.rs"]
mod tiny_gguf;

use serde_json::Value;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

fn anneal(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_anneal")).arg("model").args(args).output().unwrap()
}

fn json(args: &[&str]) -> Value {
    let output = anneal(&[args, &["--json"]].concat());
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What is answered to each line of `input`.
fn conversation(args: &[&str], input: &str) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anneal"));
    command.args(["model", "chat", "--json"]).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::Deserializer::from_slice(&output.stdout).into_iter().map(Result::unwrap).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn made(temp: &TempDir) -> (PathBuf, PathBuf) {
    let (gguf, folder) = (temp.path().join("m.gguf"), temp.path().join("m"));
    fs::write(&gguf, tiny_gguf::file()).unwrap();
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
    let lines = "hi hi\n\nho\n/new\nhi hi\n";
    let said = conversation(&["--model", text(&folder), "--max-new-tokens", "6"], lines);
    assert_eq!(said.len(), 3, "{said:?}");
    assert_eq!((&said[0]["ids"], &said[2]["ids"]), (&greedy["ids"], &greedy["ids"]));
    // The first answer read again as text, and <|user|> h o Ċ <|assistant|> with Ċ before it.
    assert!(said[1]["prompt_tokens"].as_u64() > Some(5 + 6), "{}", said[1]);
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
