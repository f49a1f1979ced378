//! The nouns and rules of Anneal: types that the page, the server, the worker, the trainer, the browser preview and
//! Rust clients share. Names only serde, thiserror and std, so that it compiles everywhere in seconds.
//! Parsing of files, SQL, HTTP and tensors live elsewhere (see `docs/ARCHITECTURE.md`).

pub mod api;
pub mod dataset;
pub mod device;
pub mod estimate;
pub mod evaluation;
pub mod event;
pub mod finetune;
pub mod ids;
pub mod job;
pub mod micro_batch;
pub mod model;
pub mod name;
mod optimizer;
mod precision;
pub mod preview;
pub mod recipe;
pub mod run;
mod schedule;
pub mod task;
pub mod time;
pub mod trace;
mod turn;

pub use dataset::{DatasetRef, SplitName, SplitPercent};
pub use device::{DeviceChoice, DeviceInfo};
pub use evaluation::{Prediction, Score, Verdict};
pub use event::TrainEvent;
pub use ids::{RunId, TraceId, WorkerId};
pub use job::Job;
pub use model::ModelConfig;
pub use name::Name;
pub use precision::Precision;
pub use recipe::Recipe;
pub use run::RunState;
pub use task::{GenerateSpec, TaskFamily};
pub use time::Micros;
pub use trace::{NewTrace, Step, Trace};
pub use turn::{Role, Turn};
