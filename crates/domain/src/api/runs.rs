//! Requests about recipes, runs, their curves, logs and evaluations, and the leaderboard.

use super::FieldError;
use crate::{
    dataset::DatasetRef,
    device::DeviceInfo,
    estimate::Estimate,
    evaluation::{Evaluation, Prediction, Score},
    event::ExportedFile,
    ids::RunId,
    model::ModelConfig,
    recipe::Recipe,
    run::RunState,
    time::Micros,
    turn::Turn,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListRecipes {
    pub search: String,
}

/// A recipe that comes with Anneal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShippedRecipe {
    pub name: String,
    pub title: String,
    pub yaml: String,
    pub recipe: Recipe,
}

/// Reads a recipe without starting it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckRecipe {
    /// YAML, or the name of a shipped recipe.
    pub recipe: String,
    /// `name@version`; empty: checked without data.
    pub dataset: String,
    /// Dotted key → value, over the recipe's own. Left out when empty: a form has no word for an empty map.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub overrides: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecipeCheck {
    pub errors: Vec<FieldError>,
    /// Present when there are no errors.
    pub recipe: Option<Recipe>,
    pub model: Option<ModelConfig>,
    pub estimate: Option<Estimate>,
    /// From the speed measured in earlier runs on this machine, else from a rule of thumb.
    pub estimated_seconds: Option<f64>,
    pub memory_available_bytes: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CreateRun {
    /// YAML, or the name of a shipped recipe.
    pub recipe: String,
    pub dataset: String,
    /// Empty: the recipe's name.
    pub name: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub overrides: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListRuns {
    /// Words in name, dataset or id.
    pub search: String,
    /// A state's key; `active` for all that are not final; empty: all.
    pub state: String,
    pub dataset: String,
    /// `created` (newest first), `name`, `state`, `loss`, `val_loss`, `score`; empty: created. A leading `-` reverses.
    pub sort: String,
    pub offset: u64,
    pub limit: u32,
}

/// A row of the run table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    pub id: RunId,
    pub name: String,
    pub state: RunState,
    pub reason: Option<String>,
    pub dataset: DatasetRef,
    pub created_at: Micros,
    pub started_at: Option<Micros>,
    pub finished_at: Option<Micros>,
    pub attempts: u32,
    pub step: u64,
    pub steps: u64,
    pub parameters: Option<u64>,
    pub device: Option<String>,
    pub loss: Option<f64>,
    pub val_loss: Option<f64>,
    pub best_val_loss: Option<f64>,
    pub tokens_per_sec: Option<f64>,
    pub peak_memory_bytes: Option<u64>,
    pub strict: Option<Score>,
    pub flexible: Option<Score>,
    /// Seconds left, from the speed so far; absent when not training.
    pub seconds_left: Option<f64>,
    /// The last 40 or fewer loss values, for a sparkline.
    pub sparkline: Vec<f64>,
}

/// `id` may be a full id or its unique beginning or end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetRun {
    pub id: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRun {
    pub id: String,
}

/// Puts a failed or cancelled run back into the queue; it goes on from its last checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryRun {
    pub id: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunDetail {
    #[serde(flatten)]
    pub row: RunRow,
    pub recipe: Recipe,
    /// As YAML, for reading and copying.
    pub recipe_yaml: String,
    pub recipe_hash: String,
    pub dataset_hash: String,
    pub model: Option<ModelConfig>,
    pub device_info: Option<DeviceInfo>,
    pub estimate: Option<Estimate>,
    pub attempts_made: Vec<Attempt>,
    pub checkpoints: Vec<CheckpointRow>,
    pub alarms: Vec<AlarmRow>,
    /// Exported files, downloadable under `/api/runs/{id}/files/{name}`.
    pub files: Vec<ExportedFile>,
    /// Items of the final evaluation done, and all; zero before it begins.
    pub evaluated: u32,
    pub evaluation_items: u32,
    /// The last event's number: watchers start after it.
    pub last_seq: u64,
}

/// One lease of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// The fence: 1 for the first.
    pub number: u32,
    pub worker: String,
    pub started_at: Micros,
    pub ended_at: Option<Micros>,
    /// How it ended, in words; absent while it goes on.
    pub outcome: Option<String>,
    pub resumed_from: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointRow {
    pub step: u64,
    pub best: bool,
    pub bytes: u64,
    pub at: Micros,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmRow {
    pub step: u64,
    pub message: String,
    pub at: Micros,
}

/// Curves of a run between two steps, thinned to at most `points` buckets each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunSeries {
    pub id: String,
    /// Keys of `event::series`, separated by commas; empty: all.
    pub keys: String,
    pub from: u64,
    /// 0: to the end.
    pub to: u64,
    /// 0: 400.
    pub points: u32,
}

/// One curve. With few points each bucket is one point and the curve is exact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    pub key: String,
    pub points: Vec<SeriesPoint>,
    /// Points behind the buckets.
    pub count: u64,
    pub exact: bool,
}

/// A bucket: its last step and value, and the smallest and largest value in it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SeriesPoint {
    pub step: u64,
    pub value: f64,
    pub min: f64,
    pub max: f64,
}

/// Log lines after `after` (a `seq`; 0: the last `limit` lines).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunLog {
    pub id: String,
    pub after: u64,
    pub limit: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunSamples {
    pub id: String,
    pub limit: u32,
}

/// Text generated during training.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    pub step: u64,
    /// What was said before the prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Turn>,
    pub prompt: String,
    pub expected: String,
    pub text: String,
    pub at: Micros,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GetEvaluation {
    pub run: String,
    /// `wrong`: only predictions that are not strictly right; `right`; empty: all.
    pub only: String,
    pub offset: u64,
    /// 0: all.
    pub limit: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationDetail {
    #[serde(flatten)]
    pub evaluation: Evaluation,
    /// Those asked for; `matching` counts them all.
    pub predictions: Vec<Prediction>,
    pub matching: u32,
}

/// Finished runs by strict score. Empty texts do not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Leaderboard {
    pub dataset: String,
    /// Words in the run's name.
    pub search: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeaderboardRow {
    /// Shared by equal scores on the same dataset.
    pub rank: u32,
    pub run: RunId,
    pub name: String,
    pub dataset: DatasetRef,
    pub dataset_hash: String,
    pub extractor: String,
    pub parameters: u64,
    pub strict: Score,
    pub flexible: Score,
    pub finished_at: Micros,
}
