//! What a training child says becomes rows: one transaction a batch, under the fence of its attempt.

use crate::{Result, SqliteStore, StepPoint, StorageError, events, points};
use domain::{
    DeviceInfo, Micros, RunId, RunState, TrainEvent,
    event::{LogStream, RunEventKind},
    run::{MAX_ATTEMPTS, RunChange},
};
use sqlx::{Row, SqliteConnection};

/// Loss values of a run's sparkline.
const SPARKLINE: usize = 40;

/// Where a run stands after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported {
    pub state: RunState,
    pub last_seq: u64,
}

/// The changing part of a run's row, loaded and saved within one transaction.
pub(crate) struct Live {
    pub key: i64,
    pub id: RunId,
    pub state: RunState,
    pub reason: Option<String>,
    pub fence: u32,
    pub losses: u32,
    pub last_seq: u64,
    pub started_at: Option<Micros>,
    pub finished_at: Option<Micros>,
    step: u64,
    step_at: Option<Micros>,
    steps: u64,
    pace_step: Option<u64>,
    pace_at: Option<Micros>,
    parameters: Option<u64>,
    vocab: Option<u64>,
    loss: Option<f64>,
    min_loss: Option<f64>,
    max_loss: Option<f64>,
    val_loss: Option<f64>,
    best_val_loss: Option<f64>,
    best_step: Option<u64>,
    tokens_per_sec: Option<f64>,
    peak_memory_bytes: Option<u64>,
    evaluation_items: u32,
    device: Option<DeviceInfo>,
    sparkline: Vec<f64>,
    /// How the attempt ended, when it has in this transaction.
    outcome: Option<String>,
}

/// [`crate::AttemptStore::report`].
pub(crate) async fn report(
    store: &SqliteStore,
    run: RunId,
    fence: u32,
    (at, lease_until): (Micros, Micros),
    extractor: &str,
    events: &[TrainEvent],
) -> Result<Reported> {
    let mut tx = store.begin().await?;
    let mut live = Live::load(&mut tx, run).await?;
    if live.fence != fence || !live.state.is_held() {
        return Err(StorageError::StaleFence { run, fence });
    }
    let mut points = Vec::new();
    let mut predicted = false;
    for event in events {
        match event {
            TrainEvent::Step { step, loss, learning_rate, grad_norm, tokens_per_sec, memory_bytes, tokens } => {
                let point = StepPoint {
                    step: *step,
                    loss: *loss,
                    learning_rate: *learning_rate,
                    grad_norm: *grad_norm,
                    tokens_per_sec: *tokens_per_sec,
                    memory_bytes: *memory_bytes,
                    tokens: *tokens,
                };
                if *step <= live.step || point.values().iter().any(|v| !v.is_finite()) {
                    // Said twice, or no number a chart could show: an alarm or a failure says the rest.
                    tracing::warn!(%run, step, loss, "a step's figures were left out");
                    continue;
                }
                live.last_seq += 1;
                points.push((live.last_seq, point));
                live.step_done(&point, at);
            }
            other => {
                points::insert(&mut tx, live.key, at, &std::mem::take(&mut points)).await?;
                predicted |= matches!(other, TrainEvent::Predicted(_));
                live.apply(&mut tx, other, at).await?;
            }
        }
    }
    points::insert(&mut tx, live.key, at, &points).await?;
    if predicted {
        let done = events::count_predictions(&mut tx, live.key, extractor).await?;
        let progress = RunEventKind::EvaluationProgress { done, items: live.evaluation_items };
        live.event(&mut tx, at, &progress).await?;
    }
    let lease = live.state.is_held().then_some(lease_until.0);
    sqlx::query("UPDATE runs SET lease_until = $2 WHERE key = $1").bind(live.key).bind(lease).execute(&mut *tx).await?;
    live.end_attempt(&mut tx, at).await?;
    live.save(&mut tx).await?;
    tx.commit().await?;
    Ok(Reported { state: live.state, last_seq: live.last_seq })
}

