//! What the machine has, as Linux tells it; none where it cannot be read.

fn meminfo(key: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Bytes of memory.
pub(crate) fn memory() -> Option<u64> {
    meminfo("MemTotal")
}

/// Bytes a new process could use without swapping.
pub(crate) fn memory_available() -> Option<u64> {
    meminfo("MemAvailable")
}
