//! Server functions, one file a noun. Each takes one request of `domain::api`, makes one service call and returns; its path
//! and method are the request's own (a test holds them together).

mod datasets;
mod evaluations;
mod failure;
mod models;
mod recipes;
mod runs;
#[cfg(feature = "ssr")]
mod server;
mod system;
mod traces;

pub use datasets::*;
pub use evaluations::*;
pub use failure::*;
pub use models::*;
pub use recipes::*;
pub use runs::*;
pub use system::*;
pub use traces::*;
