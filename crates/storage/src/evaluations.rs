//! Predictions of a run, and the finished runs that have a score.

use crate::{LeaderboardEntry, Result, SqliteStore, StorageError, place, store::EvaluationStore};
use async_trait::async_trait;
use domain::{Micros, Prediction, RunId};
use sqlx::Row;

#[async_trait]
impl EvaluationStore for SqliteStore {
    async fn predictions(
        &self,
        run: RunId,
        strict: Option<bool>,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Prediction>, u32)> {
        let mut tx = self.read().begin().await?;
        let (key, _) = self.run_key_and_step(&mut tx, run).await?;
        let count = "SELECT COUNT(*) FROM predictions WHERE run = $1 AND ($2 IS NULL OR strict = $2)";
        let matching: u32 = sqlx::query_scalar(count).bind(key).bind(strict).fetch_one(&mut *tx).await?;
        let contents: Vec<String> = sqlx::query_scalar(
            "SELECT content FROM predictions WHERE run = $1 AND ($2 IS NULL OR strict = $2)
             ORDER BY item LIMIT $3 OFFSET $4",
        )
        .bind(key)
        .bind(strict)
        .bind(limit)
        .bind(place(offset))
        .fetch_all(&mut *tx)
        .await?;
        let read = |text: &String| serde_json::from_str(text).map_err(StorageError::unreadable("prediction"));
        Ok((contents.iter().map(read).collect::<Result<_>>()?, matching))
    }

    async fn leaderboard(&self, dataset: &str, search: &str, limit: u32) -> Result<Vec<LeaderboardEntry>> {
        let rows = sqlx::query(
            "SELECT id, name, dataset, dataset_hash, extractor, parameters, evaluated, strict, flexible, finished_at
             FROM runs WHERE state = 'done' AND evaluated > 0 AND ($1 = '' OR dataset = $1)
             AND ($2 = '' OR instr(lower(name), lower($2)) > 0)
             ORDER BY CAST(strict AS REAL) / evaluated DESC, CAST(flexible AS REAL) / evaluated DESC, key DESC LIMIT $3",
        )
        .bind(dataset)
        .bind(search)
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(LeaderboardEntry {
                    run: row.try_get::<&str, _>("id")?.parse().map_err(StorageError::unreadable("run id"))?,
                    name: row.try_get("name")?,
                    dataset: row.try_get::<&str, _>("dataset")?.parse().map_err(StorageError::unreadable("dataset"))?,
                    dataset_hash: row.try_get("dataset_hash")?,
                    extractor: row.try_get::<Option<String>, _>("extractor")?.unwrap_or_default(),
                    parameters: row.try_get::<Option<i64>, _>("parameters")?.unwrap_or(0) as u64,
                    items: row.try_get("evaluated")?,
                    strict: row.try_get("strict")?,
                    flexible: row.try_get("flexible")?,
                    finished_at: Micros(row.try_get::<Option<i64>, _>("finished_at")?.unwrap_or(0)),
                })
            })
            .collect()
    }
}
