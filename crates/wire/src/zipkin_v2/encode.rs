//! Spans as Zipkin v2 JSON, byte for byte as Zipkin writes them: compact, fields in its order, its escapes.

use super::ip::{write_v4, write_v6};
use super::order::{each_tag, in_order};
use crate::attribute_text::{push_json, push_quoted, write_value};
use std::fmt;
use tracewell_model::{EndpointRef, Kind, SpanFlags, SpanView, Time, TraceId, ValueRef};

/// Appends a list of spans.
pub fn encode_spans<'a>(spans: impl IntoIterator<Item = impl SpanView<'a>>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, span) in spans.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        encode_span(span, out);
    }
    out.push(b']');
}

/// Appends a span: an element of the list that [`encode_spans`] writes.
///
/// What Zipkin has no word for is left out ([`Kind::Internal`]) or becomes text: typed tags as the OpenTelemetry
/// specification's Zipkin exporter writes them, OTLP's error status as an `error` tag where there is none, fields of an
/// annotation as JSON behind its value. Tags come sorted by key and once each, annotations sorted by time, as in every
/// answer of Zipkin.
pub fn encode_span<'a>(span: impl SpanView<'a>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"traceId\":\"");
    push_trace_id(out, span.trace_id());
    if let Some(parent) = span.parent() {
        out.extend_from_slice(b"\",\"parentId\":\"");
        push_hex(out, parent.value());
    }
    out.extend_from_slice(b"\",\"id\":\"");
    push_hex(out, span.id().value());
    out.push(b'"');
    if let Some(kind) = kind_name(span.kind()) {
        out.extend_from_slice(b",\"kind\":\"");
        out.extend_from_slice(kind);
        out.push(b'"');
    }
    if !span.name().is_empty() {
        out.extend_from_slice(b",\"name\":");
        push_text(out, span.name());
    }
    push_micros(out, b",\"timestamp\":", span.start());
    push_micros(out, b",\"duration\":", span.duration());
    if let Some(endpoint) = span.local() {
        out.extend_from_slice(b",\"localEndpoint\":");
        push_endpoint(out, endpoint);
    }
    if let Some(endpoint) = span.remote() {
        out.extend_from_slice(b",\"remoteEndpoint\":");
        push_endpoint(out, endpoint);
    }
    push_annotations(out, span);
    push_tags(out, span);
    if span.flags().contains(SpanFlags::DEBUG) {
        out.extend_from_slice(b",\"debug\":true");
    }
    if span.flags().contains(SpanFlags::SHARED) {
        out.extend_from_slice(b",\"shared\":true");
    }
    out.push(b'}');
}

/// What is shorter than a microsecond is as if it were not there.
fn push_micros(out: &mut Vec<u8>, field: &[u8], time: Option<Time>) {
    let micros = time.map_or(0, Time::as_micros);
    if micros != 0 {
        out.extend_from_slice(field);
        push_number(out, micros);
    }
}

fn kind_name(kind: Kind) -> Option<&'static [u8]> {
    match kind {
        Kind::Unset | Kind::Internal => None,
        Kind::Client => Some(b"CLIENT"),
        Kind::Server => Some(b"SERVER"),
        Kind::Producer => Some(b"PRODUCER"),
        Kind::Consumer => Some(b"CONSUMER"),
    }
}

fn push_endpoint(out: &mut Vec<u8>, endpoint: EndpointRef<'_>) {
    out.push(b'{');
    if !endpoint.service.is_empty() {
        out.extend_from_slice(b"\"serviceName\":");
        push_text(out, endpoint.service);
    }
    push_endpoint_addresses(out, endpoint);
    out.push(b'}');
}

/// The fields of an endpoint behind its service's name, if that is there.
pub(crate) fn push_endpoint_addresses(out: &mut Vec<u8>, endpoint: EndpointRef<'_>) {
    let field = |out: &mut Vec<u8>, name: &[u8]| {
        if out.last() != Some(&b'{') {
            out.push(b',');
        }
        out.extend_from_slice(name);
    };
    if let Some(ipv4) = endpoint.ipv4 {
        field(out, b"\"ipv4\":\"");
        if endpoint.ipv4_text.is_empty() {
            write_v4(out, ipv4);
        } else {
            out.extend_from_slice(endpoint.ipv4_text.as_bytes());
        }
        out.push(b'"');
    }
    if let Some(ipv6) = endpoint.ipv6 {
        field(out, b"\"ipv6\":\"");
        write_v6(out, ipv6);
        out.push(b'"');
    }
    if endpoint.port != 0 {
        field(out, b"\"port\":");
        push_number(out, endpoint.port.into());
    }
}

