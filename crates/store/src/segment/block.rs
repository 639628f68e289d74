//! Rows of a block back to spans: the columns that are needed, put together row by row.

use super::bytes::{Malformed, unzigzag};
use super::column::Column;
use super::dictionary::{AttributeKey, Dictionary, EndpointEntry, Role, ValueType};
use super::rare::{read_extra, read_resource, read_scope, status_of};
use super::{BlockBytes, Segment, SegmentError, block_columns as columns};
use hashbrown::HashMap;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use tracewell_model::{
    Endpoint, EndpointId, ExtraRow, Kind, ResourceId, ScopeId, SpanBatch, SpanFlags, SpanId, SpanRow, StatusCode,
    StrId, Time, TraceId, ValueRef,
};

impl Segment {
    /// Appends spans of a block. Where it fails, spans read before the damage stay.
    pub(super) fn read_rows(&self, block: u32, rows: Range<u32>, batch: &mut SpanBatch) -> Result<(), SegmentError> {
        self.read_rows_as(block, rows, Depth::Whole, batch)
    }

    /// The same of what is asked for of each span.
    pub(super) fn read_rows_as(
        &self,
        block: u32,
        rows: Range<u32>,
        depth: Depth,
        batch: &mut SpanBatch,
    ) -> Result<(), SegmentError> {
        let mut reader = RowReader::new(self, block, depth)?;
        let offset = self.block(block).columns.first().map_or(0, |column| column.offset);
        let whole_traces = batch.len();
        let read = reader.skip_to(rows.start).and_then(|()| rows.clone().try_for_each(|row| reader.read(row, batch)));
        read.map_err(|error| {
            batch.discard_open();
            tracing::debug!(spans = batch.len() - whole_traces, "rows read before damage was met");
            match error {
                RowError::Malformed(error) => self.malformed(offset, error),
                RowError::Segment(error) => error,
            }
        })
    }
}

/// How much of a span is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    Whole,
    /// What [`crate::TracePart::Outline`] has.
    Outline,
}

/// Of each attribute whether it is the tag that says that a span failed.
fn error_tags(dictionary: &Dictionary) -> Vec<bool> {
    let is_error = |key: &AttributeKey| key.role == Role::Tag && dictionary.text(key.key) == Ok("error");
    dictionary.attributes.iter().map(|attribute| is_error(&attribute.key)).collect()
}

/// Of what is rare only a status of error.
fn error_status(bytes: &[u8]) -> Result<Option<ExtraRow>, Malformed> {
    let status = status_of(bytes)?;
    Ok((status == StatusCode::Error).then(|| {
        let mut extra = ExtraRow::default();
        extra.status = status;
        extra
    }))
}

enum RowError {
    Malformed(Malformed),
    Segment(SegmentError),
}

impl From<Malformed> for RowError {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

impl From<SegmentError> for RowError {
    fn from(error: SegmentError) -> Self {
        Self::Segment(error)
    }
}

/// One column, or none where all is zero.
pub(super) struct Codes(Option<Arc<Column>>);

impl Codes {
    pub(super) fn get(&self, row: u32) -> Result<u32, Malformed> {
        let Some(column) = &self.0 else { return Ok(0) };
        column.u32s()?.get(row as usize).copied().ok_or(Malformed("a column has too few rows"))
    }

    /// The first entries.
    pub(super) fn first(&self, rows: u32) -> Result<Cow<'_, [u32]>, Malformed> {
        let Some(column) = &self.0 else { return Ok(vec![0; rows as usize].into()) };
        let entries = column.u32s()?.get(..rows as usize);
        entries.map(Cow::Borrowed).ok_or(Malformed("a column has too few rows"))
    }
}

/// One column of 8-byte numbers, or none where all is zero.
struct Words(Option<Arc<Column>>);

impl Words {
    fn get(&self, row: u32) -> Result<u64, Malformed> {
        let Some(column) = &self.0 else { return Ok(0) };
        column.u64s()?.get(row as usize).copied().ok_or(Malformed("a column has too few rows"))
    }
}

impl Segment {
    pub(super) fn codes(&self, block: u32, number: u32) -> Result<Codes, SegmentError> {
        self.column(block, number).map(Codes)
    }
}

