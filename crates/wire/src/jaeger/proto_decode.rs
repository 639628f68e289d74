//! `model.proto` of `jaeger.api_v2` into a span batch: what gRPC's `PostSpans` takes.

use super::error::DecodeError;
use super::fill::{Duration, Fill, KeyValue, OpenSpan, Process, Reference, Sanitizers, Value, too_many};
use crate::Limits;
use crate::names::reserve_for_body;
use crate::protobuf::{BYTES, FIXED64, Reader, VARINT, fields, key};
use tracewell_model::{SpanBatch, SpanId, Time, TraceId};

type Result<T> = std::result::Result<T, Box<DecodeError>>;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The fields of `model.proto` and of what it is sent in, by message.
mod request {
    use super::*;
    pub(super) const BATCH: u32 = key(1, BYTES);
    pub(super) const KNOWN: u64 = fields(&[1]);
}

mod batch {
    use super::*;
    pub(super) const SPANS: u32 = key(1, BYTES);
    pub(super) const PROCESS: u32 = key(2, BYTES);
    pub(super) const KNOWN: u64 = fields(&[1, 2]);
}

mod process {
    use super::*;
    pub(super) const SERVICE_NAME: u32 = key(1, BYTES);
    pub(super) const TAGS: u32 = key(2, BYTES);
    pub(super) const KNOWN: u64 = fields(&[1, 2]);
}

mod span {
    use super::*;
    pub(super) const TRACE_ID: u32 = key(1, BYTES);
    pub(super) const SPAN_ID: u32 = key(2, BYTES);
    pub(super) const OPERATION_NAME: u32 = key(3, BYTES);
    pub(super) const REFERENCES: u32 = key(4, BYTES);
    pub(super) const FLAGS: u32 = key(5, VARINT);
    pub(super) const START_TIME: u32 = key(6, BYTES);
    pub(super) const DURATION: u32 = key(7, BYTES);
    pub(super) const TAGS: u32 = key(8, BYTES);
    pub(super) const LOGS: u32 = key(9, BYTES);
    pub(super) const PROCESS: u32 = key(10, BYTES);
    pub(super) const PROCESS_ID: u32 = key(11, BYTES);
    pub(super) const WARNINGS: u32 = key(12, BYTES);
    pub(super) const KNOWN: u64 = fields(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
}

mod log {
    use super::*;
    pub(super) const TIMESTAMP: u32 = key(1, BYTES);
    pub(super) const FIELDS: u32 = key(2, BYTES);
    pub(super) const KNOWN: u64 = fields(&[1, 2]);
}

mod key_value {
    use super::*;
    pub(super) const KEY: u32 = key(1, BYTES);
    pub(super) const TYPE: u32 = key(2, VARINT);
    pub(super) const TEXT: u32 = key(3, BYTES);
    pub(super) const BOOL: u32 = key(4, VARINT);
    pub(super) const LONG: u32 = key(5, VARINT);
    pub(super) const DOUBLE: u32 = key(6, FIXED64);
    pub(super) const BINARY: u32 = key(7, BYTES);
    pub(super) const KNOWN: u64 = fields(&[1, 2, 3, 4, 5, 6, 7]);
}

mod span_ref {
    use super::*;
    pub(super) const TRACE_ID: u32 = key(1, BYTES);
    pub(super) const SPAN_ID: u32 = key(2, BYTES);
    pub(super) const TYPE: u32 = key(3, VARINT);
    pub(super) const KNOWN: u64 = fields(&[1, 2, 3]);
}

mod time {
    use super::*;
    pub(super) const SECONDS: u32 = key(1, VARINT);
    pub(super) const NANOS: u32 = key(2, VARINT);
    pub(super) const KNOWN: u64 = fields(&[1, 2]);
}

/// Appends the spans of a `PostSpansRequest` and answers how many they are. On an error the batch is what it was before.
///
/// As strict as Jaeger 1.76's reader (gogo): ids of wrong lengths and known fields of another wire type are errors, unknown
/// fields are skipped, texts need not be UTF-8. A span without a process has the batch's.
pub fn decode_proto_batch(
    body: &[u8],
    sanitizers: Sanitizers,
    limits: &Limits,
    batch: &mut SpanBatch,
) -> std::result::Result<usize, DecodeError> {
    let mark = batch.mark();
    reserve_for_body(batch, body.len(), 350);
    let fill = Fill::new(limits, sanitizers, batch);
    let decoded = Decoder { fill, log_fields: vec![], own: None }.request(Reader::new(body));
    if decoded.is_err() {
        batch.rollback(mark);
    }
    decoded.map_err(|error| *error)
}

struct Decoder<'a, 'b> {
    fill: Fill<'a, 'b>,
    /// The fields of the log being read.
    log_fields: Vec<KeyValue<'a>>,
    /// The last process that a span brought along, and its bytes: spans of one service repeat it.
    own: Option<(&'a [u8], Process)>,
}

impl<'a> Decoder<'a, '_> {
    fn request(mut self, mut request: Reader<'a>) -> Result<usize> {
        let start = request;
        let mut process = None;
        while let Some(field) = request.key()? {
            match field {
                request::BATCH => {
                    if let Some(found) = batch_process(request.message()?)? {
                        process = Some(found);
                    }
                }
                _ => request.skip_unknown(field, request::KNOWN)?,
            }
        }
        // The process comes behind the spans that it belongs to.
        let mut request = start;
        let process = match process {
            Some(process) => self.process(process)?,
            None => self.fill.no_process(),
        };
        while let Some(field) = request.key()? {
            match field {
                request::BATCH => self.batch(request.message()?, process)?,
                _ => request.skip(field)?,
            }
        }
        Ok(self.fill.spans())
    }

