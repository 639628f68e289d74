//! OTLP protobuf into a span batch: one walk over the fields, no object and no allocation per span.

use super::any_value::{self, ARRAY, BOOL, DOUBLE, INT, MAP, STRING, last_field, push_canonical, read_key_value};
use super::error::{OtlpError, Result};
use super::names::{CHILD_OF, DROPPED_ATTRIBUTES, Meaning, REF_TYPE};
use super::peer::{PeerKeys, assign_remote};
use super::plain::PlainSpans;
use super::shared::{Resource, Scope, Target};
use super::time_text::negative_duration_warning;
use crate::Limits;
use crate::names::{SeenNames, lossy, reserve_for_body};
use crate::protobuf::{BYTES, FIXED32, FIXED64, Reader, VARINT, fields, key};
use tracewell_model::{
    ExtraRow, Kind, LinkRow, SpanBatch, SpanId, SpanRow, StatusCode, StrId, Text, Time, TraceId, ValueRef,
};

/// Appends the spans of a body to the batch and answers how many they are. On an error the batch is what it was before.
///
/// What is taken and refused is what Jaeger 1.76 takes and refuses: an empty body is no spans; ids have their length or
/// none (which reads as zeros); a known field of another wire type is an error; kinds and status codes not known are
/// "unset"; texts that are not UTF-8 are repaired. A span that ends before it begins gets Jaeger's warning and one nanosecond.
pub fn decode_protobuf(body: &[u8], limits: &Limits, batch: &mut SpanBatch) -> Result<usize> {
    let mark = batch.mark();
    reserve_for_body(batch, body.len(), 300);
    let decoded = Decoder::new(limits, batch).request(Reader::new(body));
    if decoded.is_err() {
        batch.rollback(mark);
    }
    decoded
}

/// The same without [`PlainSpans`], to compare with.
#[cfg(test)]
pub(super) fn decode_protobuf_by_reader(body: &[u8], limits: &Limits, batch: &mut SpanBatch) -> Result<usize> {
    let mark = batch.mark();
    let mut decoder = Decoder::new(limits, batch);
    decoder.plain.give_up();
    let decoded = decoder.request(Reader::new(body));
    if decoded.is_err() {
        batch.rollback(mark);
    }
    decoded
}

/// The start, end and extra fields of a span while it is being read.
#[derive(Default)]
pub(super) struct OpenSpan {
    pub(super) row: SpanRow,
    pub(super) extra: ExtraRow,
    pub(super) start_nanos: u64,
    pub(super) end_nanos: u64,
    /// What attributes may say of the other side.
    pub(super) peer: PeerKeys,
}

impl OpenSpan {
    /// Ends the span: its row joins the batch.
    #[inline]
    pub(super) fn commit(self, batch: &mut SpanBatch, scratch: &mut String) -> Result<()> {
        let (peer, kind, extra) = (self.peer, self.row.kind, self.extra);
        self.commit_row(batch, Some(extra).filter(|extra| *extra != ExtraRow::default()))?;
        if peer.count_for(kind) {
            assign_remote(batch, scratch);
        }
        Ok(())
    }

    /// The same for a span whose other side is known.
    #[expect(clippy::inline_always, reason = "a span has many fields to be handed over")]
    #[inline(always)]
    pub(super) fn commit_row(mut self, batch: &mut SpanBatch, extra: Option<ExtraRow>) -> Result<()> {
        let (start, end) = (Time::from_nanos(self.start_nanos), Time::from_nanos(self.end_nanos));
        if self.start_nanos != 0 || self.end_nanos != 0 {
            self.row.start = Some(start);
        }
        if self.end_nanos != 0 {
            self.row.duration = Some(end.saturating_sub(start));
            if end < start {
                self.row.duration = Some(Time::from_nanos(1));
                batch.warning(&negative_duration_warning(start, end));
            }
        }
        self.row.extra = extra;
        batch.commit(self.row)?;
        Ok(())
    }
}

const STRING_KEY: u8 = STRING as u8;

