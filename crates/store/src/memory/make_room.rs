//! Which traces go when there are too many spans, and the tables without them.
//!
//! A trace is as old as the earliest of its spans, and traces are told apart by the lower half of their ids, both as in
//! Zipkin's in-memory storage. Tables only grow, so one that loses a trace is made anew; to do that seldom, a store of many
//! spans drops a few more than it must.

use super::Shared;
use crate::memtable::{Memtable, TraceRows, min_known};
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;
use tracewell_model::{SpanBatch, SpanRef};

/// One part in so many of what may be stored is dropped besides.
const SPARE_PARTS: usize = 32;
/// How many spans are copied into one batch.
const COPY_BATCH_SPANS: usize = 8192;

/// The tables as they have to be before so many spans come in; `None` where they may stay.
pub(super) fn tables_with_room(shared: &Shared, spans: usize) -> Option<Vec<Arc<Memtable>>> {
    let spans_max = shared.options.spans_max;
    let tables = shared.tables();
    let stored: usize = tables.iter().map(|table| table.spans()).sum();
    let excess = (stored + spans).checked_sub(spans_max).filter(|&excess| excess > 0 && stored > 0)?;
    let contents: Vec<_> = tables.iter().map(|table| table.rows_by_trace()).collect();
    let doomed = oldest(contents.iter().flat_map(|sorted| &sorted.traces), excess + spans_max / SPARE_PARTS);
    let mut kept = Kept { shared, tables: vec![], open: Copying::default() };
    let last = tables.len() - 1;
    for (at, (table, sorted)) in tables.iter().zip(contents).enumerate() {
        let is_whole = !sorted.traces.iter().any(|trace| doomed.contains(&trace.low));
        // Small ones are brought together, but not the one that still grows.
        if is_whole && (at == last || table.spans() > shared.table_spans / 2) {
            kept.as_it_is(table);
        } else {
            kept.copy(&sorted.batches, &doomed);
        }
    }
    Some(kept.finish())
}

/// The lower halves of the oldest traces' ids, as many as have so many spans.
fn oldest<'t>(parts: impl Iterator<Item = &'t TraceRows>, spans: usize) -> HashSet<u64> {
    let mut traces: HashMap<u64, (u64, usize)> = HashMap::new();
    for part in parts {
        let (start_us, count) = traces.entry(part.low).or_default();
        *start_us = min_known(*start_us, part.start_us_min);
        *count += part.rows as usize;
    }
    let mut by_age: Vec<_> = traces.into_iter().map(|(low, (start_us, count))| (start_us, low, count)).collect();
    by_age.sort_unstable();
    let mut freed = 0;
    let gone = by_age.into_iter().take_while(|(_, _, count)| {
        let more = freed < spans;
        freed += count;
        more
    });
    gone.map(|(_, low, _)| low).collect()
}

/// The tables to be, oldest first.
struct Kept<'s> {
    shared: &'s Shared,
    tables: Vec<Arc<Memtable>>,
    open: Copying,
}

impl Kept<'_> {
    fn as_it_is(&mut self, table: &Arc<Memtable>) {
        self.flush();
        self.tables.push(Arc::clone(table));
    }

    /// Copies a table without some of its traces, in the order its spans arrived.
    fn copy(&mut self, batches: &[Arc<SpanBatch>], without: &HashSet<u64>) {
        let spans = batches.iter().flat_map(|batch| batch.spans());
        for span in spans.filter(|span| !without.contains(&span.trace_id().low())) {
            self.open.push(span);
        }
        if self.open.spans >= self.shared.table_spans {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let mut copied = std::mem::take(&mut self.open);
        copied.close_batch();
        if !copied.batches.is_empty() {
            let table = Memtable::new(Arc::clone(&self.shared.tag_keys));
            copied.batches.into_iter().for_each(|batch| table.insert(batch));
            self.tables.push(Arc::new(table));
        }
    }

    fn finish(mut self) -> Vec<Arc<Memtable>> {
        self.flush();
        self.tables
    }
}

/// Spans being copied.
#[derive(Default)]
struct Copying {
    batches: Vec<Arc<SpanBatch>>,
    open: SpanBatch,
    spans: usize,
}

impl Copying {
    fn push(&mut self, span: SpanRef<'_>) {
        if self.open.len() >= COPY_BATCH_SPANS {
            self.close_batch();
        }
        // A batch that is full is followed by another; that an empty one takes a span of a batch is certain.
        if self.open.push_copy(span).is_err() {
            self.close_batch();
            if let Err(error) = self.open.push_copy(span) {
                tracing::error!(%error, "a span was lost while older ones gave way");
            }
        }
        self.spans += 1;
    }

    fn close_batch(&mut self) {
        let mut batch = std::mem::take(&mut self.open);
        if !batch.is_empty() {
            batch.shrink_to_fit();
            self.batches.push(Arc::new(batch));
        }
    }
}
