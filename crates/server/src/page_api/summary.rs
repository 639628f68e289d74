//! A found trace as a line of the search page: what it is, how long it took, which services worked in it.

use serde::Serialize;
use std::collections::HashMap;
use tracewell_model::{SpanBatch, SpanRef, Time, TraceTree, long_trace_id};

#[derive(Serialize)]
struct Summaries {
    traces: Vec<Summary>,
}

/// One trace. Times are microseconds.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    trace_id: String,
    root_service: String,
    root_name: String,
    timestamp: u64,
    duration: u64,
    span_count: usize,
    error_count: usize,
    services: Vec<ServiceSummary>,
}

/// A service's share of a trace.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceSummary {
    name: String,
    span_count: usize,
    error_count: usize,
    self_time: u64,
}

pub(super) fn summaries_json<'a>(traces: impl Iterator<Item = &'a SpanBatch>) -> Vec<u8> {
    serde_json::to_vec(&Summaries {
        traces: traces.map(|trace| summarize(&trace.spans().collect::<Vec<_>>())).collect(),
    })
    .unwrap_or_default()
}

/// Of all spans of a trace, of which there is at least one.
pub(super) fn summarize(spans: &[SpanRef<'_>]) -> Summary {
    let tree = TraceTree::build(spans);
    let root = tree.root.map(|root| tree.span(root));
    let (start, end) = bounds(&tree);
    Summary {
        trace_id: long_trace_id(spans).unwrap_or_else(|| tree.span(0).trace_id()).to_string(),
        root_service: root.map(|root| root.service_name().to_owned()).unwrap_or_default(),
        root_name: root.map(|root| root.name().to_owned()).unwrap_or_default(),
        timestamp: start.as_micros(),
        duration: end.saturating_sub(start).as_micros(),
        span_count: tree.len(),
        error_count: tree.spans().filter(|span| span.is_error()).count(),
        services: services(&tree),
    }
}

/// The first start and the last end of a trace's spans that have one; zero when none has.
pub(super) fn bounds(tree: &TraceTree<'_>) -> (Time, Time) {
    let with_start = || tree.spans().filter_map(|span| Some((span.start()?, span)));
    let start = with_start().map(|(start, _)| start).min().unwrap_or_default();
    let end = with_start().map(|(start, span)| start.saturating_add(span.duration().unwrap_or_default())).max();
    (start, end.unwrap_or_default())
}

fn services(tree: &TraceTree<'_>) -> Vec<ServiceSummary> {
    let mut by_name: HashMap<&str, ServiceSummary> = HashMap::new();
    for (node, span) in tree.spans().enumerate() {
        let name = span.service_name();
        let service = by_name
            .entry(name)
            .or_insert_with(|| ServiceSummary { name: name.to_owned(), ..ServiceSummary::default() });
        service.span_count += 1;
        service.error_count += usize::from(span.is_error());
        service.self_time += self_time(tree, node).as_micros();
    }
    let mut services: Vec<_> = by_name.into_values().collect();
    services.sort_by(|a, b| b.self_time.cmp(&a.self_time).then_with(|| a.name.cmp(&b.name)));
    services
}

/// The time of a span that none of its children covers.
pub(super) fn self_time(tree: &TraceTree<'_>, node: usize) -> Time {
    let interval = |span: SpanRef<'_>| Some((span.start()?, span.start()?.saturating_add(span.duration()?)));
    let Some((start, end)) = interval(tree.span(node)) else { return Time::ZERO };
    let mut own = Time::ZERO;
    let mut covered_to = start;
    // Children come sorted by start, so one walk finds the gaps between them.
    let children = tree.children(node).iter().filter_map(|&child| interval(tree.span(child as usize)));
    for (child_start, child_end) in children {
        own = own.saturating_add(child_start.min(end).saturating_sub(covered_to));
        covered_to = covered_to.max(child_end.min(end));
    }
    own.saturating_add(end.saturating_sub(covered_to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracewell_model::{OwnedEndpoint, Span, SpanId, TraceId, Value};

    fn span(id: u64, parent: u64, service: &str, start_us: u64, duration_us: u64) -> Span {
        Span {
            trace_id: TraceId::new(0xabc),
            id: SpanId::new(id),
            parent: Some(SpanId::new(parent)).filter(|id| !id.is_none()),
            name: format!("span {id}"),
            start: Some(Time::from_micros(start_us)),
            duration: Some(Time::from_micros(duration_us)),
            local: Some(OwnedEndpoint { service: service.to_owned(), ..OwnedEndpoint::default() }),
            ..Span::default()
        }
    }

    fn batch(spans: &[Span]) -> SpanBatch {
        let mut batch = SpanBatch::new();
        spans.iter().for_each(|span| batch.push_span(span).unwrap());
        batch
    }

    #[test]
    fn self_time_is_what_children_do_not_cover() {
        // Two children overlap, a third reaches beyond its parent's end, a fourth began before it.
        let trace = batch(&[
            span(1, 0, "a", 1000, 100),
            span(2, 1, "b", 1010, 20),
            span(3, 1, "b", 1020, 20),
            span(4, 1, "c", 1090, 50),
            span(5, 1, "c", 990, 15),
        ]);
        let summary = summarize(&trace.spans().collect::<Vec<_>>());
        let times: Vec<_> = summary.services.iter().map(|service| (service.name.as_str(), service.self_time)).collect();
        assert_eq!(times, [("c", 65), ("a", 55), ("b", 40)]);
        assert_eq!((summary.timestamp, summary.duration), (990, 150));
        assert_eq!((summary.root_service.as_str(), summary.root_name.as_str()), ("a", "span 1"));
    }

    #[test]
    fn without_a_root_there_is_no_root_name() {
        let mut failed = span(2, 1, "b", 1, 1);
        failed.tags.push(("error".to_owned(), Value::Str(String::new())));
        let failed = batch(&[failed]);
        let summary = summarize(&failed.spans().collect::<Vec<_>>());
        assert_eq!((summary.root_service.as_str(), summary.root_name.as_str()), ("", ""));
        assert_eq!((summary.error_count, summary.services[0].error_count), (1, 1));
        let json = String::from_utf8(summaries_json([batch(&[span(1, 0, "a", 5, 7)])].iter())).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"traces":[{"traceId":"0000000000000abc","rootService":"a","rootName":"span 1","timestamp":5,"duration":7,"#,
                r#""spanCount":1,"errorCount":0,"services":[{"name":"a","spanCount":1,"errorCount":0,"selfTime":7}]}]}"#
            )
        );
    }
}
