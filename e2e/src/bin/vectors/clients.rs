//! `clients DIR`: what published client libraries sent, byte for byte, in; the same spans out.
//!
//! `DIR/index.json` names the files; each says how its bytes came (`request_line` and headers, or a datagram), and most say
//! what they mean (`decoded`).

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tracewell_model::SpanBatch;
use tracewell_wire::Limits;
use tracewell_wire::jaeger::BatchForm;
use tracewell_wire::{zipkin_v1, zipkin_v2};

use crate::compare::{difference, text};
use crate::cut::{Ending, check_cuts};
use crate::jaeger::Encoding;
use crate::jaeger_json::{thrift_json, thrift_process, without_empty};
use crate::tally::Tally;
use crate::zipkin_words::{normal, of_proto3, of_v1};

pub(crate) fn check(directory: &str) -> anyhow::Result<Tally> {
    let directory = Path::new(directory);
    let index = read_json(&directory.join("index.json"))?;
    let mut tally = Tally::default();
    for entry in index.as_array().context("index.json should be a list")? {
        let file = text(entry, "file")?;
        if let Err(error) = check_recording(directory, entry, &mut tally) {
            tally.case(file, Some(format!("{error:#}")));
        }
    }
    Ok(tally)
}

fn check_recording(directory: &Path, entry: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let file = text(entry, "file")?;
    let recording = read_json(&directory.join(file))?;
    let bytes = match entry["bin"].as_str() {
        Some(bin) => std::fs::read(directory.join(bin)).with_context(|| format!("cannot read {bin}"))?,
        None => text(&recording, "body_utf8")?.as_bytes().to_vec(),
    };
    if recording["transport"].as_str().is_some_and(|transport| transport.contains("emitBatch")) {
        return check_datagram(file, &recording, &bytes, tally);
    }
    let path = text(&recording, "request_line")?.split(' ').nth(1).unwrap_or_default();
    let said = |list: &Value, words: fn(&Value) -> Value| -> Vec<Value> {
        list.as_array().into_iter().flatten().map(words).collect()
    };
    let decoded = &recording["decoded"];
    let (format, expected) = match (path, content_type(&recording)) {
        ("/api/v2/spans", "application/json") => (ZIPKIN_V2_JSON, said(&serde_json::from_slice(&bytes)?, normal)),
        ("/api/v1/spans", "application/json") => (ZIPKIN_V1_JSON, said(&serde_json::from_slice(&bytes)?, of_v1)),
        ("/api/v2/spans", "application/x-protobuf") => (ZIPKIN_PROTO3, said(&decoded["spans"], of_proto3)),
        ("/api/v1/spans", "application/x-thrift") => (ZIPKIN_V1_THRIFT, said(decoded, of_v1)),
        (path, kind) => bail!("no format is known for {path} as {kind}"),
    };
    check_zipkin(file, &format, &expected, &bytes, tally)
}

/// A format of Zipkin's.
struct ZipkinFormat {
    decode: fn(&[u8], &Limits, &mut SpanBatch) -> Result<usize, zipkin_v2::DecodeError>,
    encode: fn(&SpanBatch, &mut Vec<u8>),
    ending: Ending,
}

const ZIPKIN_V2_JSON: ZipkinFormat = ZipkinFormat {
    decode: zipkin_v2::decode_json,
    encode: |batch, out| zipkin_v2::encode_spans(batch.spans(), out),
    ending: Ending::SaidOrEmpty,
};
const ZIPKIN_PROTO3: ZipkinFormat = ZipkinFormat {
    decode: zipkin_v2::decode_proto3,
    encode: |batch, out| batch.spans().for_each(|span| zipkin_v2::encode_proto3(span, out)),
    ending: Ending::NoMore,
};
const ZIPKIN_V1_JSON: ZipkinFormat = ZipkinFormat {
    decode: zipkin_v1::decode_json,
    encode: |batch, out| zipkin_v1::encode_json(batch.spans(), out),
    ending: Ending::SaidOrEmpty,
};
const ZIPKIN_V1_THRIFT: ZipkinFormat = ZipkinFormat {
    decode: zipkin_v1::decode_thrift,
    encode: |batch, out| zipkin_v1::encode_thrift(batch.spans(), out),
    ending: Ending::SaidOrEmpty,
};

