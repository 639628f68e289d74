//! Spans as Zipkin v2 JSON, byte for byte as Zipkin writes them: compact, fields in its order, its escapes.

use super::ip::{write_v4, write_v6};
use crate::attribute_text::{push_json, push_quoted, push_value};
use std::borrow::Cow;
use tracewell_model::{
    AnnotationRef, EndpointRef, Kind, SpanFlags, SpanRef, StatusCode, TraceId, ValueRef, compare_utf16,
};

/// Appends a list of spans.
pub fn encode_spans<'a>(spans: impl IntoIterator<Item = SpanRef<'a>>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, span) in spans.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        encode_span(span, out);
    }
    out.push(b']');
}

/// Appends a span.
///
/// What Zipkin has no word for is left out ([`Kind::Internal`]) or becomes text: typed tags as the OpenTelemetry
/// specification's Zipkin exporter writes them, OTLP's error status as an `error` tag where there is none. Tags come sorted by
/// key and once each, annotations sorted by time, as in every answer of Zipkin.
pub fn encode_span(span: SpanRef<'_>, out: &mut Vec<u8>) {
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
    if span.timestamp_us() != 0 {
        out.extend_from_slice(b",\"timestamp\":");
        push_number(out, span.timestamp_us());
    }
    if span.duration_us() != 0 {
        out.extend_from_slice(b",\"duration\":");
        push_number(out, span.duration_us());
    }
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
    if span.is_shared() {
        out.extend_from_slice(b",\"shared\":true");
    }
    out.push(b'}');
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
    let mut separator: &[u8] = b"";
    let mut field = |out: &mut Vec<u8>, name: &[u8]| {
        out.extend_from_slice(separator);
        out.extend_from_slice(name);
        separator = b",";
    };
    if !endpoint.service.is_empty() {
        field(out, b"\"serviceName\":");
        push_text(out, endpoint.service);
    }
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
    out.push(b'}');
}

fn push_annotations(out: &mut Vec<u8>, span: SpanRef<'_>) {
    let annotations = span.annotations();
    if annotations.len() == 0 {
        return;
    }
    out.extend_from_slice(b",\"annotations\":[");
    if annotations.clone().is_sorted_by_key(|annotation| annotation.time) {
        annotations.enumerate().for_each(|(at, annotation)| push_annotation(out, at, annotation));
    } else {
        let mut sorted: Vec<_> = annotations.collect();
        sorted.sort_by_key(|annotation| annotation.time);
        sorted.into_iter().enumerate().for_each(|(at, annotation)| push_annotation(out, at, annotation));
    }
    out.push(b']');
}

/// Attributes of an event follow its name as JSON, as the OpenTelemetry specification's Zipkin page has it.
fn push_annotation(out: &mut Vec<u8>, at: usize, annotation: AnnotationRef<'_>) {
    out.extend_from_slice(if at == 0 { b"{\"timestamp\":" } else { b",{\"timestamp\":" });
    push_number(out, annotation.time.as_micros());
    out.extend_from_slice(b",\"value\":");
    if annotation.details.is_empty() {
        push_text(out, annotation.value);
    } else {
        let mut text = String::new();
        push_quoted(&mut text, annotation.value);
        for (at, (key, value)) in annotation.details.iter().enumerate() {
            text.push_str(if at == 0 { ":{" } else { "," });
            push_quoted(&mut text, key);
            text.push(':');
            push_json(&mut text, value);
        }
        text.push('}');
        push_text(out, &text);
    }
    out.push(b'}');
}

fn push_tags(out: &mut Vec<u8>, span: SpanRef<'_>) {
    let tags = span.tags();
    let failed = span.status() == StatusCode::Error && span.tag("error").is_none();
    if tags.is_empty() && !failed {
        return;
    }
    out.extend_from_slice(b",\"tags\":{");
    let keys = || tags.iter().map(|(key, _)| key);
    let sorted = keys().zip(keys().skip(1)).all(|(a, b)| compare_utf16(a, b).is_lt());
    if sorted && !failed {
        tags.iter().enumerate().for_each(|(at, tag)| push_tag(out, at, tag));
    } else {
        let message = span.extra().map_or("", |extra| span.batch().text(extra.status_message));
        let error = failed.then_some(("error", ValueRef::Str(message)));
        let mut sorted: Vec<_> = tags.iter().chain(error).collect();
        // Of equal keys the last stays, so it must come first.
        sorted.reverse();
        sorted.sort_by(|a, b| compare_utf16(a.0, b.0));
        sorted.dedup_by_key(|tag| tag.0);
        sorted.into_iter().enumerate().for_each(|(at, tag)| push_tag(out, at, tag));
    }
    out.push(b'}');
}

fn push_tag(out: &mut Vec<u8>, at: usize, (key, value): (&str, ValueRef<'_>)) {
    if at > 0 {
        out.push(b',');
    }
    push_text(out, key);
    out.push(b':');
    let text = match value {
        ValueRef::Str(text) => Cow::Borrowed(text),
        value => {
            let mut text = String::new();
            push_value(&mut text, value);
            Cow::Owned(text)
        }
    };
    push_text(out, &text);
}

/// A text in quotes, escaped as Zipkin does: what JSON demands, and U+2028 and U+2029, which old JavaScript could not read.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' && byte != 0xE2 {
            continue;
        }
        let (escape, len): (&[u8], usize) = match byte {
            b'"' => (b"\\\"", 1),
            b'\\' => (b"\\\\", 1),
            b'\t' => (b"\\t", 1),
            0x08 => (b"\\b", 1),
            b'\n' => (b"\\n", 1),
            b'\r' => (b"\\r", 1),
            0x0c => (b"\\f", 1),
            0xE2 if bytes[at..].starts_with("\u{2028}".as_bytes()) => (b"\\u2028", 3),
            0xE2 if bytes[at..].starts_with("\u{2029}".as_bytes()) => (b"\\u2029", 3),
            0xE2 => continue,
            _ => (&[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]], 1),
        };
        out.extend_from_slice(&bytes[from..at]);
        out.extend_from_slice(escape);
        from = at + len;
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

pub(super) const HEX: &[u8; 16] = b"0123456789abcdef";

/// 16 digits where the upper half is zero, else 32.
fn push_trace_id(out: &mut Vec<u8>, id: TraceId) {
    if id.high() != 0 {
        push_hex(out, id.high());
    }
    push_hex(out, id.low());
}

pub(crate) fn push_hex(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0; 16];
    for (at, digit) in digits.iter_mut().enumerate() {
        *digit = HEX[(value >> (60 - 4 * at) & 15) as usize];
    }
    out.extend_from_slice(&digits);
}

pub(crate) fn push_number(out: &mut Vec<u8>, mut value: u64) {
    const DIGITS_MAX: usize = 20;
    let mut digits = [0; DIGITS_MAX];
    let mut at = DIGITS_MAX;
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracewell_model::{OwnedAnnotation, Span, SpanBatch, SpanId, Time, Value};

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
