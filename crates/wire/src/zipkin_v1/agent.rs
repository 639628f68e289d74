//! `Agent.emitZipkinBatch`: what Jaeger's agent took on UDP port 5775, in the compact protocol.

use super::convert::Converter;
use super::source::{Source, TagValue, Text};
use crate::java_text::{decode_utf8, to_lower_case};
use crate::thrift::{Compact, Fields, Reader, ThriftError, Type};
use crate::zipkin_v2::{DecodeError, DecodeFault, set_ip};
use crate::{Limits, SpanEncoding};
use tracewell_model::{Endpoint, EndpointId, SpanBatch, TraceId};

/// Why a datagram was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentMessageError {
    /// The bytes are no Thrift.
    #[error(transparent)]
    Thrift(#[from] ThriftError),
    /// The message calls another function, `emitBatch` for example: see [`crate::jaeger::decode_agent_message`].
    #[error("unknown function {0}")]
    UnknownFunction(String),
    /// The message lacks its list of spans.
    #[error("Required field 1 of emitZipkinBatch is not set")]
    NoSpans,
    /// A span is none.
    #[error(transparent)]
    Span(DecodeError),
}

type Result<T> = std::result::Result<T, AgentMessageError>;

/// A function's name is echoed in an error up to this length.
const NAME_ECHO_BYTES_MAX: usize = 100;

/// Appends the spans of a datagram to the batch and answers how many they are, which may be more than the datagram's. On an
/// error the batch is what it was before.
///
/// Spans become spans of version 2 by Zipkin's rules ([`super::decode_thrift`]). Unlike Zipkin, which drops them, tags keep
/// their types, as in Jaeger.
pub fn decode_agent_message(datagram: &[u8], limits: &Limits, batch: &mut SpanBatch) -> Result<usize> {
    let mark = batch.mark();
    let mut decoder = Decoder {
        reader: Reader::new(datagram, limits),
        limits,
        batch,
        scratch: String::new(),
        source: Source::default(),
        converter: Converter::default(),
    };
    let decoded = decoder.message();
    decoded.inspect_err(|_| batch.rollback(mark))
}

struct Decoder<'a> {
    reader: Reader<'a, Compact>,
    limits: &'a Limits,
    batch: &'a mut SpanBatch,
    scratch: String,
    source: Source,
    converter: Converter,
}

