//! What can be searched: segments, recent batches being sealed, and the newest ones. Changed in one step, so that a read sees
//! a batch once and wholly.

use super::core::lock;
use crate::catalog::SegmentEntry;
use crate::memtable::Memtable;
use crate::search::View;
use crate::segment::SegmentHandle;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tracewell_model::SpanBatch;

/// See the module's text. All lists oldest first, in the order of arrival.
pub(super) struct Parts {
    pub(super) segments: Vec<(SegmentEntry, Arc<SegmentHandle>)>,
    pub(super) sealing: VecDeque<Arc<Sealing>>,
    active: Arc<Memtable>,
    /// The sequence numbers and arrival times of what is in `active`.
    span: Mutex<Option<Span>>,
    tag_keys: Arc<[String]>,
}

#[derive(Clone, Copy)]
struct Span {
    sequence_start: u64,
    sequence_end: u64,
    first_arrived_us: u64,
    last_arrived_us: u64,
}

/// Batches that take no more and are becoming a segment.
pub(super) struct Sealing {
    pub(super) memtable: Arc<Memtable>,
    pub(super) sequence_start: u64,
    pub(super) sequence_end: u64,
    pub(super) arrived_us: u64,
}

impl Parts {
    pub(super) fn new(tag_keys: Arc<[String]>) -> Self {
        let active = Arc::new(Memtable::new(tag_keys.clone()));
        Self { segments: vec![], sealing: VecDeque::new(), active, span: Mutex::default(), tag_keys }
    }

    /// A consistent set to read from; what it holds stays readable as long as it is held.
    pub(super) fn view(&self) -> View {
        let mut memtables: Vec<_> = self.sealing.iter().map(|sealing| sealing.memtable.clone()).collect();
        if !self.active.is_empty() {
            memtables.push(self.active.clone());
        }
        View { segments: self.segments.iter().map(|(_, segment)| segment.clone()).collect(), memtables }
    }

    /// Adds a batch; one thread at a time, in the order of their sequence numbers. Reads go on beside it.
    pub(super) fn insert(&self, sequence: u64, batch: Arc<SpanBatch>, now_us: u64) {
        let new = Span { sequence_start: sequence, sequence_end: 0, first_arrived_us: now_us, last_arrived_us: now_us };
        let mut span = lock(&self.span);
        let span = span.get_or_insert(new);
        span.sequence_end = sequence + 1;
        span.last_arrived_us = span.last_arrived_us.max(now_us);
        self.active.insert(batch);
    }

    /// Makes the newest batches ones that take no more. Answers whether there were any.
    pub(super) fn rotate(&mut self) -> bool {
        let Some(span) = lock(&self.span).take() else { return false };
        let empty = Arc::new(Memtable::new(self.tag_keys.clone()));
        let memtable = std::mem::replace(&mut self.active, empty);
        let Span { sequence_start, sequence_end, last_arrived_us: arrived_us, .. } = span;
        self.sealing.push_back(Arc::new(Sealing { memtable, sequence_start, sequence_end, arrived_us }));
        true
    }

    pub(super) fn active_memory_bytes(&self) -> usize {
        if self.active.is_empty() { 0 } else { self.active.memory_bytes() }
    }

    pub(super) fn active_spans(&self) -> usize {
        self.active.spans()
    }

    /// How long ago the oldest of the newest batches arrived; zero when there is none.
    pub(super) fn active_age_us(&self, now_us: u64) -> u64 {
        let mut span = lock(&self.span);
        let Some(span) = &mut *span else { return 0 };
        // A clock that was set back must not keep them from growing old.
        span.first_arrived_us = span.first_arrived_us.min(now_us);
        now_us - span.first_arrived_us
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let sealing: usize = self.sealing.iter().map(|sealing| sealing.memtable.memory_bytes()).sum();
        sealing + self.active_memory_bytes()
    }

    pub(super) fn memory_spans(&self) -> usize {
        self.sealing.iter().map(|sealing| sealing.memtable.spans()).sum::<usize>() + self.active_spans()
    }
}
