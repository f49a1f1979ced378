//! Requests about datasets.

use crate::{dataset::SplitName, trace::NewTrace};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListDatasets {
    pub search: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetDataset {
    /// `name@version`.
    pub dataset: String,
}

/// Freezes a selection of traces. The same request on the same traces gives the same dataset; other content under the
/// same `name@version` is a conflict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BuildDataset {
    /// `name@version`, or a name alone for its next version.
    pub dataset: String,
    pub family: String,
    pub source: String,
    pub category: String,
    pub search: String,
    /// `latest` or `random`; empty: latest.
    pub selection: String,
    /// 0: all.
    pub limit: u32,
    /// `80/10/10`; empty: that.
    pub split: String,
    pub seed: u64,
}

/// Items of one split.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListDatasetItems {
    pub dataset: String,
    /// `train`, `val` or `test`; empty: train.
    pub split: String,
    pub offset: u64,
    pub limit: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetItem {
    pub split: SplitName,
    /// Place in its split, from 0.
    pub index: u64,
    pub trace: NewTrace,
}
