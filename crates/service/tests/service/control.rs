//! The control plane and ids: what a worker or a link may name.

use crate::support::{Bench, bench, sums};
use domain::{
    RunId, RunState,
    api::{BuildDataset, CreateRun, ErrorKind},
    event::ExportedFile,
};
use service::{AttemptOutcome, ControlError, WorkerInfo};
use std::{collections::BTreeMap, fs};

/// SHA-256 of "abc" (FIPS 180-2, appendix B.1).
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

async fn with_run() -> (Bench, RunId) {
    let bench = bench().await;
    bench.import("a.jsonl", &sums(40)).await;
    bench.build(BuildDataset { dataset: "sums@1".to_owned(), ..BuildDataset::default() }).await;
    let run = another_run(&bench).await;
    (bench, run)
}

async fn another_run(bench: &Bench) -> RunId {
    let overrides = BTreeMap::from([("tokenizer.vocab".to_owned(), "300".to_owned())]);
    let (recipe, dataset) = ("smoke".to_owned(), "sums@1".to_owned());
    let create = CreateRun { recipe, dataset, overrides, ..CreateRun::default() };
    bench.service.runs_create(create).await.unwrap().row.id
}

#[tokio::test]
async fn a_lease_has_all_that_training_needs() {
    let (bench, run) = with_run().await;
    let info = WorkerInfo { name: "test".to_owned(), devices: Vec::new() };
    let worker = bench.service.worker_register(info).await.unwrap();
    let lease = bench.service.claim(worker).await.unwrap().expect("the run");
    assert_eq!((lease.run, lease.fence, lease.name.as_str()), (run, 1, "smoke"));
    assert!(bench.service.claim(worker).await.unwrap().is_none());
    let lines = |path| fs::read_to_string(path).unwrap().lines().count();
    assert_eq!([&lease.job.train, &lease.job.val, &lease.job.test].map(lines), [32, 4, 4]);
    assert!(lease.job.work.is_dir());

    let export = bench.data.path().join("export");
    fs::create_dir(&export).unwrap();
    fs::write(export.join("config.json"), "abc").unwrap();
    fs::write(bench.data.path().join("secret"), "abc").unwrap();
    let file = |name: &str, sha256: &str| vec![ExportedFile { name: name.into(), bytes: 3, sha256: sha256.into() }];
    let store = async |fence, files| bench.service.store_exports(run, fence, &export, files).await;
    for (name, sha256, says) in [
        ("../secret", ABC, "not a file name"),
        ("..", ABC, "not a file name"),
        (".hidden", ABC, "not a file name"),
        ("a\\b", ABC, "not a file name"),
        ("none.json", ABC, "none.json"),
        ("config.json", &ABC.replace('b', "c"), "does not have the content"),
    ] {
        let error = store(1, file(name, sha256)).await.unwrap_err();
        assert!(error.to_string().contains(says), "{name}: {error}");
        assert!(bench.service.run_file(run, name).await.is_err(), "{name}");
    }
    let stale = store(2, file("config.json", ABC)).await;
    assert!(matches!(stale, Err(ControlError::StaleFence { fence: 2, .. })), "{stale:?}");
    store(1, file("config.json", ABC)).await.unwrap();
    let found = bench.service.run_file(run, "config.json").await.unwrap();
    assert_eq!((fs::read_to_string(found.path).unwrap().as_str(), found.bytes), ("abc", 3));

    let ended = bench.service.end_attempt(run, 1, AttemptOutcome::Died("killed by signal 9".into())).await.unwrap();
    assert_eq!(ended, RunState::Queued);
    assert_eq!(bench.service.claim(worker).await.unwrap().expect("again").fence, 2);
}

#[tokio::test]
async fn runs_by_a_part_of_their_id() {
    let (bench, run) = with_run().await;
    let other = another_run(&bench).await;
    let (id, end) = (run.to_string(), run.short());
    for (text, found) in [(&*id, true), (&*end, true), (&format!(" {id} "), true), (&id.to_uppercase(), true)] {
        assert_eq!(bench.service.run_id(text).await.is_ok_and(|r| r == run), found, "{text}");
    }
    // Both were made in the same minute, so that their ids begin alike.
    assert!(other.to_string().starts_with(&id[..6]));
    let error = bench.service.run_id(&id[..6]).await.unwrap_err();
    assert!(error.kind == ErrorKind::Invalid && error.message.contains("more than one run"), "{error:?}");
    for text in ["", "abc", "%%%%", "____", "ffffffff", "../../etc", "018f3c1e-7b2a-7c3d-9e4f-0123456789ab"] {
        let error = bench.service.run_id(text).await.unwrap_err();
        assert!(error.kind == ErrorKind::NotFound && error.message.contains(text), "{text}: {error:?}");
    }
}