impl Live {
    fn step_done(&mut self, point: &StepPoint, at: Micros) {
        self.step = point.step;
        self.step_at = Some(at);
        self.loss = Some(point.loss);
        self.min_loss = Some(self.min_loss.map_or(point.loss, |min| min.min(point.loss)));
        self.max_loss = Some(self.max_loss.map_or(point.loss, |max| max.max(point.loss)));
        self.tokens_per_sec = Some(point.tokens_per_sec);
        self.peak_memory_bytes = Some(self.peak_memory_bytes.unwrap_or(0).max(point.memory_bytes));
        self.sparkline.push(point.loss);
        if self.sparkline.len() > SPARKLINE {
            self.sparkline.remove(0);
        }
    }

    async fn apply(&mut self, tx: &mut SqliteConnection, event: &TrainEvent, at: Micros) -> Result<()> {
        match event {
            TrainEvent::Step { .. } => {}
            TrainEvent::Started { device, parameters, vocab, steps, resumed_from, estimate, .. } => {
                let from = resumed_from.unwrap_or(0);
                if points::truncate(tx, self.key, from).await? || self.step > from {
                    self.recompute(tx, from).await?;
                }
                self.device = Some(device.clone());
                self.parameters = Some(*parameters);
                self.vocab = Some(*vocab as u64);
                self.steps = *steps;
                self.pace_step = Some(from);
                self.pace_at = Some(at);
                self.started_at.get_or_insert(at);
                sqlx::query("UPDATE attempts SET resumed_from = $3 WHERE run = $1 AND number = $2")
                    .bind(self.key)
                    .bind(self.fence)
                    .bind(resumed_from.map(|s| s as i64))
                    .execute(&mut *tx)
                    .await?;
                // What was measured goes before what was reckoned when the run was created.
                if let Some(estimate) = estimate {
                    let json = serde_json::to_string(estimate).map_err(StorageError::unreadable("estimate"))?;
                    sqlx::query("UPDATE runs SET estimate = $2 WHERE key = $1")
                        .bind(self.key)
                        .bind(json)
                        .execute(&mut *tx)
                        .await?;
                }
                self.change(tx, RunChange::Start, None, at).await?;
            }
            TrainEvent::Validation { step, loss } => {
                if !loss.is_finite() {
                    return Ok(());
                }
                self.val_loss = Some(*loss);
                if self.best_val_loss.is_none_or(|best| *loss < best) {
                    self.best_val_loss = Some(*loss);
                    self.best_step = Some(*step);
                }
                self.event(tx, at, &RunEventKind::Validation { step: *step, loss: *loss }).await?;
            }
            TrainEvent::Sample { step, history, prompt, expected, text } => {
                let (step, history) = (*step, history.clone());
                let (prompt, expected, text) = (prompt.clone(), expected.clone(), text.clone());
                self.event(tx, at, &RunEventKind::Sample { step, history, prompt, expected, text }).await?;
            }
            TrainEvent::Checkpoint { step, best, bytes } => {
                self.event(tx, at, &RunEventKind::Checkpoint { step: *step, best: *best, bytes: *bytes }).await?;
            }
            TrainEvent::Alarm { step, message } => {
                self.event(tx, at, &RunEventKind::Alarm { step: *step, message: message.clone() }).await?;
            }
            TrainEvent::Log { line } => {
                self.last_seq += 1;
                events::insert_log(tx, self.key, at, self.last_seq, &[(LogStream::Stdout, line.clone(), false)])
                    .await?;
            }
            TrainEvent::Evaluating { items } => {
                self.evaluation_items = *items as u32;
                self.change(tx, RunChange::Evaluate, None, at).await?;
                self.event(tx, at, &RunEventKind::EvaluationProgress { done: 0, items: *items as u32 }).await?;
            }
            TrainEvent::Predicted(prediction) => events::insert_prediction(tx, self.key, prediction).await?,
            // The worker stores the files themselves, then names them by `insert_run_files`.
            TrainEvent::Exported { .. } => {}
            TrainEvent::Stopped { step } => {
                self.outcome = Some(format!("stopped at step {step}"));
                self.change(tx, RunChange::Stopped, None, at).await?;
            }
            TrainEvent::Finished { steps, peak_memory_bytes, tokens_per_sec, .. } => {
                self.step = *steps;
                self.peak_memory_bytes = Some((*peak_memory_bytes).max(self.peak_memory_bytes.unwrap_or(0)));
                self.tokens_per_sec = Some(*tokens_per_sec);
                self.outcome = Some("finished".to_owned());
                if self.state == RunState::Leased {
                    self.change(tx, RunChange::Start, None, at).await?;
                }
                self.change(tx, RunChange::Finish, None, at).await?;
            }
            TrainEvent::Failed { message, retry } => {
                self.outcome = Some(format!("failed: {message}"));
                self.losses += 1;
                let again = *retry && self.losses < MAX_ATTEMPTS;
                let change = if again { RunChange::Lose } else { RunChange::Fail };
                self.change(tx, change, Some(message.clone()), at).await?;
            }
        }
        Ok(())
    }

