//! Folders for files that are on their way to something else: on the disk of the data directory, gone when dropped.

use domain::api::ApiError;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// Two requests never share a folder.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// One such folder.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new(data_dir: &Path) -> Result<Self, ApiError> {
        let path = parent(data_dir).join(NEXT.fetch_add(1, Ordering::Relaxed).to_string());
        fs::create_dir_all(&path).map_err(|e| full(&e))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed goes at the next start.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes what a server that was killed has left; nobody else writes there, the service holds the directory's lock.
pub(super) fn clear(data_dir: &Path) {
    let _ = fs::remove_dir_all(parent(data_dir));
}

fn parent(data_dir: &Path) -> PathBuf {
    data_dir.join("uploads")
}

/// The disk does not take it.
pub(super) fn full(error: &io::Error) -> ApiError {
    ApiError::internal(format!("The file cannot be written on the server's disk: {error}"))
}
