//! Typed attribute values as text, for formats that know nothing else: as the OpenTelemetry specification has it for
//! exporters to such formats. Arrays and maps become JSON.

use crate::base64;
use crate::protobuf::{BYTES, FIXED32, FIXED64, Reader, VARINT};
use std::fmt::{self, Write};
use std::iter;
use tracewell_model::ValueRef;

/// Arrays and maps deeper than this are written as `null`.
const DEPTH_MAX: usize = 32;

/// A buffer to write text to.
pub(crate) struct Plain<'a>(pub(crate) &'a mut Vec<u8>);

impl Write for Plain<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Writes the text of a value.
///
/// Errors are those of `out`; a text or a buffer has none.
pub(crate) fn write_value(out: &mut impl Write, value: ValueRef<'_>) -> fmt::Result {
    match value {
        ValueRef::Str(text) => out.write_str(text),
        ValueRef::Bool(value) => out.write_str(if value { "true" } else { "false" }),
        ValueRef::I64(value) => write!(out, "{value}"),
        ValueRef::F64(value) => push_double(out, value),
        ValueRef::Bytes(bytes) => push_base64(out, bytes),
        ValueRef::Nested(bytes) => push_any_value(out, bytes, 0, false),
    }
}

/// Appends a value as JSON.
pub(crate) fn push_json(out: &mut impl Write, value: ValueRef<'_>) -> fmt::Result {
    match value {
        ValueRef::Str(text) => push_quoted(out, text),
        ValueRef::F64(value) if !value.is_finite() => push_quoted(out, double_name(value)),
        ValueRef::Bytes(bytes) => {
            out.write_char('"')?;
            push_base64(out, bytes)?;
            out.write_char('"')
        }
        ValueRef::Nested(bytes) => push_any_value(out, bytes, 0, true),
        value => write_value(out, value),
    }
}

fn push_double(out: &mut impl Write, value: f64) -> fmt::Result {
    if value.is_finite() { write!(out, "{value:?}") } else { out.write_str(double_name(value)) }
}

fn double_name(value: f64) -> &'static str {
    match value {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    }
}

/// Appends a JSON text.
pub(crate) fn push_quoted(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.write_str(&text[from..at])?;
        from = at + 1;
        if escape.is_empty() {
            write!(out, "\\u{byte:04x}")?;
        } else {
            out.write_str(escape)?;
        }
    }
    out.write_str(&text[from..])?;
    out.write_char('"')
}

fn push_base64(out: &mut impl Write, bytes: &[u8]) -> fmt::Result {
    write!(out, "{}", base64::display(bytes))
}

/// OTLP's `AnyValue` in protobuf. What cannot be read ends the value: the bytes were checked when they came in.
fn push_any_value(out: &mut impl Write, bytes: &[u8], depth: usize, quoted: bool) -> fmt::Result {
    if depth == DEPTH_MAX {
        return out.write_str("null");
    }
    // The last field wins, as in any protobuf "oneof".
    let Some((field, value)) = fields(bytes).last() else { return out.write_str("null") };
    match (field, value) {
        (1, Field::Bytes(text)) => {
            let text = String::from_utf8_lossy(text);
            if quoted { push_quoted(out, &text) } else { out.write_str(&text) }
        }
        (2, Field::Varint(value)) => out.write_str(if value != 0 { "true" } else { "false" }),
        (3, Field::Varint(value)) => write!(out, "{}", value as i64),
        (4, Field::Fixed64(bits)) if quoted => push_json(out, ValueRef::F64(f64::from_bits(bits))),
        (4, Field::Fixed64(bits)) => push_double(out, f64::from_bits(bits)),
        (5, Field::Bytes(array)) => {
            out.write_char('[')?;
            for (at, value) in values_of(array, 1).enumerate() {
                if at > 0 {
                    out.write_char(',')?;
                }
                push_any_value(out, value, depth + 1, true)?;
            }
            out.write_char(']')
        }
        (6, Field::Bytes(map)) => {
            out.write_char('{')?;
            let part = |entry, number| values_of(entry, number).last().unwrap_or_default();
            // By key, as Jaeger has it: a map has no order of its own.
            let entries = values_of(map, 1);
            let mut entries: Vec<(&[u8], &[u8])> = entries.map(|entry| (part(entry, 1), part(entry, 2))).collect();
            entries.sort_by_key(|(key, _)| *key);
            for (at, (key, value)) in entries.into_iter().enumerate() {
                if at > 0 {
                    out.write_char(',')?;
                }
                push_quoted(out, &String::from_utf8_lossy(key))?;
                out.write_char(':')?;
                push_any_value(out, value, depth + 1, true)?;
            }
            out.write_char('}')
        }
        (7, Field::Bytes(bytes)) if quoted => push_json(out, ValueRef::Bytes(bytes)),
        (7, Field::Bytes(bytes)) => push_base64(out, bytes),
        _ => out.write_str("null"),
    }
}

/// A field's value.
enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// The fields of a message, as far as they can be read.
fn fields(message: &[u8]) -> impl Iterator<Item = (u32, Field<'_>)> {
    let mut reader = Reader::new(message);
    iter::from_fn(move || {
        let key = reader.key().ok()??;
        let value = match key & 7 {
            VARINT => Field::Varint(reader.varint().ok()?),
            FIXED64 => Field::Fixed64(reader.fixed64().ok()?),
            BYTES => Field::Bytes(reader.bytes().ok()?),
            FIXED32 => Field::Varint(reader.fixed32().ok()?.into()),
            _ => return None,
        };
        Some((key >> 3, value))
    })
}

/// The values of one field that are messages or texts.
fn values_of(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    fields(message).filter(move |(found, _)| *found == number).filter_map(|(_, field)| field.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: ValueRef<'_>) -> String {
        let mut out = String::new();
        write_value(&mut out, value).expect("a text takes everything");
        out
    }

    #[test]
    fn scalars_are_plain_text() {
        assert_eq!(text(ValueRef::Str("a\"b")), "a\"b");
        assert_eq!(text(ValueRef::Bool(true)), "true");
        assert_eq!(text(ValueRef::I64(-5)), "-5");
        assert_eq!(text(ValueRef::F64(1.0)), "1.0");
        assert_eq!(text(ValueRef::F64(f64::NAN)), "NaN");
        for (bytes, expect) in
            [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"foob", "Zm9vYg==")]
        {
            assert_eq!(text(ValueRef::Bytes(bytes)), expect);
        }
    }

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
    }

    #[test]
    fn arrays_and_maps_are_json() {
        let string = field(1, b"a\"b");
        let long = vec![3 << 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        let double = [&[4 << 3 | 1][..], &1.5f64.to_le_bytes()].concat();
        let array = field(5, &[field(1, &string), field(1, &long), field(1, &double), field(1, &[])].concat());
        assert_eq!(text(ValueRef::Nested(&array)), r#"["a\"b",-1,1.5,null]"#);
        let entry = [field(1, b"k"), field(2, &array)].concat();
        let map = field(6, &[field(1, &entry), field(1, &[])].concat());
        assert_eq!(text(ValueRef::Nested(&map)), r#"{"":null,"k":["a\"b",-1,1.5,null]}"#);
        for cut in 0..map.len() {
            text(ValueRef::Nested(&map[..cut]));
        }
    }

    #[test]
    fn depth_is_bounded() {
        let mut value = vec![];
        for _ in 0..20 {
            value = field(5, &field(1, &value));
        }
        assert_eq!(text(ValueRef::Nested(&value)), format!("{}null{}", "[".repeat(20), "]".repeat(20)));
    }
}
