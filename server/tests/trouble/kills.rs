//! Processes that are killed or asked to stop, and a disk that is full: what was trained is never lost.

use crate::server::{Server, signal};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::symlink,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Far more steps than a test waits for: tens of seconds.
const LONG: [&str; 1] = ["train.steps=20000"];

fn attempts(run: &Value) -> &[Value] {
    run["attempts_made"].as_array().unwrap()
}

/// The training process of a server.
fn child_of(server: u32) -> u32 {
    let parent = |stat: &str| -> Option<u32> { stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok() };
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let trains = |pid: &u32| {
        // A process that has ended in the meantime has no files any more.
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        parent(&read("stat")) == Some(server) && read("cmdline").contains("train-child")
    };
    pids.find(trains).expect("the server trains in a child")
}

#[test]
fn a_child_killed_three_times_fails_its_run_with_the_end_of_its_log() {
    let folder = TempDir::new().unwrap();
    let server = Server::with_sums(&folder.path().join("data"), &[]);
    let run = server.queue(folder.path(), &LONG);
    let mut seq = 0;
    for attempt in 1..=3 {
        seq = server.wait_for_state(&run, seq, "running");
        // Past a checkpoint of its own.
        seq = server.wait(&run, seq, |event| event["kind"] == "checkpoint");
        signal("KILL", child_of(server.pid()));
        seq = server.wait_for_state(&run, seq, if attempt < 3 { "queued" } else { "failed" });
    }
    let shown = server.show(&run);
    let reason = shown["reason"].as_str().unwrap();
    for part in ["Given up after 3 attempts", "killed by signal 9", "Its log ended with:", "checkpoint saved"] {
        assert!(reason.contains(part), "{reason}");
    }
    let steps: Vec<u64> = attempts(&shown)[1..].iter().map(|a| a["resumed_from"].as_u64().unwrap()).collect();
    assert!(attempts(&shown).len() == 3 && 0 < steps[0] && steps[0] < steps[1], "{shown}");
    // The server is none the worse for it, and a person may try again.
    server.json(&["runs", "retry", &run]);
    server.wait_for_state(&run, seq, "running");
    assert!(attempts(&server.show(&run))[3]["resumed_from"].as_u64() > Some(steps[1]));
}

#[test]
fn a_server_asked_to_stop_gives_its_run_back_as_often_as_it_is_asked() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let mut server = Server::with_sums(&data, &[]);
    let run = server.queue(folder.path(), &LONG);
    let mut seq = 0;
    // More often than a run may be lost: this is no loss.
    for attempt in 0..4 {
        seq = server.wait_for_state(&run, seq, "running");
        seq = server.wait_for_step(&run, seq, 0);
        assert!(server.terminate().success());
        server = Server::start(&data, &[]);
        let shown = server.show(&run);
        assert_eq!(attempts(&shown)[attempt]["outcome"], "the worker was stopped", "{shown}");
    }
    server.wait_for_state(&run, seq, "running");
    let shown = server.show(&run);
    let kept: Vec<Option<u64>> = attempts(&shown).iter().map(|attempt| attempt["resumed_from"].as_u64()).collect();
    assert!(kept.len() == 5 && kept.is_sorted() && kept[1].is_some() && kept[1] < kept[4], "{kept:?}");
}

#[test]
fn a_second_signal_does_not_wait_for_whoever_is_still_sending() {
    let folder = TempDir::new().unwrap();
    let mut server = Server::start(&folder.path().join("data"), &["--no-worker"]);
    let about = "Host: here\r\nContent-Type: application/x-ndjson\r\nContent-Length: 1000000";
    let sending = server.open(&format!("POST /api/traces/import HTTP/1.1\r\n{about}\r\n\r\n{{"));
    assert_eq!(server.traces(), 0, "the upload was taken up before this answer");
    let begun = Instant::now();
    signal("INT", server.pid());
    let ended = server.terminate();
    assert!(ended.code() == Some(130) && begun.elapsed() < Duration::from_secs(4), "{ended} in {:?}", begun.elapsed());
    drop(sending);
}

#[test]
fn a_cancelled_run_keeps_the_step_it_was_at() {
    let folder = TempDir::new().unwrap();
    let server = Server::with_sums(&folder.path().join("data"), &[]);
    let run = server.queue(folder.path(), &[LONG[0], "checkpoint.every=0", "evaluation.every=0"]);
    let seq = server.wait_for_step(&run, 0, 5);
    assert_eq!(server.show(&run)["checkpoints"].as_array().unwrap().len(), 0);
    server.json(&["runs", "cancel", &run]);
    let seq = server.wait_for_state(&run, seq, "cancelled");
    let shown = server.show(&run);
    let kept = shown["checkpoints"][0]["step"].as_u64().unwrap();
    assert!(kept >= 5 && shown["step"] == kept && shown["reason"].is_null(), "{shown}");
    server.json(&["runs", "retry", &run]);
    server.wait_for_state(&run, seq, "running");
    assert_eq!(attempts(&server.show(&run))[1]["resumed_from"], kept);
}

#[test]
fn a_full_disk_fails_the_run_and_a_retry_goes_on_from_the_old_checkpoint() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let run = Server::with_sums(&data, &["--no-worker"]).queue(folder.path(), &["train.steps=12"]);
    let checkpoints = data.join("runs").join(&run).join("checkpoints");
    fs::create_dir_all(checkpoints.join("part-8")).unwrap();
    symlink("/dev/full", checkpoints.join("part-8/model.safetensors")).unwrap();

    let server = Server::start(&data, &[]);
    let seq = server.wait_for_state(&run, 0, "failed");
    let shown = server.show(&run);
    let reason = shown["reason"].as_str().unwrap();
    assert!(reason.contains("No space left on device") && reason.contains("the last checkpoint is intact"), "{reason}");
    assert_eq!(attempts(&shown).len(), 1, "a full disk is not tried again by itself");
    let kept: Vec<_> = fs::read_dir(&checkpoints).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(kept, ["step-000000004"]);
    server.json(&["runs", "retry", &run]);
    server.wait_for_state(&run, seq, "done");
    let shown = server.show(&run);
    assert_eq!((&attempts(&shown)[1]["resumed_from"], &shown["step"]), (&Value::from(4), &Value::from(12)));
}

#[test]
fn a_run_that_diverges_says_why_and_is_not_tried_again() {
    let folder = TempDir::new().unwrap();
    let server = Server::with_sums(&folder.path().join("data"), &[]);
    let wild =
        ["train.steps=60", "optimizer.learning_rate=10", "optimizer.weight_decay=10", "optimizer.clip_norm=1e30"];
    let run = server.queue(folder.path(), &[&wild[..], &["checkpoint.every=1", "schedule.kind=constant"]].concat());
    server.wait_for_state(&run, 0, "failed");
    let shown = server.show(&run);
    let reason = shown["reason"].as_str().unwrap();
    assert!(reason.contains(" became ") && reason.contains("lower optimizer.learning_rate"), "{reason}");
    assert_eq!(attempts(&shown).len(), 1);
    assert!(!shown["checkpoints"].as_array().unwrap().is_empty(), "{shown}");
}
