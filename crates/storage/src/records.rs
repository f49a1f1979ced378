//! What storage takes and gives besides domain types: plain structs, none of them a row.

use domain::{DatasetRef, DeviceInfo, Micros, Recipe, RunId, RunState, estimate::Estimate};

/// Which traces; empty fields do not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceQuery {
    pub search: Option<String>,
    pub source: Option<String>,
    pub family: Option<String>,
    pub category: Option<String>,
}

/// A run to queue.
#[derive(Debug, Clone)]
pub struct NewRun {
    pub id: RunId,
    pub name: String,
    pub dataset: DatasetRef,
    pub dataset_hash: String,
    pub recipe: Recipe,
    pub recipe_yaml: String,
    pub recipe_hash: String,
    pub estimate: Option<Estimate>,
    pub created_at: Micros,
}

/// What every view of a run shows. Scores are counts here; their intervals are the service's to compute.
#[derive(Debug, Clone)]
pub struct RunRecord {
    pub id: RunId,
    pub name: String,
    pub state: RunState,
    pub reason: Option<String>,
    pub dataset: DatasetRef,
    pub dataset_hash: String,
    pub recipe_hash: String,
    pub created_at: Micros,
    pub started_at: Option<Micros>,
    pub finished_at: Option<Micros>,
    pub fence: u32,
    pub last_seq: u64,
    pub step: u64,
    pub step_at: Option<Micros>,
    pub steps: u64,
    pub pace_step: Option<u64>,
    pub pace_at: Option<Micros>,
    pub parameters: Option<u64>,
    pub vocab: Option<u64>,
    pub loss: Option<f64>,
    pub val_loss: Option<f64>,
    pub best_val_loss: Option<f64>,
    pub tokens_per_sec: Option<f64>,
    pub peak_memory_bytes: Option<u64>,
    pub evaluation_items: u32,
    pub evaluated: u32,
    pub strict: u32,
    pub flexible: u32,
    pub extractor: Option<String>,
    pub device: Option<DeviceInfo>,
    pub sparkline: Vec<f64>,
}

/// The long parts of a run.
#[derive(Debug, Clone)]
pub struct RunTexts {
    pub recipe: Recipe,
    pub recipe_yaml: String,
    pub estimate: Option<Estimate>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunOrder {
    /// Newest first.
    #[default]
    Created,
    Name,
    State,
    Loss,
    ValLoss,
    /// Best first.
    Score,
}

#[derive(Debug, Clone, Default)]
pub struct RunQuery {
    /// Words in name, dataset or id; all must occur.
    pub search: Vec<String>,
    /// Empty: all.
    pub states: Vec<RunState>,
    pub dataset: Option<String>,
    pub finished_since: Option<Micros>,
    pub order: RunOrder,
    pub reverse: bool,
    pub offset: u64,
    pub limit: u32,
}

/// A finished, evaluated run.
#[derive(Debug, Clone)]
pub struct LeaderboardEntry {
    pub run: RunId,
    pub name: String,
    pub dataset: DatasetRef,
    pub dataset_hash: String,
    pub extractor: String,
    pub parameters: u64,
    pub items: u32,
    pub strict: u32,
    pub flexible: u32,
    pub finished_at: Micros,
}

/// What a trace asks: the same prompt is another question after other turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The trace's place in the order of arrival.
    pub key: i64,
    pub prompt: String,
    /// The SHA-256 of what was said before the prompt; none when nothing was.
    pub history: Option<String>,
}
