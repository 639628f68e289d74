//! A span of the model as the JSON that stands beside recorded batches: `jaeger.thrift`'s members, and `model.proto`'s as
//! protobuf's JSON has them. Written from the model alone, so that an encoder is not held against itself.

use serde_json::{Map, Value, json};
use tracewell_model::{SpanFlags, SpanId, SpanRef, Time, TraceId, ValueRef};

/// Says below zero what a span's duration was; see `docs/mapping.md`.
const NEGATIVE_DURATION: &str = "jaeger.negative_duration_ns";

pub(crate) fn thrift_json(span: SpanRef<'_>) -> Value {
    let named_parent = span.parent().filter(|_| !span.flags().contains(SpanFlags::PARENT_IN_LINKS));
    json!({
        "traceIdLow": span.trace_id().low().cast_signed(),
        "traceIdHigh": span.trace_id().high().cast_signed(),
        "spanId": span.id().value().cast_signed(),
        "parentSpanId": named_parent.unwrap_or(SpanId::NONE).value().cast_signed(),
        "operationName": span.name(),
        "references": span.links().map(|link| json!({
            "refType": if link.row.child_of { "CHILD_OF" } else { "FOLLOWS_FROM" },
            "traceIdLow": link.row.trace_id.low().cast_signed(),
            "traceIdHigh": link.row.trace_id.high().cast_signed(),
            "spanId": link.row.span_id.value().cast_signed(),
        })).collect::<Vec<_>>(),
        "flags": flags(span).cast_signed(),
        "startTime": span.start().unwrap_or_default().as_micros(),
        "duration": duration_nanos(span).div_euclid(1000),
        "tags": tags(span).map(thrift_tag).collect::<Vec<_>>(),
        "logs": logs(span, thrift_tag, |time| json!(time.as_micros())),
    })
}

pub(crate) fn thrift_process(span: SpanRef<'_>) -> Value {
    json!({"serviceName": service(span), "tags": process_tags(span).map(thrift_tag).collect::<Vec<_>>()})
}

pub(crate) fn proto_json(span: SpanRef<'_>) -> Value {
    json!({
        "traceId": trace_id(span.trace_id()),
        "spanId": base64(&span.id().value().to_be_bytes()),
        "operationName": span.name(),
        "references": references(span),
        "flags": flags(span),
        "startTime": date(span.start().unwrap_or_default()),
        "duration": seconds(duration_nanos(span)),
        "tags": tags(span).map(proto_tag).collect::<Vec<_>>(),
        "logs": logs(span, proto_tag, |time| json!(date(time))),
        "process": {"serviceName": service(span), "tags": process_tags(span).map(proto_tag).collect::<Vec<_>>()},
        "warnings": span.warnings().collect::<Vec<_>>(),
    })
}

/// Without members that say nothing: null, and empty texts and lists.
pub(crate) fn without_empty(value: &Value) -> Value {
    without(value, &|value| matches!(value, Value::Null) || *value == json!("") || *value == json!([]))
}

/// The same without what protobuf's JSON leaves out: whatever is zero.
pub(crate) fn without_defaults(value: &Value) -> Value {
    without(value, &|value| match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => matches!(text.as_str(), "" | "0" | "0s"),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
    })
}

fn without(value: &Value, says_nothing: &impl Fn(&Value) -> bool) -> Value {
    match value {
        Value::Array(list) => list.iter().map(|value| without(value, says_nothing)).collect(),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), without(value, says_nothing)));
            Value::Object(members.filter(|(_, value)| !says_nothing(value)).collect())
        }
        value => value.clone(),
    }
}

/// The parent comes first as a CHILD_OF, unless it stands among the links.
fn references(span: SpanRef<'_>) -> Vec<Value> {
    let reference = |trace: TraceId, id: SpanId, child_of: bool| {
        let kind = if child_of { Value::Null } else { json!("FOLLOWS_FROM") };
        json!({"traceId": trace_id(trace), "spanId": base64(&id.value().to_be_bytes()), "refType": kind})
    };
    let links = || span.links().map(|link| (link.row.trace_id, link.row.span_id, link.row.child_of));
    let linked = |parent: &SpanId| links().any(|(trace, id, _)| (trace, id) == (span.trace_id(), *parent));
    let parent = span.parent().filter(|parent| !linked(parent)).map(|parent| (span.trace_id(), parent, true));
    parent.into_iter().chain(links()).map(|(trace, id, child_of)| reference(trace, id, child_of)).collect()
}

fn flags(span: SpanRef<'_>) -> u32 {
    let flag = |flag: SpanFlags, bit: u32| if span.flags().contains(flag) { bit } else { 0 };
    match span.extra().map_or(0, |extra| extra.otlp_flags) {
        0 => flag(SpanFlags::SAMPLED, 1) | flag(SpanFlags::DEBUG, 2),
        more => more,
    }
}

