//! OTLP JSON into a span batch: token by token, no object and no allocation per span.

use super::any_value::for_each_text;
use super::decode_protobuf::{OpenSpan, count, kind, push_dropped, status_code};
use super::error::{OtlpError, Result};
use super::json_value::{ReadValue, read_long, read_unsigned, wrong};
use super::names::{CHILD_OF, Meaning, REF_TYPE};
use super::peer::PeerKeys;
use super::shared::{Resource, Scope, Target};
use crate::Limits;
use crate::json::{Reader, Token};
use crate::names::{NameMeaning as _, lossy, reserve_for_body};
use crate::protobuf;
use tracewell_model::{ExtraRow, Kind, LinkRow, SpanBatch, SpanId, StatusCode, StrId, Text, Time, TraceId, ValueRef};

/// Appends the spans of a body to the batch and answers how many they are. On an error the batch is what it was before.
///
/// Taken is what the specification's JSON mapping and Jaeger 1.76 take: ids in hexadecimal of either case with their length
/// or empty, 64-bit numbers as text or number, enums by number or name, bytes in base64, `null` for what is not there; names
/// of fields in lowerCamelCase or as in the proto files. Unknown fields are ignored.
pub fn decode_json(body: &[u8], limits: &Limits, batch: &mut SpanBatch) -> Result<usize> {
    let text = lossy(body);
    let mark = batch.mark();
    reserve_for_body(batch, body.len(), 850);
    // A value inside a value is three levels deep in JSON; the request around it has fewer than sixteen.
    let depth_max = limits.depth_max.saturating_mul(3).saturating_add(16);
    let reader = Reader::new(&text, &Limits { depth_max, ..*limits });
    let decoded = Decoder::new(reader, limits, batch).request();
    if decoded.is_err() {
        batch.rollback(mark);
    }
    decoded
}

struct Decoder<'a> {
    reader: Reader<'a>,
    limits: &'a Limits,
    batch: &'a mut SpanBatch,
    value: ReadValue,
    scratch: String,
    spans: usize,
    resource: Resource,
    peer: PeerKeys,
    child_of: bool,
}

impl<'a> Decoder<'a> {
    fn new(reader: Reader<'a>, limits: &'a Limits, batch: &'a mut SpanBatch) -> Self {
        Self {
            reader,
            limits,
            batch,
            value: ReadValue::default(),
            scratch: String::new(),
            spans: 0,
            resource: Resource::default(),
            peer: PeerKeys::default(),
            child_of: false,
        }
    }

    fn request(mut self) -> Result<usize> {
        self.reader.begin_object()?;
        while let Some(field) = self.next_field()? {
            match field {
                Field::ResourceSpans => self.list(Self::resource_spans)?,
                _ => self.reader.skip_value()?,
            }
        }
        self.reader.end_object()?;
        finish(&self.reader)?;
        Ok(self.spans)
    }

    fn resource_spans(&mut self) -> Result<()> {
        self.resource = Resource::begin(self.batch);
        self.reader.begin_object()?;
        while let Some(field) = self.next_field()? {
            match field {
                Field::Resource => self.resource()?,
                Field::ScopeSpans => self.list(Self::scope_spans)?,
                Field::SchemaUrl => self.resource.schema_url = self.name()?,
                _ => self.reader.skip_value()?,
            }
        }
        self.reader.end_object()?;
        self.resource.end(self.batch);
        Ok(())
    }

    fn resource(&mut self) -> Result<()> {
        self.resource.begin_message(self.batch);
        self.reader.begin_object()?;
        while let Some(field) = self.next_field()? {
            match field {
                Field::Attributes => self.attributes(Target::Resource)?,
                Field::DroppedAttributes => self.resource.dropped_attributes = self.number()?,
                _ => self.reader.skip_value()?,
            }
        }
        Ok(self.reader.end_object()?)
    }

    fn scope_spans(&mut self) -> Result<()> {
        let mut scope = Scope::begin(self.batch);
        self.reader.begin_object()?;
        while let Some(field) = self.next_field()? {
            match field {
                Field::Spans => self.list(Self::span)?,
                Field::Scope => self.scope(&mut scope)?,
                Field::SchemaUrl => scope.schema_url = self.name()?,
                _ => self.reader.skip_value()?,
            }
        }
        self.reader.end_object()?;
        scope.end(self.batch);
        Ok(())
    }

