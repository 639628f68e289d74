//! Zipkin v2 JSON into a span batch: no object and no allocation per span, and every rule of Zipkin's model applied where
//! a field is read.

use super::endpoint::{SeenEndpoints, read_json_endpoint};
use super::error::{DecodeError, DecodeFault, IdFault};
use super::plain::PlainSpans;
use super::span_field::SpanField;
use crate::Limits;
use crate::detect::{SpanEncoding, check_encoding};
use crate::java_text::{decode_utf8, to_lower_case};
use crate::json::{Reader, Token};
use crate::names::reserve_for_body;
use tracewell_model::{EndpointId, Kind, SpanBatch, SpanFlags, SpanId, SpanRow, Time, TraceId, ValueRef};

type Result<T> = std::result::Result<T, DecodeFault>;

/// Appends the spans of a body to the batch and answers how many they are. On an error the batch is what it was before: a
/// body with one bad span is refused whole, as by Zipkin.
///
/// What is taken and what is refused, and the words for it, are Zipkin 3.5's: an empty body is no spans, what follows the
/// list is not read, a field that comes twice counts as it came last (tags and annotations add up), ids are padded,
/// names lower-cased, bad addresses dropped, tags sorted by key and annotations by time. `docs/compatibility.md` lists where
/// Tracewell does otherwise.
pub fn decode_json(body: &[u8], limits: &Limits, batch: &mut SpanBatch) -> std::result::Result<usize, DecodeError> {
    decode_as(SpanEncoding::JsonV2, body, batch, |batch| Decoder::new(&decode_utf8(body), limits, batch).list())
}

/// The same without [`PlainSpans`], to compare with.
#[cfg(test)]
pub(super) fn decode_json_by_reader(
    body: &[u8],
    limits: &Limits,
    batch: &mut SpanBatch,
) -> std::result::Result<usize, DecodeError> {
    decode_as(SpanEncoding::JsonV2, body, batch, |batch| {
        let text = decode_utf8(body);
        let mut decoder = Decoder::new(&text, limits, batch);
        decoder.plain.give_up();
        decoder.list()
    })
}

/// Decodes a body after a look at its encoding; on an error the batch is what it was before.
pub(crate) fn decode_as(
    encoding: SpanEncoding,
    body: &[u8],
    batch: &mut SpanBatch,
    decode: impl FnOnce(&mut SpanBatch) -> Result<usize>,
) -> std::result::Result<usize, DecodeError> {
    if body.is_empty() || body == b"[]" {
        return Ok(0);
    }
    let decoded = check_encoding(encoding, body).and_then(|()| {
        let mark = batch.mark();
        reserve_for_body(batch, body.len(), span_bytes(encoding));
        decode(batch).inspect_err(|_| batch.rollback(mark))
    });
    decoded.map_err(|fault| DecodeError { encoding, fault })
}

/// About how long a span is.
fn span_bytes(encoding: SpanEncoding) -> usize {
    match encoding {
        SpanEncoding::JsonV1 => 1200,
        SpanEncoding::Thrift => 700,
        SpanEncoding::JsonV2 => 500,
        SpanEncoding::Proto3 => 280,
    }
}

struct Decoder<'a> {
    reader: Reader<'a>,
    limits: &'a Limits,
    batch: &'a mut SpanBatch,
    scratch: String,
    text: &'a str,
    last_local: SeenEndpoints,
    last_remote: SeenEndpoints,
    plain: PlainSpans<'a>,
}

impl<'a> Decoder<'a> {
    fn new(text: &'a str, limits: &'a Limits, batch: &'a mut SpanBatch) -> Self {
        let reader = Reader::new(text, limits);
        let seen = SeenEndpoints::default();
        let (scratch, plain) = (String::new(), PlainSpans::new(text, limits));
        Self { reader, limits, batch, scratch, text, last_local: seen, last_remote: seen, plain }
    }

    fn list(&mut self) -> Result<usize> {
        self.reader.begin_array()?;
        let mut spans = 0;
        while self.reader.has_next()? {
            if spans == self.limits.spans_max {
                return Err(DecodeFault::TooMany { what: "spans", max: spans });
            }
            self.any_span()?;
            spans += 1;
        }
        // Zipkin leaves an empty list open, and never reads what follows the list.
        Ok(spans)
    }

    #[inline]
    fn any_span(&mut self) -> Result<()> {
        if self.reader.peek()? == Token::BeginObject
            && let Some((end, read)) = self.plain.take(self.reader.position(), self.batch)
        {
            self.reader.take_read_object(end, &read);
            return Ok(());
        }
        self.span()
    }

