//! Which traces have spans in more than one part: long ones, late spans, and whatever was being written when a memtable was
//! sealed. Few, in ordinary traffic; found by comparing the parts' ids, and remembered as long as the parts live.

use super::Parts;
use crate::segment::Segment;
use hashbrown::{HashMap, HashSet};
use std::cmp::Reverse;
use std::sync::{Arc, Mutex, PoisonError};

/// Of this many sets of segments the split traces are remembered: a process has few stores, and a store's set of segments
/// changes only when one is added or removed.
const REMEMBERED_MAX: usize = 4;

/// The traces that lie in several segments.
#[derive(Debug, Default)]
pub(super) struct SplitTraces {
    /// The latest start of any of its spans in a segment, and the lower half of its id; the newest first.
    pub(super) traces: Vec<(u64, u64)>,
    /// The same ids.
    pub(super) lows: HashSet<u64>,
}

/// The traces that lie in several of the segments, oldest first.
pub(super) fn of_segments(segments: &[Arc<Segment>]) -> Arc<SplitTraces> {
    static REMEMBERED: Mutex<Vec<(Vec<u64>, Arc<SplitTraces>)>> = Mutex::new(vec![]);
    if segments.len() < 2 {
        return Arc::default();
    }
    let ids: Vec<u64> = segments.iter().map(|segment| segment.id()).collect();
    let lock = || REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, split)) = lock().iter().find(|(known, _)| *known == ids) {
        return Arc::clone(split);
    }
    let split = Arc::new(find(segments));
    let live: HashSet<u64> = ids.iter().copied().collect();
    segments.iter().for_each(|segment| segment.keep_shared(|part| live.contains(&part)));
    let mut remembered = lock();
    if remembered.len() >= REMEMBERED_MAX {
        remembered.remove(0);
    }
    remembered.push((ids, Arc::clone(&split)));
    split
}

fn find(segments: &[Arc<Segment>]) -> SplitTraces {
    let mut latest: HashMap<u64, u64> = HashMap::new();
    for (at, newer) in segments.iter().enumerate() {
        for older in &segments[..at] {
            for &low in newer.shared_with(older).iter() {
                let start_us_max =
                    |segment: &Segment| segment.find_trace(low).map_or(0, |trace| segment.trace_starts_us(trace).1);
                let start_us_max = start_us_max(newer).max(start_us_max(older));
                let known = latest.entry(low).or_default();
                *known = start_us_max.max(*known);
            }
        }
    }
    let mut traces: Vec<(u64, u64)> = latest.into_iter().map(|(low, start_us_max)| (start_us_max, low)).collect();
    traces.sort_unstable_by_key(|&trace| Reverse(trace));
    SplitTraces { lows: traces.iter().map(|(_, low)| *low).collect(), traces }
}

/// The traces of memtables that lie in another part too.
pub(super) fn of_memtables(parts: &Parts<'_>) -> HashSet<u64> {
    let mut lows = HashSet::new();
    for (at, newer) in parts.memtables.iter().enumerate() {
        let older = &parts.memtables[..at];
        newer.keep_shared(|part| {
            parts.segments.iter().any(|segment| segment.id() == part) || older.iter().any(|table| table.id() == part)
        });
        for segment in parts.segments {
            newer.shared_with(segment.id(), |low| segment.find_trace(low).is_some(), &mut lows);
        }
        for older in older {
            newer.shared_with(older.id(), |low| older.trace_start_us_max(low).is_some(), &mut lows);
        }
    }
    lows
}
