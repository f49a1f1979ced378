//! What every `Store` must do, in examples through the contract alone. A database is held to it by a test file of its own:
//! a function that opens an empty store, and `conforms!` of that function.

pub mod attempts;
pub mod base_models;
pub mod datasets;
pub mod evaluations;
pub mod events;
pub mod runs;
pub mod series;
pub mod traces;
pub mod workers;

use domain::{
    DeviceInfo, Micros, NewTrace, Prediction, Recipe, RunId, RunState, Step, TraceId, TrainEvent, Verdict, WorkerId,
    estimate::Estimate, trace::MetaValue,
};
use std::collections::BTreeMap;
use storage::{Claimed, NewRun, RunRecord, Store};

/// One test a case, each on a store of its own: `$fresh` gives (what keeps it alive, the store).
macro_rules! conforms {
    ($fresh:ident) => {
        conforms! { $fresh:
            traces: newest_first_in_pages, searches_and_filters, counts_follow_delete_and_undo, scan_and_contents,
                what_was_said_before_is_kept_and_told_apart, a_refused_batch_leaves_nothing;
            datasets: the_same_content_is_the_same_dataset, lists_and_versions;
            base_models: the_same_files_are_the_same_model, listed_and_deleted;
            runs: found_and_listed, cancel_and_retry_follow_the_table, retry_goes_to_the_end_of_the_queue;
            attempts: a_run_is_claimed_once, old_attempts_change_nothing, three_losses_fail_with_the_last_lines,
                a_release_does_not_count, a_cancelled_run_goes_on_reporting_until_it_stops, ended_runs_take_no_reports;
            events: resume_after_any_event, log_in_order_with_a_huge_line, a_resumed_attempt_takes_back_what_it_repeats,
                figures_that_are_no_numbers_are_left_out;
            series: curves_equal_brute_force, a_long_curve_is_few_rows, validations_are_thinned;
            evaluations: predictions_by_verdict, leaderboard_by_score;
            workers: heard_of_lately;
        }
    };
    ($fresh:ident: $($noun:ident: $($case:ident),+;)+) => {$(
        mod $noun {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (_keep, store) = super::$fresh().await;
                crate::suite::$noun::$case(&*store).await;
            }
        )+}
    )+};
}

/// A second on the suite's clock, which is nobody's real one.
pub fn at(second: i64) -> Micros {
    Micros(1_700_000_000_000_000 + second * 1_000_000)
}

/// Now, and the end of a lease of 30 seconds.
pub fn times(second: i64) -> (Micros, Micros) {
    (at(second), at(second + 30))
}

pub fn trace_id(number: u32) -> TraceId {
    TraceId::from_parts(1_700_000_000_000 + u64::from(number), number.into())
}

pub fn run_id(number: u32) -> RunId {
    RunId::from_parts(1_700_000_000_000 + u64::from(number), u128::from(number) * 0x9e37_79b9)
}

pub fn worker_id(number: u32) -> WorkerId {
    WorkerId::from_u128(number.into())
}

/// Empty family or category: none.
pub fn trace(prompt: &str, answer: &str, family: &str, category: &str) -> NewTrace {
    let meta: BTreeMap<_, _> = [("family", family), ("category", category)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.to_owned(), MetaValue::from(value)))
        .collect();
    NewTrace {
        trace_version: "1.0".to_owned(),
        history: Vec::new(),
        prompt: prompt.to_owned(),
        final_answer: answer.to_owned(),
        steps: vec![Step { i: 0, kind: "compute".to_owned(), content: format!("{prompt} {answer}") }],
        meta: (!meta.is_empty()).then_some(meta),
    }
}

fn recipe() -> Recipe {
    serde_json::from_value(serde_json::json!({
        "name": "tiny", "model": {"d_model": 8, "layers": 1, "heads": 1, "context": 32},
        "tokenizer": {"kind": "char"}, "train": {"steps": 100, "batch": 2},
    }))
    .unwrap()
}

