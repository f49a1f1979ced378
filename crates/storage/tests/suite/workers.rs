//! Workers: who was heard of lately, and with which run.

use super::{at, claim, queue, worker_id};
use storage::Store;

pub async fn heard_of_lately(store: &dyn Store) {
    let devices = [super::device()];
    store.insert_worker(worker_id(1), "near", &devices, at(1)).await.unwrap();
    store.insert_worker(worker_id(2), "far", &[], at(2)).await.unwrap();
    store.worker_seen(worker_id(1), at(100)).await.unwrap();
    // Of a worker nobody knows there is nothing to note.
    store.worker_seen(worker_id(3), at(100)).await.unwrap();
    for (since, expected) in [(0, &["near", "far"][..]), (2, &["near", "far"]), (3, &["near"]), (101, &[])] {
        let workers = store.workers(at(since)).await.unwrap();
        assert_eq!(workers.iter().map(|w| w.name.as_str()).collect::<Vec<_>>(), expected, "{since}");
    }
    let run = queue(store, 1).await;
    claim(store, 100).await;
    let near = &store.workers(at(3)).await.unwrap()[0];
    assert_eq!((near.id, near.started_at, near.seen_at, near.run), (worker_id(1), at(1), at(100), Some(run)));
    assert_eq!(near.devices, devices);
    assert_eq!(store.attempts(run).await.unwrap()[0].worker, "near");
    // Every heartbeat of a run is one of its worker.
    store.heartbeat(run, 1, at(120), at(150)).await.unwrap();
    assert_eq!(store.workers(at(3)).await.unwrap()[0].seen_at, at(120));
    store.cancel_run(run, at(130)).await.unwrap();
    store.end_attempt(run, 1, at(131), storage::Ended::Released("stopped".to_owned())).await.unwrap();
    assert_eq!(store.workers(at(3)).await.unwrap()[0].run, None);
}
