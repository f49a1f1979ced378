//! Keeps the cache from growing without end: of finished bundles and sites only the ones used last stay.

use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

/// Enough to change between a few branches without linking again.
const KEPT: usize = 6;

/// Marks `used` as used now and removes the oldest of its siblings whose names begin with `prefix`. What cannot be removed
/// only takes space, so nothing here fails a build.
pub(crate) fn newest(used: &Path, prefix: &str) {
    if let Ok(folder) = File::open(used) {
        let _ = folder.set_modified(SystemTime::now());
    }
    let siblings = used.parent().and_then(|parent| fs::read_dir(parent).ok());
    let mut found: Vec<_> = siblings
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_dir() && entry.file_name().to_string_lossy().starts_with(prefix))
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    found.sort();
    for (_, path) in found.iter().rev().skip(KEPT) {
        let _ = fs::remove_dir_all(path);
    }
}