fn duration_nanos(span: SpanRef<'_>) -> i64 {
    match span.tags().iter().last() {
        Some((NEGATIVE_DURATION, ValueRef::I64(nanos))) => nanos,
        _ => span.duration().unwrap_or_default().as_nanos().cast_signed(),
    }
}

fn tags(span: SpanRef<'_>) -> impl Iterator<Item = (&str, ValueRef<'_>)> {
    span.tags().iter().filter(|(key, _)| *key != NEGATIVE_DURATION)
}

fn service(span: SpanRef<'_>) -> &str {
    span.local().map_or("", |local| local.service)
}

fn process_tags(span: SpanRef<'_>) -> impl Iterator<Item = (&str, ValueRef<'_>)> {
    span.resource().into_iter().flat_map(|resource| resource.attributes.iter())
}

fn logs(span: SpanRef<'_>, tag: fn((&str, ValueRef<'_>)) -> Value, time: fn(Time) -> Value) -> Vec<Value> {
    let logs = span.annotations().map(|annotation| {
        let mut fields: Vec<Value> = annotation.details.iter().map(tag).collect();
        if !annotation.value.is_empty() && !annotation.details.iter().any(|(key, _)| key == "event") {
            fields.insert(0, tag(("event", ValueRef::Str(annotation.value))));
        }
        json!({"timestamp": time(annotation.time), "fields": fields})
    });
    logs.collect()
}

fn thrift_tag((key, value): (&str, ValueRef<'_>)) -> Value {
    let (kind, member, value) = match value {
        ValueRef::Str(text) => ("STRING", "vStr", json!(text)),
        ValueRef::Bool(value) => ("BOOL", "vBool", json!(value)),
        ValueRef::I64(value) => ("LONG", "vLong", json!(value)),
        ValueRef::F64(value) => ("DOUBLE", "vDouble", double(value)),
        ValueRef::Bytes(bytes) | ValueRef::Nested(bytes) => ("BINARY", "vBinary", json!(base64(bytes))),
    };
    tag_of(key, kind, member, value)
}

fn proto_tag((key, value): (&str, ValueRef<'_>)) -> Value {
    let (kind, member, value) = match value {
        ValueRef::Str(text) => ("", "vStr", json!(text)),
        ValueRef::Bool(value) => ("BOOL", "vBool", json!(value)),
        ValueRef::I64(value) => ("INT64", "vInt64", json!(value.to_string())),
        ValueRef::F64(value) => ("FLOAT64", "vFloat64", double(value)),
        ValueRef::Bytes(bytes) | ValueRef::Nested(bytes) => ("BINARY", "vBinary", json!(base64(bytes))),
    };
    tag_of(key, kind, member, value)
}

fn tag_of(key: &str, kind: &str, member: &str, value: Value) -> Value {
    let members = [("key", json!(key)), ("vType", json!(kind)), (member, value)];
    Value::Object(members.map(|(name, value)| (name.to_owned(), value)).into_iter().collect::<Map<_, _>>())
}

fn double(value: f64) -> Value {
    match value {
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        value if value.is_nan() => json!("NaN"),
        value => json!(value),
    }
}

fn trace_id(id: TraceId) -> String {
    base64(&id.value().to_be_bytes())
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | group.get(at).map_or(0, |&byte| usize::from(byte)));
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 63;
            text.push(if digit <= group.len() { char::from(DIGITS[value]) } else { '=' });
        }
    }
    text
}

/// `Duration` in protobuf's JSON.
fn seconds(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    format!("{sign}{}{}s", nanos / 1_000_000_000, fraction(nanos % 1_000_000_000))
}

/// `Timestamp` in protobuf's JSON: RFC 3339.
fn date(time: Time) -> String {
    let micros = time.as_micros();
    let (days, of_day) = (micros / 86_400_000_000, micros % 86_400_000_000 / 1_000_000);
    let nanos = match time.as_nanos() {
        u64::MAX => micros % 1_000_000 * 1000,
        nanos => nanos % 1_000_000_000,
    };
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{}Z", fraction(nanos))
}

/// Three digits at a time, as many as are needed.
fn fraction(nanos: u64) -> String {
    match nanos {
        0 => String::new(),
        nanos if nanos % 1_000_000 == 0 => format!(".{:03}", nanos / 1_000_000),
        nanos if nanos % 1000 == 0 => format!(".{:06}", nanos / 1000),
        nanos => format!(".{nanos:09}"),
    }
}

/// Days since the epoch as a date of the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // Years that begin in March have their leap day last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year_of_era + next_year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_durations_are_protobuf_s() {
        let at = |micros| date(Time::from_micros(micros));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(1_700_000_000_000_001), "2023-11-14T22:13:20.000001Z");
        assert_eq!(at(4_102_444_800_000_000), "2100-01-01T00:00:00Z");
        assert_eq!(at(951_782_400_500_000), "2000-02-29T00:00:00.500Z");
        assert_eq!(seconds(10_000), "0.000010s");
        assert_eq!(seconds(-1_000_000_001), "-1.000000001s");
        assert_eq!(base64(b"ab"), "YWI=");
    }
}