impl Decoder<'_> {
    fn message(&mut self) -> Result<usize> {
        let message = self.reader.message()?;
        if message.name != b"emitZipkinBatch" {
            let shown = &message.name[..message.name.len().min(NAME_ECHO_BYTES_MAX)];
            return Err(AgentMessageError::UnknownFunction(String::from_utf8_lossy(shown).into_owned()));
        }
        let mut fields = Fields::default();
        while let Some(field) = self.reader.field(&mut fields)? {
            if (field.id, field.kind) == (1, Type::List) {
                let spans = self.spans()?;
                self.reader.rest(&mut fields)?;
                return Ok(spans);
            }
            self.reader.skip(field.kind)?;
        }
        Err(AgentMessageError::NoSpans)
    }

    fn spans(&mut self) -> Result<usize> {
        let before = self.batch.len();
        for _ in 0..self.reader.list_of(Type::Struct)? {
            let max = self.limits.spans_max;
            if self.batch.len() - before >= max {
                return Err(span_error(DecodeFault::TooMany { what: "spans", max }));
            }
            self.source.clear();
            self.span()?;
            self.converter.convert(&mut self.source, self.batch).map_err(span_error)?;
        }
        Ok(self.batch.len() - before)
    }

    fn span(&mut self) -> Result<()> {
        let (mut high, mut low) = (0, 0);
        let mut fields = Fields::default();
        while let Some(field) = self.reader.field(&mut fields)? {
            match (field.kind, field.id) {
                (Type::I64, 1) => low = self.reader.i64()?.cast_unsigned(),
                (Type::I64, 12) => high = self.reader.i64()?.cast_unsigned(),
                (Type::Binary, 3) => {
                    let name = decode_utf8(self.reader.binary()?);
                    self.source.name = self.batch.intern(to_lower_case(&name, &mut self.scratch));
                }
                (Type::I64, 4) => self.source.id = self.reader.i64()?.cast_unsigned(),
                (Type::I64, 5) => self.source.parent = self.reader.i64()?.cast_unsigned(),
                (Type::List, 6) => {
                    for _ in 0..self.reader.list_of(Type::Struct)? {
                        self.annotation()?;
                    }
                }
                (Type::List, 8) => {
                    for _ in 0..self.reader.list_of(Type::Struct)? {
                        self.binary_annotation()?;
                    }
                }
                (Type::Bool, 9) => self.source.debug = self.reader.bool()?,
                (Type::I64, 10) => self.source.timestamp = self.reader.i64()?,
                (Type::I64, 11) => self.source.duration = self.reader.i64()?,
                (kind, _) => self.reader.skip(kind)?,
            }
        }
        self.source.trace_id = TraceId::from_halves(high, low);
        Ok(())
    }

    fn annotation(&mut self) -> Result<()> {
        let (mut time, mut value) = (0, &b""[..]);
        let mut endpoint = EndpointId(0);
        let mut fields = Fields::default();
        while let Some(field) = self.reader.field(&mut fields)? {
            match (field.kind, field.id) {
                (Type::I64, 1) => time = self.reader.i64()?,
                (Type::Binary, 2) => value = self.reader.binary()?,
                (Type::Struct, 3) => endpoint = self.endpoint()?,
                (kind, _) => self.reader.skip(kind)?,
            }
        }
        let value = self.source.push_text(&decode_utf8(value));
        self.source.annotation(time, value, endpoint, self.limits).map_err(span_error)
    }

    fn binary_annotation(&mut self) -> Result<()> {
        let (mut key, mut value, mut kind) = (&b""[..], &b""[..], TYPE_BYTES);
        let mut endpoint = EndpointId(0);
        let mut fields = Fields::default();
        while let Some(field) = self.reader.field(&mut fields)? {
            match (field.kind, field.id) {
                (Type::Binary, 1) => key = self.reader.binary()?,
                (Type::Binary, 2) => value = self.reader.binary()?,
                (Type::I32, 3) => kind = self.reader.i32()?,
                (Type::Struct, 4) => endpoint = self.endpoint()?,
                (kind, _) => self.reader.skip(kind)?,
            }
        }
        let value = self.value(kind, value);
        let key = self.batch.intern(&decode_utf8(key));
        self.source.tag(key, value, endpoint, self.limits).map_err(span_error)
    }

    /// A value of a type; numbers lie most significant byte first. What is not as long as its type says is bytes.
    fn value(&mut self, kind: i32, value: &[u8]) -> TagValue {
        match (kind, value) {
            (TYPE_BOOL, [value]) => TagValue::Bool(*value != 0),
            (TYPE_I16, &[a, b]) => TagValue::I64(i16::from_be_bytes([a, b]).into()),
            (TYPE_I32, &[a, b, c, d]) => TagValue::I64(i32::from_be_bytes([a, b, c, d]).into()),
            (TYPE_I64, &[a, b, c, d, e, f, g, h]) => TagValue::I64(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
            (TYPE_DOUBLE, &[a, b, c, d, e, f, g, h]) => TagValue::F64(f64::from_be_bytes([a, b, c, d, e, f, g, h])),
            (TYPE_STRING, []) => TagValue::Text(Text::default()),
            (TYPE_STRING, value) => TagValue::Text(self.source.push_text(&decode_utf8(value))),
            (_, value) => self.source.push_bytes(value),
        }
    }

    fn endpoint(&mut self) -> Result<EndpointId> {
        let mut endpoint = Endpoint::default();
        let mut fields = Fields::default();
        while let Some(field) = self.reader.field(&mut fields)? {
            match (field.kind, field.id) {
                (Type::I32, 1) => match self.reader.i32()? {
                    0 => {}
                    ipv4 => set_ip(&mut endpoint, &ipv4.to_be_bytes()),
                },
                (Type::I16, 2) => endpoint.port = self.reader.i16()?.cast_unsigned(),
                (Type::Binary, 3) => {
                    let name = decode_utf8(self.reader.binary()?);
                    endpoint.service = self.batch.intern(to_lower_case(&name, &mut self.scratch));
                }
                (Type::Binary, 4) => set_ip(&mut endpoint, self.reader.binary()?),
                (kind, _) => self.reader.skip(kind)?,
            }
        }
        Ok(self.batch.intern_endpoint(endpoint))
    }
}

fn span_error(fault: DecodeFault) -> AgentMessageError {
    AgentMessageError::Span(DecodeError { encoding: SpanEncoding::Thrift, fault })
}

const TYPE_BOOL: i32 = 0;
const TYPE_BYTES: i32 = 1;
const TYPE_I16: i32 = 2;
const TYPE_I32: i32 = 3;
const TYPE_I64: i32 = 4;
const TYPE_DOUBLE: i32 = 5;
const TYPE_STRING: i32 = 6;