    fn batch(&mut self, mut batch: Reader<'a>, process: Process) -> Result<()> {
        while let Some(field) = batch.key()? {
            match field {
                batch::SPANS => self.span(batch.message()?, process)?,
                _ => batch.skip(field)?,
            }
        }
        Ok(())
    }

    fn process(&mut self, process: Reader<'a>) -> Result<Process> {
        let mut service: &[u8] = &[];
        let mut tags = 0;
        let mut first = process;
        while let Some(field) = first.key()? {
            match field {
                process::SERVICE_NAME => service = first.bytes()?,
                process::TAGS => {
                    first.bytes()?;
                    tags += 1;
                }
                _ => first.skip_unknown(field, process::KNOWN)?,
            }
        }
        let max = self.fill.limits.tags_max_per_span;
        if tags > max {
            return Err(too_many("tags in a process", max));
        }
        let taken = self.fill.process(service, tags > 0);
        let mut second = process;
        while let Some(field) = second.key()? {
            match field {
                process::TAGS => self.fill.process_tag(key_value(second.message()?)?),
                _ => second.skip(field)?,
            }
        }
        Ok(taken)
    }

    fn span(&mut self, mut reader: Reader<'a>, process: Process) -> Result<()> {
        let mut process = process;
        let mut span = self.fill.begin_span()?;
        while let Some(field) = reader.key()? {
            match field {
                span::TRACE_ID => {
                    let id = trace_id(reader.bytes()?)?;
                    (span.trace_high, span.trace_low) = (id.high(), id.low());
                }
                span::SPAN_ID => span.id = span_id(reader.bytes()?)?.value(),
                span::OPERATION_NAME => span.name = self.fill.intern(reader.bytes()?),
                span::REFERENCES => self.fill.reference(reference(reader.message()?)?),
                span::FLAGS => span.flags = reader.varint()? as u32,
                span::START_TIME => span.start = Some(time(reader.message()?)?),
                span::DURATION => span.duration = duration(reader.message()?)?,
                span::TAGS => self.fill.tag(key_value(reader.message()?)?, &mut span)?,
                span::LOGS => self.log(reader.message()?)?,
                span::PROCESS => process = self.own_process(reader.message()?)?,
                // The process' number in an answer; nothing to a collector.
                span::PROCESS_ID => drop(reader.bytes()?),
                span::WARNINGS => self.warning(&mut reader)?,
                _ => reader.skip_unknown(field, span::KNOWN)?,
            }
        }
        self.commit(span, process)
    }

    fn commit(&mut self, mut span: OpenSpan, process: Process) -> Result<()> {
        self.fill.take_plain_parent(&mut span);
        self.fill.commit(span, process)
    }

    fn own_process(&mut self, process: Reader<'a>) -> Result<Process> {
        let bytes = process.rest();
        match self.own {
            Some((known, process)) if known == bytes => Ok(process),
            _ => {
                let process = self.process(process)?;
                self.own = Some((bytes, process));
                Ok(process)
            }
        }
    }

    fn warning(&mut self, reader: &mut Reader<'a>) -> Result<()> {
        self.fill.batch.warning(&reader.text()?);
        Ok(())
    }

    fn log(&mut self, mut log: Reader<'a>) -> Result<()> {
        let mut at = Time::ZERO;
        self.log_fields.clear();
        while let Some(field) = log.key()? {
            match field {
                log::TIMESTAMP => at = time(log.message()?)?,
                log::FIELDS => self.log_fields.push(key_value(log.message()?)?),
                _ => log.skip_unknown(field, log::KNOWN)?,
            }
        }
        let max = self.fill.limits.tags_max_per_span;
        if self.log_fields.len() > max {
            return Err(too_many("fields in a log", max));
        }
        self.fill.log(at, &self.log_fields)
    }
}

fn batch_process<'a>(mut batch: Reader<'a>) -> Result<Option<Reader<'a>>> {
    let mut process = None;
    while let Some(field) = batch.key()? {
        match field {
            batch::SPANS => drop(batch.bytes()?),
            batch::PROCESS => process = Some(batch.message()?),
            _ => batch.skip_unknown(field, batch::KNOWN)?,
        }
    }
    Ok(process)
}

