//! The conformance suite on SQLite, and what is SQLite's alone.

#[macro_use]
mod suite;
#[path = "sqlite/directory.rs"]
mod directory;

use std::sync::Arc;
use storage::Store;
use tempfile::TempDir;

async fn fresh() -> (TempDir, Arc<dyn Store>) {
    let data = tempfile::tempdir().unwrap();
    let store = storage::open(data.path()).await.unwrap();
    (data, store)
}

conforms!(fresh);
