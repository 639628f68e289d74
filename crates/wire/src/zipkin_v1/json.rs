//! Zipkin v1 JSON into a span batch.

use super::convert::Converter;
use super::source::{Source, TagValue, Text};
use crate::Limits;
use crate::detect::SpanEncoding;
use crate::java_text::{decode_utf8, to_lower_case};
use crate::json::{Reader, Token};
use crate::zipkin_v2::{DecodeError, DecodeFault, IdFault, SeenEndpoints, decode_as, hex_word, read_json_endpoint};
use tracewell_model::{EndpointId, SpanBatch, TraceId};

type Result<T> = std::result::Result<T, DecodeFault>;

/// Appends the spans of a body to the batch and answers how many they are, which may be more than the body's. On an error the
/// batch is what it was before.
///
/// What is taken and what is refused, and the words for it, are Zipkin 3.5's: ids keep their lower 16 digits, but 32 make a
/// long trace id; tags that are neither text nor a true address are dropped.
pub fn decode_json(body: &[u8], limits: &Limits, batch: &mut SpanBatch) -> std::result::Result<usize, DecodeError> {
    decode_as(SpanEncoding::JsonV1, body, batch, |batch| {
        let text = decode_utf8(body);
        let mut decoder = Decoder {
            reader: Reader::new(&text, limits),
            text: &text,
            limits,
            batch,
            scratch: String::new(),
            seen: SeenEndpoints::default(),
            source: Source::default(),
            converter: Converter::default(),
        };
        decoder.list()
    })
}

struct Decoder<'a> {
    reader: Reader<'a>,
    text: &'a str,
    limits: &'a Limits,
    batch: &'a mut SpanBatch,
    scratch: String,
    seen: SeenEndpoints,
    source: Source,
    converter: Converter,
}

