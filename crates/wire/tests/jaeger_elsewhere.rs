//! Spans that came in Jaeger's format, in the other formats: what a field says is not said by a tag besides.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it needs")]

use serde_json::{Value as Json, json};
use tracewell_model::{SpanBatch, SpanFlags, SpanId, SpanRow, Time, TraceId, Value};
use tracewell_wire::jaeger::{Sanitizers, decode_proto_batch, encode_proto_post_spans};
use tracewell_wire::{Limits, otlp, zipkin_v2};

/// A span with these tags, as it is after it came in by `model.proto`.
fn from_jaeger(tags: &[(&str, Value)]) -> SpanBatch {
    let mut sent = SpanBatch::new();
    for (key, value) in tags {
        let key = sent.intern(key);
        sent.tag(key, value.as_ref());
    }
    let row = SpanRow {
        trace_id: TraceId::new(1),
        id: SpanId::new(2),
        flags: SpanFlags::JAEGER,
        start: Some(Time::from_micros(1)),
        duration: Some(Time::from_micros(1)),
        ..SpanRow::default()
    };
    sent.commit(row).expect("room");
    let (mut body, mut batch) = (vec![], SpanBatch::new());
    encode_proto_post_spans(sent.spans(), &mut body);
    decode_proto_batch(&body, Sanitizers::None, &Limits::default(), &mut batch).unwrap();
    assert!(batch.span(0).flags().contains(SpanFlags::JAEGER));
    batch
}

fn text(value: &str) -> Value {
    Value::Str(value.to_owned())
}

fn otlp_json(batch: &SpanBatch) -> Json {
    let mut out = vec![];
    otlp::encode_json(batch.spans(), &mut out);
    serde_json::from_slice(&out).unwrap()
}

/// The span and the scope as OTLP has them; both encodings say the same.
fn in_otlp(batch: &SpanBatch) -> (Json, Json) {
    let (mut protobuf, mut again) = (vec![], SpanBatch::new());
    otlp::encode_protobuf(batch.spans(), &mut protobuf);
    otlp::decode_protobuf(&protobuf, &Limits::default(), &mut again).unwrap();
    let found = otlp_json(batch);
    assert_eq!(otlp_json(&again), found);
    let scope_spans = &found["resourceSpans"][0]["scopeSpans"][0];
    (scope_spans["spans"][0].clone(), scope_spans["scope"].clone())
}

fn in_zipkin(batch: &SpanBatch) -> Json {
    let mut out = vec![];
    zipkin_v2::encode_spans(batch.spans(), &mut out);
    serde_json::from_slice::<Json>(&out).unwrap()[0].clone()
}

#[test]
fn tags_that_fill_a_field_are_shown_once() {
    let batch = from_jaeger(&[
        ("span.kind", text("client")),
        ("error", Value::Bool(true)),
        ("otel.status_code", text("ERROR")),
        ("otel.status_description", text("no luck")),
        ("w3c.tracestate", text("a=b")),
        ("otel.library.name", text("lib")),
        ("otel.scope.version", text("1")),
        ("peer.service", text("db")),
        ("peer.ipv4", Value::I64(0x7f00_0001)),
        ("peer.port", text("5432")),
        ("http.path", text("/")),
    ]);
    let (span, scope) = in_otlp(&batch);
    let attribute = |key: &str, value: Json| json!({"key": key, "value": value});
    let expected = json!([
        attribute("peer.service", json!({"stringValue": "db"})),
        attribute("peer.ipv4", json!({"intValue": "2130706433"})),
        attribute("peer.port", json!({"stringValue": "5432"})),
        attribute("http.path", json!({"stringValue": "/"})),
    ]);
    assert_eq!(span["attributes"], expected);
    assert_eq!((&span["kind"], &span["traceState"]), (&json!(3), &json!("a=b")));
    assert_eq!(span["status"], json!({"message": "no luck", "code": 2}));
    assert_eq!(scope, json!({"name": "lib", "version": "1"}));
    let span = in_zipkin(&batch);
    assert_eq!(span["kind"], "CLIENT");
    assert_eq!(span["remoteEndpoint"], json!({"serviceName": "db", "ipv4": "127.0.0.1", "port": 5432}));
    let expected = json!({
        "error": "no luck", "http.path": "/", "otel.library.name": "lib", "otel.scope.version": "1", "w3c.tracestate": "a=b",
    });
    assert_eq!(span["tags"], expected);
}

#[test]
fn tags_that_say_something_else_stay() {
    let tags = [
        ("span.kind", text("client")),
        ("span.kind", text("server")),
        ("error", text("timeout")),
        ("otel.status_code", text("Fine")),
        ("otel.status_description", Value::I64(1)),
        ("otel.scope.name", text("first")),
        ("otel.library.name", text("last")),
        ("peer.port", text("http")),
        ("peer.ipv4", text("nowhere")),
    ];
    let batch = from_jaeger(&tags);
    let (span, scope) = in_otlp(&batch);
    let keys = |span: &Json| -> Vec<String> {
        span["attributes"].as_array().unwrap().iter().map(|tag| tag["key"].as_str().unwrap().to_owned()).collect()
    };
    let expected = tags[1..].iter().map(|(key, _)| *key).filter(|key| *key != "otel.library.name");
    assert_eq!(keys(&span), expected.collect::<Vec<_>>());
    assert_eq!(scope, json!({"name": "last"}));
    let span = in_zipkin(&batch);
    assert_eq!((&span["kind"], &span["tags"]["span.kind"]), (&json!("CLIENT"), &json!("server")));
    assert_eq!(span["tags"].as_object().unwrap().len(), tags.len() - 1);
    assert_eq!(span["tags"]["error"], "timeout");
}

#[test]
fn what_zipkin_has_no_word_for_stays_a_tag() {
    let span = in_zipkin(&from_jaeger(&[
        ("span.kind", text("internal")),
        ("otel.status_code", text("OK")),
        ("otel.status_description", text("done")),
    ]));
    let expected = json!({"otel.status_code": "OK", "otel.status_description": "done", "span.kind": "internal"});
    assert_eq!(span["tags"], expected);
    // Without a message the tag is its own.
    let span = in_zipkin(&from_jaeger(&[("error", Value::Bool(true)), ("otel.status_code", text("ERROR"))]));
    assert_eq!(span["tags"], json!({"error": "true"}));
    let span = in_zipkin(&from_jaeger(&[("otel.status_code", text("ERROR"))]));
    assert_eq!(span["tags"], json!({"error": ""}));
}
