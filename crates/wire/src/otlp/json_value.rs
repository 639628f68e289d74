//! OTLP's `AnyValue` in JSON: written from values and from the bytes of arrays and maps, and read into both.

use super::any_value::{ARRAY, BOOL, DOUBLE, ELEMENT, INT, MAP, SMALL, STRING, last_field, read_key_value};
use super::decode_json::{Members, in_list};
use super::encode_json::{JsonObject, push_list};
use super::error::{OtlpError, Result};
use crate::base64;
use crate::json::{Reader as JsonReader, Token};
use crate::names::lossy;
use crate::protobuf::{
    Reader, push_bool_field, push_bytes_field, push_double_field, push_message, push_text_field, push_varint_field,
};
use crate::zipkin_v2::{push_number, push_text};
use std::fmt::{self, Write};
use tracewell_model::ValueRef;

/// Arrays and maps deeper than this are written as values without a type. Decoders take no more than the limits' depth.
const DEPTH_MAX: usize = 256;

/// Appends a `KeyValue`.
pub(super) fn push_attribute(out: &mut Vec<u8>, key: &str, value: ValueRef<'_>) {
    out.extend_from_slice(b"{\"key\":");
    push_text(out, key);
    out.extend_from_slice(b",\"value\":");
    push_value(out, value);
    out.push(b'}');
}

/// Appends an `AnyValue`.
pub(super) fn push_value(out: &mut Vec<u8>, value: ValueRef<'_>) {
    if let ValueRef::Nested(bytes) = value {
        return push_nested(out, Reader::new(bytes), 0);
    }
    let mut object = JsonObject::begin(out);
    match value {
        ValueRef::Str(text) => push_text(object.name("stringValue"), text),
        ValueRef::Bool(value) => {
            object.name("boolValue").extend_from_slice(if value { b"true" } else { b"false" });
        }
        ValueRef::I64(value) => push_long(object.name("intValue"), value),
        ValueRef::F64(value) => push_double(object.name("doubleValue"), value),
        ValueRef::Bytes(bytes) => push_bytes(object.name("bytesValue"), bytes),
        ValueRef::Nested(_) => {}
    }
    object.end();
}

/// What cannot be read ends the value: the bytes were checked when they came in.
fn push_nested(out: &mut Vec<u8>, reader: Reader<'_>, depth: usize) {
    let mut object = JsonObject::begin(out);
    if depth < DEPTH_MAX
        && let Ok(Some((key, value))) = last_field(reader)
    {
        // A part that cannot be read leaves an object that is whole all the same.
        _ = push_field(&mut object, key, value, depth);
    }
    object.end();
}

fn push_field(object: &mut JsonObject<'_>, key: u32, mut value: Reader<'_>, depth: usize) -> Result<()> {
    match key {
        STRING => push_text(object.name("stringValue"), &value.text()?),
        BOOL => {
            let value = value.varint()? != 0;
            object.name("boolValue").extend_from_slice(if value { b"true" } else { b"false" });
        }
        INT => push_long(object.name("intValue"), value.varint()? as i64),
        DOUBLE => push_double(object.name("doubleValue"), f64::from_bits(value.fixed64()?)),
        ARRAY => {
            let values = Elements { reader: value.message()? };
            let mut array = JsonObject::begin(object.name("arrayValue"));
            push_list(array.name("values"), values, |value, out| push_nested(out, value, depth + 1));
            array.end();
        }
        MAP => {
            let entries = Elements { reader: value.message()? };
            let mut map = JsonObject::begin(object.name("kvlistValue"));
            push_list(map.name("values"), entries, |mut entry, out| {
                let (name, value) = read_key_value(&mut entry).unwrap_or_else(|_| (&[], Reader::new(&[])));
                out.extend_from_slice(b"{\"key\":");
                push_text(out, &lossy(name));
                out.extend_from_slice(b",\"value\":");
                push_nested(out, value, depth + 1);
                out.push(b'}');
            });
            map.end();
        }
        _ => push_bytes(object.name("bytesValue"), value.bytes()?),
    }
    Ok(())
}

