//! The first pass of sealing: batches in order of arrival, as their memory lies, become rows in the order of the segment, in
//! the segment's numbers. Every text is hashed here, once; dictionaries are whole when it ends, and the blocks behind it
//! copy numbers only.

use super::bytes::zigzag;
use super::dictionary::{AttributeKey, EndpointEntry, Role, ValueType};
use super::dictionary_builder::DictionaryBuilder;
use super::rare::{put_extra, put_resource, put_scope};
use super::terms::duration_bucket;
use crate::memtable::RowsByTrace;
use std::ops::Range;
use std::sync::Arc;
use tracewell_model::{EndpointId, EndpointRef, ResourceRef, SpanBatch, SpanId, SpanRef, StrId, Time, ValueRef};

/// A span in the numbers of the segment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Row {
    pub(super) trace_high: u64,
    pub(super) id: u64,
    pub(super) parent: u64,
    /// The bits of the model's time.
    pub(super) start: u64,
    pub(super) duration: u64,
    /// Where the span lies.
    pub(super) batch: u32,
    pub(super) row: u32,
    pub(super) name: u32,
    pub(super) local: u32,
    pub(super) remote: u32,
    pub(super) shape: u32,
    pub(super) resource: u32,
    pub(super) scope: u32,
    /// Of `values`, the first.
    pub(super) values: u32,
    /// Of `annotations`: the first, and how many.
    pub(super) annotations: (u32, u32),
    /// Of `extras`: from where, and how long.
    pub(super) extra: (u32, u32),
    /// How long its texts and bytes are.
    pub(super) text_bytes: u32,
    /// Kind in the lower three bits, above them the flags.
    pub(super) kind: u32,
    pub(super) has_start: bool,
    /// Of its duration; then of the longest of its service in its trace.
    pub(super) bucket: u8,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct AnnotationRow {
    pub(super) time: u64,
    pub(super) shape: u32,
    /// The number of its text, if the dictionary of texts is kept.
    pub(super) code: u32,
    /// Of `annotation_values`, the first of its attributes.
    pub(super) values: u32,
}

/// All spans of a segment.
pub(super) struct Rows {
    /// Where texts are.
    pub(super) batches: Vec<Arc<SpanBatch>>,
    pub(super) rows: Vec<Row>,
    /// Of tags, in the order of rows and of the shape: numbers of texts, bits of numbers, zero for bytes.
    pub(super) values: Vec<u64>,
    pub(super) annotations: Vec<AnnotationRow>,
    /// The same of the attributes of annotations, in order of arrival.
    pub(super) annotation_values: Vec<u64>,
    pub(super) extras: Vec<u8>,
    /// The service of each endpoint, as a text.
    pub(super) services: Vec<u32>,
    /// The attribute that the texts of annotations are.
    pub(super) annotation_text: Option<u32>,
}

impl Rows {
    /// Says of each row of a trace how long the longest of its service there is. `longest` is a zero for each text.
    pub(super) fn spread_longest(&mut self, trace: Range<usize>, longest: &mut [u8]) {
        let Self { rows, services, .. } = self;
        let rows = &mut rows[trace];
        for row in rows.iter() {
            let longest = &mut longest[services[row.local as usize] as usize];
            *longest = row.bucket.max(*longest);
        }
        for row in rows.iter_mut() {
            row.bucket = longest[services[row.local as usize] as usize];
        }
        for row in rows.iter() {
            longest[services[row.local as usize] as usize] = 0;
        }
    }
}

/// Reads all spans and fills the dictionaries.
pub(super) fn read_rows(sealed: &RowsByTrace, dictionary: &mut DictionaryBuilder) -> Rows {
    let (firsts, values) = places_of_values(sealed);
    let rows = Rows {
        batches: sealed.batches.clone(),
        rows: vec![Row::default(); sealed.places.len()],
        values: vec![0; values],
        annotations: vec![],
        annotation_values: vec![],
        extras: vec![],
        services: vec![0],
        annotation_text: None,
    };
    let mut reader = BatchReader { dictionary, rows, codes: BatchCodes::default(), shape: vec![] };
    let mut places = sealed.places.iter();
    for (at, batch) in (0u32..).zip(&sealed.batches) {
        reader.codes.begin(batch);
        for (span, &place) in batch.spans().zip(places.by_ref()) {
            let row = reader.read_span(at, span, firsts[place as usize]);
            reader.rows.rows[place as usize] = row;
        }
    }
    let rows = reader.rows;
    dictionary.end();
    rows
}

