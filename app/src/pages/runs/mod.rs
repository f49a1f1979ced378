//! Runs: the table, a new one, one run live, its evaluation.

mod evaluation;
mod fields;
mod figures;
mod form;
mod head;
mod list;
mod live;
mod log;
mod needs;
mod new;
mod offer;
mod run;
mod sections;

pub use evaluation::EvaluationPage;
pub(crate) use evaluation::Interval;
pub use list::RunsPage;
pub use new::NewRunPage;
pub use run::RunPage;
