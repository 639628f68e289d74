//! Spans of a memtable, sorted by trace, to the bytes of a segment.

use super::block_columns as columns;
use super::bytes::zigzag;
use super::column;
use super::dictionary::{AttributeKey, DictionaryBuilder, EndpointEntry, Role, ValueType};
use super::footer::{BlockEntry, ColumnEntry, HEADER_BYTES, Header, TraceTable, pack, write_footer};
use super::rare::{put_extra, put_resource, put_scope};
use super::terms::{Fact, TermsBuilder};
use super::{SegmentBytes, SegmentError, SegmentSummary, Stages};
use crate::memtable::{Memtable, TraceRows, min_known};
use hashbrown::HashMap;
use std::sync::Arc;
use tracewell_model::{AttributesRef, EndpointRef, SpanBatch, SpanId, SpanRef, StrId, Time, ValueRef};

/// A block ends when it has this many rows; one that would get more ends before the trace, unless the trace alone is longer.
const BLOCK_ROWS_MAX: u32 = 4096;

/// A block ends when its values have this many bytes, however few rows they make.
const BLOCK_VALUES_BYTES_MAX: usize = 4 << 20;

/// Writes all spans of a memtable.
pub(crate) fn write_segment(memtable: &Memtable) -> Result<SegmentBytes, SegmentError> {
    write_segment_in_stages(memtable, &mut Stages::unmeasured())
}

/// The same, and says when each stage ends.
pub(crate) fn write_segment_in_stages(
    memtable: &Memtable,
    stages: &mut Stages<'_>,
) -> Result<SegmentBytes, SegmentError> {
    let (batches, traces) = memtable.rows_by_trace();
    stages.end("a: rows by trace");
    let mut writer = Writer::new(batches, memtable.tag_keys());
    for trace in &traces {
        writer.put_trace(trace)?;
    }
    stages.end("b: blocks");
    let written = writer.finish();
    stages.end("c: footer");
    written
}

struct Writer {
    batches: Vec<BatchCodes>,
    dictionary: DictionaryBuilder,
    terms: TermsBuilder,
    block: BlockWriter,
    blocks: Vec<BlockEntry>,
    traces: TraceTable,
    out: Vec<u8>,
}

/// A batch, and its numbers as the segment's.
struct BatchCodes {
    batch: Arc<SpanBatch>,
    texts: Vec<u32>,
    endpoints: Vec<u32>,
    resources: HashMap<u32, u32>,
    scopes: HashMap<u32, u32>,
}

const UNKNOWN: u32 = u32::MAX;

/// The columns of the block being filled, row by row.
#[derive(Default)]
struct BlockWriter {
    first_row: u32,
    first_trace: u32,
    traces: u32,
    rows: u32,
    mixed_highs: bool,
    highs: Vec<u64>,
    ids: Vec<u64>,
    parents: Vec<u32>,
    far_parents: Vec<u64>,
    starts: Vec<u64>,
    durations: Vec<u64>,
    kinds: Vec<u32>,
    names: Vec<u32>,
    locals: Vec<u32>,
    remotes: Vec<u32>,
    shapes: Vec<u32>,
    annotation_counts: Vec<u32>,
    annotation_times: Vec<u64>,
    annotation_shapes: Vec<u32>,
    resources: Vec<u32>,
    scopes: Vec<u32>,
    extra_lengths: Vec<u32>,
    extras: Vec<u8>,
    /// By attribute.
    values: Vec<ValueWriter>,
    values_bytes: usize,
    /// Of the trace being added: its rows by span id, and the parents not yet in `parents`.
    ids_of_trace: HashMap<u64, u32>,
    open_parents: Vec<u64>,
}

/// The values of one attribute in the block being filled.
#[derive(Default)]
struct ValueWriter {
    codes: Vec<u32>,
    words: Vec<u64>,
    lengths: Vec<u32>,
    bytes: Vec<u8>,
}