/// Where the values of each row's tags begin, and how many there are.
fn places_of_values(sealed: &RowsByTrace) -> (Vec<u32>, usize) {
    let mut firsts = vec![0u32; sealed.places.len()];
    let spans = sealed.batches.iter().flat_map(|batch| batch.spans());
    for (span, &place) in spans.zip(&sealed.places) {
        firsts[place as usize] = span.tags().len() as u32;
    }
    let mut next = 0u32;
    for first in &mut firsts {
        next += std::mem::replace(first, next);
    }
    (firsts, next as usize)
}

struct BatchReader<'a> {
    dictionary: &'a mut DictionaryBuilder,
    rows: Rows,
    codes: BatchCodes,
    shape: Vec<u32>,
}

const UNKNOWN: u32 = u32::MAX;
const TYPES: usize = 6;

/// A batch's numbers as the segment's, as far as they are known.
#[derive(Default)]
struct BatchCodes {
    texts: Vec<u32>,
    endpoints: Vec<u32>,
    resources: Vec<u32>,
    scopes: Vec<u32>,
    /// By key and type.
    tags: Vec<u32>,
}

impl BatchCodes {
    fn begin(&mut self, batch: &SpanBatch) {
        let Self { texts, endpoints, resources, scopes, tags } = self;
        let sizes = [batch.interned_len(), batch.endpoints_len() + 1, 0, 0, batch.interned_len() * TYPES];
        for (codes, size) in [texts, endpoints, resources, scopes, tags].into_iter().zip(sizes) {
            codes.clear();
            codes.resize(size, UNKNOWN);
        }
    }
}

/// The place of a number in a table that grows.
fn slot(codes: &mut Vec<u32>, at: u32) -> &mut u32 {
    let at = at as usize;
    if codes.len() <= at {
        codes.resize(at + 1, UNKNOWN);
    }
    &mut codes[at]
}

