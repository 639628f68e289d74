//! A trace laid out for drawing: a merged tree in, the columns of docs/page-api.md out.

use super::summary::bounds;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use tracewell_model::{SpanFlags, SpanRef, Time, TraceId, TraceTree};

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

#[derive(Serialize)]
struct ColumnPlace {
    r#type: &'static str,
    offset: usize,
}

/// The trace's bytes.
pub(super) fn layout(trace_id: TraceId, tree: &TraceTree) -> Vec<u8> {
    let columns = Columns::fill(tree);
    let mut bytes = Vec::new();
    let mut places = BTreeMap::new();
    columns.write(&mut bytes, &mut places);
    let (start, end) = bounds(&tree.spans);
    let header = Header {
        trace_id: trace_id.to_string(),
        span_count: tree.spans.len(),
        start: start.as_micros(),
        duration: end.saturating_sub(start).as_micros(),
        services: &columns.services.texts,
        names: &columns.names.texts,
        missing_parents: tree.nodes.iter().filter(|node| node.parent_missing).count(),
        event_count: columns.event_row.len(),
        event_texts: &columns.event_texts.texts,
        columns: places,
    };
    let mut header = serde_json::to_vec(&header).unwrap_or_default();
    header.resize(header.len().next_multiple_of(ALIGNMENT_BYTES), b' ');
    let mut out = Vec::with_capacity(MAGIC.len() + 4 + header.len() + bytes.len());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&(header.len() as u32).to_le_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(&bytes);
    out
}