fn push_annotations<'a>(out: &mut Vec<u8>, span: impl SpanView<'a>) {
    let mut empty = true;
    for (time, value, details) in in_order(span.annotations(), |annotation| annotation.0) {
        out.extend_from_slice(if empty { b",\"annotations\":[{\"timestamp\":" } else { b",{\"timestamp\":" });
        empty = false;
        push_number(out, time.as_micros());
        out.extend_from_slice(b",\"value\":");
        push_annotation_text(out, value, details);
        out.push(b'}');
    }
    if !empty {
        out.push(b']');
    }
}

/// Fields of an annotation follow its value as JSON, as the OpenTelemetry specification's Zipkin page has it.
pub(crate) fn push_annotation_text<'a>(
    out: &mut Vec<u8>,
    value: &str,
    details: impl Iterator<Item = (&'a str, ValueRef<'a>)>,
) {
    out.push(b'"');
    // A buffer takes everything.
    write_annotation(&mut Escaped(out), value, details).ok();
    out.push(b'"');
}

/// The text of an annotation, its fields included.
pub(crate) fn write_annotation<'a>(
    out: &mut impl fmt::Write,
    value: &str,
    details: impl Iterator<Item = (&'a str, ValueRef<'a>)>,
) -> fmt::Result {
    let mut details = details.peekable();
    if details.peek().is_none() {
        return out.write_str(value);
    }
    push_quoted(out, value)?;
    for (at, (key, value)) in details.enumerate() {
        out.write_str(if at == 0 { ":{" } else { "," })?;
        push_quoted(out, key)?;
        out.write_char(':')?;
        push_json(out, value)?;
    }
    out.write_char('}')
}

fn push_tags<'a>(out: &mut Vec<u8>, span: impl SpanView<'a>) {
    let mut empty = true;
    each_tag(span, |key, value| {
        out.extend_from_slice(if empty { b",\"tags\":{" } else { b"," });
        empty = false;
        push_text(out, key);
        out.push(b':');
        push_value_text(out, value);
    });
    if !empty {
        out.push(b'}');
    }
}

/// A tag's value, in quotes whatever its type.
pub(crate) fn push_value_text(out: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Str(text) => push_text(out, text),
        value => {
            out.push(b'"');
            // A buffer takes everything.
            write_value(&mut Escaped(out), value).ok();
            out.push(b'"');
        }
    }
}

/// A text in quotes, escaped as Zipkin does: what JSON demands, and U+2028 and U+2029, which old JavaScript could not read.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_escaped(out, text);
    out.push(b'"');
}

/// Escapes what is written to it.
struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        push_escaped(self.0, text);
        Ok(())
    }
}

fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let (mut from, mut at) = (0, 0);
    while let Some(found) = find_special(bytes, at) {
        let byte = bytes[found];
        at = found + 1;
        let (escape, len): (&[u8], usize) = match byte {
            b'"' => (b"\\\"", 1),
            b'\\' => (b"\\\\", 1),
            b'\t' => (b"\\t", 1),
            0x08 => (b"\\b", 1),
            b'\n' => (b"\\n", 1),
            b'\r' => (b"\\r", 1),
            0x0c => (b"\\f", 1),
            0xE2 if bytes[found..].starts_with("\u{2028}".as_bytes()) => (b"\\u2028", 3),
            0xE2 if bytes[found..].starts_with("\u{2029}".as_bytes()) => (b"\\u2029", 3),
            0xE2 => continue,
            _ => (&[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]], 1),
        };
        out.extend_from_slice(&bytes[from..found]);
        out.extend_from_slice(escape);
        from = found + len;
        at = from;
    }
    out.extend_from_slice(&bytes[from..]);
}

