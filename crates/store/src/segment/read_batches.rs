//! The first pass of sealing: batches in order of arrival, column by column as their memory lies, become rows in the order of
//! the segment, in the segment's numbers. Texts are hashed here, those of a batch's tables once; dictionaries are whole when it
//! ends.

use super::bytes::zigzag;
use super::dictionary::{AttributeKey, EndpointEntry, Role, ValueType};
use super::dictionary_builder::DictionaryBuilder;
use super::rare::{put_extra, put_resource, put_scope};
use super::rows::{AnnotationRow, Row, Rows, Source, place_text, range_of};
use super::terms::duration_bucket;
use crate::memtable::RowsByTrace;
use std::ops::Range;
use tracewell_model::{
    AttributeColumns, BatchColumns, EndpointId, EndpointRef, ResourceId, ResourceRef, ScopeId, SpanBatch, StrId, Time,
};

/// Reads all spans and fills the dictionaries.
pub(super) fn read_batches(sealed: &RowsByTrace, dictionary: &mut DictionaryBuilder, rows: &mut Rows) {
    rows.begin(sealed.places.len());
    rows.sources.extend(sealed.batches.iter().map(|batch| Source::Batch(batch.clone())));
    rows.values.reserve(sealed.batches.iter().map(|batch| batch.columns().tags.words.len()).sum());
    let mut reader = BatchReader { dictionary, rows, codes: BatchCodes::default(), shape: vec![] };
    let mut places = &sealed.places[..];
    for (source, batch) in (0u32..).zip(&sealed.batches) {
        let (of_batch, rest) = places.split_at(batch.len());
        places = rest;
        reader.codes.begin(batch);
        reader.read_batch(source, batch, of_batch);
    }
    dictionary.end();
}

struct BatchReader<'a> {
    dictionary: &'a mut DictionaryBuilder,
    rows: &'a mut Rows,
    codes: BatchCodes,
    shape: Vec<u32>,
}

const UNKNOWN: u32 = u32::MAX;
const TYPES: usize = 6;
/// Lists of tags of a batch that are remembered, by the name of the span that had them.
const SHAPES_SEEN: usize = 64;

/// A batch's numbers as the segment's, as far as they are known.
#[derive(Default)]
struct BatchCodes {
    texts: Vec<u32>,
    endpoints: Vec<u32>,
    resources: Vec<u32>,
    scopes: Vec<u32>,
    /// By key and type.
    tags: Vec<u32>,
    shapes: Vec<SeenShape>,
}

/// Tags of the batch, and the shape they are.
#[derive(Clone, Copy, Default)]
struct SeenShape {
    from: usize,
    len: usize,
    shape: u32,
}

