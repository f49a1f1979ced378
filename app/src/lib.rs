//! The pages of Anneal: rendered on the server, alive in the browser. Two features: `ssr` for the server, `hydrate` for
//! the browser. Knows the service only in `api/`, the browser only in `browser/`.

// The view macro nests a type for each element.
#![recursion_limit = "512"]

pub mod api;
pub mod browser;
pub mod components;
pub mod pages;
pub mod shell;
pub mod state;

pub use shell::{App, Assets, shell};
