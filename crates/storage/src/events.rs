//! A run's events, log and samples, in the order of their shared sequence.

use crate::{Reported, Result, SqliteStore, StorageError, place, points, report::Live, store::EventStore};
use async_trait::async_trait;
use domain::{
    Micros, Prediction, RunId,
    api::{AlarmRow, CheckpointRow, Sample},
    event::{LogLine, LogStream, RunEvent, RunEventKind},
};
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, sqlite::SqliteRow};

/// Rows of one INSERT of log lines: 6 values each.
const LOG_ROWS: usize = 500;

#[async_trait]
impl EventStore for SqliteStore {
    async fn events_after(&self, run: RunId, seq: u64, limit: u32) -> Result<Vec<RunEvent>> {
        // One snapshot for the three tables: a write between them would leave a hole.
        let mut tx = self.read().begin().await?;
        let (key, _) = self.run_key_and_step(&mut tx, run).await?;
        let (seq, limit) = (place(seq), i64::from(limit));
        let mut events = Vec::new();
        let rows =
            sqlx::query("SELECT seq, at, content FROM run_events WHERE run = $1 AND seq > $2 ORDER BY seq LIMIT $3");
        for row in rows.bind(key).bind(seq).bind(limit).fetch_all(&mut *tx).await? {
            events.push(event(&row, content(&row)?)?);
        }
        let rows = sqlx::query("SELECT * FROM points WHERE run = $1 AND seq > $2 ORDER BY seq LIMIT $3");
        for row in rows.bind(key).bind(seq).bind(limit).fetch_all(&mut *tx).await? {
            let p = points::read(&row)?;
            let kind = RunEventKind::Step {
                step: p.step,
                loss: p.loss,
                learning_rate: p.learning_rate,
                grad_norm: p.grad_norm,
                tokens_per_sec: p.tokens_per_sec,
                memory_bytes: p.memory_bytes,
                tokens: p.tokens,
            };
            events.push(event(&row, kind)?);
        }
        let rows = sqlx::query("SELECT * FROM log_lines WHERE run = $1 AND seq > $2 ORDER BY seq LIMIT $3");
        for row in rows.bind(key).bind(seq).bind(limit).fetch_all(&mut *tx).await? {
            let line = log_line(&row)?;
            let kind = RunEventKind::Log { stream: line.stream, chunk: line.chunk, continued: line.continued };
            events.push(event(&row, kind)?);
        }
        events.sort_by_key(|event| event.seq);
        events.truncate(limit as usize);
        Ok(events)
    }

    async fn log_lines(&self, run: RunId, after: u64, limit: u32) -> Result<Vec<LogLine>> {
        let mut tx = self.read().begin().await?;
        let (key, _) = self.run_key_and_step(&mut tx, run).await?;
        let rows = if after == 0 {
            let rows = sqlx::query("SELECT * FROM log_lines WHERE run = $1 ORDER BY seq DESC LIMIT $2");
            let mut rows = rows.bind(key).bind(limit).fetch_all(&mut *tx).await?;
            rows.reverse();
            rows
        } else {
            let rows = sqlx::query("SELECT * FROM log_lines WHERE run = $1 AND seq > $2 ORDER BY seq LIMIT $3");
            rows.bind(key).bind(place(after)).bind(limit).fetch_all(&mut *tx).await?
        };
        rows.iter().map(log_line).collect()
    }

    async fn samples(&self, run: RunId, limit: u32) -> Result<Vec<Sample>> {
        let mut samples = Vec::new();
        for (at, kind) in self.last_events(run, "sample", limit).await? {
            if let RunEventKind::Sample { step, history, prompt, expected, text } = kind {
                samples.push(Sample { step, history, prompt, expected, text, at });
            }
        }
        Ok(samples)
    }

    async fn checkpoints(&self, run: RunId, limit: u32) -> Result<Vec<CheckpointRow>> {
        let mut checkpoints = Vec::new();
        for (at, kind) in self.last_events(run, "checkpoint", limit).await? {
            if let RunEventKind::Checkpoint { step, best, bytes } = kind {
                checkpoints.push(CheckpointRow { step, best, bytes, at });
            }
        }
        Ok(checkpoints)
    }

    async fn alarms(&self, run: RunId, limit: u32) -> Result<Vec<AlarmRow>> {
        let mut alarms = Vec::new();
        for (at, kind) in self.last_events(run, "alarm", limit).await? {
            if let RunEventKind::Alarm { step, message } = kind {
                alarms.push(AlarmRow { step, message, at });
            }
        }
        Ok(alarms)
    }
}

impl SqliteStore {
    async fn last_events(&self, run: RunId, kind: &str, limit: u32) -> Result<Vec<(Micros, RunEventKind)>> {
        let mut tx = self.read().begin().await?;
        let (key, _) = self.run_key_and_step(&mut tx, run).await?;
        let rows =
            sqlx::query("SELECT at, content FROM run_events WHERE run = $1 AND kind = $2 ORDER BY seq DESC LIMIT $3")
                .bind(key)
                .bind(kind)
                .bind(limit)
                .fetch_all(&mut *tx)
                .await?;
        rows.iter().rev().map(|row| Ok((Micros(row.try_get("at")?), content(row)?))).collect()
    }
}

