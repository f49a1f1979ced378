//! Use cases behind server functions, routes and the command line: one method of [`Service`] for each request of
//! `domain::api`, named after its path, and the control plane that workers use. No SQL, no HTTP, no tensors here.

mod control;
mod datasets;
mod evaluations;
mod home;
mod open;
mod recipes;
mod runs;
mod series;
mod traces;

pub use control::{AttemptOutcome, ControlError, Directive, Lease, WorkerInfo};
pub use control::LEASE_SECONDS;
pub use series::RunFile;
pub use open::{OpenError, ServiceConfig};

use std::sync::Arc;

/// Everything Anneal can do, on one data directory. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    inner: Arc<open::Inner>,
}