/// The first byte at or behind `from` that may need an escape. Eight bytes at a time.
fn find_special(bytes: &[u8], from: usize) -> Option<usize> {
    let (words, rest) = bytes.get(from..)?.as_chunks();
    for (at, word) in words.iter().enumerate() {
        if let Some(found) = special_in(u64::from_le_bytes(*word)) {
            return Some(from + 8 * at + found);
        }
    }
    if rest.is_empty() {
        return None;
    }
    match bytes[from..].last_chunk() {
        // Once more with what was before it, which has none.
        Some(last) => special_in(u64::from_le_bytes(*last)).map(|found| bytes.len() - 8 + found),
        None => {
            let mut word = [b' '; 8];
            word[..rest.len()].copy_from_slice(rest);
            special_in(u64::from_le_bytes(word)).map(|found| from + found)
        }
    }
}

/// The first of eight bytes that may need an escape.
#[inline]
const fn special_in(word: u64) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    const fn below(word: u64, limit: u64) -> u64 {
        word.wrapping_sub(ONES * limit) & !word & HIGHS
    }
    const fn equal(word: u64, byte: u8) -> u64 {
        below(word ^ (ONES * byte as u64), 1)
    }
    let found = below(word, 0x20) | equal(word, b'"') | equal(word, b'\\') | equal(word, 0xE2);
    // Behind the first hit others may be wrong; the first is right.
    if found == 0 { None } else { Some(found.trailing_zeros() as usize / 8) }
}

pub(super) const HEX: &[u8; 16] = b"0123456789abcdef";

/// 16 digits where the upper half is zero, else 32.
pub(crate) fn push_trace_id(out: &mut Vec<u8>, id: TraceId) {
    if id.high() != 0 {
        push_hex(out, id.high());
    }
    push_hex(out, id.low());
}

pub(crate) fn push_hex(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0; 16];
    digits[..8].copy_from_slice(&hex_digits((value >> 32) as u32).to_be_bytes());
    digits[8..].copy_from_slice(&hex_digits(value as u32).to_be_bytes());
    out.extend_from_slice(&digits);
}