/// The columns, a value a row, depth first.
#[derive(Default)]
struct Columns<'a> {
    start: Vec<f64>,
    duration: Vec<f64>,
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
    fn fill(tree: &'a TraceTree) -> Self {
        let (trace_start, _) = bounds(&tree.spans);
        let order = tree.depth_first();
        let mut columns = Self { subtree: subtrees(&order), ..Self::default() };
        // A row's parent is the last row above it that is one less deep.
        let mut starts_by_depth: Vec<f64> = vec![];
        for (node, depth) in order {
            let span = tree.spans.span(node);
            starts_by_depth.truncate(depth as usize);
            let inherited = starts_by_depth.last().copied().unwrap_or(0.0);
            let after = |start: Time| start.saturating_sub(trace_start).as_nanos() as f64 / 1000.0;
            let start = span.start().map_or(inherited, after);
            starts_by_depth.push(start);
            columns.push_events(span, trace_start);
            columns.push(span, start, depth, tree.nodes[node].parent_missing);
        }
        columns
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

    fn push(&mut self, span: SpanRef<'a>, start: f64, depth: u32, parent_missing: bool) {
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        let remote = span.remote_service_name();
        self.start.push(start);
        self.duration.push(span.duration().map_or(0.0, |duration| duration.as_nanos() as f64 / 1000.0));
        self.depth.push(depth);
        self.service.push(self.services.number(span.service_name()));
        self.name.push(self.names.number(span.name()));
        self.remote.push(if remote.is_empty() { NO_SERVICE } else { self.services.number(remote) });
        self.kind.push(span.kind() as u8);
        self.flags.push(
            flag(span.is_error(), FLAG_ERROR)
                | flag(span.is_shared(), FLAG_SHARED)
                | flag(span.flags().contains(SpanFlags::DEBUG), FLAG_DEBUG)
                | flag(parent_missing, FLAG_PARENT_MISSING)
                | flag(span.start().is_none(), FLAG_NO_TIMESTAMP)
                | flag(span.duration().is_none(), FLAG_NO_DURATION),
        );
        self.events.push(span.annotations().len() as u32);
    }

    fn write(&self, out: &mut Vec<u8>, places: &mut BTreeMap<&'static str, ColumnPlace>) {
        let mut column = |name, r#type, bytes: Vec<u8>| {
            out.resize(out.len().next_multiple_of(ALIGNMENT_BYTES), 0);
            places.insert(name, ColumnPlace { r#type, offset: out.len() });
            out.extend_from_slice(&bytes);
        };
        let f64s = |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let u32s = |values: &[u32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
        column("start", "f64", f64s(&self.start));
        column("duration", "f64", f64s(&self.duration));
        column("subtree", "u32", u32s(&self.subtree));
        column("depth", "u32", u32s(&self.depth));
        column("service", "u32", u32s(&self.service));
        column("name", "u32", u32s(&self.name));
        column("remote", "u32", u32s(&self.remote));
        column("events", "u32", u32s(&self.events));
        column("eventTime", "f64", f64s(&self.event_time));
        column("eventRow", "u32", u32s(&self.event_row));
        column("eventText", "u32", u32s(&self.event_text));
        column("kind", "u8", self.kind.clone());
        column("flags", "u8", self.flags.clone());
    }
}

/// How many rows each row's subtree has.
fn subtrees(order: &[(usize, u32)]) -> Vec<u32> {
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

    fn column<const N: usize>(bytes: &[u8], header: &serde_json::Value, from: usize, name: &str) -> Vec<[u8; N]> {
        let offset = from + header["columns"][name]["offset"].as_u64().unwrap() as usize;
        assert_eq!(offset % ALIGNMENT_BYTES, 0, "{name}");
        let count = header["spanCount"].as_u64().unwrap() as usize;
        bytes[offset..offset + count * N].as_chunks().0.to_vec()
    }

    #[test]
    fn rows_are_depth_first_and_siblings_by_start() {
        let batch = trace();
        let spans: Vec<_> = batch.spans().collect();
        let bytes = layout(TraceId::new(7), &TraceTree::build(&spans));
        assert_eq!(&bytes[..4], MAGIC);
        let length = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        assert_eq!(length % ALIGNMENT_BYTES, 0);
        let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        assert_eq!(header["traceId"], "0000000000000007");
        assert_eq!((&header["start"], &header["duration"]), (&1000.into(), &50.into()));
        assert_eq!(header["missingParents"], 1);
        let u32s = |name| {
            column::<4>(&bytes, &header, 8 + length, name).into_iter().map(u32::from_le_bytes).collect::<Vec<_>>()
        };
        let f64s = |name| {
            column::<8>(&bytes, &header, 8 + length, name).into_iter().map(f64::from_le_bytes).collect::<Vec<_>>()
        };
        let u8s =
            |name| column::<1>(&bytes, &header, 8 + length, name).into_iter().map(|[byte]| byte).collect::<Vec<_>>();
        assert_eq!(u32s("depth"), [0, 1, 2, 1, 0]);
        assert_eq!(u32s("subtree"), [4, 2, 1, 1, 1]);
        assert_eq!(f64s("start"), [0.0, 10.0, 10.0, 20.0, 30.0], "the span without a start has its parent's");
        assert_eq!(f64s("duration"), [50.0, 0.0, 0.0, 0.0, 0.0]);
        let texts = |list: &str, name| {
            let number = |at: u32| header[list][at as usize].as_str().unwrap_or("-").to_owned();
            u32s(name).into_iter().map(number).collect::<Vec<_>>()
        };
        assert_eq!(texts("names", "name"), ["root", "root", "", "late", ""]);
        assert_eq!(texts("services", "service"), ["a", "a", "", "", ""]);
        assert_eq!(texts("services", "remote"), ["-", "-", "-", "b", "-"]);
        assert_eq!(u8s("kind"), [0, 0, 0, 2, 0]);
        let none = FLAG_NO_DURATION;
        assert_eq!(u8s("flags"), [0, none, none | FLAG_NO_TIMESTAMP, none, none | FLAG_PARENT_MISSING | FLAG_DEBUG]);
        assert_eq!(u32s("events"), [0, 1, 0, 0, 0]);
        assert_eq!(header["eventCount"], 1);
        assert_eq!(header["eventTexts"][0], "event");
        let event = |name| header["columns"][name]["offset"].as_u64().unwrap() as usize + 8 + length;
        assert_eq!(bytes[event("eventRow")..][..4], 1u32.to_le_bytes());
        assert_eq!(bytes[event("eventTime")..][..8], (-997.0f64).to_le_bytes(), "before the first start");
        assert_eq!(bytes[event("eventText")..][..4], 0u32.to_le_bytes());
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
