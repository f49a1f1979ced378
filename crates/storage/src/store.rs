//! The contract of storage: what the service asks for, one trait a noun. A method is one transaction: all of it happens or
//! nothing does, and a read sees one moment. Nothing here names a database; `SqliteStore` is the one implementation so far,
//! and `tests/suite` says in examples what the next one must do as well.

use crate::{
    Claimed, Ended, LeaderboardEntry, NewRun, Objects, Question, Reported, Result, RunQuery, RunRecord, RunTexts,
    StoredDataset, TraceQuery,
};
use async_trait::async_trait;
use domain::{
    DatasetRef, DeviceInfo, Micros, Name, NewTrace, Prediction, RunId, RunState, Trace, TraceId, TrainEvent, WorkerId,
    api::{AlarmRow, Attempt, BaseModel, CheckpointRow, Facets, Sample, Series, Worker},
    event::{ExportedFile, LogLine, LogStream, RunEvent},
    trace::TraceSummary,
};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

/// Everything that is kept. The data directory is local whatever the database is: objects and the runs' work lie there.
#[async_trait]
pub trait Store:
    TraceStore
    + DatasetStore
    + BaseModelStore
    + RunStore
    + AttemptStore
    + EventStore
    + SeriesStore
    + EvaluationStore
    + WorkerStore
    + Send
    + Sync
{
    /// The data directory, as an absolute path. It is ours alone as long as the store lives.
    fn directory(&self) -> &Path;

    fn objects(&self) -> &Objects;

    /// The SHA-256 of every object that a dataset, a run or a base model names.
    async fn named_objects(&self) -> Result<HashSet<String>>;

    /// The run's own folder; made when the run is claimed.
    fn work_dir(&self, run: RunId) -> PathBuf {
        self.directory().join("runs").join(run.to_string())
    }

    /// Bytes free for us on the directory's disk.
    fn disk_free(&self) -> Option<u64> {
        fs4::available_space(self.directory()).ok()
    }

    /// Ends all connections in good order. Without it nothing committed is lost either.
    async fn close(&self);
}

#[async_trait]
pub trait TraceStore {
    /// Adds validated traces, searchable and counted at once.
    async fn insert_traces(&self, source: &str, at: Micros, traces: &[(TraceId, NewTrace)]) -> Result<()>;
    /// Newest first.
    async fn list_traces(&self, query: &TraceQuery, offset: u64, limit: u32) -> Result<Vec<TraceSummary>>;
    async fn count_traces(&self, query: &TraceQuery) -> Result<u64>;
    /// One trace, deleted or not.
    async fn trace(&self, trace: TraceId) -> Result<Trace>;
    /// The values that lists can be filtered by, with their counts.
    async fn trace_facets(&self) -> Result<Facets>;
    /// Takes traces out of every list and count, or (`None`) puts them back; gives how many changed.
    async fn set_traces_deleted(&self, ids: &[TraceId], deleted_at: Option<Micros>) -> Result<u64>;
    /// What matching traces with a key below `before` ask, newest first: a scan in pages.
    async fn trace_questions(&self, query: &TraceQuery, before: i64, limit: u32) -> Result<Vec<Question>>;
    /// The contents of traces (one JSON text each), in the order of these different keys.
    async fn trace_contents(&self, keys: &[i64]) -> Result<Vec<String>>;
}

#[async_trait]
pub trait DatasetStore {
    /// Keeps a dataset. The same content under the same name gives the one that is there; other content is a conflict.
    async fn insert_dataset(&self, new: &StoredDataset) -> Result<StoredDataset>;
    async fn dataset(&self, dataset: &DatasetRef) -> Result<StoredDataset>;
    /// Newest first; `search` is a part of the name.
    async fn list_datasets(&self, search: &str) -> Result<Vec<StoredDataset>>;
    /// All versions of a name, newest first.
    async fn dataset_versions(&self, name: &str) -> Result<Vec<StoredDataset>>;
    async fn count_datasets(&self) -> Result<u64>;
}

#[async_trait]
pub trait BaseModelStore {
    /// Keeps a base model. The same files under the same name give the one that is there; other files are a conflict.
    async fn insert_base_model(&self, new: &BaseModel) -> Result<BaseModel>;
    async fn base_model(&self, name: &Name) -> Result<BaseModel>;
    /// Newest first.
    async fn list_base_models(&self) -> Result<Vec<BaseModel>>;
    /// Forgets it; its objects stay until a sweep.
    async fn delete_base_model(&self, name: &Name) -> Result<()>;
}