pub(super) struct Decoder<'a, 'b> {
    pub(super) limits: &'b Limits,
    pub(super) batch: &'b mut SpanBatch,
    pub(super) names: SeenNames<'a, Meaning>,
    pub(super) plain: PlainSpans<'a>,
    nested: Vec<u8>,
    scratch: String,
    spans: usize,
    resource: Resource,
    peer: PeerKeys,
    child_of: bool,
}

impl<'a, 'b> Decoder<'a, 'b> {
    pub(super) fn new(limits: &'b Limits, batch: &'b mut SpanBatch) -> Self {
        Self {
            limits,
            batch,
            names: SeenNames::new(),
            plain: PlainSpans::new(),
            nested: Vec::new(),
            scratch: String::new(),
            spans: 0,
            resource: Resource::default(),
            peer: PeerKeys::default(),
            child_of: false,
        }
    }

    pub(super) fn request(&mut self, mut reader: Reader<'a>) -> Result<usize> {
        const RESOURCE_SPANS: u32 = key(1, BYTES);
        while let Some(key) = reader.key()? {
            match key {
                RESOURCE_SPANS => self.resource_spans(reader.message()?)?,
                _ => reader.skip_unknown(key, fields(&[1]))?,
            }
        }
        Ok(self.spans)
    }

    fn resource_spans(&mut self, mut reader: Reader<'a>) -> Result<()> {
        const RESOURCE: u32 = key(1, BYTES);
        const SCOPE_SPANS: u32 = key(2, BYTES);
        const SCHEMA_URL: u32 = key(3, BYTES);
        self.resource = Resource::begin(self.batch);
        while let Some(key) = reader.key()? {
            match key {
                RESOURCE => self.resource(reader.message()?)?,
                SCOPE_SPANS => self.scope_spans(reader.message()?)?,
                SCHEMA_URL => self.resource.schema_url = self.name(reader.bytes()?)?.0,
                _ => reader.skip_unknown(key, fields(&[1, 2, 3]))?,
            }
        }
        self.resource.end(self.batch);
        Ok(())
    }

    fn resource(&mut self, mut reader: Reader<'a>) -> Result<()> {
        const ATTRIBUTE: u32 = key(1, BYTES);
        const DROPPED: u32 = key(2, VARINT);
        self.resource.begin_message(self.batch);
        let mut attributes = 0;
        while let Some(key) = reader.key()? {
            match key {
                ATTRIBUTE => self.attribute(Target::Resource, &mut attributes, reader.message()?)?,
                DROPPED => self.resource.dropped_attributes = reader.varint()? as u32,
                _ => reader.skip_unknown(key, fields(&[1, 2]))?,
            }
        }
        Ok(())
    }

    fn scope_spans(&mut self, mut reader: Reader<'a>) -> Result<()> {
        const SCOPE: u32 = key(1, BYTES);
        const SPAN: u32 = key(2, BYTES);
        const SCHEMA_URL: u32 = key(3, BYTES);
        let mut scope = Scope::begin(self.batch);
        while let Some(key) = reader.key()? {
            match key {
                SPAN => self.span(reader.message()?)?,
                SCOPE => self.scope(&mut scope, reader.message()?)?,
                SCHEMA_URL => scope.schema_url = self.name(reader.bytes()?)?.0,
                _ => reader.skip_unknown(key, fields(&[1, 2, 3]))?,
            }
        }
        scope.end(self.batch);
        Ok(())
    }

    fn scope(&mut self, scope: &mut Scope, mut reader: Reader<'a>) -> Result<()> {
        const NAME: u32 = key(1, BYTES);
        const VERSION: u32 = key(2, BYTES);
        const ATTRIBUTE: u32 = key(3, BYTES);
        const DROPPED: u32 = key(4, VARINT);
        scope.begin_message(self.batch);
        let mut attributes = 0;
        while let Some(key) = reader.key()? {
            match key {
                NAME => scope.name = self.name(reader.bytes()?)?.0,
                VERSION => scope.version = self.name(reader.bytes()?)?.0,
                ATTRIBUTE => self.attribute(Target::Scope, &mut attributes, reader.message()?)?,
                DROPPED => scope.dropped_attributes = reader.varint()? as u32,
                _ => reader.skip_unknown(key, fields(&[1, 2, 3, 4]))?,
            }
        }
        Ok(())
    }

