//! SQL and objects: everything Anneal keeps in its data directory. One method is one transaction; answers are domain types
//! or the plain structs of `records`. No rule of the product lives here, besides asking `domain::run` what may follow.

mod attempts;
mod datasets;
mod error;
mod evaluations;
mod events;
mod lock;
mod objects;
mod open;
mod points;
mod pyramid;
mod records;
mod report;
mod runs;
mod seed;
mod series;
mod traces;
mod workers;

pub use attempts::{Claimed, Ended};
pub use datasets::StoredDataset;
pub use error::StorageError;
pub use objects::{ObjectWriter, Objects};
pub use open::Store;
pub use pyramid::StepPoint;
pub use records::{LeaderboardEntry, NewRun, RunOrder, RunQuery, RunRecord, RunTexts, TraceQuery};
pub use report::Reported;

/// A storage result.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;
