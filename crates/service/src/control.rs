//! The control plane: what a worker asks of the service. Every write of an attempt carries its fence number; the writes of
//! an attempt that is no longer the run's own are refused with [`ControlError::StaleFence`].

use crate::Service;
use domain::{
    DeviceInfo, Job, Micros, Recipe, RunId, RunState, SplitName, TrainEvent, WorkerId,
    event::{ExportedFile, LogStream},
};
use std::path::{Path, PathBuf};
use storage::StorageError;

/// A worker as it introduces itself.
#[derive(Debug, Clone)]
pub struct WorkerInfo {
    pub name: String,
    pub devices: Vec<DeviceInfo>,
}

/// The right to train one run, until the heartbeat is missed for [`LEASE_SECONDS`].
#[derive(Debug, Clone)]
pub struct Lease {
    pub run: RunId,
    /// Goes with every report; 1 for the first attempt.
    pub fence: u32,
    pub name: String,
    /// Recipe, paths of the dataset's splits, the run's work directory (it exists).
    pub job: Job,
}

/// What the worker is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directive {
    Continue,
    /// Ask the child to stop: a person cancelled the run.
    Stop,
}

/// How an attempt's child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// It reported its own end (`Finished`, `Failed` or `Stopped`), which has been applied.
    Reported,
    /// It ended without a word: killed, crashed, out of memory. The text says how (`killed by signal 9`).
    Died(String),
    /// The worker stops in good order (server shutdown): the run goes back to the queue, no attempt counted.
    Released,
}

/// Why the control plane refuses.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Another attempt owns the run, or it has ended: stop the child, report no more.
    #[error("run {run}: attempt {fence} no longer holds the lease")]
    StaleFence { run: RunId, fence: u32 },
    #[error("run {0} does not exist")]
    UnknownRun(RunId),
    #[error("the control plane failed: {0}")]
    Failed(String),
}

/// A lease without a heartbeat ends after this.
pub const LEASE_SECONDS: u64 = 30;

impl Service {
    /// Makes the worker known; the id goes with its claims.
    pub async fn worker_register(&self, info: WorkerInfo) -> Result<WorkerId, ControlError> {
        let id = WorkerId::from_u128(uuid::Uuid::now_v7().as_u128());
        self.store().insert_worker(id, &info.name, &info.devices, Micros::now()).await.map_err(failed)?;
        Ok(id)
    }

    /// Leases the oldest queued run, if any. Two workers never get the same run.
    pub async fn claim(&self, worker: WorkerId) -> Result<Option<Lease>, ControlError> {
        let (now, until) = lease();
        self.store().worker_seen(worker, now).await.map_err(failed)?;
        let Some(claimed) = self.store().claim(worker, now, until).await.map_err(failed)? else { return Ok(None) };
        self.announce(claimed.run, claimed.last_seq);
        let dataset = self.store().dataset(&claimed.dataset).await.map_err(failed)?;
        let work = self.store().work_dir(claimed.run);
        std::fs::create_dir_all(&work).map_err(|e| ControlError::Failed(format!("{}: {e}", work.display())))?;
        let object = |split| self.store().objects().path(dataset.object(split));
        let stats = &dataset.dataset.stats;
        // One family's verifier judges the whole dataset only where every trace is of it.
        let family = stats.families.first().filter(|f| f.count == stats.traces).and_then(|f| f.value.parse().ok());
        let base = self.base_folder(&claimed.recipe).await?;
        let job = Job {
            recipe: claimed.recipe,
            train: object(SplitName::Train),
            val: object(SplitName::Val),
            test: object(SplitName::Test),
            work,
            family,
            base,
        };
        Ok(Some(Lease { run: claimed.run, fence: claimed.fence, name: claimed.name, job }))
    }

    /// The folder of the recipe's base model. One that was deleted since is none: the child says so and the run fails.
    async fn base_folder(&self, recipe: &Recipe) -> Result<Option<PathBuf>, ControlError> {
        let lost = |e: &dyn std::fmt::Display| ControlError::Failed(format!("the base model cannot be given: {e}"));
        let found = self.base_of(recipe).await.map_err(|e| lost(&e))?;
        let base = found.ok().flatten();
        base.map(|base| self.folder(&base.files).map_err(|e| lost(&e))).transpose()
    }

