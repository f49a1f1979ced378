//! Training without a server, killed and mistreated.

use crate::server::{TINY, anneal, signal, text};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
};
use tempfile::TempDir;

fn job(folder: &Path, name: &str) -> String {
    let file = |split: &str, seed: &str| {
        let file = folder.join(format!("{split}.jsonl"));
        let make = ["traces", "generate", "--family", "addition", "-n", "60", "--seed", seed, "-o", text(&file)];
        assert!(anneal(&make).output().unwrap().status.success());
        file
    };
    let job = json!({
        "recipe": {
            "name": name, "model": {"d_model": 16, "layers": 2, "heads": 2, "context": 160}, "tokenizer": {"kind": "char"},
            "train": {"steps": 40, "batch": 4, "accumulate": 2}, "schedule": {"warmup_steps": 4}, "device": "flex",
            "evaluation": {"every": 8, "val_items": 8, "samples": 1, "max_new_tokens": 8, "test_items": 4},
            "checkpoint": {"every": 3, "keep": 1},
        },
        "train": file("train", "1"), "val": file("val", "2"), "test": file("test", "3"),
        "work": folder.join(name), "family": "addition",
    });
    let path = folder.join(format!("{name}.json"));
    fs::write(&path, job.to_string()).unwrap();
    text(&path).to_owned()
}

/// Runs the worker's training process on a job, and kills it with signal 9 at a step. Each step's loss, as bits.
fn train(job: &str, kill_at: Option<u64>) -> Vec<(u64, u64)> {
    let mut command = anneal(&["train-child", "--job", job]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut losses = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        // A killed process may leave half a line.
        let Ok(event) = serde_json::from_str::<Value>(&line.unwrap()) else { continue };
        if event["event"] == "step" {
            let step = event["step"].as_u64().unwrap();
            losses.push((step, event["loss"].as_f64().unwrap().to_bits()));
            if kill_at == Some(step) {
                signal("KILL", child.id());
            }
        }
    }
    assert_eq!(child.wait().unwrap().success(), kill_at.is_none());
    losses
}

#[test]
fn a_killed_training_goes_on_bit_for_bit() {
    let folder = TempDir::new().unwrap();
    let whole = train(&job(folder.path(), "whole"), None);
    assert_eq!(whole.len(), 40);
    let killed = job(folder.path(), "killed");
    let mut done = 0;
    for kill_at in [2, 10, 11, 25, 39] {
        let losses = train(&killed, Some(kill_at));
        let first = losses[0].0 as usize;
        // It may have come a few steps further before the signal did; it is behind by less than a checkpoint's distance.
        assert!(first <= done + 1 && done < first + 3, "step {first} after {done}");
        done = losses.last().unwrap().0 as usize;
        assert!(done >= kill_at as usize);
        assert_eq!(losses, whole[first - 1..done]);
    }
    let rest = train(&killed, None);
    assert_eq!(rest, whole[rest[0].0 as usize - 1..]);
    let model = |name: &str| fs::read(folder.path().join(name).join("export/model.safetensors")).unwrap();
    assert!(model("whole") == model("killed"), "the models are the same, byte for byte");
}

#[test]
fn a_folder_belongs_to_one_training() {
    let folder = TempDir::new().unwrap();
    let (recipe, file, out) =
        (folder.path().join("tiny.yaml"), folder.path().join("t.jsonl"), folder.path().join("out"));
    fs::write(&recipe, TINY).unwrap();
    assert!(
        anneal(&["traces", "generate", "--family", "sorting", "-n", "40", "-o", text(&file)])
            .output()
            .unwrap()
            .status
            .success()
    );
    let train = |more: &[&str]| {
        let output = anneal(&["train", text(&recipe), "--data", text(&file), "--out", text(&out), "--json"])
            .args(more)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = train(&["--set", "model.context=20", "--set", "evaluation.max_new_tokens=4"]);
    assert!(code == Some(1) && said.contains("longer than model.context = 20"), "{said}");
    // Nothing was trained, so the mended recipe may take its place.
    assert_eq!(train(&[]).0, Some(0));
    let kept = || fs::read(out.join("checkpoints/step-000000008/model.safetensors")).unwrap();
    let before = kept();
    for other in [
        &["--set", "seed=2"][..],
        &["--split", "60/20/20"],
        &["--set", "tokenizer.kind=bpe", "--set", "tokenizer.vocab=270"],
    ] {
        let (code, said) = train(other);
        assert!(code == Some(1) && said.contains("another recipe or other data"), "{said}");
        assert!(kept() == before);
    }
    assert_eq!(train(&[]).0, Some(0), "the same again is done again");
}