    /// Changes the state by the table of `domain::run`, and says so.
    pub(crate) async fn change(
        &mut self,
        tx: &mut SqliteConnection,
        change: RunChange,
        reason: Option<String>,
        at: Micros,
    ) -> Result<()> {
        let next = match self.state.after(change) {
            // It goes on reporting until it has stopped; the stop is not forgotten for that.
            Err(_)
                if self.state == RunState::Cancelling && matches!(change, RunChange::Start | RunChange::Evaluate) =>
            {
                return Ok(());
            }
            next => next?,
        };
        if next == self.state && next != RunState::Running {
            return Ok(());
        }
        self.state = next;
        self.reason = if next == RunState::Cancelled { None } else { reason };
        if next.is_final() {
            self.finished_at = Some(at);
        }
        status(tx, self, at).await
    }

    /// Its aggregates, from what is left after a truncation.
    async fn recompute(&mut self, tx: &mut SqliteConnection, step: u64) -> Result<()> {
        self.step = step;
        let row: (Option<f64>, Option<f64>) = sqlx::query_as("SELECT MIN(loss), MAX(loss) FROM points WHERE run = $1")
            .bind(self.key)
            .fetch_one(&mut *tx)
            .await?;
        (self.min_loss, self.max_loss) = row;
        self.sparkline = sqlx::query_scalar("SELECT loss FROM points WHERE run = $1 ORDER BY step DESC LIMIT $2")
            .bind(self.key)
            .bind(SPARKLINE as i64)
            .fetch_all(&mut *tx)
            .await?;
        self.sparkline.reverse();
        self.loss = self.sparkline.last().copied();
        let validations: Vec<(i64, f64)> =
            sqlx::query_as("SELECT step, value FROM run_events WHERE run = $1 AND kind = 'validation' ORDER BY seq")
                .bind(self.key)
                .fetch_all(&mut *tx)
                .await?;
        self.val_loss = validations.last().map(|v| v.1);
        let best = validations.into_iter().min_by(|a, b| a.1.total_cmp(&b.1));
        self.best_val_loss = best.map(|b| b.1);
        self.best_step = best.map(|b| b.0 as u64);
        Ok(())
    }

    pub(crate) async fn event(&mut self, tx: &mut SqliteConnection, at: Micros, kind: &RunEventKind) -> Result<()> {
        self.last_seq += 1;
        events::insert(tx, self.key, self.last_seq, at, kind).await
    }

    /// Closes the attempt when the run is held no more.
    pub(crate) async fn end_attempt(&mut self, tx: &mut SqliteConnection, at: Micros) -> Result<()> {
        if self.state.is_held() {
            return Ok(());
        }
        sqlx::query(
            "UPDATE attempts SET ended_at = $3, outcome = $4 WHERE run = $1 AND number = $2 AND ended_at IS NULL",
        )
        .bind(self.key)
        .bind(self.fence)
        .bind(at.0)
        .bind(self.outcome.take().unwrap_or_else(|| self.state.to_string()))
        .execute(&mut *tx)
        .await?;
        sqlx::query("UPDATE runs SET worker = NULL, lease_until = NULL WHERE key = $1")
            .bind(self.key)
            .execute(tx)
            .await?;
        Ok(())
    }

    pub(crate) fn set_outcome(&mut self, outcome: impl Into<String>) {
        self.outcome = Some(outcome.into());
    }

