//! Reusable pieces of pages: data in by props, events out by callbacks; no server functions inside.

mod badge;
mod buttons;
mod chart;
mod drop;
mod feedback;
mod field;
mod format;
mod frame;
mod icon;
mod keys;
mod page;
mod pager;
mod search;
mod sparkline;
mod time;
mod toasts;
mod trace;

pub use badge::{StateBadge, state_word};
pub use buttons::{CopyButton, ThemeButton};
pub use chart::{Chart, Curve, CurvePoint};
pub use drop::DropZone;
pub use feedback::{Empty, Load, Problem, UploadBar};
pub use field::{Field, Select};
pub use format::*;
pub use frame::Frame;
pub use icon::Icon;
pub use keys::KeysDialog;
pub use page::{CrumbName, Page};
pub use pager::{Found, Pager, with_query};
pub use search::{Choice, Search};
pub use sparkline::Sparkline;
pub use time::Time;
pub use toasts::Toasts;
pub use trace::{TraceBody, speaker};
