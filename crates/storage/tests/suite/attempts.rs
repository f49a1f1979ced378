//! Attempts: leases, fences, losses.

use super::{at, claim, failed, finished, predicted, queue, report, run_id, started, step, times, whole, worker_id};
use domain::{
    RunId, RunState, TrainEvent,
    event::{ExportedFile, LogStream},
};
use futures::future::join;
use storage::{Ended, StorageError, Store};

fn lost(why: &str) -> Ended {
    Ended::Lost(why.to_owned())
}

fn line(text: &str) -> [(LogStream, String, bool); 1] {
    [(LogStream::Stderr, text.to_owned(), false)]
}

fn stale<T: std::fmt::Debug>(result: storage::Result<T>, run: RunId, fence: u32) {
    match result {
        Err(StorageError::StaleFence { run: r, fence: f }) => assert_eq!((r, f), (run, fence)),
        other => panic!("attempt {fence} was not refused: {other:?}"),
    }
}

pub async fn a_run_is_claimed_once(store: &dyn Store) {
    const RUNS: u32 = 20;
    for number in 1..=RUNS {
        queue(store, number).await;
    }
    let drain = async |worker| {
        let mut claimed = Vec::new();
        while let Some(lease) = store.claim(worker_id(worker), at(100), at(130)).await.unwrap() {
            assert_eq!((lease.fence, lease.name), (1, store.run(lease.run).await.unwrap().name));
            claimed.push(lease.run);
        }
        claimed
    };
    let (mut one, two) = join(drain(1), drain(2)).await;
    for claimed in [&one, &two] {
        assert!(claimed.is_sorted(), "those who waited longest come first");
    }
    one.extend(two);
    one.sort_unstable();
    assert_eq!(one, (1..=RUNS).map(run_id).collect::<Vec<_>>());
}

pub async fn old_attempts_change_nothing(store: &dyn Store) {
    let run = queue(store, 1).await;
    claim(store, 1).await;
    report(store, run, &[started(None), step(1, 0.5)]).await;
    assert_eq!(store.end_expired(Some(at(200)), at(200), &lost("gone")).await.unwrap().len(), 1);
    claim(store, 210).await;
    let file = [ExportedFile { name: "config.json".to_owned(), bytes: 1, sha256: "0".repeat(64) }];
    let (_, before) = whole(store, run).await;
    for fence in [0, 1, 3] {
        stale(store.heartbeat(run, fence, at(220), at(250)).await, run, fence);
        stale(store.report(run, fence, times(220), "v1", &[step(2, 0.4)]).await, run, fence);
        stale(store.append_log(run, fence, times(220), &line("late")).await, run, fence);
        stale(store.insert_run_files(run, fence, &file).await, run, fence);
        stale(store.end_attempt(run, fence, at(220), lost("late")).await, run, fence);
    }
    assert_eq!(whole(store, run).await.1, before);
    // The present attempt is not disturbed: its lease still ends when it was to end.
    assert!(store.end_expired(Some(at(240)), at(240), &lost("gone")).await.unwrap().is_empty());
    assert_eq!(store.heartbeat(run, 2, at(239), at(269)).await.unwrap(), RunState::Leased);
    assert!(store.end_expired(Some(at(269)), at(269), &lost("gone")).await.unwrap().is_empty());
    store.insert_run_files(run, 2, &file).await.unwrap();
    assert_eq!(store.run_files(run).await.unwrap(), file);
}

pub async fn three_losses_fail_with_the_last_lines(store: &dyn Store) {
    let run = queue(store, 1).await;
    for fence in 1..=3 {
        let second = i64::from(fence) * 100;
        assert_eq!(claim(store, second).await.fence, fence);
        for number in 1..=20 {
            let lines = line(&format!("attempt {fence} line {number}"));
            store.append_log(run, fence, times(second), &lines).await.unwrap();
        }
        let system = [(LogStream::System, "its worker says goodbye".to_owned(), false)];
        store.append_log(run, fence, times(second), &system).await.unwrap();
        // The lease holds for its 30 seconds, and no longer.
        assert!(store.end_expired(Some(at(second + 30)), at(second + 30), &lost("silent")).await.unwrap().is_empty());
        let ended = store.end_expired(Some(at(second + 31)), at(second + 31), &lost("silent")).await.unwrap();
        let now = store.run(run).await.unwrap();
        assert_eq!(ended, [(run, now.last_seq)]);
        assert_eq!(now.state, if fence < 3 { RunState::Queued } else { RunState::Failed });
        // Whoever was thought dead and is not may still hand in its last lines, until another has the run.
        store.append_log(run, fence, times(second + 40), &line("late")).await.unwrap();
    }
    let reason = store.run(run).await.unwrap().reason.unwrap();
    assert!(reason.contains("3 attempts") && reason.contains("silent"), "{reason}");
    assert!(reason.ends_with("attempt 3 line 19\nattempt 3 line 20"), "{reason}");
    assert!(!reason.contains("attempt 2") && !reason.contains("goodbye"), "{reason}");
    let attempts = store.attempts(run).await.unwrap();
    let told: Vec<_> = attempts.iter().map(|a| (a.number, a.ended_at, a.outcome.as_deref())).collect();
    let silent = Some("lost: silent");
    assert_eq!(told, [(1, Some(at(131)), silent), (2, Some(at(231)), silent), (3, Some(at(331)), silent)]);
    // A person's retry begins the count anew.
    store.retry_run(run, at(400)).await.unwrap();
    claim(store, 401).await;
    let ended = store.end_attempt(run, 4, at(402), lost("killed by signal 9")).await.unwrap();
    assert_eq!(ended.state, RunState::Queued);
}

