//! Which traces have spans in more than one part: long ones, late spans, and whatever was being written when a memtable was
//! sealed. Few, in ordinary traffic; found by comparing the parts' ids, and remembered as long as the parts live.

use super::Parts;
use crate::segment::{PieceFilter, Segment};
use crate::store::ReadError;
use hashbrown::{HashMap, HashSet};
use std::cmp::Reverse;
use std::sync::{Arc, Mutex, PoisonError};
use tracewell_model::{SpanFilter, TraceQuery};

/// Of this many sets of segments the split traces are remembered: a process has few stores, and a store's set of segments
/// changes only when one is added or removed.
const REMEMBERED_MAX: usize = 4;

/// Of more new segments than this all ids are sorted at once.
const NEW_SEGMENTS_MAX: usize = 4;

/// The traces that lie in several segments.
#[derive(Debug, Default)]
pub(super) struct SplitTraces {
    /// The latest start of any of its spans in a segment, and the lower half of its id; the newest first.
    pub(super) traces: Vec<(u64, u64)>,
    /// Of each of these: the segments, and its number there.
    pub(super) pieces: Vec<Vec<(u32, u32)>>,
    /// By the lower half of its id: the segments it lies in, by their places in the list, oldest first.
    pub(super) segments: HashMap<u64, Vec<u32>>,
}

/// The numbers of segments, and what was found.
type Known = (Vec<u64>, Arc<SplitTraces>);

/// The traces that lie in several of the segments, oldest first.
pub(super) fn of_segments(segments: &[Arc<Segment>]) -> Arc<SplitTraces> {
    static REMEMBERED: Mutex<Vec<Known>> = Mutex::new(vec![]);
    if segments.len() < 2 {
        return Arc::default();
    }
    let ids: Vec<u64> = segments.iter().map(|segment| segment.id()).collect();
    let lock = || REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, split)) = lock().iter().find(|(known, _)| *known == ids) {
        return Arc::clone(split);
    }
    // What was found in a set that has most of these segments is still true of those.
    let places: HashMap<u64, u32> = ids.iter().copied().zip(0..).collect();
    let common = |(known, _): &&Known| known.iter().filter(|id| places.contains_key(*id)).count();
    let nearest = lock().iter().max_by_key(common).cloned();
    let split = Arc::new(find(segments, &places, nearest.as_ref()));
    let mut remembered = lock();
    if remembered.len() >= REMEMBERED_MAX {
        remembered.remove(0);
    }
    remembered.push((ids, Arc::clone(&split)));
    split
}

fn find(segments: &[Arc<Segment>], places: &HashMap<u64, u32>, known: Option<&Known>) -> SplitTraces {
    let mut found: HashMap<u64, Vec<u32>> = HashMap::new();
    let known_ids: HashSet<u64> = known.into_iter().flat_map(|(ids, _)| ids.iter().copied()).collect();
    let (old, new): (Vec<u32>, Vec<u32>) =
        (0..segments.len() as u32).partition(|&at| known_ids.contains(&segments[at as usize].id()));
    if new.len() <= NEW_SEGMENTS_MAX {
        if let Some((ids, split)) = known {
            for (&low, in_segments) in &split.segments {
                let still = in_segments.iter().filter_map(|&at| places.get(&ids[at as usize]).copied());
                found.insert(low, still.collect());
            }
        }
        for (at, &newer) in new.iter().enumerate() {
            for &other in old.iter().chain(&new[..at]) {
                segments[newer as usize].each_shared_with(&segments[other as usize], |low| {
                    found.entry(low).or_default().extend([newer, other]);
                });
            }
        }
    } else {
        let lows =
            |(segment, at): (&Arc<Segment>, u32)| segment.trace_lows().iter().map(move |&low| (low, at)).collect();
        let mut all: Vec<(u64, u32)> = segments.iter().zip(0..).flat_map::<Vec<_>, _>(lows).collect();
        all.sort_unstable();
        for same in all.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1) {
            found.insert(same[0].0, same.iter().map(|(_, at)| *at).collect());
        }
    }
    found.retain(|_, in_segments| {
        in_segments.sort_unstable();
        in_segments.dedup();
        in_segments.len() > 1
    });
    let start_us_max = |low: u64, at: &u32| {
        let segment = &segments[*at as usize];
        segment.find_trace(low).map_or(0, |trace| segment.trace_starts_us(trace).1)
    };
    let latest = |(&low, at): (&u64, &Vec<u32>)| (at.iter().map(|at| start_us_max(low, at)).max().unwrap_or(0), low);
    let mut traces: Vec<(u64, u64)> = found.iter().map(latest).collect();
    traces.sort_unstable_by_key(|&trace| Reverse(trace));
    let pieces = |(_, low): &(u64, u64)| {
        let piece = |&at: &u32| Some((at, segments[at as usize].find_trace(*low)?));
        found.get(low).into_iter().flatten().filter_map(piece).collect()
    };
    let pieces = traces.iter().map(pieces).collect();
    SplitTraces { traces, pieces, segments: found }
}

/// Passes over traces that lie in several segments and cannot answer a query.
pub(super) struct SplitFilter<'a> {
    parts: &'a Parts<'a>,
    query: &'a TraceQuery,
    of_span: Option<&'a SpanFilter>,
    /// By segment, made when one of its traces is asked about.
    filters: Vec<Option<PieceFilter<'a>>>,
}

impl<'a> SplitFilter<'a> {
    /// Of a query as for [`PieceFilter::new`].
    pub(super) fn new(parts: &'a Parts<'a>, query: &'a TraceQuery, of_span: Option<&'a SpanFilter>) -> Self {
        Self { parts, query, of_span, filters: parts.segments.iter().map(|_| None).collect() }
    }

    /// Whether a trace may answer, by its place among [`SplitTraces::traces`]. No part but segments has spans of it.
    pub(super) fn may_answer(&mut self, at: usize) -> Result<bool, ReadError> {
        let Self { parts, query, of_span, filters } = self;
        let pieces = &parts.split.pieces[at];
        let (mut all, mut may_meet, mut meets) = (0, 0, 0);
        for &(segment, trace) in pieces {
            let filter = filters[segment as usize]
                .get_or_insert_with(|| PieceFilter::new(&parts.segments[segment as usize], query, *of_span));
            all |= filter.all();
            may_meet |= filter.may_meet(trace);
        }
        if may_meet & all != all {
            return Ok(false);
        }
        for &(segment, trace) in pieces {
            if let Some(filter) = &mut filters[segment as usize] {
                meets |= filter.meets(trace)?;
            }
        }
        Ok(meets & all == all)
    }
}

/// The traces of memtables that lie in another part too.
pub(super) fn of_memtables(parts: &Parts<'_>) -> HashSet<u64> {
    let mut lows = HashSet::new();
    for (at, newer) in parts.memtables.iter().enumerate() {
        let older = &parts.memtables[..at];
        let live: HashSet<u64> = parts.segments.iter().map(|segment| segment.id()).collect();
        newer.keep_shared(|part| live.contains(&part) || older.iter().any(|table| table.id() == part));
        for segment in parts.segments {
            newer.shared_with(segment.id(), |low| segment.find_trace(low).is_some(), &mut lows);
        }
        for older in older {
            newer.shared_with(older.id(), |low| older.trace_start_us_max(low).is_some(), &mut lows);
        }
    }
    lows
}
