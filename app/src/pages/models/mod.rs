//! Base models: what can be fine-tuned here, and how to get one.

mod list;

pub use list::ModelsPage;
