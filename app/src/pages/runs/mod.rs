//! Runs: the table, a new one, one run live, its evaluation.

mod evaluation;
mod figures;
mod form;
mod list;
mod live;
mod log;
mod new;
mod run;
mod sections;

pub use evaluation::EvaluationPage;
pub(crate) use evaluation::Interval;
pub use list::RunsPage;
pub use new::NewRunPage;
pub use run::RunPage;
