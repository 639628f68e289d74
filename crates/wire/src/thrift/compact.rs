//! The compact protocol: numbers in groups of seven bits, field ids by their distance, booleans in their field's header.

use super::cursor::Cursor;
use super::{Field, Message, MessageKind, Protocol, Result, ThriftFault, Type};
use crate::protobuf::varint_len;

/// TCompactProtocol.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Compact {}

const PROTOCOL_ID: u8 = 0x82;
const VERSION: u8 = 1;
const STOP: u8 = 0;
const TRUE: u8 = 1;
const FALSE: u8 = 2;
/// Lists up to this length have it in their first byte.
const SHORT_LIST_MAX: u32 = 14;
/// Fields whose ids are at most this far apart have the distance in their first byte.
const DISTANCE_MAX: i32 = 15;

impl Protocol for Compact {
    fn bytes_min(kind: Type) -> usize {
        match kind {
            Type::Double => 8,
            Type::Uuid => 16,
            _ => 1,
        }
    }

    fn read_message<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>> {
        let start = *cursor;
        let [id, version_and_kind] = cursor.array()?;
        if id != PROTOCOL_ID || version_and_kind & 0x1f != VERSION {
            return start.error(ThriftFault::Version);
        }
        let sequence = cursor.varint()? as i32;
        let name_len = Self::read_length(cursor)?;
        let name = match usize::try_from(name_len) {
            Ok(len) if len <= cursor.left() => cursor.take(len)?,
            _ => return cursor.error(ThriftFault::Length(name_len)),
        };
        Ok(Message { name, kind: MessageKind::from_code(version_and_kind >> 5), sequence })
    }

    #[inline]
    fn read_field(cursor: &mut Cursor<'_>, last_id: i16) -> Result<Option<(Field, Option<bool>)>> {
        let start = *cursor;
        let header = cursor.byte()?;
        let code = header & 0x0f;
        if code == STOP {
            return Ok(None);
        }
        let Some(kind) = type_of(code) else { return start.error(ThriftFault::UnknownType(code)) };
        let id = match header >> 4 {
            0 => Self::read_i16(cursor)?,
            distance => last_id.wrapping_add(i16::from(distance)),
        };
        let value = (kind == Type::Bool).then_some(code == TRUE);
        Ok(Some((Field { id, kind }, value)))
    }

    #[inline]
    fn read_list(cursor: &mut Cursor<'_>) -> Result<(Option<Type>, i64)> {
        let header = cursor.byte()?;
        let len = match header >> 4 {
            15 => Self::read_length(cursor)?,
            len => i64::from(len),
        };
        Ok((type_of(header & 0x0f), len))
    }

    fn read_map(cursor: &mut Cursor<'_>) -> Result<(Option<Type>, Option<Type>, i64)> {
        let len = Self::read_length(cursor)?;
        if len == 0 {
            return Ok((None, None, 0));
        }
        let types = cursor.byte()?;
        Ok((type_of(types >> 4), type_of(types & 0x0f), len))
    }

    #[inline]
    fn read_length(cursor: &mut Cursor<'_>) -> Result<i64> {
        // Thrift keeps lengths in 32 bits with a sign and drops what is above.
        Ok(i64::from(cursor.varint()? as i32))
    }

    #[inline]
    fn read_bool(cursor: &mut Cursor<'_>) -> Result<bool> {
        Ok(cursor.byte()? == TRUE)
    }

    #[inline]
    fn read_i16(cursor: &mut Cursor<'_>) -> Result<i16> {
        Ok(Self::read_i32(cursor)? as i16)
    }

