//! `anneal model` through the program itself, on the checkpoints whose expected values `transformers` computed.

use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

const FIXTURES: [&str; 6] = ["llama", "llama_untied", "qwen2", "qwen3", "gemma", "gpt2"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/model/tests/fixtures").join(name)
}

fn anneal(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_anneal")).arg("model").args(args).output().unwrap()
}

fn json(args: &[&str]) -> Value {
    let output = anneal(&[args, &["--json"]].concat());
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a command says that must fail.
fn fails(args: &[&str]) -> String {
    let output = anneal(args);
    assert!(!output.status.success() && output.stdout.is_empty(), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn list(ids: &Value) -> String {
    ids.as_array().unwrap().iter().map(Value::to_string).collect::<Vec<_>>().join(",")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn every_family_computes_as_transformers_does() {
    for name in FIXTURES {
        let folder = fixture(name);
        let expected: Value = serde_json::from_str(&fs::read_to_string(folder.join("expected.json")).unwrap()).unwrap();
        let (first, second) = (list(&expected["input_ids"][0]), list(&expected["input_ids"][1]));
        let with =
            |command, more: &[&str]| json(&[&[command, "--model", text(&folder), "--ids", &first], more].concat());
        let found = with("logits", &[]);
        let (found, wanted) = (found["logits"].as_array().unwrap(), expected["logits_row0"].as_array().unwrap());
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(wanted).map(|(f, w)| (numbers(f), numbers(w))) {
            assert_eq!(found.len(), wanted.len());
            assert!(found.iter().zip(&wanted).all(|(f, w)| (f - w).abs() <= 2e-4), "{name}");
        }
        let measured = with("loss", &["--ids", &second]);
        for (key, wanted, tolerance) in [("loss", "next_token_loss", 1e-5), ("grad_norm", "global_grad_norm", 1e-3)] {
            let (found, wanted) = (measured[key].as_f64().unwrap(), expected[wanted].as_f64().unwrap());
            assert!(((found - wanted) / wanted).abs() <= tolerance, "{name}: {key} {found} {wanted}");
        }
        for more in [&["-n", "12"][..], &["-n", "12", "--no-cache"]] {
            assert_eq!(with("greedy", more)["ids"], expected["greedy_12_after_row0"], "{name} {more:?}");
        }
        let info = json(&["info", text(&folder)]);
        assert_eq!(info["model_type"], name.trim_end_matches("_untied"));
        assert_eq!(info["dtypes"], serde_json::json!(["F32"]));
    }
}

#[test]
fn bad_input_is_said_plainly() {
    let temp = TempDir::new().unwrap();
    let llama = fixture("llama");
    let folder = |name: &str, config: &str| {
        let folder = temp.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("config.json"), config).unwrap();
        folder
    };
    let config = fs::read_to_string(llama.join("config.json")).unwrap();
    let bert = folder("bert", r#"{"model_type": "bert"}"#);
    let bare = folder("bare", &config);
    let wider = folder("wider", &config.replace("\"intermediate_size\": 112", "\"intermediate_size\": 100"));
    let torn = folder("torn", &config);
    let weights = fs::read(llama.join("model.safetensors")).unwrap();
    fs::write(wider.join("model.safetensors"), &weights).unwrap();
    fs::write(torn.join("model.safetensors"), &weights[..weights.len() - 100]).unwrap();
    let long = vec!["1"; 130].join(",");
    for (model, ids, says) in [
        (&bert, "5", "known: llama, qwen2, qwen3, gemma, gpt2"),
        (&bare, "5", "there is neither model.safetensors nor model.safetensors.index.json"),
        (&wider, "5", "model.layers.0.mlp.gate_proj.weight has shape [112, 48]; expected [100, 48]"),
        (&torn, "5", "its header speaks of"),
        (&llama, "5,199", "199 is not in the model's vocabulary of 199"),
        (&llama, "5,six", "\"six\" is not a token id"),
        (&llama, &long, "130 tokens are beyond the model's context of 128"),
        (&temp.path().join("none"), "5", "config.json"),
    ] {
        let said = fails(&["logits", "--model", text(model), "--ids", ids]);
        assert!(said.contains(says), "{said}");
    }
    for (command, more, says) in [
        ("loss", &["--ids", "5"][..], "two tokens or more"),
        ("greedy", &["--ids", "5", "-n", "128"], "context of 128"),
        ("greedy", &["--ids", "5", "--ids", "6"], "one row"),
    ] {
        let said = fails(&[&[command, "--model", text(&llama)], more].concat());
        assert!(said.contains(says), "{said}");
    }
}
