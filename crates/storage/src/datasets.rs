//! Datasets: the manifest in a row, the three splits as objects.

use crate::{Result, SqliteStore, StorageError, store::DatasetStore};
use async_trait::async_trait;
use domain::{DatasetRef, SplitName, dataset::Dataset};
use sqlx::{Row, sqlite::SqliteRow};

/// A dataset with the objects that hold its splits.
#[derive(Debug, Clone)]
pub struct StoredDataset {
    pub dataset: Dataset,
    pub train: String,
    pub val: String,
    pub test: String,
}

impl StoredDataset {
    /// The SHA-256 of a split's JSONL.
    pub fn object(&self, split: SplitName) -> &str {
        match split {
            SplitName::Train => &self.train,
            SplitName::Val => &self.val,
            SplitName::Test => &self.test,
        }
    }
}

const COLUMNS: &str = "SELECT manifest, train_object, val_object, test_object FROM datasets";

#[async_trait]
impl DatasetStore for SqliteStore {
    async fn insert_dataset(&self, new: &StoredDataset) -> Result<StoredDataset> {
        let dataset = &new.dataset;
        let manifest = serde_json::to_string(dataset).map_err(StorageError::unreadable("dataset"))?;
        let mut tx = self.begin().await?;
        let inserted = sqlx::query(
            "INSERT INTO datasets
                 (name, version, created_at, content_hash, train_object, val_object, test_object, manifest)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name, version) DO NOTHING",
        )
        .bind(dataset.dataset.name.as_str())
        .bind(dataset.dataset.version)
        .bind(dataset.created_at.0)
        .bind(&dataset.content_hash)
        .bind(&new.train)
        .bind(&new.val)
        .bind(&new.test)
        .bind(manifest)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        tx.commit().await?;
        if inserted == 1 {
            return Ok(new.clone());
        }
        let there = self.dataset(&dataset.dataset).await?;
        if there.dataset.content_hash == dataset.content_hash {
            Ok(there)
        } else {
            Err(StorageError::DatasetConflict(dataset.dataset.to_string()))
        }
    }

    async fn dataset(&self, dataset: &DatasetRef) -> Result<StoredDataset> {
        let sql = select(" WHERE name = $1 AND version = $2");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(dataset.name.as_str())
            .bind(dataset.version)
            .fetch_optional(self.read())
            .await?;
        read(&row.ok_or(StorageError::NotFound)?)
    }

    async fn list_datasets(&self, search: &str) -> Result<Vec<StoredDataset>> {
        let sql = select(" WHERE instr(lower(name), lower($1)) > 0 OR $1 = '' ORDER BY key DESC");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(search).fetch_all(self.read()).await?;
        rows.iter().map(read).collect()
    }

    async fn dataset_versions(&self, name: &str) -> Result<Vec<StoredDataset>> {
        let sql = select(" WHERE name = $1 ORDER BY version DESC");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(name).fetch_all(self.read()).await?;
        rows.iter().map(read).collect()
    }

    async fn count_datasets(&self) -> Result<u64> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM datasets").fetch_one(self.read()).await?;
        Ok(count as u64)
    }
}

fn select(rest: &'static str) -> String {
    format!("{COLUMNS}{rest}")
}

fn read(row: &SqliteRow) -> Result<StoredDataset> {
    let manifest: &str = row.try_get("manifest")?;
    Ok(StoredDataset {
        dataset: serde_json::from_str(manifest).map_err(StorageError::unreadable("dataset"))?,
        train: row.try_get("train_object")?,
        val: row.try_get("val_object")?,
        test: row.try_get("test_object")?,
    })
}
