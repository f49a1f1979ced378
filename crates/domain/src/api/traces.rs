//! Requests about traces.

use crate::{dataset::Count, ids::TraceId};
use serde::{Deserialize, Serialize};

/// Newest first. Empty texts do not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListTraces {
    /// Words that prompt or answer must contain.
    pub search: String,
    pub source: String,
    pub family: String,
    pub category: String,
    pub offset: u64,
    /// 0: the default of a page.
    pub limit: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetTrace {
    pub id: String,
}

/// The values that traces can be filtered by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TraceFacets {
    /// Unused; a form needs a field.
    pub of: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facets {
    pub total: u64,
    pub sources: Vec<Count>,
    pub families: Vec<Count>,
    pub categories: Vec<Count>,
}

/// The first three traces a generator would give.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PreviewTraces {
    pub family: String,
    pub seed: u64,
    /// 0: the family's default mix.
    pub difficulty: u8,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerateTraces {
    pub family: String,
    pub count: u32,
    pub seed: u64,
    /// 0: the family's default mix.
    pub difficulty: u8,
}

/// What came of an import or a generation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    pub added: u64,
    pub refused: u64,
    /// The first 100 refused lines, with number and reason.
    pub problems: Vec<ImportProblem>,
    /// Where the traces came from: the file's name, or `generator`.
    pub source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportProblem {
    /// 1-based.
    pub line: u64,
    pub reason: String,
}

/// Takes traces out of every list; datasets keep theirs. `RestoreTraces` undoes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeleteTraces {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<TraceId>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RestoreTraces {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<TraceId>,
}

/// How many traces a delete or restore changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    pub count: u64,
}
