//! `otlp DIR`: requests of OTLP in JSON and protobuf. Both decode to the same spans, these go back out in both encodings
//! with nothing lost, and a request cut anywhere leaves nothing half done.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use tracewell_model::{SpanBatch, SpanRef, Time};
use tracewell_wire::Limits;
use tracewell_wire::otlp::{self, OtlpError};

use crate::compare::{difference, list, number};
use crate::tally::Tally;

/// Requests longer than this are cut at some places only, so that a folder takes seconds.
const CUT_EVERYWHERE_BYTES: usize = 4096;

/// Checks every `NAME.json` that has a `NAME.pb` beside it, and how Jaeger shows it where there is a `NAME.ui.json`.
pub(crate) fn check(folder: &str) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {folder}"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".pb").map(str::to_owned));
    }
    names.sort();
    for name in names {
        let path = |ending: &str| Path::new(folder).join(format!("{name}.{ending}"));
        let read = |ending: &str| fs::read(path(ending)).with_context(|| format!("cannot read {:?}", path(ending)));
        let vector = Vector { name: &name, json: read("json")?, protobuf: read("pb")? };
        vector.check(&mut tally)?;
        if path("ui.json").exists() {
            check_shown(&vector, &serde_json::from_slice(&read("ui.json")?)?, &mut tally)?;
        }
    }
    if tally.passed() > 0 {
        tally
            .leave_out("tags, references and process tags in the .ui.json files: no encoder here writes Jaeger's JSON");
    }
    Ok(tally)
}

struct Vector<'a> {
    name: &'a str,
    json: Vec<u8>,
    protobuf: Vec<u8>,
}

type Decode = fn(&[u8], &Limits, &mut SpanBatch) -> Result<usize, OtlpError>;

impl Vector<'_> {
    fn check(&self, tally: &mut Tally) -> anyhow::Result<()> {
        let [from_json, from_protobuf] =
            [self.decoded(&self.json, otlp::decode_json), self.decoded(&self.protobuf, otlp::decode_protobuf)];
        let (from_json, from_protobuf) = match (from_json, from_protobuf) {
            (Ok(from_json), Ok(from_protobuf)) => (from_json, from_protobuf),
            (Err(error), _) => {
                tally.case(format!("{} .json", self.name), Some(error.to_string()));
                return Ok(());
            }
            (_, Err(error)) => {
                tally.case(format!("{} .pb", self.name), Some(error.to_string()));
                return Ok(());
            }
        };
        tally.case(format!("{} .json is .pb", self.name), unlike(&from_json, &from_protobuf));
        for (what, batch) in [(".json", &from_json), (".pb", &from_protobuf)] {
            let (mut json, mut protobuf) = (Vec::new(), Vec::new());
            otlp::encode_json(batch.spans(), &mut json);
            otlp::encode_protobuf(batch.spans(), &mut protobuf);
            let again = self.decoded(&json, otlp::decode_json)?;
            tally.case(format!("{} {what} out as JSON", self.name), unlike(batch, &again));
            let again = self.decoded(&protobuf, otlp::decode_protobuf)?;
            tally.case(format!("{} {what} out as protobuf", self.name), unlike(batch, &again));
            let (expected, found) =
                (flat(&serde_json::from_slice(&self.json)?)?, flat(&serde_json::from_slice(&json)?)?);
            tally.case(format!("{} {what} out as the JSON it was", self.name), difference(&expected, &found));
        }
        for (what, body, decode) in
            [(".json", &self.json, otlp::decode_json as Decode), (".pb", &self.protobuf, otlp::decode_protobuf)]
        {
            tally.case(format!("{} {what} cut", self.name), cut(body, decode));
        }
        Ok(())
    }

    fn decoded(&self, body: &[u8], decode: Decode) -> anyhow::Result<SpanBatch> {
        let mut batch = SpanBatch::new();
        decode(body, &Limits::default(), &mut batch).with_context(|| format!("{} is refused", self.name))?;
        Ok(batch)
    }
}

/// What differs between the spans of two batches, if something does. Resources may have been brought together.
fn unlike(expected: &SpanBatch, found: &SpanBatch) -> Option<String> {
    if expected.len() != found.len() {
        return Some(format!("expected {} spans, found {}", expected.len(), found.len()));
    }
    let mut left: Vec<SpanRef<'_>> = found.spans().collect();
    for span in expected.spans() {
        let Some(at) = left.iter().position(|other| span.same(*other)) else {
            return Some(format!("expected {span:?} among {left:?}"));
        };
        left.remove(at);
    }
    None
}