/// Runs as people handle them. Changes of state ask `domain::run`; what does not fit is `StorageError::Illegal`.
#[async_trait]
pub trait RunStore {
    /// Queues a run. This and the other changes give the number of the run's last event.
    async fn insert_run(&self, new: &NewRun) -> Result<u64>;
    async fn run(&self, run: RunId) -> Result<RunRecord>;
    async fn run_texts(&self, run: RunId) -> Result<RunTexts>;
    /// Up to `limit` ids that begin or end with `text` (hexadecimal digits of either case, dashes), newest first.
    async fn find_runs(&self, text: &str, limit: u32) -> Result<Vec<RunId>>;
    /// A page of runs, and how many there are in all.
    async fn list_runs(&self, query: &RunQuery) -> Result<(Vec<RunRecord>, u64)>;
    /// A person asks it to stop: at once when nobody holds it, else by its holder.
    async fn cancel_run(&self, run: RunId, at: Micros) -> Result<u64>;
    /// A person asks for another try: it goes to the end of the queue with all its attempts before it.
    async fn retry_run(&self, run: RunId, at: Micros) -> Result<u64>;
    async fn attempts(&self, run: RunId) -> Result<Vec<Attempt>>;
    async fn run_files(&self, run: RunId) -> Result<Vec<ExportedFile>>;
    /// Parameters and tokens a second of the newest finished runs: what this machine can do.
    async fn speeds(&self, limit: u32) -> Result<Vec<(u64, f64)>>;
}

/// Leases, and every write of an attempt. A write whose fence is not the run's last is `StorageError::StaleFence` and
/// changes nothing.
#[async_trait]
pub trait AttemptStore {
    /// Leases the run that has waited longest, under the next fence. No two claims get the same attempt.
    async fn claim(&self, worker: WorkerId, at: Micros, lease_until: Micros) -> Result<Option<Claimed>>;
    /// Extends the lease; gives the state, which says whether to stop.
    async fn heartbeat(&self, run: RunId, fence: u32, at: Micros, lease_until: Micros) -> Result<RunState>;
    /// Applies the events of an attempt that holds the run, at (now, the lease's new end): the run's figures, curves and
    /// state change together. `extractor` is the version of what judged its predictions.
    async fn report(
        &self,
        run: RunId,
        fence: u32,
        times: (Micros, Micros),
        extractor: &str,
        events: &[TrainEvent],
    ) -> Result<Reported>;
    /// Adds log lines (stream, text, more follows) of the attempt that holds, or held last, the run.
    async fn append_log(
        &self,
        run: RunId,
        fence: u32,
        times: (Micros, Micros),
        lines: &[(LogStream, String, bool)],
    ) -> Result<Reported>;
    /// Ends an attempt whose child is gone. One that has ended already is left as it is.
    async fn end_attempt(&self, run: RunId, fence: u32, at: Micros, ended: Ended) -> Result<Reported>;
    /// Ends the attempts of all runs whose lease ran out before `before` (`None`: of all that are held).
    async fn end_expired(&self, before: Option<Micros>, at: Micros, ended: &Ended) -> Result<Vec<(RunId, u64)>>;
    /// Names the exported files of a run; they are objects already.
    async fn insert_run_files(&self, run: RunId, fence: u32, files: &[ExportedFile]) -> Result<()>;
}

/// What happened in a run. Points, events and log lines share one sequence that only grows.
#[async_trait]
pub trait EventStore {
    /// Up to `limit` events after `seq`, in order.
    async fn events_after(&self, run: RunId, seq: u64, limit: u32) -> Result<Vec<RunEvent>>;
    /// Log lines after `seq`, or the last ones when it is 0.
    async fn log_lines(&self, run: RunId, after: u64, limit: u32) -> Result<Vec<LogLine>>;
    /// The last samples, newest last.
    async fn samples(&self, run: RunId, limit: u32) -> Result<Vec<Sample>>;
    async fn checkpoints(&self, run: RunId, limit: u32) -> Result<Vec<CheckpointRow>>;
    async fn alarms(&self, run: RunId, limit: u32) -> Result<Vec<AlarmRow>>;
}

#[async_trait]
pub trait SeriesStore {
    /// The curves named by `keys` between two steps (inclusive), each of at most `most` buckets. Where they are thinned, a
    /// bucket has the last value and the smallest and largest of all its points, and about as many rows are read.
    async fn series(&self, run: RunId, keys: &[&str], from: u64, to: u64, most: u32) -> Result<Vec<Series>>;
}

#[async_trait]
pub trait EvaluationStore {
    /// Predictions in order of their items, and how many match; `strict` filters by the strict verdict.
    async fn predictions(
        &self,
        run: RunId,
        strict: Option<bool>,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Prediction>, u32)>;
    /// Finished runs with predictions, best strict share first; empty texts do not filter.
    async fn leaderboard(&self, dataset: &str, search: &str, limit: u32) -> Result<Vec<LeaderboardEntry>>;
}

#[async_trait]
pub trait WorkerStore {
    async fn insert_worker(&self, id: WorkerId, name: &str, devices: &[DeviceInfo], at: Micros) -> Result<()>;
    async fn worker_seen(&self, id: WorkerId, at: Micros) -> Result<()>;
    /// Workers heard of since `since`, with the run each holds.
    async fn workers(&self, since: Micros) -> Result<Vec<Worker>>;
}
