//! The only files that name `web_sys`. Called from effects and event handlers, which run in the browser alone.

mod document;
mod events;
mod preview;
mod upload;

pub use document::*;
pub use events::*;
pub use preview::*;
pub use upload::*;
