//! Use cases behind server functions, routes and the command line: one method of [`Service`] for each request of
//! `domain::api`, named after its path, and the control plane that workers use. No SQL, no HTTP, no tensors here.

mod build;
mod check;
mod control;
mod datasets;
pub mod dialect;
mod errors;
mod evaluations;
mod gc;
mod home;
pub mod import;
mod machine;
mod messages;
mod models;
mod open;
pub mod recipe;
mod recipes;
mod runs;
mod series;
mod traces;
mod views;

pub use control::LEASE_SECONDS;
pub use control::{AttemptOutcome, ControlError, Directive, Lease, WorkerInfo};
pub use models::is_model_file;
pub use open::{OpenError, ServiceConfig};
pub use series::RunFile;

use std::sync::Arc;

/// Everything Anneal can do, on one data directory. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    inner: Arc<open::Inner>,
}
