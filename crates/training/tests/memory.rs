//! The estimate of memory against the measured peak, each training in a process of its own: the shipped recipes and the shapes
//! that speed is measured on.
//!
//! Not under the usual harness: the training is this program itself, started with `--alone NAME`, so that it computes as
//! Anneal's own does, on the program's first thread and with the memory that `compute_here` keeps. On a thread of the harness the
//! allocator keeps more at times: peaks of one training lay up to a fifth apart there.

use domain::{
    DeviceChoice, GenerateSpec, Job, ModelConfig, Precision, Recipe, TaskFamily, TrainEvent, model::Architecture,
};
use serde_json::{Value, json};
use std::{env, fs, process::Command};
use training::{
    StopSignal,
    bench::{self, Size},
    shapes::shape,
};

/// How far the estimate may be from the peak.
const TOLERANCE: f64 = 0.2;

/// Gives the estimate and the peak in bytes.
type Training = fn() -> (u64, u64);

const CASES: [(&str, Training); 9] = [
    ("addition", || addition(false)),
    ("addition_recomputed", || addition(true)),
    ("adafactor", || by("adafactor")),
    ("muon", || by("muon")),
    ("adamw", || by("adamw")),
    ("smoke", smoke),
    ("packed_and_accumulated", packed_and_accumulated),
    ("bench_of_7_million", || benched(256, 6, 8, 128)),
    ("bench_of_2_million", || benched(128, 4, 32, 64)),
];

/// Every case, or those whose name a word of the command line is part of.
fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    if let [flag, name] = &words[..]
        && flag == "--alone"
    {
        model::fused::compute_here();
        let (_, training) = CASES.iter().find(|(known, _)| known == name).unwrap();
        let (estimate, peak) = training();
        return println!("estimate and peak {estimate} {peak}");
    }
    let asked = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let off: Vec<_> = CASES.iter().map(|(name, _)| *name).filter(|name| asked(name) && !holds(name)).collect();
    assert!(off.is_empty(), "further from the peak than {TOLERANCE}: {off:?}");
}

/// Whether the estimate is near enough to the peak of a training whose process' memory nothing else has touched.
fn holds(name: &str) -> bool {
    let out = Command::new(env::current_exe().unwrap()).args(["--alone", name]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    let numbers = said.lines().find_map(|line| line.strip_prefix("estimate and peak "));
    let numbers: Vec<f64> = numbers.unwrap_or(&said).split(' ').map(|n| n.parse().expect(&said)).collect();
    let off = numbers[0] / numbers[1] - 1.0;
    println!("{name}: estimated {:.0} MB, peak {:.0} MB: {:+.1} %", numbers[0] / 1e6, numbers[1] / 1e6, 100.0 * off);
    off.abs() <= TOLERANCE
}

/// A training of few steps; the rest of the recipe as shipped.
fn trained(mut recipe: Value, lines: &[String]) -> (u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, lines: &[String]| {
        let path = folder.path().join(name);
        fs::write(&path, lines.join("\n")).unwrap();
        path
    };
    recipe["name"] = "test".into();
    recipe["device"] = "flex".into();
    recipe["train"]["steps"] = 3.into();
    recipe["schedule"]["warmup_steps"] = 1.into();
    recipe["evaluation"] = json!({"every": 0, "val_items": 32, "samples": 1, "max_new_tokens": 16, "test_items": 2});
    let recipe: Recipe = serde_json::from_value(recipe).unwrap();
    let cut = lines.len() - 40;
    let job = Job {
        recipe,
        train: write("train.jsonl", &lines[..cut]),
        val: write("val.jsonl", &lines[cut..]),
        test: write("test.jsonl", &lines[cut..]),
        work: folder.path().join("work"),
        family: Some(TaskFamily::Addition),
        base: None,
    };
    let (mut estimate, mut peak) = (0, 0);
    let mut sink = |event: TrainEvent| match event {
        TrainEvent::Started { estimated_memory_bytes, estimate: split, .. } => {
            let split = split.unwrap();
            assert_eq!(split.total_bytes, estimated_memory_bytes);
            assert!(split.seconds.unwrap() > 0.0 && split.activations_bytes > 0);
            estimate = estimated_memory_bytes;
        }
        TrainEvent::Log { line } => println!("{line}"),
        TrainEvent::Finished { peak_memory_bytes, .. } => peak = peak_memory_bytes,
        _ => {}
    };
    training::run(&job, &mut sink, &StopSignal::default()).unwrap();
    (estimate, peak)
}

fn sums(count: u32, difficulty: u8) -> Vec<String> {
    let spec = GenerateSpec { family: TaskFamily::Addition, count, seed: 1, difficulty: Some(difficulty) };
    tasks::generate(&spec).map(|t| serde_json::to_string(&t).unwrap()).collect()
}

/// configs/recipes/addition.yaml; `recompute`: with blocks computed again instead of kept.
fn addition(recompute: bool) -> (u64, u64) {
    let model = json!({"d_model": 128, "layers": 6, "heads": 4, "context": 128});
    let train = json!({"batch": 48, "recompute": recompute});
    trained(json!({"model": model, "tokenizer": {"kind": "char"}, "train": train}), &sums(400, 5))
}

/// A model whose weights are most of what is needed, by each kind of optimizer.
fn by(kind: &str) -> (u64, u64) {
    let model = json!({"d_model": 384, "layers": 8, "heads": 6, "context": 128});
    let optimizer = json!({"kind": kind, "learning_rate": 0.001});
    let recipe = json!({"model": model, "tokenizer": {"kind": "char"}, "train": {"batch": 2}, "optimizer": optimizer});
    trained(recipe, &sums(100, 2))
}

/// configs/recipes/smoke.yaml, on traces that fill its context.
fn smoke() -> (u64, u64) {
    let long = |line: &String| {
        let mut trace: Value = serde_json::from_str(line).unwrap();
        let steps = trace["steps"].as_array().unwrap().clone();
        let more = steps.iter().cycle().take(60).enumerate();
        trace["steps"] = more.map(|(i, step)| json!({"i": i, "type": "x", "content": step["content"]})).collect();
        trace.to_string()
    };
    let model = json!({"d_model": 64, "layers": 2, "heads": 4, "kv_heads": 2, "context": 384});
    let recipe = json!({"model": model, "tokenizer": {"kind": "bpe", "vocab": 512},
        "data": {"long_traces": "truncate"}, "train": {"batch": 8}});
    trained(recipe, &sums(200, 5).iter().map(long).collect::<Vec<_>>())
}

/// Packed, in two micro-batches: the sum of gradients lies beside the next ones.
fn packed_and_accumulated() -> (u64, u64) {
    let model = json!({"d_model": 192, "layers": 4, "heads": 4, "context": 256});
    let recipe = json!({"model": model, "tokenizer": {"kind": "char"}, "data": {"packing": true},
        "train": {"batch": 6, "batch_total": 12}});
    trained(recipe, &sums(400, 4))
}

fn benched(d_model: usize, layers: usize, batch: usize, seq: usize) -> (u64, u64) {
    let config = ModelConfig { tie_embeddings: false, ..shape(Architecture::Llama, d_model, layers, d_model / 32) };
    let size = Size { batch, seq, steps: 3, lora: None };
    let report = bench::train(&config, size, DeviceChoice::Flex, Precision::F32).unwrap();
    (report.estimated_memory_bytes.unwrap(), report.peak_memory_bytes)
}
