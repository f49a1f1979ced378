//! Runs as people handle them: lists, cancel, retry.

use super::{at, claim, failed, finished, measured, predicted, queue, report, run_id, started, step, whole};
use domain::{RunId, RunState, run::RunChange};
use storage::{RunOrder, RunQuery, StorageError, Store};

/// A run of that state; the only one that can be claimed while it is driven there.
async fn run_that_is(store: &dyn Store, state: RunState, number: u32) -> RunId {
    let run = queue(store, number).await;
    let events = match state {
        RunState::Queued => return run,
        RunState::Cancelled => {
            store.cancel_run(run, at(1)).await.unwrap();
            return run;
        }
        RunState::Leased => vec![],
        RunState::Running | RunState::Cancelling => vec![started(None)],
        RunState::Evaluating => vec![started(None), domain::TrainEvent::Evaluating { items: 2 }],
        RunState::Done => vec![started(None), finished(100)],
        RunState::Failed => vec![started(None), failed(false)],
    };
    claim(store, 1).await;
    report(store, run, &events).await;
    if state == RunState::Cancelling {
        store.cancel_run(run, at(2)).await.unwrap();
    }
    run
}

pub async fn found_and_listed(store: &dyn Store) {
    for number in 1..=5 {
        queue(store, number).await;
    }
    for (number, events) in [
        (1, vec![started(None), step(1, 0.5), predicted(0, true, true), finished(1)]),
        (2, vec![started(None), step(1, 0.2), predicted(0, false, true), finished(1)]),
        (3, vec![started(None), step(1, 0.9)]),
    ] {
        assert_eq!(claim(store, number).await.run, run_id(number as u32));
        report(store, run_id(number as u32), &events).await;
    }
    let listed = async |query: RunQuery| {
        let (runs, total) = store.list_runs(&RunQuery { limit: 3, ..query }).await.unwrap();
        (runs.iter().map(|run| run.name.trim_start_matches("run ").parse().unwrap()).collect::<Vec<u32>>(), total)
    };
    let all = RunQuery::default;
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    for (query, expected, total) in [
        (all(), &[5, 4, 3][..], 5),
        (RunQuery { offset: 3, ..all() }, &[2, 1], 5),
        (RunQuery { offset: u64::MAX, ..all() }, &[], 5),
        (RunQuery { reverse: true, ..all() }, &[1, 2, 3], 5),
        (RunQuery { order: RunOrder::Name, ..all() }, &[1, 2, 3], 5),
        (RunQuery { order: RunOrder::Loss, ..all() }, &[2, 1, 3], 5),
        // What has no figure comes last in either direction.
        (RunQuery { order: RunOrder::Loss, reverse: true, ..all() }, &[3, 1, 2], 5),
        (RunQuery { order: RunOrder::Score, ..all() }, &[1, 2, 5], 5),
        (RunQuery { states: vec![RunState::Queued], ..all() }, &[5, 4], 2),
        (RunQuery { states: vec![RunState::Done, RunState::Running], ..all() }, &[3, 2, 1], 3),
        (RunQuery { dataset: Some("sums@1".to_owned()), ..all() }, &[4, 2], 2),
        (RunQuery { finished_since: Some(at(60)), ..all() }, &[2, 1], 2),
        (RunQuery { finished_since: Some(at(61)), ..all() }, &[], 0),
        (RunQuery { search: words("RUN sums@2"), ..all() }, &[5, 3, 1], 3),
        (RunQuery { search: words("run_"), ..all() }, &[], 0),
    ] {
        assert_eq!(listed(query.clone()).await, (expected.to_vec(), total), "{query:?}");
    }
    let id = run_id(3).to_string();
    let upper = id.to_uppercase();
    for (text, expected) in [(&id[..], 1), (&id[30..], 1), (&upper[24..], 1), (&id[..6], 2), ("ffff", 0)] {
        assert_eq!(store.find_runs(text, 2).await.unwrap().len(), expected, "{text}");
    }
    assert_eq!(store.find_runs(&id[30..], 2).await.unwrap(), [run_id(3)]);
    let texts = store.run_texts(run_id(1)).await.unwrap();
    assert_eq!((texts.recipe.name.as_str(), texts.recipe_yaml.as_str()), ("tiny", "name: tiny\n"));
    assert_eq!(texts.estimate, Some(measured()), "what was measured goes before what was reckoned");
    assert_eq!(store.run_texts(run_id(4)).await.unwrap().estimate, None);
    assert_eq!(store.speeds(1).await.unwrap(), [(1_000, 90.0)]);
    for unknown in [store.run(run_id(9)).await.err(), store.run_texts(run_id(9)).await.err()] {
        assert!(matches!(unknown, Some(StorageError::NotFound)));
    }
}

pub async fn cancel_and_retry_follow_the_table(store: &dyn Store) {
    let mut number = 0;
    for state in RunState::ALL {
        for change in [RunChange::Cancel, RunChange::Retry] {
            number += 1;
            let run = run_that_is(store, state, number).await;
            let (before, untouched) = whole(store, run).await;
            assert_eq!(before.state, state);
            let changed = match change {
                RunChange::Cancel => store.cancel_run(run, at(70)).await,
                _ => store.retry_run(run, at(70)).await,
            };
            let (after, text) = whole(store, run).await;
            match state.after(change) {
                Ok(expected) => {
                    assert_eq!((after.state, changed.unwrap()), (expected, after.last_seq), "{state} {change:?}");
                    assert_eq!(after.finished_at.is_some(), expected.is_final(), "{state} {change:?}");
                    // Told to those who watch, once.
                    let told = after.last_seq - before.last_seq;
                    assert_eq!(told, u64::from(expected != state), "{state} {change:?}");
                }
                Err(illegal) => {
                    assert!(matches!(changed, Err(StorageError::Illegal(found)) if found == illegal));
                    assert_eq!(text, untouched);
                }
            }
            // Out of the way of the next claim.
            let _ = store.cancel_run(run, at(80)).await;
        }
    }
    assert!(matches!(store.cancel_run(run_id(99), at(1)).await, Err(StorageError::NotFound)));
    assert!(matches!(store.retry_run(run_id(99), at(1)).await, Err(StorageError::NotFound)));
}

pub async fn retry_goes_to_the_end_of_the_queue(store: &dyn Store) {
    let first = run_that_is(store, RunState::Failed, 1).await;
    queue(store, 2).await;
    store.retry_run(first, at(90)).await.unwrap();
    let retried = store.run(first).await.unwrap();
    assert_eq!((retried.state, retried.reason, retried.finished_at), (RunState::Queued, None, None));
    assert_eq!((claim(store, 91).await.run, claim(store, 92).await.run), (run_id(2), first));
    // Attempts are counted on, so that no fence is ever used twice.
    assert_eq!(store.run(first).await.unwrap().fence, 2);
    assert_eq!(store.attempts(first).await.unwrap().len(), 2);
}
