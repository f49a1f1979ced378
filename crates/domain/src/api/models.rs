//! Requests about base models: models that were trained elsewhere and are fine-tuned here.

use crate::{event::ExportedFile, model::ModelConfig, name::Name, time::Micros};
use serde::{Deserialize, Serialize};

/// A base model on the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaseModel {
    /// What recipes call it.
    pub name: Name,
    pub created_at: Micros,
    pub config: ModelConfig,
    pub parameters: u64,
    /// Of all files.
    pub bytes: u64,
    /// The types of the stored weights, like `F32`.
    pub dtypes: Vec<String>,
    /// Whether it has a chat template, by which prompts are then laid out.
    pub chat: bool,
    pub files: Vec<ExportedFile>,
}

/// All base models, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListModels {
    /// A part of the name.
    pub search: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetModel {
    pub name: String,
}

/// Takes a base model out of the list. Runs that trained from it keep what they made; refused while one that needs it is queued or running.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteModel {
    pub name: String,
}

/// What `POST /api/models/add` takes as JSON: a name for files that were uploaded before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddModel {
    pub name: String,
    pub files: Vec<ExportedFile>,
}
