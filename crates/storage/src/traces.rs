//! Traces: insert in bulk, list, read, count, soft delete.

use crate::{Question, Result, SqliteStore, StorageError, TraceQuery, place, store::TraceStore};
use async_trait::async_trait;
use domain::{Micros, NewTrace, Trace, TraceId, api::Facets, dataset::Count, trace::TraceSummary};
use sha2::{Digest, Sha256};
use sqlx::{QueryBuilder, Row, Sqlite, sqlite::SqliteRow};
use std::collections::BTreeMap;

/// Rows of one INSERT: 10 values each, far below SQLite's 32,766.
const ROWS: usize = 400;

#[async_trait]
impl TraceStore for SqliteStore {
    async fn insert_traces(&self, source: &str, at: Micros, traces: &[(TraceId, NewTrace)]) -> Result<()> {
        if traces.is_empty() {
            return Ok(());
        }
        let mut rows = Vec::with_capacity(traces.len());
        for (id, trace) in traces {
            let content = serde_json::to_string(trace).map_err(StorageError::unreadable("trace"))?;
            rows.push((id.to_string(), trace, trace.family().map(|f| f.key()), content, history(trace)?));
        }
        let mut counts: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        for (_, trace, family, ..) in &rows {
            *counts.entry((family.unwrap_or(""), trace.category().unwrap_or(""))).or_default() += 1;
        }
        let mut tx = self.begin().await?;
        let before: Option<i64> = sqlx::query_scalar("SELECT MAX(key) FROM traces").fetch_one(&mut *tx).await?;
        for rows in rows.chunks(ROWS) {
            let mut insert = QueryBuilder::<Sqlite>::new(
                "INSERT INTO traces (id, created_at, source, family, category, steps, prompt, answer, content, history) ",
            );
            insert.push_values(rows, |mut row, (id, trace, family, content, history)| {
                row.push_bind(id.as_str())
                    .push_bind(at.0)
                    .push_bind(source)
                    .push_bind(*family)
                    .push_bind(trace.category())
                    .push_bind(trace.steps.len() as i64)
                    .push_bind(trace.prompt.as_str())
                    .push_bind(trace.final_answer.as_str())
                    .push_bind(content.as_str())
                    .push_bind(history.as_deref());
            });
            insert.build().execute(&mut *tx).await?;
        }
        sqlx::query(
            "INSERT INTO trace_words (rowid, prompt, answer) SELECT key, prompt, answer FROM traces WHERE key > $1",
        )
        .bind(before.unwrap_or(0))
        .execute(&mut *tx)
        .await?;
        for ((family, category), count) in counts {
            sqlx::query(
                "INSERT INTO trace_counts (source, family, category, count) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (source, family, category) DO UPDATE SET count = count + excluded.count",
            )
            .bind(source)
            .bind(family)
            .bind(category)
            .bind(count)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn list_traces(&self, query: &TraceQuery, offset: u64, limit: u32) -> Result<Vec<TraceSummary>> {
        // The keys first, from an index: the offset then skips small entries, not whole traces.
        let mut sql = QueryBuilder::<Sqlite>::new(
            "SELECT id, created_at, source, family, category, substr(prompt, 1, 200) AS prompt, answer, steps
             FROM traces WHERE key IN (SELECT key FROM traces WHERE deleted_at IS NULL",
        );
        push_filter(&mut sql, query);
        sql.push(" ORDER BY key DESC LIMIT ").push_bind(i64::from(limit)).push(" OFFSET ").push_bind(place(offset));
        sql.push(") ORDER BY key DESC");
        let rows = sql.build().fetch_all(self.read()).await?;
        rows.iter()
            .map(|row| {
                Ok(TraceSummary {
                    id: id(row)?,
                    created_at: Micros(row.try_get("created_at")?),
                    source: row.try_get("source")?,
                    family: row.try_get("family")?,
                    category: row.try_get("category")?,
                    prompt: row.try_get("prompt")?,
                    final_answer: row.try_get("answer")?,
                    steps: row.try_get("steps")?,
                })
            })
            .collect()
    }

    async fn count_traces(&self, query: &TraceQuery) -> Result<u64> {
        let mut sql;
        if query.search.is_some() {
            sql = QueryBuilder::<Sqlite>::new("SELECT COUNT(*) FROM traces WHERE deleted_at IS NULL");
            push_filter(&mut sql, query);
        } else {
            sql = QueryBuilder::new("SELECT COALESCE(SUM(count), 0) FROM trace_counts WHERE 1 = 1");
            push_equal(&mut sql, query);
        }
        let count: i64 = sql.build_query_scalar().fetch_one(self.read()).await?;
        Ok(count as u64)
    }

    async fn trace(&self, trace: TraceId) -> Result<Trace> {
        let row = sqlx::query("SELECT id, created_at, source, content FROM traces WHERE id = $1")
            .bind(trace.to_string())
            .fetch_optional(self.read())
            .await?
            .ok_or(StorageError::NotFound)?;
        let content: String = row.try_get("content")?;
        Ok(Trace {
            id: id(&row)?,
            created_at: Micros(row.try_get("created_at")?),
            source: row.try_get("source")?,
            content: serde_json::from_str(&content).map_err(StorageError::unreadable("trace"))?,
        })
    }

    async fn trace_facets(&self) -> Result<Facets> {
        let rows: Vec<(String, String, String, i64)> =
            sqlx::query_as("SELECT source, family, category, count FROM trace_counts WHERE count > 0")
                .fetch_all(self.read())
                .await?;
        let (mut sources, mut families, mut categories) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut total = 0;
        for (source, family, category, count) in rows {
            total += count as u64;
            for (map, value) in [(&mut sources, source), (&mut families, family), (&mut categories, category)] {
                *map.entry(value).or_insert(0_u32) += count as u32;
            }
        }
        let list = |map: BTreeMap<String, u32>| {
            let mut counts: Vec<Count> =
                map.into_iter().filter(|(v, _)| !v.is_empty()).map(|(value, count)| Count { value, count }).collect();
            counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
            counts
        };
        Ok(Facets { total, sources: list(sources), families: list(families), categories: list(categories) })
    }

    async fn set_traces_deleted(&self, ids: &[TraceId], deleted_at: Option<Micros>) -> Result<u64> {
        let mut tx = self.begin().await?;
        let mut changed = 0;
        for trace in ids {
            let row: Option<(String, Option<String>, Option<String>)> = sqlx::query_as(
                "UPDATE traces SET deleted_at = $2 WHERE id = $1 AND (deleted_at IS NULL) = ($2 IS NOT NULL)
                 RETURNING source, family, category",
            )
            .bind(trace.to_string())
            .bind(deleted_at.map(|at| at.0))
            .fetch_optional(&mut *tx)
            .await?;
            let Some((source, family, category)) = row else { continue };
            changed += 1;
            sqlx::query(
                "UPDATE trace_counts SET count = count + $4 WHERE source = $1 AND family = $2 AND category = $3",
            )
            .bind(source)
            .bind(family.unwrap_or_default())
            .bind(category.unwrap_or_default())
            .bind(if deleted_at.is_some() { -1_i64 } else { 1 })
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(changed)
    }

    async fn trace_questions(&self, query: &TraceQuery, before: i64, limit: u32) -> Result<Vec<Question>> {
        let mut sql =
            QueryBuilder::<Sqlite>::new("SELECT key, prompt, history FROM traces WHERE deleted_at IS NULL AND key < ");
        sql.push_bind(before);
        push_filter(&mut sql, query);
        sql.push(" ORDER BY key DESC LIMIT ").push_bind(i64::from(limit));
        let rows: Vec<(i64, String, Option<String>)> = sql.build_query_as().fetch_all(self.read()).await?;
        Ok(rows.into_iter().map(|(key, prompt, history)| Question { key, prompt, history }).collect())
    }

    async fn trace_contents(&self, keys: &[i64]) -> Result<Vec<String>> {
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT key, content FROM traces WHERE key IN (");
        let mut list = sql.separated(", ");
        for key in keys {
            list.push_bind(*key);
        }
        sql.push(")");
        let rows: Vec<(i64, String)> = sql.build_query_as().fetch_all(self.read()).await?;
        let mut contents: std::collections::HashMap<i64, String> = rows.into_iter().collect();
        keys.iter().map(|key| contents.remove(key).ok_or(StorageError::NotFound)).collect()
    }
}

/// The SHA-256 of what was said before the prompt.
fn history(trace: &NewTrace) -> Result<Option<String>> {
    if trace.history.is_empty() {
        return Ok(None);
    }
    let said = serde_json::to_vec(&trace.history).map_err(StorageError::unreadable("trace"))?;
    Ok(Some(Sha256::digest(said).iter().map(|byte| format!("{byte:02x}")).collect()))
}

fn id(row: &SqliteRow) -> Result<TraceId> {
    row.try_get::<&str, _>("id")?.parse().map_err(StorageError::unreadable("trace id"))
}

fn push_equal(sql: &mut QueryBuilder<Sqlite>, query: &TraceQuery) {
    for (column, value) in [("source", &query.source), ("family", &query.family), ("category", &query.category)] {
        if let Some(value) = value {
            sql.push(" AND ").push(column).push(" = ").push_bind(value.clone());
        }
    }
}

fn push_filter(sql: &mut QueryBuilder<Sqlite>, query: &TraceQuery) {
    push_equal(sql, query);
    let Some(search) = &query.search else { return };
    // Each word by its beginning; what has no letter or digit is no word to the index and is looked for as it stands.
    let words: Vec<String> =
        search.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(|w| format!("\"{w}\"*")).collect();
    if words.is_empty() {
        let pattern = search.trim().to_owned();
        sql.push(" AND (instr(prompt, ").push_bind(pattern.clone()).push(") > 0 OR instr(answer, ");
        sql.push_bind(pattern).push(") > 0)");
    } else {
        sql.push(" AND key IN (SELECT rowid FROM trace_words WHERE trace_words MATCH ").push_bind(words.join(" "));
        sql.push(")");
    }
}
