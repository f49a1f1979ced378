//! Task families: seeded generators of traces with verifiers (crate `tasks`). Here only their names and what to ask for.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A family of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskFamily {
    Addition,
    Sorting,
    HighCardDuel,
}

impl TaskFamily {
    pub const ALL: [Self; 3] = [Self::Addition, Self::Sorting, Self::HighCardDuel];

    pub const fn key(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Sorting => "sorting",
            Self::HighCardDuel => "high_card_duel",
        }
    }

    pub const fn title(self) -> &'static str {
        match self {
            Self::Addition => "Addition",
            Self::Sorting => "Sorting",
            Self::HighCardDuel => "High-card duel",
        }
    }

    pub const fn about(self) -> &'static str {
        match self {
            Self::Addition => "Sums of whole numbers, digit by digit with carries",
            Self::Sorting => "Short lists of numbers put in order, one at a time",
            Self::HighCardDuel => "Two hidden cards from one deck: observe, compare, decide",
        }
    }
}

/// The text names no task family.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown task family {0:?}; known: addition, sorting, high_card_duel")]
pub struct FamilyError(pub String);

impl FromStr for TaskFamily {
    type Err = FamilyError;
    fn from_str(text: &str) -> Result<Self, FamilyError> {
        let key = text.trim().replace('-', "_");
        Self::ALL.into_iter().find(|f| f.key() == key).ok_or_else(|| FamilyError(text.to_owned()))
    }
}

impl fmt::Display for TaskFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// What to generate. The same spec gives the same traces, on every platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerateSpec {
    pub family: TaskFamily,
    /// 1 to 1,000,000.
    pub count: u32,
    pub seed: u64,
    /// 1 (easiest) to 5; `None` mixes the family's default levels.
    pub difficulty: Option<u8>,
}