struct RowReader<'a> {
    segment: &'a Segment,
    block: u32,
    whole: BlockBytes,
    highs: Option<Arc<Column>>,
    ids: Words,
    parents: Codes,
    far_parents: Words,
    starts: Words,
    durations: Words,
    kinds: Codes,
    names: Codes,
    locals: Codes,
    remotes: Codes,
    shapes: Codes,
    annotation_counts: Codes,
    annotation_times: Words,
    annotation_shapes: Codes,
    resources: Codes,
    scopes: Codes,
    extras: Option<Arc<Column>>,
    /// The trace of the row read last; its high half is that of its rows unless `highs` says otherwise.
    trace: u32,
    far_parent: u32,
    annotation: u32,
    /// By attribute.
    values: Vec<Values>,
    /// The tags that are read: all, unless there is something here, which tells of each attribute whether it is.
    tags: Option<Vec<bool>>,
    printed: String,
    /// Texts of the dictionary that the batch has.
    texts: HashMap<u32, StrId>,
    endpoints: HashMap<u32, EndpointId>,
    resource_ids: HashMap<u32, ResourceId>,
    scope_ids: HashMap<u32, ScopeId>,
}

/// The values of an attribute, from the next one on; the column is read when one is asked for.
#[derive(Clone, Default)]
struct Values {
    column: Option<Arc<Column>>,
    next: usize,
}

impl<'a> RowReader<'a> {
    fn new(segment: &'a Segment, block: u32, depth: Depth) -> Result<Self, SegmentError> {
        let whole = BlockBytes::default();
        let column = |number| segment.column_from(block, number, Some(&whole));
        let codes = |number| column(number).map(Codes);
        let words = |number| column(number).map(Words);
        // What an outline lacks is as if all of it were zero.
        let codes_if_whole = |number| if depth == Depth::Whole { codes(number) } else { Ok(Codes(None)) };
        let tags = (depth == Depth::Outline).then(|| error_tags(&segment.footer.dictionary));
        Ok(Self {
            segment,
            block,
            highs: column(columns::HIGH)?,
            ids: words(columns::ID)?,
            parents: codes(columns::PARENT)?,
            far_parents: words(columns::FAR_PARENTS)?,
            starts: words(columns::START)?,
            durations: words(columns::DURATION)?,
            kinds: codes(columns::KIND)?,
            names: codes(columns::NAME)?,
            locals: codes(columns::LOCAL)?,
            remotes: codes(columns::REMOTE)?,
            shapes: codes(columns::SHAPE)?,
            annotation_counts: codes(columns::ANNOTATION_COUNT)?,
            annotation_times: words(columns::ANNOTATION_TIME)?,
            annotation_shapes: codes_if_whole(columns::ANNOTATION_SHAPE)?,
            resources: codes_if_whole(columns::RESOURCE)?,
            scopes: codes_if_whole(columns::SCOPE)?,
            extras: column(columns::EXTRA)?,
            trace: 0,
            far_parent: 0,
            annotation: 0,
            values: vec![Values::default(); segment.footer.dictionary.attributes.len()],
            tags,
            printed: String::new(),
            texts: HashMap::new(),
            endpoints: HashMap::new(),
            resource_ids: HashMap::new(),
            scope_ids: HashMap::new(),
            whole,
        })
    }

