//! The first pass of merging: the columns of small segments become rows in the order of the segment they make together, in
//! its numbers. Column by column and number by number: no span is put together on the way, and the cache of columns, which
//! belongs to searches, is left alone.

use super::block_columns as columns;
use super::bytes::{Malformed, unzigzag};
use super::cache::ColumnCache;
use super::column::Column;
use super::dictionary::{AttributeKey, Dictionary, EndpointEntry, Role, ValueType};
use super::dictionary_builder::DictionaryBuilder;
use super::rare::{copy_extra, copy_resource, copy_scope};
use super::rows::{AnnotationRow, IS_PLACE, Row, Rows, Source, place_text};
use super::terms::duration_bucket;
use super::{BlockBytes, Segment, SegmentError};
use crate::memtable::{TraceRows, min_known};
use hashbrown::HashMap;
use std::sync::Arc;
use tracewell_model::{SpanFlags, Time};

/// Holds the columns of one block, most of which are asked for once or twice.
const CACHE_BYTES_MAX: usize = 16 << 20;

/// Reads all spans, fills the dictionaries, and answers the traces in the order of the rows.
pub(super) fn read_segments(
    segments: &[Arc<Segment>],
    dictionary: &mut DictionaryBuilder,
    rows: &mut Rows,
) -> Result<Vec<TraceRows>, SegmentError> {
    let MergedTraces { traces, places, spans } = MergedTraces::of(segments)?;
    rows.begin(spans);
    let cache = ColumnCache::new(CACHE_BYTES_MAX);
    for (segment, places) in segments.iter().zip(&places) {
        let mut reader = SegmentReader {
            segment,
            cache: &cache,
            dictionary,
            rows,
            codes: Codes::of(segment),
            printed: String::new(),
        };
        for block in 0..segment.footer.blocks.len() as u32 {
            reader.read_block(block, places)?;
        }
    }
    dictionary.end();
    Ok(traces)
}

/// The traces of several segments: those with the same lower half of the id are one.
struct MergedTraces {
    traces: Vec<TraceRows>,
    /// By segment: the place of the first row of each of its traces.
    places: Vec<Vec<u32>>,
    spans: usize,
}

impl MergedTraces {
    fn of(segments: &[Arc<Segment>]) -> Result<Self, SegmentError> {
        let mut by_low: HashMap<u64, usize> = HashMap::new();
        let mut traces: Vec<TraceRows> = vec![];
        let mut places: Vec<Vec<u32>> = vec![];
        let mut spans = 0u32;
        for table in segments.iter().map(|segment| &segment.footer.traces) {
            let mut of_segment = vec![];
            for (at, &low) in table.lows.iter().enumerate() {
                let rows = table.first_rows[at + 1] - table.first_rows[at];
                let (min, max) = (table.starts_us_min[at], table.starts_us_max[at]);
                let trace = *by_low.entry(low).or_insert_with(|| {
                    traces.push(TraceRows { low, start_us_min: 0, start_us_max: 0, rows: 0 });
                    traces.len() - 1
                });
                of_segment.push(trace as u32);
                let trace = &mut traces[trace];
                trace.rows += rows;
                trace.start_us_min = min_known(trace.start_us_min, min);
                trace.start_us_max = trace.start_us_max.max(max);
                spans = spans.checked_add(rows).ok_or(SegmentError::TooLarge("the table of rows"))?;
            }
            places.push(of_segment);
        }
        let mut order: Vec<usize> = (0..traces.len()).collect();
        order.sort_by_key(|&trace| traces[trace].start_us_min);
        let mut next_places = vec![0u32; traces.len()];
        let mut next = 0;
        for &trace in &order {
            next_places[trace] = next;
            next += traces[trace].rows;
        }
        for (places, segment) in places.iter_mut().zip(segments) {
            for (place, rows) in places.iter_mut().zip(segment.footer.traces.first_rows.windows(2)) {
                let next = &mut next_places[*place as usize];
                *place = *next;
                *next += rows[1] - rows[0];
            }
        }
        let mut sorted = traces;
        sorted.sort_by_key(|trace| trace.start_us_min);
        Ok(Self { traces: sorted, places, spans: spans as usize })
    }
}

