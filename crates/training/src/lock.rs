//! One training at a time in a work directory. The lock is the kernel's: it ends with the process, however that ends.

use std::{fs::File, io, path::Path};

/// Held while training runs.
#[derive(Debug)]
pub(crate) struct WorkLock(#[expect(dead_code, reason = "held open, never read")] File);

impl WorkLock {
    pub(crate) fn take(work: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(work.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(io::Error::other(format!("another training still runs in {}", work.display())))
            }
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }
}
