//! `GET /api/v3/trace-summaries`: found traces without their spans, for a list of results.

use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use tracewell_model::{SpanBatch, SpanId, SpanRef, StatusCode, Time};
use tracewell_wire::jaeger::service_shown;

#[derive(Serialize)]
struct Summaries<'a> {
    summaries: Vec<Summary<'a>>,
}

/// As Jaeger's `TraceSummary` in JSON: what is zero or empty is left out, times are texts of nanoseconds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    trace_id: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    root_service_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    root_operation_name: &'a str,
    min_start_time_unix_nano: String,
    max_end_time_unix_nano: String,
    span_count: usize,
    #[serde(skip_serializing_if = "is_zero")]
    error_span_count: usize,
    #[serde(skip_serializing_if = "is_zero")]
    orphan_span_count: usize,
    services: Vec<Service<'a>>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Service<'a> {
    name: &'a str,
    span_count: usize,
    #[serde(skip_serializing_if = "is_zero")]
    error_span_count: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

pub(super) fn summaries_json(traces: &[SpanBatch]) -> Vec<u8> {
    let summaries = traces.iter().filter(|trace| !trace.is_empty()).map(summarize).collect();
    serde_json::to_vec(&Summaries { summaries }).unwrap_or_default()
}

fn summarize(trace: &SpanBatch) -> Summary<'_> {
    let ids: HashSet<SpanId> = trace.spans().map(|span| span.id()).collect();
    let start = |span: SpanRef<'_>| span.start().unwrap_or_default();
    let end = |span: SpanRef<'_>| start(span).saturating_add(span.duration().unwrap_or_default());
    let is_error = |span: SpanRef<'_>| span.status() == StatusCode::Error;
    let root = trace.spans().filter(|span| span.parent().is_none()).min_by_key(|span| start(*span));
    let mut services: BTreeMap<&str, Service<'_>> = BTreeMap::new();
    for span in trace.spans() {
        let name = service_shown(span);
        let service = services.entry(name).or_insert_with(|| Service { name, ..Service::default() });
        service.span_count += 1;
        service.error_span_count += usize::from(is_error(span));
    }
    let nanos = |time: Option<Time>| time.unwrap_or_default().as_nanos().to_string();
    Summary {
        trace_id: format!("{:032x}", trace.span(0).trace_id().value()),
        root_service_name: root.map_or("", service_shown),
        root_operation_name: root.map_or("", |root| root.name()),
        min_start_time_unix_nano: nanos(trace.spans().map(start).min()),
        max_end_time_unix_nano: nanos(trace.spans().map(end).max()),
        span_count: trace.len(),
        error_span_count: trace.spans().filter(|span| is_error(*span)).count(),
        orphan_span_count: trace.spans().filter(|span| span.parent().is_some_and(|id| !ids.contains(&id))).count(),
        services: services.into_values().collect(),
    }
}
