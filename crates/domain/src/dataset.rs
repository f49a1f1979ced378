//! Datasets: immutable, content-hashed selections of traces under `name@version`, split into train, val and test.

use crate::{name::Name, task::TaskFamily, time::Micros};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// `name@version`, the version counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatasetRef {
    pub name: Name,
    pub version: u32,
}

/// Why a text is not `name@version`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatasetRefError {
    #[error("{0:?} is not name@version, like addition@1")]
    Form(String),
    #[error(transparent)]
    Name(#[from] crate::name::NameError),
}

impl FromStr for DatasetRef {
    type Err = DatasetRefError;
    fn from_str(text: &str) -> Result<Self, DatasetRefError> {
        let form = || DatasetRefError::Form(text.to_owned());
        let (name, version) = text.trim().rsplit_once('@').ok_or_else(form)?;
        let name = name.parse()?;
        let version = version.parse().ok().filter(|v| *v > 0).ok_or_else(form)?;
        Ok(Self { name, version })
    }
}

impl TryFrom<String> for DatasetRef {
    type Error = DatasetRefError;
    fn try_from(text: String) -> Result<Self, DatasetRefError> {
        text.parse()
    }
}

impl From<DatasetRef> for String {
    fn from(dataset: DatasetRef) -> Self {
        dataset.to_string()
    }
}

impl fmt::Display for DatasetRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// One of the three splits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitName {
    Train,
    Val,
    Test,
}

impl SplitName {
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    pub const fn key(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

impl FromStr for SplitName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|s| s.key() == text).ok_or_else(|| format!("{text:?} is not train, val or test"))
    }
}

impl fmt::Display for SplitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// Percentages of train, val and test, written `80/10/10`; they add up to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SplitPercent {
    pub train: u8,
    pub val: u8,
    pub test: u8,
}

impl FromStr for SplitPercent {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Option<Vec<u8>> = text.trim().split('/').map(|p| p.trim().parse().ok()).collect();
        match parts.as_deref() {
            Some(&[train, val, test]) if u32::from(train) + u32::from(val) + u32::from(test) == 100 => {
                if train == 0 {
                    return Err("the train split must not be 0 %".to_owned());
                }
                if test == 0 {
                    return Err("the test split must not be 0 %: evaluation needs held-out items".to_owned());
                }
                Ok(Self { train, val, test })
            }
            _ => Err(format!("split {text:?} is not train/val/test percentages that add up to 100, like 80/10/10")),
        }
    }
}

impl TryFrom<String> for SplitPercent {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<SplitPercent> for String {
    fn from(split: SplitPercent) -> Self {
        split.to_string()
    }
}

impl fmt::Display for SplitPercent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.train, self.val, self.test)
    }
}

/// Which traces a dataset takes. Empty fields do not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceFilter {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<TaskFamily>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Words that prompt or answer must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
}

/// How traces are chosen among those that pass the filter when there are more than the limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// The newest first.
    #[default]
    Latest,
    /// A random choice by the seed.
    Random,
}

/// What identifies a dataset's content, with what it was made from. Immutable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    pub dataset: DatasetRef,
    pub created_at: Micros,
    /// SHA-256 over the three splits' bytes, each closed by a zero byte.
    pub content_hash: String,
    pub filter: TraceFilter,
    pub selection: Selection,
    pub limit: Option<u32>,
    pub split: SplitPercent,
    pub seed: u64,
    pub stats: DatasetStats,
}

/// Counts and lengths of a dataset.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DatasetStats {
    pub traces: u32,
    pub train: u32,
    pub val: u32,
    pub test: u32,
    /// Prompts left out because the same prompt is already there: one prompt never stands in two splits.
    pub duplicates_removed: u32,
    pub mean_steps: f64,
    pub min_steps: u32,
    pub max_steps: u32,
    /// Characters of the whole text a model reads for one trace.
    pub mean_characters: f64,
    pub max_characters: u32,
    /// Tokens of a trace by the character tokenizer, in 16 equal bins from 0 to `max_characters`.
    pub length_histogram: Vec<u32>,
    pub families: Vec<Count>,
    pub categories: Vec<Count>,
}

/// A value and how often it occurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    pub value: String,
    pub count: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        assert_eq!("addition@1".parse::<DatasetRef>().unwrap().to_string(), "addition@1");
        for bad in ["addition", "addition@0", "addition@x", "@1", "../a@1", "a b@1"] {
            assert!(bad.parse::<DatasetRef>().is_err(), "{bad}");
        }
    }

    #[test]
    fn splits() {
        assert_eq!("80/10/10".parse::<SplitPercent>().unwrap(), SplitPercent { train: 80, val: 10, test: 10 });
        for bad in ["80/10", "80/10/11", "100/0/0", "0/50/50", "a/b/c", "300/0/0"] {
            assert!(bad.parse::<SplitPercent>().is_err(), "{bad}");
        }
    }
}