struct SegmentReader<'a> {
    segment: &'a Segment,
    cache: &'a ColumnCache,
    dictionary: &'a mut DictionaryBuilder,
    rows: &'a mut Rows,
    codes: Codes,
    printed: String,
}

const UNKNOWN: u32 = u32::MAX;
const UNKNOWN_WORD: u64 = u64::MAX;

/// A segment's numbers as those of the merged one, as far as they are known.
struct Codes {
    texts: Vec<u32>,
    endpoints: Vec<u32>,
    resources: Vec<u32>,
    scopes: Vec<u32>,
    shapes: Vec<u32>,
    attributes: Vec<u32>,
    /// By attribute and value: its word and its length.
    values: Vec<Vec<(u64, u32)>>,
}

impl Codes {
    fn of(segment: &Segment) -> Self {
        let Dictionary { texts, endpoints, attributes, shapes, resources, scopes } = &segment.footer.dictionary;
        let unknown = |len: usize| vec![UNKNOWN; len];
        Self {
            texts: unknown(texts.len()),
            endpoints: unknown(endpoints.len()),
            resources: unknown(resources.len()),
            scopes: unknown(scopes.len()),
            shapes: unknown(shapes.len()),
            attributes: unknown(attributes.len()),
            values: attributes.iter().map(|attribute| vec![(UNKNOWN_WORD, 0); attribute.values.len()]).collect(),
        }
    }
}

/// A column of which every entry is zero where it is missing.
struct Entries(Option<Arc<Column>>);

impl Entries {
    fn code(&self, row: usize) -> Result<u32, Malformed> {
        let Some(column) = &self.0 else { return Ok(0) };
        column.u32s()?.get(row).copied().ok_or(Malformed("a column has too few rows"))
    }

    fn word(&self, row: usize) -> Result<u64, Malformed> {
        let Some(column) = &self.0 else { return Ok(0) };
        column.u64s()?.get(row).copied().ok_or(Malformed("a column has too few rows"))
    }
}

/// The columns of the block being read, and how far those are read that have no entry a row.
struct BlockColumns {
    highs: Option<Entries>,
    ids: Entries,
    parents: Entries,
    far_parents: Entries,
    starts: Entries,
    durations: Entries,
    kinds: Entries,
    names: Entries,
    locals: Entries,
    remotes: Entries,
    shapes: Entries,
    resources: Entries,
    scopes: Entries,
    annotation_counts: Entries,
    annotation_times: Entries,
    annotation_shapes: Entries,
    extras: Option<Arc<Column>>,
    far_parent: usize,
    annotation: usize,
    /// By attribute of the segment.
    values: Vec<Values>,
    source: u32,
    text: String,
    bytes: Vec<u8>,
}

#[derive(Clone, Default)]
struct Values {
    column: Option<Arc<Column>>,
    next: usize,
}

