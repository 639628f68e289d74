//! Zipkin v1 thrift (a list of spans in the binary protocol) into a span batch.

use super::convert::Converter;
use super::source::{Source, TagValue, Text};
use crate::Limits;
use crate::detect::SpanEncoding;
use crate::java_text::{decode_utf8, to_lower_case};
use crate::zipkin_bytes::Cursor;
use crate::zipkin_v2::{DecodeError, DecodeFault, decode_as, set_ip};
use tracewell_model::{Endpoint, EndpointId, SpanBatch, TraceId};

type Result<T> = std::result::Result<T, DecodeFault>;

/// Appends the spans of a body to the batch and answers how many they are, which may be more than the body's. On an error the
/// batch is what it was before.
///
/// What is taken and what is refused, and the words for it, are those of Zipkin 3.5's own reader: a list's element type is
/// not looked at, annotations without time or value and tags that are neither text nor a true address are dropped.
pub fn decode_thrift(body: &[u8], limits: &Limits, batch: &mut SpanBatch) -> std::result::Result<usize, DecodeError> {
    decode_as(SpanEncoding::Thrift, body, batch, |batch| {
        let mut decoder = Decoder {
            cursor: Cursor::new(body, limits.string_bytes_max),
            limits,
            batch,
            scratch: String::new(),
            seen: [(b"", EndpointId(0)); 4],
            source: Source::default(),
            converter: Converter::default(),
        };
        decoder.list()
    })
}