impl Writer {
    fn new(batches: Vec<Arc<SpanBatch>>, tag_keys: &[String]) -> Self {
        let traces = TraceTable { first_rows: vec![0], ..TraceTable::default() };
        Self {
            batches: batches.into_iter().map(BatchCodes::new).collect(),
            dictionary: DictionaryBuilder::new(tag_keys),
            terms: TermsBuilder::default(),
            block: BlockWriter::default(),
            blocks: vec![],
            traces,
            out: vec![0; HEADER_BYTES],
        }
    }

    fn put_trace(&mut self, trace: &TraceRows) -> Result<(), SegmentError> {
        let rows = u32::try_from(trace.rows.len()).map_err(|_| SegmentError::TooLarge("a trace"))?;
        if self.block.is_full() || self.block.rows.saturating_add(rows) > BLOCK_ROWS_MAX {
            self.end_block()?;
        }
        let home = self.blocks.len() as u32;
        let Some(&(batch, row)) = trace.rows.first() else { return Ok(()) };
        let high = self.batches[batch as usize].batch.span(row as usize).trace_id().high();
        self.block.traces += 1;
        for &(batch, row) in &trace.rows {
            if self.block.is_full() {
                self.end_block()?;
            }
            self.put_span(batch, row, high);
        }
        self.block.end_trace();
        self.terms.end_trace(home);
        let first = self.traces.first_rows.last().copied().unwrap_or(0);
        let end = first.checked_add(rows).ok_or(SegmentError::TooLarge("the table of rows"))?;
        self.traces.first_rows.push(end);
        self.traces.lows.push(trace.low);
        self.traces.highs.push(high);
        self.traces.starts_us_min.push(trace.start_us_min);
        self.traces.starts_us_max.push(trace.start_us_max);
        Ok(())
    }

    fn put_span(&mut self, batch: u32, row: u32, trace_high: u64) {
        let Self { batches, dictionary, block, terms, .. } = self;
        let codes = &mut batches[batch as usize];
        let batch = Arc::clone(&codes.batch);
        let span = batch.span(row as usize);
        let name = codes.text(dictionary, span.name_id().0);
        let local = codes.endpoint(dictionary, span.local_id().0, span.local());
        let remote = codes.endpoint(dictionary, span.remote_id().0, span.remote());
        let service = dictionary.texts.code(span.service_name());
        let remote_service = dictionary.texts.code(span.remote_service_name());
        terms.add_span(service, span.duration_us());
        terms.add_fact(service, Fact::SpanName(name));
        terms.add_fact(service, Fact::RemoteService(remote_service));
        block.put_ids(span, trace_high);
        block.names.push(name);
        block.locals.push(local);
        block.remotes.push(remote);
        block.kinds.push(u32::from(span.flags().0) << 3 | span.kind() as u32);
        block.starts.push(span.start().map_or_else(|| block.starts.last().copied().unwrap_or(0), Time::to_bits));
        block.durations.push(span.duration().map_or(0, Time::to_bits));
        let tags = block.put_values(codes, dictionary, span.tags(), Role::Tag, |fact| terms.add_fact(service, fact));
        block.shapes.push(tags);
        block.put_annotations(codes, dictionary, span, |fact| terms.add_fact(service, fact));
        block.resources.push(codes.resource(dictionary, span));
        block.scopes.push(codes.scope(dictionary, span));
        let before = block.extras.len();
        put_extra(&mut block.extras, &mut dictionary.texts, span);
        let extra_bytes = block.extras.len() - before;
        block.extra_lengths.push(extra_bytes as u32);
        block.values_bytes += extra_bytes;
        block.rows += 1;
    }

    fn end_block(&mut self) -> Result<(), SegmentError> {
        if self.block.rows == 0 {
            return Ok(());
        }
        self.block.end_trace();
        let entry = self.block.write(&self.dictionary, &mut self.out)?;
        let next = BlockWriter {
            first_row: entry.first_row.saturating_add(entry.rows),
            first_trace: entry.first_trace.saturating_add(entry.traces),
            ..BlockWriter::default()
        };
        self.block = next;
        self.blocks.push(entry);
        self.dictionary.end_block();
        Ok(())
    }

