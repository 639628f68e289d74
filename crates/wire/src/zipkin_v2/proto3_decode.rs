//! Zipkin v2 protobuf (`zipkin.proto3.ListOfSpans`) into a span batch.

use super::decode::{commit, decode_as, positive_micros};
use super::endpoint::{port, set_ip};
use super::error::{DecodeError, DecodeFault, IdFault};
use crate::Limits;
use crate::detect::SpanEncoding;
use crate::java_text::{decode_utf8, to_lower_case};
use crate::names::Slots;
use crate::protobuf::{BYTES, FIXED32, FIXED64, VARINT, key};
use crate::zipkin_bytes::Cursor;
use tracewell_model::{
    Endpoint, EndpointId, Kind, SpanBatch, SpanFlags, SpanId, SpanRow, StrId, Time, TraceId, ValueRef,
};

type Result<T> = std::result::Result<T, DecodeFault>;

/// Appends the spans of a body to the batch and answers how many they are. On an error the batch is what it was before.
///
/// What is taken and what is refused, and the words for it, are those of Zipkin 3.5's own reader: the key before a span is
/// not looked at, an empty span ends the list, a known field of another wire type is skipped like an unknown one, ids may be
/// shorter than they should be, annotations without time or value and tags without key are dropped.
pub fn decode_proto3(body: &[u8], limits: &Limits, batch: &mut SpanBatch) -> std::result::Result<usize, DecodeError> {
    decode_as(SpanEncoding::Proto3, body, batch, |batch| {
        let cursor = Cursor::new(body, limits.string_bytes_max);
        let (keys, names, endpoints) = (Slots::default(), Slots::default(), Slots::default());
        Decoder { cursor, limits, batch, scratch: String::new(), keys, names, endpoints }.list()
    })
}

struct Decoder<'a> {
    cursor: Cursor<'a>,
    limits: &'a Limits,
    batch: &'a mut SpanBatch,
    scratch: String,
    /// Tags' keys, spans' names and endpoints, which spans repeat.
    keys: Slots<'a, StrId, 64>,
    names: Slots<'a, StrId, 64>,
    endpoints: Slots<'a, EndpointId, 32>,
}

impl<'a> Decoder<'a> {
    fn list(&mut self) -> Result<usize> {
        let mut spans = 0;
        while self.cursor.left() > 0 {
            self.cursor.varint32()?;
            let len = self.cursor.varint32()?;
            if len == 0 {
                break;
            }
            if spans == self.limits.spans_max {
                return Err(DecodeFault::TooMany { what: "spans", max: spans });
            }
            self.span(len)?;
            spans += 1;
        }
        Ok(spans)
    }

    fn span(&mut self, len: i32) -> Result<()> {
        self.cursor.require(len)?;
        let end = self.cursor.end_of(len);
        let mut row = SpanRow::default();
        let (mut trace_id, mut id) = (None, None);
        while self.cursor.position() < end {
            match self.cursor.varint32()?.cast_unsigned() {
                TRACE_ID => trace_id = Some(self.trace_id()?),
                ID => id = Some(self.span_id("id")?.ok_or(DecodeFault::Null("id"))?),
                key => self.span_field(key, &mut row)?,
            }
        }
        let (Some(trace_id), Some(id)) = (trace_id, id) else {
            return Err(DecodeFault::Missing { trace_id: trace_id.is_none(), id: id.is_none() });
        };
        commit(self.batch, SpanRow { trace_id, id, ..row })
    }

