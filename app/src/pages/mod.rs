//! The pages, one folder a route family.

mod datasets;
mod home;
mod leaderboard;
mod models;
mod not_found;
mod playground;
mod runs;
mod traces;
mod workers;

pub use datasets::{BuildPage, DatasetPage, DatasetsPage};
pub use home::HomePage;
pub use leaderboard::LeaderboardPage;
pub use models::{AddModelPage, ModelsPage};
pub use not_found::NotFoundPage;
pub use playground::PlaygroundPage;
pub use runs::{EvaluationPage, NewRunPage, RunPage, RunsPage};
pub use traces::{ComparePage, GeneratePage, ImportPage, TracePage, TracesPage};
pub use workers::WorkersPage;
