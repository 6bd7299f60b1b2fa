//! How much memory this process takes.

use std::fs;

/// How much a conversion may hold, in bytes.
pub(crate) const MOST_MEMORY: u64 = 512 << 20;

/// The most memory that this process held since the last call, in bytes; 0 where nobody tells.
pub(crate) fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let _ = fs::write("/proc/self/clear_refs", "5");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) << 10
}
