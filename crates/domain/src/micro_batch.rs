//! `train.batch`: how many sequences the model reads at once, said by the recipe or left to the trainer; the sequences of an
//! optimizer step are the same either way.

use crate::recipe::TrainRecipe;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// Sequences in a micro-batch: a number, or `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MicroBatch {
    Of(usize),
    /// As many as memory holds, measured before the first step; needs `train.batch_total`.
    Auto,
}

impl From<usize> for MicroBatch {
    fn from(batch: usize) -> Self {
        Self::Of(batch)
    }
}

impl fmt::Display for MicroBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(batch) => batch.fmt(f),
            Self::Auto => f.write_str("auto"),
        }
    }
}

impl Serialize for MicroBatch {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Of(batch) => to.serialize_u64(*batch as u64),
            Self::Auto => to.serialize_str("auto"),
        }
    }
}

impl<'de> Deserialize<'de> for MicroBatch {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader)
    }
}

/// What a value that is neither is told.
pub const EXPECTED: &str = "a whole number from 1 on, or auto";

struct Reader;

impl de::Visitor<'_> for Reader {
    type Value = MicroBatch;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<MicroBatch, E> {
        let batch = usize::try_from(value).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self))?;
        Ok(MicroBatch::Of(batch))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<MicroBatch, E> {
        let unsigned = u64::try_from(value).map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self))?;
        self.visit_u64(unsigned)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<MicroBatch, E> {
        if value == "auto" { Ok(MicroBatch::Auto) } else { Err(E::invalid_value(de::Unexpected::Str(value), &self)) }
    }
}

/// How the sequences of an optimizer step are read: so many at once, so many times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Micro {
    pub batch: usize,
    pub accumulate: usize,
}

impl TrainRecipe {
    /// Sequences in an optimizer step.
    pub fn sequences(&self) -> u64 {
        match (self.batch_total, self.batch) {
            (Some(total), _) => total as u64,
            (None, MicroBatch::Of(batch)) => (batch as u64).saturating_mul(self.accumulate as u64),
            // Refused where recipes are read.
            (None, MicroBatch::Auto) => 1,
        }
    }

    /// The ways to read them, largest micro-batch first; one unless the trainer chooses.
    pub fn choices(&self) -> Vec<Micro> {
        let total = self.batch_total;
        match self.batch {
            MicroBatch::Of(batch) => {
                vec![Micro { batch, accumulate: total.map_or(self.accumulate, |t| t / batch.max(1)) }]
            }
            MicroBatch::Auto => {
                let total = total.unwrap_or(1);
                let whole = (1..=total).rev().filter(|batch| total.is_multiple_of(*batch));
                whole.map(|batch| Micro { batch, accumulate: total / batch }).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<TrainRecipe, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn a_step_reads_as_many_sequences_however_they_are_cut() {
        for (json, sequences, choices) in [
            (r#"{"steps": 1, "batch": 8, "accumulate": 3}"#, 24, vec![(8, 3)]),
            (r#"{"steps": 1, "batch": 8, "batch_total": 32}"#, 32, vec![(8, 4)]),
            (
                r#"{"steps": 1, "batch": "auto", "batch_total": 12}"#,
                12,
                vec![(12, 1), (6, 2), (4, 3), (3, 4), (2, 6), (1, 12)],
            ),
        ] {
            let train = read(json).unwrap();
            let found: Vec<_> = train.choices().iter().map(|m| (m.batch, m.accumulate)).collect();
            assert_eq!((train.sequences(), found), (sequences, choices), "{json}");
            assert_eq!(read(&serde_json::to_string(&train).unwrap()), Ok(train));
        }
        for wrong in [r#""many""#, "-1", "1.5", "null"] {
            let said = read(&format!(r#"{{"steps": 1, "batch": {wrong}}}"#)).unwrap_err();
            assert!(said.starts_with("invalid") && said.contains(EXPECTED), "{said}");
        }
    }
}