/// A datagram of jaeger-client's.
fn check_datagram(name: &str, recording: &Value, bytes: &[u8], tally: &mut Tally) -> anyhow::Result<()> {
    let transport = text(recording, "transport")?;
    let encoding = match transport {
        transport if transport.contains("compact") => Encoding::Thrift(BatchForm::AgentCompact),
        transport if transport.contains("binary") => Encoding::Thrift(BatchForm::AgentBinary),
        other => bail!("unknown transport {other}"),
    };
    let decoded = &recording["decoded"];
    let spans = without_empty(&decoded["spans"]);
    let process = without_empty(&decoded["process"]);
    let mut batch = SpanBatch::new();
    encoding.decode(bytes, &mut batch)?;
    let again = encoding.there_and_back(&batch)?;
    for (batch, what) in [(&batch, "decoded"), (&again, "decoded, encoded and decoded")] {
        let found: Vec<_> = batch.spans().map(|span| in_words(&thrift_json(span))).collect();
        tally.case(format!("{name}, {what}"), difference(&spans, &Value::Array(found)));
        let wrong = batch.spans().find_map(|span| difference(&process, &tags_in_words(&thrift_process(span))));
        tally.case(format!("{name}, {what}, its process"), wrong);
    }
    tally.case(format!("{name}, cut at every byte"), encoding.wrong_when_cut(bytes));
    Ok(())
}

/// A span of `jaeger.thrift` in the recordings' words: ids as text, a tag's value in one member.
fn in_words(span: &Value) -> Value {
    let id = |value: &Value| value.as_i64().unwrap_or_default().cast_unsigned();
    let wide = |of: &Value| {
        let (high, low) = (id(&of["traceIdHigh"]), id(&of["traceIdLow"]));
        json!(format!("{high:016x}{low:016x}"))
    };
    let references = span["references"].as_array().into_iter().flatten().map(|reference| {
        let span_id = format!("{:016x}", id(&reference["spanId"]));
        json!({"refType": reference["refType"], "traceId": wide(reference), "spanId": span_id})
    });
    let mut words = json!({
        "traceId": wide(span),
        "spanId": format!("{:016x}", id(&span["spanId"])),
        "parentSpanId": format!("{:016x}", id(&span["parentSpanId"])),
        "references": references.collect::<Vec<_>>(),
    });
    for member in ["operationName", "flags", "startTime", "duration"] {
        words[member] = span[member].clone();
    }
    words["tags"] = tags_in_words(span)["tags"].clone();
    words["logs"] = span["logs"].as_array().into_iter().flatten().map(fields_in_words).collect();
    without_empty(&words)
}

fn fields_in_words(log: &Value) -> Value {
    json!({"timestamp": log["timestamp"], "fields": tags_in_words(&json!({"tags": log["fields"]}))["tags"]})
}

fn tags_in_words(of: &Value) -> Value {
    let mut words = of.clone();
    let tags = of["tags"].as_array().into_iter().flatten().map(|tag| {
        let members = tag.as_object().into_iter().flatten();
        let value =
            members.filter(|(name, _)| !matches!(name.as_str(), "key" | "vType")).map(|(_, value)| value).next();
        json!({"key": tag["key"], "type": tag["vType"], "value": value})
    });
    words["tags"] = tags.collect();
    without_empty(&words)
}

/// A body of Zipkin's: it says what its recording says, and so does what is written back in the same format.
fn check_zipkin(
    name: &str,
    format: &ZipkinFormat,
    expected: &[Value],
    body: &[u8],
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let expected = json!(expected);
    let mut batch = SpanBatch::new();
    (format.decode)(body, &Limits::default(), &mut batch)?;
    tally.case(format!("{name}, decoded"), difference(&expected, &zipkin_json(&batch)?));
    let mut written = vec![];
    (format.encode)(&batch, &mut written);
    let mut again = SpanBatch::new();
    (format.decode)(&written, &Limits::default(), &mut again)?;
    tally.case(format!("{name}, decoded, encoded and decoded"), difference(&expected, &zipkin_json(&again)?));
    let wrong = check_cuts(body, format.ending, |body, batch| (format.decode)(body, &Limits::default(), batch));
    tally.case(format!("{name}, cut at every byte"), wrong);
    Ok(())
}

fn zipkin_json(batch: &SpanBatch) -> anyhow::Result<Value> {
    let mut out = vec![];
    zipkin_v2::encode_spans(batch.spans(), &mut out);
    let spans: Value = serde_json::from_slice(&out)?;
    Ok(spans.as_array().into_iter().flatten().map(normal).collect())
}

fn content_type(recording: &Value) -> &str {
    let headers = recording["headers"].as_array().into_iter().flatten();
    let mut found =
        headers.filter(|header| header[0].as_str().is_some_and(|name| name.eq_ignore_ascii_case("content-type")));
    found.next().and_then(|header| header[1].as_str()).unwrap_or_default()
}

fn read_json(path: &Path) -> anyhow::Result<Value> {
    crate::read_json(&path.to_string_lossy())
}
