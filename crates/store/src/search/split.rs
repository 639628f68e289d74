//! Which traces have spans in more than one part: long ones, late spans, and whatever was being written when a memtable was
//! sealed. Few, in ordinary traffic; found by comparing the parts' ids, and remembered as long as the parts live.

use super::Parts;
use crate::segment::{PieceFilter, SegmentHandle};
use crate::store::ReadError;
use crate::watch::go_on;
use hashbrown::hash_map::Entry;
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
pub(super) fn of_segments(segments: &[Arc<SegmentHandle>]) -> Result<Arc<SplitTraces>, ReadError> {
    static REMEMBERED: Mutex<Vec<Known>> = Mutex::new(vec![]);
    if segments.len() < 2 {
        return Ok(Arc::default());
    }
    let ids: Vec<u64> = segments.iter().map(|segment| segment.id()).collect();
    let lock = || REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, split)) = lock().iter().find(|(known, _)| *known == ids) {
        return Ok(Arc::clone(split));
    }
    // What was found in a set that has most of these segments is still true of those.
    let places: HashMap<u64, u32> = ids.iter().copied().zip(0..).collect();
    let common = |(known, _): &&Known| known.iter().filter(|id| places.contains_key(*id)).count();
    let nearest = lock().iter().max_by_key(common).cloned();
    let split = Arc::new(find(segments, &places, nearest.as_ref())?);
    let mut remembered = lock();
    if remembered.len() >= REMEMBERED_MAX {
        remembered.remove(0);
    }
    remembered.push((ids, Arc::clone(&split)));
    Ok(split)
}

fn find(
    segments: &[Arc<SegmentHandle>],
    places: &HashMap<u64, u32>,
    known: Option<&Known>,
) -> Result<SplitTraces, ReadError> {
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
            let Some(segment) = segments[newer as usize].get()? else { continue };
            for &other in old.iter().chain(&new[..at]) {
                go_on()?;
                // Those of which it is said wrongly are dropped where the pieces are looked up.
                let handle = &segments[other as usize];
                for &low in segment.trace_lows().iter().filter(|&&low| handle.may_have(low)) {
                    found.entry(low).or_default().extend([newer, other]);
                }
            }
        }
    } else {
        let mut all: Vec<(u64, u32)> = vec![];
        for (segment, at) in segments.iter().zip(0..) {
            go_on()?;
            let Some(segment) = segment.get()? else { continue };
            all.extend(segment.trace_lows().iter().map(|&low| (low, at)));
        }
        all.sort_unstable();
        for same in all.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1) {
            found.insert(same[0].0, same.iter().map(|(_, at)| *at).collect());
        }
    }
    pieces_of(segments, known, found)
}

/// The traces of which there are pieces in several of the segments in which they may be.
fn pieces_of(
    segments: &[Arc<SegmentHandle>],
    known: Option<&Known>,
    mut found: HashMap<u64, Vec<u32>>,
) -> Result<SplitTraces, ReadError> {
    // A segment at a time, so that each is read once.
    let mut by_segment: Vec<Vec<u64>> = vec![vec![]; segments.len()];
    for (&low, in_segments) in &mut found {
        in_segments.sort_unstable();
        in_segments.dedup();
        for &at in in_segments.iter().filter(|_| in_segments.len() > 1) {
            by_segment[at as usize].push(low);
        }
    }
    let known = Pieces::of(segments, known);
    let mut pieces: HashMap<u64, (u64, Vec<(u32, u32)>)> = HashMap::new();
    for (at, lows) in (0u32..).zip(by_segment).filter(|(_, lows)| !lows.is_empty()) {
        go_on()?;
        let mut segment = None;
        for low in lows {
            let (trace, start_us_max) = match known.get(at, low) {
                Some(known) => known,
                None => {
                    if segment.is_none() {
                        segment = segments[at as usize].get()?;
                    }
                    let trace = segment.as_ref().and_then(|segment| Some((segment, segment.find_trace(low)?)));
                    let Some((segment, trace)) = trace else { continue };
                    (trace, segment.trace_starts_us(trace).1)
                }
            };
            let piece = pieces.entry(low).or_default();
            piece.0 = piece.0.max(start_us_max);
            piece.1.push((at, trace));
        }
    }
    pieces.retain(|_, (_, pieces)| pieces.len() > 1);
    let mut traces: Vec<(u64, u64)> = pieces.iter().map(|(&low, (start_us_max, _))| (*start_us_max, low)).collect();
    traces.sort_unstable_by_key(|&trace| Reverse(trace));
    let in_segments = |(_, pieces): &(u64, Vec<(u32, u32)>)| pieces.iter().map(|(at, _)| *at).collect();
    let segments = pieces.iter().map(|(&low, pieces)| (low, in_segments(pieces))).collect();
    let pieces = traces.iter().map(|(_, low)| pieces.remove(low).unwrap_or_default().1).collect();
    Ok(SplitTraces { traces, pieces, segments })
}

