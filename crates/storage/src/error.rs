//! The one error of storage: what the service must tell apart, and the rest.

use domain::{RunId, run::IllegalChange};
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error(
        "{} is in use by another anneal ({holder}). Stop that one, or start this one with another --data directory", path.display()
    )]
    InUse { path: PathBuf, holder: String },
    #[error(
        "the data directory {} was written by a newer anneal (schema {found}; this one knows {known}). Use that version, \
         or another --data directory", path.display()
    )]
    NewerSchema { path: PathBuf, found: i64, known: i64 },
    #[error("not found")]
    NotFound,
    /// The name and version exist with other content.
    #[error("dataset {0} exists with other content")]
    DatasetConflict(String),
    /// The name exists with other files.
    #[error("model {0} exists with other files")]
    ModelConflict(String),
    #[error("run {run}: attempt {fence} no longer holds the lease")]
    StaleFence { run: RunId, fence: u32 },
    #[error(transparent)]
    Illegal(#[from] IllegalChange),
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{0} does not have the content its name promises")]
    WrongHash(String),
    /// A stored value does not read back: a bug or a damaged file.
    #[error("stored {what} is unreadable: {why}")]
    Unreadable { what: &'static str, why: String },
    /// Boxed, because no caller may know which database it was.
    #[error("the database failed: {0}")]
    Database(Box<dyn std::error::Error + Send + Sync>),
    #[error("the database cannot be migrated: {0}")]
    Migration(Box<dyn std::error::Error + Send + Sync>),
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Box::new(error))
    }
}

impl From<sqlx::migrate::MigrateError> for StorageError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Migration(Box::new(error))
    }
}

impl StorageError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn unreadable<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |why| Self::Unreadable { what, why: why.to_string() }
    }
}
