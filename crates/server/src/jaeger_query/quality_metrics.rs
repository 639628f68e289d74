//! `GET /api/quality-metrics`: how well a service is traced, told from its spans. Jaeger 1.76 answers in this shape with
//! figures that it made up.

use super::answers::Result;
use super::{Asked, GROUPING, JaegerQueryApi, now_us, parameters};
use crate::answer::Answer;
use serde_json::{Value, json, to_vec};
use std::collections::{BTreeMap, HashMap};
use tracewell_model::{SpanId, SpanRef, TraceId, ValueRef};
use tracewell_store::{DependencyWindow, Store};
use tracewell_wire::jaeger::service_shown;

/// Examples that are told of each outcome.
const EXAMPLES_MAX: usize = 10;
/// Versions of clients that are told; more are left out.
const CLIENTS_MAX: usize = 1000;
/// The tags by which clients tell who they are: Jaeger's, and OpenTelemetry's in two.
const JAEGER_VERSION: &str = "jaeger.version";
const SDK: [&str; 2] = ["telemetry.sdk.language", "telemetry.sdk.version"];

/// How many spans of a trace have an id: those that do not share it with the other side of a call, and those that do.
type Ids = HashMap<SpanId, [usize; 2]>;

/// What a span is held against: name, what it is about, what it says, how to tell.
struct Check {
    name: &'static str,
    category: &'static str,
    description: &'static str,
    passes: fn(SpanRef<'_>, &Ids) -> bool,
}

const CHECKS: [Check; 4] = [
    Check {
        name: "Parents",
        category: "coverage",
        description: "The span's parent is in its trace, or it has none.",
        passes: |span, ids| span.parent().is_none_or(|parent| ids.contains_key(&parent)),
    },
    Check {
        name: "Unique ids",
        category: "quality",
        description: "No other span of the trace has the span's id, but for the other side of a call.",
        passes: |span, ids| ids.get(&span.id()).is_none_or(|spans| spans[usize::from(span.is_shared())] <= 1),
    },
    Check {
        name: "Names",
        category: "quality",
        description: "The span has a name.",
        passes: |span, _| !span.name().is_empty(),
    },
    Check {
        name: "Times",
        category: "quality",
        description: "The span has a start and a duration.",
        passes: |span, _| span.start().is_some() && span.duration().is_some(),
    },
];

#[derive(Debug, Default)]
struct Outcome {
    spans: u64,
    examples: Vec<(TraceId, SpanId)>,
}

impl Outcome {
    fn add(&mut self, span: SpanRef<'_>) {
        self.spans += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push((span.trace_id(), span.id()));
        }
    }

    fn examples(&self) -> Value {
        let example =
            |(trace, span): &(TraceId, SpanId)| json!({"traceID": trace.to_string(), "spanIDs": [span.to_string()]});
        self.examples.iter().map(example).collect()
    }
}

/// What is counted of a service.
#[derive(Debug, Default)]
struct Quality {
    /// Passed and failed, by check.
    outcomes: [(Outcome, Outcome); CHECKS.len()],
    clients: BTreeMap<String, Outcome>,
}

impl JaegerQueryApi {
    /// Takes the window of `/api/dependencies`; without a service, all services count.
    pub(super) async fn quality_metrics(&self, asked: Asked) -> Result<Answer> {
        let (start_us, end_us) = parameters::dependency_window(&asked.parameters, now_us() / 1000)?;
        let service = asked.parameters.get("service").unwrap_or_default().to_owned();
        let form = asked.form;
        let read = move |store: &dyn Store| {
            let mut quality = Quality::default();
            if start_us <= end_us {
                let window = DependencyWindow { start_us, end_us };
                store.visit_traces(window, GROUPING, &mut |spans| quality.count(spans, &service))?;
            }
            Ok(form.json(to_vec(&quality.to_json()).unwrap_or_default()))
        };
        Ok(self.app.queries.run(read).await?)
    }
}

