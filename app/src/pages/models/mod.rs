//! Base models: what can be fine-tuned here, how one comes and goes.

mod add;
mod list;

pub use add::AddModelPage;
pub use list::ModelsPage;