    fn span(&mut self, mut reader: Reader<'a>) -> Result<()> {
        const TRACE_ID: u32 = key(1, BYTES);
        const SPAN_ID: u32 = key(2, BYTES);
        const TRACE_STATE: u32 = key(3, BYTES);
        const PARENT_SPAN_ID: u32 = key(4, BYTES);
        const NAME: u32 = key(5, BYTES);
        const KIND: u32 = key(6, VARINT);
        const START: u32 = key(7, FIXED64);
        const END: u32 = key(8, FIXED64);
        const ATTRIBUTE: u32 = key(9, BYTES);
        const DROPPED_ATTRIBUTES: u32 = key(10, VARINT);
        const EVENT: u32 = key(11, BYTES);
        const DROPPED_EVENTS: u32 = key(12, VARINT);
        const LINK: u32 = key(13, BYTES);
        const DROPPED_LINKS: u32 = key(14, VARINT);
        const STATUS: u32 = key(15, BYTES);
        const FLAGS: u32 = key(16, FIXED32);
        const KNOWN: u64 = fields(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        if self.spans == self.limits.spans_max {
            return Err(OtlpError::TooMany { what: "spans", max: self.spans });
        }
        self.spans += 1;
        if self.plain_span(reader.rest()) {
            return Ok(());
        }
        self.peer = PeerKeys::default();
        let mut span = OpenSpan::default();
        let (mut attributes, mut events, mut links) = (0, 0, 0);
        while let Some(key) = reader.key()? {
            match key {
                TRACE_ID => span.row.trace_id = trace_id(reader.bytes()?)?,
                SPAN_ID => span.row.id = span_id("span_id", reader.bytes()?)?,
                PARENT_SPAN_ID => span.row.parent = span_id("parent_span_id", reader.bytes()?)?,
                NAME => span.row.name = self.name(reader.bytes()?)?.0,
                KIND => span.row.kind = kind(reader.varint()?),
                START => span.start_nanos = reader.fixed64()?,
                END => span.end_nanos = reader.fixed64()?,
                ATTRIBUTE => self.attribute(Target::Tag, &mut attributes, reader.message()?)?,
                EVENT => self.event(&mut events, reader.message()?)?,
                LINK => self.link(&mut links, reader.message()?)?,
                STATUS => self.status(&mut span.extra, reader.message()?)?,
                TRACE_STATE => span.extra.trace_state = self.text(reader.bytes()?)?,
                FLAGS => span.extra.otlp_flags = reader.fixed32()?,
                DROPPED_ATTRIBUTES => span.extra.dropped_tags = reader.varint()? as u32,
                DROPPED_EVENTS => span.extra.dropped_annotations = reader.varint()? as u32,
                DROPPED_LINKS => span.extra.dropped_links = reader.varint()? as u32,
                _ => reader.skip_unknown(key, KNOWN)?,
            }
        }
        span.peer = self.peer;
        span.commit(self.batch, &mut self.scratch)
    }

    fn event(&mut self, events: &mut usize, mut reader: Reader<'a>) -> Result<()> {
        const TIME: u32 = key(1, FIXED64);
        const NAME: u32 = key(2, BYTES);
        const ATTRIBUTE: u32 = key(3, BYTES);
        const DROPPED: u32 = key(4, VARINT);
        count(events, "events in a span", self.limits.annotations_max_per_span)?;
        let (mut time, mut name, mut dropped, mut attributes) = (0, Text::default(), 0, 0);
        self.batch.annotation(Time::ZERO, "");
        while let Some(key) = reader.key()? {
            match key {
                TIME => time = reader.fixed64()?,
                NAME => name = self.text(reader.bytes()?)?,
                ATTRIBUTE => self.attribute(Target::Detail, &mut attributes, reader.message()?)?,
                DROPPED => dropped = reader.varint()? as u32,
                _ => reader.skip_unknown(key, fields(&[1, 2, 3, 4]))?,
            }
        }
        self.batch.describe_annotation(Time::from_nanos(time), name);
        push_dropped(self.batch, dropped);
        Ok(())
    }

    pub(super) fn link(&mut self, links: &mut usize, mut reader: Reader<'a>) -> Result<()> {
        const TRACE_ID: u32 = key(1, BYTES);
        const SPAN_ID: u32 = key(2, BYTES);
        const TRACE_STATE: u32 = key(3, BYTES);
        const ATTRIBUTE: u32 = key(4, BYTES);
        const DROPPED: u32 = key(5, VARINT);
        const FLAGS: u32 = key(6, FIXED32);
        count(links, "links in a span", self.limits.annotations_max_per_span)?;
        let (mut link, mut attributes) = (LinkRow::default(), 0);
        self.child_of = false;
        self.batch.link(link);
        while let Some(key) = reader.key()? {
            match key {
                TRACE_ID => link.trace_id = trace_id(reader.bytes()?)?,
                SPAN_ID => link.span_id = span_id("span_id", reader.bytes()?)?,
                TRACE_STATE => link.trace_state = self.text(reader.bytes()?)?,
                ATTRIBUTE => self.attribute(Target::Link, &mut attributes, reader.message()?)?,
                DROPPED => link.dropped_attributes = reader.varint()? as u32,
                FLAGS => link.otlp_flags = reader.fixed32()?,
                _ => reader.skip_unknown(key, fields(&[1, 2, 3, 4, 5, 6]))?,
            }
        }
        link.child_of = self.child_of;
        self.batch.describe_link(link);
        Ok(())
    }

    fn status(&mut self, extra: &mut ExtraRow, mut reader: Reader<'a>) -> Result<()> {
        const MESSAGE: u32 = key(2, BYTES);
        const CODE: u32 = key(3, VARINT);
        while let Some(key) = reader.key()? {
            match key {
                MESSAGE => extra.status_message = self.text(reader.bytes()?)?,
                CODE => extra.status = status_code(reader.varint()?),
                _ => reader.skip_unknown(key, fields(&[2, 3]))?,
            }
        }
        Ok(())
    }

    #[inline]
    fn attribute(&mut self, target: Target, attributes: &mut usize, mut reader: Reader<'a>) -> Result<()> {
        count(attributes, "attributes in one place", self.limits.tags_max_per_span)?;
        let (name, value) = read_key_value(&mut reader)?;
        let (key, meaning) = self.name(name)?;
        match (target, meaning) {
            (Target::Tag, Meaning::Peer(rank)) => self.peer.saw(rank),
            (Target::Tag, Meaning::Warnings) => {
                let batch = &mut *self.batch;
                if any_value::for_each_text(value, |text| batch.warning(text))?.is_some() {
                    return Ok(());
                }
            }
            (Target::Resource, Meaning::ServiceName) => self.service(value)?,
            (Target::Link, _) if name == REF_TYPE.as_bytes() => {
                if let Some((STRING, mut text)) = last_field(value)? {
                    self.child_of = text.bytes()? == CHILD_OF.as_bytes();
                }
            }
            _ => {}
        }
        self.value(target, key, value)
    }

    fn service(&mut self, value: Reader<'a>) -> Result<()> {
        match last_field(value)? {
            Some((STRING, mut text)) => self.resource.set_service(self.batch, ValueRef::Str(&text.text()?)),
            _ => self.resource.set_service(self.batch, ValueRef::Bool(false)),
        }
        Ok(())
    }

    #[inline]
    pub(super) fn value(&mut self, target: Target, name: StrId, value: Reader<'a>) -> Result<()> {
        // Nearly every value: a text and nothing else.
        if let [STRING_KEY, len, text @ ..] = value.rest()
            && usize::from(*len) == text.len()
            && *len < 0x80
            && text.len() <= self.limits.string_bytes_max
        {
            target.push(self.batch, name, ValueRef::Str(&lossy(text)));
            return Ok(());
        }
        let Some((key, mut field)) = last_field(value)? else {
            target.push(self.batch, name, ValueRef::Nested(&[]));
            return Ok(());
        };
        match key {
            STRING => {
                let text = field.bytes()?;
                self.check_len(text)?;
                target.push(self.batch, name, ValueRef::Str(&lossy(text)));
            }
            BOOL => target.push(self.batch, name, ValueRef::Bool(field.varint()? != 0)),
            INT => target.push(self.batch, name, ValueRef::I64(field.varint()? as i64)),
            DOUBLE => target.push(self.batch, name, ValueRef::F64(f64::from_bits(field.fixed64()?))),
            ARRAY | MAP => {
                self.nested.clear();
                push_canonical(value, &mut self.nested, self.limits, 0)?;
                target.push(self.batch, name, ValueRef::Nested(&self.nested));
            }
            _ => target.push(self.batch, name, ValueRef::Bytes(field.bytes()?)),
        }
        Ok(())
    }

    #[inline]
    fn name(&mut self, name: &'a [u8]) -> Result<(StrId, Meaning)> {
        self.check_len(name)?;
        Ok(self.names.intern(name, self.batch))
    }

    /// A text that does not repeat. An empty one is as if it were not there.
    fn text(&mut self, text: &'a [u8]) -> Result<Text> {
        self.check_len(text)?;
        if text.is_empty() {
            return Ok(Text::default());
        }
        Ok(self.batch.push_text(&lossy(text)))
    }

    #[inline]
    fn check_len(&self, text: &[u8]) -> Result<()> {
        let (bytes, bytes_max) = (text.len(), self.limits.string_bytes_max);
        if bytes > bytes_max { Err(OtlpError::TextTooLong { bytes, bytes_max }) } else { Ok(()) }
    }
}

/// What an event's sender left out is its last detail.
pub(super) fn push_dropped(batch: &mut SpanBatch, dropped: u32) {
    if dropped > 0 {
        let key = batch.intern(DROPPED_ATTRIBUTES);
        batch.annotation_detail(key, ValueRef::I64(dropped.into()));
    }
}

#[inline]
pub(super) fn count(counted: &mut usize, what: &'static str, max: usize) -> Result<()> {
    *counted += 1;
    if *counted > max { Err(OtlpError::TooMany { what, max }) } else { Ok(()) }
}

#[inline]
fn trace_id(bytes: &[u8]) -> Result<TraceId> {
    match (<[u8; 16]>::try_from(bytes), bytes) {
        (Ok(id), _) => Ok(TraceId::new(u128::from_be_bytes(id))),
        (_, []) => Ok(TraceId::default()),
        _ => Err(OtlpError::IdLength { field: "trace_id", unit: "bytes", expected: 16, found: bytes.len() }),
    }
}

#[inline]
fn span_id(field: &'static str, bytes: &[u8]) -> Result<SpanId> {
    match (<[u8; 8]>::try_from(bytes), bytes) {
        (Ok(id), _) => Ok(SpanId::new(u64::from_be_bytes(id))),
        (_, []) => Ok(SpanId::NONE),
        _ => Err(OtlpError::IdLength { field, unit: "bytes", expected: 8, found: bytes.len() }),
    }
}

/// OTLP's numbers for kinds are not the model's: it has the server first.
pub(super) fn kind(number: u64) -> Kind {
    match number {
        1 => Kind::Internal,
        2 => Kind::Server,
        3 => Kind::Client,
        4 => Kind::Producer,
        5 => Kind::Consumer,
        _ => Kind::Unset,
    }
}

pub(super) fn status_code(number: u64) -> StatusCode {
    u8::try_from(number).ok().and_then(StatusCode::from_u8).unwrap_or_default()
}
