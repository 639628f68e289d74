//! OTLP's `AnyValue` and `KeyValue` in protobuf: read where they lie, written, and brought into one form.
//!
//! Arrays and maps are kept as bytes ([`ValueRef::Nested`]). Senders order fields as they like (Go's collector writes them
//! backwards), so the bytes are written anew when they come in: equal values have equal bytes, whatever format brought them.

use super::error::Result;
use crate::Limits;
use crate::names::lossy;
use crate::protobuf::{
    BYTES, FIXED64, ProtobufFault, Reader, VARINT, fields, key, push_bool_field, push_bytes_field, push_double_field,
    push_message, push_text_field, push_varint, push_varint_field, varint_len,
};
use crate::stage::Stage;
use tracewell_model::{RawValue, ValueRef};

pub(super) const STRING: u32 = key(1, BYTES);
pub(super) const BOOL: u32 = key(2, VARINT);
pub(super) const INT: u32 = key(3, VARINT);
pub(super) const DOUBLE: u32 = key(4, FIXED64);
pub(super) const ARRAY: u32 = key(5, BYTES);
pub(super) const MAP: u32 = key(6, BYTES);
pub(super) const RAW: u32 = key(7, BYTES);
const KNOWN: u64 = fields(&[1, 2, 3, 4, 5, 6, 7]);

/// The only field of an array, and of a map.
pub(super) const ELEMENT: u32 = key(1, BYTES);
/// The fields of a `KeyValue`.
pub(super) const KEY: u32 = key(1, BYTES);
pub(super) const VALUE: u32 = key(2, BYTES);
pub(super) const KEY_VALUE_KNOWN: u64 = fields(&[1, 2]);

/// About how long an element of an array or map is: its length takes one byte.
pub(super) const SMALL: usize = 100;

/// The field that counts: the last, as in any protobuf "oneof". The reader stands before its value.
#[inline]
pub(super) fn last_field(mut reader: Reader<'_>) -> Result<Option<(u32, Reader<'_>)>> {
    let mut last = None;
    while let Some(key) = reader.key()? {
        if matches!(key, STRING | BOOL | INT | DOUBLE | ARRAY | MAP | RAW) {
            last = Some((key, reader));
            reader.skip(key)?;
        } else {
            reader.skip_unknown(key, KNOWN)?;
        }
    }
    Ok(last)
}

/// Appends a value in the form all values have here: known fields in their order, texts in UTF-8.
pub(super) fn push_canonical(reader: Reader<'_>, out: &mut Vec<u8>, limits: &Limits, depth: usize) -> Result<()> {
    let Some((key, mut value)) = last_field(reader)? else { return Ok(()) };
    if depth >= limits.depth_max {
        return Err(value.error(ProtobufFault::TooDeep).into());
    }
    match key {
        STRING => push_text_field(out, 1, &value.text()?),
        BOOL => push_bool_field(out, 2, value.varint()? != 0),
        INT => push_varint_field(out, 3, value.varint()?),
        DOUBLE => push_double_field(out, 4, f64::from_bits(value.fixed64()?)),
        ARRAY => {
            let mut array = value.message()?;
            push_message(out, 5, SMALL, |out| -> Result<()> {
                while let Some(key) = array.key()? {
                    if key == ELEMENT {
                        let element = array.message()?;
                        push_message(out, 1, SMALL, |out| push_canonical(element, out, limits, depth + 1))?;
                    } else {
                        array.skip_unknown(key, fields(&[1]))?;
                    }
                }
                Ok(())
            })?;
        }
        MAP => {
            let mut map = value.message()?;
            push_message(out, 6, SMALL, |out| -> Result<()> {
                while let Some(key) = map.key()? {
                    if key == ELEMENT {
                        let entry = map.message()?;
                        push_message(out, 1, SMALL, |out| push_canonical_entry(entry, out, limits, depth + 1))?;
                    } else {
                        map.skip_unknown(key, fields(&[1]))?;
                    }
                }
                Ok(())
            })?;
        }
        _ => push_bytes_field(out, 7, value.bytes()?),
    }
    Ok(())
}

fn push_canonical_entry(mut entry: Reader<'_>, out: &mut Vec<u8>, limits: &Limits, depth: usize) -> Result<()> {
    let (name, value) = read_key_value(&mut entry)?;
    let name = lossy(name);
    if !name.is_empty() {
        push_text_field(out, 1, &name);
    }
    push_message(out, 2, SMALL, |out| push_canonical(value, out, limits, depth))
}

/// The parts of a `KeyValue`; what is missing is empty.
#[inline]
pub(super) fn read_key_value<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], Reader<'a>)> {
    let (mut name, mut value) = (&[][..], Reader::new(&[]));
    while let Some(key) = reader.key()? {
        match key {
            KEY => name = reader.bytes()?,
            VALUE => value = reader.message()?,
            _ => reader.skip_unknown(key, KEY_VALUE_KNOWN)?,
        }
    }
    Ok((name, value))
}

