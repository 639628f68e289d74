//! Which span stands in which row of the traces drawn last, so that the details of a row need not lay out its trace again. What
//! a page asks of a row is meant as it drew it, also when spans have arrived since.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tracewell_model::{SpanId, SpanRef, TraceId, TraceTree, long_trace_id};

/// All that is remembered.
const BYTES_MAX: usize = 32 << 20;
const AGE_MAX: Duration = Duration::from_secs(600);

/// The traces drawn last.
pub(crate) struct DrawnTraces {
    /// Oldest first.
    traces: Mutex<VecDeque<(TraceId, Instant, Arc<DrawnRows>)>>,
    /// Large traces are laid out one after the other, so that many that look at them do not need memory for all at once.
    pub(super) large: Semaphore,
}

/// The rows of one trace.
pub(super) struct DrawnRows {
    /// By row.
    ids: Vec<SpanId>,
    /// Rows whose span is not the first with its id, and which it is; by row.
    later: Vec<(u32, u32)>,
    /// See [`long_trace_id`].
    pub(super) long_id: Option<TraceId>,
}

impl Default for DrawnTraces {
    fn default() -> Self {
        Self { traces: Mutex::default(), large: Semaphore::new(1) }
    }
}

impl DrawnTraces {
    pub(super) fn get(&self, trace: TraceId) -> Option<Arc<DrawnRows>> {
        let traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = traces.iter().filter(|(id, at, _)| *id == trace && at.elapsed() < AGE_MAX);
        known.next().map(|(_, _, rows)| Arc::clone(rows))
    }

    pub(super) fn remember(&self, trace: TraceId, rows: &Arc<DrawnRows>) {
        let mut traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        traces.retain(|(id, at, _)| *id != trace && at.elapsed() < AGE_MAX);
        traces.push_back((trace, Instant::now(), Arc::clone(rows)));
        let mut bytes: usize = traces.iter().map(|(_, _, rows)| rows.memory_bytes()).sum();
        while bytes > BYTES_MAX
            && let Some((_, _, oldest)) = traces.pop_front()
        {
            bytes -= oldest.memory_bytes();
        }
    }
}

impl DrawnRows {
    /// `order` is the tree's depth-first one.
    pub(super) fn of(spans: &[SpanRef<'_>], tree: &TraceTree<'_>, order: &[(u32, u32)]) -> Self {
        let mut rows = vec![0u32; tree.len()];
        (0u32..).zip(order).for_each(|(row, &(node, _))| rows[node as usize] = row);
        let mut later = vec![];
        // Nodes come by id.
        let (mut last, mut nth) = (None, 0);
        for (node, span) in tree.spans().enumerate() {
            nth = if last == Some(span.id()) { nth + 1 } else { 0 };
            last = Some(span.id());
            if nth > 0 {
                later.push((rows[node], nth));
            }
        }
        later.sort_unstable();
        later.shrink_to_fit();
        let ids = order.iter().map(|&(node, _)| tree.span(node as usize).id()).collect();
        Self { ids, later, long_id: long_trace_id(spans) }
    }

    /// A row's span: its id, and which of those with that id, in the order of merged spans.
    pub(super) fn span(&self, row: usize) -> Option<(SpanId, usize)> {
        let id = *self.ids.get(row)?;
        let later = self.later.binary_search_by_key(&(row as u32), |(row, _)| *row);
        Some((id, later.map_or(0, |at| self.later[at].1 as usize)))
    }

    /// The first row with a span.
    pub(super) fn row_of(&self, id: SpanId) -> Option<usize> {
        self.ids.iter().position(|other| *other == id)
    }

    fn memory_bytes(&self) -> usize {
        self.ids.capacity() * size_of::<SpanId>() + self.later.capacity() * size_of::<(u32, u32)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracewell_model::{Kind, Span, SpanBatch, Time};

    fn rows(spans: &[Span]) -> DrawnRows {
        let mut batch = SpanBatch::new();
        spans.iter().for_each(|span| batch.push_span(span).unwrap());
        let spans: Vec<_> = batch.spans().collect();
        let tree = TraceTree::build(&spans);
        let order = tree.depth_first();
        DrawnRows::of(&spans, &tree, &order)
    }

    fn span(id: u64, parent: u64, start_us: u64, kind: Kind) -> Span {
        Span {
            trace_id: TraceId::new(7),
            id: SpanId::new(id),
            parent: Some(SpanId::new(parent)).filter(|id| !id.is_none()),
            start: Some(Time::from_micros(start_us)),
            kind,
            ..Span::default()
        }
    }

    #[test]
    fn a_row_names_its_span_and_which_half_it_is() {
        let server = Span { shared: true, ..span(5, 1, 20, Kind::Server) };
        let rows =
            rows(&[server, span(5, 1, 10, Kind::Client), span(1, 0, 5, Kind::Unset), span(2, 1, 15, Kind::Unset)]);
        let of = |row| rows.span(row).map(|(id, nth)| (id.value(), nth));
        assert_eq!([of(0), of(1), of(2), of(3)], [Some((1, 0)), Some((5, 0)), Some((5, 1)), Some((2, 0))]);
        assert_eq!(of(4), None);
        assert_eq!((rows.row_of(SpanId::new(5)), rows.row_of(SpanId::new(9))), (Some(1), None));
    }

    #[test]
    fn the_oldest_goes_when_there_is_no_room() {
        let drawn = DrawnTraces::default();
        let large = || Arc::new(DrawnRows { ids: vec![SpanId::NONE; BYTES_MAX / 8 / 2], later: vec![], long_id: None });
        for id in 1..=3 {
            drawn.remember(TraceId::new(id), &large());
        }
        let known: Vec<bool> = (1..=3).map(|id| drawn.get(TraceId::new(id)).is_some()).collect();
        assert_eq!(known, [false, true, true]);
        let too_large = Arc::new(DrawnRows { ids: vec![SpanId::NONE; BYTES_MAX], later: vec![], long_id: None });
        drawn.remember(TraceId::new(4), &too_large);
        assert!(drawn.get(TraceId::new(4)).is_none());
    }
}
