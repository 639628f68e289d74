//! A trace laid out for drawing: a merged tree in, the columns of docs/page-api.md out.

use super::summary::bounds;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use tracewell_model::{SpanBatch, SpanFlags, SpanRef, StatusCode, StrId, Time, TraceId, TraceTree};

const MAGIC: &[u8; 4] = b"TWT1";
/// Columns begin at multiples of this, so that the page can lay typed arrays over them.
const ALIGNMENT_BYTES: usize = 8;
const NO_SERVICE: u32 = u32::MAX;

/// A trace with more events is drawn without the ticks of the later rows; a span's own answer has them all.
const EVENTS_MAX: usize = 100_000;
/// Texts of events are for the list of events: a span's own answer has them whole.
const EVENT_TEXT_BYTES_MAX: usize = 300;
/// When this much of them is spent, the texts of further events stay empty.
const EVENT_TEXTS_BYTES_MAX: usize = 4 << 20;

const FLAG_ERROR: u8 = 1;
const FLAG_SHARED: u8 = 2;
const FLAG_DEBUG: u8 = 4;
const FLAG_PARENT_MISSING: u8 = 8;
const FLAG_NO_TIMESTAMP: u8 = 16;
const FLAG_NO_DURATION: u8 = 32;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Header<'a> {
    trace_id: String,
    span_count: usize,
    start: u64,
    duration: u64,
    services: &'a [&'a str],
    names: &'a [&'a str],
    missing_parents: usize,
    event_count: usize,
    event_texts: &'a [String],
    columns: BTreeMap<&'static str, ColumnPlace>,
}

/// Where a column lies. With a `divisor` its values are to be divided by that.
#[derive(Serialize)]
struct ColumnPlace {
    r#type: &'static str,
    offset: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    divisor: Option<u32>,
}

/// The trace's bytes; `order` is the tree's depth-first one.
pub(super) fn layout(trace_id: TraceId, tree: &TraceTree<'_>, order: &[(u32, u32)]) -> Vec<u8> {
    let (start, end) = bounds(tree);
    let columns = Columns::fill(tree, order, start);
    let mut written = Written::default();
    columns.write(&mut written);
    let header = Header {
        trace_id: trace_id.to_string(),
        span_count: tree.len(),
        start: start.as_micros(),
        duration: end.saturating_sub(start).as_micros(),
        services: &columns.services.texts,
        names: &columns.names.texts,
        missing_parents: tree.nodes.iter().filter(|node| node.parent_missing).count(),
        event_count: columns.event_row.len(),
        event_texts: &columns.event_texts.texts,
        columns: written.places,
    };
    let mut header = serde_json::to_vec(&header).unwrap_or_default();
    header.resize(header.len().next_multiple_of(ALIGNMENT_BYTES), b' ');
    let mut out = Vec::with_capacity(MAGIC.len() + 4 + header.len() + written.bytes.len());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&(header.len() as u32).to_le_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(&written.bytes);
    out
}

/// The columns, a value a row, depth first.
#[derive(Default)]
struct Columns<'a> {
    /// Nanoseconds after the trace's start.
    start: Vec<u64>,
    /// Nanoseconds.
    duration: Vec<u64>,
    subtree: Vec<u32>,
    depth: Vec<u32>,
    service: Vec<u32>,
    name: Vec<u32>,
    remote: Vec<u32>,
    kind: Vec<u8>,
    flags: Vec<u8>,
    events: Vec<u32>,
    /// One an event, by row and time.
    event_row: Vec<u32>,
    event_time: Vec<f64>,
    event_text: Vec<u32>,
    services: Texts<'a>,
    names: Texts<'a>,
    event_texts: EventTexts,
}

impl<'a> Columns<'a> {
    fn fill(tree: &'a TraceTree<'_>, order: &[(u32, u32)], trace_start: Time) -> Self {
        let mut columns = Self { subtree: subtrees(order), ..Self::default() };
        columns.reserve(order.len());
        let mut numbers = Numbers::default();
        // A row's parent is the last row above it that is one less deep.
        let mut starts_by_depth: Vec<u64> = vec![];
        for &(node, depth) in order {
            let span = tree.span(node as usize);
            starts_by_depth.truncate(depth as usize);
            let inherited = starts_by_depth.last().copied().unwrap_or(0);
            let start = span.start().map_or(inherited, |start| start.saturating_sub(trace_start).as_nanos());
            starts_by_depth.push(start);
            columns.push_events(span, trace_start);
            columns.push(span, numbers.of(span.batch()), start, depth, tree.nodes[node as usize].parent_missing);
        }
        columns
    }

