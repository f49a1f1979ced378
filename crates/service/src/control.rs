//! The control plane: what a worker asks of the service. Every write of an attempt carries its fence number; the writes of
//! an attempt that is no longer the run's own are refused with [`ControlError::StaleFence`].

use crate::Service;
use domain::{DeviceInfo, Job, RunId, RunState, TrainEvent, WorkerId, event::{ExportedFile, LogStream}};
use std::path::Path;

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
    pub async fn worker_register(&self, _info: WorkerInfo) -> Result<WorkerId, ControlError> { todo!() }
    /// Leases the oldest queued run, if any. Two workers never get the same run.
    pub async fn claim(&self, _worker: WorkerId) -> Result<Option<Lease>, ControlError> { todo!() }
    /// Extends the lease; tells whether to go on. Call every few seconds.
    pub async fn heartbeat(&self, _run: RunId, _fence: u32) -> Result<Directive, ControlError> { todo!() }
    /// Applies events in one transaction, extends the lease.
    pub async fn report(&self, _run: RunId, _fence: u32, _events: Vec<TrainEvent>) -> Result<Directive, ControlError> { todo!() }
    /// Stores log lines: stream, text without its line break (at most 64 KiB), whether more of the same line follows.
    pub async fn report_log(&self, _run: RunId, _fence: u32, _lines: Vec<(LogStream, String, bool)>) -> Result<Directive, ControlError> { todo!() }
    /// Moves the exported files of `dir` into the objects, checking their hashes. Call at `TrainEvent::Exported`, before reporting `Finished`.
    pub async fn store_exports(&self, _run: RunId, _fence: u32, _dir: &Path, _files: Vec<ExportedFile>) -> Result<(), ControlError> { todo!() }
    /// The child is gone. Returns the run's new state: queued again, or final.
    pub async fn end_attempt(&self, _run: RunId, _fence: u32, _outcome: AttemptOutcome) -> Result<RunState, ControlError> { todo!() }
    /// Puts runs whose lease has expired back into the queue (or fails them after the third attempt). Call every few seconds.
    pub async fn expire_leases(&self) -> Result<u32, ControlError> { todo!() }
    /// Resolves when a run may be waiting for a worker, so that `claim` need not be polled fast.
    pub async fn queue_changed(&self) { todo!() }
}