    fn span(&mut self) -> Result<()> {
        let mut row = SpanRow::default();
        let (mut trace_id, mut id) = (None, None);
        self.reader.begin_object()?;
        while self.reader.has_next()? {
            match SpanField::named(self.reader.next_name()?) {
                Some(SpanField::TraceId) => trace_id = Some(parse_trace_id(self.reader.next_string()?)?),
                Some(SpanField::Id) => id = Some(parse_span_id(self.reader.next_string()?)?),
                _ if self.reader.peek()? == Token::Null => self.reader.skip_value()?,
                Some(field) => self.span_field(field, &mut row)?,
                None => self.reader.skip_value()?,
            }
        }
        self.reader.end_object()?;
        let (Some(trace_id), Some(id)) = (trace_id, id) else {
            return Err(DecodeFault::Missing { trace_id: trace_id.is_none(), id: id.is_none() });
        };
        row.trace_id = trace_id;
        row.id = id;
        commit(self.batch, row)
    }

    fn span_field(&mut self, field: SpanField, row: &mut SpanRow) -> Result<()> {
        let reader = &mut self.reader;
        match field {
            SpanField::ParentId => row.parent = parse_parent_id(reader.next_string()?)?,
            SpanField::Kind => row.kind = parse_kind(reader.next_string()?)?,
            SpanField::Name => {
                row.name = self.batch.intern(to_lower_case(reader.next_string()?, &mut self.scratch));
            }
            SpanField::Timestamp => row.start = positive_micros(reader.next_long()?),
            SpanField::Duration => row.duration = positive_micros(reader.next_long()?),
            SpanField::LocalEndpoint => row.local = self.local_endpoint()?,
            SpanField::RemoteEndpoint => row.remote = self.remote_endpoint()?,
            SpanField::Annotations => self.annotations()?,
            SpanField::Tags => self.tags()?,
            SpanField::Debug => {
                if reader.next_boolean()? {
                    row.flags = row.flags.with(SpanFlags::DEBUG);
                }
            }
            SpanField::Shared => {
                if reader.next_boolean()? {
                    row.flags = row.flags.with(SpanFlags::SHARED);
                }
            }
            SpanField::TraceId | SpanField::Id => reader.skip_value()?,
        }
        Ok(())
    }

    fn local_endpoint(&mut self) -> Result<EndpointId> {
        read_json_endpoint(&mut self.reader, self.text, self.batch, &mut self.scratch, &mut self.last_local)
    }

    fn remote_endpoint(&mut self) -> Result<EndpointId> {
        read_json_endpoint(&mut self.reader, self.text, self.batch, &mut self.scratch, &mut self.last_remote)
    }

    fn annotations(&mut self) -> Result<()> {
        self.reader.begin_array()?;
        while self.reader.has_next()? {
            self.annotation()?;
            let max = self.limits.annotations_max_per_span;
            if self.batch.open_annotations_len() > max {
                return Err(DecodeFault::TooMany { what: "annotations in a span", max });
            }
        }
        self.reader.end_array()?;
        Ok(())
    }

    fn annotation(&mut self) -> Result<()> {
        let mut time = None;
        let mut has_value = false;
        self.reader.begin_object()?;
        while self.reader.has_next()? {
            match AnnotationField::of(self.reader.next_name()?) {
                // A time before the epoch has no place in the model and becomes the epoch.
                AnnotationField::Timestamp => time = Some(self.reader.next_long()?.max(0)),
                AnnotationField::Value => {
                    self.scratch.clear();
                    self.scratch.push_str(self.reader.next_string()?);
                    has_value = true;
                }
                AnnotationField::Other => self.reader.skip_value()?,
            }
        }
        let (Some(time), true) = (time, has_value) else {
            return Err(DecodeFault::IncompleteAnnotation(self.reader.path()));
        };
        self.reader.end_object()?;
        self.batch.annotation(Time::from_micros(time.unsigned_abs()), &self.scratch);
        Ok(())
    }

