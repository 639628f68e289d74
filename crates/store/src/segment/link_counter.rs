//! Links between services, counted when a segment is written: those of the traces that begin in a block together, as if the
//! segment held all of each trace. Who asks later takes out the traces that lie in several parts, and adds those in which spans
//! have to be merged first: they are named instead.

use super::bytes::put_varint;
use super::dictionary::{EndpointEntry, Role};
use super::dictionary_builder::DictionaryBuilder;
use super::rows::{Row, Rows};
use hashbrown::HashMap;
use std::ops::Range;
use tracewell_model::{Kind, LinkSpan, PlainLinker, SpanFlags, StatusCode};

/// See the module's text.
pub(super) struct LinkCounter {
    linker: PlainLinker,
    spans: Vec<LinkSpan>,
    /// By parent and child, texts of the dictionary: calls, and those that failed.
    counts: HashMap<(u32, u32), (u64, u64)>,
    /// Endpoints that differ in nothing that tells who recorded a span have one number.
    endpoints: Vec<u32>,
    /// By shape: whether it has a tag that says that the span failed.
    errors: Vec<bool>,
    /// Of the block: traces that begin in it, and those among them whose links are not counted.
    traces: u32,
    odd: Vec<u32>,
    blocks: Vec<u8>,
}

impl LinkCounter {
    pub(super) fn new(dictionary: &DictionaryBuilder) -> Self {
        let mut numbers: HashMap<EndpointEntry, u32> = HashMap::new();
        let mut endpoints = vec![];
        for (code, entry) in (0u32..).zip(dictionary.endpoints.in_order()) {
            let entry = EndpointEntry { ipv4_text: 0, ..*entry };
            endpoints.push(if code == 0 { 0 } else { *numbers.entry(entry).or_insert(code) });
        }
        let is_error = |&attribute: &u32| {
            let (key, _) = &dictionary.values[attribute as usize];
            key.role == Role::Tag && dictionary.texts.get(key.key) == "error"
        };
        let shapes = 0..dictionary.shapes.len() as u32;
        let errors = shapes.map(|shape| dictionary.shapes.get(shape).iter().any(is_error)).collect();
        let (linker, spans, counts) = (PlainLinker::default(), vec![], HashMap::new());
        Self { linker, spans, counts, endpoints, errors, traces: 0, odd: vec![], blocks: vec![] }
    }

    /// Counts the links of a trace, which begins in the block that is being filled.
    pub(super) fn add_trace(&mut self, all: &Rows, rows: Range<usize>) {
        self.traces += 1;
        let Self { linker, spans, counts, endpoints, errors, .. } = self;
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
        let plain = linker.link(spans, |parent, child, is_error| {
            let count = counts.entry((parent, child)).or_default();
            *count = (count.0 + 1, count.1 + u64::from(is_error));
        });
        if plain {
            return;
        }
        self.odd.push(self.traces - 1);
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
        put_varint(&mut self.blocks, self.odd.len() as u64);
        self.odd.iter().for_each(|&trace| put_varint(&mut self.blocks, u64::from(trace)));
        self.odd.clear();
        self.traces = 0;
    }

    /// The links of all blocks, one block after the other.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.blocks
    }
}

/// Whether OTLP's status says so.
fn failed(all: &Rows, row: &Row) -> bool {
    row.extra.1 > 0 && all.extras[row.extra.0 as usize] == StatusCode::Error as u8
}
