//! A small job that every test of the trainer starts from.

use domain::{GenerateSpec, Job, Recipe, TaskFamily};
use std::{fs, path::Path};

fn recipe(steps: u64) -> Recipe {
    serde_json::from_value(serde_json::json!({
        "name": "test", "seed": 3,
        "model": {"d_model": 32, "layers": 2, "heads": 4, "kv_heads": 2, "context": 96},
        "tokenizer": {"kind": "char"},
        "train": {"steps": steps, "batch": 8, "accumulate": 2},
        "optimizer": {"learning_rate": 0.003},
        "schedule": {"warmup_steps": 5},
        "evaluation": {"every": 10, "val_items": 8, "samples": 1, "max_new_tokens": 60, "test_items": 5},
        "checkpoint": {"every": 4, "keep": 2},
        "device": "flex"
    }))
    .unwrap()
}

/// 200 sums of two digits, 160 of them to train on.
pub fn job(folder: &Path, steps: u64) -> Job {
    fs::create_dir_all(folder).unwrap();
    let spec = GenerateSpec { family: TaskFamily::Addition, count: 200, seed: 1, difficulty: Some(2) };
    let lines: Vec<String> = tasks::generate(&spec).map(|t| serde_json::to_string(&t).unwrap()).collect();
    let write = |name: &str, lines: &[String]| {
        let path = folder.join(name);
        fs::write(&path, lines.join("\n")).unwrap();
        path
    };
    Job {
        recipe: recipe(steps),
        train: write("train.jsonl", &lines[..160]),
        val: write("val.jsonl", &lines[160..180]),
        test: write("test.jsonl", &lines[180..]),
        work: folder.join("work"),
        family: Some(TaskFamily::Addition),
        base: None,
    }
}
