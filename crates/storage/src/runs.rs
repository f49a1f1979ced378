//! Runs: queue, list, read, cancel, retry.

use crate::{
    NewRun, Result, RunOrder, RunQuery, RunRecord, RunTexts, SqliteStore, StorageError, place,
    report::{Live, status},
    store::RunStore,
};
use async_trait::async_trait;
use domain::{Micros, RunId, RunState, api::Attempt, event::ExportedFile, run::RunChange};
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, sqlite::SqliteRow};

/// What a list shows; the long texts stay where they are.
const COLUMNS: &str = "SELECT id, name, state, reason, dataset, dataset_hash, recipe_hash, created_at, started_at, finished_at,
    fence, last_seq, step, step_at, steps, pace_step, pace_at, parameters, vocab, loss, val_loss, best_val_loss,
    tokens_per_sec, peak_memory_bytes, evaluation_items, evaluated, strict, flexible, extractor, device, sparkline FROM runs";

#[async_trait]
impl RunStore for SqliteStore {
    async fn insert_run(&self, new: &NewRun) -> Result<u64> {
        let json = |what, value: serde_json::Result<String>| value.map_err(StorageError::unreadable(what));
        let mut tx = self.begin().await?;
        let key: i64 = sqlx::query_scalar(
            "INSERT INTO runs (id, name, state, dataset, dataset_hash, recipe_hash, created_at, queued_at, steps,
                               estimate, recipe, recipe_yaml)
             VALUES ($1, $2, 'queued', $3, $4, $5, $6, $6, $7, $8, $9, $10) RETURNING key",
        )
        .bind(new.id.to_string())
        .bind(&new.name)
        .bind(new.dataset.to_string())
        .bind(&new.dataset_hash)
        .bind(&new.recipe_hash)
        .bind(new.created_at.0)
        .bind(new.recipe.train.steps as i64)
        .bind(new.estimate.as_ref().map(|e| json("estimate", serde_json::to_string(e))).transpose()?)
        .bind(json("recipe", serde_json::to_string(&new.recipe))?)
        .bind(&new.recipe_yaml)
        .fetch_one(&mut *tx)
        .await?;
        let mut live = Live::load(&mut tx, new.id).await?;
        debug_assert_eq!(live.key, key);
        status(&mut tx, &mut live, new.created_at).await?;
        live.save(&mut tx).await?;
        tx.commit().await?;
        Ok(live.last_seq)
    }

    async fn run(&self, run: RunId) -> Result<RunRecord> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE id = $1")))
            .bind(run.to_string())
            .fetch_optional(self.read())
            .await?;
        read(&row.ok_or(StorageError::NotFound)?)
    }

    async fn run_texts(&self, run: RunId) -> Result<RunTexts> {
        let row: Option<(String, String, Option<String>)> =
            sqlx::query_as("SELECT recipe, recipe_yaml, estimate FROM runs WHERE id = $1")
                .bind(run.to_string())
                .fetch_optional(self.read())
                .await?;
        let (recipe, recipe_yaml, estimate) = row.ok_or(StorageError::NotFound)?;
        Ok(RunTexts {
            recipe: serde_json::from_str(&recipe).map_err(StorageError::unreadable("recipe"))?,
            recipe_yaml,
            estimate: estimate
                .map(|e| serde_json::from_str(&e).map_err(StorageError::unreadable("estimate")))
                .transpose()?,
        })
    }

    async fn find_runs(&self, text: &str, limit: u32) -> Result<Vec<RunId>> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM runs WHERE id LIKE $1 || '%' OR id LIKE '%' || $1 ORDER BY key DESC LIMIT $2",
        )
        .bind(text)
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        ids.iter().map(|id| id.parse().map_err(StorageError::unreadable("run id"))).collect()
    }

    async fn list_runs(&self, query: &RunQuery) -> Result<(Vec<RunRecord>, u64)> {
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT COUNT(*) FROM runs WHERE 1 = 1");
        push_filter(&mut sql, query);
        let total: i64 = sql.build_query_scalar().fetch_one(self.read()).await?;

        let mut sql = QueryBuilder::<Sqlite>::new(COLUMNS);
        sql.push(" WHERE 1 = 1");
        push_filter(&mut sql, query);
        // Absent values come last in either direction; the newest first among equals.
        let (column, ascending) = match query.order {
            RunOrder::Created => ("key", false),
            RunOrder::Name => ("name COLLATE NOCASE", true),
            RunOrder::State => ("state", true),
            RunOrder::Loss => ("loss", true),
            RunOrder::ValLoss => ("val_loss", true),
            RunOrder::Score => {
                ("CASE WHEN state = 'done' AND evaluated > 0 THEN CAST(strict AS REAL) / evaluated END", false)
            }
        };
        let direction = if ascending == query.reverse { "DESC" } else { "ASC" };
        sql.push(format_args!(" ORDER BY {column} {direction} NULLS LAST, key DESC LIMIT "));
        sql.push_bind(i64::from(query.limit)).push(" OFFSET ").push_bind(place(query.offset));
        let rows = sql.build().fetch_all(self.read()).await?;
        Ok((rows.iter().map(read).collect::<Result<_>>()?, total as u64))
    }

    async fn cancel_run(&self, run: RunId, at: Micros) -> Result<u64> {
        let mut tx = self.begin().await?;
        let mut live = Live::load(&mut tx, run).await?;
        let before = live.state;
        live.state = before.after(RunChange::Cancel)?;
        if live.state != before {
            if live.state.is_final() {
                live.finished_at = Some(at);
            }
            live.reason = None;
            status(&mut tx, &mut live, at).await?;
        }
        live.save(&mut tx).await?;
        tx.commit().await?;
        Ok(live.last_seq)
    }

    async fn retry_run(&self, run: RunId, at: Micros) -> Result<u64> {
        let mut tx = self.begin().await?;
        let mut live = Live::load(&mut tx, run).await?;
        live.state = live.state.after(RunChange::Retry)?;
        live.reason = None;
        live.losses = 0;
        live.finished_at = None;
        status(&mut tx, &mut live, at).await?;
        live.save(&mut tx).await?;
        sqlx::query("UPDATE runs SET queued_at = $2 WHERE key = $1")
            .bind(live.key)
            .bind(at.0)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(live.last_seq)
    }

    async fn attempts(&self, run: RunId) -> Result<Vec<Attempt>> {
        let rows = sqlx::query(
            "SELECT a.number, a.worker, a.started_at, a.ended_at, a.outcome, a.resumed_from
             FROM attempts a JOIN runs r ON r.key = a.run WHERE r.id = $1 ORDER BY number",
        )
        .bind(run.to_string())
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Attempt {
                    number: row.try_get("number")?,
                    worker: row.try_get("worker")?,
                    started_at: Micros(row.try_get("started_at")?),
                    ended_at: row.try_get::<Option<i64>, _>("ended_at")?.map(Micros),
                    outcome: row.try_get("outcome")?,
                    resumed_from: row.try_get::<Option<i64>, _>("resumed_from")?.map(|s| s as u64),
                })
            })
            .collect()
    }

    async fn run_files(&self, run: RunId) -> Result<Vec<ExportedFile>> {
        let rows: Vec<(String, i64, String)> = sqlx::query_as(
            "SELECT f.name, bytes, sha256 FROM run_files f JOIN runs r ON r.key = f.run WHERE r.id = $1 ORDER BY f.name",
        )
        .bind(run.to_string())
        .fetch_all(self.read())
        .await?;
        Ok(rows.into_iter().map(|(name, bytes, sha256)| ExportedFile { name, bytes: bytes as u64, sha256 }).collect())
    }

    async fn speeds(&self, limit: u32) -> Result<Vec<(u64, f64)>> {
        let rows: Vec<(i64, f64)> = sqlx::query_as(
            "SELECT parameters, tokens_per_sec FROM runs WHERE state = 'done' AND parameters IS NOT NULL
             AND tokens_per_sec > 0 ORDER BY key DESC LIMIT $1",
        )
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        Ok(rows.into_iter().map(|(parameters, speed)| (parameters as u64, speed)).collect())
    }
}

