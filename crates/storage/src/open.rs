//! Opening a data directory: lock, schema check, migrations, connections.

use crate::{Objects, Result, StorageError, Store, lock::DirectoryLock, sweep};
use async_trait::async_trait;
use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/sqlite");

/// Readers beside the one writer: more than two cores' worth of pages waiting on the disk at once.
const READERS: u32 = 4;

/// Opens a data directory, making what is missing. Fails when another process has it or a newer schema wrote it.
pub async fn open(directory: &Path) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(SqliteStore::open(directory).await?))
}

/// The data directory on embedded SQLite.
pub struct SqliteStore {
    directory: PathBuf,
    /// One connection: SQLite has one writer anyway, and a queue in the pool is fairer than its busy loop.
    write: SqlitePool,
    read: SqlitePool,
    objects: Objects,
    _lock: DirectoryLock,
}

impl SqliteStore {
    /// As [`open`].
    pub async fn open(directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory).map_err(StorageError::io(directory))?;
        let directory = directory.canonicalize().map_err(StorageError::io(directory))?;
        let lock = DirectoryLock::take(&directory)?;
        let objects = Objects::open(directory.join("objects"))?;
        let runs = directory.join("runs");
        std::fs::create_dir_all(&runs).map_err(StorageError::io(&runs))?;

        let options = SqliteConnectOptions::new()
            .filename(directory.join("anneal.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // In WAL a crash of the process loses nothing; a power cut may lose the last moments, never consistency.
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            .statement_cache_capacity(200)
            .pragma("temp_store", "memory")
            // 64 MiB: the hot part of a million traces' indexes.
            .pragma("cache_size", "-65536");
        let write = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let write = write.connect_with(options.clone()).await?;
        refuse_newer(&write, &directory).await?;
        MIGRATIONS.run(&write).await?;
        let read = SqlitePoolOptions::new().max_connections(READERS).idle_timeout(None).max_lifetime(None);
        let read = read.connect_with(options.create_if_missing(false).read_only(true)).await?;
        Ok(Self { directory, write, read, objects, _lock: lock })
    }

    pub(crate) fn read(&self) -> &SqlitePool {
        &self.read
    }

    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.write.begin_with("BEGIN IMMEDIATE").await?)
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn directory(&self) -> &Path {
        &self.directory
    }

    fn objects(&self) -> &Objects {
        &self.objects
    }

    async fn named_objects(&self) -> Result<HashSet<String>> {
        sweep::named(self).await
    }

    /// Folds the write-ahead log into the database file, too.
    async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

async fn refuse_newer(pool: &SqlitePool, directory: &Path) -> Result<()> {
    let table = "SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'";
    if sqlx::query_scalar::<_, i64>(table).fetch_one(pool).await? == 0 {
        return Ok(());
    }
    let found: Option<i64> = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(pool).await?;
    let known = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0);
    match found {
        Some(found) if found > known => Err(StorageError::NewerSchema { path: directory.to_owned(), found, known }),
        _ => Ok(()),
    }
}
