//! Typed attribute values as text, for formats that know nothing else: as the OpenTelemetry specification has it for
//! exporters to such formats. Arrays and maps become JSON.

use crate::base64;
use std::fmt::{self, Write};
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
    base64::digits(bytes).try_for_each(|digit| out.write_char(char::from(digit)))
}

/// OTLP's `AnyValue` in protobuf. What cannot be read ends the value: the bytes were checked when they came in.
fn push_any_value(out: &mut impl Write, bytes: &[u8], depth: usize, quoted: bool) -> fmt::Result {
    if depth == DEPTH_MAX {
        return out.write_str("null");
    }
    // The last field wins, as in any protobuf "oneof".
    let Some((field, value)) = Fields { bytes }.last() else { return out.write_str("null") };
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
            let values = Fields { bytes: array }.filter_map(|field| field.bytes_of(1));
            for (at, value) in values.enumerate() {
                if at > 0 {
                    out.write_char(',')?;
                }
                push_any_value(out, value, depth + 1, true)?;
            }
            out.write_char(']')
        }
        (6, Field::Bytes(map)) => {
            out.write_char('{')?;
            let entries = Fields { bytes: map }.filter_map(|field| field.bytes_of(1));
            let part = |entry, number| {
                let parts = Fields { bytes: entry }.filter_map(|field| field.bytes_of(number));
                parts.last().unwrap_or_default()
            };
            // By key, as Jaeger has it: a map has no order of its own.
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

enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

/// The fields of a protobuf message, as far as they can be read.
#[derive(Clone, Copy)]
struct Fields<'a> {
    bytes: &'a [u8],
}

trait NumberedField<'a> {
    fn bytes_of(self, number: u64) -> Option<&'a [u8]>;
}

impl<'a> NumberedField<'a> for (u64, Field<'a>) {
    fn bytes_of(self, number: u64) -> Option<&'a [u8]> {
        match self {
            (found, Field::Bytes(bytes)) if found == number => Some(bytes),
            _ => None,
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(*self.take(8)?.first_chunk()?)),
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(len)?)
            }
            5 => {
                let (word, _) = self.take(4)?.split_first_chunk::<4>()?;
                Field::Varint(u64::from(u32::from_le_bytes(*word)))
            }
            _ => return None,
        };
        Some((tag >> 3, value))
    }
}

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
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
