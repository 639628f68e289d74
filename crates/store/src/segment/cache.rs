//! Decoded columns and footers that were read lately, within a budget of bytes: a trace is read again and again while somebody
//! looks at it, neighbouring traces lie in the same block, and every search asks the footers.

use super::Segment;
use super::column::Column;
use hashbrown::{HashMap, HashSet};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// What all segments of the process may keep together, until [`set_block_cache_bytes_max`] says otherwise.
const CACHE_BYTES_MAX: usize = 64 << 20;

/// Segment (its part number), block, column.
pub(crate) type ColumnKey = (u64, u32, u32);

/// The place of a segment's footer among its columns.
const FOOTER: (u32, u32) = (u32::MAX, u32::MAX);

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
    /// By segment: blocks and columns that were put in and may be there.
    of_segments: HashMap<u64, HashSet<(u32, u32)>>,
    bytes: usize,
}

struct Entry {
    kept: Kept,
    bytes: usize,
    /// Asked for since it was last considered for removal.
    used: bool,
}

enum Kept {
    Column(Arc<Column>),
    /// The footer.
    Segment(Arc<Segment>),
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
        match &entry.kept {
            Kept::Column(column) => Some(Arc::clone(column)),
            Kept::Segment(_) => None,
        }
    }

    /// A segment that is open, by its number.
    pub(crate) fn get_segment(&self, id: u64) -> Option<Arc<Segment>> {
        let mut state = self.lock();
        let entry = state.entries.get_mut(&(id, FOOTER.0, FOOTER.1))?;
        entry.used = true;
        match &entry.kept {
            Kept::Segment(segment) => Some(Arc::clone(segment)),
            Kept::Column(_) => None,
        }
    }

    /// Keeps a column, at the cost of what was not asked for lately.
    pub(crate) fn put(&self, key: ColumnKey, column: Arc<Column>) {
        let bytes = column.memory_bytes();
        self.keep(key, Kept::Column(column), bytes);
    }

    /// Keeps an open segment.
    pub(crate) fn put_segment(&self, segment: &Arc<Segment>) {
        let bytes = segment.memory_bytes();
        self.keep((segment.id(), FOOTER.0, FOOTER.1), Kept::Segment(Arc::clone(segment)), bytes);
    }

    fn keep(&self, key: ColumnKey, kept: Kept, bytes: usize) {
        let bytes = bytes + size_of::<Entry>() + 2 * size_of::<ColumnKey>();
        let bytes_max = self.bytes_max.load(Relaxed);
        if bytes > bytes_max / 4 {
            return;
        }
        let mut state = self.lock();
        let state = &mut *state;
        if state.entries.insert(key, Entry { kept, bytes, used: false }).is_some_and(|old| {
            state.bytes -= old.bytes;
            true
        }) {
            state.bytes += bytes;
            return;
        }
        state.bytes += bytes;
        state.queue.push_back(key);
        state.of_segments.entry(key.0).or_default().insert((key.1, key.2));
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
                    if let Some(of_segment) = state.of_segments.get_mut(&oldest.0) {
                        of_segment.remove(&(oldest.1, oldest.2));
                        if of_segment.is_empty() {
                            state.of_segments.remove(&oldest.0);
                        }
                    }
                }
            }
        }
    }

    /// Forgets a segment that was closed.
    pub(crate) fn forget(&self, segment: u64) {
        let mut state = self.lock();
        let State { entries, queue, of_segments, bytes } = &mut *state;
        for (block, column) in of_segments.remove(&segment).into_iter().flatten() {
            if let Some(gone) = entries.remove(&(segment, block, column)) {
                *bytes -= gone.bytes;
            }
        }
        // Its keys go with the next eviction, or when they are most of all.
        if queue.len() > 2 * entries.len() + QUEUE_SLACK {
            queue.retain(|key| entries.contains_key(key));
        }
    }
}

/// So many keys may wait for what is gone.
const QUEUE_SLACK: usize = 1024;

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
        assert_eq!((state.bytes, state.entries.len(), state.of_segments.len()), (0, 0, 0));
        assert!(state.queue.len() <= QUEUE_SLACK);
    }
}