    fn span_field(&mut self, key: u32, row: &mut SpanRow) -> Result<()> {
        match key {
            PARENT_ID => row.parent = self.span_id("parentId")?.unwrap_or(SpanId::NONE),
            KIND => {
                row.kind = match self.cursor.varint32()? {
                    0 => row.kind,
                    1 => Kind::Client,
                    2 => Kind::Server,
                    3 => Kind::Producer,
                    4 => Kind::Consumer,
                    5.. => row.kind,
                    number => return Err(DecodeFault::KindNumber(number.wrapping_sub(1))),
                }
            }
            NAME => {
                let name = self.bytes()?;
                let Self { names, batch, scratch, .. } = self;
                row.name = names.get(name, || batch.intern(to_lower_case(&decode_utf8(name), scratch)));
            }
            TIMESTAMP => row.start = positive_micros(i64::from_le_bytes(self.cursor.array()?)),
            DURATION => row.duration = positive_micros(self.cursor.varint64()?),
            LOCAL_ENDPOINT => row.local = self.endpoint()?,
            REMOTE_ENDPOINT => row.remote = self.endpoint()?,
            ANNOTATION => self.annotation()?,
            TAG => self.tag()?,
            DEBUG => row.flags = self.flag(row.flags, SpanFlags::DEBUG)?,
            SHARED => row.flags = self.flag(row.flags, SpanFlags::SHARED)?,
            other => self.skip(other)?,
        }
        Ok(())
    }

    /// A field's bytes.
    #[inline]
    fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.cursor.varint32()?;
        self.cursor.take(len)
    }

    /// An id's bytes.
    fn id_bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.cursor.varint32()?;
        if len > ID_BYTES_READ_MAX {
            return Err(DecodeFault::LongHexField(len));
        }
        self.cursor.take(len)
    }

    fn trace_id(&mut self) -> Result<TraceId> {
        let bytes = self.id_bytes()?;
        let fault = match bytes.len() {
            0 => return Err(DecodeFault::Null("traceId")),
            17.. => IdFault::TooLong(32),
            _ => match bytes.iter().fold(0, |id, &byte| id << 8 | u128::from(byte)) {
                0 => IdFault::Zeros,
                id => return Ok(TraceId::new(id)),
            },
        };
        Err(DecodeFault::Id { field: "traceId", fault })
    }

    /// Eight zero bytes are refused in a span's id, fewer are an id, as in JSON.
    fn span_id(&mut self, field: &'static str) -> Result<Option<SpanId>> {
        let bytes = self.id_bytes()?;
        let id = bytes.iter().fold(0, |id, &byte| id << 8 | u64::from(byte));
        match bytes.len() {
            0 => Ok(None),
            9.. => Err(DecodeFault::Id { field, fault: IdFault::TooLong(16) }),
            8 if id == 0 && field == "id" => Err(DecodeFault::Id { field, fault: IdFault::Zeros }),
            _ => Ok(Some(SpanId::new(id))),
        }
    }

    fn flag(&mut self, flags: SpanFlags, flag: SpanFlags) -> Result<SpanFlags> {
        match self.cursor.byte()? {
            0 => Ok(flags),
            1 => Ok(flags.with(flag)),
            _ => Err(DecodeFault::Malformed),
        }
    }

    /// Takes an endpoint, by a comparison where it was seen before.
    fn endpoint(&mut self) -> Result<EndpointId> {
        let len = self.cursor.varint32()?;
        if len == 0 {
            return Ok(EndpointId(0));
        }
        // One that does not end where it says has to be read for what is wrong with it.
        let piece = usize::try_from(len).ok().and_then(|len| self.cursor.rest().get(..len));
        let Some(piece) = piece else { return self.new_endpoint(len) };
        let from = self.cursor.position();
        if let Some(id) = self.endpoints.find(piece) {
            self.cursor.skip(piece.len());
            return Ok(id);
        }
        let id = self.new_endpoint(len)?;
        if self.cursor.position() - from == piece.len() {
            self.endpoints.put(piece, id);
        }
        Ok(id)
    }

    fn new_endpoint(&mut self, len: i32) -> Result<EndpointId> {
        let end = self.cursor.end_of(len);
        let mut endpoint = Endpoint::default();
        while self.cursor.position() < end {
            match self.cursor.varint32()?.cast_unsigned() {
                SERVICE_NAME => {
                    let name = decode_utf8(self.bytes()?);
                    endpoint.service = self.batch.intern(to_lower_case(&name, &mut self.scratch));
                }
                IPV4 | IPV6 => set_ip(&mut endpoint, self.bytes()?),
                PORT => endpoint.port = port(self.cursor.varint32()?)?,
                other => self.skip(other)?,
            }
        }
        Ok(self.batch.intern_endpoint(endpoint))
    }

    fn annotation(&mut self) -> Result<()> {
        let len = self.cursor.varint32()?;
        let end = self.cursor.end_of(len);
        let (mut time, mut value) = (0, &b""[..]);
        while self.cursor.position() < end {
            match self.cursor.varint32()?.cast_unsigned() {
                ANNOTATION_TIME => time = i64::from_le_bytes(self.cursor.array()?),
                ANNOTATION_VALUE => value = self.bytes()?,
                other => self.skip(other)?,
            }
        }
        if time == 0 || value.is_empty() {
            return Ok(());
        }
        // A time before the epoch has no place in the model and becomes the epoch.
        self.batch.annotation(Time::from_micros(time.max(0).unsigned_abs()), &decode_utf8(value));
        let max = self.limits.annotations_max_per_span;
        if self.batch.open_annotations_len() > max {
            return Err(DecodeFault::TooMany { what: "annotations in a span", max });
        }
        Ok(())
    }

    fn tag(&mut self) -> Result<()> {
        let len = self.cursor.varint32()?;
        let end = self.cursor.end_of(len);
        let (mut name, mut value) = (&b""[..], &b""[..]);
        while self.cursor.position() < end {
            match self.cursor.varint32()?.cast_unsigned() {
                TAG_KEY => name = self.bytes()?,
                TAG_VALUE => {
                    let read = self.bytes()?;
                    value = if read.is_empty() { value } else { read };
                }
                other => self.skip(other)?,
            }
        }
        if name.is_empty() {
            return Ok(());
        }
        let Self { keys, batch, .. } = self;
        let key = keys.get(name, || batch.intern(&decode_utf8(name)));
        batch.tag(key, ValueRef::Str(&decode_utf8(value)));
        let max = self.limits.tags_max_per_span;
        if self.batch.open_tags_len() > max {
            return Err(DecodeFault::TooMany { what: "tags in a span", max });
        }
        Ok(())
    }

    /// Passes over a field that is not known; what is cut off there is not missed, as by Zipkin.
    #[cold]
    fn skip(&mut self, key: u32) -> Result<()> {
        match key & 7 {
            VARINT => while self.cursor.left() > 0 && self.cursor.byte()? >= 0x80 {},
            FIXED64 => self.cursor.skip(8),
            BYTES => {
                let len = self.cursor.varint32()?;
                self.cursor.skip_len(len);
            }
            FIXED32 => self.cursor.skip(4),
            _ => return Err(DecodeFault::Malformed),
        }
        Ok(())
    }
}

