//! What a worker hands to a training child: a recipe and paths. Written as `job.json` in the run's work directory.

use crate::{recipe::Recipe, task::TaskFamily};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One training job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub recipe: Recipe,
    /// JSONL of traces (`NewTrace`), one file a split.
    pub train: PathBuf,
    pub val: PathBuf,
    pub test: PathBuf,
    /// Checkpoints, caches, predictions and `export/` go here; resuming means starting again with the same directory.
    pub work: PathBuf,
    /// The dataset's family when all its traces share one: its verifier judges flexible answers.
    pub family: Option<TaskFamily>,
    /// The folder of the base model, in Hugging Face's layout, when the recipe names one.
    #[serde(default)]
    pub base: Option<PathBuf>,
}
