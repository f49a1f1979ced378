//! Leases: claim, heartbeat, and the ways an attempt ends. Each is one transaction of the one writer, so that two workers
//! never get the same run.

use crate::{
    Reported, Result, SqliteStore, StorageError, events,
    report::{self, Live},
    store::AttemptStore,
};
use async_trait::async_trait;
use domain::{
    DatasetRef, Micros, Recipe, RunId, RunState, TrainEvent, WorkerId,
    event::{ExportedFile, LogStream},
    run::{MAX_ATTEMPTS, RunChange},
};
use sqlx::SqliteConnection;

/// A run as its new holder gets it.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub run: RunId,
    pub fence: u32,
    pub name: String,
    pub dataset: DatasetRef,
    pub recipe: Recipe,
    pub last_seq: u64,
}

/// How an attempt ends when its child said nothing itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Its child died, or its lease expired; counts as an attempt.
    Lost(String),
    /// Its holder gave it back in good order; does not count.
    Released(String),
}

/// Lines of the log in the reason of a failure.
const LAST_LINES: u32 = 10;

#[async_trait]
impl AttemptStore for SqliteStore {
    async fn claim(&self, worker: WorkerId, at: Micros, lease_until: Micros) -> Result<Option<Claimed>> {
        let mut tx = self.begin().await?;
        let next: Option<(String, String, String, String)> = sqlx::query_as(
            "SELECT id, name, dataset, recipe FROM runs WHERE state = 'queued' ORDER BY queued_at, key LIMIT 1",
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some((id, name, dataset, recipe)) = next else { return Ok(None) };
        let mut live = Live::load(&mut tx, id.parse().map_err(StorageError::unreadable("run id"))?).await?;
        live.fence += 1;
        sqlx::query("UPDATE runs SET worker = $2, lease_until = $3 WHERE key = $1")
            .bind(live.key)
            .bind(worker.to_string())
            .bind(lease_until.0)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "INSERT INTO attempts (run, number, worker, started_at)
             VALUES ($1, $2, COALESCE((SELECT name FROM workers WHERE id = $3), $3), $4)",
        )
        .bind(live.key)
        .bind(live.fence)
        .bind(worker.to_string())
        .bind(at.0)
        .execute(&mut *tx)
        .await?;
        live.change(&mut tx, RunChange::Claim, None, at).await?;
        live.save(&mut tx).await?;
        tx.commit().await?;
        Ok(Some(Claimed {
            run: live.id,
            fence: live.fence,
            name,
            dataset: dataset.parse().map_err(StorageError::unreadable("dataset"))?,
            recipe: serde_json::from_str(&recipe).map_err(StorageError::unreadable("recipe"))?,
            last_seq: live.last_seq,
        }))
    }

    async fn heartbeat(&self, run: RunId, fence: u32, at: Micros, lease_until: Micros) -> Result<RunState> {
        let mut tx = self.begin().await?;
        let state: Option<String> = sqlx::query_scalar(
            "UPDATE runs SET lease_until = $3 WHERE id = $1 AND fence = $2
             AND state IN ('leased', 'running', 'evaluating', 'cancelling') RETURNING state",
        )
        .bind(run.to_string())
        .bind(fence)
        .bind(lease_until.0)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(state) = state else { return Err(StorageError::StaleFence { run, fence }) };
        sqlx::query("UPDATE workers SET seen_at = $2 WHERE id = (SELECT worker FROM runs WHERE id = $1)")
            .bind(run.to_string())
            .bind(at.0)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        state.parse().map_err(StorageError::unreadable("run state"))
    }

    async fn report(
        &self,
        run: RunId,
        fence: u32,
        times: (Micros, Micros),
        extractor: &str,
        events: &[TrainEvent],
    ) -> Result<Reported> {
        report::report(self, run, fence, times, extractor, events).await
    }

    async fn append_log(
        &self,
        run: RunId,
        fence: u32,
        times: (Micros, Micros),
        lines: &[(LogStream, String, bool)],
    ) -> Result<Reported> {
        events::append_log(self, run, fence, times, lines).await
    }

    async fn end_attempt(&self, run: RunId, fence: u32, at: Micros, ended: Ended) -> Result<Reported> {
        let mut tx = self.begin().await?;
        let mut live = Live::load(&mut tx, run).await?;
        if live.fence != fence {
            return Err(StorageError::StaleFence { run, fence });
        }
        if live.state.is_held() {
            end(&mut tx, &mut live, at, ended).await?;
            tx.commit().await?;
        }
        Ok(Reported { state: live.state, last_seq: live.last_seq })
    }

    async fn end_expired(&self, before: Option<Micros>, at: Micros, ended: &Ended) -> Result<Vec<(RunId, u64)>> {
        let mut tx = self.begin().await?;
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM runs WHERE state IN ('leased', 'running', 'evaluating', 'cancelling')
             AND ($1 IS NULL OR lease_until IS NULL OR lease_until < $1)",
        )
        .bind(before.map(|b| b.0))
        .fetch_all(&mut *tx)
        .await?;
        let mut runs = Vec::new();
        for id in ids {
            let mut live = Live::load(&mut tx, id.parse().map_err(StorageError::unreadable("run id"))?).await?;
            end(&mut tx, &mut live, at, ended.clone()).await?;
            runs.push((live.id, live.last_seq));
        }
        tx.commit().await?;
        Ok(runs)
    }

    async fn insert_run_files(&self, run: RunId, fence: u32, files: &[ExportedFile]) -> Result<()> {
        let mut tx = self.begin().await?;
        let live = Live::load(&mut tx, run).await?;
        if live.fence != fence {
            return Err(StorageError::StaleFence { run, fence });
        }
        for file in files {
            sqlx::query(
                "INSERT INTO run_files (run, name, bytes, sha256) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (run, name) DO UPDATE SET bytes = excluded.bytes, sha256 = excluded.sha256",
            )
            .bind(live.key)
            .bind(&file.name)
            .bind(file.bytes as i64)
            .bind(&file.sha256)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

async fn end(tx: &mut SqliteConnection, live: &mut Live, at: Micros, ended: Ended) -> Result<()> {
    match ended {
        Ended::Released(why) => {
            live.set_outcome(why);
            live.change(tx, RunChange::Lose, None, at).await?;
        }
        Ended::Lost(why) => {
            live.losses += 1;
            if live.losses < MAX_ATTEMPTS {
                live.change(tx, RunChange::Lose, Some(format!("Attempt {} was lost: {why}", live.fence)), at).await?;
            } else {
                let log = events::log_end(tx, live.key, LAST_LINES).await?;
                let log =
                    if log.is_empty() { "Its log is empty.".to_owned() } else { format!("Its log ended with:\n{log}") };
                let reason = format!("Given up after {MAX_ATTEMPTS} attempts; the last one was lost: {why}. {log}");
                live.change(tx, RunChange::Fail, Some(reason), at).await?;
            }
            live.set_outcome(format!("lost: {why}"));
        }
    }
    live.end_attempt(tx, at).await?;
    live.save(tx).await
}