/// Longer ids are refused before they are read, in other words than those that are only too long.
const ID_BYTES_READ_MAX: i32 = 32;

const TRACE_ID: u32 = key(1, BYTES);
const PARENT_ID: u32 = key(2, BYTES);
const ID: u32 = key(3, BYTES);
const KIND: u32 = key(4, VARINT);
const NAME: u32 = key(5, BYTES);
const TIMESTAMP: u32 = key(6, FIXED64);
const DURATION: u32 = key(7, VARINT);
const LOCAL_ENDPOINT: u32 = key(8, BYTES);
const REMOTE_ENDPOINT: u32 = key(9, BYTES);
const ANNOTATION: u32 = key(10, BYTES);
const TAG: u32 = key(11, BYTES);
const DEBUG: u32 = key(12, VARINT);
const SHARED: u32 = key(13, VARINT);

const SERVICE_NAME: u32 = key(1, BYTES);
const IPV4: u32 = key(2, BYTES);
const IPV6: u32 = key(3, BYTES);
const PORT: u32 = key(4, VARINT);

const ANNOTATION_TIME: u32 = key(1, FIXED64);
const ANNOTATION_VALUE: u32 = key(2, BYTES);

const TAG_KEY: u32 = key(1, BYTES);
const TAG_VALUE: u32 = key(2, BYTES);
