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
use crate::segment::{Segment, SegmentError, SegmentFilter, SpanName};
use crate::store::{DependencyWindow, ReadError, SearchVisitor, SpanSearch, TracePart};
use crate::watch::go_on;
use gather::Gathered;
use hashbrown::HashSet;
use split::{SplitFilter, SplitTraces};
use std::cmp::Ordering;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;
use tracewell_model::{
    DependencyLink, Kind, SpanBatch, SpanQuery, SpanRef, Time, TraceGrouping, TraceId, TraceQuery, same_name,
    trace_timestamp_us,
};

/// What a store holds at one moment. Parts are in the order in which they were filled, oldest first; of the memtables only
/// the last may still grow. A span must not lie in two of them.
pub(crate) struct View {
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) memtables: Vec<Arc<Memtable>>,
}

/// A view with its memtables as they were when the read began.
pub(crate) struct Parts<'a> {
    segments: &'a [Arc<Segment>],
    memtables: Vec<MemSnapshot>,
    /// The traces that lie in several of the segments.
    split: Arc<SplitTraces>,
}

impl View {
    /// See [`crate::Store::find`].
    pub(crate) fn find(&self, query: &TraceQuery) -> Result<Vec<SpanBatch>, ReadError> {
        Search::new(&self.parts(), query, &Rule::Traces).run()
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
        Search::new(&self.parts(), &traces, &Rule::Spans(query, also)).run()
    }

    /// See [`crate::Store::traces`].
    pub(crate) fn traces(&self, ids: &[TraceId], grouping: TraceGrouping) -> Result<Vec<SpanBatch>, ReadError> {
        let parts = self.parts();
        let mut seen = HashSet::new();
        let mut traces = vec![];
        for id in ids.iter().map(|id| group(*id, grouping)).filter(|id| seen.insert(*id)) {
            go_on()?;
            let gathered = Gathered::read(&parts, id.low())?;
            let found = gathered.into_batches(grouping, |found, _| (found == id).then_some(()))?;
            traces.extend(found.into_iter().map(|(_, (), batch)| batch));
        }
        Ok(traces)
    }

    /// See [`crate::Store::trace_len`].
    pub(crate) fn trace_len(&self, id: TraceId) -> u64 {
        one_trace::len(&self.parts(), id.low())
    }