    fn scope(&mut self, scope: &mut Scope) -> Result<()> {
        scope.begin_message(self.batch);
        self.reader.begin_object()?;
        while let Some(field) = self.next_field()? {
            match field {
                Field::Name => scope.name = self.name()?,
                Field::Version => scope.version = self.name()?,
                Field::Attributes => self.attributes(Target::Scope)?,
                Field::DroppedAttributes => scope.dropped_attributes = self.number()?,
                _ => self.reader.skip_value()?,
            }
        }
        Ok(self.reader.end_object()?)
    }

    fn span(&mut self) -> Result<()> {
        if self.spans == self.limits.spans_max {
            return Err(OtlpError::TooMany { what: "spans", max: self.spans });
        }
        self.spans += 1;
        self.peer = PeerKeys::default();
        let mut span = OpenSpan::default();
        self.reader.begin_object()?;
        while let Some(field) = self.next_field()? {
            match field {
                Field::TraceId => span.row.trace_id = self.trace_id()?,
                Field::SpanId => span.row.id = self.span_id("spanId")?,
                Field::ParentSpanId => span.row.parent = self.span_id("parentSpanId")?,
                Field::TraceState => span.extra.trace_state = self.text()?,
                Field::Flags => span.extra.otlp_flags = self.number()?,
                Field::Name => span.row.name = self.name()?,
                Field::Kind => span.row.kind = self.kind()?,
                Field::Start => span.start_nanos = read_unsigned(&mut self.reader)?,
                Field::End => span.end_nanos = read_unsigned(&mut self.reader)?,
                Field::Attributes => self.attributes(Target::Tag)?,
                Field::DroppedAttributes => span.extra.dropped_tags = self.number()?,
                Field::Events => self.events()?,
                Field::DroppedEvents => span.extra.dropped_annotations = self.number()?,
                Field::Links => self.links()?,
                Field::DroppedLinks => span.extra.dropped_links = self.number()?,
                Field::Status => self.status(&mut span.extra)?,
                _ => self.reader.skip_value()?,
            }
        }
        self.reader.end_object()?;
        span.peer = self.peer;
        span.commit(self.batch, &mut self.scratch)
    }

    fn events(&mut self) -> Result<()> {
        let max = self.limits.annotations_max_per_span;
        self.list(|decoder| {
            decoder.event()?;
            let mut events = decoder.batch.open_annotations_len() - 1;
            count(&mut events, "events in a span", max)
        })
    }

    fn event(&mut self) -> Result<()> {
        let (mut time, mut name, mut dropped) = (0, Text::default(), 0);
        self.batch.annotation(Time::ZERO, "");
        self.reader.begin_object()?;
        while let Some(field) = self.next_field()? {
            match field {
                Field::Time => time = read_unsigned(&mut self.reader)?,
                Field::Name => name = self.text()?,
                Field::Attributes => self.attributes(Target::Detail)?,
                Field::DroppedAttributes => dropped = self.number()?,
                _ => self.reader.skip_value()?,
            }
        }
        self.reader.end_object()?;
        self.batch.describe_annotation(Time::from_nanos(time), name);
        push_dropped(self.batch, dropped);
        Ok(())
    }

    fn links(&mut self) -> Result<()> {
        let max = self.limits.annotations_max_per_span;
        let mut links = 0;
        self.list(|decoder| {
            count(&mut links, "links in a span", max)?;
            decoder.link()
        })
    }

    fn link(&mut self) -> Result<()> {
        let mut link = LinkRow::default();
        self.child_of = false;
        self.batch.link(link);
        self.reader.begin_object()?;
        while let Some(field) = self.next_field()? {
            match field {
                Field::TraceId => link.trace_id = self.trace_id()?,
                Field::SpanId => link.span_id = self.span_id("spanId")?,
                Field::TraceState => link.trace_state = self.text()?,
                Field::Attributes => self.attributes(Target::Link)?,
                Field::DroppedAttributes => link.dropped_attributes = self.number()?,
                Field::Flags => link.otlp_flags = self.number()?,
                _ => self.reader.skip_value()?,
            }
        }
        self.reader.end_object()?;
        link.child_of = self.child_of;
        self.batch.describe_link(link);
        Ok(())
    }

