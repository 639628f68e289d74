//! Reads over all parts of a store: a query goes in, whole traces come out, wherever their spans lie.
//!
//! A search goes from the newest to the oldest: parts, blocks and traces wait in one queue by the latest time that a trace of
//! theirs may have, and what is taken from its front is looked into until `limit` traces are found. A trace whose spans lie
//! in several parts may meet one condition in each; such traces are known ([`split`]) and looked at as a whole.

mod dependencies;
mod gather;
mod newest;
mod one_trace;
mod operations;
mod split;
#[cfg(test)]
pub(crate) mod tests;

use crate::memtable::{MemSnapshot, Memtable};
use crate::segment::{Segment, SegmentError, SegmentFilter, SegmentHandle, SpanName};
use crate::store::{DependencyWindow, ReadError, SearchVisitor, SpanSearch, TracePart};
use crate::watch::{go_on, hold_for_answer};
use gather::Gathered;
use hashbrown::{HashMap, HashSet};
use split::{SplitFilter, SplitTraces};
use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap};
use std::rc::Rc;
use std::sync::Arc;
use tracewell_model::{
    DependencyLink, Kind, SpanBatch, SpanQuery, SpanRef, Time, TraceGrouping, TraceId, TraceQuery, same_name,
    trace_timestamp_us,
};

/// What a store holds at one moment. Parts are in the order in which they were filled, oldest first; of the memtables only
/// the last may still grow. A span must not lie in two of them.
pub(crate) struct View {
    pub(crate) segments: Vec<Arc<SegmentHandle>>,
    pub(crate) memtables: Vec<Arc<Memtable>>,
}

/// A view with its memtables as they were when the read began.
pub(crate) struct Parts<'a> {
    segments: &'a [Arc<SegmentHandle>],
    memtables: Vec<MemSnapshot>,
    /// The traces that lie in several of the segments.
    split: Arc<SplitTraces>,
}

impl View {
    /// See [`crate::Store::find`].
    pub(crate) fn find(&self, query: &TraceQuery) -> Result<Vec<SpanBatch>, ReadError> {
        Search::new(&self.parts()?, query, &Rule::Traces)?.run()
    }

