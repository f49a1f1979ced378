//! SQL and objects: everything Anneal keeps in its data directory. The traits of `store` are the contract, the other files
//! keep it on SQLite; answers are domain types or the plain structs of `records`. No rule of the product lives here, besides
//! asking `domain::run` what may follow.

mod attempts;
mod base_models;
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
mod store;
mod sweep;
mod traces;
mod workers;

pub use attempts::{Claimed, Ended};
pub use datasets::StoredDataset;
pub use error::StorageError;
pub use objects::{ObjectWriter, Objects};
pub use open::{SqliteStore, open};
pub use pyramid::StepPoint;
pub use records::{LeaderboardEntry, NewRun, Question, RunOrder, RunQuery, RunRecord, RunTexts, TraceQuery};
pub use report::Reported;
pub use store::{
    AttemptStore, BaseModelStore, DatasetStore, EvaluationStore, EventStore, RunStore, SeriesStore, Store, TraceStore,
    WorkerStore,
};
pub use sweep::Swept;

/// A storage result.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// A place in a list as SQL has it. Nothing lies beyond the largest, so it stands for all above.
fn place(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
