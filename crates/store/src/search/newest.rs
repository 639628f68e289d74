//! All traces of which one span meets a filter, what is newer sooner: parts, and the blocks of segments, wait in one queue by
//! the latest start that a trace of theirs may have; what is taken from its front is read whole and shown to a visitor. The
//! order within a block is not that of time, so that nothing has to be kept.
//!
//! What the filter asks of every match, as far as the segments' filters know of it, passes over blocks and traces unread.

use super::gather::Gathered;
use super::split::{self, SplitFilter};
use super::{BlockFilters, Parts, group};
use crate::copies::drop_copies;
use crate::segment::SegmentFilter;
use crate::store::{ReadError, SearchVisitor, SpanSearch};
use crate::watch::go_on;
use hashbrown::HashSet;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::ControlFlow;
use tracewell_model::{Comparison, Condition, Pattern, SpanRef, TraceId, TraceQuery};

/// See [`crate::Store::search`].
pub(super) fn search(
    parts: &Parts<'_>,
    search: &SpanSearch<'_>,
    visitor: &mut dyn SearchVisitor,
) -> Result<(), ReadError> {
    if search.window.start_us > search.window.end_us {
        return Ok(());
    }
    let query = wider(search);
    Newest::new(parts, search, &query, visitor).run()
}

/// A query by Zipkin's rule that every trace answers which is to be found. Names are left out where they would be compared
/// differently: the lower case of a text is not always that of its letters.
fn wider(search: &SpanSearch<'_>) -> TraceQuery {
    let window = search.window;
    let end_ts_ms = window.end_us.div_ceil(1000);
    let mut query = TraceQuery {
        end_ts_ms,
        lookback_ms: end_ts_ms.saturating_sub(window.start_us / 1000),
        ..TraceQuery::default()
    };
    let name = |pattern: &Pattern| {
        let name = pattern.exact_lower_case().filter(|name| name.is_ascii() && !name.is_empty());
        name.map(str::to_owned)
    };
    for condition in search.filter.required() {
        match condition {
            Condition::Service(pattern) => query.service_name = query.service_name.or_else(|| name(pattern)),
            Condition::Name(pattern) => query.span_name = query.span_name.or_else(|| name(pattern)),
            Condition::RemoteService(pattern) => {
                query.remote_service_name = query.remote_service_name.or_else(|| name(pattern));
            }
            Condition::Duration(comparison, duration) => {
                use Comparison::{Equal, Greater, GreaterOrEqual};
                let is_lower_bound = matches!(comparison, Equal | Greater | GreaterOrEqual);
                let min_us = Some(duration.as_micros()).filter(|&min_us| is_lower_bound && min_us > 0);
                query.min_duration_us = query.min_duration_us.max(min_us);
            }
            Condition::Tag { key, comparison: Comparison::Equal, value } => {
                // Numbers are equal in more than one way of writing them.
                let plain =
                    |text: &&str| !value.is_number() || text.parse::<i64>().is_ok_and(|n| n.to_string() == **text);
                if let Some(text) = value.pattern().exact().filter(plain) {
                    require(&mut query, key, text);
                }
            }
            Condition::Has(pattern) => {
                if let Some(key) = pattern.exact() {
                    require(&mut query, key, "");
                }
            }
            _ => {}
        }
    }
    query
}

/// A key comes once in a query. The empty value is any.
fn require(query: &mut TraceQuery, key: &str, value: &str) {
    if query.annotations.iter().all(|(known, _)| known != key) {
        query.annotations.push((key.to_owned(), value.to_owned()));
    }
}

struct Newest<'a> {
    parts: &'a Parts<'a>,
    search: &'a SpanSearch<'a>,
    query: &'a TraceQuery,
    filters: BlockFilters<'a>,
    split_filter: SplitFilter<'a>,
    /// Traces that lie in several parts, by the lower halves of their ids.
    several: HashSet<u64>,
    queue: BinaryHeap<Waiting>,
    visitor: &'a mut dyn SearchVisitor,
}

/// What may still hold traces. The newest comes first; what else it says only makes the order whole.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    /// No trace in it is newer, microseconds.
    newest_us: u64,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Segment(usize),
    Block(usize, u32),
    Memtable(usize),
    /// Of a memtable, by the lower half of its id.
    InMemtable(usize, u64),
    /// The traces that lie in several segments, from this one on.
    Split(usize),
    /// In several parts, by the lower half of its id.
    Spread(u64),
}

impl<'a> Newest<'a> {
    fn new(
        parts: &'a Parts<'a>,
        search: &'a SpanSearch<'a>,
        query: &'a TraceQuery,
        visitor: &'a mut dyn SearchVisitor,
    ) -> Self {
        let filters = BlockFilters::default();
        let split_filter = SplitFilter::new(parts, query, Some(search.filter));
        let (several, queue) = (HashSet::new(), BinaryHeap::new());
        Self { parts, search, query, filters, split_filter, several, queue, visitor }
    }

    fn run(mut self) -> Result<(), ReadError> {
        for (at, segment) in self.parts.segments.iter().enumerate() {
            if segment.summary().start_us_min <= self.query.end_us() {
                self.wait(segment.summary().start_us_max, What::Segment(at));
            }
        }
        for (at, memtable) in self.parts.memtables.iter().enumerate() {
            self.wait(memtable.start_us_max(), What::Memtable(at));
        }
        self.several = split::of_memtables(self.parts)?;
        for low in self.several.iter().copied().collect::<Vec<_>>() {
            self.wait(self.parts.trace_start_us_max(low)?, What::Spread(low));
        }
        self.wait_split(0);
        let mut flow = ControlFlow::Continue(());
        while let Some(Waiting { newest_us, what }) = self.queue.pop().filter(|_| flow.is_continue()) {
            go_on()?;
            flow = self.look_into(newest_us, what)?;
        }
        if flow.is_continue() {
            // Nothing follows; whether it is asked to end does not matter.
            let _ended = self.visitor.searched(0, 0, self.search.window.start_us);
        }
        Ok(())
    }

