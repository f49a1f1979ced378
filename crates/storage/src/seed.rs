//! Finished runs with made-up curves, for the benchmarks of lists and charts. Only `anneal bench seed` calls it, on a data
//! directory of its own; the contract has no such thing.

use crate::{NewRun, Result, RunStore, SqliteStore, StepPoint, points, report::Live};
use sqlx::SqliteConnection;

impl SqliteStore {
    /// Adds a finished run whose loss falls over so many points.
    pub async fn seed_run(&self, new: &NewRun, count: u64) -> Result<()> {
        self.insert_run(new).await?;
        let mut tx = self.begin().await?;
        let live = Live::load(&mut tx, new.id).await?;
        let mut seq = live.last_seq;
        let mut batch = Vec::with_capacity(10_000);
        for step in 1..=count {
            seq += 1;
            batch.push((seq, point(step)));
            if batch.len() == 10_000 || step == count {
                points::insert(&mut tx, live.key, new.created_at, &std::mem::take(&mut batch)).await?;
            }
        }
        finish(&mut tx, live.key, count, seq).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn point(step: u64) -> StepPoint {
    // A falling curve with a ripple, so that minima and maxima differ in each bucket.
    let wave = ((step * 7_919) % 1_000) as f64 / 1_000.0;
    StepPoint {
        step,
        loss: 0.2 + 3.0 / (1.0 + step as f64 / 200.0) + 0.1 * wave,
        learning_rate: 1e-3,
        grad_norm: 0.5 + wave,
        tokens_per_sec: 4_000.0 + 100.0 * wave,
        memory_bytes: 300 << 20,
        tokens: step * 1_024,
    }
}

async fn finish(tx: &mut SqliteConnection, run: i64, count: u64, seq: u64) -> Result<()> {
    let sparkline: Vec<f64> = (count.saturating_sub(39).max(1)..=count).map(|step| point(step).loss).collect();
    sqlx::query(
        "UPDATE runs SET state = 'done', step = $2, steps = $2, last_seq = $3, started_at = created_at,
             finished_at = created_at + 60000000, loss = $4, val_loss = $4, best_val_loss = $4, tokens_per_sec = 4000,
             parameters = 1800000, sparkline = $5 WHERE key = $1",
    )
    .bind(run)
    .bind(count as i64)
    .bind(seq as i64)
    .bind(point(count.max(1)).loss)
    .bind(format!("{sparkline:?}"))
    .execute(tx)
    .await?;
    Ok(())
}