    fn status(&mut self, extra: &mut ExtraRow) -> Result<()> {
        self.reader.begin_object()?;
        while let Some(field) = self.next_field()? {
            match field {
                Field::Message => extra.status_message = self.text()?,
                Field::Code => extra.status = self.status_code()?,
                _ => self.reader.skip_value()?,
            }
        }
        Ok(self.reader.end_object()?)
    }

    fn attributes(&mut self, target: Target) -> Result<()> {
        let max = self.limits.tags_max_per_span;
        let mut attributes = 0;
        self.list(|decoder| {
            count(&mut attributes, "attributes in one place", max)?;
            decoder.attribute(target)
        })
    }

    fn attribute(&mut self, target: Target) -> Result<()> {
        let (mut key, mut meaning, mut is_ref_type) = (StrId::EMPTY, Meaning::Plain, false);
        self.value.clear();
        self.reader.begin_object()?;
        while let Some(field) = self.next_field()? {
            match field {
                Field::Key => {
                    let name = self.reader.next_string()?;
                    (meaning, is_ref_type) = (Meaning::of(name), name == REF_TYPE);
                    key = self.batch.intern(name);
                }
                Field::Value => self.value.read(&mut self.reader)?,
                _ => self.reader.skip_value()?,
            }
        }
        self.reader.end_object()?;
        let value = self.value.as_ref();
        match (target, meaning) {
            (Target::Tag, Meaning::Peer(rank)) => self.peer.saw(rank),
            (Target::Tag, Meaning::Warnings) => {
                if let ValueRef::Nested(bytes) = value {
                    let batch = &mut *self.batch;
                    if for_each_text(protobuf::Reader::new(bytes), |text| batch.warning(text))?.is_some() {
                        return Ok(());
                    }
                }
            }
            (Target::Resource, Meaning::ServiceName) => self.resource.set_service(self.batch, value),
            (Target::Link, _) if is_ref_type => self.child_of = value == ValueRef::Str(CHILD_OF),
            _ => {}
        }
        target.push(self.batch, key, value);
        Ok(())
    }

    /// The name of the next field of the object that is open, unless it has no value.
    fn next_field(&mut self) -> Result<Option<Field>> {
        while self.reader.has_next()? {
            let field = Field::of(self.reader.next_name()?);
            if self.reader.peek()? != Token::Null {
                return Ok(Some(field));
            }
            self.reader.skip_value()?;
        }
        Ok(None)
    }

    fn list(&mut self, mut each: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.reader.begin_array()?;
        while self.reader.has_next()? {
            each(self)?;
        }
        Ok(self.reader.end_array()?)
    }

    fn name(&mut self) -> Result<StrId> {
        Ok(self.batch.intern(self.reader.next_string()?))
    }

    /// A text that does not repeat. An empty one is as if it were not there.
    fn text(&mut self) -> Result<Text> {
        let text = self.reader.next_string()?;
        Ok(if text.is_empty() { Text::default() } else { self.batch.push_text(text) })
    }

    fn number(&mut self) -> Result<u32> {
        let number = read_unsigned(&mut self.reader)?;
        u32::try_from(number).map_err(|_| wrong(&self.reader, "a whole number, not negative, of 32 bits"))
    }

    fn trace_id(&mut self) -> Result<TraceId> {
        Ok(TraceId::new(self.hex("traceId", 32)?))
    }

    fn span_id(&mut self, field: &'static str) -> Result<SpanId> {
        Ok(SpanId::new(self.hex(field, 16)? as u64))
    }

    fn hex(&mut self, field: &'static str, expected: usize) -> Result<u128> {
        let text = self.reader.next_string()?.as_bytes();
        if text.len() != expected && !text.is_empty() {
            return Err(OtlpError::IdLength { field, unit: "digits", expected, found: text.len() });
        }
        let (mut value, mut seen) = (0u128, 0);
        for &digit in text {
            let nibble = HEX_VALUES[usize::from(digit)];
            seen |= nibble;
            value = value << 4 | u128::from(nibble & 15);
        }
        if seen < 16 { Ok(value) } else { Err(wrong(&self.reader, "hexadecimal digits")) }
    }

    fn kind(&mut self) -> Result<Kind> {
        const NAMES: [&str; 6] = [
            "SPAN_KIND_UNSPECIFIED",
            "SPAN_KIND_INTERNAL",
            "SPAN_KIND_SERVER",
            "SPAN_KIND_CLIENT",
            "SPAN_KIND_PRODUCER",
            "SPAN_KIND_CONSUMER",
        ];
        Ok(kind(self.enumeration(&NAMES, "a kind of spans")?))
    }

