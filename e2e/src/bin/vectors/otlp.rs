//! `otlp DIR`: requests of OTLP in JSON and protobuf. Both decode to the same spans, these go back out in both encodings
//! with nothing lost, and a request cut anywhere leaves nothing half done.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use tracewell_model::{SpanBatch, SpanRef};
use tracewell_wire::Limits;
use tracewell_wire::otlp::{self, OtlpError};

use crate::compare::{difference, list, number};
use crate::cut::{Ending, check_cuts};
use crate::tally::Tally;

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
            let shown = serde_json::from_slice(&read("ui.json")?)?;
            let batch = vector.decoded(&vector.protobuf, otlp::decode_protobuf)?;
            crate::shown::check(&format!("{name} as Jaeger shows it"), &shown, &batch, mend_shown, &mut tally)?;
        }
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
        let json = (".json", &self.json, Ending::Said, otlp::decode_json as Decode);
        for (what, body, ending, decode) in [json, (".pb", &self.protobuf, Ending::NoMore, otlp::decode_protobuf)] {
            let wrong = check_cuts(body, ending, |body, batch| decode(body, &Limits::default(), batch));
            tally.case(format!("{} {what} cut", self.name), wrong);
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

/// The files were recorded without Jaeger's collector, which names services that have no name, and lets spans that took no
/// time or less end a nanosecond after their start, with a warning: there a Jaeger answers what we do.
fn mend_shown(expected: &mut Value, found: &mut Value) {
    let (Some(expected), Some(found)) = (expected["spans"].as_array_mut(), found["spans"].as_array()) else { return };
    for (expected, found) in expected.iter_mut().zip(found) {
        let service = &mut expected["processID"]["serviceName"];
        if service == "" {
            *service = json!(otlp::EMPTY_SERVICE_NAME);
        }
        let backwards = expected["duration"].as_i64().is_none();
        let warning = found["warnings"][0].as_str().unwrap_or_default();
        if (backwards || expected["duration"] == 0) && warning.starts_with("Negative duration detected") {
            expected["duration"] = json!(0);
            expected["warnings"] = found["warnings"].clone();
        }
    }
}
