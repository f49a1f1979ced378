//! Freeing disk space: what nothing names goes after a while, all else stays.

use crate::{
    models::config,
    support::{Bench, bench, refused, sums},
};
use bytes::Bytes;
use domain::{
    api::{AddModel, BuildDataset, CollectGarbage, DeleteModel, ErrorKind, Garbage, GetModel},
    event::ExportedFile,
    model::Architecture,
};
use futures::stream;
use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, SystemTime},
};

async fn upload(bench: &Bench, name: &str, content: &'static str) -> ExportedFile {
    bench.service.models_upload(name, stream::iter([Ok(Bytes::from(content))])).await.unwrap()
}

/// Lets all objects be as old as that.
fn age(bench: &Bench, minutes: u64) {
    let then = SystemTime::now() - Duration::from_secs(minutes * 60);
    for entry in fs::read_dir(bench.data.path().join("objects")).unwrap() {
        File::options().write(true).open(entry.unwrap().path()).unwrap().set_modified(then).unwrap();
    }
}

async fn collect(bench: &Bench, minutes: u64) -> Garbage {
    bench.service.system_gc(CollectGarbage { minutes }).await.unwrap()
}

#[tokio::test]
async fn what_nothing_names_goes_after_a_while() {
    let bench = bench().await;
    bench.import("a.jsonl", &sums(40)).await;
    bench.build(BuildDataset { dataset: "sums@1".to_owned(), ..Default::default() }).await;
    let none = Garbage { objects: 0, bytes: 0, waiting_objects: 0, waiting_bytes: 0 };
    age(&bench, 100);
    assert_eq!(collect(&bench, 60).await, none, "a dataset's splits are named");

    // An upload that never became a model.
    upload(&bench, "tokenizer.json", "[1]").await;
    let waits = Garbage { waiting_objects: 1, waiting_bytes: 3, ..none.clone() };
    assert_eq!(collect(&bench, 10).await, waits);
    age(&bench, 59);
    assert_eq!(collect(&bench, 60).await, waits);
    age(&bench, 61);
    assert_eq!(collect(&bench, 60).await, Garbage { objects: 1, bytes: 3, ..none.clone() });

    let files = vec![upload(&bench, "config.json", "{}").await];
    let request = AddModel { name: "tiny".into(), files };
    let again = request.clone();
    let read = |_: &Path| Ok((config(Architecture::Llama), vec!["F32".into()], false));
    bench.service.models_add(request, read).await.unwrap();
    age(&bench, 100);
    assert_eq!(collect(&bench, 60).await, none, "a model's files are named");
    let links = || fs::read_dir(bench.data.path().join("models")).unwrap().count();
    assert_eq!(links(), 1);

    // What was deleted can come back for a while, and then stays as long as it is named.
    bench.service.models_delete(DeleteModel { name: "tiny".into() }).await.unwrap();
    assert_eq!(collect(&bench, 60).await, Garbage { waiting_objects: 1, waiting_bytes: 2, ..none.clone() });
    bench.service.models_add(again, read).await.unwrap();
    age(&bench, 100);
    assert_eq!(collect(&bench, 60).await, none);
    bench.service.models_get(GetModel { name: "tiny".into() }).await.unwrap();
    bench.service.models_delete(DeleteModel { name: "tiny".into() }).await.unwrap();
    age(&bench, 100);
    assert_eq!(collect(&bench, 60).await, Garbage { objects: 1, bytes: 2, ..none });
    assert_eq!(links(), 0, "a folder of links that lead nowhere");

    let soon = bench.service.system_gc(CollectGarbage { minutes: 9 }).await;
    refused(soon, ErrorKind::Invalid, "minutes: must be 10 or more");
}