    fn status_code(&mut self) -> Result<StatusCode> {
        const NAMES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];
        Ok(status_code(self.enumeration(&NAMES, "a status code")?))
    }

    /// The number of an enum's value. Numbers that are not known are for the caller, as in protobuf.
    fn enumeration(&mut self, names: &[&str], expected: &'static str) -> Result<u64> {
        if self.reader.peek()? != Token::String {
            return Ok(read_long(&mut self.reader)? as u64);
        }
        let name = self.reader.next_string()?;
        let value = names.iter().position(|&known| known == name).map(|at| at as u64);
        value.ok_or_else(|| wrong(&self.reader, expected))
    }
}

/// Behind the value nothing more may come.
pub(super) fn finish(reader: &Reader<'_>) -> Result<()> {
    if reader.rest().iter().all(u8::is_ascii_whitespace) { Ok(()) } else { Err(OtlpError::Trailing) }
}

/// Walks what is not on the hot path.
pub(super) trait Members {
    /// Takes an object, member by member; `each` takes the value. Members without a value are left out.
    fn members(&mut self, each: impl FnMut(&mut Self, &str) -> Result<()>) -> Result<()>;
}

impl Members for Reader<'_> {
    fn members(&mut self, mut each: impl FnMut(&mut Self, &str) -> Result<()>) -> Result<()> {
        let mut name = String::new();
        self.begin_object()?;
        while self.has_next()? {
            name.clear();
            name.push_str(self.next_name()?);
            if self.peek()? == Token::Null {
                self.skip_value()?;
            } else {
                each(self, &name)?;
            }
        }
        Ok(self.end_object()?)
    }
}

/// Takes a list; `each` takes an element.
pub(super) fn in_list<'a>(reader: &mut Reader<'a>, mut each: impl FnMut(&mut Reader<'a>) -> Result<()>) -> Result<()> {
    reader.begin_array()?;
    while reader.has_next()? {
        each(reader)?;
    }
    Ok(reader.end_array()?)
}

/// The fields of all messages; which of them a message has is its method's affair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    ResourceSpans,
    Resource,
    ScopeSpans,
    SchemaUrl,
    Scope,
    Spans,
    Version,
    TraceId,
    SpanId,
    TraceState,
    ParentSpanId,
    Flags,
    Name,
    Kind,
    Start,
    End,
    Attributes,
    DroppedAttributes,
    Events,
    DroppedEvents,
    Links,
    DroppedLinks,
    Status,
    Time,
    Message,
    Code,
    Key,
    Value,
    Other,
}

impl Field {
    fn of(name: &str) -> Self {
        match name {
            "key" => Self::Key,
            "value" => Self::Value,
            "traceId" | "trace_id" => Self::TraceId,
            "spanId" | "span_id" => Self::SpanId,
            "parentSpanId" | "parent_span_id" => Self::ParentSpanId,
            "name" => Self::Name,
            "kind" => Self::Kind,
            "startTimeUnixNano" | "start_time_unix_nano" => Self::Start,
            "endTimeUnixNano" | "end_time_unix_nano" => Self::End,
            "attributes" => Self::Attributes,
            "status" => Self::Status,
            "code" => Self::Code,
            "message" => Self::Message,
            "events" => Self::Events,
            "timeUnixNano" | "time_unix_nano" => Self::Time,
            "links" => Self::Links,
            "traceState" | "trace_state" => Self::TraceState,
            "flags" => Self::Flags,
            "droppedAttributesCount" | "dropped_attributes_count" => Self::DroppedAttributes,
            "droppedEventsCount" | "dropped_events_count" => Self::DroppedEvents,
            "droppedLinksCount" | "dropped_links_count" => Self::DroppedLinks,
            "resourceSpans" | "resource_spans" => Self::ResourceSpans,
            "resource" => Self::Resource,
            "scopeSpans" | "scope_spans" => Self::ScopeSpans,
            "schemaUrl" | "schema_url" => Self::SchemaUrl,
            "scope" => Self::Scope,
            "spans" => Self::Spans,
            "version" => Self::Version,
            _ => Self::Other,
        }
    }
}

/// The value of each hexadecimal digit of either case, 16 for every other byte.
const HEX_VALUES: [u8; 256] = {
    let mut values = [16; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        values[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    values
};
