//! Opening a data directory, and what a service holds in memory: who watches which run.

use crate::Service;
use domain::{Micros, RunId};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex},
};
use storage::{StorageError, Store};
use tokio::sync::{Notify, watch};

/// What a service is opened with.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// Holds `anneal.db`, `objects/`, `runs/` and `lock`; made when missing.
    pub data_dir: PathBuf,
}

/// Why a data directory cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct OpenError(#[from] StorageError);

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    watches: Mutex<HashMap<RunId, watch::Sender<u64>>>,
    pub(crate) queue: Notify,
}

impl Service {
    /// Opens (or makes) the data directory: takes its lock, runs migrations, puts runs of a dead server back into the queue.
    pub async fn open(config: ServiceConfig) -> Result<Self, OpenError> {
        let store = storage::open(&config.data_dir).await?;
        // The directory's lock proves that no other server holds these runs.
        let ended = storage::Ended::Released("the server was stopped".to_owned());
        store.end_expired(None, Micros::now(), &ended).await?;
        let inner = Inner { store, watches: Mutex::default(), queue: Notify::new() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The absolute path of the data directory.
    pub fn data_dir(&self) -> &std::path::Path {
        self.inner.store.directory()
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.inner.store
    }

    /// Wakes up whenever the run has new events; the value is the last event's number. Ask `events_after` then.
    pub fn subscribe(&self, run: RunId) -> watch::Receiver<u64> {
        let mut watches = self.inner.watches.lock().unwrap_or_else(|e| e.into_inner());
        // Whom nobody watches any more costs nothing further.
        watches.retain(|_, sender| sender.receiver_count() > 0);
        watches.entry(run).or_insert_with(|| watch::channel(0).0).subscribe()
    }

    /// Tells watchers of `run` that its events go up to `seq`.
    pub(crate) fn announce(&self, run: RunId, seq: u64) {
        let watches = self.inner.watches.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(sender) = watches.get(&run) {
            sender.send_replace(seq);
        }
    }
}
