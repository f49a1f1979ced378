//! Requests about the whole: home and system.

use super::RunRow;
use crate::{device::DeviceInfo, ids::WorkerId, time::Micros};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GetHome {
    /// Unused; a form needs a field.
    pub of: String,
}

/// The landing page in one answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Home {
    pub traces: u64,
    pub datasets: u64,
    pub runs: u64,
    /// Queued, leased, training, evaluating or stopping; newest first.
    pub active: Vec<RunRow>,
    /// The last finished ones.
    pub finished: Vec<RunRow>,
    /// Failed in the last seven days.
    pub failed: Vec<RunRow>,
    /// The name of the newest dataset, to train on.
    pub newest_dataset: Option<String>,
    /// The best finished run, to talk to.
    pub best: Option<RunRow>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GetSystem {
    /// Unused; a form needs a field.
    pub of: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct System {
    pub version: String,
    pub data_directory: String,
    pub disk_free_bytes: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub workers: Vec<Worker>,
}

/// Gives the disk space of files back that no dataset, run or base model names any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CollectGarbage {
    /// Only files that nothing has touched for so long; at least 10.
    pub minutes: u64,
}

impl Default for CollectGarbage {
    fn default() -> Self {
        Self { minutes: 60 }
    }
}

/// What was freed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Garbage {
    pub objects: u64,
    pub bytes: u64,
    /// Files that nothing names either, but that were touched since.
    pub waiting_objects: u64,
    pub waiting_bytes: u64,
}

/// A process that leases runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    pub id: WorkerId,
    pub name: String,
    pub devices: Vec<DeviceInfo>,
    pub started_at: Micros,
    pub seen_at: Micros,
    /// The run it trains now.
    pub run: Option<crate::ids::RunId>,
}