impl BatchCodes {
    fn begin(&mut self, batch: &SpanBatch) {
        let Self { texts, endpoints, resources, scopes, tags, shapes } = self;
        let sizes = [batch.interned_len(), batch.endpoints_len() + 1, 0, 0, batch.interned_len() * TYPES];
        for (codes, size) in [texts, endpoints, resources, scopes, tags].into_iter().zip(sizes) {
            codes.clear();
            codes.resize(size, UNKNOWN);
        }
        shapes.clear();
        shapes.resize(SHAPES_SEEN, SeenShape::default());
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
    fn read_batch(&mut self, source: u32, batch: &SpanBatch, places: &[u32]) {
        let columns = batch.columns();
        let (mut tag, mut annotation) = (0, 0);
        for (at, &place) in places.iter().enumerate() {
            let duration = columns.durations[at];
            let mut row = Row {
                trace_high: columns.trace_high[at],
                id: columns.ids[at],
                parent: columns.parents[at],
                start: columns.starts[at],
                duration,
                source,
                name: self.text(batch, StrId(columns.names[at])),
                local: self.endpoint(batch, EndpointId(columns.locals[at])),
                remote: self.endpoint(batch, EndpointId(columns.remotes[at])),
                resource: self.resource(batch, columns.resources[at]),
                scope: self.scope(batch, columns.scopes[at]),
                values: self.rows.values.len() as u32,
                kind: u32::from(columns.flags[at]) << 3 | u32::from(columns.kinds[at]),
                bucket: duration_bucket(Time::from_bits(duration).as_micros()),
                ..Row::default()
            };
            let tag_end = columns.tag_ends[at] as usize;
            if tag < tag_end {
                row.shape = self.tags(batch, &columns, tag..tag_end, columns.names[at], &mut row.text_bytes);
                tag = tag_end;
            }
            let annotation_end = columns.annotation_ends[at] as usize;
            if annotation < annotation_end {
                row.annotations = self.annotations(batch, &columns, annotation..annotation_end, &mut row.text_bytes);
                annotation = annotation_end;
            }
            if columns.extras[at] != 0 {
                let extras = &mut self.rows.extras;
                let from = extras.len();
                put_extra(extras, &mut self.dictionary.texts, batch.span(at));
                row.extra = (from as u32, (extras.len() - from) as u32);
                row.text_bytes = row.text_bytes.saturating_add(row.extra.1);
            }
            self.rows.rows[place as usize] = row;
        }
    }

    fn text(&mut self, batch: &SpanBatch, id: StrId) -> u32 {
        let code = &mut self.codes.texts[id.index()];
        if *code == UNKNOWN {
            *code = self.dictionary.texts.code(batch.interned(id));
        }
        *code
    }

    fn endpoint(&mut self, batch: &SpanBatch, id: EndpointId) -> u32 {
        let code = &mut self.codes.endpoints[id.0 as usize];
        if *code == UNKNOWN {
            let texts = &mut self.dictionary.texts;
            let entry = batch.endpoint_ref(id).map(|EndpointRef { service, ipv4, ipv6, port, ipv4_text }| {
                EndpointEntry { service: texts.code(service), ipv4, ipv6, port, ipv4_text: texts.code(ipv4_text) }
            });
            let entry = entry.unwrap_or_default();
            *code = self.dictionary.endpoints.code(&entry);
            self.rows.set_service(*code, entry.service);
        }
        *code
    }

    fn resource(&mut self, batch: &SpanBatch, id: u32) -> u32 {
        if id == 0 {
            return 0;
        }
        let code = slot(&mut self.codes.resources, id);
        if *code == UNKNOWN {
            let mut bytes = vec![];
            let put = |resource: ResourceRef<'_>| put_resource(&mut bytes, &mut self.dictionary.texts, resource);
            *code = batch.resource(ResourceId(id)).map(put).map_or(0, |()| self.dictionary.resources.code(&bytes));
        }
        *code
    }

    fn scope(&mut self, batch: &SpanBatch, id: u32) -> u32 {
        if id == 0 {
            return 0;
        }
        let code = slot(&mut self.codes.scopes, id);
        if *code == UNKNOWN {
            let mut bytes = vec![];
            let put = batch.scope(ScopeId(id)).map(|scope| put_scope(&mut bytes, &mut self.dictionary.texts, scope));
            *code = put.map_or(0, |()| self.dictionary.scopes.code(&bytes));
        }
        *code
    }

    /// Answers the shape of a span's tags. Most spans with a name have the tags of the last one with it.
    fn tags(
        &mut self,
        batch: &SpanBatch,
        columns: &BatchColumns<'_>,
        tags: Range<usize>,
        name: u32,
        text_bytes: &mut u32,
    ) -> u32 {
        let AttributeColumns { keys, types, words } = columns.tags;
        let seen = self.codes.shapes[name as usize % SHAPES_SEEN];
        let as_seen = seen.from..seen.from + seen.len;
        let shape = if keys[tags.clone()] == keys[as_seen.clone()] && types[tags.clone()] == types[as_seen] {
            seen.shape
        } else {
            let shape = self.shape(batch, &keys[tags.clone()], &types[tags.clone()]);
            self.codes.shapes[name as usize % SHAPES_SEEN] = SeenShape { from: tags.start, len: tags.len(), shape };
            shape
        };
        let DictionaryBuilder { shapes, values, .. } = &mut *self.dictionary;
        let Rows { values: out, texts, .. } = &mut *self.rows;
        for (&attribute, &word) in shapes.get(shape).iter().zip(&words[tags]) {
            let (key, codes) = &mut values[attribute as usize];
            out.push(match key.value_type {
                ValueType::Str => {
                    let text = &columns.text[range_of(word)];
                    *text_bytes = text_bytes.saturating_add(text.len() as u32);
                    codes.code(text).map_or_else(|| place_text(texts, text, word), u64::from)
                }
                value_type => other_word(value_type, word, text_bytes),
            });
        }
        shape
    }

    fn shape(&mut self, batch: &SpanBatch, keys: &[u32], types: &[u8]) -> u32 {
        self.shape.clear();
        for (&key, &value_type) in keys.iter().zip(types) {
            let at = key as usize * TYPES + usize::from(value_type);
            let mut attribute = self.codes.tags[at];
            if attribute == UNKNOWN {
                let key = self.text(batch, StrId(key));
                let value_type = ValueType::from_u8(value_type).unwrap_or(ValueType::Str);
                attribute = self.dictionary.attribute(AttributeKey { role: Role::Tag, key, value_type });
                self.codes.tags[at] = attribute;
            }
            self.shape.push(attribute);
        }
        self.dictionary.shapes.code(&self.shape)
    }

    fn annotations(
        &mut self,
        batch: &SpanBatch,
        columns: &BatchColumns<'_>,
        annotations: Range<usize>,
        text_bytes: &mut u32,
    ) -> (u32, u32) {
        let key = AttributeKey { role: Role::AnnotationValue, key: 0, value_type: ValueType::Str };
        let text = self.dictionary.attribute(key);
        self.rows.annotation_text = Some(text);
        let first = self.rows.annotations.len() as u32;
        let AttributeColumns { keys, types, words } = columns.annotation_details;
        let ends = columns.annotation_detail_ends;
        for at in annotations.clone() {
            let word = self.word(text, columns, columns.annotation_values[at].place(), text_bytes);
            let values = self.rows.annotation_values.len() as u32;
            self.shape.clear();
            for detail in at.checked_sub(1).map_or(0, |before| ends[before] as usize)..ends[at] as usize {
                let key = self.text(batch, StrId(keys[detail]));
                let value_type = ValueType::from_u8(types[detail]).unwrap_or(ValueType::Str);
                let key = AttributeKey { role: Role::AnnotationDetail, key, value_type };
                let attribute = self.dictionary.attribute(key);
                self.shape.push(attribute);
                let word = self.word(attribute, columns, words[detail], text_bytes);
                self.rows.annotation_values.push(word);
            }
            let shape = if self.shape.is_empty() { 0 } else { self.dictionary.shapes.code(&self.shape) };
            self.rows.annotations.push(AnnotationRow { time: columns.annotation_times[at], word, shape, values });
        }
        (first, annotations.len() as u32)
    }

    fn word(&mut self, attribute: u32, columns: &BatchColumns<'_>, word: u64, text_bytes: &mut u32) -> u64 {
        let (key, codes) = &mut self.dictionary.values[attribute as usize];
        if key.value_type != ValueType::Str {
            return other_word(key.value_type, word, text_bytes);
        }
        let text = &columns.text[range_of(word)];
        *text_bytes = text_bytes.saturating_add(text.len() as u32);
        codes.code(text).map_or_else(|| place_text(&mut self.rows.texts, text, word), u64::from)
    }
}

/// The word of a value that is no text, from that of its batch.
fn other_word(value_type: ValueType, word: u64, text_bytes: &mut u32) -> u64 {
    match value_type {
        ValueType::Str | ValueType::F64 => word,
        ValueType::Bool => u64::from(word != 0),
        ValueType::I64 => zigzag(word as i64),
        ValueType::Bytes | ValueType::Nested => {
            *text_bytes = text_bytes.saturating_add(range_of(word).len() as u32);
            word
        }
    }
}
