//! Workers: who they are and when they were last heard of.

use crate::{Result, SqliteStore, StorageError, store::WorkerStore};
use async_trait::async_trait;
use domain::{DeviceInfo, Micros, WorkerId, api::Worker};
use sqlx::Row;

#[async_trait]
impl WorkerStore for SqliteStore {
    async fn insert_worker(&self, id: WorkerId, name: &str, devices: &[DeviceInfo], at: Micros) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("INSERT INTO workers (id, name, devices, started_at, seen_at) VALUES ($1, $2, $3, $4, $4)")
            .bind(id.to_string())
            .bind(name)
            .bind(serde_json::to_string(devices).map_err(StorageError::unreadable("devices"))?)
            .bind(at.0)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn worker_seen(&self, id: WorkerId, at: Micros) -> Result<()> {
        let mut tx = self.begin().await?;
        let seen = sqlx::query("UPDATE workers SET seen_at = $2 WHERE id = $1");
        seen.bind(id.to_string()).bind(at.0).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn workers(&self, since: Micros) -> Result<Vec<Worker>> {
        let rows = sqlx::query(
            "SELECT id, name, devices, started_at, seen_at,
                    (SELECT id FROM runs WHERE worker = workers.id ORDER BY key DESC LIMIT 1) AS run
             FROM workers WHERE seen_at >= $1 ORDER BY started_at",
        )
        .bind(since.0)
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Worker {
                    id: row.try_get::<&str, _>("id")?.parse().map_err(StorageError::unreadable("worker id"))?,
                    name: row.try_get("name")?,
                    devices: serde_json::from_str(row.try_get("devices")?)
                        .map_err(StorageError::unreadable("devices"))?,
                    started_at: Micros(row.try_get("started_at")?),
                    seen_at: Micros(row.try_get("seen_at")?),
                    run: row
                        .try_get::<Option<&str>, _>("run")?
                        .map(str::parse)
                        .transpose()
                        .map_err(StorageError::unreadable("run id"))?,
                })
            })
            .collect()
    }
}
