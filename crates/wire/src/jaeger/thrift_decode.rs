//! `jaeger.thrift` into a span batch: `Batch`, from its bytes straight into columns.

use super::error::DecodeError;
use super::fill::{Duration, Fill, KeyValue, OpenSpan, Process, Reference, Sanitizers, Value, too_many};
use crate::Limits;
use crate::names::reserve_for_body;
use crate::thrift::{Binary, Compact, Fields, Protocol, Reader, Type};
use tracewell_model::{SpanBatch, SpanId, Time, TraceId};

type Result<T> = std::result::Result<T, Box<DecodeError>>;

/// Which of Thrift's protocols bytes are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThriftProtocol {
    /// TBinaryProtocol: HTTP on 14268, UDP on 6832.
    Binary,
    /// TCompactProtocol: UDP on 5775 and 6831.
    Compact,
}

/// Appends the spans of a `Batch` (the body of `POST /api/traces` is one, in the binary protocol) and answers how many they
/// are. On an error the batch is what it was before.
///
/// As Jaeger 1.76 reads: what follows the struct is not read, unknown fields and known ones of another type are skipped,
/// a required field that is missing refuses the body, sequence number and client statistics are ignored.
pub fn decode_thrift_batch(
    protocol: ThriftProtocol,
    body: &[u8],
    sanitizers: Sanitizers,
    limits: &Limits,
    batch: &mut SpanBatch,
) -> std::result::Result<usize, DecodeError> {
    let mark = batch.mark();
    reserve_for_body(batch, body.len(), 400);
    let fill = Fill::new(limits, sanitizers, batch);
    let decoded = match protocol {
        ThriftProtocol::Binary => {
            Decoder::<Binary>::new(Reader::new(body, limits), fill).batch().map(|(spans, _)| spans)
        }
        ThriftProtocol::Compact => {
            Decoder::<Compact>::new(Reader::new(body, limits), fill).batch().map(|(spans, _)| spans)
        }
    };
    if decoded.is_err() {
        batch.rollback(mark);
    }
    decoded.map_err(|error| *error)
}

/// Reads a batch that begins where the reader stands.
pub(super) struct Decoder<'a, 'b, P> {
    reader: Reader<'a, P>,
    fill: Fill<'a, 'b>,
    /// The fields of the log being read.
    log_fields: Vec<KeyValue<'a>>,
}

impl<'a, 'b, P: Protocol> Decoder<'a, 'b, P> {
    pub(super) fn new(reader: Reader<'a, P>, fill: Fill<'a, 'b>) -> Self {
        Self { reader, fill, log_fields: vec![] }
    }

    /// How many spans there are, and the reader behind the batch.
    pub(super) fn batch(mut self) -> Result<(usize, Reader<'a, P>)> {
        let mut process = None;
        let mut spans_ahead = None;
        let mut spans_seen = false;
        let mut fields = Fields::default();
        while let Some(field) = self.reader.field(&mut fields)? {
            match (field.id, field.kind) {
                (1, Type::Struct) => process = Some(self.process()?),
                (2, Type::List) => {
                    spans_seen = true;
                    match process {
                        Some(process) => self.spans(process)?,
                        // Nothing says that fields come in order; spans are read when their process is known.
                        None => {
                            spans_ahead = Some(self.reader.clone());
                            self.reader.skip(field.kind)?;
                        }
                    }
                }
                (_, kind) => self.reader.skip(kind)?,
            }
        }
        let process = process.ok_or_else(|| missing("Batch", "Process"))?;
        if !spans_seen {
            return Err(missing("Batch", "Spans"));
        }
        let end = self.reader.clone();
        if let Some(reader) = spans_ahead {
            self.reader = reader;
            self.spans(process)?;
        }
        Ok((self.fill.spans(), end))
    }

    fn process(&mut self) -> Result<Process> {
        let mut service = None;
        let mut tags = None;
        let mut fields = Fields::default();
        while let Some(field) = self.reader.field(&mut fields)? {
            match (field.id, field.kind) {
                (1, Type::Binary) => service = Some(self.reader.binary()?),
                (2, Type::List) => {
                    tags = Some(self.reader.clone());
                    self.reader.skip(field.kind)?;
                }
                (_, kind) => self.reader.skip(kind)?,
            }
        }
        let service = service.ok_or_else(|| missing("Process", "ServiceName"))?;
        let Some(mut tags) = tags else { return Ok(self.fill.process(service, false)) };
        let len = tags.list_of(Type::Struct)?;
        let max = self.fill.limits.tags_max_per_span;
        if len > max {
            return Err(too_many("tags in a process", max));
        }
        let process = self.fill.process(service, len > 0);
        for _ in 0..len {
            self.fill.process_tag(tag(&mut tags)?);
        }
        Ok(process)
    }

    fn spans(&mut self, process: Process) -> Result<()> {
        for _ in 0..self.reader.list_of(Type::Struct)? {
            self.span(process)?;
        }
        Ok(())
    }

