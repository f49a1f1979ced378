//! What is provided as context to every page.

mod toaster;

pub use toaster::{Toast, Toaster};

use leptos::prelude::*;

/// Provides all of it. Called once, by the application.
pub fn provide() {
    provide_context(Toaster::new());
}
