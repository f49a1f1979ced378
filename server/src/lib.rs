//! Composition root: the router, the command line and `anneal serve`, put together from the other crates. What Anneal does
//! is decided in `service`; what a page looks like in `app`.

pub mod cli;
mod gguf;
mod http;
mod serve;
mod site;

pub use http::{AppState, router};
