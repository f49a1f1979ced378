//! Reading curves: the points themselves when they are few, else the pyramid's level that has few enough buckets.

use crate::{
    Result, SqliteStore, points,
    pyramid::{KEYS, bucket_of, level_for},
    store::SeriesStore,
};
use async_trait::async_trait;
use domain::{
    RunId,
    api::{Series, SeriesPoint},
    event::series,
};
use sqlx::{Row, SqliteConnection};

#[async_trait]
impl SeriesStore for SqliteStore {
    async fn series(&self, run: RunId, keys: &[&str], from: u64, to: u64, most: u32) -> Result<Vec<Series>> {
        let mut tx = self.read().begin().await?;
        let (run, last) = self.run_key_and_step(&mut tx, run).await?;
        let (from, to) = (from.min(i64::MAX as u64), to.min(last));
        let most = u64::from(most.max(2));
        let mut curves = if keys.iter().any(|k| KEYS.contains(k)) && from <= to {
            step_curves(&mut tx, run, from, to, most).await?
        } else {
            Vec::new()
        };
        if keys.contains(&series::VAL_LOSS) {
            curves.push(validation_curve(&mut tx, run, from, to, most).await?);
        }
        // In the order asked, and present even when empty.
        let empty = |key: &str| Series { key: key.to_owned(), points: Vec::new(), count: 0, exact: true };
        let take = |key: &&str| curves.iter().find(|c| c.key == *key).cloned().unwrap_or_else(|| empty(key));
        Ok(keys.iter().map(take).collect())
    }
}

async fn step_curves(tx: &mut SqliteConnection, run: i64, from: u64, to: u64, most: u64) -> Result<Vec<Series>> {
    // Points may be sparser than steps: look before thinning.
    let few: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM (SELECT 1 FROM points WHERE run = $1 AND step BETWEEN $2 AND $3 LIMIT $4)",
    )
    .bind(run)
    .bind(from as i64)
    .bind(to as i64)
    .bind(most as i64 + 1)
    .fetch_one(&mut *tx)
    .await?;
    if few as u64 <= most {
        let rows = sqlx::query("SELECT * FROM points WHERE run = $1 AND step BETWEEN $2 AND $3 ORDER BY step")
            .bind(run)
            .bind(from as i64)
            .bind(to as i64)
            .fetch_all(&mut *tx)
            .await?;
        let rows = rows.iter().map(points::read).collect::<Result<Vec<_>>>()?;
        return Ok((0..KEYS.len())
            .map(|i| Series {
                key: KEYS[i].to_owned(),
                points: rows.iter().map(|p| point(p.step, p.values()[i])).collect(),
                count: rows.len() as u64,
                exact: true,
            })
            .collect());
    }
    let level = level_for(to - from + 1, most);
    let rows = sqlx::query(
        "SELECT * FROM point_buckets WHERE run = $1 AND level = $2 AND bucket BETWEEN $3 AND $4 ORDER BY bucket",
    )
    .bind(run)
    .bind(level)
    .bind(bucket_of(from, level) as i64)
    .bind(bucket_of(to, level) as i64)
    .fetch_all(&mut *tx)
    .await?;
    let count = rows.iter().map(|row| row.try_get::<i64, _>("count").map(|n| n as u64)).sum::<Result<u64, _>>()?;
    KEYS.iter()
        .enumerate()
        .map(|(i, key)| {
            let points = rows.iter().map(|row| {
                // Columns 5 and on: last, min, max of each series.
                let at = 5 + 3 * i;
                Ok(SeriesPoint {
                    step: row.try_get::<i64, _>("last_step")? as u64,
                    value: row.try_get(at)?,
                    min: row.try_get(at + 1)?,
                    max: row.try_get(at + 2)?,
                })
            });
            Ok(Series { key: (*key).to_owned(), points: points.collect::<Result<_>>()?, count, exact: false })
        })
        .collect()
}

/// Validations are a hundredth of the points, so they are thinned as they are read.
async fn validation_curve(tx: &mut SqliteConnection, run: i64, from: u64, to: u64, most: u64) -> Result<Series> {
    let rows: Vec<(i64, f64)> = sqlx::query_as(
        "SELECT step, value FROM run_events
         WHERE run = $1 AND kind = 'validation' AND step BETWEEN $2 AND $3 ORDER BY seq",
    )
    .bind(run)
    .bind(from as i64)
    .bind(to as i64)
    .fetch_all(&mut *tx)
    .await?;
    let count = rows.len() as u64;
    let size = count.div_ceil(most).max(1) as usize;
    let points = rows.chunks(size).map(|chunk| {
        let (step, value) = chunk[chunk.len() - 1];
        let min = chunk.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
        let max = chunk.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
        SeriesPoint { step: step as u64, value, min, max }
    });
    Ok(Series { key: series::VAL_LOSS.to_owned(), points: points.collect(), count, exact: size == 1 })
}

fn point(step: u64, value: f64) -> SeriesPoint {
    SeriesPoint { step, value, min: value, max: value }
}
