//! Memory of this process and machine, as Linux counts it; 0 or none where it cannot be read.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

/// The kilobytes behind a key of one of the kernel's tables, in bytes.
fn read(file: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

fn status(key: &str) -> u64 {
    read("/proc/self/status", key).unwrap_or(0)
}

/// Bytes that can still be had without swapping, and within what this process's control groups leave (containers, systemd's
/// `MemoryMax`); none where neither can be read.
pub(crate) fn available() -> Option<u64> {
    let group = std::fs::read_to_string("/proc/self/cgroup").ok();
    let group = group.as_deref().and_then(|text| text.lines().find_map(|line| line.strip_prefix("0::")));
    let left = group.and_then(|group| left_in_groups(Path::new("/sys/fs/cgroup"), Path::new(group)));
    [read("/proc/meminfo", "MemAvailable"), left].into_iter().flatten().min()
}

/// The least that `group` and the groups around it leave (control groups version 2); none where no group has a limit.
fn left_in_groups(root: &Path, group: &Path) -> Option<u64> {
    let number = |folder: &Path, file| std::fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
    group
        .ancestors()
        .filter_map(|group| {
            let folder = root.join(group.strip_prefix("/").unwrap_or(group));
            // `memory.max` says "max" where there is no limit.
            Some(number(&folder, "memory.max")?.saturating_sub(number(&folder, "memory.current")?))
        })
        .min()
}

/// Bytes resident now.
pub fn resident() -> u64 {
    status("VmRSS")
}

/// The most that was resident before the kernel's own count was last begun anew.
static EARLIER: AtomicU64 = AtomicU64::new(0);

/// The most bytes ever resident.
pub fn peak() -> u64 {
    peak_since().max(EARLIER.load(Ordering::Relaxed))
}

/// The most bytes resident since [`forget_peak`].
pub(crate) fn peak_since() -> u64 {
    status("VmHWM")
}

/// Begins the kernel's count of the most resident bytes anew; false where it cannot be done.
pub(crate) fn forget_peak() -> bool {
    EARLIER.fetch_max(peak_since(), Ordering::Relaxed);
    // 5: "reset the peak resident set size" (proc_pid_clear_refs(5)).
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_group_decides() {
        let root = tempfile::tempdir().unwrap();
        let write = |group: &str, limit: &str, used: &str| {
            let folder = root.path().join(group);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("memory.max"), limit).unwrap();
            std::fs::write(folder.join("memory.current"), used).unwrap();
        };
        write("outer", "1000\n", "400\n");
        write("outer/inner", "max\n", "100\n");
        assert_eq!(left_in_groups(root.path(), Path::new("/outer/inner")), Some(600));
        write("outer/inner", "500\n", "300\n");
        assert_eq!(left_in_groups(root.path(), Path::new("/outer/inner")), Some(200));
        write("outer/inner", "100\n", "300\n");
        assert_eq!(left_in_groups(root.path(), Path::new("/outer/inner")), Some(0));
        assert_eq!(left_in_groups(root.path(), Path::new("/elsewhere")), None);
    }
}