/// Eight digits, the first in the most significant byte.
#[inline]
const fn hex_digits(value: u32) -> u64 {
    // Each half of a byte into a byte of its own.
    let mut halves = value as u64;
    halves = (halves | halves << 16) & 0x0000_ffff_0000_ffff;
    halves = (halves | halves << 8) & 0x00ff_00ff_00ff_00ff;
    halves = (halves | halves << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = (halves + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    halves + 0x3030_3030_3030_3030 + letters * (b'a' - b'0' - 10) as u64
}

pub(crate) fn push_number(out: &mut Vec<u8>, value: u64) {
    const EIGHT_DIGITS: u64 = 100_000_000;
    if value < EIGHT_DIGITS {
        let digits = decimal_digits(value);
        // Zeros in front; of zero itself one digit stays.
        let from = (digits.trailing_zeros() as usize / 8).min(7);
        out.extend_from_slice(&(digits | 0x3030_3030_3030_3030).to_le_bytes()[from..]);
    } else {
        push_number(out, value / EIGHT_DIGITS);
        out.extend_from_slice(&(decimal_digits(value % EIGHT_DIGITS) | 0x3030_3030_3030_3030).to_le_bytes());
    }
}

/// The digits of a number of up to eight, a byte each, the first in the least significant byte: split into halves, all
/// halves at once, three times.
#[inline]
const fn decimal_digits(value: u64) -> u64 {
    let fours = (value / 10_000) | (value % 10_000) << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | (fours - hundreds * 100) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (twos - tens * 10) << 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracewell_model::{OwnedAnnotation, Span, SpanBatch, SpanId, StatusCode, Value};

    const IDS: &str = r#"{"traceId":"0000000000000001","id":"0000000000000002""#;

    /// What is written of a span beyond its ids.
    fn check(span: Span, expect: &str) {
        let mut batch = SpanBatch::new();
        let span = Span { trace_id: TraceId::new(1), id: SpanId::new(2), ..span };
        batch.push_span(&span).expect("room");
        let mut out = vec![];
        encode_span(batch.span(0), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), format!("{IDS}{expect}}}"));
    }

    fn text(value: &str) -> Value {
        Value::Str(value.to_owned())
    }

    fn tags(tags: &[(&str, Value)]) -> Vec<(String, Value)> {
        tags.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
    }

    #[test]
    fn what_zipkin_has_no_word_for_is_left_out() {
        check(Span { kind: Kind::Internal, sampled: true, trace_state: "a=b".to_owned(), ..Span::default() }, "");
        check(Span { start: Some(Time::ZERO), duration: Some(Time::from_nanos(999)), ..Span::default() }, "");
        check(Span { duration: Some(Time::from_nanos(1999)), ..Span::default() }, r#","duration":1"#);
    }

    #[test]
    fn typed_tags_are_text() {
        let values = tags(&[
            ("bool", Value::Bool(false)),
            ("bytes", Value::Bytes(vec![1, 2])),
            ("double", Value::F64(0.5)),
            ("long", Value::I64(-1)),
            ("nested", Value::Nested(vec![5 << 3 | 2, 4, 1 << 3 | 2, 2, 3 << 3, 7])),
            ("text", text("a\u{1}\"")),
        ]);
        let expect =
            r#","tags":{"bool":"false","bytes":"AQI=","double":"0.5","long":"-1","nested":"[7]","text":"a\u0001\""}"#;
        check(Span { tags: values, ..Span::default() }, expect);
    }

    #[test]
    fn tags_come_sorted_and_once_each() {
        let values = tags(&[("b", text("1")), ("a", text("2")), ("b", text("3"))]);
        check(Span { tags: values, ..Span::default() }, r#","tags":{"a":"2","b":"3"}"#);
    }

    #[test]
    fn numbers_are_written_as_they_are() {
        let edges = (0..20).flat_map(|power| [0, 1, 9].map(|more| 10u64.pow(power).wrapping_add(more).wrapping_sub(5)));
        let some = (0..70_000).map(|at: u64| at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (at % 64));
        for number in (0..70_000).chain(edges).chain(some).chain([u64::MAX]) {
            let mut out = vec![];
            push_number(&mut out, number);
            assert_eq!(String::from_utf8_lossy(&out), number.to_string());
            out.clear();
            push_hex(&mut out, number);
            assert_eq!(String::from_utf8_lossy(&out), format!("{number:016x}"));
        }
    }

    #[test]
    fn escapes_are_found_wherever_they_lie() {
        for len in 0..40 {
            for special in ['"', '\\', '\u{1f}', '\0', '\u{2028}', '€', 'é', '\u{7f}', '!'] {
                let text = format!("{}{special}{}", "a".repeat(len), "z\u{80}".repeat(len % 5));
                let mut out = vec![];
                push_text(&mut out, &text);
                let read: String = serde_json::from_slice(&out).expect("JSON");
                assert_eq!(read, text);
                assert_eq!(out.len() - 2 > text.len(), !"€é\u{7f}!".contains(special), "{text:?}");
            }
        }
    }

    #[test]
    fn a_failed_status_is_an_error_tag() {
        let failed = Span { status: StatusCode::Error, status_message: "no \"luck\"".to_owned(), ..Span::default() };
        check(failed.clone(), r#","tags":{"error":"no \"luck\""}"#);
        let said = tags(&[("error", text("said"))]);
        check(Span { tags: said, ..failed.clone() }, r#","tags":{"error":"said"}"#);
        let others = tags(&[("a", text("1")), ("z", text("2"))]);
        check(
            Span { tags: others, status_message: String::new(), ..failed },
            r#","tags":{"a":"1","error":"","z":"2"}"#,
        );
        check(Span { status: StatusCode::Ok, ..Span::default() }, "");
    }

    #[test]
    fn details_of_an_annotation_follow_its_value() {
        let annotation = |micros, value: &str, details| OwnedAnnotation {
            time: Time::from_micros(micros),
            value: value.to_owned(),
            details,
        };
        let details = tags(&[("k", text("v")), ("n", Value::I64(1)), ("f", Value::F64(f64::NAN))]);
        let annotations = vec![annotation(2, "late", vec![]), annotation(1, "event", details)];
        check(
            Span { annotations, ..Span::default() },
            concat!(
                r#","annotations":[{"timestamp":1,"value":"\"event\":{\"k\":\"v\",\"n\":1,\"f\":\"NaN\"}"},"#,
                r#"{"timestamp":2,"value":"late"}]"#
            ),
        );
    }
}
