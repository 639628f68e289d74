//! Copies and pieces of a span become one, as Zipkin cleans a trace.

use crate::batch::SpanRow;
use crate::span::{EndpointRef, SpanRef};
use crate::value::{Kind, SpanFlags};
use crate::{BatchFull, SpanBatch, SpanId, Time, TraceId};
use std::cmp::Ordering;

/// Merges the pieces and copies of each span of one trace; answers them sorted by id, the client's half of a shared span
/// before the server's. As Zipkin cleans a trace.
pub fn merge_spans(spans: &[SpanRef<'_>]) -> SpanBatch {
    merge_spans_of(long_trace_id(spans), spans)
}

/// The same of some spans of a trace: all those with an id. `trace_id` is the [`long_trace_id`] of the whole trace.
pub fn merge_spans_of(trace_id: Option<TraceId>, spans: &[SpanRef<'_>]) -> SpanBatch {
    let mut merged = SpanBatch::new();
    let mut pieces = vec![];
    // Where the batch is full the spans that follow are left out.
    let _full = each_merged(spans, |places, whole| {
        pieces.clear();
        pieces.extend(places.iter().map(|&at| spans[at as usize]));
        let whole = whole.copied().unwrap_or_else(|| Merged::new(pieces[0]));
        push_merged(&mut merged, &pieces, &whole, trace_id, Copied::Whole)
    });
    merged
}

/// The form of a trace's id that has an upper half, where a span has that.
pub fn long_trace_id(spans: &[SpanRef<'_>]) -> Option<TraceId> {
    // Of the spans in the order of merged ones the first: whatever arrived first, the answer is the same.
    let long = spans.iter().filter(|span| span.trace_id().high() != 0);
    long.min_by(|a, b| cleanup_order(**a, **b)).map(|span| span.trace_id())
}

/// What of a span goes into the merged one.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Copied {
    Whole,
    Outline,
}

/// Calls `each` with where the pieces of every span are, and what they are together; with nothing for a span that is alone
/// with its id. By id.
pub(super) fn each_merged(
    spans: &[SpanRef<'_>],
    mut each: impl FnMut(&[u32], Option<&Merged>) -> Result<(), BatchFull>,
) -> Result<(), BatchFull> {
    let mut order: Vec<(SpanId, u32)> = spans.iter().zip(0..).map(|(span, at)| (span.id(), at)).collect();
    order.sort_unstable();
    let mut run = vec![];
    for of_id in order.chunk_by(|(a, _), (b, _)| a == b) {
        if let [(_, alone)] = of_id {
            each(&[*alone], None)?;
            continue;
        }
        run.clear();
        run.extend(of_id.iter().map(|&(_, at)| at));
        run.sort_by(|&a, &b| cleanup_order(spans[a as usize], spans[b as usize]));
        each_of_run(spans, &run, &mut each)?;
    }
    Ok(())
}

/// The same of spans with one id, in their order.
fn each_of_run(
    spans: &[SpanRef<'_>],
    run: &[u32],
    each: &mut impl FnMut(&[u32], Option<&Merged>) -> Result<(), BatchFull>,
) -> Result<(), BatchFull> {
    let mut last: Option<Merged> = None;
    let mut at = 0;
    while at < run.len() {
        let first = spans[run[at] as usize];
        let mut whole = Merged::new(first);
        let mut pieces = 1;
        let mut local = EndpointParts::default();
        local.try_merge(first.local());
        while let Some(next) = run.get(at + pieces).map(|&next| spans[next as usize]) {
            if next.is_shared() != first.is_shared() || !local.try_merge(next.local()) {
                break;
            }
            whole.merge(next);
            pieces += 1;
        }
        if let Some(last) = last {
            // Some instrumentation does not say that the server's half shares its id.
            whole.shared |= last.kind == Kind::Client;
            if whole.shared && whole.parent.is_none() {
                whole.parent = last.parent;
            }
        }
        each(&run[at..at + pieces], Some(&whole))?;
        at += pieces;
        last = Some(whole);
    }
    Ok(())
}

/// The scalar fields of a span that is being merged from pieces.
#[derive(Clone, Copy)]
pub(super) struct Merged {
    id: SpanId,
    parent: Option<SpanId>,
    kind: Kind,
    shared: bool,
    flags: SpanFlags,
    start: Option<Time>,
    duration: Option<Time>,
}

impl Merged {
    fn new(span: SpanRef<'_>) -> Self {
        Self {
            id: span.id(),
            parent: span.parent(),
            kind: span.kind(),
            shared: span.is_shared(),
            flags: span.flags(),
            start: span.start(),
            duration: span.duration(),
        }
    }

    /// Whether it is this span as it is, but for its trace's id.
    pub(super) fn is(&self, span: SpanRef<'_>) -> bool {
        self.shared == span.is_shared() && self.parent == span.parent()
    }

    fn merge(&mut self, next: SpanRef<'_>) {
        self.parent = self.parent.or_else(|| next.parent());
        if self.kind == Kind::Unset {
            self.kind = next.kind();
        }
        self.flags = self.flags.with(next.flags());
        match (self.start, next.start()) {
            (Some(a), Some(b)) if a != b => {
                let end = |start: Time, duration: Option<Time>| start.saturating_add(duration.unwrap_or_default());
                let end = end(a, self.duration).max(end(b, next.duration()));
                self.start = Some(a.min(b));
                self.duration = Some(end.saturating_sub(a.min(b)));
            }
            (a, b) => {
                self.start = a.max(b);
                self.duration = self.duration.max(next.duration());
            }
        }
    }
}

/// Appends the span that pieces are; `trace_id` is the long form of the trace's id, where there is one.
pub(super) fn push_merged(
    batch: &mut SpanBatch,
    pieces: &[SpanRef<'_>],
    whole: &Merged,
    trace_id: Option<TraceId>,
    copied: Copied,
) -> Result<(), BatchFull> {
    let first = pieces[0];
    let trace_id = trace_id.filter(|_| first.trace_id().high() == 0).unwrap_or_else(|| first.trace_id());
    if pieces.len() == 1 && whole.is(first) && trace_id == first.trace_id() && copied == Copied::Whole {
        return batch.push_copy(first);
    }
    for piece in pieces {
        match copied {
            Copied::Whole => batch.open_copy(*piece),
            Copied::Outline => batch.open_outline(*piece),
        }
    }
    if pieces.len() > 1 {
        batch.sort_open_tags();
        batch.sort_open_annotations();
    }
    let name = pieces.iter().map(|piece| piece.name()).find(|name| !name.is_empty()).unwrap_or_default();
    let name = batch.intern(name);
    let local = batch.merge_endpoints(pieces.iter().filter_map(|piece| piece.local()));
    let remote = batch.merge_endpoints(pieces.iter().filter_map(|piece| piece.remote()));
    let (resource, scope, extra) = match copied {
        Copied::Whole => batch.copy_rare(first),
        Copied::Outline => batch.copy_rare_outline(first),
    };
    let flags = if whole.shared { whole.flags.with(SpanFlags::SHARED) } else { whole.flags };
    batch.commit(SpanRow {
        trace_id,
        id: whole.id,
        parent: whole.parent.unwrap_or(SpanId::NONE),
        name,
        kind: whole.kind,
        flags,
        start: whole.start,
        duration: whole.duration,
        local,
        remote,
        resource,
        scope,
        extra,
    })
}

/// What is known of an endpoint that several pieces describe in part.
#[derive(Default)]
struct EndpointParts<'a> {
    service: &'a str,
    ipv4: Option<[u8; 4]>,
    ipv6: Option<[u8; 16]>,
    port: u16,
}

impl<'a> EndpointParts<'a> {
    /// Takes over what is new, unless something contradicts.
    fn try_merge(&mut self, endpoint: Option<EndpointRef<'a>>) -> bool {
        fn differ<T: PartialEq + Default>(a: &T, b: &T) -> bool {
            *a != T::default() && *b != T::default() && a != b
        }
        let Some(endpoint) = endpoint else { return true };
        if differ(&self.service, &endpoint.service)
            || differ(&self.ipv4, &endpoint.ipv4)
            || differ(&self.ipv6, &endpoint.ipv6)
            || differ(&self.port, &endpoint.port)
        {
            return false;
        }
        if self.service.is_empty() {
            self.service = endpoint.service;
        }
        self.ipv4 = self.ipv4.or(endpoint.ipv4);
        self.ipv6 = self.ipv6.or(endpoint.ipv6);
        self.port = if self.port == 0 { endpoint.port } else { self.port };
        true
    }
}

/// By id; shared spans last, client spans first; then by who recorded them, unknown first.
fn cleanup_order(a: SpanRef<'_>, b: SpanRef<'_>) -> Ordering {
    let rank = |span: SpanRef<'_>| match span.is_shared() {
        true => 2,
        false if span.kind() == Kind::Client => 0,
        false => 1,
    };
    a.id().cmp(&b.id()).then_with(|| rank(a).cmp(&rank(b))).then_with(|| compare_endpoints(a.local(), b.local()))
}

fn compare_endpoints(a: Option<EndpointRef<'_>>, b: Option<EndpointRef<'_>>) -> Ordering {
    fn unknown_last<T: Ord + Default + Copy>(a: T, b: T) -> Ordering {
        (a == T::default()).cmp(&(b == T::default())).then_with(|| a.cmp(&b))
    }
    match (a, b) {
        (Some(a), Some(b)) => unknown_last(a.service, b.service)
            .then_with(|| unknown_last(a.ipv4, b.ipv4))
            .then_with(|| unknown_last(a.ipv6, b.ipv6)),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}