    fn finish(mut self) -> Result<SegmentBytes, SegmentError> {
        self.end_block()?;
        let Self { dictionary, terms, blocks, mut traces, mut out, .. } = self;
        let mut sorted: Vec<u32> = (0..traces.lows.len() as u32).collect();
        sorted.sort_unstable_by_key(|&trace| traces.lows[trace as usize]);
        traces.sorted = sorted;
        let footer = write_footer(&blocks, &traces, &dictionary, &terms)?;
        let header = Header {
            footer_offset: out.len() as u64,
            footer_len: footer.len() as u64,
            footer_crc: crc32fast::hash(&footer),
        };
        out.extend_from_slice(&footer);
        out.extend_from_slice(&footer);
        out.extend_from_slice(&header.to_bytes());
        out[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
        let summary = SegmentSummary {
            spans: traces.first_rows.last().map_or(0, |&rows| u64::from(rows)),
            traces: traces.lows.len() as u64,
            start_us_min: traces.starts_us_min.iter().fold(0, |min, &start| min_known(min, start)),
            start_us_max: traces.starts_us_max.iter().copied().max().unwrap_or(0),
        };
        Ok(SegmentBytes { bytes: out, summary })
    }
}

impl BatchCodes {
    fn new(batch: Arc<SpanBatch>) -> Self {
        Self {
            texts: vec![UNKNOWN; batch.interned_len()],
            endpoints: vec![UNKNOWN; batch.endpoints_len() + 1],
            resources: HashMap::new(),
            scopes: HashMap::new(),
            batch,
        }
    }

    fn text(&mut self, dictionary: &mut DictionaryBuilder, id: u32) -> u32 {
        let code = &mut self.texts[id as usize];
        if *code == UNKNOWN {
            *code = dictionary.texts.code(self.batch.interned(StrId(id)));
        }
        *code
    }

    fn endpoint(&mut self, dictionary: &mut DictionaryBuilder, id: u32, endpoint: Option<EndpointRef<'_>>) -> u32 {
        let code = &mut self.endpoints[id as usize];
        if *code == UNKNOWN {
            let entry = endpoint.map(|EndpointRef { service, ipv4, ipv6, port, ipv4_text }| EndpointEntry {
                service: dictionary.texts.code(service),
                ipv4,
                ipv6,
                port,
                ipv4_text: dictionary.texts.code(ipv4_text),
            });
            *code = dictionary.endpoints.code(&entry.unwrap_or_default());
        }
        *code
    }

    fn resource(&mut self, dictionary: &mut DictionaryBuilder, span: SpanRef<'_>) -> u32 {
        let Some(resource) = span.resource() else { return 0 };
        *self.resources.entry(span.resource_id().0).or_insert_with(|| {
            let mut bytes = vec![];
            put_resource(&mut bytes, &mut dictionary.texts, resource);
            dictionary.resources.code(&bytes)
        })
    }

    fn scope(&mut self, dictionary: &mut DictionaryBuilder, span: SpanRef<'_>) -> u32 {
        let Some(scope) = span.scope() else { return 0 };
        *self.scopes.entry(span.scope_id().0).or_insert_with(|| {
            let mut bytes = vec![];
            put_scope(&mut bytes, &mut dictionary.texts, scope);
            dictionary.scopes.code(&bytes)
        })
    }
}

impl BlockWriter {
    fn put_ids(&mut self, span: SpanRef<'_>, trace_high: u64) {
        let (row, id) = (self.rows, span.id().value());
        self.mixed_highs |= span.trace_id().high() != trace_high;
        self.highs.push(span.trace_id().high());
        self.ids.push(id);
        self.open_parents.push(span.parent().map_or(0, SpanId::value));
        self.ids_of_trace.insert(id, row);
    }