    /// See [`crate::Store::read_trace`].
    pub(crate) fn read_trace(
        &self,
        id: TraceId,
        grouping: TraceGrouping,
        part: TracePart,
        read: &mut dyn FnMut(&[SpanRef<'_>]),
    ) -> Result<(), ReadError> {
        one_trace::read(&self.parts(), id, grouping, part, read)
    }

    /// See [`crate::Store::service_names`].
    pub(crate) fn service_names(&self) -> Result<Vec<String>, ReadError> {
        Ok(self.names(|service, name| (name == SpanName::Service).then_some(service)))
    }

    /// See [`crate::Store::span_names`].
    pub(crate) fn span_names(&self, service: &str) -> Result<Vec<String>, ReadError> {
        Ok(self.names(|of, name| match name {
            SpanName::Span(name) if same_name(of, service) => Some(name),
            _ => None,
        }))
    }

    /// See [`crate::Store::remote_service_names`].
    pub(crate) fn remote_service_names(&self, service: &str) -> Result<Vec<String>, ReadError> {
        Ok(self.names(|of, name| match name {
            SpanName::Remote(name) if same_name(of, service) => Some(name),
            _ => None,
        }))
    }

    /// The values of a tag; whether the key is one to be completed is for the caller to know.
    pub(crate) fn tag_values(&self, key: &str) -> Result<Vec<String>, ReadError> {
        let mut values = BTreeSet::new();
        let mut add = |value: &str| {
            if !value.is_empty() && !values.contains(value) {
                values.insert(value.to_owned());
            }
        };
        self.segments.iter().for_each(|segment| segment.each_tag_value(key, &mut add));
        for memtable in &self.memtables {
            memtable.with_names(|names| names.tag_values.get(key).into_iter().flatten().for_each(|value| add(value)));
        }
        Ok(values.into_iter().collect())
    }

    /// See [`crate::Store::dependencies`].
    pub(crate) fn dependencies(&self, window: DependencyWindow) -> Result<Vec<DependencyLink>, ReadError> {
        dependencies::links(&self.parts(), window)
    }

    /// See [`crate::Store::visit_traces`].
    pub(crate) fn visit_traces(
        &self,
        window: DependencyWindow,
        grouping: TraceGrouping,
        visit: &mut dyn FnMut(&[SpanRef<'_>]),
    ) -> Result<(), ReadError> {
        dependencies::visit(&self.parts(), window, grouping, visit)
    }

    /// See [`crate::Store::search`].
    pub(crate) fn search(&self, search: &SpanSearch<'_>, visitor: &mut dyn SearchVisitor) -> Result<(), ReadError> {
        newest::search(&self.parts(), search, visitor)
    }

    /// See [`crate::Store::operations`].
    pub(crate) fn operations(&self, service: &str) -> Result<Vec<(String, Kind)>, ReadError> {
        operations::operations(self, service)
    }

    fn parts(&self) -> Parts<'_> {
        let memtables = self.memtables.iter().map(Memtable::snapshot).collect();
        Parts { segments: &self.segments, memtables, split: split::of_segments(&self.segments) }
    }

    fn names(&self, pick: impl for<'n> Fn(&'n str, SpanName<'n>) -> Option<&'n str>) -> Vec<String> {
        let mut found = BTreeSet::new();
        let mut add = |service: &str, name: SpanName<'_>| {
            if let Some(name) = pick(service, name).filter(|name| !name.is_empty() && !found.contains(*name)) {
                found.insert(name.to_owned());
            }
        };
        self.segments.iter().for_each(|segment| segment.each_name(&mut add));
        for memtable in &self.memtables {
            memtable.with_names(|names| {
                for (service, names) in &names.services {
                    add(service, SpanName::Service);
                    names.spans.iter().for_each(|name| add(service, SpanName::Span(name)));
                    names.remotes.iter().for_each(|name| add(service, SpanName::Remote(name)));
                }
            });
        }
        found.into_iter().collect()
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
    /// By segment, made when it is looked into: nothing where no trace that lies in it alone can answer.
    filters: Vec<Option<SegmentFilter<'a>>>,
    split_filter: SplitFilter<'a>,
    /// The traces of memtables that lie in another part too.
    of_memtables: HashSet<u64>,
    queue: BinaryHeap<Waiting>,
    seen: HashSet<u64>,
    found: Vec<SpanBatch>,
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
    fn new(parts: &'a Parts<'a>, query: &'a TraceQuery, rule: &'a Rule<'a>) -> Self {
        let filters = parts.segments.iter().map(|_| None).collect();
        let of_memtables = split::of_memtables(parts);
        let (queue, seen, found) = (BinaryHeap::new(), HashSet::new(), vec![]);
        let split_filter = SplitFilter::new(parts, query, None);
        Self { parts, query, rule, filters, split_filter, of_memtables, queue, seen, found }
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
            push(&mut self.queue, self.query, self.parts.trace_start_us_max(low), What::Trace(low, Place::Several));
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
                self.filters[at] = SegmentFilter::new(&self.parts.segments[at], self.query);
                let Some(filter) = &self.filters[at] else { return Ok(()) };
                for block in filter.blocks() {
                    let newest_us = filter.block_start_us_max(block);
                    push(&mut self.queue, self.query, newest_us, What::Block(at, block));
                }
            }
            What::Block(at, block) => {
                let Some(filter) = &self.filters[at] else { return Ok(()) };
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
            Place::Segment(at) => Gathered::read_from_segment(&self.parts.segments[at], low)?,
            Place::Memtable(at) => Gathered::read_from_memtable(&self.parts.memtables[at], low),
        };
        for (id, newest_us, batch) in
            gathered.into_batches(self.query.grouping, |_, spans| self.time_of_match(spans))?
        {
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
/// most the window's end if it is to be found.
fn push(queue: &mut BinaryHeap<Waiting>, query: &TraceQuery, newest_us: u64, what: What) {
    if newest_us != 0 && newest_us >= query.start_us() {
        queue.push(Waiting { newest_us: newest_us.min(query.end_us()), what });
    }
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
    fn trace_start_us_max(&self, low: u64) -> u64 {
        let in_segment = |segment: &Arc<Segment>| segment.find_trace(low).map(|trace| segment.trace_starts_us(trace).1);
        let in_segments = self.segments.iter().rev().filter_map(in_segment);
        let in_memtables = self.memtables.iter().filter_map(|memtable| memtable.trace_start_us_max(low));
        in_segments.chain(in_memtables).max().unwrap_or(0)
    }
}
