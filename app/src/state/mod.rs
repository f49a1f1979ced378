//! What is provided as context to every page.

mod clock;
mod toaster;

pub use clock::Clock;
pub use toaster::{Toast, Toaster};

use leptos::prelude::*;

/// Provides all of it. Called once, by the application.
pub fn provide() {
    provide_context(Clock::new());
    provide_context(Toaster::new());
}