fn key_value<'a>(mut reader: Reader<'a>) -> Result<KeyValue<'a>> {
    let mut tag = KeyValue::default();
    let mut kind = 0;
    let (mut text, mut binary): (&[u8], &[u8]) = (&[], &[]);
    let (mut double, mut boolean, mut long) = (0.0, false, 0);
    while let Some(field) = reader.key()? {
        match field {
            key_value::KEY => tag.key = reader.bytes()?,
            key_value::TYPE => kind = reader.varint()? as i32,
            key_value::TEXT => text = reader.bytes()?,
            key_value::BOOL => boolean = reader.varint()? != 0,
            key_value::LONG => long = reader.varint()?.cast_signed(),
            key_value::DOUBLE => double = f64::from_bits(reader.fixed64()?),
            key_value::BINARY => binary = reader.bytes()?,
            _ => reader.skip_unknown(field, key_value::KNOWN)?,
        }
    }
    tag.value = match kind {
        0 => Value::Text(text),
        1 => Value::Bool(boolean),
        2 => Value::Long(long),
        3 => Value::Double(double),
        4 => Value::Binary(binary),
        _ => Value::UNKNOWN_TYPE,
    };
    Ok(tag)
}

fn reference(mut reader: Reader<'_>) -> Result<Reference> {
    let mut reference = Reference { child_of: true, ..Reference::default() };
    while let Some(field) = reader.key()? {
        match field {
            span_ref::TRACE_ID => reference.trace_id = trace_id(reader.bytes()?)?,
            span_ref::SPAN_ID => reference.span_id = span_id(reader.bytes()?)?,
            span_ref::TYPE => reference.child_of = reader.varint()? as i32 == 0,
            _ => reader.skip_unknown(field, span_ref::KNOWN)?,
        }
    }
    Ok(reference)
}

/// `Timestamp`. The model has no time before the epoch.
fn time(reader: Reader<'_>) -> Result<Time> {
    let (seconds, nanos) = seconds_and_nanos(reader)?;
    if seconds < 0 || nanos < 0 {
        return Ok(Time::ZERO);
    }
    let (seconds, nanos) = (seconds.unsigned_abs(), nanos.unsigned_abs());
    let whole = seconds.checked_mul(NANOS_PER_SECOND).and_then(|whole| whole.checked_add(nanos));
    Ok(match whole {
        Some(whole) => Time::from_nanos(whole),
        None => Time::from_micros(seconds.saturating_mul(1_000_000).saturating_add(nanos / 1000)),
    })
}

fn duration(reader: Reader<'_>) -> Result<Duration> {
    let (seconds, nanos) = seconds_and_nanos(reader)?;
    let below_zero = seconds.saturating_mul(NANOS_PER_SECOND.cast_signed()).saturating_add(nanos);
    Ok(match below_zero {
        0 => Duration::Zero,
        1.. => Duration::Positive(time(reader)?),
        _ => Duration::NegativeNanos(below_zero),
    })
}

/// What `Timestamp` and `Duration` are made of.
fn seconds_and_nanos(mut reader: Reader<'_>) -> Result<(i64, i64)> {
    let (mut seconds, mut nanos) = (0, 0);
    while let Some(field) = reader.key()? {
        match field {
            time::SECONDS => seconds = reader.varint()?.cast_signed(),
            time::NANOS => nanos = i64::from(reader.varint()? as i32),
            _ => reader.skip_unknown(field, time::KNOWN)?,
        }
    }
    Ok((seconds, nanos))
}

/// An id of 64 bits may come as 8 bytes.
fn trace_id(bytes: &[u8]) -> Result<TraceId> {
    if let Ok(bytes) = bytes.try_into() {
        return Ok(TraceId::new(u128::from_be_bytes(bytes)));
    }
    match bytes.try_into() {
        Ok(bytes) => Ok(TraceId::from_halves(0, u64::from_be_bytes(bytes))),
        Err(_) => Err(Box::new(DecodeError::IdLength { what: "TraceID", bytes: bytes.len() })),
    }
}

fn span_id(bytes: &[u8]) -> Result<SpanId> {
    match bytes.try_into() {
        Ok(bytes) => Ok(SpanId::new(u64::from_be_bytes(bytes))),
        Err(_) => Err(Box::new(DecodeError::IdLength { what: "SpanID", bytes: bytes.len() })),
    }
}
