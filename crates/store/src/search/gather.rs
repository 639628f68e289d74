//! All spans of a trace from all parts of a view, in the order they arrived, equal copies once.

use super::{Parts, group};
use crate::copies::drop_copies;
use crate::memtable::MemSnapshot;
use crate::segment::{Segment, SegmentHandle};
use crate::store::ReadError;
use crate::watch::{Held, go_on};
use hashbrown::HashMap;
use std::sync::Arc;
use tracewell_model::{SpanBatch, SpanRef, TraceGrouping, TraceId};

/// The spans whose trace ids agree in the lower half. Keeps the batches they lie in alive.
#[derive(Default)]
pub(super) struct Gathered {
    batches: Vec<Arc<SpanBatch>>,
    /// Batch and row, in order of arrival.
    rows: Vec<(u32, u32)>,
    /// What was read of segments: batches of memtables are there anyway.
    held: Held,
}

impl Gathered {
    /// From wherever the trace lies.
    pub(super) fn read(parts: &Parts<'_>, low: u64) -> Result<Self, ReadError> {
        let mut gathered = Self::default();
        let mut add = |segment: &SegmentHandle| match segment.get()? {
            Some(segment) => gathered.add_segment(&segment, low),
            None => Ok(false),
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
        for memtable in &parts.memtables {
            gathered.add_memtable(memtable, low);
        }
        Ok(gathered)
    }

    /// Of a trace that lies in one segment only.
    pub(super) fn read_from_segment(segment: &Segment, low: u64) -> Result<Self, ReadError> {
        let mut gathered = Self::default();
        gathered.add_segment(segment, low)?;
        Ok(gathered)
    }

    /// Of a trace that lies in one memtable only.
    pub(super) fn read_from_memtable(memtable: &MemSnapshot, low: u64) -> Self {
        let mut gathered = Self::default();
        gathered.add_memtable(memtable, low);
        gathered
    }

    /// Answers whether it holds the trace.
    fn add_segment(&mut self, segment: &Segment, low: u64) -> Result<bool, ReadError> {
        let Some(trace) = segment.find_trace(low) else { return Ok(false) };
        go_on()?;
        let mut batch = SpanBatch::new();
        segment.read_trace(trace, &mut batch)?;
        self.held.grow(batch.memory_bytes())?;
        let rows = 0..batch.len();
        let batch = Arc::new(batch);
        rows.for_each(|row| self.push(&batch, row));
        Ok(true)
    }

    fn add_memtable(&mut self, memtable: &MemSnapshot, low: u64) {
        memtable.trace(low, |batch, row| self.push(batch, row));
    }

    fn push(&mut self, batch: &Arc<SpanBatch>, row: usize) {
        if self.batches.last().is_none_or(|last| !Arc::ptr_eq(last, batch)) {
            self.batches.push(Arc::clone(batch));
        }
        self.rows.push((self.batches.len() as u32 - 1, row as u32));
    }

    /// The traces among the spans: one, unless upper halves of ids differ and count.
    pub(super) fn traces(&self, grouping: TraceGrouping) -> Vec<(TraceId, Vec<SpanRef<'_>>)> {
        let mut traces: Vec<(TraceId, Vec<SpanRef<'_>>)> = vec![];
        let mut places: HashMap<TraceId, usize> = HashMap::new();
        for &(batch, row) in &self.rows {
            let span = self.batches[batch as usize].span(row as usize);
            let id = group(span.trace_id(), grouping);
            if let Some((_, spans)) = traces.last_mut().filter(|(last, _)| *last == id) {
                spans.push(span);
                continue;
            }
            let place = *places.entry(id).or_insert_with(|| {
                traces.push((id, vec![]));
                traces.len() - 1
            });
            traces[place].1.push(span);
        }
        traces.iter_mut().for_each(|(_, spans)| drop_copies(spans));
        traces
    }

    /// The traces about which `wanted` says something, with what it says, a batch each.
    pub(super) fn into_batches<T>(
        mut self,
        grouping: TraceGrouping,
        wanted: impl Fn(TraceId, &[SpanRef<'_>]) -> Option<T>,
    ) -> Result<Vec<(TraceId, T, SpanBatch)>, ReadError> {
        let traces = self.traces(grouping);
        if let ([(id, spans)], [batch]) = (traces.as_slice(), self.batches.as_slice())
            && spans.len() == batch.len()
            && self.rows.iter().enumerate().all(|(at, &(_, row))| at == row as usize)
        {
            // Read for this alone.
            let Some(says) = wanted(*id, spans) else { return Ok(vec![]) };
            let id = *id;
            drop(traces);
            let batch = self.batches.pop().unwrap_or_default();
            return Ok(vec![(id, says, Arc::unwrap_or_clone(batch))]);
        }
        let mut batches = vec![];
        for (id, spans) in &traces {
            if let Some(says) = wanted(*id, spans) {
                batches.push((*id, says, to_batch(spans)?));
            }
        }
        Ok(batches)
    }
}

/// One batch of these spans.
fn to_batch(spans: &[SpanRef<'_>]) -> Result<SpanBatch, ReadError> {
    let mut batch = SpanBatch::new();
    for span in spans {
        batch.push_copy(*span).map_err(|full| ReadError::Failed(full.to_string()))?;
    }
    batch.shrink_to_fit();
    Ok(batch)
}
