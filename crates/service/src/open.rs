//! Opening a data directory.

use crate::Service;
use std::path::PathBuf;

/// What a service is opened with.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// Holds `anneal.db`, `objects/`, `runs/` and `lock`; made when missing.
    pub data_dir: PathBuf,
}

/// Why a data directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0}")]
    Other(String),
}

pub(crate) struct Inner {
}

impl Service {
    /// Opens (or makes) the data directory: takes its lock, runs migrations, puts runs of a dead server back into the queue.
    pub async fn open(config: ServiceConfig) -> Result<Self, OpenError> {
        let _ = config;
        todo!()
    }

    /// The absolute path of the data directory.
    pub fn data_dir(&self) -> &std::path::Path {
        todo!()
    }
}