    /// See [`crate::Store::find_spans`].
    pub(crate) fn find_spans(
        &self,
        query: &SpanQuery,
        also: &dyn Fn(SpanRef<'_>) -> bool,
    ) -> Result<Vec<SpanBatch>, ReadError> {
        let end_ts_ms = query.start_max.as_micros().div_ceil(1000);
        // The traces in which different spans may meet the conditions: more than those in which one does.
        let traces = TraceQuery {
            service_name: query.service_name.as_deref().map(str::to_lowercase),
            span_name: query.span_name.as_deref().map(str::to_lowercase),
            min_duration_us: query.min_duration.map(Time::as_micros).filter(|&min| min > 0),
            end_ts_ms,
            lookback_ms: end_ts_ms.saturating_sub(query.start_min.as_micros() / 1000),
            limit: query.limit,
            ..TraceQuery::default()
        };
        if query.start_min > query.start_max {
            return Ok(vec![]);
        }
        Search::new(&self.parts()?, &traces, &Rule::Spans(query, also))?.run()
    }

    /// See [`crate::Store::traces`].
    pub(crate) fn traces(&self, ids: &[TraceId], grouping: TraceGrouping) -> Result<Vec<SpanBatch>, ReadError> {
        let parts = self.parts()?;
        let mut seen = HashSet::new();
        let mut traces = vec![];
        for id in ids.iter().map(|id| group(*id, grouping)).filter(|id| seen.insert(*id)) {
            go_on()?;
            let gathered = Gathered::read(&parts, id.low())?;
            for (_, (), batch) in gathered.into_batches(grouping, |found, _| (found == id).then_some(()))? {
                hold_for_answer(batch.memory_bytes())?;
                traces.push(batch);
            }
        }
        Ok(traces)
    }

    /// See [`crate::Store::trace_len`].
    pub(crate) fn trace_len(&self, id: TraceId) -> Result<u64, ReadError> {
        one_trace::len(&self.parts()?, id.low())
    }

    /// See [`crate::Store::read_trace`].
    pub(crate) fn read_trace(
        &self,
        id: TraceId,
        grouping: TraceGrouping,
        part: TracePart,
        read: &mut dyn FnMut(&[SpanRef<'_>]),
    ) -> Result<(), ReadError> {
        one_trace::read(&self.parts()?, id, grouping, part, read)
    }

    /// See [`crate::Store::service_names`].
    pub(crate) fn service_names(&self) -> Result<Vec<String>, ReadError> {
        self.names(|service, name| (name == SpanName::Service).then_some(service))
    }

    /// See [`crate::Store::span_names`].
    pub(crate) fn span_names(&self, service: &str) -> Result<Vec<String>, ReadError> {
        self.names(|of, name| match name {
            SpanName::Span(name) if same_name(of, service) => Some(name),
            _ => None,
        })
    }

    /// See [`crate::Store::remote_service_names`].
    pub(crate) fn remote_service_names(&self, service: &str) -> Result<Vec<String>, ReadError> {
        self.names(|of, name| match name {
            SpanName::Remote(name) if same_name(of, service) => Some(name),
            _ => None,
        })
    }

    /// The values of a tag; whether the key is one to be completed is for the caller to know.
    pub(crate) fn tag_values(&self, key: &str) -> Result<Vec<String>, ReadError> {
        let mut values = BTreeSet::new();
        let mut add = |value: &str| {
            if !value.is_empty() && !values.contains(value) {
                values.insert(value.to_owned());
            }
        };
        self.each_segment(|segment| {
            segment.each_tag_value(key, &mut add);
            Ok(())
        })?;
        for memtable in &self.memtables {
            memtable.with_names(|names| names.tag_values.get(key).into_iter().flatten().for_each(|value| add(value)));
        }
        Ok(values.into_iter().collect())
    }

    /// See [`crate::Store::dependencies`].
    pub(crate) fn dependencies(&self, window: DependencyWindow) -> Result<Vec<DependencyLink>, ReadError> {
        dependencies::links(&self.parts()?, window)
    }

    /// See [`crate::Store::visit_traces`].
    pub(crate) fn visit_traces(
        &self,
        window: DependencyWindow,
        grouping: TraceGrouping,
        visit: &mut dyn FnMut(&[SpanRef<'_>]),
    ) -> Result<(), ReadError> {
        dependencies::visit(&self.parts()?, window, grouping, visit)
    }

    /// See [`crate::Store::search`].
    pub(crate) fn search(&self, search: &SpanSearch<'_>, visitor: &mut dyn SearchVisitor) -> Result<(), ReadError> {
        newest::search(&self.parts()?, search, visitor)
    }

    /// See [`crate::Store::operations`].
    pub(crate) fn operations(&self, service: &str) -> Result<Vec<(String, Kind)>, ReadError> {
        operations::operations(self, service)
    }

    fn parts(&self) -> Result<Parts<'_>, ReadError> {
        let memtables = self.memtables.iter().map(Memtable::snapshot).collect();
        Ok(Parts { segments: &self.segments, memtables, split: split::of_segments(&self.segments)? })
    }

    /// Calls `each` with every segment that can be read, one at a time.
    fn each_segment(&self, mut each: impl FnMut(&Segment) -> Result<(), ReadError>) -> Result<(), ReadError> {
        for segment in &self.segments {
            go_on()?;
            if let Some(segment) = segment.get()? {
                each(&segment)?;
            }
        }
        Ok(())
    }

    fn names(&self, pick: impl for<'n> Fn(&'n str, SpanName<'n>) -> Option<&'n str>) -> Result<Vec<String>, ReadError> {
        let mut found = BTreeSet::new();
        let mut add = |service: &str, name: SpanName<'_>| {
            if let Some(name) = pick(service, name).filter(|name| !name.is_empty() && !found.contains(*name)) {
                found.insert(name.to_owned());
            }
        };
        self.each_segment(|segment| {
            segment.each_name(&mut add);
            Ok(())
        })?;
        for memtable in &self.memtables {
            memtable.with_names(|names| {
                for (service, names) in &names.services {
                    add(service, SpanName::Service);
                    names.spans.iter().for_each(|name| add(service, SpanName::Span(name)));
                    names.remotes.iter().for_each(|name| add(service, SpanName::Remote(name)));
                }
            });
        }
        Ok(found.into_iter().collect())
    }
}

impl From<SegmentError> for ReadError {
    fn from(error: SegmentError) -> Self {
        Self::Failed(error.to_string())
    }
}

fn group(id: TraceId, grouping: TraceGrouping) -> TraceId {
    match grouping {
        TraceGrouping::Strict => id,
        TraceGrouping::LowBits => TraceId::from_halves(0, id.low()),
    }
}

/// One search.
struct Search<'a> {
    parts: &'a Parts<'a>,
    /// What a trace has to meet; by another rule than that for traces it says which may be looked into.
    query: &'a TraceQuery,
    rule: &'a Rule<'a>,
    filters: BlockFilters<'a>,
    split_filter: SplitFilter<'a>,
    /// The traces of memtables that lie in another part too.
    of_memtables: HashSet<u64>,
    queue: BinaryHeap<Waiting>,
    seen: HashSet<u64>,
    found: Vec<SpanBatch>,
}

/// The filters of segments of which blocks wait, by the segments' places: each keeps its segment open, and goes with the last
/// of its blocks.
#[derive(Default)]
struct BlockFilters<'a>(HashMap<usize, (Rc<SegmentFilter<'a>>, usize)>);

