//! A run's curves, log, samples, events and exported files.

use crate::{Service, errors::internal};
use domain::{
    RunId,
    api::*,
    event::{LogLine, RunEvent, series},
};
use std::path::PathBuf;

/// An exported file of a run, on this machine's disk: `data/objects/<sha256>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFile {
    pub path: PathBuf,
    pub sha256: String,
    pub bytes: u64,
}

impl Service {
    pub async fn runs_series(&self, request: RunSeries) -> Result<Vec<Series>, ApiError> {
        let id = self.run_id(&request.id).await?;
        let asked: Vec<&str> = request.keys.split(',').map(str::trim).filter(|k| !k.is_empty()).collect();
        if let Some(unknown) = asked.iter().find(|k| !series::ALL.contains(k)) {
            let known = series::ALL.join(", ");
            return Err(ApiError::field("keys", format!("unknown series {unknown:?}; known: {known}")));
        }
        let keys: Vec<&str> = if asked.is_empty() { series::ALL.to_vec() } else { asked };
        let to = if request.to == 0 { i64::MAX as u64 } else { request.to };
        let points = if request.points == 0 { 400 } else { request.points.clamp(10, 5_000) };
        self.store().series(id, &keys, request.from, to, points).await.map_err(internal)
    }

    pub async fn runs_log(&self, request: RunLog) -> Result<Vec<LogLine>, ApiError> {
        let id = self.run_id(&request.id).await?;
        let limit = if request.limit == 0 { 500 } else { request.limit.min(10_000) };
        self.store().log_lines(id, request.after, limit).await.map_err(internal)
    }

    pub async fn runs_samples(&self, request: RunSamples) -> Result<Vec<Sample>, ApiError> {
        let id = self.run_id(&request.id).await?;
        let limit = if request.limit == 0 { 20 } else { request.limit.min(1_000) };
        self.store().samples(id, limit).await.map_err(internal)
    }

    /// An exported file by its name.
    pub async fn run_file(&self, run: RunId, name: &str) -> Result<RunFile, ApiError> {
        let files = self.store().run_files(run).await.map_err(internal)?;
        let file = files.into_iter().find(|f| f.name == name);
        let file = file.ok_or_else(|| ApiError::not_found(format!("Run {run} has no file {name:?} (yet).")))?;
        Ok(RunFile { path: self.store().objects().path(&file.sha256), sha256: file.sha256, bytes: file.bytes })
    }

    /// Up to `limit` events after `seq`, in order.
    pub async fn events_after(&self, run: RunId, seq: u64, limit: u32) -> Result<Vec<RunEvent>, ApiError> {
        self.store().events_after(run, seq, limit).await.map_err(internal)
    }
}
