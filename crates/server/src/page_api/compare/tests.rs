//! Planted causes are named first.

use super::*;
use crate::page_api::scan::Stop;
use tracewell_model::{OwnedEndpoint, Span, SpanBatch, SpanId, Time, TraceGrouping, TraceId, Value};
use tracewell_store::{DependencyWindow, ReferenceStore, Store};

/// A request of three services. `slow_us` more are spent in the database where the cause is.
struct Request {
    at: u64,
    replica: &'static str,
    region: &'static str,
    slow_us: u64,
    fails: bool,
}

fn endpoint(service: &str) -> Option<OwnedEndpoint> {
    Some(OwnedEndpoint { service: service.to_owned(), ..OwnedEndpoint::default() })
}

fn spans(request: &Request) -> Vec<Span> {
    let start = 1_000_000 + request.at * 1000;
    let text = |key: &str, value: &str| (key.to_owned(), Value::Str(value.to_owned()));
    let base = Span { trace_id: TraceId::new(u128::from(request.at + 1)), ..Span::default() };
    let span = |id: u64, parent: u64, service: &str, name: &str, duration: u64, tags: Vec<(String, Value)>| Span {
        id: SpanId::new(id),
        parent: (parent != 0).then(|| SpanId::new(parent)),
        name: name.to_owned(),
        local: endpoint(service),
        start: Some(Time::from_micros(start + id)),
        duration: Some(Time::from_micros(duration)),
        tags,
        ..base.clone()
    };
    let unique = format!("{:x}", request.at * 7919);
    let mut database =
        span(3, 2, "db", "select rows", 900 + request.slow_us, vec![text("db.instance", request.replica)]);
    if request.fails {
        database.tags.push(text("error", "timeout"));
    }
    vec![
        span(
            1,
            0,
            "front",
            "get /",
            1500 + request.slow_us,
            vec![text("request.id", &unique), text("region", request.region)],
        ),
        span(2, 1, "cart", "list", 1200 + request.slow_us, vec![text("http.status_code", "200")]),
        database,
    ]
}

fn compared(requests: &[Request], query: &str, select: &str, unit: Unit) -> Compared {
    let store = ReferenceStore::new(vec![]);
    let mut batch = SpanBatch::new();
    requests.iter().flat_map(spans).for_each(|span| batch.push_span(&span).unwrap());
    store.write(batch, Box::new(|result| result.unwrap()));
    let window = DependencyWindow { start_us: 0, end_us: u64::MAX };
    let range = Range { filter: SpanFilter::parse(query).unwrap(), window, grouping: TraceGrouping::Strict };
    let region = select.strip_prefix("region=").and_then(|region| Region::parse(region).ok());
    let spans = SpanFilter::parse(if region.is_some() { "" } else { select }).unwrap();
    let select = Select { spans, region };
    let mut counts = Counts::new(&range, &select, unit);
    let searched = scan(&store, &range, Limits::ANSWER, &Stop::default(), &mut counts).unwrap();
    counts.compared(searched)
}

#[test]
fn a_slow_replica_is_named_first() {
    let requests: Vec<Request> = (0..400)
        .map(|at| {
            // One of four replicas is slow nine times of ten; some others are slow without it.
            let replica = ["replica-1", "replica-2", "replica-3", "replica-4"][at as usize % 4];
            let is_slow = replica == "replica-3" && at % 10 != 0 || at % 97 == 0;
            let region = ["eu", "us", "eu"][at as usize % 3];
            Request { at, replica, region, slow_us: if is_slow { 50_000 } else { 0 }, fails: is_slow && at % 3 == 0 }
        })
        .collect();
    let compared = compared(&requests, "service:front", "duration>=20ms", Unit::Trace);
    assert_eq!(compared.selected + compared.rest, 400);
    let first = &compared.differences[0];
    assert_eq!(
        (first.service.as_str(), first.key.as_str(), first.value.as_deref()),
        ("db", "db.instance", Some("replica-3"))
    );
    assert_eq!(first.query, "service:db db.instance=replica-3");
    assert!(first.selected_share > 0.9 && first.rest_share < 0.1 && first.score > 0.5, "{first:?}");
    assert!(compared.differences.iter().all(|difference| difference.key != "request.id"), "an id is no cause");
    let slower = &compared.slower[0];
    assert_eq!((slower.service.as_str(), slower.name.as_str()), ("db", "select rows"));
    assert!(
        slower.share > 0.95 && (slower.selected_self_time - slower.rest_self_time - 50_000.0).abs() < 1.0,
        "{slower:?}"
    );
}

#[test]
fn spans_are_compared_with_what_is_above_and_below_them() {
    let requests: Vec<Request> = (0..200)
        .map(|at| {
            let region = ["eu", "us", "ap", "eu"][at as usize % 4];
            let slow_us = if region == "ap" { 50_000 } else { 0 };
            Request { at, replica: "replica-1", region, slow_us, fails: false }
        })
        .collect();
    let compared = compared(&requests, "service:db name:\"select rows\"", "duration>=20ms", Unit::Span);
    assert_eq!((compared.selected, compared.rest), (50, 150));
    let first = &compared.differences[0];
    assert_eq!((first.service.as_str(), first.key.as_str(), first.value.as_deref()), ("front", "region", Some("ap")));
    assert_eq!(compared.slower[0].service, "db", "what is above a span is not its time");
}

#[test]
fn without_two_sides_there_is_nothing_to_compare() {
    let request = |at| Request { at, replica: "a", region: "eu", slow_us: 0, fails: false };
    let requests: Vec<Request> = (0..20).map(request).collect();
    for select in ["", "duration>1h"] {
        let compared = compared(&requests, "", select, Unit::Trace);
        assert!(compared.differences.is_empty() && compared.slower.is_empty());
    }
}

#[test]
fn traces_are_selected_by_their_place_in_the_picture() {
    // The database's spans alone are as long as the second half of the traces of the first half.
    let request = |at| Request { at, replica: "a", region: "eu", slow_us: if at < 50 { 0 } else { 300 }, fails: false };
    let requests: Vec<Request> = (0..100).map(request).collect();
    let selected = |region: &str| compared(&requests, "", region, Unit::Trace).selected;
    assert_eq!(
        ["region=---", "region=--1700-", "region=---1700", "region=-1020000-1700-"].map(selected),
        [100, 50, 50, 0]
    );
    for wrong in ["1-2-3", "a---", "1-2-3-4-5"] {
        assert!(Region::parse(wrong).is_err(), "{wrong}");
    }
}