impl BatchReader<'_> {
    fn read_span(&mut self, batch: u32, span: SpanRef<'_>, values: u32) -> Row {
        let mut row = Row {
            trace_high: span.trace_id().high(),
            id: span.id().value(),
            parent: span.parent().map_or(0, SpanId::value),
            start: span.start().map_or(0, Time::to_bits),
            duration: span.duration().map_or(0, Time::to_bits),
            batch,
            row: span.row() as u32,
            name: self.text(span.batch(), span.name_id()),
            local: self.endpoint(span.local_id(), span.local()),
            remote: self.endpoint(span.remote_id(), span.remote()),
            resource: self.resource(span),
            scope: self.scope(span),
            values,
            kind: u32::from(span.flags().0) << 3 | span.kind() as u32,
            has_start: span.start().is_some(),
            bucket: duration_bucket(span.duration_us()),
            ..Row::default()
        };
        row.shape = self.tags(span, values as usize, &mut row.text_bytes);
        if span.annotations().len() > 0 {
            row.annotations = self.annotations(span, &mut row.text_bytes);
        }
        let extras = &mut self.rows.extras;
        let from = extras.len();
        put_extra(extras, &mut self.dictionary.texts, span);
        row.extra = (from as u32, (extras.len() - from) as u32);
        row.text_bytes = row.text_bytes.saturating_add(row.extra.1);
        row
    }

    fn text(&mut self, batch: &SpanBatch, id: StrId) -> u32 {
        let code = &mut self.codes.texts[id.index()];
        if *code == UNKNOWN {
            *code = self.dictionary.texts.code(batch.interned(id));
        }
        *code
    }

    fn endpoint(&mut self, id: EndpointId, endpoint: Option<EndpointRef<'_>>) -> u32 {
        let code = &mut self.codes.endpoints[id.0 as usize];
        if *code == UNKNOWN {
            let texts = &mut self.dictionary.texts;
            let entry = endpoint.map(|EndpointRef { service, ipv4, ipv6, port, ipv4_text }| EndpointEntry {
                service: texts.code(service),
                ipv4,
                ipv6,
                port,
                ipv4_text: texts.code(ipv4_text),
            });
            let entry = entry.unwrap_or_default();
            *code = self.dictionary.endpoints.code(&entry);
            *slot(&mut self.rows.services, *code) = entry.service;
        }
        *code
    }

    fn resource(&mut self, span: SpanRef<'_>) -> u32 {
        let id = span.resource_id().0;
        if id == 0 {
            return 0;
        }
        let code = slot(&mut self.codes.resources, id);
        if *code == UNKNOWN {
            let mut bytes = vec![];
            let put = |resource: ResourceRef<'_>| put_resource(&mut bytes, &mut self.dictionary.texts, resource);
            *code = span.resource().map(put).map_or(0, |()| self.dictionary.resources.code(&bytes));
        }
        *code
    }

    fn scope(&mut self, span: SpanRef<'_>) -> u32 {
        let id = span.scope_id().0;
        if id == 0 {
            return 0;
        }
        let code = slot(&mut self.codes.scopes, id);
        if *code == UNKNOWN {
            let mut bytes = vec![];
            let put = span.scope().map(|scope| put_scope(&mut bytes, &mut self.dictionary.texts, scope));
            *code = put.map_or(0, |()| self.dictionary.scopes.code(&bytes));
        }
        *code
    }

    fn tags(&mut self, span: SpanRef<'_>, values: usize, text_bytes: &mut u32) -> u32 {
        let tags = span.tags();
        if tags.is_empty() {
            return 0;
        }
        self.shape.clear();
        for (place, (key, value)) in (values..).zip(tags.iter_ids()) {
            let value_type = ValueType::of(value);
            let at = key.index() * TYPES + value_type as usize;
            let mut attribute = self.codes.tags[at];
            if attribute == UNKNOWN {
                let key = self.text(span.batch(), key);
                attribute = self.dictionary.attribute(AttributeKey { role: Role::Tag, key, value_type });
                self.codes.tags[at] = attribute;
            }
            self.shape.push(attribute);
            self.rows.values[place] = self.value(attribute, value, text_bytes);
        }
        self.dictionary.shapes.code(&self.shape)
    }

    fn value(&mut self, attribute: u32, value: ValueRef<'_>, text_bytes: &mut u32) -> u64 {
        match value {
            ValueRef::Str(value) => {
                *text_bytes = text_bytes.saturating_add(value.len() as u32);
                u64::from(self.dictionary.values[attribute as usize].1.code(value))
            }
            ValueRef::Bool(value) => u64::from(value),
            ValueRef::I64(value) => zigzag(value),
            ValueRef::F64(value) => value.to_bits(),
            ValueRef::Bytes(value) | ValueRef::Nested(value) => {
                *text_bytes = text_bytes.saturating_add(value.len() as u32);
                0
            }
        }
    }

    fn annotations(&mut self, span: SpanRef<'_>, text_bytes: &mut u32) -> (u32, u32) {
        let key = AttributeKey { role: Role::AnnotationValue, key: 0, value_type: ValueType::Str };
        let attribute = self.dictionary.attribute(key);
        self.rows.annotation_text = Some(attribute);
        let first = self.rows.annotations.len() as u32;
        for annotation in span.annotations() {
            let code = self.value(attribute, ValueRef::Str(annotation.value), text_bytes) as u32;
            let values = self.rows.annotation_values.len() as u32;
            self.shape.clear();
            for (key, value) in annotation.details.iter_ids() {
                let key = self.text(span.batch(), key);
                let value_type = ValueType::of(value);
                let attribute =
                    self.dictionary.attribute(AttributeKey { role: Role::AnnotationDetail, key, value_type });
                self.shape.push(attribute);
                let word = self.value(attribute, value, text_bytes);
                self.rows.annotation_values.push(word);
            }
            let shape = if self.shape.is_empty() { 0 } else { self.dictionary.shapes.code(&self.shape) };
            self.rows.annotations.push(AnnotationRow { time: annotation.time.to_bits(), shape, code, values });
        }
        (first, self.rows.annotations.len() as u32 - first)
    }
}