/// [`crate::AttemptStore::append_log`].
pub(crate) async fn append_log(
    store: &SqliteStore,
    run: RunId,
    fence: u32,
    (at, lease_until): (Micros, Micros),
    lines: &[(LogStream, String, bool)],
) -> Result<Reported> {
    let mut tx = store.begin().await?;
    let live = Live::load(&mut tx, run).await?;
    // The last lines come after the attempt's end; another attempt's fence still shuts them out.
    if live.fence != fence {
        return Err(StorageError::StaleFence { run, fence });
    }
    insert_log(&mut tx, live.key, at, live.last_seq + 1, lines).await?;
    let last_seq = live.last_seq + lines.len() as u64;
    sqlx::query("UPDATE runs SET last_seq = $2, lease_until = CASE WHEN lease_until IS NULL THEN NULL ELSE $3 END WHERE key = $1")
        .bind(live.key)
        .bind(last_seq as i64)
        .bind(lease_until.0)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(Reported { state: live.state, last_seq })
}

pub(crate) async fn insert(
    tx: &mut SqliteConnection,
    run: i64,
    seq: u64,
    at: Micros,
    kind: &RunEventKind,
) -> Result<()> {
    let (step, value) = match kind {
        RunEventKind::Validation { step, loss } => (Some(*step), Some(*loss)),
        RunEventKind::Sample { step, .. }
        | RunEventKind::Checkpoint { step, .. }
        | RunEventKind::Alarm { step, .. } => (Some(*step), None),
        _ => (None, None),
    };
    sqlx::query(
        "INSERT INTO run_events (run, seq, at, kind, step, value, content) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(run)
    .bind(seq as i64)
    .bind(at.0)
    .bind(kind.name())
    .bind(step.map(|s| s as i64))
    .bind(value)
    .bind(serde_json::to_string(kind).map_err(StorageError::unreadable("event"))?)
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn insert_log(
    tx: &mut SqliteConnection,
    run: i64,
    at: Micros,
    first_seq: u64,
    lines: &[(LogStream, String, bool)],
) -> Result<()> {
    let mut seq = first_seq as i64;
    for rows in lines.chunks(LOG_ROWS) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO log_lines (run, seq, at, stream, continued, chunk) ");
        insert.push_values(rows, |mut row, (stream, chunk, continued)| {
            row.push_bind(run).push_bind(seq).push_bind(at.0).push_bind(stream_key(*stream)).push_bind(*continued);
            row.push_bind(chunk.as_str());
            seq += 1;
        });
        insert.build().execute(&mut *tx).await?;
    }
    Ok(())
}

/// A prediction; one that a resumed evaluation makes again takes the place of the first.
pub(crate) async fn insert_prediction(tx: &mut SqliteConnection, run: i64, prediction: &Prediction) -> Result<()> {
    sqlx::query(
        "INSERT INTO predictions (run, item, strict, flexible, content) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (run, item) DO UPDATE
         SET strict = excluded.strict, flexible = excluded.flexible, content = excluded.content",
    )
    .bind(run)
    .bind(prediction.item)
    .bind(prediction.verdict.strict)
    .bind(prediction.verdict.flexible)
    .bind(serde_json::to_string(prediction).map_err(StorageError::unreadable("prediction"))?)
    .execute(tx)
    .await?;
    Ok(())
}

/// Counts the run's predictions anew into its row; gives how many there are.
pub(crate) async fn count_predictions(tx: &mut SqliteConnection, run: i64, extractor: &str) -> Result<u32> {
    let done = sqlx::query_scalar(
        "UPDATE runs SET (evaluated, strict, flexible) =
             (SELECT COUNT(*), COALESCE(SUM(strict), 0), COALESCE(SUM(flexible), 0) FROM predictions WHERE run = $1),
             extractor = $2
         WHERE key = $1 RETURNING evaluated",
    )
    .bind(run)
    .bind(extractor)
    .fetch_one(tx)
    .await?;
    Ok(done)
}

/// The last lines of a run's log as one text, for the reason of a failure.
pub(crate) async fn log_end(tx: &mut SqliteConnection, run: i64, lines: u32) -> Result<String> {
    let mut rows: Vec<String> = sqlx::query_scalar(
        "SELECT substr(chunk, 1, 500) FROM log_lines WHERE run = $1 AND stream <> 'system' ORDER BY seq DESC LIMIT $2",
    )
    .bind(run)
    .bind(lines)
    .fetch_all(tx)
    .await?;
    rows.reverse();
    Ok(rows.join("\n"))
}

const fn stream_key(stream: LogStream) -> &'static str {
    match stream {
        LogStream::Stdout => "stdout",
        LogStream::Stderr => "stderr",
        LogStream::System => "system",
    }
}

fn content(row: &SqliteRow) -> Result<RunEventKind> {
    serde_json::from_str(row.try_get("content")?).map_err(StorageError::unreadable("event"))
}

fn event(row: &SqliteRow, kind: RunEventKind) -> Result<RunEvent> {
    Ok(RunEvent { seq: row.try_get::<i64, _>("seq")? as u64, at: Micros(row.try_get("at")?), kind })
}

fn log_line(row: &SqliteRow) -> Result<LogLine> {
    Ok(LogLine {
        seq: row.try_get::<i64, _>("seq")? as u64,
        stream: match row.try_get("stream")? {
            "stdout" => LogStream::Stdout,
            "stderr" => LogStream::Stderr,
            _ => LogStream::System,
        },
        chunk: row.try_get("chunk")?,
        continued: row.try_get("continued")?,
        created_at: Micros(row.try_get("at")?),
    })
}
