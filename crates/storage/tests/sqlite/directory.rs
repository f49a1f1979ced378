//! A data directory over its life: schemas, locks, crashes, damage; and what SQLite is spared when a chart is drawn.
//! Here, and only here, tests open the database behind the store's back.

use crate::suite::{self, at, claim, queue, report, started, step, trace, trace_id};
use domain::{NewTrace, Role, Turn, event::series};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{fs, path::Path};
use storage::{Ended, StorageError, TraceQuery};

async fn database(directory: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(directory.join("anneal.db")).connect().await.unwrap()
}

async fn run_sql(directory: &Path, sql: &'static str) {
    let mut database = database(directory).await;
    sqlx::query(sql).execute(&mut database).await.unwrap();
    database.close().await.unwrap();
}

/// Names and contents of the files that matter; the lock and SQLite's own working files are left out.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .filter(|(name, _)| name == "anneal.db" || name == "anneal.db-wal")
        .filter(|(_, bytes)| !bytes.is_empty())
        .collect();
    files.sort();
    files
}

async fn refused(directory: &Path) -> StorageError {
    match storage::open(directory).await {
        Err(error) => error,
        Ok(_) => panic!("{} was opened", directory.display()),
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_unharmed() {
    let data = tempfile::tempdir().unwrap();
    let store = storage::open(data.path()).await.unwrap();
    let run = queue(&*store, 1).await;
    store.close().await;
    drop(store);
    run_sql(
        data.path(),
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', 1, x'00', 1)",
    )
    .await;
    let before = files(data.path());
    for _ in 0..2 {
        let message = refused(data.path()).await.to_string();
        assert!(message.contains("written by a newer anneal (schema 9999; this one knows"), "{message}");
        assert!(message.contains("--data"), "{message}");
        assert!(files(data.path()) == before, "the database was touched");
    }
    run_sql(data.path(), "DELETE FROM _sqlx_migrations WHERE version = 9999").await;
    let store = storage::open(data.path()).await.unwrap();
    assert_eq!(store.run(run).await.unwrap().name, "run 1");
}

#[tokio::test]
async fn traces_from_before_there_were_turns_stay() {
    let data = tempfile::tempdir().unwrap();
    let (old, all) = (trace("1 + 1 =", "2", "", ""), TraceQuery::default());
    let store = storage::open(data.path()).await.unwrap();
    store.insert_traces("a.jsonl", at(1), &[(trace_id(1), old.clone())]).await.unwrap();
    let asked = store.trace_questions(&all, i64::MAX, 10).await.unwrap();
    store.close().await;
    drop(store);
    // The third migration undone.
    run_sql(data.path(), "ALTER TABLE traces DROP COLUMN history").await;
    run_sql(data.path(), "DELETE FROM _sqlx_migrations WHERE version = 3").await;
    let store = storage::open(data.path()).await.unwrap();
    assert_eq!(store.trace(trace_id(1)).await.unwrap().content, old);
    assert_eq!(store.trace_questions(&all, i64::MAX, 10).await.unwrap(), asked);
    let turn = |role, content: &str| Turn { role, content: content.to_owned() };
    let history = vec![turn(Role::User, "0 + 1 ="), turn(Role::Assistant, "1")];
    let new = NewTrace { history, ..old };
    store.insert_traces("b.jsonl", at(2), &[(trace_id(2), new.clone())]).await.unwrap();
    let asked = store.trace_questions(&all, i64::MAX, 10).await.unwrap();
    store.close().await;
    drop(store);
    let store = storage::open(data.path()).await.unwrap();
    assert_eq!(store.trace(trace_id(2)).await.unwrap().content, new);
    assert_eq!(store.trace_questions(&all, i64::MAX, 10).await.unwrap(), asked);
    assert!(asked[0].history.is_some() && asked[1].history.is_none());
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_unharmed() {
    let data = tempfile::tempdir().unwrap();
    let text = "my diary, kept under an unlucky name\n".repeat(100);
    fs::write(data.path().join("anneal.db"), &text).unwrap();
    let message = refused(data.path()).await.to_string();
    assert!(message.contains("not a database"), "{message}");
    assert_eq!(files(data.path()), [("anneal.db".to_owned(), text.into_bytes())]);
}

#[tokio::test]
async fn one_at_a_time() {
    let data = tempfile::tempdir().unwrap();
    // The same directory by another way is the same directory.
    let link = data.path().with_extension("link");
    std::os::unix::fs::symlink(data.path(), &link).unwrap();
    let first = storage::open(data.path()).await.unwrap();
    for path in [data.path(), &link] {
        let error = refused(path).await;
        assert!(matches!(error, StorageError::InUse { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains(&format!("pid {}", std::process::id())) && message.contains("--data"), "{message}");
    }
    queue(&*first, 1).await;
    drop(first);
    let second = storage::open(&link).await.unwrap();
    assert_eq!(second.directory(), data.path().canonicalize().unwrap());
    fs::remove_file(link).unwrap();
}

/// Copies what a machine that stops now would leave on its disk.
fn crash(from: &Path, to: &Path) {
    for name in ["anneal.db", "anneal.db-wal"] {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_committed_outlives_a_crash() {
    let (data, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = storage::open(data.path()).await.unwrap();
    let batch: Vec<_> = (1..=500).map(|n| (trace_id(n), trace(&format!("{n} + 1 ="), "2", "addition", ""))).collect();
    store.insert_traces("a.jsonl", at(1), &batch).await.unwrap();
    let run = queue(&*store, 1).await;
    claim(&*store, 1).await;
    report(&*store, run, &[started(None), step(1, 0.5), step(2, 0.4)]).await;
    let before = suite::whole(&*store, run).await.1;
    crash(data.path(), image.path());
    // The one is a copy taken in the middle of things, the other was let go without `close`.
    drop(store);
    for directory in [image.path(), data.path()] {
        let store = storage::open(directory).await.unwrap();
        assert_eq!(store.count_traces(&TraceQuery::default()).await.unwrap(), 500);
        let word = TraceQuery { search: Some("499".to_owned()), ..TraceQuery::default() };
        assert_eq!(store.list_traces(&word, 0, 10).await.unwrap().len(), 1);
        assert_eq!(suite::whole(&*store, run).await.1, before);
        // And it goes on from there.
        store.end_expired(None, at(100), &Ended::Released("the server was stopped".to_owned())).await.unwrap();
        assert_eq!(claim(&*store, 101).await.fence, 2);
        report(&*store, run, &[started(Some(2)), step(3, 0.3)]).await;
        store.close().await;
    }
}

#[tokio::test]
async fn a_chart_of_many_points_reads_none_of_them() {
    let data = tempfile::tempdir().unwrap();
    let store = storage::open(data.path()).await.unwrap();
    let run = queue(&*store, 1).await;
    claim(&*store, 1).await;
    report(&*store, run, &[started(None)]).await;
    for first in (1..=20_000).step_by(5_000) {
        let points: Vec<_> = (first..first + 5_000).map(|n| step(n, (n % 97) as f64)).collect();
        report(&*store, run, &points).await;
    }
    let chart = async || store.series(run, &[series::LOSS, series::GRAD_NORM], 0, u64::MAX, 400).await.unwrap();
    let before = chart().await;
    assert!(before[0].points.len() <= 400);
    // The points gone but for a few more than fit the chart (it looks whether they would): nothing of it changes.
    run_sql(data.path(), "DELETE FROM points WHERE step > 401").await;
    assert_eq!(chart().await, before);
    // All it has left to read are the buckets of its level, each a row.
    let mut database = database(data.path()).await;
    let levels: Vec<(i64, i64)> = sqlx::query_as("SELECT level, COUNT(*) FROM point_buckets GROUP BY level")
        .fetch_all(&mut database)
        .await
        .unwrap();
    assert!(levels.iter().any(|(_, rows)| *rows == before[0].points.len() as i64), "{levels:?}");
}