/// A request as one list, each span with all that it shares, in an order that does not depend on the request's. Spans that
/// end before they begin are without their end: they get Jaeger's, and its warning.
fn flat(request: &Value) -> anyhow::Result<Value> {
    let mut spans = Vec::new();
    for resource_spans in list(request, "resourceSpans")? {
        for scope_spans in list(resource_spans, "scopeSpans")? {
            for span in list(scope_spans, "spans")? {
                let mut span = span.as_object().cloned().unwrap_or_default();
                mend_times(&mut span)?;
                let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
                spans.push(json!({
                    "resource": object(&resource_spans["resource"]),
                    "resourceSchema": resource_spans["schemaUrl"],
                    "scope": object(&scope_spans["scope"]),
                    "scopeSchema": scope_spans["schemaUrl"],
                    "span": span,
                }));
            }
        }
    }
    spans.sort_by_key(|span| span["span"].to_string());
    Ok(Value::Array(spans))
}

fn mend_times(span: &mut Map<String, Value>) -> anyhow::Result<()> {
    let is_warning = |attribute: &Value| attribute["key"] == otlp::JAEGER_WARNINGS;
    let attributes = span.get_mut("attributes").and_then(Value::as_array_mut);
    let warned = attributes.is_some_and(|attributes| {
        let before = attributes.len();
        attributes.retain(|attribute| !is_warning(attribute));
        attributes.len() < before
    });
    if span.get("attributes").is_some_and(|attributes| attributes == &json!([])) {
        span.remove("attributes");
    }
    let all = Value::Object(span.clone());
    let both = all["startTimeUnixNano"].is_string() && all["endTimeUnixNano"].is_string();
    if warned || both && number(&all, "endTimeUnixNano")? < number(&all, "startTimeUnixNano")? {
        span.remove("endTimeUnixNano");
    }
    Ok(())
}

/// Cuts a request; what is wrong with what became of it, if something is. Spans decoded before must be all that is left.
fn cut(body: &[u8], decode: Decode) -> Option<String> {
    let mut batch = SpanBatch::new();
    let limits = Limits::default();
    let kept = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"kept"}]}]}]}"#;
    if let Err(error) = otlp::decode_json(kept, &limits, &mut batch) {
        return Some(error.to_string());
    }
    let step = 1 + body.len() / CUT_EVERYWHERE_BYTES * 7;
    for len in (0..body.len()).step_by(step) {
        let before = (batch.len(), batch.interned_len(), batch.endpoints_len());
        match decode(&body[..len], &limits, &mut batch) {
            Ok(spans) if before.0 + spans == batch.len() => {}
            Ok(spans) => {
                return Some(format!("cut to {len} bytes: {spans} spans said, {} there", batch.len() - before.0));
            }
            Err(_) if before == (batch.len(), batch.interned_len(), batch.endpoints_len()) => {}
            Err(error) => return Some(format!("cut to {len} bytes: {error}, but the batch is changed")),
        }
        if batch.span(0).name() != "kept" {
            return Some(format!("cut to {len} bytes: spans that were there are changed"));
        }
    }
    None
}

/// Holds what Jaeger shows of each span against the model: name, times, service, parent. The files were written without
/// Jaeger's collector, which names services that have no name and puts ends before starts right.
fn check_shown(vector: &Vector<'_>, shown: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let batch = vector.decoded(&vector.protobuf, otlp::decode_protobuf)?;
    for trace in shown.as_array().context("a .ui.json file should be a list")? {
        for shown in list(trace, "spans")? {
            let id = shown["spanID"].as_str().unwrap_or_default();
            let name = format!("{} .ui.json span {id}", vector.name);
            let found = batch.spans().find(|span| {
                span.id().to_string() == id && format!("{:032x}", span.trace_id().value()) == shown["traceID"]
            });
            let Some(span) = found else {
                tally.case(name, Some("not found".to_owned()));
                continue;
            };
            let process = &trace["processes"][shown["processID"].as_str().unwrap_or_default()]["serviceName"];
            let unnamed = [otlp::EMPTY_SERVICE_NAME, otlp::WRONG_TYPE_SERVICE_NAME, otlp::MISSING_SERVICE_NAME];
            let nameless = unnamed.contains(&span.service_name()) && *process != span.service_name();
            let backwards = shown["duration"].as_i64().is_none();
            let logs = span.annotations().map(|log| log.time.as_micros()).collect::<Vec<_>>();
            let shown_logs = list(shown, "logs")?.iter().map(|log| log["timestamp"].clone()).collect::<Vec<_>>();
            let expected = json!({
                "name": shown["operationName"],
                "start": shown["startTime"],
                "duration": if backwards { json!(0) } else { shown["duration"].clone() },
                "service": if nameless { json!(span.service_name()) } else { process.clone() },
                "logs": shown_logs,
            });
            let found = json!({
                "name": span.name(),
                "start": span.start().map_or(0, Time::as_micros),
                "duration": span.duration().map_or(0, Time::as_micros),
                "service": span.service_name(),
                "logs": logs,
            });
            tally.case(name, difference(&expected, &found));
        }
    }
    Ok(())
}