struct Decoder<'a> {
    cursor: Cursor<'a>,
    limits: &'a Limits,
    batch: &'a mut SpanBatch,
    scratch: String,
    /// The endpoint read last, as bytes: annotations of one service repeat it.
    /// Endpoints as bytes, the one met last first: spans of one service repeat its own and those it calls.
    seen: [(&'a [u8], EndpointId); 4],
    source: Source,
    converter: Converter,
}

impl<'a> Decoder<'a> {
    fn list(&mut self) -> Result<usize> {
        let before = self.batch.len();
        let len = self.list_len()?;
        for _ in 0..len {
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
        let (mut high, mut low) = (0, 0);
        while let Some(field) = self.field()? {
            match field {
                (I64, 1) => low = self.u64()?,
                (I64, 12) => high = self.u64()?,
                (STRING, 3) => {
                    let name = decode_utf8(self.bytes()?);
                    self.source.name = self.batch.intern(to_lower_case(&name, &mut self.scratch));
                }
                (I64, 4) => self.source.id = self.u64()?,
                (I64, 5) => self.source.parent = self.u64()?,
                (LIST, 6) => {
                    for _ in 0..self.list_len()? {
                        self.annotation()?;
                    }
                }
                (LIST, 8) => {
                    for _ in 0..self.list_len()? {
                        self.binary_annotation()?;
                    }
                }
                (BOOL, 9) => self.source.debug = self.cursor.byte()? == 1,
                (I64, 10) => self.source.timestamp = self.u64()?.cast_signed(),
                (I64, 11) => self.source.duration = self.u64()?.cast_signed(),
                (kind, _) => self.skip(kind, self.limits.depth_max)?,
            }
        }
        self.source.trace_id = TraceId::from_halves(high, low);
        Ok(())
    }

    fn annotation(&mut self) -> Result<()> {
        let (mut time, mut value) = (0, None);
        let mut endpoint = EndpointId(0);
        while let Some(field) = self.field()? {
            match field {
                (I64, 1) => time = self.u64()?.cast_signed(),
                (STRING, 2) => value = Some(self.bytes()?),
                (STRUCT, 3) => endpoint = self.endpoint()?,
                (kind, _) => self.skip(kind, self.limits.depth_max)?,
            }
        }
        match value {
            Some(value) if time != 0 => {
                let value = self.source.push_text(&decode_utf8(value));
                self.source.annotation(time, value, endpoint, self.limits)
            }
            _ => Ok(()),
        }
    }

    fn binary_annotation(&mut self) -> Result<()> {
        let (mut key, mut value) = (None, None);
        let (mut is_text, mut is_bool) = (false, false);
        let mut endpoint = EndpointId(0);
        while let Some(field) = self.field()? {
            match field {
                (STRING, 1) => key = Some(self.bytes()?),
                (STRING, 2) => value = Some(self.bytes()?),
                (I32, 3) => match i32::from_be_bytes(self.cursor.array()?) {
                    TYPE_BOOL => is_bool = true,
                    TYPE_STRING => is_text = true,
                    _ => {}
                },
                (STRUCT, 4) => endpoint = self.endpoint()?,
                (kind, _) => self.skip(kind, self.limits.depth_max)?,
            }
        }
        let (Some(key), Some(value)) = (key, value) else { return Ok(()) };
        let address = is_bool && value == [1] && endpoint != EndpointId(0) && matches!(key, b"sa" | b"ca" | b"ma");
        let value = match (is_text, address) {
            (true, _) => self.source.push_text(&decode_utf8(value)),
            (false, true) => Text::default(),
            (false, false) => return Ok(()),
        };
        let key = self.batch.intern(&decode_utf8(key));
        self.source.tag(key, TagValue::Text(value), endpoint, self.limits)
    }

    /// Takes an endpoint, by a comparison where it is one of those seen last.
    fn endpoint(&mut self) -> Result<EndpointId> {
        let rest = self.cursor.rest();
        let known = |(bytes, _): &(&[u8], EndpointId)| !bytes.is_empty() && rest.starts_with(bytes);
        if let Some(at) = self.seen.iter().position(known) {
            self.seen[..=at].rotate_right(1);
            self.cursor.skip(self.seen[0].0.len());
            return Ok(self.seen[0].1);
        }
        let from = self.cursor.position();
        let mut endpoint = Endpoint::default();
        while let Some(field) = self.field()? {
            match field {
                (I32, 1) => match self.cursor.array::<4>()? {
                    [0, 0, 0, 0] => {}
                    ipv4 => set_ip(&mut endpoint, &ipv4),
                },
                (I16, 2) => endpoint.port = u16::from_be_bytes(self.cursor.array()?),
                (STRING, 3) => {
                    let name = decode_utf8(self.bytes()?);
                    endpoint.service = self.batch.intern(to_lower_case(&name, &mut self.scratch));
                }
                (STRING, 4) => set_ip(&mut endpoint, self.bytes()?),
                (kind, _) => self.skip(kind, self.limits.depth_max)?,
            }
        }
        self.seen.rotate_right(1);
        self.seen[0] = (&rest[..self.cursor.position() - from], self.batch.intern_endpoint(endpoint));
        Ok(self.seen[0].1)
    }

    /// The next field's type and id; `None` at the struct's end.
    #[inline]
    fn field(&mut self) -> Result<Option<(u8, i16)>> {
        match self.cursor.byte()? {
            STOP => Ok(None),
            kind => Ok(Some((kind, i16::from_be_bytes(self.cursor.array()?)))),
        }
    }

    #[inline]
    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.cursor.array()?))
    }

    #[inline]
    fn len(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.cursor.array()?))
    }

    #[inline]
    fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.len()?;
        self.cursor.take(len)
    }

    /// How many elements a list has. They take a byte each at least, so a list cannot be longer than what is left for long.
    fn list_len(&mut self) -> Result<i32> {
        self.cursor.byte()?;
        self.len()
    }

    /// Passes over a value. What is cut off in it is not missed, and types that do not exist have no bytes, as by Zipkin.
    #[cold]
    fn skip(&mut self, kind: u8, depth_left: usize) -> Result<()> {
        let Some(depth_left) = depth_left.checked_sub(1) else { return Err(DecodeFault::Malformed) };
        match kind {
            BOOL | BYTE => self.cursor.skip(1),
            I16 => self.cursor.skip(2),
            I32 => self.cursor.skip(4),
            I64 | DOUBLE => self.cursor.skip(8),
            STRING => {
                let len = self.len()?;
                self.cursor.skip_len(len);
            }
            STRUCT => {
                while let Some((kind, _)) = self.field()? {
                    self.skip(kind, depth_left)?;
                }
            }
            MAP => {
                let [key, value] = self.cursor.array()?;
                let len = self.len()?;
                self.skip_elements(len, &[key, value], depth_left)?;
            }
            SET | LIST => {
                let element = self.cursor.byte()?;
                let len = self.len()?;
                self.skip_elements(len, &[element], depth_left)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Elements may have no bytes, so no more are passed over than there are bytes left.
    fn skip_elements(&mut self, len: i32, kinds: &[u8], depth_left: usize) -> Result<()> {
        for _ in 0..len {
            if self.cursor.left() == 0 {
                break;
            }
            let before = self.cursor.position();
            for &kind in kinds {
                self.skip(kind, depth_left)?;
            }
            if self.cursor.position() == before {
                break;
            }
        }
        Ok(())
    }
}

const STOP: u8 = 0;
const BOOL: u8 = 2;
const BYTE: u8 = 3;
const DOUBLE: u8 = 4;
const I16: u8 = 6;
const I32: u8 = 8;
const I64: u8 = 10;
const STRING: u8 = 11;
const STRUCT: u8 = 12;
const MAP: u8 = 13;
const SET: u8 = 14;
const LIST: u8 = 15;

/// Types of binary annotations.
const TYPE_BOOL: i32 = 0;
const TYPE_STRING: i32 = 6;
