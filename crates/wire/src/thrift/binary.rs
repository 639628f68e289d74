//! The binary protocol: fixed widths, most significant byte first.

use super::cursor::Cursor;
use super::{Field, Message, MessageKind, Protocol, Result, ThriftFault, Type};

/// TBinaryProtocol. Messages are taken with the strict header (a version) and with the old one (none); written strict.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Binary {}

/// The upper half of a strict message's first word; the lowest byte is the message's kind.
const VERSION_1: u32 = 0x8001_0000;
const VERSION_MASK: u32 = 0xffff_0000;
const STOP: u8 = 0;

impl Protocol for Binary {
    fn bytes_min(kind: Type) -> usize {
        match kind {
            Type::Bool | Type::Byte | Type::Struct => 1,
            Type::I16 => 2,
            Type::I32 | Type::Binary => 4,
            Type::I64 | Type::Double => 8,
            Type::List | Type::Set => 5,
            Type::Map => 6,
            Type::Uuid => 16,
        }
    }

    fn read_message<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>> {
        let start = *cursor;
        let first = u32::from_be_bytes(cursor.array()?);
        let strict = first.cast_signed() < 0;
        if strict && first & VERSION_MASK != VERSION_1 {
            return start.error(ThriftFault::Version);
        }
        let name_len = if strict { Self::read_length(cursor)? } else { i64::from(first) };
        let name = match usize::try_from(name_len) {
            Ok(len) if len <= cursor.left() => cursor.take(len)?,
            _ => return cursor.error(ThriftFault::Length(name_len)),
        };
        let kind = MessageKind::from_code(if strict { first as u8 } else { cursor.byte()? });
        let sequence = Self::read_i32(cursor)?;
        Ok(Message { name, kind, sequence })
    }

    #[inline]
    fn read_field(cursor: &mut Cursor<'_>, _last_id: i16) -> Result<Option<(Field, Option<bool>)>> {
        let start = *cursor;
        let code = cursor.byte()?;
        if code == STOP {
            return Ok(None);
        }
        let Some(kind) = Type::from_code(code) else { return start.error(ThriftFault::UnknownType(code)) };
        let id = Self::read_i16(cursor)?;
        Ok(Some((Field { id, kind }, None)))
    }

    #[inline]
    fn read_list(cursor: &mut Cursor<'_>) -> Result<(Option<Type>, i64)> {
        let element = Type::from_code(cursor.byte()?);
        Ok((element, Self::read_length(cursor)?))
    }

    fn read_map(cursor: &mut Cursor<'_>) -> Result<(Option<Type>, Option<Type>, i64)> {
        let key = Type::from_code(cursor.byte()?);
        let value = Type::from_code(cursor.byte()?);
        Ok((key, value, Self::read_length(cursor)?))
    }

    #[inline]
    fn read_length(cursor: &mut Cursor<'_>) -> Result<i64> {
        Ok(i64::from(Self::read_i32(cursor)?))
    }

    #[inline]
    fn read_bool(cursor: &mut Cursor<'_>) -> Result<bool> {
        Ok(cursor.byte()? == 1)
    }

    #[inline]
    fn read_i16(cursor: &mut Cursor<'_>) -> Result<i16> {
        Ok(i16::from_be_bytes(cursor.array()?))
    }

    #[inline]
    fn read_i32(cursor: &mut Cursor<'_>) -> Result<i32> {
        Ok(i32::from_be_bytes(cursor.array()?))
    }

    #[inline]
    fn read_i64(cursor: &mut Cursor<'_>) -> Result<i64> {
        Ok(i64::from_be_bytes(cursor.array()?))
    }

    #[inline]
    fn read_double(cursor: &mut Cursor<'_>) -> Result<f64> {
        Ok(f64::from_be_bytes(cursor.array()?))
    }

    fn write_message(out: &mut Vec<u8>, name: &str, kind: MessageKind, sequence: i32) {
        out.extend_from_slice(&(VERSION_1 | u32::from(kind as u8)).to_be_bytes());
        Self::write_length(out, name.len() as u32);
        out.extend_from_slice(name.as_bytes());
        Self::write_i32(out, sequence);
    }

    #[inline]
    fn write_field(out: &mut Vec<u8>, _last_id: i16, id: i16, kind: Type) {
        let [high, low] = id.to_be_bytes();
        out.extend_from_slice(&[kind as u8, high, low]);
    }

    #[inline]
    fn write_bool_field(out: &mut Vec<u8>, last_id: i16, id: i16, value: bool) {
        Self::write_field(out, last_id, id, Type::Bool);
        out.push(u8::from(value));
    }

    #[inline]
    fn write_list(out: &mut Vec<u8>, element: Type, len: u32) {
        out.push(element as u8);
        Self::write_length(out, len);
    }

    #[inline]
    fn rewrite_list(out: &mut Vec<u8>, at: usize, _element: Type, len: u32) {
        if let Some(place) = out.get_mut(at + 1..at + 5) {
            place.copy_from_slice(&len.to_be_bytes());
        }
    }

    #[inline]
    fn write_length(out: &mut Vec<u8>, len: u32) {
        out.extend_from_slice(&len.to_be_bytes());
    }

    #[inline]
    fn write_i32(out: &mut Vec<u8>, value: i32) {
        out.extend_from_slice(&value.to_be_bytes());
    }

    #[inline]
    fn write_i64(out: &mut Vec<u8>, value: i64) {
        out.extend_from_slice(&value.to_be_bytes());
    }

    #[inline]
    fn write_double(out: &mut Vec<u8>, value: f64) {
        out.extend_from_slice(&value.to_be_bytes());
    }
}