    /// Extends the lease; tells whether to go on. Call every few seconds.
    pub async fn heartbeat(&self, run: RunId, fence: u32) -> Result<Directive, ControlError> {
        let (now, until) = lease();
        Ok(directive(self.store().heartbeat(run, fence, now, until).await.map_err(failed)?))
    }

    /// Applies events in one transaction, extends the lease.
    pub async fn report(&self, run: RunId, fence: u32, events: Vec<TrainEvent>) -> Result<Directive, ControlError> {
        let reported =
            self.store().report(run, fence, lease(), text::extract::VERSION, &events).await.map_err(failed)?;
        Ok(self.told(run, reported))
    }

    /// Stores log lines: stream, text without its line break (at most 64 KiB), whether more of the same line follows.
    pub async fn report_log(
        &self,
        run: RunId,
        fence: u32,
        lines: Vec<(LogStream, String, bool)>,
    ) -> Result<Directive, ControlError> {
        let reported = self.store().append_log(run, fence, lease(), &lines).await.map_err(failed)?;
        Ok(self.told(run, reported))
    }

    /// Moves the exported files of `dir` into the objects, checking their hashes. Call at `TrainEvent::Exported`, before
    /// reporting `Finished`.
    pub async fn store_exports(
        &self,
        run: RunId,
        fence: u32,
        dir: &Path,
        files: Vec<ExportedFile>,
    ) -> Result<(), ControlError> {
        for file in &files {
            // Only names, never paths: a child is not trusted with where files lie.
            if file.name.contains(['/', '\\']) || file.name.starts_with('.') {
                return Err(ControlError::Failed(format!("{:?} is not a file name", file.name)));
            }
            // An adapter lies apart: beside the weights it would be taken for what the folder is.
            let folder = if file.name.starts_with("adapter_") { dir.join("adapter") } else { dir.to_owned() };
            self.store().objects().store_file(&folder.join(&file.name), &file.sha256).map_err(failed)?;
        }
        self.store().insert_run_files(run, fence, &files).await.map_err(failed)
    }

    /// The child is gone. Returns the run's new state: queued again, or final.
    pub async fn end_attempt(&self, run: RunId, fence: u32, outcome: AttemptOutcome) -> Result<RunState, ControlError> {
        let ended = match outcome {
            AttemptOutcome::Reported => storage::Ended::Released("stopped".to_owned()),
            AttemptOutcome::Died(how) => storage::Ended::Lost(how),
            AttemptOutcome::Released => storage::Ended::Released("the worker was stopped".to_owned()),
        };
        let reported = self.store().end_attempt(run, fence, Micros::now(), ended).await.map_err(failed)?;
        self.told(run, reported);
        if reported.state == RunState::Queued {
            self.inner.queue.notify_one();
        }
        Ok(reported.state)
    }

    /// Puts runs whose lease has expired back into the queue (or fails them after the third attempt). Call every few seconds.
    pub async fn expire_leases(&self) -> Result<u32, ControlError> {
        let now = Micros::now();
        let ended = storage::Ended::Lost(format!("its worker was not heard of for {LEASE_SECONDS} s"));
        let runs = self.store().end_expired(Some(now), now, &ended).await.map_err(failed)?;
        for (run, seq) in &runs {
            self.announce(*run, *seq);
        }
        if !runs.is_empty() {
            self.inner.queue.notify_one();
        }
        Ok(runs.len() as u32)
    }

    /// Resolves when a run may be waiting for a worker, so that `claim` need not be polled fast.
    pub async fn queue_changed(&self) {
        self.inner.queue.notified().await;
    }

    fn told(&self, run: RunId, reported: storage::Reported) -> Directive {
        self.announce(run, reported.last_seq);
        directive(reported.state)
    }
}

/// Now, and when a lease given now ends.
fn lease() -> (Micros, Micros) {
    let now = Micros::now();
    (now, Micros(now.0 + LEASE_SECONDS as i64 * 1_000_000))
}

fn directive(state: RunState) -> Directive {
    if state == RunState::Cancelling { Directive::Stop } else { Directive::Continue }
}

fn failed(error: StorageError) -> ControlError {
    match error {
        StorageError::StaleFence { run, fence } => ControlError::StaleFence { run, fence },
        other => ControlError::Failed(other.to_string()),
    }
}
