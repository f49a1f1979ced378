//! Training through its boundary: a loss that falls, and resuming that equals never having stopped, bit for bit.

use domain::{GenerateSpec, Job, Recipe, TaskFamily, TrainEvent};
use std::{fs, path::Path};
use training::{Outcome, StopSignal};

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

fn job(folder: &Path, steps: u64) -> Job {
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
    }
}

/// Losses by step, as bits; stops after `stop_at` steps when given. `hard`: by unwinding, as if killed, no last checkpoint.
fn train(job: &Job, stop_at: Option<u64>, hard: bool) -> (Vec<(u64, u64)>, Vec<TrainEvent>, Option<Outcome>) {
    let (mut losses, mut events) = (Vec::new(), Vec::new());
    let stop = StopSignal::default();
    let mut sink = |event: TrainEvent| {
        if let TrainEvent::Step { step, loss, .. } = event {
            losses.push((step, loss.to_bits()));
            if stop_at == Some(step) {
                assert!(!hard, "killed");
                stop.ask();
            }
        }
        events.push(event);
    };
    let outcome =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| training::run(job, &mut sink, &stop).unwrap()));
    (losses, events, outcome.ok())
}

#[test]
fn resume_equals_no_resume_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, events, outcome) = train(&job(&folder.path().join("whole"), 24), None, false);
    assert_eq!(outcome, Some(Outcome::Finished));
    assert_eq!(whole.len(), 24);
    let loss = |i: usize| f64::from_bits(whole[i].1);
    assert!(loss(23) < 0.8 * loss(0), "the loss falls: {} to {}", loss(0), loss(23));
    let predictions = events.iter().filter(|e| matches!(e, TrainEvent::Predicted(_))).count();
    assert_eq!(predictions, 5);
    for (stop_at, hard) in [(1, false), (10, false), (7, true), (23, true)] {
        let job = job(&folder.path().join(format!("parts-{stop_at}")), 24);
        let (first, _, _) = train(&job, Some(stop_at), hard);
        let (second, _, outcome) = train(&job, None, false);
        assert_eq!(outcome, Some(Outcome::Finished));
        // A killed training repeats the steps after its last checkpoint.
        let from = second[0].0 as usize - 1;
        assert!(from <= stop_at as usize && (hard || from == stop_at as usize), "{from} {stop_at}");
        assert_eq!(first, whole[..stop_at as usize]);
        assert_eq!(second, whole[from..]);
    }
}

#[test]
fn a_torn_checkpoint_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let job = job(folder.path(), 12);
    train(&job, Some(9), false);
    let torn = job.work.join("checkpoints/step-000000009/model.safetensors");
    let bytes = fs::read(&torn).unwrap();
    fs::write(&torn, &bytes[..bytes.len() - 10]).unwrap();
    let (losses, events, _) = train(&job, None, false);
    assert_eq!(losses[0].0, 9, "goes on from step 8");
    assert!(events.iter().any(|e| matches!(e, TrainEvent::Alarm { step: 9, .. })));
}

#[test]
fn a_diverging_run_stops_with_a_reason_and_keeps_its_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = job(folder.path(), 40);
    job.recipe.optimizer.learning_rate = 1e30;
    job.recipe.optimizer.clip_norm = 1e30;
    let mut sink = |_| {};
    let error = training::run(&job, &mut sink, &StopSignal::default()).unwrap_err().to_string();
    assert!(error.contains("became") && error.contains("learning_rate"), "{error}");
}

#[test]
fn long_traces_are_refused_with_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = job(folder.path(), 4);
    job.recipe.model.context = 20;
    let error = training::run(&job, &mut |_| {}, &StopSignal::default()).unwrap_err().to_string();
    assert!(error.contains("160 of 160 traces are longer than model.context = 20"), "{error}");
}
