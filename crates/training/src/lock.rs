//! One training at a time in a work directory. The lock is the kernel's: it ends with the process, however that ends.

use std::{
    fs::File,
    io,
    path::Path,
    time::{Duration, Instant},
};

/// A child whose server was killed needs this long at most to notice and to save its checkpoint.
const PATIENCE: Duration = Duration::from_secs(60);

/// Held while training runs.
#[derive(Debug)]
pub(crate) struct WorkLock(#[expect(dead_code, reason = "held open, never read")] File);

impl WorkLock {
    pub(crate) fn take(work: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(work.join("lock"))?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(std::fs::TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(200));
                }
                Err(std::fs::TryLockError::WouldBlock) => {
                    return Err(io::Error::other(format!("another training still runs in {}", work.display())));
                }
                Err(std::fs::TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}