    fn tags(&mut self) -> Result<()> {
        self.reader.begin_object()?;
        while self.reader.has_next()? {
            let key = self.batch.intern(self.reader.next_name()?);
            if self.reader.peek()? == Token::Null {
                return Err(DecodeFault::NoTagValue(self.reader.path()));
            }
            self.batch.tag(key, ValueRef::Str(self.reader.next_string()?));
            let max = self.limits.tags_max_per_span;
            if self.batch.open_tags_len() > max {
                return Err(DecodeFault::TooMany { what: "tags in a span", max });
            }
        }
        self.reader.end_object()?;
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum AnnotationField {
    Timestamp,
    Value,
    Other,
}

impl AnnotationField {
    fn of(name: &str) -> Self {
        match name {
            "timestamp" => Self::Timestamp,
            "value" => Self::Value,
            _ => Self::Other,
        }
    }
}

/// Ends a span by the rules of Zipkin's model: no span is its own parent, no client's span is shared, tags and annotations
/// are sorted.
pub(crate) fn commit(batch: &mut SpanBatch, mut row: SpanRow) -> Result<()> {
    if row.parent == row.id {
        row.parent = SpanId::NONE;
    }
    if row.kind == Kind::Client {
        row.flags = row.flags.without(SpanFlags::SHARED);
    }
    batch.sort_open_tags();
    batch.sort_open_annotations();
    batch.commit(row)?;
    Ok(())
}

/// Zero and what is before it is as if it were not there.
pub(crate) fn positive_micros(micros: i64) -> Option<Time> {
    (micros > 0).then(|| Time::from_micros(micros.unsigned_abs()))
}

pub(super) fn parse_kind(text: &str) -> Result<Kind> {
    Ok(match text {
        "CLIENT" => Kind::Client,
        "SERVER" => Kind::Server,
        "PRODUCER" => Kind::Producer,
        "CONSUMER" => Kind::Consumer,
        _ => return Err(DecodeFault::Kind(text.to_owned())),
    })
}

/// 1 to 32 digits, not all of them zero.
pub(super) fn parse_trace_id(text: &str) -> Result<TraceId> {
    let value = parse_hex(text, "traceId", 32)?;
    if value == 0 {
        return Err(DecodeFault::Id { field: "traceId", fault: IdFault::Zeros });
    }
    Ok(TraceId::new(value))
}

/// 1 to 16 digits; sixteen zeros are refused, fewer are an id, as by Zipkin.
pub(super) fn parse_span_id(text: &str) -> Result<SpanId> {
    let value = parse_hex(text, "id", 16)?;
    if value == 0 && text.len() == 16 {
        return Err(DecodeFault::Id { field: "id", fault: IdFault::Zeros });
    }
    Ok(SpanId::new(value as u64))
}

/// 1 to 16 digits; zeros are no parent.
pub(super) fn parse_parent_id(text: &str) -> Result<SpanId> {
    Ok(SpanId::new(parse_hex(text, "parentId", 16)? as u64))
}

fn parse_hex(text: &str, field: &'static str, digits_max: usize) -> Result<u128> {
    let digits = text.as_bytes();
    if digits.is_empty() || digits.len() > digits_max {
        return Err(bad_id(text, field, digits_max));
    }
    let (high, low) = digits.split_at(digits.len().saturating_sub(16));
    match (hex_word(high), hex_word(low)) {
        (Some(high), Some(low)) => Ok(u128::from(high) << 64 | u128::from(low)),
        _ => Err(bad_id(text, field, digits_max)),
    }
}

/// Up to 16 digits.
#[inline]
pub(crate) fn hex_word(digits: &[u8]) -> Option<u64> {
    if let Ok(digits) = <&[u8; 16]>::try_from(digits) {
        return sixteen_digits(digits);
    }
    let (mut value, mut seen) = (0u64, 0u8);
    for &digit in digits {
        let nibble = HEX_VALUES[usize::from(digit)];
        seen |= nibble;
        value = value << 4 | u64::from(nibble & 15);
    }
    (seen < 16).then_some(value)
}

#[inline]
fn sixteen_digits(digits: &[u8; 16]) -> Option<u64> {
    let (high, low) = digits.split_first_chunk::<8>()?;
    let (high, high_faults) = eight_hex_digits(*high);
    let (low, low_faults) = eight_hex_digits(*low.first_chunk()?);
    (high_faults | low_faults == 0).then_some(high << 32 | low)
}

/// Eight digits at once, a byte each, and some bits where one is no lower-case digit.
#[inline]
fn eight_hex_digits(digits: [u8; 8]) -> (u64, u64) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_be_bytes(digits);
    let letters = word >> 6 & ONES;
    let values = (word & (ONES * 0x0F)) + letters * 9;
    // The upper halves of digits and of lower-case letters; values above nine belong to letters and no others, none is
    // above fifteen.
    let halves = (word & (ONES * 0xF0)) ^ (ONES * 0x30 + letters * 0x30);
    let faults = halves | (((values + ONES * 6) >> 4 & ONES) ^ letters) | (values & (ONES * 0x10));
    let pairs = (values | values >> 4) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs | pairs >> 8) & 0x0000_FFFF_0000_FFFF;
    ((fours | fours >> 16) & 0xFFFF_FFFF, faults)
}

#[cold]
fn bad_id(text: &str, field: &'static str, digits_max: usize) -> DecodeFault {
    let fault = match text.encode_utf16().count() {
        0 => IdFault::Empty,
        chars if chars > digits_max => IdFault::TooLong(digits_max),
        _ => IdFault::NotLowerHex(text.to_owned()),
    };
    DecodeFault::Id { field, fault }
}

/// The value of each lower-case hexadecimal digit, 16 for every other byte.
const HEX_VALUES: [u8; 256] = {
    let mut values = [16; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_digits_are_read_as_each_by_itself() {
        let of_each = |digits: &[u8; 16]| {
            let mut values = digits.iter().map(|&digit| HEX_VALUES[usize::from(digit)]);
            values.try_fold(0, |word: u64, value| (value < 16).then_some(word << 4 | u64::from(value)))
        };
        assert_eq!(hex_word(b"0123456789abcdef"), Some(0x0123_4567_89ab_cdef));
        for at in 0..16 {
            for byte in 0..=255 {
                for fill in *b"0f" {
                    let mut digits = [fill; 16];
                    digits[at] = byte;
                    assert_eq!(hex_word(&digits), of_each(&digits), "{byte} at {at}");
                }
            }
        }
    }
}