    fn span(&mut self, process: Process) -> Result<()> {
        const REQUIRED: [(i16, &str); 8] = [
            (1, "TraceIdLow"),
            (2, "TraceIdHigh"),
            (3, "SpanId"),
            (4, "ParentSpanId"),
            (5, "OperationName"),
            (7, "Flags"),
            (8, "StartTime"),
            (9, "Duration"),
        ];
        let mut span = self.fill.begin_span()?;
        let mut seen = 0u16;
        let mut fields = Fields::default();
        while let Some(field) = self.reader.field(&mut fields)? {
            let reader = &mut self.reader;
            match (field.id, field.kind) {
                (1, Type::I64) => span.trace_low = reader.i64()?.cast_unsigned(),
                (2, Type::I64) => span.trace_high = reader.i64()?.cast_unsigned(),
                (3, Type::I64) => span.id = reader.i64()?.cast_unsigned(),
                (4, Type::I64) => span.parent = reader.i64()?.cast_unsigned(),
                (5, Type::Binary) => {
                    let name = reader.binary()?;
                    span.name = self.fill.intern(name);
                }
                (6, Type::List) => self.references()?,
                (7, Type::I32) => span.flags = reader.i32()?.cast_unsigned(),
                (8, Type::I64) => span.start = Some(not_negative(reader.i64()?)),
                (9, Type::I64) => span.duration = Duration::from_micros(reader.i64()?),
                (10, Type::List) => self.tags(&mut span)?,
                (11, Type::List) => self.logs()?,
                (_, kind) => {
                    reader.skip(kind)?;
                    continue;
                }
            }
            seen |= 1 << field.id;
        }
        if let Some((_, field)) = REQUIRED.into_iter().find(|(id, _)| seen & 1 << id == 0) {
            return Err(missing("Span", field));
        }
        self.fill.commit(span, process)
    }

    fn references(&mut self) -> Result<()> {
        for _ in 0..self.reader.list_of(Type::Struct)? {
            let reference = reference(&mut self.reader)?;
            self.fill.reference(reference);
        }
        Ok(())
    }

    fn tags(&mut self, span: &mut OpenSpan) -> Result<()> {
        for _ in 0..self.reader.list_of(Type::Struct)? {
            let tag = tag(&mut self.reader)?;
            self.fill.tag(tag, span)?;
        }
        Ok(())
    }

    fn logs(&mut self) -> Result<()> {
        for _ in 0..self.reader.list_of(Type::Struct)? {
            let mut time = None;
            let mut has_fields = false;
            self.log_fields.clear();
            let mut fields = Fields::default();
            while let Some(field) = self.reader.field(&mut fields)? {
                match (field.id, field.kind) {
                    (1, Type::I64) => time = Some(not_negative(self.reader.i64()?)),
                    (2, Type::List) => {
                        has_fields = true;
                        self.log_fields()?;
                    }
                    (_, kind) => self.reader.skip(kind)?,
                }
            }
            let time = time.ok_or_else(|| missing("Log", "Timestamp"))?;
            if !has_fields {
                return Err(missing("Log", "Fields"));
            }
            self.fill.log(time, &self.log_fields)?;
        }
        Ok(())
    }

    fn log_fields(&mut self) -> Result<()> {
        let len = self.reader.list_of(Type::Struct)?;
        let max = self.fill.limits.tags_max_per_span;
        if len > max {
            return Err(too_many("fields in a log", max));
        }
        for _ in 0..len {
            self.log_fields.push(tag(&mut self.reader)?);
        }
        Ok(())
    }
}

fn reference<P: Protocol>(reader: &mut Reader<'_, P>) -> Result<Reference> {
    const REQUIRED: [(i16, &str); 4] = [(1, "RefType"), (2, "TraceIdLow"), (3, "TraceIdHigh"), (4, "SpanId")];
    let mut seen = 0u16;
    let (mut low, mut high) = (0, 0);
    let mut reference = Reference::default();
    let mut fields = Fields::default();
    while let Some(field) = reader.field(&mut fields)? {
        match (field.id, field.kind) {
            (1, Type::I32) => reference.child_of = reader.i32()? == 0,
            (2, Type::I64) => low = reader.i64()?.cast_unsigned(),
            (3, Type::I64) => high = reader.i64()?.cast_unsigned(),
            (4, Type::I64) => reference.span_id = SpanId::new(reader.i64()?.cast_unsigned()),
            (_, kind) => {
                reader.skip(kind)?;
                continue;
            }
        }
        seen |= 1 << field.id;
    }
    if let Some((_, field)) = REQUIRED.into_iter().find(|(id, _)| seen & 1 << id == 0) {
        return Err(missing("SpanRef", field));
    }
    reference.trace_id = TraceId::from_halves(high, low);
    Ok(reference)
}

/// Of the values a tag may have, its type says which one counts; one that is not there is empty, zero or false.
#[inline]
fn tag<'a, P: Protocol>(reader: &mut Reader<'a, P>) -> Result<KeyValue<'a>> {
    let (mut key, mut kind) = (None, None);
    let (mut text, mut binary): (&[u8], &[u8]) = (&[], &[]);
    let (mut double, mut boolean, mut long) = (0.0, false, 0);
    let mut fields = Fields::default();
    while let Some(field) = reader.field(&mut fields)? {
        match (field.id, field.kind) {
            (1, Type::Binary) => key = Some(reader.binary()?),
            (2, Type::I32) => kind = Some(reader.i32()?),
            (3, Type::Binary) => text = reader.binary()?,
            (4, Type::Double) => double = reader.double()?,
            (5, Type::Bool) => boolean = reader.bool()?,
            (6, Type::I64) => long = reader.i64()?,
            (7, Type::Binary) => binary = reader.binary()?,
            (_, kind) => reader.skip(kind)?,
        }
    }
    let key = key.ok_or_else(|| missing("Tag", "Key"))?;
    let value = match kind.ok_or_else(|| missing("Tag", "VType"))? {
        0 => Value::Text(text),
        1 => Value::Double(double),
        2 => Value::Bool(boolean),
        3 => Value::Long(long),
        4 => Value::Binary(binary),
        _ => Value::UNKNOWN_TYPE,
    };
    Ok(KeyValue { key, value })
}

/// The model has no time before the epoch.
fn not_negative(micros: i64) -> Time {
    Time::from_micros(micros.max(0).unsigned_abs())
}

#[cold]
pub(super) fn missing(structure: &'static str, field: &'static str) -> Box<DecodeError> {
    Box::new(DecodeError::Missing { structure, field })
}
