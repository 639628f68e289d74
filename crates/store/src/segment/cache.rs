//! Decoded columns that were read lately, within a budget of bytes: a trace is read again and again while somebody looks
//! at it, and neighbouring traces lie in the same block.

use super::column::Column;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// What all segments of the process may keep together, until [`set_block_cache_bytes_max`] says otherwise.
const CACHE_BYTES_MAX: usize = 64 << 20;

/// Segment (its part number), block, column.
pub(crate) type ColumnKey = (u64, u32, u32);

/// See the module's text.
pub(crate) struct ColumnCache {
    bytes_max: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<ColumnKey, Entry>,
    /// Every key once, the next to go first.
    queue: VecDeque<ColumnKey>,
    bytes: usize,
}

struct Entry {
    column: Arc<Column>,
    bytes: usize,
    /// Asked for since it was last considered for removal.
    used: bool,
}

/// Sets how many bytes of what was read of segments the process keeps, for all of its stores. What is kept already gives
/// way with the next read.
pub fn set_block_cache_bytes_max(bytes_max: usize) {
    ColumnCache::of_process().bytes_max.store(bytes_max, Relaxed);
}

/// How many bytes of what was read of segments the process keeps now.
pub fn block_cache_bytes() -> usize {
    ColumnCache::of_process().lock().bytes
}

impl ColumnCache {
    /// The cache that the segments of this process share, because they share its memory.
    pub(crate) fn of_process() -> &'static Self {
        static CACHE: LazyLock<ColumnCache> = LazyLock::new(|| ColumnCache::new(CACHE_BYTES_MAX));
        &CACHE
    }

    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max: AtomicUsize::new(bytes_max), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, key: ColumnKey) -> Option<Arc<Column>> {
        let mut state = self.lock();
        let entry = state.entries.get_mut(&key)?;
        entry.used = true;
        Some(Arc::clone(&entry.column))
    }

    /// Keeps a column, at the cost of those not asked for lately.
    pub(crate) fn put(&self, key: ColumnKey, column: Arc<Column>) {
        let bytes = column.memory_bytes() + size_of::<Entry>() + 2 * size_of::<ColumnKey>();
        let bytes_max = self.bytes_max.load(Relaxed);
        if bytes > bytes_max / 4 {
            return;
        }
        let mut state = self.lock();
        let state = &mut *state;
        if state.entries.insert(key, Entry { column, bytes, used: false }).is_some_and(|old| {
            state.bytes -= old.bytes;
            true
        }) {
            state.bytes += bytes;
            return;
        }
        state.bytes += bytes;
        state.queue.push_back(key);
        while state.bytes > bytes_max {
            let Some(oldest) = state.queue.pop_front() else { break };
            match state.entries.get_mut(&oldest) {
                Some(entry) if entry.used => {
                    entry.used = false;
                    state.queue.push_back(oldest);
                }
                _ => {
                    if let Some(gone) = state.entries.remove(&oldest) {
                        state.bytes -= gone.bytes;
                    }
                }
            }
        }
    }

    /// Forgets a segment that was closed.
    pub(crate) fn forget(&self, segment: u64) {
        let mut state = self.lock();
        let State { entries, queue, bytes } = &mut *state;
        queue.retain(|key| {
            if key.0 != segment {
                return true;
            }
            if let Some(gone) = entries.remove(key) {
                *bytes -= gone.bytes;
            }
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(len: usize) -> Arc<Column> {
        Arc::new(Column::U64(vec![7; len]))
    }

    #[test]
    fn the_budget_holds_and_what_is_used_stays() {
        let cache = ColumnCache::new(100_000);
        for block in 0..100 {
            cache.put((1, block, 0), column(1000));
            assert!(cache.get((1, 0, 0)).is_some(), "asked for before each insertion");
            assert!(cache.state.lock().unwrap().bytes <= 100_000);
        }
        assert!(cache.get((1, 50, 0)).is_none());
        cache.forget(1);
        let state = cache.state.lock().unwrap();
        assert_eq!((state.bytes, state.entries.len(), state.queue.len()), (0, 0, 0));
    }
}