pub async fn a_release_does_not_count(store: &dyn Store) {
    let run = queue(store, 1).await;
    for fence in 1..=5 {
        claim(store, 10).await;
        let ended = store.end_attempt(run, fence, at(11), Ended::Released("shutdown".to_owned())).await.unwrap();
        assert_eq!(ended.state, RunState::Queued);
        // Said twice is once.
        let again = store.end_attempt(run, fence, at(12), lost("late")).await.unwrap();
        assert_eq!((again.state, again.last_seq), (RunState::Queued, ended.last_seq));
    }
    assert_eq!(store.attempts(run).await.unwrap()[4].outcome.as_deref(), Some("shutdown"));
    // A server that starts ends whatever is held, whenever its lease ends.
    claim(store, 20).await;
    assert_eq!(store.end_expired(None, at(21), &Ended::Released("server".to_owned())).await.unwrap().len(), 1);
    assert_eq!(store.run(run).await.unwrap().state, RunState::Queued);
}

pub async fn a_cancelled_run_goes_on_reporting_until_it_stops(store: &dyn Store) {
    let checkpoint = TrainEvent::Checkpoint { step: 2, best: false, bytes: 9 };
    for (number, last, expected) in [
        (1, TrainEvent::Stopped { step: 2 }, RunState::Cancelled),
        (2, failed(true), RunState::Cancelled),
        // Finished in the moment it was asked to stop: that stays.
        (3, finished(2), RunState::Done),
    ] {
        let run = queue(store, number).await;
        claim(store, 10).await;
        store.cancel_run(run, at(11)).await.unwrap();
        assert_eq!(store.heartbeat(run, 1, at(12), at(42)).await.unwrap(), RunState::Cancelling);
        let events = [started(None), step(1, 0.5), step(2, 0.4), checkpoint.clone()];
        assert_eq!(report(store, run, &events).await, RunState::Cancelling);
        assert_eq!(report(store, run, &[last]).await, expected);
        let ended = store.run(run).await.unwrap();
        assert_eq!((ended.step, ended.finished_at, ended.reason), (2, Some(at(60)), None));
        assert_eq!(store.checkpoints(run, 9).await.unwrap().len(), 1);
        assert_eq!(store.attempts(run).await.unwrap()[0].ended_at, Some(at(60)));
    }
    // Its worker dies instead: cancelled, not queued again.
    let run = queue(store, 4).await;
    claim(store, 10).await;
    store.cancel_run(run, at(11)).await.unwrap();
    store.end_expired(Some(at(41)), at(41), &lost("silent")).await.unwrap();
    assert_eq!(store.run(run).await.unwrap().state, RunState::Cancelled);
}

pub async fn ended_runs_take_no_reports(store: &dyn Store) {
    let run = queue(store, 1).await;
    stale(store.report(run, 0, times(1), "v1", &[step(1, 0.5)]).await, run, 0);
    claim(store, 1).await;
    report(store, run, &[started(None), predicted(0, true, true)]).await;
    // A batch that does not fit the state as a whole leaves nothing of itself.
    let (_, before) = whole(store, run).await;
    let batch = [step(1, 0.5), predicted(1, true, true), failed(false), finished(1)];
    assert!(matches!(store.report(run, 1, times(60), "v1", &batch).await, Err(StorageError::Illegal(_))));
    assert_eq!(whole(store, run).await.1, before);
    report(store, run, &[failed(true)]).await;
    let (queued, before) = whole(store, run).await;
    assert_eq!((queued.state, queued.reason.as_deref()), (RunState::Queued, Some("the disk is full")));
    stale(store.report(run, 1, times(61), "v1", &[step(1, 0.5)]).await, run, 1);
    stale(store.heartbeat(run, 1, at(61), at(91)).await, run, 1);
    assert_eq!(whole(store, run).await.1, before);
}
