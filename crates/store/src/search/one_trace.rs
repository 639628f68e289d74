//! Parts of one trace, which may be long: the blocks it lies in are read by several threads, and of them only what is needed.

use super::{Parts, group};
use crate::copies::drop_copies;
use crate::segment::{Segment, SegmentHandle};
use crate::store::{ReadError, TracePart};
use crate::watch::{Held, go_on};
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
struct Piece {
    segment: Arc<Segment>,
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
    let (of_segments, _held) = read_pieces(&pieces(parts, id.low())?, part)?;
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
pub(super) fn len(parts: &Parts<'_>, low: u64) -> Result<u64, ReadError> {
    let rows = |piece: &Piece| piece.blocks.iter().map(|(_, rows)| rows.len() as u64).sum::<u64>();
    let in_memtables: u64 = parts.memtables.iter().map(|memtable| memtable.trace_len(low)).sum();
    Ok(pieces(parts, low)?.iter().map(rows).sum::<u64>() + in_memtables)
}

fn pieces(parts: &Parts<'_>, low: u64) -> Result<Vec<Piece>, ReadError> {
    let mut pieces = vec![];
    let mut add = |segment: &SegmentHandle| {
        let Some(segment) = segment.get()? else { return Ok(false) };
        let Some(trace) = segment.find_trace(low) else { return Ok(false) };
        let blocks = segment.blocks_of(trace);
        let piece = |blocks: &[(u32, Range<u32>)]| Piece { segment: Arc::clone(&segment), blocks: blocks.to_vec() };
        pieces.extend(blocks.chunks(BLOCKS_A_PIECE).map(piece));
        Ok::<_, ReadError>(true)
    };
    match parts.split.segments.get(&low) {
        Some(segments) => {
            for &at in segments {
                add(&parts.segments[at as usize])?;
            }
        }
        // In one at most.
        None => {
            for segment in parts.segments.iter().filter(|segment| segment.may_have(low)) {
                if add(segment)? {
                    break;
                }
            }
        }
    }
    Ok(pieces)
}

/// A batch a piece, and the memory they are counted in.
fn read_pieces(pieces: &[Piece], part: TracePart) -> Result<(Vec<SpanBatch>, Vec<Held>), ReadError> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let threads = (pieces.len() / PIECES_A_THREAD).clamp(1, processors.min(THREADS_MAX));
    let (next, ended) = (AtomicUsize::new(0), AtomicBool::new(false));
    let take = |mut held: Held, go_on: &dyn Fn() -> Result<(), ReadError>| {
        let mut taken = vec![];
        while let Some(at) = Some(next.fetch_add(1, Relaxed)).filter(|&at| at < pieces.len() && !ended.load(Relaxed)) {
            match go_on().and_then(|()| pieces[at].read(part, &mut held)) {
                Ok(batch) => taken.push((at, batch)),
                Err(error) => {
                    ended.store(true, Relaxed);
                    return Err(error);
                }
            }
        }
        Ok((taken, held))
    };
    let taken = thread::scope(|scope| {
        // Only this thread knows whether somebody still waits.
        let others: Vec<_> = (1..threads)
            .map(|_| {
                let held = Held::of_this_read();
                scope.spawn(|| take(held, &|| Ok(())))
            })
            .collect();
        let (mut taken, held) = take(Held::of_this_read(), &go_on)?;
        let mut all_held = vec![held];
        for other in others {
            let panicked = |_| ReadError::Failed("a thread that read a trace panicked".to_owned());
            let (others, held) = other.join().map_err(panicked)??;
            taken.extend(others);
            all_held.push(held);
        }
        Ok::<_, ReadError>((taken, all_held))
    });
    let (mut taken, held) = taken?;
    taken.sort_unstable_by_key(|&(at, _)| at);
    Ok((taken.into_iter().map(|(_, batch)| batch).collect(), held))
}

impl Piece {
    fn read(&self, part: TracePart, held: &mut Held) -> Result<SpanBatch, ReadError> {
        let mut batch = SpanBatch::new();
        for (block, rows) in &self.blocks {
            self.segment.read_part(*block, rows.clone(), part, &mut batch)?;
        }
        held.grow(batch.memory_bytes())?;
        Ok(batch)
    }
}