/// The elements of an array or map, as far as they can be read.
struct Elements<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Reader<'a>;

    fn next(&mut self) -> Option<Reader<'a>> {
        loop {
            let key = self.reader.key().ok()??;
            if key == ELEMENT {
                return self.reader.message().ok();
            }
            self.reader.skip(key).ok()?;
        }
    }
}

fn push_long(out: &mut Vec<u8>, value: i64) {
    out.push(b'"');
    if value < 0 {
        out.push(b'-');
    }
    push_number(out, value.unsigned_abs());
    out.push(b'"');
}

fn push_double(out: &mut Vec<u8>, value: f64) {
    match value {
        f64::INFINITY => out.extend_from_slice(b"\"Infinity\""),
        f64::NEG_INFINITY => out.extend_from_slice(b"\"-Infinity\""),
        value if value.is_nan() => out.extend_from_slice(b"\"NaN\""),
        // Writing to memory does not fail.
        value => _ = write!(Bytes(out), "{value:?}"),
    }
}

struct Bytes<'o>(&'o mut Vec<u8>);

impl Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // A buffer takes everything.
    write!(Bytes(out), "\"{}\"", base64::display(bytes)).ok();
}

/// A value that was read, before it is known whose it is: JSON may have a key behind its value.
#[derive(Default)]
pub(super) struct ReadValue {
    scalar: Scalar,
    text: String,
    /// Bytes, or the protobuf of an array or map.
    bytes: Vec<u8>,
}

#[derive(Default)]
enum Scalar {
    #[default]
    None,
    Text,
    Bool(bool),
    Long(i64),
    Double(f64),
    Bytes,
    Nested,
}

