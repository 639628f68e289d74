//! Links between services, counted when a segment is written: those of the traces that begin in a block together, as if the
//! segment held all of each trace. Who asks later takes out the traces that lie in several parts.

use super::bytes::put_varint;
use super::codes::TextCodes;
use super::dictionary::{EndpointEntry, Role};
use super::dictionary_builder::DictionaryBuilder;
use super::rows::{Row, Rows};
use hashbrown::HashMap;
use std::ops::Range;
use tracewell_model::{
    DependencyLinker, Kind, LinkSpan, OwnedEndpoint, PlainLinker, Span, SpanBatch, SpanFlags, SpanId, StatusCode, Time,
    TraceId, Value,
};

/// See the module's text.
pub(super) struct LinkCounter {
    linker: PlainLinker,
    spans: Vec<LinkSpan>,
    /// By parent and child, texts of the dictionary: calls, and those that failed.
    counts: HashMap<(u32, u32), (u64, u64)>,
    entries: Vec<EndpointEntry>,
    /// Endpoints that differ in nothing that tells who recorded a span have one number.
    endpoints: Vec<u32>,
    /// By shape: whether it has a tag that says that the span failed.
    errors: Vec<bool>,
    blocks: Vec<u8>,
}

impl LinkCounter {
    pub(super) fn new(dictionary: &DictionaryBuilder) -> Self {
        let mut numbers: HashMap<EndpointEntry, u32> = HashMap::new();
        let (mut entries, mut endpoints) = (vec![], vec![]);
        for (code, entry) in (0u32..).zip(dictionary.endpoints.in_order()) {
            let entry = EndpointEntry { ipv4_text: 0, ..*entry };
            entries.push(entry);
            endpoints.push(if code == 0 { 0 } else { *numbers.entry(entry).or_insert(code) });
        }
        let is_error = |&attribute: &u32| {
            let (key, _) = &dictionary.values[attribute as usize];
            key.role == Role::Tag && dictionary.texts.get(key.key) == "error"
        };
        let shapes = 0..dictionary.shapes.len() as u32;
        let errors = shapes.map(|shape| dictionary.shapes.get(shape).iter().any(is_error)).collect();
        let (linker, spans, counts) = (PlainLinker::default(), vec![], HashMap::new());
        Self { linker, spans, counts, entries, endpoints, errors, blocks: vec![] }
    }

    /// Counts the links of a trace, which begins in the block that is being filled.
    pub(super) fn add_trace(&mut self, all: &Rows, rows: Range<usize>, dictionary: &mut DictionaryBuilder) {
        let Self { linker, spans, counts, entries, endpoints, errors, .. } = self;
        let rows = &all.rows[rows];
        spans.clear();
        spans.extend(rows.iter().map(|row| LinkSpan {
            id: row.id,
            parent: row.parent,
            kind: Kind::from_u8(row.kind as u8 & 7).unwrap_or_default(),
            is_shared: SpanFlags((row.kind >> 3) as u16).contains(SpanFlags::SHARED),
            is_error: errors[row.shape as usize] || failed(all, row),
            service: all.services[row.local as usize],
            remote: all.services[row.remote as usize],
            endpoint: endpoints[row.local as usize],
        }));
        let mut add = |parent: u32, child: u32, calls: u64, errors: u64| {
            let count = counts.entry((parent, child)).or_default();
            *count = (count.0 + calls, count.1 + errors);
        };
        if linker.link(spans, |parent, child, is_error| add(parent, child, 1, u64::from(is_error))) {
            return;
        }
        let batch = as_far_as_links_go(rows, spans, entries, &dictionary.texts);
        let spans: Vec<_> = batch.spans().collect();
        let mut linker = DependencyLinker::default();
        linker.put_trace(&spans);
        for link in linker.links() {
            // Services are among the texts already.
            let (parent, child) = (dictionary.texts.code(&link.parent), dictionary.texts.code(&link.child));
            add(parent, child, link.call_count, link.error_count);
        }
    }

    pub(super) fn end_block(&mut self) {
        let mut links: Vec<_> = self.counts.drain().collect();
        links.sort_unstable();
        put_varint(&mut self.blocks, links.len() as u64);
        for ((parent, child), (calls, errors)) in links {
            for number in [u64::from(parent), u64::from(child), calls, errors] {
                put_varint(&mut self.blocks, number);
            }
        }
    }

    /// The links of all blocks, one block after the other.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.blocks
    }
}

/// Spans of which pieces have to be merged, with all that decides about links: exact copies are pieces, too.
fn as_far_as_links_go(rows: &[Row], spans: &[LinkSpan], entries: &[EndpointEntry], texts: &TextCodes) -> SpanBatch {
    let endpoint = |code: u32| {
        let EndpointEntry { service, ipv4, ipv6, port, .. } = *entries.get(code as usize).filter(|_| code != 0)?;
        Some(OwnedEndpoint { service: texts.get(service).to_owned(), ipv4, ipv6, port, ipv4_text: String::new() })
    };
    let mut batch = SpanBatch::new();
    for (row, link) in rows.iter().zip(spans) {
        let span = Span {
            trace_id: TraceId::from_halves(row.trace_high, 1),
            id: SpanId::new(row.id),
            parent: Some(SpanId::new(row.parent)).filter(|_| row.parent != 0),
            kind: link.kind,
            shared: link.is_shared,
            start: row.has_start().then(|| Time::from_bits(row.start)),
            local: endpoint(row.local),
            remote: endpoint(row.remote),
            tags: if link.is_error { vec![("error".to_owned(), Value::Str(String::new()))] } else { vec![] },
            ..Span::default()
        };
        if batch.push_span(&span).is_err() {
            break; // cannot be: with less of each than the batches had in which they came
        }
    }
    batch
}

/// Whether OTLP's status says so.
fn failed(all: &Rows, row: &Row) -> bool {
    row.extra.1 > 0 && all.extras[row.extra.0 as usize] == StatusCode::Error as u8
}