impl Decoder<'_> {
    fn list(&mut self) -> Result<usize> {
        let before = self.batch.len();
        self.reader.begin_array()?;
        while self.reader.has_next()? {
            let max = self.limits.spans_max;
            if self.batch.len() - before >= max {
                return Err(DecodeFault::TooMany { what: "spans", max });
            }
            self.source.clear();
            self.span()?;
            self.converter.convert(&mut self.source, self.batch)?;
        }
        Ok(self.batch.len() - before)
    }

    fn span(&mut self) -> Result<()> {
        self.reader.begin_object()?;
        while self.reader.has_next()? {
            match SpanField::of(self.reader.next_name()?) {
                SpanField::TraceId => {
                    let text = self.reader.next_string()?;
                    let low = parse_id(text)?;
                    // Digits before the last 16 count, and are looked at, only where they are 16 too.
                    let high = match text.as_bytes().split_first_chunk::<16>() {
                        Some((high, rest)) if rest.len() == 16 => hex_word(high).ok_or_else(|| not_an_id(text))?,
                        _ => 0,
                    };
                    self.source.trace_id = TraceId::from_halves(high, low);
                }
                SpanField::Id => self.source.id = parse_id(self.reader.next_string()?)?,
                _ if self.reader.peek()? == Token::Null => self.reader.skip_value()?,
                field => self.span_field(field)?,
            }
        }
        self.reader.end_object()?;
        Ok(())
    }

    fn span_field(&mut self, field: SpanField) -> Result<()> {
        let reader = &mut self.reader;
        match field {
            SpanField::ParentId => self.source.parent = parse_id(reader.next_string()?)?,
            SpanField::Name => {
                let name = to_lower_case(reader.next_string()?, &mut self.scratch);
                self.source.name = self.batch.intern(name);
            }
            SpanField::Timestamp => self.source.timestamp = reader.next_long()?,
            SpanField::Duration => self.source.duration = reader.next_long()?,
            SpanField::Annotations => {
                reader.begin_array()?;
                while self.reader.has_next()? {
                    self.annotation()?;
                }
                self.reader.end_array()?;
            }
            SpanField::BinaryAnnotations => {
                reader.begin_array()?;
                while self.reader.has_next()? {
                    self.binary_annotation()?;
                }
                self.reader.end_array()?;
            }
            SpanField::Debug => self.source.debug |= reader.next_boolean()?,
            SpanField::TraceId | SpanField::Id | SpanField::Other => reader.skip_value()?,
        }
        Ok(())
    }

    fn annotation(&mut self) -> Result<()> {
        let (mut time, mut value) = (None, None);
        let mut endpoint = EndpointId(0);
        self.reader.begin_object()?;
        while self.reader.has_next()? {
            match AnnotationField::of(self.reader.next_name()?) {
                AnnotationField::Timestamp => time = Some(self.reader.next_long()?),
                AnnotationField::Value => value = Some(self.source.push_text(self.reader.next_string()?)),
                AnnotationField::Endpoint if self.reader.peek()? != Token::Null => endpoint = self.endpoint()?,
                AnnotationField::Endpoint | AnnotationField::Key | AnnotationField::Other => {
                    self.reader.skip_value()?;
                }
            }
        }
        let (Some(time), Some(value)) = (time, value) else {
            return Err(DecodeFault::IncompleteAnnotation(self.reader.path()));
        };
        self.reader.end_object()?;
        self.source.annotation(time, value, endpoint, self.limits)
    }

    fn binary_annotation(&mut self) -> Result<()> {
        let mut key = None;
        let (mut text, mut is_true) = (None, false);
        let mut endpoint = None;
        self.reader.begin_object()?;
        while self.reader.has_next()? {
            let field = AnnotationField::of(self.reader.next_name()?);
            match (field, self.reader.peek()?) {
                (_, Token::Null) => self.reader.skip_value()?,
                (AnnotationField::Key, _) => key = Some(self.batch.intern(self.reader.next_string()?)),
                (AnnotationField::Value, Token::String) => {
                    text = Some(self.source.push_text(self.reader.next_string()?));
                }
                (AnnotationField::Value, Token::True | Token::False) => is_true = self.reader.next_boolean()?,
                (AnnotationField::Endpoint, _) => endpoint = Some(self.endpoint()?),
                _ => self.reader.skip_value()?,
            }
        }
        let Some(key) = key else { return Err(DecodeFault::NoKey(self.reader.path())) };
        self.reader.end_object()?;
        let address = is_true && matches!(self.batch.interned(key), "sa" | "ca" | "ma");
        match (text, endpoint) {
            (Some(text), endpoint) => {
                self.source.tag(key, TagValue::Text(text), endpoint.unwrap_or_default(), self.limits)
            }
            (None, Some(endpoint)) if address && endpoint != EndpointId(0) => {
                self.source.tag(key, TagValue::Text(Text::default()), endpoint, self.limits)
            }
            _ => Ok(()),
        }
    }

    fn endpoint(&mut self) -> Result<EndpointId> {
        read_json_endpoint(&mut self.reader, self.text, self.batch, &mut self.scratch, &mut self.seen)
    }
}

#[derive(Clone, Copy)]
enum SpanField {
    TraceId,
    Id,
    ParentId,
    Name,
    Timestamp,
    Duration,
    Annotations,
    BinaryAnnotations,
    Debug,
    Other,
}

impl SpanField {
    fn of(name: &str) -> Self {
        match name {
            "traceId" => Self::TraceId,
            "id" => Self::Id,
            "parentId" => Self::ParentId,
            "name" => Self::Name,
            "timestamp" => Self::Timestamp,
            "duration" => Self::Duration,
            "annotations" => Self::Annotations,
            "binaryAnnotations" => Self::BinaryAnnotations,
            "debug" => Self::Debug,
            _ => Self::Other,
        }
    }
}

/// Of annotations and binary annotations.
#[derive(Clone, Copy)]
enum AnnotationField {
    Timestamp,
    Key,
    Value,
    Endpoint,
    Other,
}

impl AnnotationField {
    fn of(name: &str) -> Self {
        match name {
            "timestamp" => Self::Timestamp,
            "key" => Self::Key,
            "value" => Self::Value,
            "endpoint" => Self::Endpoint,
            _ => Self::Other,
        }
    }
}

/// The last 16 of 1 to 32 digits; those before them are not looked at.
fn parse_id(text: &str) -> Result<u64> {
    let digits = text.as_bytes();
    let parsed = match digits.len() {
        1..=32 => hex_word(&digits[digits.len().saturating_sub(16)..]),
        _ => None,
    };
    parsed.ok_or_else(|| not_an_id(text))
}

#[cold]
fn not_an_id(text: &str) -> DecodeFault {
    DecodeFault::Id { field: "id", fault: IdFault::NotLowerHexV1(text.to_owned()) }
}