impl<'a> BlockFilters<'a> {
    fn put(&mut self, segment: usize, filter: SegmentFilter<'a>, blocks: usize) {
        if blocks > 0 {
            self.0.insert(segment, (Rc::new(filter), blocks));
        }
    }

    /// For one of the blocks.
    fn take(&mut self, segment: usize) -> Option<Rc<SegmentFilter<'a>>> {
        let (filter, blocks) = self.0.get_mut(&segment)?;
        *blocks -= 1;
        let (filter, is_last) = (Rc::clone(filter), *blocks == 0);
        if is_last {
            self.0.remove(&segment);
        }
        Some(filter)
    }
}

/// What makes a trace an answer.
enum Rule<'a> {
    /// [`TraceQuery::matches`].
    Traces,
    /// One of its spans meets this.
    Spans(&'a SpanQuery, &'a dyn Fn(SpanRef<'_>) -> bool),
}

/// What may still hold answers.
struct Waiting {
    /// No trace in it is newer, microseconds.
    newest_us: u64,
    what: What,
}

enum What {
    Segment(usize),
    Block(usize, u32),
    Memtable(usize),
    /// The traces that lie in several segments, from this one on.
    Split(usize),
    /// By the lower half of its id.
    Trace(u64, Place),
    /// Matches; `newest_us` is its time.
    Found(TraceId, Box<SpanBatch>),
}

/// Where the spans of a trace lie.
#[derive(Clone, Copy)]
enum Place {
    Segment(usize),
    Memtable(usize),
    /// In several parts, perhaps.
    Several,
}

impl<'a> Search<'a> {
    fn new(parts: &'a Parts<'a>, query: &'a TraceQuery, rule: &'a Rule<'a>) -> Result<Self, ReadError> {
        let filters = BlockFilters::default();
        let of_memtables = split::of_memtables(parts)?;
        let (queue, seen, found) = (BinaryHeap::new(), HashSet::new(), vec![]);
        let split_filter = SplitFilter::new(parts, query, None);
        Ok(Self { parts, query, rule, filters, split_filter, of_memtables, queue, seen, found })
    }

    fn run(mut self) -> Result<Vec<SpanBatch>, ReadError> {
        if self.query.limit == 0 || self.query.start_us() > self.query.end_us() {
            return Ok(vec![]);
        }
        for (at, segment) in self.parts.segments.iter().enumerate() {
            if segment.summary().start_us_min <= self.query.end_us() {
                self.wait(segment.summary().start_us_max, What::Segment(at));
            }
        }
        for (at, memtable) in self.parts.memtables.iter().enumerate() {
            self.wait(memtable.start_us_max(), What::Memtable(at));
        }
        for &low in &self.of_memtables {
            push(&mut self.queue, self.query, self.parts.trace_start_us_max(low)?, What::Trace(low, Place::Several));
        }
        self.wait_split(0);
        while let Some(Waiting { newest_us, what }) = self.queue.pop() {
            go_on()?;
            self.look_into(newest_us, what)?;
            if self.found.len() == self.query.limit {
                break;
            }
        }
        Ok(self.found)
    }

    fn look_into(&mut self, newest_us: u64, what: What) -> Result<(), ReadError> {
        match what {
            What::Segment(at) => {
                let Some(segment) = self.parts.segments[at].get()? else { return Ok(()) };
                let Some(filter) = SegmentFilter::new(&segment, self.query) else { return Ok(()) };
                let mut waiting = 0;
                for block in filter.blocks() {
                    let newest_us = filter.block_start_us_max(block);
                    waiting += usize::from(push(&mut self.queue, self.query, newest_us, What::Block(at, block)));
                }
                self.filters.put(at, filter, waiting);
            }
            What::Block(at, block) => {
                let Some(filter) = self.filters.take(at) else { return Ok(()) };
                for trace in filter.candidates(block)? {
                    let several =
                        self.parts.split.segments.contains_key(&trace.low) || self.of_memtables.contains(&trace.low);
                    let place = if several { Place::Several } else { Place::Segment(at) };
                    push(&mut self.queue, self.query, trace.start_us_max, What::Trace(trace.low, place));
                }
            }
            What::Memtable(at) => {
                for trace in self.parts.memtables[at].candidates(self.query) {
                    let several = self.of_memtables.contains(&trace.low);
                    let place = if several { Place::Several } else { Place::Memtable(at) };
                    push(&mut self.queue, self.query, trace.start_us_max, What::Trace(trace.low, place));
                }
            }
            What::Split(at) => {
                let low = self.parts.split.traces[at].1;
                // Those that lie in a memtable too wait by themselves.
                if !self.of_memtables.contains(&low) && self.split_filter.may_answer(at)? {
                    self.wait(newest_us, What::Trace(low, Place::Several));
                }
                self.wait_split(at + 1);
            }
            What::Trace(low, place) => {
                if self.seen.insert(low) {
                    self.check(low, place)?;
                }
            }
            What::Found(_, batch) => self.found.push(*batch),
        }
        Ok(())
    }

    fn check(&mut self, low: u64, place: Place) -> Result<(), ReadError> {
        let gathered = match place {
            Place::Several => Gathered::read(self.parts, low)?,
            Place::Segment(at) => match self.parts.segments[at].get()? {
                Some(segment) => Gathered::read_from_segment(&segment, low)?,
                None => return Ok(()),
            },
            Place::Memtable(at) => Gathered::read_from_memtable(&self.parts.memtables[at], low),
        };
        for (id, newest_us, batch) in
            gathered.into_batches(self.query.grouping, |_, spans| self.time_of_match(spans))?
        {
            hold_for_answer(batch.memory_bytes())?;
            self.queue.push(Waiting { newest_us, what: What::Found(id, Box::new(batch)) });
        }
        Ok(())
    }

    /// The time by which answers are ordered, if these spans of one trace are one. At most the latest start of them.
    fn time_of_match(&self, spans: &[SpanRef<'_>]) -> Option<u64> {
        match *self.rule {
            Rule::Traces => {
                let matches = self.query.matches(spans.iter().copied());
                matches.then(|| trace_timestamp_us(spans.iter().copied()))
            }
            Rule::Spans(query, also) => {
                let met = spans.iter().filter(|span| query.matches(**span) && also(**span));
                met.map(|span| span.timestamp_us()).max()
            }
        }
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

/// Puts something into the queue unless all it has is before the window. A trace's time is that of one of its spans, and at
/// most the window's end if it is to be found. Answers whether it waits.
fn push(queue: &mut BinaryHeap<Waiting>, query: &TraceQuery, newest_us: u64, what: What) -> bool {
    let waits = newest_us != 0 && newest_us >= query.start_us();
    if waits {
        queue.push(Waiting { newest_us: newest_us.min(query.end_us()), what });
    }
    waits
}

/// The queue gives out the newest first; of one time all that may still hold traces of it before those found, and these by
/// their ids.
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        let found = |waiting: &Self| match waiting.what {
            What::Found(id, _) => Some(id),
            _ => None,
        };
        self.newest_us.cmp(&other.newest_us).then_with(|| found(other).cmp(&found(self)))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

impl Parts<'_> {
    /// The latest start of any span of a trace, zero when none has one.
    fn trace_start_us_max(&self, low: u64) -> Result<u64, ReadError> {
        let in_memtables = self.memtables.iter().filter_map(|memtable| memtable.trace_start_us_max(low));
        let mut latest_us = in_memtables.max().unwrap_or(0);
        for segment in self.segments.iter().rev().filter(|segment| segment.may_have(low)) {
            let Some(segment) = segment.get()? else { continue };
            latest_us = latest_us.max(segment.find_trace(low).map_or(0, |trace| segment.trace_starts_us(trace).1));
        }
        Ok(latest_us)
    }
}
