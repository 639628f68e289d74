//! `*.ui.json`: how Jaeger 1.76 shows a vector's spans, in the JSON of its query API. Recorded from its own conversion, trace
//! by trace, without what its collector puts right and its query service adjusts.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::{Value, json};
use tracewell_model::{SpanBatch, SpanRef};
use tracewell_wire::jaeger::UiTrace;

use crate::compare::{difference, list};
use crate::tally::Tally;

/// Holds the traces of a batch against what Jaeger shows of them. `mend` makes good, in both, where the recording is not
/// what a Jaeger answers.
pub(crate) fn check(
    name: &str,
    expected: &Value,
    batch: &SpanBatch,
    mend: fn(&mut Value, &mut Value),
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let expected = expected.as_array().context("a .ui.json file should be a list of traces")?;
    let mut traces: BTreeMap<String, Vec<SpanRef<'_>>> = BTreeMap::new();
    for span in batch.spans() {
        let mut shown = vec![];
        UiTrace::of([span]).encode(&mut shown);
        let id = serde_json::from_slice::<Value>(&shown)?["traceID"].as_str().unwrap_or_default().to_owned();
        traces.entry(id).or_default().push(span);
    }
    let wrong = (expected.len() != traces.len()).then(|| format!("{} traces, found {}", expected.len(), traces.len()));
    tally.case(format!("{name}, its traces"), wrong);
    for trace in expected {
        let id = trace["traceID"].as_str().unwrap_or_default();
        let mut encoded = vec![];
        UiTrace::of(traces.remove(id).unwrap_or_default()).encode(&mut encoded);
        let (mut expected, mut found) = (with_processes(trace)?, with_processes(&serde_json::from_slice(&encoded)?)?);
        mend(&mut expected, &mut found);
        tally.case(format!("{name}, trace {id}"), difference(&expected, &found));
    }
    Ok(())
}

/// A trace's spans, each with its process: which number a process has is nobody's business.
fn with_processes(trace: &Value) -> anyhow::Result<Value> {
    let mut spans = list(trace, "spans")?.to_vec();
    for span in &mut spans {
        let process = span["processID"].as_str().unwrap_or_default();
        span["processID"] = trace["processes"][process].clone();
    }
    Ok(json!({"traceID": trace["traceID"], "spans": spans, "warnings": trace["warnings"]}))
}