    fn reserve(&mut self, rows: usize) {
        let Self { start, duration, depth, service, name, remote, kind, flags, events, .. } = self;
        [start, duration].into_iter().for_each(|column| column.reserve(rows));
        [depth, service, name, remote, events].into_iter().for_each(|column| column.reserve(rows));
        [kind, flags].into_iter().for_each(|column| column.reserve(rows));
    }

    fn push_events(&mut self, span: SpanRef<'a>, trace_start: Time) {
        let from = self.event_row.len();
        for event in span.annotations().take(EVENTS_MAX - from) {
            // An event may stand before the first start: clocks differ.
            let after = event.time.as_nanos() as f64 - trace_start.as_nanos() as f64;
            self.event_row.push(self.start.len() as u32);
            self.event_time.push(after / 1000.0);
            self.event_text.push(self.event_texts.number(event.value));
        }
        if self.event_time[from..].is_sorted() {
            return;
        }
        let mut sorted: Vec<_> = self.event_time.drain(from..).zip(self.event_text.drain(from..)).collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (time, text) in sorted {
            self.event_time.push(time);
            self.event_text.push(text);
        }
    }

    fn push(&mut self, span: SpanRef<'a>, numbers: &mut BatchNumbers, start: u64, depth: u32, parent_missing: bool) {
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        let flags = span.flags();
        self.start.push(start);
        self.duration.push(span.duration().map_or(0, Time::as_nanos));
        self.depth.push(depth);
        let (local, remote) = (span.local_id(), span.remote_id());
        let service = known(&mut numbers.services, local.0, || self.services.number(span.service_name()));
        let remote = known(&mut numbers.remotes, remote.0, || match span.remote_service_name() {
            "" => NO_SERVICE,
            remote => self.services.number(remote),
        });
        self.service.push(service);
        self.remote.push(remote);
        self.name.push(known(&mut numbers.names, span.name_id().0, || self.names.number(span.name())));
        self.kind.push(span.kind() as u8);
        self.flags.push(
            flag(numbers.is_error(span), FLAG_ERROR)
                | flag(flags.contains(SpanFlags::SHARED), FLAG_SHARED)
                | flag(flags.contains(SpanFlags::DEBUG), FLAG_DEBUG)
                | flag(parent_missing, FLAG_PARENT_MISSING)
                | flag(!flags.contains(SpanFlags::HAS_START), FLAG_NO_TIMESTAMP)
                | flag(!flags.contains(SpanFlags::HAS_DURATION), FLAG_NO_DURATION),
        );
        self.events.push(span.annotations().len() as u32);
    }

    fn write(&self, out: &mut Written) {
        out.times("start", &self.start);
        out.times("duration", &self.duration);
        out.numbers("subtree", &self.subtree, None);
        out.numbers("depth", &self.depth, None);
        out.numbers("service", &self.service, None);
        out.numbers("name", &self.name, None);
        out.numbers("remote", &self.remote, Some(NO_SERVICE));
        out.numbers("events", &self.events, None);
        out.f64s("eventTime", &self.event_time);
        out.numbers("eventRow", &self.event_row, None);
        out.numbers("eventText", &self.event_text, None);
        out.u8s("kind", &self.kind);
        out.u8s("flags", &self.flags);
    }
}

/// The columns as bytes, each in the smallest type that holds its values.
#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    places: BTreeMap<&'static str, ColumnPlace>,
}