    /// Ends the trace being added, or its part in this block: parents become distances. They may come after their children,
    /// which end and are sent before them.
    fn end_trace(&mut self) {
        let Self { open_parents, ids_of_trace, parents, far_parents, .. } = self;
        for parent in open_parents.drain(..) {
            let row = parents.len() as i64;
            parents.push(match ids_of_trace.get(&parent) {
                _ if parent == 0 => columns::NO_PARENT,
                // Rows are below 2^31 in a block, so the distance fits whatever its sign.
                Some(&at) => columns::NEAR_PARENT + zigzag(row - i64::from(at)) as u32,
                None => {
                    far_parents.push(parent);
                    columns::FAR_PARENT
                }
            });
        }
        ids_of_trace.clear();
    }

    fn is_full(&self) -> bool {
        self.rows >= BLOCK_ROWS_MAX || self.values_bytes > BLOCK_VALUES_BYTES_MAX
    }

    /// Adds values to their columns; answers the list of them as a shape.
    fn put_values(
        &mut self,
        codes: &mut BatchCodes,
        dictionary: &mut DictionaryBuilder,
        attributes: AttributesRef<'_>,
        role: Role,
        mut fact: impl FnMut(Fact),
    ) -> u32 {
        if attributes.is_empty() {
            return 0;
        }
        let mut shape = Vec::with_capacity(attributes.len());
        for (key, value) in attributes.iter_ids() {
            let key = codes.text(dictionary, key.0);
            let attribute = dictionary.attribute(AttributeKey { role, key, value_type: ValueType::of(value) });
            shape.push(attribute);
            let code = self.put_value(dictionary, attribute, value);
            fact(Fact::Attribute(attribute));
            if let Some(code) = code {
                fact(Fact::Value(attribute, code));
            }
        }
        dictionary.shapes.code(shape.as_slice())
    }

    /// Adds a value to its column; answers its code if it has one.
    fn put_value(&mut self, dictionary: &mut DictionaryBuilder, attribute: u32, value: ValueRef<'_>) -> Option<u32> {
        let at = attribute as usize;
        if self.values.len() <= at {
            self.values.resize_with(at + 1, ValueWriter::default);
        }
        let column = &mut self.values[at];
        match value {
            ValueRef::Str(value) => {
                let values = &mut dictionary.values[at].1;
                if values.in_use() {
                    let code = values.code(value);
                    column.codes.push(code);
                    return Some(code);
                }
                self.values_bytes += column.put_bytes(value.as_bytes());
            }
            ValueRef::Bool(value) => column.codes.push(u32::from(value)),
            ValueRef::I64(value) => column.words.push(zigzag(value)),
            ValueRef::F64(value) => column.words.push(value.to_bits()),
            ValueRef::Bytes(value) | ValueRef::Nested(value) => self.values_bytes += column.put_bytes(value),
        }
        None
    }

    fn put_annotations(
        &mut self,
        codes: &mut BatchCodes,
        dictionary: &mut DictionaryBuilder,
        span: SpanRef<'_>,
        mut fact: impl FnMut(Fact),
    ) {
        self.annotation_counts.push(span.annotations().len() as u32);
        if span.annotations().len() == 0 {
            return;
        }
        let key = AttributeKey { role: Role::AnnotationValue, key: 0, value_type: ValueType::Str };
        let attribute = dictionary.attribute(key);
        fact(Fact::Attribute(attribute));
        for annotation in span.annotations() {
            self.annotation_times.push(annotation.time.to_bits());
            if let Some(code) = self.put_value(dictionary, attribute, ValueRef::Str(annotation.value)) {
                fact(Fact::Value(attribute, code));
            }
            let details = self.put_values(codes, dictionary, annotation.details, Role::AnnotationDetail, |_| {});
            self.annotation_shapes.push(details);
        }
    }

