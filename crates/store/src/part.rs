//! Numbers for memtables and segments, so that what is learned of a pair of them can be kept while both live.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that no other part of this process has or will have.
pub(crate) fn next_part_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