impl Written {
    /// Room for a column.
    fn column(&mut self, name: &'static str, r#type: &'static str, len: usize, divisor: Option<u32>) -> &mut [u8] {
        let offset = self.bytes.len().next_multiple_of(ALIGNMENT_BYTES);
        self.bytes.resize(offset + len, 0);
        self.places.insert(name, ColumnPlace { r#type, offset, divisor });
        &mut self.bytes[offset..]
    }

    fn u8s(&mut self, name: &'static str, values: &[u8]) {
        self.column(name, "u8", values.len(), None).copy_from_slice(values);
    }

    fn f64s(&mut self, name: &'static str, values: &[f64]) {
        let column = self.column(name, "f64", values.len() * 8, None);
        column.as_chunks_mut().0.iter_mut().zip(values).for_each(|(bytes, value)| *bytes = value.to_le_bytes());
    }

    /// `none` is written as the type's largest number.
    fn numbers(&mut self, name: &'static str, values: &[u32], none: Option<u32>) {
        let most = values.iter().copied().filter(|value| Some(*value) != none).max().unwrap_or(0);
        let reserved = u32::from(none.is_some());
        if most + reserved <= u32::from(u8::MAX) {
            let column = self.column(name, "u8", values.len(), None);
            column.iter_mut().zip(values).for_each(|(byte, value)| *byte = *value as u8);
        } else if most + reserved <= u32::from(u16::MAX) {
            let column = self.column(name, "u16", values.len() * 2, None).as_chunks_mut().0;
            column.iter_mut().zip(values).for_each(|(bytes, value)| *bytes = (*value as u16).to_le_bytes());
        } else {
            let column = self.column(name, "u32", values.len() * 4, None).as_chunks_mut().0;
            column.iter_mut().zip(values).for_each(|(bytes, value)| *bytes = value.to_le_bytes());
        }
    }

    /// Nanoseconds, as microseconds: whole ones where all are, else thousandths where they fit.
    fn times(&mut self, name: &'static str, nanos: &[u64]) {
        let most = nanos.iter().copied().max().unwrap_or(0);
        let whole = nanos.iter().all(|nanos| nanos % 1000 == 0);
        let (unit, divisor) = if whole { (1000, None) } else { (1, Some(1000)) };
        if most / unit > u64::from(u32::MAX) {
            let micros: Vec<f64> = nanos.iter().map(|&nanos| nanos as f64 / 1000.0).collect();
            return self.f64s(name, &micros);
        }
        let column = self.column(name, "u32", nanos.len() * 4, divisor).as_chunks_mut().0;
        column.iter_mut().zip(nanos).for_each(|(bytes, nanos)| *bytes = ((nanos / unit) as u32).to_le_bytes());
    }
}

const UNKNOWN: u32 = u32::MAX - 1;

/// What the texts of the spans' batches are here, so that a text is looked up once a batch.
#[derive(Default)]
struct Numbers {
    batches: HashMap<*const SpanBatch, usize>,
    numbers: Vec<BatchNumbers>,
}

/// By the numbers of a batch's table.
struct BatchNumbers {
    names: Vec<u32>,
    services: Vec<u32>,
    remotes: Vec<u32>,
    error: Option<StrId>,
}

impl Numbers {
    fn of(&mut self, batch: &SpanBatch) -> &mut BatchNumbers {
        let at = *self.batches.entry(std::ptr::from_ref(batch)).or_insert_with(|| {
            self.numbers.push(BatchNumbers {
                names: vec![UNKNOWN; batch.interned_len()],
                services: vec![UNKNOWN; batch.endpoints_len() + 1],
                remotes: vec![UNKNOWN; batch.endpoints_len() + 1],
                error: batch.find_interned("error"),
            });
            self.numbers.len() - 1
        });
        &mut self.numbers[at]
    }
}

impl BatchNumbers {
    /// [`SpanRef::is_error`], without looking at the texts of keys.
    fn is_error(&self, span: SpanRef<'_>) -> bool {
        span.status() == StatusCode::Error || self.error.is_some_and(|error| span.tags().has_key(error))
    }
}

/// What is known of a number, else what `find` says.
fn known(table: &mut [u32], number: u32, find: impl FnOnce() -> u32) -> u32 {
    let known = &mut table[number as usize];
    if *known == UNKNOWN {
        *known = find();
    }
    *known
}

/// How many rows each row's subtree has.
fn subtrees(order: &[(u32, u32)]) -> Vec<u32> {
    let mut sizes = vec![1u32; order.len()];
    let mut open: Vec<usize> = vec![];
    for (row, &(_, depth)) in order.iter().enumerate() {
        while open.last().is_some_and(|&above| order[above].1 >= depth) {
            close(&mut open, &mut sizes);
        }
        open.push(row);
    }
    while !open.is_empty() {
        close(&mut open, &mut sizes);
    }
    sizes
}

fn close(open: &mut Vec<usize>, sizes: &mut [u32]) {
    if let Some(row) = open.pop()
        && let Some(&above) = open.last()
    {
        sizes[above] += sizes[row];
    }
}

/// Texts, each once, by number.
#[derive(Default)]
struct Texts<'a> {
    texts: Vec<&'a str>,
    numbers: HashMap<&'a str, u32>,
}

impl<'a> Texts<'a> {
    fn number(&mut self, text: &'a str) -> u32 {
        *self.numbers.entry(text).or_insert_with(|| {
            self.texts.push(text);
            self.texts.len() as u32 - 1
        })
    }
}

/// Texts of events, each once, cut to what a list shows.
#[derive(Default)]
struct EventTexts {
    texts: Vec<String>,
    numbers: HashMap<String, u32>,
    bytes: usize,
}

impl EventTexts {
    fn number(&mut self, text: &str) -> u32 {
        let text = match text.len() > EVENT_TEXT_BYTES_MAX {
            true => &text[..text.floor_char_boundary(EVENT_TEXT_BYTES_MAX)],
            false => text,
        };
        let text = if self.bytes + text.len() > EVENT_TEXTS_BYTES_MAX { "" } else { text };
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        self.bytes += text.len();
        let number = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracewell_model::{Kind, OwnedAnnotation, OwnedEndpoint, Span, SpanBatch, SpanId};

    fn endpoint(service: &str) -> Option<OwnedEndpoint> {
        Some(OwnedEndpoint { service: service.to_owned(), ..OwnedEndpoint::default() })
    }

    fn trace() -> SpanBatch {
        let base = Span { trace_id: TraceId::new(7), ..Span::default() };
        let at = |us| Some(Time::from_micros(us));
        let event = OwnedAnnotation { time: Time::from_micros(3), value: "event".to_owned(), details: vec![] };
        let spans = [
            Span {
                id: SpanId::new(1),
                name: "root".into(),
                start: at(1000),
                duration: at(50),
                local: endpoint("a"),
                ..base.clone()
            },
            Span {
                id: SpanId::new(2),
                parent: Some(SpanId::new(1)),
                name: "late".into(),
                start: at(1020),
                kind: Kind::Client,
                remote: endpoint("b"),
                ..base.clone()
            },
            Span {
                id: SpanId::new(3),
                parent: Some(SpanId::new(1)),
                name: "root".into(),
                start: at(1010),
                local: endpoint("a"),
                annotations: vec![event],
                ..base.clone()
            },
            Span { id: SpanId::new(4), parent: Some(SpanId::new(3)), ..base.clone() },
            Span { id: SpanId::new(5), parent: Some(SpanId::new(99)), start: at(1030), debug: true, ..base },
        ];
        let mut batch = SpanBatch::new();
        spans.iter().for_each(|span| batch.push_span(span).unwrap());
        batch
    }

    fn laid_out(batch: &SpanBatch) -> Vec<u8> {
        let spans: Vec<_> = batch.spans().collect();
        let tree = TraceTree::build(&spans);
        layout(TraceId::new(7), &tree, &tree.depth_first())
    }

    /// A column's numbers, whatever it is written as.
    fn column(bytes: &[u8], header: &serde_json::Value, from: usize, name: &str) -> Vec<f64> {
        let place = &header["columns"][name];
        let offset = place["offset"].as_u64().unwrap() as usize;
        assert_eq!(offset % ALIGNMENT_BYTES, 0, "{name}");
        let count = header["spanCount"].as_u64().unwrap() as usize;
        let bytes = &bytes[from + offset..];
        let values: Vec<f64> = match place["type"].as_str().unwrap() {
            "u8" => bytes.iter().take(count).map(|&byte| byte.into()).collect(),
            "u16" => bytes.as_chunks().0.iter().take(count).map(|&bytes| u16::from_le_bytes(bytes).into()).collect(),
            "u32" => bytes.as_chunks().0.iter().take(count).map(|&bytes| u32::from_le_bytes(bytes).into()).collect(),
            _ => bytes.as_chunks().0.iter().take(count).map(|&bytes| f64::from_le_bytes(bytes)).collect(),
        };
        values.into_iter().map(|value| value / place["divisor"].as_f64().unwrap_or(1.0)).collect()
    }

    fn parts(bytes: &[u8]) -> (serde_json::Value, usize) {
        assert_eq!(&bytes[..4], MAGIC);
        let length = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        assert_eq!(length % ALIGNMENT_BYTES, 0);
        (serde_json::from_slice(&bytes[8..8 + length]).unwrap(), 8 + length)
    }

    #[test]
    fn rows_are_depth_first_and_siblings_by_start() {
        let bytes = laid_out(&trace());
        let (header, from) = parts(&bytes);
        assert_eq!(header["traceId"], "0000000000000007");
        assert_eq!((&header["start"], &header["duration"]), (&1000.into(), &50.into()));
        assert_eq!(header["missingParents"], 1);
        let of = |name| column(&bytes, &header, from, name);
        let numbers = |name| of(name).into_iter().map(|value| value as u32).collect::<Vec<_>>();
        assert_eq!(numbers("depth"), [0, 1, 2, 1, 0]);
        assert_eq!(numbers("subtree"), [4, 2, 1, 1, 1]);
        assert_eq!(of("start"), [0.0, 10.0, 10.0, 20.0, 30.0], "the span without a start has its parent's");
        assert_eq!(of("duration"), [50.0, 0.0, 0.0, 0.0, 0.0]);
        let texts = |list: &str, name| {
            let number = |at: u32| header[list][at as usize].as_str().unwrap_or("-").to_owned();
            numbers(name).into_iter().map(number).collect::<Vec<_>>()
        };
        assert_eq!(texts("names", "name"), ["root", "root", "", "late", ""]);
        assert_eq!(texts("services", "service"), ["a", "a", "", "", ""]);
        assert_eq!(texts("services", "remote"), ["-", "-", "-", "b", "-"]);
        assert_eq!(numbers("kind"), [0, 0, 0, 2, 0]);
        let none = u32::from(FLAG_NO_DURATION);
        let (missing, debug) = (u32::from(FLAG_PARENT_MISSING), u32::from(FLAG_DEBUG));
        assert_eq!(numbers("flags"), [0, none, none | u32::from(FLAG_NO_TIMESTAMP), none, none | missing | debug]);
        assert_eq!(numbers("events"), [0, 1, 0, 0, 0]);
        assert_eq!(header["eventCount"], 1);
        assert_eq!(header["eventTexts"][0], "event");
        let event = |name| header["columns"][name]["offset"].as_u64().unwrap() as usize + from;
        assert_eq!(bytes[event("eventRow")], 1);
        assert_eq!(bytes[event("eventTime")..][..8], (-997.0f64).to_le_bytes(), "before the first start");
        assert_eq!(bytes[event("eventText")], 0);
    }

    #[test]
    fn columns_are_as_wide_as_their_values() {
        let mut written = Written::default();
        let types = |written: &Written, name| (written.places[name].r#type, written.places[name].divisor);
        written.numbers("small", &[0, 254, NO_SERVICE], Some(NO_SERVICE));
        written.numbers("middle", &[255, NO_SERVICE], Some(NO_SERVICE));
        written.numbers("large", &[65_536], None);
        written.times("whole", &[1000, u64::from(u32::MAX) * 1000]);
        written.times("parts", &[1001, u64::from(u32::MAX)]);
        written.times("long", &[1001, u64::from(u32::MAX) + 1]);
        let found = ["small", "middle", "large", "whole", "parts", "long"].map(|name| types(&written, name));
        let expected = [("u8", None), ("u16", None), ("u32", None), ("u32", None), ("u32", Some(1000)), ("f64", None)];
        assert_eq!(found, expected);
        assert_eq!(written.bytes[..3], [0, 254, 255], "none is the largest number of its type");
        assert_eq!(written.bytes[8..12], [255, 0, 255, 255]);
    }

    #[test]
    fn texts_of_events_are_cut() {
        let mut texts = EventTexts::default();
        assert_eq!(texts.number(&"ä".repeat(400)), 0);
        assert_eq!(texts.texts[0].len(), EVENT_TEXT_BYTES_MAX);
        assert_eq!(texts.number("short"), 1);
        assert_eq!(texts.number("short"), 1);
        texts.bytes = EVENT_TEXTS_BYTES_MAX;
        assert_eq!(texts.number("no room"), 2);
        assert_eq!(texts.texts[2], "");
    }
}
