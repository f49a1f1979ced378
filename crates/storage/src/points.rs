//! Writing a run's points and their pyramid, and taking back those after a step when an attempt resumes from there.

use crate::{
    Result, StepPoint,
    pyramid::{Bucket, LEVELS, bucket_of, gather},
};
use domain::Micros;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, sqlite::SqliteRow};
use std::collections::BTreeMap;

/// Rows of one INSERT of points: 10 values each.
const POINT_ROWS: usize = 500;
/// Rows of one INSERT of buckets: 20 values each.
const BUCKET_ROWS: usize = 200;

/// Adds points, in order of step; each has its sequence number. A step that is already there keeps its first figures.
pub(crate) async fn insert(tx: &mut SqliteConnection, run: i64, at: Micros, points: &[(u64, StepPoint)]) -> Result<()> {
    for rows in points.chunks(POINT_ROWS) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO points (run, step, seq, at, loss, learning_rate, grad_norm, tokens_per_sec, memory_bytes, tokens) ",
        );
        insert.push_values(rows, |mut row, (seq, point)| {
            row.push_bind(run)
                .push_bind(point.step as i64)
                .push_bind(*seq as i64)
                .push_bind(at.0)
                .push_bind(point.loss)
                .push_bind(point.learning_rate)
                .push_bind(point.grad_norm)
                .push_bind(point.tokens_per_sec)
                .push_bind(point.memory_bytes as i64)
                .push_bind(point.tokens as i64);
        });
        insert.build().execute(&mut *tx).await?;
    }
    let points: Vec<StepPoint> = points.iter().map(|(_, point)| *point).collect();
    merge(tx, run, &gather(&points, 1..=LEVELS)).await
}

async fn merge(tx: &mut SqliteConnection, run: i64, buckets: &BTreeMap<(u32, u64), Bucket>) -> Result<()> {
    let buckets: Vec<_> = buckets.iter().collect();
    for rows in buckets.chunks(BUCKET_ROWS) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO point_buckets (run, level, bucket, count, last_step,
                 loss, loss_min, loss_max, learning_rate, learning_rate_min, learning_rate_max,
                 grad_norm, grad_norm_min, grad_norm_max, tokens_per_sec, tokens_per_sec_min, tokens_per_sec_max,
                 memory_bytes, memory_bytes_min, memory_bytes_max) ",
        );
        insert.push_values(rows, |mut row, ((level, index), bucket)| {
            row.push_bind(run)
                .push_bind(i64::from(*level))
                .push_bind(*index as i64)
                .push_bind(bucket.count as i64)
                .push_bind(bucket.last_step as i64);
            for span in bucket.spans {
                row.push_bind(span.last).push_bind(span.min).push_bind(span.max);
            }
        });
        insert.push(
            " ON CONFLICT (run, level, bucket) DO UPDATE SET
                count = count + excluded.count, last_step = excluded.last_step,
                loss = excluded.loss, loss_min = MIN(loss_min, excluded.loss_min), loss_max = MAX(loss_max, excluded.loss_max),
                learning_rate = excluded.learning_rate,
                learning_rate_min = MIN(learning_rate_min, excluded.learning_rate_min),
                learning_rate_max = MAX(learning_rate_max, excluded.learning_rate_max),
                grad_norm = excluded.grad_norm,
                grad_norm_min = MIN(grad_norm_min, excluded.grad_norm_min),
                grad_norm_max = MAX(grad_norm_max, excluded.grad_norm_max),
                tokens_per_sec = excluded.tokens_per_sec,
                tokens_per_sec_min = MIN(tokens_per_sec_min, excluded.tokens_per_sec_min),
                tokens_per_sec_max = MAX(tokens_per_sec_max, excluded.tokens_per_sec_max),
                memory_bytes = excluded.memory_bytes,
                memory_bytes_min = MIN(memory_bytes_min, excluded.memory_bytes_min),
                memory_bytes_max = MAX(memory_bytes_max, excluded.memory_bytes_max)",
        );
        insert.build().execute(&mut *tx).await?;
    }
    Ok(())
}

/// Forgets everything after `step`: an attempt that resumes there says it all again. Tells whether there was anything.
pub(crate) async fn truncate(tx: &mut SqliteConnection, run: i64, step: u64) -> Result<bool> {
    let events = sqlx::query(
        "DELETE FROM run_events WHERE run = $1 AND kind IN ('validation', 'sample', 'checkpoint') AND step > $2",
    )
    .bind(run)
    .bind(step as i64)
    .execute(&mut *tx)
    .await?;
    let points = sqlx::query("DELETE FROM points WHERE run = $1 AND step > $2")
        .bind(run)
        .bind(step as i64)
        .execute(&mut *tx)
        .await?;
    if points.rows_affected() == 0 {
        return Ok(events.rows_affected() > 0);
    }
    for level in 1..=LEVELS {
        let first = bucket_of(step + 1, level);
        sqlx::query("DELETE FROM point_buckets WHERE run = $1 AND level = $2 AND bucket >= $3")
            .bind(run)
            .bind(level)
            .bind(first as i64)
            .execute(&mut *tx)
            .await?;
        // What of the first of them lies before the cut comes back from the points.
        let kept = sqlx::query("SELECT * FROM points WHERE run = $1 AND step >= $2 ORDER BY step")
            .bind(run)
            .bind((first << (2 * level)) as i64)
            .fetch_all(&mut *tx)
            .await?;
        let kept: Vec<StepPoint> = kept.iter().map(read).collect::<Result<_>>()?;
        merge(tx, run, &gather(&kept, level..=level)).await?;
    }
    Ok(true)
}

pub(crate) fn read(row: &SqliteRow) -> Result<StepPoint> {
    Ok(StepPoint {
        step: row.try_get::<i64, _>("step")? as u64,
        loss: row.try_get("loss")?,
        learning_rate: row.try_get("learning_rate")?,
        grad_norm: row.try_get("grad_norm")?,
        tokens_per_sec: row.try_get("tokens_per_sec")?,
        memory_bytes: row.try_get::<i64, _>("memory_bytes")? as u64,
        tokens: row.try_get::<i64, _>("tokens")? as u64,
    })
}
