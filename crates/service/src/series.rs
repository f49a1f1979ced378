//! A run's curves, log, samples and exported files.

use crate::Service;
use domain::{RunId, api::*, event::{LogLine, RunEvent}};
use std::path::PathBuf;

/// An exported file of a run, on this machine's disk: `data/objects/<sha256>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFile {
    pub path: PathBuf,
    pub sha256: String,
    pub bytes: u64,
}

impl Service {
    pub async fn runs_series(&self, _request: RunSeries) -> Result<Vec<Series>, ApiError> { todo!() }
    pub async fn runs_log(&self, _request: RunLog) -> Result<Vec<LogLine>, ApiError> { todo!() }
    pub async fn runs_samples(&self, _request: RunSamples) -> Result<Vec<Sample>, ApiError> { todo!() }

    /// The run named by a full id or its unique beginning or end (at least 4 characters).
    pub async fn run_id(&self, _text: &str) -> Result<RunId, ApiError> { todo!() }
    /// An exported file by its name.
    pub async fn run_file(&self, _run: RunId, _name: &str) -> Result<RunFile, ApiError> { todo!() }
    /// Up to `limit` events after `seq`, in order.
    pub async fn events_after(&self, _run: RunId, _seq: u64, _limit: u32) -> Result<Vec<RunEvent>, ApiError> { todo!() }
    /// Wakes up whenever the run has new events; the value is the last event's number. Ask `events_after` then.
    pub fn subscribe(&self, _run: RunId) -> tokio::sync::watch::Receiver<u64> { todo!() }
}
