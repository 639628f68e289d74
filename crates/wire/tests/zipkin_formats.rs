//! Zipkin v1 (JSON, thrift, agent's messages) and v2 protobuf held against what the real Zipkin made of the same bytes.

#![expect(clippy::expect_used, reason = "a test says what it needs")]

use serde_json::Value as Json;
use std::fs;
use std::path::Path;
use tracewell_model::{SpanBatch, write_image};
use tracewell_wire::zipkin_v2::{DecodeError, decode_proto3, encode_proto3, encode_spans};
use tracewell_wire::{Limits, zipkin_v1, zipkin_v2};

fn decode(format: &str, body: &[u8], batch: &mut SpanBatch) -> Result<usize, String> {
    let limits = Limits::default();
    let text = |decoded: Result<usize, DecodeError>| decoded.map_err(|error| error.to_string());
    match format {
        "JSON_V1" => text(zipkin_v1::decode_json(body, &limits, batch)),
        "THRIFT" => text(zipkin_v1::decode_thrift(body, &limits, batch)),
        "PROTO3" => text(decode_proto3(body, &limits, batch)),
        "AGENT" => zipkin_v1::decode_agent_message(body, &limits, batch).map_err(|error| error.to_string()),
        other => panic!("no format {other}"),
    }
}

fn encode(format: &str, batch: &SpanBatch) -> Vec<u8> {
    let mut out = vec![];
    match format {
        "JSON_V1" => zipkin_v1::encode_json(batch.spans(), &mut out),
        "THRIFT" => zipkin_v1::encode_thrift(batch.spans(), &mut out),
        "PROTO3" => batch.spans().for_each(|span| encode_proto3(span, &mut out)),
        other => panic!("no format {other}"),
    }
    out
}

fn image(batch: &SpanBatch) -> Vec<u8> {
    let mut image = vec![];
    write_image(batch, &mut image);
    image
}

/// The spans of a body as v2 JSON, or the text of the refusal. A refusal must leave the batch as it was.
fn answer(format: &str, body: &[u8]) -> Result<String, String> {
    let mut batch = SpanBatch::new();
    let before = br#"[{"traceId":"a","id":"b","name":"n","localEndpoint":{"serviceName":"s"},"tags":{"k":"v"}}]"#;
    zipkin_v2::decode_json(before, &Limits::default(), &mut batch).expect("a good body");
    let before = image(&batch);
    match decode(format, body, &mut batch) {
        Ok(spans) => {
            assert_eq!(batch.len(), 1 + spans);
            let mut out = vec![];
            encode_spans(batch.spans().skip(1), &mut out);
            Ok(String::from_utf8(out).expect("JSON is UTF-8"))
        }
        Err(error) => {
            assert_eq!(image(&batch), before, "a refused body left something behind");
            Err(error)
        }
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

fn rows() -> Vec<Json> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zipkin/formats.ndjson");
    let recorded = fs::read_to_string(path).expect("the recorded answers");
    recorded.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

fn bytes(row: &Json) -> Vec<u8> {
    match (row["text"].as_str(), row["hex"].as_str()) {
        (Some(text), None) => text.as_bytes().to_vec(),
        (None, Some(hex)) => unhex(hex),
        _ => panic!("one body: {row}"),
    }
}

#[test]
fn bodies_become_what_zipkin_makes_of_them() {
    let (mut checked, mut wrong) = (0, vec![]);
    for row in rows() {
        let Some(format) = row["decode"].as_str() else { continue };
        let expected = match (row["spans"].as_str(), row["error"].as_str()) {
            (Some(spans), None) => Ok(spans.to_owned()),
            (None, Some(error)) => Err(error.to_owned()),
            _ => panic!("a row with no one answer: {row}"),
        };
        let found = answer(format, &bytes(&row));
        checked += 1;
        if found != expected {
            wrong.push(format!("{row}\n  found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {checked} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(checked > 500, "only {checked} rows");
}

#[test]
fn spans_are_written_as_zipkin_writes_them() {
    let (mut checked, mut wrong) = (0, vec![]);
    for row in rows() {
        let Some(format) = row["encode"].as_str() else { continue };
        let mut batch = SpanBatch::new();
        let spans = row["spans"].as_str().expect("spans");
        zipkin_v2::decode_json(spans.as_bytes(), &Limits::default(), &mut batch).expect("good spans");
        let (found, expected) = (encode(format, &batch), bytes(&row));
        checked += 1;
        if found != expected {
            wrong.push(format!("{row}\n  found {}\n  {found:02x?}", String::from_utf8_lossy(&found)));
        }
    }
    assert!(wrong.is_empty(), "{} of {checked} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(checked > 100, "only {checked} rows");
}