    #[inline]
    fn read_i32(cursor: &mut Cursor<'_>) -> Result<i32> {
        let value = cursor.varint()? as u32;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    #[inline]
    fn read_i64(cursor: &mut Cursor<'_>) -> Result<i64> {
        let value = cursor.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    #[inline]
    fn read_double(cursor: &mut Cursor<'_>) -> Result<f64> {
        // The specification says most significant byte first; every implementation does the opposite.
        Ok(f64::from_le_bytes(cursor.array()?))
    }

    fn write_message(out: &mut Vec<u8>, name: &str, kind: MessageKind, sequence: i32) {
        out.extend_from_slice(&[PROTOCOL_ID, VERSION | (kind as u8) << 5]);
        write_varint(out, u64::from(sequence.cast_unsigned()));
        Self::write_length(out, name.len() as u32);
        out.extend_from_slice(name.as_bytes());
    }

    #[inline]
    fn write_field(out: &mut Vec<u8>, last_id: i16, id: i16, kind: Type) {
        write_header(out, last_id, id, code_of(kind));
    }

    #[inline]
    fn write_bool_field(out: &mut Vec<u8>, last_id: i16, id: i16, value: bool) {
        write_header(out, last_id, id, if value { TRUE } else { FALSE });
    }

    #[inline]
    fn write_list(out: &mut Vec<u8>, element: Type, len: u32) {
        let code = code_of(element);
        if len <= SHORT_LIST_MAX {
            out.push((len as u8) << 4 | code);
        } else {
            out.push(0xf0 | code);
            write_varint(out, u64::from(len));
        }
    }

    #[inline]
    fn rewrite_list(out: &mut Vec<u8>, at: usize, element: Type, len: u32) {
        if len <= SHORT_LIST_MAX {
            out[at] = (len as u8) << 4 | code_of(element);
        } else {
            // The header grows: it goes behind the elements, and then before them.
            let end = out.len();
            Self::write_list(out, element, len);
            let grown = out.len() - end;
            out[at + 1..].rotate_right(grown);
            out.remove(at);
        }
    }

    #[inline]
    fn write_length(out: &mut Vec<u8>, len: u32) {
        write_varint(out, u64::from(len));
    }

    #[inline]
    fn write_i32(out: &mut Vec<u8>, value: i32) {
        write_varint(out, u64::from((value << 1 ^ value >> 31).cast_unsigned()));
    }

    #[inline]
    fn write_i64(out: &mut Vec<u8>, value: i64) {
        write_varint(out, (value << 1 ^ value >> 63).cast_unsigned());
    }

    #[inline]
    fn write_double(out: &mut Vec<u8>, value: f64) {
        out.extend_from_slice(&value.to_le_bytes());
    }
}

const fn type_of(code: u8) -> Option<Type> {
    Some(match code {
        TRUE | FALSE => Type::Bool,
        3 => Type::Byte,
        4 => Type::I16,
        5 => Type::I32,
        6 => Type::I64,
        7 => Type::Double,
        8 => Type::Binary,
        9 => Type::List,
        10 => Type::Set,
        11 => Type::Map,
        12 => Type::Struct,
        13 => Type::Uuid,
        _ => return None,
    })
}

const fn code_of(kind: Type) -> u8 {
    match kind {
        Type::Bool => TRUE,
        Type::Byte => 3,
        Type::I16 => 4,
        Type::I32 => 5,
        Type::I64 => 6,
        Type::Double => 7,
        Type::Binary => 8,
        Type::List => 9,
        Type::Set => 10,
        Type::Map => 11,
        Type::Struct => 12,
        Type::Uuid => 13,
    }
}

fn write_header(out: &mut Vec<u8>, last_id: i16, id: i16, code: u8) {
    let distance = i32::from(id) - i32::from(last_id);
    if (1..=DISTANCE_MAX).contains(&distance) {
        out.push((distance as u8) << 4 | code);
    } else {
        out.push(code);
        Compact::write_i32(out, i32::from(id));
    }
}

#[inline]
fn write_varint(out: &mut Vec<u8>, value: u64) {
    if value < 0x80 {
        out.push(value as u8);
    } else {
        write_long_varint(out, value);
    }
}

/// Eight groups of seven bits at once; ids have ten.
fn write_long_varint(out: &mut Vec<u8>, value: u64) {
    let halves = value & 0x0fff_ffff | (value & 0x00ff_ffff_f000_0000) << 4;
    let quarters = halves & 0x0000_3fff_0000_3fff | (halves & 0x0fff_c000_0fff_c000) << 2;
    let groups = quarters & 0x007f_007f_007f_007f | (quarters & 0x3f80_3f80_3f80_3f80) << 1;
    let mut bytes = [0x80; 10];
    bytes[..8].copy_from_slice(&(groups | 0x8080_8080_8080_8080).to_le_bytes());
    bytes[8] |= (value >> 56) as u8;
    bytes[9] = (value >> 63) as u8;
    let len = varint_len(value);
    bytes[len - 1] &= 0x7f;
    out.extend_from_slice(&bytes[..len]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_bytes_of_the_specification() {
        for shift in 0..64 {
            for value in [(1u64 << shift) - 1, 1 << shift, 0x9E37_79B9_7F4A_7C15 >> shift, u64::MAX >> shift] {
                let (mut expected, mut rest) = (vec![], value);
                while rest >= 0x80 {
                    expected.push(rest as u8 | 0x80);
                    rest >>= 7;
                }
                expected.push(rest as u8);
                let mut out = vec![];
                write_varint(&mut out, value);
                assert_eq!(out, expected, "{value}");
            }
        }
    }
}