/// What was found of pieces before: their segments need not be read again.
struct Pieces(HashMap<(u32, u64), (u32, u64)>);

impl Pieces {
    fn of(segments: &[Arc<SegmentHandle>], known: Option<&Known>) -> Self {
        let Some((ids, split)) = known else { return Self(HashMap::new()) };
        let places: HashMap<u64, u32> = segments.iter().map(|segment| segment.id()).zip(0..).collect();
        let mut pieces = HashMap::new();
        for (&(start_us_max, low), of_trace) in split.traces.iter().zip(&split.pieces) {
            for &(at, trace) in of_trace {
                if let Some(&at) = places.get(&ids[at as usize]) {
                    pieces.insert((at, low), (trace, start_us_max));
                }
            }
        }
        Self(pieces)
    }

    /// A trace's number in a segment, and a time that no span of it there is later than.
    fn get(&self, segment: u32, low: u64) -> Option<(u32, u64)> {
        self.0.get(&(segment, low)).copied()
    }
}

/// Passes over traces that lie in several segments and cannot answer a query.
pub(super) struct SplitFilter<'a> {
    parts: &'a Parts<'a>,
    query: &'a TraceQuery,
    of_span: Option<&'a SpanFilter>,
    /// By segment, made when one of its traces is asked about; each keeps its segment open.
    filters: HashMap<u32, PieceFilter<'a>>,
}

/// Of no more segments at a time the filters are kept: traces are asked about from the newest to the oldest.
const FILTERS_MAX: usize = 32;

impl<'a> SplitFilter<'a> {
    /// Of a query as for [`PieceFilter::new`].
    pub(super) fn new(parts: &'a Parts<'a>, query: &'a TraceQuery, of_span: Option<&'a SpanFilter>) -> Self {
        Self { parts, query, of_span, filters: HashMap::new() }
    }

    /// Whether a trace may answer, by its place among [`SplitTraces::traces`]. No part but segments has spans of it.
    pub(super) fn may_answer(&mut self, at: usize) -> Result<bool, ReadError> {
        let Self { parts, query, of_span, filters } = self;
        let pieces = &parts.split.pieces[at];
        let (mut all, mut may_meet, mut meets) = (0, 0, 0);
        if filters.len() > FILTERS_MAX {
            filters.clear();
        }
        for &(segment, trace) in pieces {
            let filter = match filters.entry(segment) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => match parts.segments[segment as usize].get()? {
                    Some(segment) => new.insert(PieceFilter::new(&segment, query, *of_span)),
                    None => continue,
                },
            };
            all |= filter.all();
            may_meet |= filter.may_meet(trace);
        }
        if may_meet & all != all {
            return Ok(false);
        }
        for &(segment, trace) in pieces {
            if let Some(filter) = filters.get_mut(&segment) {
                meets |= filter.meets(trace)?;
            }
        }
        Ok(meets & all == all)
    }
}

/// The traces of memtables that lie in another part too, and perhaps a few others: whoever asks looks into all parts.
pub(super) fn of_memtables(parts: &Parts<'_>) -> Result<HashSet<u64>, ReadError> {
    let mut lows = HashSet::new();
    for (at, newer) in parts.memtables.iter().enumerate() {
        let older = &parts.memtables[..at];
        let live: HashSet<u64> = parts.segments.iter().map(|segment| segment.id()).collect();
        newer.keep_shared(|part| live.contains(&part) || older.iter().any(|table| table.id() == part));
        for segment in parts.segments {
            go_on()?;
            newer.shared_with(segment.id(), |low| segment.may_have(low), &mut lows);
        }
        for older in older {
            newer.shared_with(older.id(), |low| older.trace_start_us_max(low).is_some(), &mut lows);
        }
    }
    Ok(lows)
}
