//! Traces: the list, import, generate, one trace, two side by side.

mod choose;
mod compare;
mod detail;
mod generate;
mod import;
mod list;
mod table;

pub use compare::ComparePage;
pub use detail::TracePage;
pub use generate::GeneratePage;
pub use import::ImportPage;
pub use list::TracesPage;