    pub(crate) async fn load(tx: &mut SqliteConnection, run: RunId) -> Result<Self> {
        let row = sqlx::query("SELECT * FROM runs WHERE id = $1").bind(run.to_string()).fetch_optional(tx).await?;
        let row = row.ok_or(StorageError::NotFound)?;
        let time = |column| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(Micros));
        let number = |column| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(|n| n as u64));
        let count = |column| Ok::<_, sqlx::Error>(row.try_get::<i64, _>(column)? as u64);
        let device: Option<&str> = row.try_get("device")?;
        Ok(Self {
            key: row.try_get("key")?,
            id: run,
            state: row.try_get::<&str, _>("state")?.parse().map_err(StorageError::unreadable("run state"))?,
            reason: row.try_get("reason")?,
            fence: row.try_get("fence")?,
            losses: row.try_get("losses")?,
            last_seq: count("last_seq")?,
            started_at: time("started_at")?,
            finished_at: time("finished_at")?,
            step: count("step")?,
            step_at: time("step_at")?,
            steps: count("steps")?,
            pace_step: number("pace_step")?,
            pace_at: time("pace_at")?,
            parameters: number("parameters")?,
            vocab: number("vocab")?,
            loss: row.try_get("loss")?,
            min_loss: row.try_get("min_loss")?,
            max_loss: row.try_get("max_loss")?,
            val_loss: row.try_get("val_loss")?,
            best_val_loss: row.try_get("best_val_loss")?,
            best_step: number("best_step")?,
            tokens_per_sec: row.try_get("tokens_per_sec")?,
            peak_memory_bytes: number("peak_memory_bytes")?,
            evaluation_items: row.try_get("evaluation_items")?,
            device: device.map(serde_json::from_str).transpose().map_err(StorageError::unreadable("device"))?,
            sparkline: serde_json::from_str(row.try_get("sparkline")?)
                .map_err(StorageError::unreadable("sparkline"))?,
            outcome: None,
        })
    }

    pub(crate) async fn save(&self, tx: &mut SqliteConnection) -> Result<()> {
        let device = self.device.as_ref().map(serde_json::to_string).transpose();
        sqlx::query(
            "UPDATE runs SET state = $2, reason = $3, fence = $4, losses = $5, last_seq = $6, started_at = $7,
                 finished_at = $8, step = $9, step_at = $10, steps = $11, pace_step = $12, pace_at = $13,
                 parameters = $14, vocab = $15, loss = $16, min_loss = $17, max_loss = $18, val_loss = $19,
                 best_val_loss = $20, best_step = $21, tokens_per_sec = $22, peak_memory_bytes = $23,
                 evaluation_items = $24, device = $25, sparkline = $26 WHERE key = $1",
        )
        .bind(self.key)
        .bind(self.state.key())
        .bind(&self.reason)
        .bind(self.fence)
        .bind(self.losses)
        .bind(self.last_seq as i64)
        .bind(self.started_at.map(|t| t.0))
        .bind(self.finished_at.map(|t| t.0))
        .bind(self.step as i64)
        .bind(self.step_at.map(|t| t.0))
        .bind(self.steps as i64)
        .bind(self.pace_step.map(|n| n as i64))
        .bind(self.pace_at.map(|t| t.0))
        .bind(self.parameters.map(|n| n as i64))
        .bind(self.vocab.map(|n| n as i64))
        .bind(self.loss)
        .bind(self.min_loss)
        .bind(self.max_loss)
        .bind(self.val_loss)
        .bind(self.best_val_loss)
        .bind(self.best_step.map(|n| n as i64))
        .bind(self.tokens_per_sec)
        .bind(self.peak_memory_bytes.map(|n| n as i64))
        .bind(self.evaluation_items)
        .bind(device.map_err(StorageError::unreadable("device"))?)
        .bind(serde_json::to_string(&self.sparkline).map_err(StorageError::unreadable("sparkline"))?)
        .execute(tx)
        .await?;
        Ok(())
    }
}

/// Tells watchers the run's state.
pub(crate) async fn status(tx: &mut SqliteConnection, live: &mut Live, at: Micros) -> Result<()> {
    let kind = RunEventKind::Status { state: live.state, reason: live.reason.clone() };
    live.event(tx, at, &kind).await
}