impl ReadValue {
    pub(super) fn as_ref(&self) -> ValueRef<'_> {
        match self.scalar {
            Scalar::None => ValueRef::Nested(&[]),
            Scalar::Text => ValueRef::Str(&self.text),
            Scalar::Bool(value) => ValueRef::Bool(value),
            Scalar::Long(value) => ValueRef::I64(value),
            Scalar::Double(value) => ValueRef::F64(value),
            Scalar::Bytes => ValueRef::Bytes(&self.bytes),
            Scalar::Nested => ValueRef::Nested(&self.bytes),
        }
    }

    pub(super) fn clear(&mut self) {
        self.scalar = Scalar::None;
    }

    /// Takes an `AnyValue`.
    pub(super) fn read(&mut self, reader: &mut JsonReader<'_>) -> Result<()> {
        self.clear();
        reader.begin_object()?;
        while reader.has_next()? {
            let field = ValueField::of(reader.next_name()?);
            if reader.peek()? == Token::Null {
                reader.skip_value()?;
                continue;
            }
            self.scalar = match field {
                ValueField::Text => {
                    self.text.clear();
                    self.text.push_str(reader.next_string()?);
                    Scalar::Text
                }
                ValueField::Bool => Scalar::Bool(reader.next_boolean()?),
                ValueField::Long => Scalar::Long(read_long(reader)?),
                ValueField::Double => Scalar::Double(read_double(reader)?),
                ValueField::Bytes => {
                    self.bytes.clear();
                    read_bytes(reader, &mut self.bytes)?;
                    Scalar::Bytes
                }
                ValueField::Array => {
                    self.bytes.clear();
                    read_array(reader, &mut self.bytes)?;
                    Scalar::Nested
                }
                ValueField::Map => {
                    self.bytes.clear();
                    read_map(reader, &mut self.bytes)?;
                    Scalar::Nested
                }
                ValueField::Other => {
                    reader.skip_value()?;
                    continue;
                }
            };
        }
        reader.end_object()?;
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum ValueField {
    Text,
    Bool,
    Long,
    Double,
    Bytes,
    Array,
    Map,
    Other,
}

impl ValueField {
    fn of(name: &str) -> Self {
        match name {
            "stringValue" | "string_value" => Self::Text,
            "boolValue" | "bool_value" => Self::Bool,
            "intValue" | "int_value" => Self::Long,
            "doubleValue" | "double_value" => Self::Double,
            "bytesValue" | "bytes_value" => Self::Bytes,
            "arrayValue" | "array_value" => Self::Array,
            "kvlistValue" | "kvlist_value" => Self::Map,
            _ => Self::Other,
        }
    }
}

/// Appends the protobuf of an `AnyValue`. The reader bounds the depth.
fn read_nested(reader: &mut JsonReader<'_>, out: &mut Vec<u8>) -> Result<()> {
    let from = out.len();
    reader.begin_object()?;
    while reader.has_next()? {
        let field = ValueField::of(reader.next_name()?);
        if matches!(field, ValueField::Other) || reader.peek()? == Token::Null {
            reader.skip_value()?;
            continue;
        }
        // The last field counts.
        out.truncate(from);
        match field {
            ValueField::Text => push_text_field(out, 1, reader.next_string()?),
            ValueField::Bool => push_bool_field(out, 2, reader.next_boolean()?),
            ValueField::Long => push_varint_field(out, 3, read_long(reader)? as u64),
            ValueField::Double => push_double_field(out, 4, read_double(reader)?),
            ValueField::Bytes => {
                let mut bytes = Vec::new();
                read_bytes(reader, &mut bytes)?;
                push_bytes_field(out, 7, &bytes);
            }
            ValueField::Array => read_array(reader, out)?,
            ValueField::Map => read_map(reader, out)?,
            ValueField::Other => {}
        }
    }
    reader.end_object()?;
    Ok(())
}

fn read_array(reader: &mut JsonReader<'_>, out: &mut Vec<u8>) -> Result<()> {
    push_message(out, 5, SMALL, |out| {
        reader.members(|reader, name| match name {
            "values" => in_list(reader, |reader| push_message(out, 1, SMALL, |out| read_nested(reader, out))),
            _ => Ok(reader.skip_value()?),
        })
    })
}

fn read_map(reader: &mut JsonReader<'_>, out: &mut Vec<u8>) -> Result<()> {
    push_message(out, 6, SMALL, |out| {
        reader.members(|reader, name| match name {
            "values" => in_list(reader, |reader| push_message(out, 1, SMALL, |out| read_entry(reader, out))),
            _ => Ok(reader.skip_value()?),
        })
    })
}

fn read_entry(reader: &mut JsonReader<'_>, out: &mut Vec<u8>) -> Result<()> {
    let (mut key, mut value) = (String::new(), Vec::new());
    reader.members(|reader, name| {
        match name {
            "key" => key = reader.next_string()?.to_owned(),
            "value" => {
                value.clear();
                read_nested(reader, &mut value)?;
            }
            _ => reader.skip_value()?,
        }
        Ok(())
    })?;
    if !key.is_empty() {
        push_text_field(out, 1, &key);
    }
    push_bytes_field(out, 2, &value);
    Ok(())
}

/// A whole number, or a text that is one.
pub(super) fn read_long(reader: &mut JsonReader<'_>) -> Result<i64> {
    if reader.peek()? == Token::Long {
        return Ok(reader.next_long()?);
    }
    let value = reader.next_string()?.parse().ok();
    value.ok_or_else(|| wrong(reader, "a whole number of 64 bits"))
}

/// A whole number that is not negative, or a text that is one.
pub(super) fn read_unsigned(reader: &mut JsonReader<'_>) -> Result<u64> {
    let value = reader.next_string()?.parse().ok();
    value.ok_or_else(|| wrong(reader, "a whole number, not negative, of 64 bits"))
}

fn read_double(reader: &mut JsonReader<'_>) -> Result<f64> {
    // Rust also takes what JSON's mapping has for numbers that are none: NaN, Infinity, -Infinity.
    let value = reader.next_string()?.parse().ok();
    value.ok_or_else(|| wrong(reader, "a number"))
}

fn read_bytes(reader: &mut JsonReader<'_>, out: &mut Vec<u8>) -> Result<()> {
    let decoded = base64::decode(reader.next_string()?, out);
    decoded.ok_or_else(|| wrong(reader, "base64"))
}

#[cold]
pub(super) fn wrong(reader: &JsonReader<'_>, expected: &'static str) -> OtlpError {
    OtlpError::JsonValue { path: reader.path(), expected }
}