/// Queues run `number` at that second.
pub async fn queue(store: &dyn Store, number: u32) -> RunId {
    let new = NewRun {
        id: run_id(number),
        name: format!("run {number}"),
        dataset: format!("sums@{}", 1 + number % 2).parse().unwrap(),
        dataset_hash: "0".repeat(64),
        recipe: recipe(),
        recipe_yaml: "name: tiny\n".to_owned(),
        recipe_hash: "1".repeat(64),
        estimate: None,
        created_at: at(number.into()),
    };
    store.insert_run(&new).await.unwrap();
    new.id
}

pub async fn claim(store: &dyn Store, second: i64) -> Claimed {
    let (now, until) = times(second);
    store.claim(worker_id(1), now, until).await.unwrap().expect("a queued run")
}

/// Reports of the run's present attempt, a minute after the epoch of the suite.
pub async fn report(store: &dyn Store, run: RunId, events: &[TrainEvent]) -> RunState {
    let fence = store.run(run).await.unwrap().fence;
    store.report(run, fence, times(60), "v1", events).await.unwrap().state
}

/// Everything of a run that a refused write might have touched.
pub async fn whole(store: &dyn Store, run: RunId) -> (RunRecord, String) {
    let record = store.run(run).await.unwrap();
    let events = store.events_after(run, 0, 1_000_000).await.unwrap();
    let (attempts, files) = (store.attempts(run).await.unwrap(), store.run_files(run).await.unwrap());
    let text = format!("{record:?} {events:?} {attempts:?} {files:?}");
    (record, text)
}

pub fn device() -> DeviceInfo {
    let (backend, name) = ("flex".to_owned(), "test".to_owned());
    DeviceInfo { backend, name, driver: None, memory_bytes: Some(1 << 30), threads: Some(2) }
}

pub fn started(resumed_from: Option<u64>) -> TrainEvent {
    TrainEvent::Started {
        device: device(),
        parameters: 1_000,
        vocab: 30,
        train_items: 10,
        train_tokens: 100,
        steps: 100,
        resumed_from,
        estimated_memory_bytes: 1,
        estimate: Some(Box::new(measured())),
    }
}

/// What the trainer measured before its first step.
pub fn measured() -> Estimate {
    serde_json::from_value(serde_json::json!({
        "parameters": 1_000, "tokens": 5_000, "weights_bytes": 4_000, "gradients_bytes": 4_000, "optimizer_bytes": 8_000,
        "activations_bytes": 9_000, "logits_bytes": 1_000, "total_bytes": 30_000, "flops": 3e7,
        "micro": {"batch": 2, "accumulate": 1}, "seconds": 12.5,
    }))
    .unwrap()
}

pub fn step(step: u64, loss: f64) -> TrainEvent {
    TrainEvent::Step {
        step,
        loss,
        learning_rate: 1e-3,
        grad_norm: 1.0,
        tokens_per_sec: 100.0,
        memory_bytes: 1 << 20,
        tokens: step * 64,
    }
}

pub fn finished(steps: u64) -> TrainEvent {
    TrainEvent::Finished { steps, seconds: 1.0, peak_memory_bytes: 2 << 20, tokens_per_sec: 90.0 }
}

pub fn failed(retry: bool) -> TrainEvent {
    TrainEvent::Failed { message: "the disk is full".to_owned(), retry }
}

pub fn predicted(item: u32, strict: bool, flexible: bool) -> TrainEvent {
    TrainEvent::Predicted(Prediction {
        item,
        history: Vec::new(),
        prompt: format!("{item} + 1 ="),
        expected: (item + 1).to_string(),
        generated: "Answer: 1".to_owned(),
        verdict: Verdict { extracted: None, strict, flexible },
        finish: "stop".to_owned(),
        tokens: 3,
        category: None,
    })
}