impl Quality {
    fn count(&mut self, spans: &[SpanRef<'_>], service: &str) {
        let counts = |span: &SpanRef<'_>| service.is_empty() || service_shown(*span) == service;
        if !spans.iter().any(counts) {
            return;
        }
        let mut ids = Ids::new();
        spans.iter().for_each(|span| ids.entry(span.id()).or_default()[usize::from(span.is_shared())] += 1);
        for span in spans.iter().copied().filter(counts) {
            for (check, (passed, failed)) in CHECKS.iter().zip(&mut self.outcomes) {
                if (check.passes)(span, &ids) { passed.add(span) } else { failed.add(span) }
            }
            if let Some(client) = client(span)
                && (self.clients.contains_key(&client) || self.clients.len() < CLIENTS_MAX)
            {
                self.clients.entry(client).or_default().add(span);
            }
        }
    }

    fn to_json(&self) -> Value {
        let checked = || CHECKS.iter().zip(&self.outcomes);
        let share = |category: &str| {
            let of = checked().filter(|(check, _)| check.category == category).map(|(_, outcome)| outcome);
            let (passed, all) =
                of.fold((0, 0), |sum, (passed, failed)| (sum.0 + passed.spans, sum.1 + passed.spans + failed.spans));
            if all == 0 { 0.0 } else { passed as f64 * 100.0 / all as f64 }
        };
        let score = |key: &str, label: &str| json!({"key": key, "label": label, "max": 100, "value": share(key)});
        let metric = |(check, (passed, failed)): (&Check, &(Outcome, Outcome))| {
            json!({
                "name": check.name,
                "category": check.category,
                "description": check.description,
                "metricDocumentationLink": "",
                "metricWeight": 1.0 / CHECKS.len() as f64,
                "passCount": passed.spans,
                "passExamples": passed.examples(),
                "failureCount": failed.spans,
                "failureExamples": failed.examples(),
                "exemptionCount": null,
                "exemptionExamples": null,
                "details": [],
            })
        };
        let client = |(version, outcome): (&String, &Outcome)| {
            let (count, examples) = (outcome.spans, outcome.examples());
            json!({"version": version, "minVersion": "", "count": count, "examples": examples})
        };
        json!({
            "traceQualityDocumentationLink": "",
            "scores": [score("coverage", "Instrumentation Coverage"), score("quality", "Trace Quality")],
            "metrics": checked().map(metric).collect::<Value>(),
            "clients": self.clients.iter().map(client).collect::<Value>(),
        })
    }
}

/// The client that recorded a span, as it tells.
fn client(span: SpanRef<'_>) -> Option<String> {
    let resource = span.resource()?;
    let said = |wanted: &str| {
        resource.attributes.iter().find_map(|(key, value)| match value {
            ValueRef::Str(text) if key == wanted => Some(text.to_owned()),
            _ => None,
        })
    };
    said(JAEGER_VERSION).or_else(|| Some(format!("{}-{}", said(SDK[0])?, said(SDK[1])?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracewell_model::{ResourceId, SpanBatch, SpanRow, StrId, Time};

    #[test]
    fn spans_are_held_against_the_checks() {
        let mut batch = SpanBatch::new();
        let (key, name) = (batch.intern(JAEGER_VERSION), batch.intern("n"));
        let resource = batch.push_resource(StrId::default(), 0);
        batch.resource_attribute(key, ValueRef::Str("Go-2.30"));
        let at = Some(Time::from_micros(1));
        for (id, parent, resource, name) in
            [(1, 0, resource, name), (2, 9, ResourceId(0), name), (2, 1, resource, StrId::default())]
        {
            let (id, parent) = (SpanId::new(id), SpanId::new(parent));
            batch
                .commit(SpanRow { id, parent, name, resource, start: at, duration: at, ..SpanRow::default() })
                .unwrap();
        }
        let mut quality = Quality::default();
        let spans: Vec<_> = batch.spans().collect();
        quality.count(&spans, "");
        let counts = quality.outcomes.iter().map(|(passed, failed)| (passed.spans, failed.spans)).collect::<Vec<_>>();
        assert_eq!(counts, [(2, 1), (1, 2), (2, 1), (3, 0)]);
        let json = quality.to_json();
        assert_eq!(json["clients"][0]["version"], "Go-2.30");
        assert_eq!((&json["clients"][0]["count"], json["scores"][1]["value"].as_f64()), (&2.into(), Some(600.0 / 9.0)));
        assert_eq!(json["metrics"][0]["failureExamples"][0]["spanIDs"][0], "0000000000000002");
        let mut none = Quality::default();
        none.count(&spans, "another");
        assert_eq!(none.to_json()["scores"][0]["value"], 0.0);
    }
}
