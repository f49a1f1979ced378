//! Predictions of a run, and the runs that have a score.

use super::{claim, finished, predicted, queue, report, started};
use domain::{RunId, RunState, TrainEvent, event::RunEventKind};
use storage::Store;

/// Strict and flexible verdict of each item.
async fn evaluated(store: &dyn Store, number: u32, verdicts: &[(bool, bool)]) -> RunId {
    let run = queue(store, number).await;
    claim(store, 1).await;
    let mut events = vec![started(None), TrainEvent::Evaluating { items: verdicts.len() }];
    events.extend((0..).zip(verdicts).map(|(item, (strict, flexible))| predicted(item, *strict, *flexible)));
    events.push(finished(1));
    assert_eq!(report(store, run, &events).await, RunState::Done);
    run
}

pub async fn predictions_by_verdict(store: &dyn Store) {
    let run = queue(store, 1).await;
    claim(store, 1).await;
    report(store, run, &[started(None), TrainEvent::Evaluating { items: 4 }, predicted(2, false, false)]).await;
    // In any order; an item answered again counts once, by its last answer.
    report(store, run, &[predicted(0, true, true), predicted(1, false, true), predicted(2, true, true)]).await;
    report(store, run, &[predicted(3, false, false)]).await;
    let items = async |strict, offset, limit| {
        let (predictions, matching) = store.predictions(run, strict, offset, limit).await.unwrap();
        (predictions.iter().map(|p| p.item).collect::<Vec<_>>(), matching)
    };
    for (strict, offset, limit, expected, matching) in [
        (None, 0, 10, &[0, 1, 2, 3][..], 4),
        (None, 1, 2, &[1, 2], 4),
        (None, u64::MAX, 2, &[], 4),
        (Some(true), 0, 10, &[0, 2], 2),
        (Some(false), 0, 10, &[1, 3], 2),
        (Some(false), 1, 10, &[3], 2),
        (None, 0, u32::MAX, &[0, 1, 2, 3], 4),
    ] {
        assert_eq!(items(strict, offset, limit).await, (expected.to_vec(), matching), "{strict:?} {offset} {limit}");
    }
    let (all, _) = store.predictions(run, None, 0, 10).await.unwrap();
    assert_eq!(TrainEvent::Predicted(all[1].clone()), predicted(1, false, true));
    let record = store.run(run).await.unwrap();
    assert_eq!((record.evaluated, record.strict, record.flexible, record.evaluation_items), (4, 2, 3, 4));
    assert_eq!(record.extractor.as_deref(), Some("v1"));
    let events = store.events_after(run, 0, 1_000).await.unwrap();
    let progress: Vec<u32> = events
        .iter()
        .filter_map(|event| match event.kind {
            RunEventKind::EvaluationProgress { done, .. } => Some(done),
            _ => None,
        })
        .collect();
    assert_eq!(progress, [0, 1, 3, 4]);
}

pub async fn leaderboard_by_score(store: &dyn Store) {
    let (right, near, wrong) = ((true, true), (false, true), (false, false));
    let half = evaluated(store, 1, &[right, wrong]).await;
    let all = evaluated(store, 2, &[right, right]).await;
    let half_near = evaluated(store, 3, &[right, near]).await;
    // Not finished, or without a prediction: no place.
    let unfinished = queue(store, 4).await;
    claim(store, 1).await;
    report(store, unfinished, &[started(None), TrainEvent::Evaluating { items: 1 }, predicted(0, true, true)]).await;
    evaluated(store, 5, &[]).await;
    for (dataset, search, limit, expected) in [
        ("", "", 10, &[all, half_near, half][..]),
        ("", "", 2, &[all, half_near]),
        ("sums@2", "", 10, &[half_near, half]),
        ("", "RUN 1", 10, &[half]),
        ("sums@1", "run 1", 10, &[]),
    ] {
        let rows = store.leaderboard(dataset, search, limit).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.run).collect::<Vec<_>>(), expected, "{dataset} {search}");
    }
    let best = &store.leaderboard("", "", 1).await.unwrap()[0];
    assert_eq!((best.items, best.strict, best.flexible, best.parameters), (2, 2, 2, 1_000));
    assert_eq!((best.extractor.as_str(), best.finished_at), ("v1", super::at(60)));
}
