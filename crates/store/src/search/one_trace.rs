//! Parts of one trace, which may be long: the blocks it lies in are read by several threads, and of them only what is needed.

use super::{Parts, group};
use crate::copies::drop_copies;
use crate::segment::Segment;
use crate::store::{ReadError, TracePart};
use crate::watch::go_on;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use tracewell_model::{SpanBatch, SpanRef, TraceGrouping, TraceId};

/// Blocks that become one batch.
const BLOCKS_A_PIECE: usize = 4;
/// Shorter traces are read by one thread, which is sooner than a second one stands.
const PIECES_A_THREAD: usize = 2;
const THREADS_MAX: usize = 8;

/// Neighbouring rows of a segment.
struct Piece<'a> {
    segment: &'a Segment,
    blocks: Vec<(u32, Range<u32>)>,
}

/// See [`crate::Store::read_trace`].
pub(super) fn read(
    parts: &Parts<'_>,
    id: TraceId,
    grouping: TraceGrouping,
    part: TracePart,
    read: &mut dyn FnMut(&[SpanRef<'_>]),
) -> Result<(), ReadError> {
    go_on()?;
    let id = group(id, grouping);
    let of_segments = read_pieces(&pieces(parts, id.low()), part)?;
    let mut of_memtables: Vec<(Arc<SpanBatch>, Vec<u32>)> = vec![];
    for memtable in &parts.memtables {
        memtable.trace(id.low(), |batch, row| match of_memtables.last_mut() {
            Some((last, rows)) if Arc::ptr_eq(last, batch) => rows.push(row as u32),
            _ => of_memtables.push((Arc::clone(batch), vec![row as u32])),
        });
    }
    let in_memtables = of_memtables.iter().flat_map(|(batch, rows)| rows.iter().map(|&row| batch.span(row as usize)));
    let all = of_segments.iter().flat_map(|batch| batch.spans()).chain(in_memtables);
    let mut spans: Vec<SpanRef<'_>> =
        all.filter(|span| part.has(*span) && group(span.trace_id(), grouping) == id).collect();
    if part != TracePart::Outline {
        drop_copies(&mut spans);
    }
    if !spans.is_empty() {
        read(&spans);
    }
    Ok(())
}

/// See [`crate::Store::trace_len`].
pub(super) fn len(parts: &Parts<'_>, low: u64) -> u64 {
    let rows = |piece: &Piece<'_>| piece.blocks.iter().map(|(_, rows)| rows.len() as u64).sum::<u64>();
    let in_memtables: u64 = parts.memtables.iter().map(|memtable| memtable.trace_len(low)).sum();
    pieces(parts, low).iter().map(rows).sum::<u64>() + in_memtables
}

fn pieces<'a>(parts: &'a Parts<'_>, low: u64) -> Vec<Piece<'a>> {
    let of_segment = |segment: &'a Arc<Segment>| {
        let blocks = segment.blocks_of(segment.find_trace(low)?);
        let piece = |blocks: &[(u32, Range<u32>)]| Piece { segment, blocks: blocks.to_vec() };
        Some(blocks.chunks(BLOCKS_A_PIECE).map(piece).collect::<Vec<_>>())
    };
    match parts.split.segments.get(&low) {
        Some(segments) => {
            segments.iter().filter_map(|&at| of_segment(&parts.segments[at as usize])).flatten().collect()
        }
        // In one at most.
        None => parts.segments.iter().find_map(of_segment).unwrap_or_default(),
    }
}

/// A batch a piece.
fn read_pieces(pieces: &[Piece<'_>], part: TracePart) -> Result<Vec<SpanBatch>, ReadError> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let threads = (pieces.len() / PIECES_A_THREAD).clamp(1, processors.min(THREADS_MAX));
    let (next, ended) = (AtomicUsize::new(0), AtomicBool::new(false));
    let take = |go_on: &dyn Fn() -> Result<(), ReadError>| {
        let mut taken = vec![];
        while let Some(at) = Some(next.fetch_add(1, Relaxed)).filter(|&at| at < pieces.len() && !ended.load(Relaxed)) {
            match go_on().and_then(|()| pieces[at].read(part)) {
                Ok(batch) => taken.push((at, batch)),
                Err(error) => {
                    ended.store(true, Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(taken)
    };
    let taken = thread::scope(|scope| {
        // Only this thread knows whether somebody still waits.
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| take(&|| Ok(())))).collect();
        let mut taken = take(&go_on)?;
        for other in others {
            let panicked = |_| ReadError::Failed("a thread that read a trace panicked".to_owned());
            taken.extend(other.join().map_err(panicked)??);
        }
        Ok::<_, ReadError>(taken)
    });
    let mut taken = taken?;
    taken.sort_unstable_by_key(|&(at, _)| at);
    Ok(taken.into_iter().map(|(_, batch)| batch).collect())
}

impl Piece<'_> {
    fn read(&self, part: TracePart) -> Result<SpanBatch, ReadError> {
        let mut batch = SpanBatch::new();
        for (block, rows) in &self.blocks {
            self.segment.read_part(*block, rows.clone(), part, &mut batch)?;
        }
        Ok(batch)
    }
}