impl SegmentReader<'_> {
    fn read_block(&mut self, block: u32, places: &[u32]) -> Result<(), SegmentError> {
        let entry = self.segment.block(block);
        let offset = entry.columns.first().map_or(0, |column| column.offset);
        let mut columns = self.columns(block)?;
        let traces = &self.segment.footer.traces;
        let mut trace = traces.first_rows.partition_point(|&first| first <= entry.first_row) - 1;
        for row in 0..entry.rows {
            let row_of_segment = entry.first_row + row;
            while traces.first_rows[trace + 1] <= row_of_segment {
                trace += 1;
            }
            let read = self.read_row(row as usize, traces.highs[trace], &mut columns);
            let read = read.map_err(|error| self.segment.malformed(offset, error))?;
            self.rows.rows[(places[trace] + row_of_segment - traces.first_rows[trace]) as usize] = read;
        }
        let BlockColumns { text, bytes, .. } = columns;
        self.rows.sources.push(Source::Arena { text, bytes });
        Ok(())
    }

    fn columns(&self, block: u32) -> Result<BlockColumns, SegmentError> {
        let whole = BlockBytes::default();
        let column = |number: u32| self.segment.column_in(self.cache, block, number, Some(&whole));
        let entries = |number: u32| column(number).map(Entries);
        let mut values = vec![Values::default(); self.codes.attributes.len()];
        for entry in &self.segment.block(block).columns {
            let attribute = entry.number.checked_sub(columns::FIRST_ATTRIBUTE);
            if let Some(values) = attribute.and_then(|attribute| values.get_mut(attribute as usize)) {
                values.column = column(entry.number)?;
            }
        }
        Ok(BlockColumns {
            highs: column(columns::HIGH)?.map(|highs| Entries(Some(highs))),
            ids: entries(columns::ID)?,
            parents: entries(columns::PARENT)?,
            far_parents: entries(columns::FAR_PARENTS)?,
            starts: entries(columns::START)?,
            durations: entries(columns::DURATION)?,
            kinds: entries(columns::KIND)?,
            names: entries(columns::NAME)?,
            locals: entries(columns::LOCAL)?,
            remotes: entries(columns::REMOTE)?,
            shapes: entries(columns::SHAPE)?,
            resources: entries(columns::RESOURCE)?,
            scopes: entries(columns::SCOPE)?,
            annotation_counts: entries(columns::ANNOTATION_COUNT)?,
            annotation_times: entries(columns::ANNOTATION_TIME)?,
            annotation_shapes: entries(columns::ANNOTATION_SHAPE)?,
            extras: column(columns::EXTRA)?,
            far_parent: 0,
            annotation: 0,
            values,
            source: self.rows.sources.len() as u32,
            text: String::new(),
            bytes: vec![],
        })
    }

    fn read_row(&mut self, at: usize, high: u64, block: &mut BlockColumns) -> Result<Row, Malformed> {
        let kind = block.kinds.code(at)?;
        let has = |flag: SpanFlags| kind >> 3 & u32::from(flag.0) != 0;
        let duration = if has(SpanFlags::HAS_DURATION) { block.durations.word(at)? } else { 0 };
        let mut row = Row {
            trace_high: block.highs.as_ref().map_or(Ok(high), |highs| highs.word(at))?,
            id: block.ids.word(at)?,
            parent: block.parent(at)?,
            start: if has(SpanFlags::HAS_START) { block.starts.word(at)? } else { 0 },
            duration,
            source: block.source,
            name: self.text(block.names.code(at)?)?,
            local: self.endpoint(block.locals.code(at)?)?,
            remote: self.endpoint(block.remotes.code(at)?)?,
            resource: self.resource(block.resources.code(at)?)?,
            scope: self.scope(block.scopes.code(at)?)?,
            values: self.rows.values.len() as u32,
            kind,
            bucket: duration_bucket(Time::from_bits(duration).as_micros()),
            ..Row::default()
        };
        let shape = block.shapes.code(at)?;
        row.shape = self.shape(shape)?;
        for &attribute in self.segment.footer.dictionary.shape(shape)? {
            let word = self.value(attribute, block, &mut row.text_bytes)?;
            self.rows.values.push(word);
        }
        let first = self.rows.annotations.len() as u32;
        for _ in 0..block.annotation_counts.code(at)? {
            self.annotation(block, &mut row.text_bytes)?;
        }
        row.annotations = (first, self.rows.annotations.len() as u32 - first);
        if let Some(extras) = &block.extras {
            let from = self.rows.extras.len();
            let extra = extras.bytes(at)?;
            if !extra.is_empty() {
                let (old, texts, dictionary) =
                    (&self.segment.footer.dictionary, &mut self.codes.texts, &mut self.dictionary.texts);
                let text = &mut |code: u32| text_of(old, texts, dictionary, code);
                copy_extra(extra, &mut self.rows.extras, text)?;
            }
            row.extra = (from as u32, (self.rows.extras.len() - from) as u32);
            row.text_bytes = row.text_bytes.saturating_add(row.extra.1);
        }
        Ok(row)
    }

    fn text(&mut self, code: u32) -> Result<u32, Malformed> {
        text_of(&self.segment.footer.dictionary, &mut self.codes.texts, &mut self.dictionary.texts, code)
    }

    fn endpoint(&mut self, code: u32) -> Result<u32, Malformed> {
        if let Some(&known) = self.codes.endpoints.get(code as usize).filter(|&&known| known != UNKNOWN) {
            return Ok(known);
        }
        let entry = *self.segment.footer.dictionary.endpoint(code)?;
        let entry =
            EndpointEntry { service: self.text(entry.service)?, ipv4_text: self.text(entry.ipv4_text)?, ..entry };
        let new = self.dictionary.endpoints.code(&entry);
        self.rows.set_service(new, entry.service);
        self.codes.endpoints[code as usize] = new;
        Ok(new)
    }

    fn resource(&mut self, code: u32) -> Result<u32, Malformed> {
        let at = code as usize;
        match self.codes.resources.get(at) {
            _ if code == 0 => return Ok(0),
            Some(&UNKNOWN) => {}
            known => return known.copied().ok_or(Malformed("a resource is not in the dictionary")),
        }
        let (old, texts, dictionary) =
            (&self.segment.footer.dictionary, &mut self.codes.texts, &mut self.dictionary.texts);
        let mut bytes = vec![];
        copy_resource(&old.resources[at], &mut bytes, &mut |code| text_of(old, texts, dictionary, code))?;
        self.codes.resources[at] = self.dictionary.resources.code(&bytes);
        Ok(self.codes.resources[at])
    }

    fn scope(&mut self, code: u32) -> Result<u32, Malformed> {
        let at = code as usize;
        match self.codes.scopes.get(at) {
            _ if code == 0 => return Ok(0),
            Some(&UNKNOWN) => {}
            known => return known.copied().ok_or(Malformed("a scope is not in the dictionary")),
        }
        let (old, texts, dictionary) =
            (&self.segment.footer.dictionary, &mut self.codes.texts, &mut self.dictionary.texts);
        let mut bytes = vec![];
        copy_scope(&old.scopes[at], &mut bytes, &mut |code| text_of(old, texts, dictionary, code))?;
        self.codes.scopes[at] = self.dictionary.scopes.code(&bytes);
        Ok(self.codes.scopes[at])
    }

    fn shape(&mut self, code: u32) -> Result<u32, Malformed> {
        if let Some(&known) = self.codes.shapes.get(code as usize).filter(|&&known| known != UNKNOWN) {
            return Ok(known);
        }
        let segment = self.segment;
        let shape = segment.footer.dictionary.shape(code)?.iter().map(|&attribute| self.attribute(attribute));
        let shape = shape.collect::<Result<Vec<u32>, Malformed>>()?;
        let new = self.dictionary.shapes.code(&shape);
        self.codes.shapes[code as usize] = new;
        Ok(new)
    }

    fn attribute(&mut self, attribute: u32) -> Result<u32, Malformed> {
        if let Some(&known) = self.codes.attributes.get(attribute as usize).filter(|&&known| known != UNKNOWN) {
            return Ok(known);
        }
        let AttributeKey { role, key, value_type } = self.segment.footer.dictionary.attribute(attribute)?.key;
        let key = if role == Role::AnnotationValue { 0 } else { self.text(key)? };
        let new = self.dictionary.attribute(AttributeKey { role, key, value_type });
        self.codes.attributes[attribute as usize] = new;
        Ok(new)
    }

    /// The word of the next value of an attribute.
    fn value(&mut self, attribute: u32, block: &mut BlockColumns, text_bytes: &mut u32) -> Result<u64, Malformed> {
        let new = self.attribute(attribute)?;
        let BlockColumns { values, text: block_text, bytes: block_bytes, .. } = block;
        let Values { column, next } = &mut values[attribute as usize];
        let at = *next;
        *next += 1;
        let column = column.as_deref().ok_or(Malformed("a column of values is missing"))?;
        let missing = Malformed("a value is missing");
        let (key, codes) = &mut self.dictionary.values[new as usize];
        let (text, known) = match (key.value_type, column) {
            (ValueType::Str, Column::U32(numbers)) => {
                let number = *numbers.get(at).ok_or(missing)?;
                let known = self.codes.values[attribute as usize].get_mut(number as usize);
                let known = known.ok_or(Malformed("a value is not in the dictionary"))?;
                if known.0 != UNKNOWN_WORD {
                    codes.count_use();
                    *text_bytes = text_bytes.saturating_add(known.1);
                    return Ok(known.0);
                }
                let table = &self.segment.footer.dictionary.attribute(attribute)?.values;
                (table.get(number).ok_or(Malformed("a value is not in the dictionary"))?, Some(known))
            }
            (ValueType::Str, texts) => {
                let templates = &self.segment.footer.dictionary.attribute(attribute)?.templates;
                (texts.text(at, templates, &mut self.printed)?, None)
            }
            (ValueType::Bool, column) => return column.u32s()?.get(at).map(|&word| u64::from(word)).ok_or(missing),
            (ValueType::I64 | ValueType::F64, column) => return column.u64s()?.get(at).copied().ok_or(missing),
            (ValueType::Bytes | ValueType::Nested, column) => {
                let value = column.bytes(at)?;
                *text_bytes = text_bytes.saturating_add(value.len() as u32);
                let place = place_of(block_bytes.len(), value.len())?;
                block_bytes.extend_from_slice(value);
                return Ok(place);
            }
        };
        *text_bytes = text_bytes.saturating_add(text.len() as u32);
        let word = match codes.code(text) {
            Some(code) => u64::from(code),
            None => {
                let place = place_of(block_text.len(), text.len())?;
                let word = place_text(&mut self.rows.texts, text, place);
                if word == place | IS_PLACE {
                    block_text.push_str(text);
                    return Ok(word);
                }
                word
            }
        };
        if let Some(known) = known {
            *known = (word, text.len() as u32);
        }
        Ok(word)
    }

    fn annotation(&mut self, block: &mut BlockColumns, text_bytes: &mut u32) -> Result<(), Malformed> {
        let at = block.annotation;
        block.annotation += 1;
        let segment = self.segment;
        let text = segment.footer.annotation_text.ok_or(Malformed("annotations have no texts"))?;
        self.rows.annotation_text = Some(self.attribute(text)?);
        let word = self.value(text, block, text_bytes)?;
        let values = self.rows.annotation_values.len() as u32;
        let shape = block.annotation_shapes.code(at)?;
        for &attribute in segment.footer.dictionary.shape(shape)? {
            let word = self.value(attribute, block, text_bytes)?;
            self.rows.annotation_values.push(word);
        }
        let (time, shape) = (block.annotation_times.word(at)?, self.shape(shape)?);
        self.rows.annotations.push(AnnotationRow { time, word, shape, values });
        Ok(())
    }
}

impl BlockColumns {
    fn parent(&mut self, row: usize) -> Result<u64, Malformed> {
        Ok(match self.parents.code(row)? {
            columns::NO_PARENT => 0,
            columns::FAR_PARENT => {
                self.far_parent += 1;
                self.far_parents.word(self.far_parent - 1)?
            }
            code => {
                let back = unzigzag(u64::from(code - columns::NEAR_PARENT));
                let at = usize::try_from(row as i64 - back).map_err(|_| Malformed("a parent is not there"))?;
                self.ids.word(at)?
            }
        })
    }
}

fn text_of(
    old: &Dictionary,
    known: &mut [u32],
    texts: &mut super::codes::TextCodes,
    code: u32,
) -> Result<u32, Malformed> {
    let text = old.text(code)?;
    let known = &mut known[code as usize];
    if *known == UNKNOWN {
        *known = texts.code(text);
    }
    Ok(*known)
}

/// The place of what is appended to the texts or bytes of a block.
fn place_of(start: usize, len: usize) -> Result<u64, Malformed> {
    let end = start.checked_add(len).filter(|&end| end < 1 << 31);
    end.map(|_| start as u64 | (len as u64) << 32).ok_or(Malformed("the texts of a block are too long"))
}
