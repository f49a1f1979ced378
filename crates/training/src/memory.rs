//! Memory of this process and machine, as Linux counts it; 0 or none where it cannot be read.

/// The kilobytes behind a key of one of the kernel's tables, in bytes.
fn read(file: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

fn status(key: &str) -> u64 {
    read("/proc/self/status", key).unwrap_or(0)
}

/// Bytes that can still be had without swapping; none where it cannot be read.
pub(crate) fn available() -> Option<u64> {
    read("/proc/meminfo", "MemAvailable")
}

/// Bytes resident now.
pub fn resident() -> u64 {
    status("VmRSS")
}

/// The most bytes ever resident.
pub fn peak() -> u64 {
    status("VmHWM")
}
