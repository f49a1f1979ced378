//! Objects: immutable files named by their SHA-256, under `objects/`. Written beside, synced, then renamed, so that an
//! object that exists is whole.

use crate::{Result, StorageError};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The object folder. Its methods block: call them on a blocking thread.
#[derive(Debug, Clone)]
pub struct Objects {
    directory: PathBuf,
    /// Held by whoever takes an object up, and by whoever removes one.
    gate: Arc<Mutex<()>>,
}

/// Two writers of one process never share a temporary file.
static NEXT: AtomicU64 = AtomicU64::new(0);

impl Objects {
    pub(crate) fn open(directory: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&directory).map_err(StorageError::io(&directory))?;
        // Left by a writer that died: nobody else writes here, we hold the directory's lock.
        for entry in std::fs::read_dir(&directory).map_err(StorageError::io(&directory))?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(".new-") {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(Self { directory, gate: Arc::default() })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn gate(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where an object lies, whether it exists or not.
    pub fn path(&self, sha256: &str) -> PathBuf {
        debug_assert!(is_sha256(sha256));
        self.directory.join(sha256)
    }

    pub fn exists(&self, sha256: &str) -> bool {
        is_sha256(sha256) && self.path(sha256).is_file()
    }

    /// Begins a new object.
    pub fn writer(&self) -> Result<ObjectWriter> {
        let name = format!(".new-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = self.directory.join(name);
        let file = File::create(&path).map_err(StorageError::io(&path))?;
        let file = BufWriter::with_capacity(1 << 16, file);
        Ok(ObjectWriter { objects: self.clone(), path, file: Some(file), hash: Sha256::new(), bytes: 0 })
    }

    /// Copies a file into the objects and checks that its content is what its maker said.
    pub fn store_file(&self, from: &Path, sha256: &str) -> Result<u64> {
        if self.touch(sha256)? {
            return std::fs::metadata(self.path(sha256)).map(|m| m.len()).map_err(StorageError::io(from));
        }
        let mut file = File::open(from).map_err(StorageError::io(from))?;
        let mut writer = self.writer()?;
        io::copy(&mut file, &mut writer).map_err(StorageError::io(from))?;
        let found = writer.hash_so_far();
        if found != sha256 {
            return Err(StorageError::WrongHash(from.display().to_string()));
        }
        writer.finish().map(|(_, bytes)| bytes)
    }

    /// Reads an object again and compares it with its name.
    pub fn verify(&self, sha256: &str) -> Result<()> {
        if !self.exists(sha256) {
            return Err(StorageError::NotFound);
        }
        let path = self.path(sha256);
        let mut file = File::open(&path).map_err(StorageError::io(&path))?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer).map_err(StorageError::io(&path))? {
                0 => break,
                n => hash.update(&buffer[..n]),
            }
        }
        if hex(&hash.finalize()) == sha256 { Ok(()) } else { Err(StorageError::WrongHash(path.display().to_string())) }
    }
}

pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An object being written; nothing remains of it unless it is finished.
pub struct ObjectWriter {
    objects: Objects,
    path: PathBuf,
    file: Option<BufWriter<File>>,
    hash: Sha256,
    bytes: u64,
}

impl ObjectWriter {
    pub fn hash_so_far(&self) -> String {
        hex(&self.hash.clone().finalize())
    }

    /// Makes it an object; gives its SHA-256 and length. Content that is already there is kept once.
    pub fn finish(mut self) -> Result<(String, u64)> {
        let sha256 = self.hash_so_far();
        let target = self.objects.path(&sha256);
        let Some(file) = self.file.take() else { return Err(StorageError::NotFound) };
        let file =
            file.into_inner().map_err(|e| StorageError::Io { path: self.path.clone(), source: e.into_error() })?;
        file.sync_all().map_err(StorageError::io(&self.path))?;
        let gate = self.objects.gate();
        std::fs::rename(&self.path, &target).map_err(StorageError::io(&target))?;
        drop(gate);
        // The rename itself must survive a power cut, too.
        let directory = self.objects.directory();
        File::open(directory).and_then(|d| d.sync_all()).map_err(StorageError::io(directory))?;
        Ok((sha256, self.bytes))
    }
}

impl Write for ObjectWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let file = self.file.as_mut().ok_or_else(|| io::Error::other("the object is finished"))?;
        let n = file.write(data)?;
        self.hash.update(&data[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        // After `finish` the file has another name and this does nothing.
        let _ = std::fs::remove_file(&self.path);
    }
}
