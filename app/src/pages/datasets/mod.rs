//! Datasets: the list, building one, one dataset with its items.

mod build;
mod detail;
mod items;
mod list;

pub use build::BuildPage;
pub use detail::DatasetPage;
pub use list::DatasetsPage;