    fn write(&self, dictionary: &DictionaryBuilder, out: &mut Vec<u8>) -> Result<BlockEntry, SegmentError> {
        let Self { first_row, first_trace, traces, rows, .. } = *self;
        let mut entry = BlockEntry { first_row, rows, first_trace, traces, columns: vec![] };
        let mut writer = ColumnsWriter { out, entries: &mut entry.columns, column: vec![] };
        if self.mixed_highs {
            writer.put(columns::HIGH, |out| column::put_raw64(out, &self.highs))?;
        }
        writer.put(columns::ID, |out| column::put_raw64(out, &self.ids))?;
        writer.put_codes(columns::PARENT, &self.parents)?;
        if !self.far_parents.is_empty() {
            writer.put(columns::FAR_PARENTS, |out| column::put_raw64(out, &self.far_parents))?;
        }
        writer.put(columns::START, |out| column::put_deltas(out, &self.starts))?;
        writer.put(columns::DURATION, |out| column::put_durations(out, &self.durations))?;
        writer.put_codes(columns::KIND, &self.kinds)?;
        writer.put_codes(columns::NAME, &self.names)?;
        writer.put_codes(columns::LOCAL, &self.locals)?;
        writer.put_codes(columns::REMOTE, &self.remotes)?;
        writer.put_codes(columns::SHAPE, &self.shapes)?;
        writer.put_codes(columns::ANNOTATION_COUNT, &self.annotation_counts)?;
        if !self.annotation_times.is_empty() {
            writer.put(columns::ANNOTATION_TIME, |out| column::put_deltas(out, &self.annotation_times))?;
        }
        writer.put_codes(columns::ANNOTATION_SHAPE, &self.annotation_shapes)?;
        writer.put_codes(columns::RESOURCE, &self.resources)?;
        writer.put_codes(columns::SCOPE, &self.scopes)?;
        if !self.extras.is_empty() {
            writer.put(columns::EXTRA, |out| column::put_byte_strings(out, &self.extra_lengths, &self.extras))?;
        }
        for (attribute, values) in (0u32..).zip(&self.values) {
            let (key, _) = &dictionary.values[attribute as usize];
            if !values.is_empty() {
                writer.put(columns::FIRST_ATTRIBUTE + attribute, |out| values.write(out, key.value_type))?;
            }
        }
        Ok(entry)
    }
}

impl ValueWriter {
    fn put_bytes(&mut self, bytes: &[u8]) -> usize {
        self.lengths.push(bytes.len() as u32);
        self.bytes.extend_from_slice(bytes);
        bytes.len()
    }

    fn is_empty(&self) -> bool {
        self.codes.is_empty() && self.words.is_empty() && self.lengths.is_empty()
    }

    fn write(&self, out: &mut Vec<u8>, value_type: ValueType) {
        match value_type {
            ValueType::Str if self.lengths.is_empty() => column::put_u32s(out, &self.codes),
            ValueType::Str => column::put_texts(out, &self.lengths, &self.bytes),
            ValueType::Bool => column::put_u32s(out, &self.codes),
            ValueType::I64 => column::put_u64s(out, &self.words),
            ValueType::F64 => column::put_raw64(out, &self.words),
            ValueType::Bytes | ValueType::Nested => column::put_byte_strings(out, &self.lengths, &self.bytes),
        }
    }
}

struct ColumnsWriter<'a> {
    out: &'a mut Vec<u8>,
    entries: &'a mut Vec<ColumnEntry>,
    column: Vec<u8>,
}

impl ColumnsWriter<'_> {
    /// A column of codes, left out where all are zero.
    fn put_codes(&mut self, number: u32, codes: &[u32]) -> Result<(), SegmentError> {
        if codes.iter().all(|&code| code == 0) {
            return Ok(());
        }
        self.put(number, |out| column::put_u32s(out, codes))
    }

    fn put(&mut self, number: u32, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), SegmentError> {
        self.column.clear();
        write(&mut self.column);
        let stored = pack(&self.column)?;
        let bytes = u32::try_from(self.column.len()).map_err(|_| SegmentError::TooLarge("a column"))?;
        self.entries.push(ColumnEntry {
            number,
            offset: self.out.len() as u64,
            stored_bytes: stored.len() as u32,
            bytes,
            crc: crc32fast::hash(&stored),
        });
        self.out.extend_from_slice(&stored);
        Ok(())
    }
}