    fn look_into(&mut self, newest_us: u64, what: What) -> Result<ControlFlow<()>, ReadError> {
        match what {
            What::Segment(at) => {
                let Some(segment) = self.parts.segments[at].get()? else { return Ok(ControlFlow::Continue(())) };
                let filter = SegmentFilter::of_span(&segment, self.query, self.search.filter);
                let Some(filter) = filter else { return Ok(ControlFlow::Continue(())) };
                let mut waiting = 0;
                for block in filter.blocks() {
                    let newest_us = filter.block_start_us_max(block);
                    waiting += usize::from(push(&mut self.queue, self.query, newest_us, What::Block(at, block)));
                }
                self.filters.put(at, filter, waiting);
            }
            What::Block(at, block) => return self.show_block(at, block),
            What::Memtable(at) => {
                for trace in self.parts.memtables[at].candidates(self.query) {
                    if !self.is_spread(trace.low) {
                        push(&mut self.queue, self.query, trace.start_us_max, What::InMemtable(at, trace.low));
                    }
                }
            }
            What::InMemtable(at, low) => {
                let gathered = Gathered::read_from_memtable(&self.parts.memtables[at], low);
                return Ok(self.show_gathered(&gathered));
            }
            What::Split(at) => {
                let low = self.parts.split.traces[at].1;
                // Those that lie in a memtable too wait by themselves.
                if !self.several.contains(&low) && self.split_filter.may_answer(at)? {
                    self.wait(newest_us, What::Spread(low));
                }
                self.wait_split(at + 1);
            }
            What::Spread(low) => {
                let gathered = Gathered::read(self.parts, low)?;
                return Ok(self.show_gathered(&gathered));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn show_block(&mut self, at: usize, block: u32) -> Result<ControlFlow<()>, ReadError> {
        let Some(filter) = self.filters.take(at) else { return Ok(ControlFlow::Continue(())) };
        let segment = filter.segment();
        let candidates: HashSet<u64> = filter.candidates(block)?.into_iter().map(|trace| trace.low).collect();
        let wanted = |trace: u32| {
            let low = segment.trace_low(trace);
            candidates.contains(&low) && !self.several.contains(&low) && !self.parts.split.segments.contains_key(&low)
        };
        let (mut looked_at, mut flow) = ((0, 0), ControlFlow::Continue(()));
        let (search, visitor) = (self.search, &mut *self.visitor);
        segment.each_trace_of_block(block, &wanted, &mut |batch, rows| {
            looked_at.0 += 1;
            looked_at.1 += rows.len() as u64;
            let mut traces: BTreeMap<TraceId, Vec<SpanRef<'_>>> = BTreeMap::new();
            for span in rows.map(|row| batch.span(row)) {
                traces.entry(group(span.trace_id(), search.grouping)).or_default().push(span);
            }
            for spans in traces.values_mut() {
                if flow.is_continue() {
                    drop_copies(spans);
                    flow = show(search, visitor, spans);
                }
            }
        })?;
        Ok(if flow.is_continue() { self.tell(looked_at.0, looked_at.1) } else { flow })
    }

    fn show_gathered(&mut self, gathered: &Gathered) -> ControlFlow<()> {
        let traces = gathered.traces(self.search.grouping);
        for (_, spans) in &traces {
            show(self.search, self.visitor, spans)?;
        }
        let spans = traces.iter().map(|(_, spans)| spans.len() as u64).sum();
        self.tell(traces.len() as u64, spans)
    }

    /// What waits is not newer than what waits in front.
    fn tell(&mut self, traces: u64, spans: u64) -> ControlFlow<()> {
        let newest_us = self.queue.peek().map_or(0, |waiting| waiting.newest_us);
        self.visitor.searched(traces, spans, newest_us.max(self.search.window.start_us))
    }

    fn is_spread(&self, low: u64) -> bool {
        self.several.contains(&low) || self.parts.split.segments.contains_key(&low)
    }

    fn wait_split(&mut self, at: usize) {
        if let Some(&(start_us_max, _)) = self.parts.split.traces.get(at) {
            self.wait(start_us_max, What::Split(at));
        }
    }

    fn wait(&mut self, newest_us: u64, what: What) {
        push(&mut self.queue, self.query, newest_us, what);
    }
}

fn show(search: &SpanSearch<'_>, visitor: &mut dyn SearchVisitor, spans: &[SpanRef<'_>]) -> ControlFlow<()> {
    match search.match_us(spans) {
        Some(match_us) => visitor.found(spans, match_us),
        None => ControlFlow::Continue(()),
    }
}

/// Puts something into the queue unless all it has is before the window. What is newer than the window's end is found by what
/// it has inside. Answers whether it waits.
fn push(queue: &mut BinaryHeap<Waiting>, query: &TraceQuery, newest_us: u64, what: What) -> bool {
    let waits = newest_us != 0 && newest_us >= query.start_us();
    if waits {
        queue.push(Waiting { newest_us: newest_us.min(query.end_us()), what });
    }
    waits
}
