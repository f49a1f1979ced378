//! Recipes that cannot train: refused before anything starts, each complaint beside its key.

use crate::server::{Server, TINY, text};
use serde_json::Value;
use std::fs;
use tempfile::TempDir;

#[test]
fn recipes_are_refused_with_reasons() {
    let folder = TempDir::new().unwrap();
    let server = Server::with_sums(&folder.path().join("data"), &["--no-worker"]);
    let recipe = folder.path().join("tiny.yaml");
    fs::write(&recipe, TINY).unwrap();
    let bpe = "tokenizer.kind=bpe";
    for (changes, key, says) in [
        (&["optimizer.lerning_rate=1"][..], "optimizer.lerning_rate", "did you mean `learning_rate`?"),
        (&["modle.layers=1"], "modle", "did you mean `model`?"),
        (&["optimizer.learning_rate=0"], "optimizer.learning_rate", "must be a number above 0"),
        (&["optimizer.learning_rate=-0.1"], "optimizer.learning_rate", "must be a number above 0"),
        (&["optimizer.learning_rate=.nan"], "optimizer.learning_rate", "must be a number"),
        (&["optimizer.learning_rate=NaN"], "optimizer.learning_rate", "must be a number"),
        (&["optimizer.learning_rate=.inf"], "optimizer.learning_rate", "must be a number"),
        (&["optimizer.learning_rate=fast"], "optimizer.learning_rate", "fast"),
        (&["optimizer.clip_norm=.nan"], "optimizer.clip_norm", "must be a number"),
        (&["train.steps=0"], "train.steps", "must lie between 1"),
        (&["train.steps=-3"], "train.steps", "must be a whole number"),
        (&["train.batch=99999999999999999999"], "train.batch", ""),
        (&["model.context=20", "evaluation.max_new_tokens=4"], "model.context", "the longest trace has"),
        (&[bpe, "tokenizer.vocab=50000"], "tokenizer.vocab", "larger than the data can fill"),
        (&[bpe, "tokenizer.vocab=100"], "tokenizer.vocab", "at least 260"),
        (&["model.d_model=16384", "model.heads=64", "model.layers=256"], "train.batch", "this run needs about 1"),
        // Beyond what 64 bits can count.
        (
            &["model.layers=256", "model.heads=256", "model.head_dim=2", "train.batch=65536", "model.context=131072"],
            "train.batch",
            "GB are available",
        ),
    ] {
        let changes: Vec<&str> = changes.iter().flat_map(|change| ["--set", change]).collect();
        let start = [&["runs", "start", text(&recipe), "--dataset", "sums@1", "--json"], &changes[..]].concat();
        let error: Value = serde_json::from_str(&server.fails(&start)).unwrap();
        assert_eq!(error["kind"], "invalid", "{error}");
        let fields = error["fields"].as_array().unwrap();
        let found = fields.iter().find(|field| field["path"] == key).unwrap_or_else(|| panic!("{changes:?}: {error}"));
        assert!(found["message"].as_str().unwrap().contains(says), "{changes:?}: {error}");
    }
    for allowed in [["data.long_traces=drop"], ["data.long_traces=truncate"]] {
        let changes = ["--set", allowed[0], "--set", "model.context=50"];
        server.json(&[&["runs", "start", text(&recipe), "--dataset", "sums@1"], &changes[..]].concat());
    }
    assert_eq!(server.json(&["runs", "list"])["total"], 2, "what was refused is not there");
    for (yaml, says) in [
        ("", "expected keys"),
        ("- a\n- b\n", "expected keys"),
        ("name: [", "not YAML"),
        ("name: x\nname: y\n", ""),
        ("a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c]\n", ""),
        (&format!("name: {}\n{}", "x".repeat(201), TINY.split_once('\n').unwrap().1), "1 to 200 characters"),
    ] {
        fs::write(&recipe, yaml).unwrap();
        let said = server.fails(&["runs", "start", text(&recipe), "--dataset", "sums@1"]);
        assert!(said.starts_with("error: ") && said.contains(says), "{yaml}: {said}");
    }
}