impl SqliteStore {
    pub(crate) async fn run_key_and_step(&self, tx: &mut SqliteConnection, run: RunId) -> Result<(i64, u64)> {
        let row: Option<(i64, i64)> =
            sqlx::query_as("SELECT key, step FROM runs WHERE id = $1").bind(run.to_string()).fetch_optional(tx).await?;
        row.map(|(key, step)| (key, step as u64)).ok_or(StorageError::NotFound)
    }
}

fn push_filter(sql: &mut QueryBuilder<Sqlite>, query: &RunQuery) {
    if !query.states.is_empty() {
        sql.push(" AND state IN (");
        let mut list = sql.separated(", ");
        for state in &query.states {
            list.push_bind(state.key());
        }
        sql.push(")");
    }
    if let Some(dataset) = &query.dataset {
        sql.push(" AND dataset = ").push_bind(dataset.clone());
    }
    if let Some(since) = query.finished_since {
        sql.push(" AND finished_at >= ").push_bind(since.0);
    }
    for word in &query.search {
        sql.push(" AND instr(lower(name || ' ' || dataset || ' ' || id), ")
            .push_bind(word.to_lowercase())
            .push(") > 0");
    }
}

fn read(row: &SqliteRow) -> Result<RunRecord> {
    let time = |column| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(Micros));
    let number = |column| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(|n| n as u64));
    let count = |column| Ok::<_, sqlx::Error>(row.try_get::<i64, _>(column)? as u64);
    let state: &str = row.try_get("state")?;
    let device: Option<&str> = row.try_get("device")?;
    Ok(RunRecord {
        id: row.try_get::<&str, _>("id")?.parse().map_err(StorageError::unreadable("run id"))?,
        name: row.try_get("name")?,
        state: state.parse::<RunState>().map_err(StorageError::unreadable("run state"))?,
        reason: row.try_get("reason")?,
        dataset: row.try_get::<&str, _>("dataset")?.parse().map_err(StorageError::unreadable("dataset"))?,
        dataset_hash: row.try_get("dataset_hash")?,
        recipe_hash: row.try_get("recipe_hash")?,
        created_at: Micros(row.try_get("created_at")?),
        started_at: time("started_at")?,
        finished_at: time("finished_at")?,
        fence: row.try_get("fence")?,
        last_seq: count("last_seq")?,
        step: count("step")?,
        step_at: time("step_at")?,
        steps: count("steps")?,
        pace_step: number("pace_step")?,
        pace_at: time("pace_at")?,
        parameters: number("parameters")?,
        vocab: number("vocab")?,
        loss: row.try_get("loss")?,
        val_loss: row.try_get("val_loss")?,
        best_val_loss: row.try_get("best_val_loss")?,
        tokens_per_sec: row.try_get("tokens_per_sec")?,
        peak_memory_bytes: number("peak_memory_bytes")?,
        evaluation_items: row.try_get("evaluation_items")?,
        evaluated: row.try_get("evaluated")?,
        strict: row.try_get("strict")?,
        flexible: row.try_get("flexible")?,
        extractor: row.try_get("extractor")?,
        device: device.map(serde_json::from_str).transpose().map_err(StorageError::unreadable("device"))?,
        sparkline: serde_json::from_str(row.try_get("sparkline")?).map_err(StorageError::unreadable("sparkline"))?,
    })
}