    fn dictionary(&self) -> &'a Dictionary {
        &self.segment.footer.dictionary
    }

    /// Passes over the rows before `row`: counts what they have of each column that has no entry a row.
    fn skip_to(&mut self, row: u32) -> Result<(), RowError> {
        let first_row = self.segment.block(self.block).first_row;
        let first_rows = &self.segment.footer.traces.first_rows;
        self.trace = first_rows.partition_point(|&first| first <= first_row + row) as u32 - 1;
        let mut shapes = vec![0usize; self.dictionary().shapes.len()];
        let mut count = |shape: u32| match shapes.get_mut(shape as usize) {
            Some(rows) => {
                *rows += 1;
                Ok(())
            }
            None => Err(Malformed("a shape is not in the dictionary")),
        };
        self.shapes.first(row)?.iter().try_for_each(|&shape| count(shape))?;
        let annotations = self.annotation_counts.first(row)?.iter().fold(0u32, |sum, &n| sum.saturating_add(n));
        self.annotation_shapes.first(annotations)?.iter().try_for_each(|&shape| count(shape))?;
        let parents = self.parents.first(row)?;
        self.far_parent = parents.iter().filter(|&&parent| parent == columns::FAR_PARENT).count() as u32;
        drop(parents);
        self.annotation = annotations;
        for (shape, rows) in (0u32..).zip(shapes).filter(|(_, rows)| *rows > 0) {
            for &attribute in self.dictionary().shape(shape)? {
                self.values[attribute as usize].next += rows;
            }
        }
        // The text of annotations is one more attribute, with an entry an annotation.
        if let Some(text) = self.segment.footer.annotation_text {
            self.values[text as usize].next += annotations as usize;
        }
        Ok(())
    }

    /// A text of the dictionary, as one of the batch.
    fn text(&mut self, code: u32, batch: &mut SpanBatch) -> Result<StrId, Malformed> {
        if let Some(&id) = self.texts.get(&code) {
            return Ok(id);
        }
        let id = batch.intern(self.dictionary().text(code)?);
        self.texts.insert(code, id);
        Ok(id)
    }

    fn read(&mut self, row: u32, batch: &mut SpanBatch) -> Result<(), RowError> {
        let dictionary = self.dictionary();
        let kind = self.kinds.get(row)?;
        let flags = SpanFlags((kind >> 3) as u16);
        let kind = Kind::from_u8(kind as u8 & 7).ok_or(Malformed("a span's kind is unknown"))?;
        let parent = self.parent(row)?;
        let name = self.text(self.names.get(row)?, batch)?;
        let local = self.endpoint(self.locals.get(row)?, batch)?;
        let remote = self.endpoint(self.remotes.get(row)?, batch)?;
        for &attribute in dictionary.shape(self.shapes.get(row)?)? {
            if self.tags.as_ref().is_some_and(|read| !read[attribute as usize]) {
                continue;
            }
            let key = self.text(dictionary.attribute(attribute)?.key.key, batch)?;
            self.read_value(attribute, |value| batch.tag(key, value))?;
        }
        for _ in 0..self.annotation_counts.get(row)? {
            self.read_annotation(batch)?;
        }
        let extra = match &self.extras {
            Some(extras) if self.tags.is_none() => read_extra(extras.bytes(row as usize)?, dictionary, batch)?,
            Some(extras) => error_status(extras.bytes(row as usize)?)?,
            None => None,
        };
        let row_entry = SpanRow {
            trace_id: self.trace_id(row)?,
            id: SpanId::new(self.ids.get(row)?),
            parent: SpanId::new(parent),
            name,
            kind,
            flags,
            start: flags.contains(SpanFlags::HAS_START).then_some(Time::from_bits(self.starts.get(row)?)),
            duration: flags.contains(SpanFlags::HAS_DURATION).then_some(Time::from_bits(self.durations.get(row)?)),
            local,
            remote,
            resource: self.resource(row, batch)?,
            scope: self.scope(row, batch)?,
            extra,
        };
        batch.commit(row_entry).map_err(|_| Malformed("its texts are too long for a batch"))?;
        Ok(())
    }

    fn trace_id(&mut self, row: u32) -> Result<TraceId, Malformed> {
        let traces = &self.segment.footer.traces;
        let row_of_segment = self.segment.block(self.block).first_row + row;
        while traces.first_rows[self.trace as usize + 1] <= row_of_segment {
            self.trace += 1;
        }
        let high = match &self.highs {
            Some(highs) => *highs.u64s()?.get(row as usize).ok_or(Malformed("a column has too few rows"))?,
            None => traces.highs[self.trace as usize],
        };
        Ok(TraceId::from_halves(high, traces.lows[self.trace as usize]))
    }

    fn parent(&mut self, row: u32) -> Result<u64, Malformed> {
        Ok(match self.parents.get(row)? {
            columns::NO_PARENT => 0,
            columns::FAR_PARENT => {
                self.far_parent += 1;
                self.far_parents.get(self.far_parent - 1)?
            }
            code => {
                let back = unzigzag(u64::from(code - columns::NEAR_PARENT));
                let at = u32::try_from(i64::from(row) - back).map_err(|_| Malformed("a parent is not there"))?;
                self.ids.get(at)?
            }
        })
    }

    fn endpoint(&mut self, code: u32, batch: &mut SpanBatch) -> Result<EndpointId, Malformed> {
        if code == 0 {
            return Ok(EndpointId(0));
        }
        if let Some(&id) = self.endpoints.get(&code) {
            return Ok(id);
        }
        let dictionary = self.dictionary();
        let &EndpointEntry { service, ipv4, ipv6, port, ipv4_text } = dictionary.endpoint(code)?;
        let service = batch.intern(dictionary.text(service)?);
        let ipv4_text = batch.intern(dictionary.text(ipv4_text)?);
        let id = batch.intern_endpoint(Endpoint { service, ipv4, ipv6, port, ipv4_text });
        self.endpoints.insert(code, id);
        Ok(id)
    }

    fn resource(&mut self, row: u32, batch: &mut SpanBatch) -> Result<ResourceId, Malformed> {
        let code = self.resources.get(row)?;
        if code == 0 {
            return Ok(ResourceId(0));
        }
        if let Some(&id) = self.resource_ids.get(&code) {
            return Ok(id);
        }
        let dictionary = self.dictionary();
        let bytes = dictionary.resources.get(code as usize).ok_or(Malformed("a resource is not in the dictionary"))?;
        let id = read_resource(bytes, dictionary, batch)?;
        self.resource_ids.insert(code, id);
        Ok(id)
    }

    fn scope(&mut self, row: u32, batch: &mut SpanBatch) -> Result<ScopeId, Malformed> {
        let code = self.scopes.get(row)?;
        if code == 0 {
            return Ok(ScopeId(0));
        }
        if let Some(&id) = self.scope_ids.get(&code) {
            return Ok(id);
        }
        let dictionary = self.dictionary();
        let bytes = dictionary.scopes.get(code as usize).ok_or(Malformed("a scope is not in the dictionary"))?;
        let id = read_scope(bytes, dictionary, batch)?;
        self.scope_ids.insert(code, id);
        Ok(id)
    }

    fn read_annotation(&mut self, batch: &mut SpanBatch) -> Result<(), RowError> {
        let time = Time::from_bits(self.annotation_times.get(self.annotation)?);
        let text = self.segment.footer.annotation_text.ok_or(Malformed("annotations have no texts"))?;
        self.read_value(text, |value| {
            if let ValueRef::Str(value) = value {
                batch.annotation(time, value);
            }
        })?;
        for &attribute in self.dictionary().shape(self.annotation_shapes.get(self.annotation)?)? {
            let key = self.text(self.dictionary().attribute(attribute)?.key.key, batch)?;
            self.read_value(attribute, |value| batch.annotation_detail(key, value))?;
        }
        self.annotation += 1;
        Ok(())
    }

    fn read_value(&mut self, attribute: u32, each: impl FnOnce(ValueRef<'_>)) -> Result<(), RowError> {
        let entry = self.dictionary().attribute(attribute)?;
        let Self { segment, block, whole, values, printed, .. } = self;
        // Every attribute that a shape names is there: the dictionary was checked.
        let values = &mut values[attribute as usize];
        if values.column.is_none() {
            values.column =
                segment.column_from(*block, columns::FIRST_ATTRIBUTE.saturating_add(attribute), Some(whole))?;
        }
        let at = values.next;
        values.next += 1;
        let column = values.column.as_deref().ok_or(Malformed("a column of values is missing"))?;
        let missing = Malformed("a value is missing");
        each(match entry.key.value_type {
            ValueType::Str => ValueRef::Str(match column {
                Column::U32(codes) => {
                    let code = *codes.get(at).ok_or(missing)?;
                    entry.values.get(code).ok_or(Malformed("a value is not in the dictionary"))?
                }
                texts => texts.text(at, &entry.templates, printed)?,
            }),
            ValueType::Bool => ValueRef::Bool(*column.u32s()?.get(at).ok_or(missing)? != 0),
            ValueType::I64 => ValueRef::I64(unzigzag(*column.u64s()?.get(at).ok_or(missing)?)),
            ValueType::F64 => ValueRef::F64(f64::from_bits(*column.u64s()?.get(at).ok_or(missing)?)),
            ValueType::Bytes => ValueRef::Bytes(column.bytes(at)?),
            ValueType::Nested => ValueRef::Nested(column.bytes(at)?),
        });
        Ok(())
    }
}