/// Appends a `KeyValue` as a field of this number, below 16.
#[expect(clippy::inline_always, reason = "for each tag of each span")]
#[inline(always)]
pub(super) fn stage_key_value(stage: &mut Stage<'_>, number: u32, name: &[u8], value: RawValue<'_>) {
    // Nearly every attribute: a text, and all lengths in one byte.
    let RawValue::Text(text) = value else { return stage_scalar(stage, number, name, value) };
    let (name_len, text_len) = (name.len(), text.len());
    let len = name_len + text_len + 6;
    if len >= 0x80 || name.is_empty() {
        return push_raw(stage.vector(), number, name, value);
    }
    stage.put_pieces(len + 2, |place| {
        place.put([key(number, BYTES) as u8, len as u8, KEY as u8, name_len as u8]);
        place.put_slice(name);
        place.put([VALUE as u8, text_len as u8 + 2, STRING as u8, text_len as u8]);
        place.put_slice(text);
    });
}

/// A number, true or false; else [`push_raw`].
#[inline(never)]
fn stage_scalar(stage: &mut Stage<'_>, number: u32, name: &[u8], value: RawValue<'_>) {
    let mut bytes = [0; 11];
    let len = match value {
        RawValue::Other(ValueRef::Bool(value)) => {
            bytes[..2].copy_from_slice(&[BOOL as u8, u8::from(value)]);
            2
        }
        RawValue::Other(ValueRef::I64(value)) => {
            bytes[0] = INT as u8;
            let (mut value, mut len) = (value.cast_unsigned(), 1);
            while value >= 0x80 {
                bytes[len] = value as u8 | 0x80;
                (value, len) = (value >> 7, len + 1);
            }
            bytes[len] = value as u8;
            len + 1
        }
        RawValue::Other(ValueRef::F64(value)) => {
            bytes[0] = DOUBLE as u8;
            bytes[1..9].copy_from_slice(&value.to_le_bytes());
            9
        }
        _ => return push_raw(stage.vector(), number, name, value),
    };
    let all = name.len() + len + 4;
    if all >= 0x80 || name.is_empty() {
        return push_raw(stage.vector(), number, name, value);
    }
    stage.put_pieces(all + 2, |place| {
        place.put([key(number, BYTES) as u8, all as u8, KEY as u8, name.len() as u8]);
        place.put_slice(name);
        place.put([VALUE as u8, len as u8]);
        place.put_slice(&bytes[..len]);
    });
}

/// Appends a `KeyValue` as a field of this number, below 16.
#[inline]
pub(super) fn push_key_value(out: &mut Vec<u8>, number: u32, name: &str, value: ValueRef<'_>) {
    push_raw(out, number, name.as_bytes(), value.into());
}

#[inline(never)]
fn push_raw(out: &mut Vec<u8>, number: u32, name: &[u8], value: RawValue<'_>) {
    let value_len = value_len(value);
    let name_len = if name.is_empty() { 0 } else { 1 + varint_len(name.len() as u64) + name.len() };
    let len = name_len + 1 + varint_len(value_len as u64) + value_len;
    out.reserve(len + 11);
    out.push(key(number, BYTES) as u8);
    push_varint(out, len as u64);
    if !name.is_empty() {
        push_bytes_field(out, 1, name);
    }
    out.push(VALUE as u8);
    push_varint(out, value_len as u64);
    push_value(out, value);
}

fn value_len(value: RawValue<'_>) -> usize {
    let with_length = |len: usize| 1 + varint_len(len as u64) + len;
    match value {
        RawValue::Text(text) => with_length(text.len()),
        RawValue::Other(value) => match value {
            ValueRef::Str(text) => with_length(text.len()),
            ValueRef::Bool(_) => 2,
            ValueRef::I64(value) => 1 + varint_len(value as u64),
            ValueRef::F64(_) => 9,
            ValueRef::Bytes(bytes) => with_length(bytes.len()),
            ValueRef::Nested(bytes) => bytes.len(),
        },
    }
}

fn push_value(out: &mut Vec<u8>, value: RawValue<'_>) {
    match value {
        RawValue::Text(text) => push_bytes_field(out, 1, text),
        RawValue::Other(value) => match value {
            ValueRef::Str(text) => push_text_field(out, 1, text),
            ValueRef::Bool(value) => push_bool_field(out, 2, value),
            ValueRef::I64(value) => push_varint_field(out, 3, value as u64),
            ValueRef::F64(value) => push_double_field(out, 4, value),
            ValueRef::Bytes(bytes) => push_bytes_field(out, 7, bytes),
            ValueRef::Nested(bytes) => out.extend_from_slice(bytes),
        },
    }
}

/// Appends an array of texts as a `KeyValue`.
pub(super) fn push_texts<'a>(out: &mut Vec<u8>, number: u32, name: &str, texts: impl Iterator<Item = &'a str>) {
    push_message(out, number, SMALL, |out| {
        push_text_field(out, 1, name);
        push_message(out, 2, SMALL, |out| {
            push_message(out, 5, SMALL, |out| {
                for text in texts {
                    push_message(out, 1, text.len() + 2, |out| push_text_field(out, 1, text));
                }
            });
        });
    });
}

/// The texts of an array; elements of other types are left out. `None` where the value is no array.
pub(super) fn for_each_text(value: Reader<'_>, mut each: impl FnMut(&str)) -> Result<Option<()>> {
    let Some((ARRAY, mut field)) = last_field(value)? else { return Ok(None) };
    let mut array = field.message()?;
    while let Some(key) = array.key()? {
        if key != ELEMENT {
            array.skip_unknown(key, fields(&[1]))?;
        } else if let Some((STRING, mut text)) = last_field(array.message()?)? {
            each(&text.text()?);
        }
    }
    Ok(Some(()))
}
