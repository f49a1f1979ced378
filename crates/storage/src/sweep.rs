//! Objects that nothing names any more, such as those of an upload that was refused or a model that was deleted, give their
//! bytes back after a while.

use crate::{Objects, Result, SqliteStore, StorageError, objects::is_sha256};
use std::{
    collections::HashSet,
    fs::{self, File},
    time::{Duration, SystemTime},
};

/// What a sweep removed, and what is not named but may still be by someone at work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub objects: u64,
    pub bytes: u64,
    pub waiting_objects: u64,
    pub waiting_bytes: u64,
}

impl Objects {
    /// Keeps an object from sweeps for a while, since it is about to be named. False when it is not there.
    pub fn touch(&self, sha256: &str) -> Result<bool> {
        if !is_sha256(sha256) {
            return Ok(false);
        }
        let path = self.path(sha256);
        let _gate = self.gate();
        match File::options().write(true).open(&path).and_then(|file| file.set_modified(SystemTime::now())) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StorageError::io(&path)(error)),
        }
    }

    /// Removes the objects that are not among `named` and were neither written nor touched within `rest`.
    pub fn sweep(&self, named: &HashSet<String>, rest: Duration) -> Result<Swept> {
        let mut swept = Swept::default();
        for entry in fs::read_dir(self.directory()).map_err(StorageError::io(self.directory()))? {
            let entry = entry.map_err(StorageError::io(self.directory()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !is_sha256(&name) || named.contains(&name) {
                continue;
            }
            let path = entry.path();
            // Between its age and its end nobody may take it up again.
            let _gate = self.gate();
            let about = fs::metadata(&path).map_err(StorageError::io(&path))?;
            let written = about.modified().map_err(StorageError::io(&path))?;
            // A clock that was set back makes files of the future: they wait.
            if written.elapsed().is_ok_and(|age| age >= rest) {
                fs::remove_file(&path).map_err(StorageError::io(&path))?;
                swept.objects += 1;
                swept.bytes += about.len();
            } else {
                swept.waiting_objects += 1;
                swept.waiting_bytes += about.len();
            }
        }
        Ok(swept)
    }
}

/// The SHA-256 of every object that a dataset, a run or a base model names.
pub(crate) async fn named(store: &SqliteStore) -> Result<HashSet<String>> {
    let select = "SELECT train_object FROM datasets UNION SELECT val_object FROM datasets \
                  UNION SELECT test_object FROM datasets UNION SELECT sha256 FROM run_files \
                  UNION SELECT json_extract(file.value, '$.sha256') \
                  FROM base_models, json_each(base_models.about, '$.files') AS file";
    let rows: Vec<String> = sqlx::query_scalar(select).fetch_all(store.read()).await?;
    Ok(rows.into_iter().collect())
}
