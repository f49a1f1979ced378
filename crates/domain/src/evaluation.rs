//! Evaluation: one prediction an item, a verdict each, a score with its interval.

use crate::turn::Turn;
use serde::{Deserialize, Serialize};

/// What the judge says of one generated text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The answer found in the generated text, with its place (byte offsets), so that the page can mark it.
    pub extracted: Option<Extracted>,
    /// The extracted answer equals the expected one, character for character after trimming.
    pub strict: bool,
    /// It means the same: numerically equal, or equal but for case, punctuation and units, or accepted by the family's verifier.
    pub flexible: bool,
}

/// An answer found in a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extracted {
    pub text: String,
    pub start: usize,
    pub end: usize,
}

/// One item of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Place in the evaluation, from 0.
    pub item: u32,
    /// What was said before the prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Turn>,
    pub prompt: String,
    pub expected: String,
    pub generated: String,
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Why generation ended: `stop` (stop token) or `length`.
    pub finish: String,
    pub tokens: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
}

/// A share with its 95 % Wilson interval (Wilson 1927).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    pub value: f64,
    pub low: f64,
    pub high: f64,
    pub n: u32,
}

/// The evaluation of a run on its dataset's test split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    pub run: crate::ids::RunId,
    pub dataset: crate::dataset::DatasetRef,
    /// Version of the answer extractor and scorer: scores of different versions are not comparable.
    pub extractor: String,
    pub complete: bool,
    pub items: u32,
    pub strict: Score,
    pub flexible: Score,
}
