//! Trains a model as a recipe says, survives being stopped at any step, evaluates what came out and exports it.
//! Knows no database, no HTTP and no async runtime: a [`domain::Job`] comes in, [`domain::TrainEvent`]s go out.

mod alarms;
mod batches;
pub mod bench;
mod checkpoint;
mod data;
pub mod device;
mod disk;
pub mod doctor;
mod evaluate;
mod export;
mod known;
mod lock;
mod loss;
pub mod measure;
pub mod memory;
mod objective;
mod optimizer;
mod packing;
pub mod parity;
mod patience;
mod precision;
mod preflight;
pub mod probe;
mod recompute;
mod run;
pub mod shapes;
mod start;
mod stop;

pub use run::{Outcome, TrainError, run};
pub use stop::StopSignal;
