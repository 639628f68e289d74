//! The cases of the contract by name: each says one thing that a store has to do, with spans made for it.

use super::{assert_same_spans, write};
use crate::store::{DependencyWindow, Store, WriteError, WriterCall};
use std::sync::{Arc, mpsc};
use std::thread;
use tracewell_model::{
    DependencyLink, Kind, OwnedAnnotation, OwnedEndpoint, Span, SpanBatch, SpanId, Time, TraceGrouping, TraceId,
    TraceQuery, Value,
};

type Case = (&'static str, fn(&dyn Store));

pub(super) const CASES: &[Case] = &[
    ("an empty store answers nothing", empty),
    ("a trace is answered whole, in the order its spans arrived", whole_trace),
    ("ids are compared with all their bits", strict_ids),
    ("ids are compared by their lower bits where that is asked for", low_bits),
    ("traces are answered in the order of the ids, an id given twice once", order_of_ids),
    ("equal copies are answered once, pieces are kept", copies_and_pieces),
    ("thousands of copies are one span", many_copies),
    ("a trace of many batches is answered whole", long_trace),
    ("every text comes back", unicode),
    ("a search without conditions finds what the window holds", window),
    ("a trace's time is that of its first root", time_of_root),
    ("traces without a time are never found by a search", no_time),
    ("the newest traces are found, the newest first", order_and_limit),
    ("a search by service", by_service),
    ("a search by the name of a span of the service", by_span_name),
    ("a search by the remote service of a span of the service", by_remote_service),
    ("a search by tag, by tag and value, by annotation", by_annotation),
    ("a search by duration", by_duration),
    ("conditions are met by different spans of the service", different_spans),
    ("conditions are met by spans of different batches", different_batches),
    ("late spans make a trace match that was there before", late_span),
    ("names of services, their spans and remote services", names),
    ("values of tags that are completed", tag_values),
    ("links between services", dependencies),
    ("links of traces that touch the window, counted whole", dependencies_window),
    ("links of a trace whose spans came in several batches", dependencies_cut),
    ("threads that commit what they bring", committed_by_who_brought),
    ("a closed store takes nothing and still reads", closed),
];

/// 2023-11-14, microseconds.
const EPOCH_US: u64 = 1_700_000_000_000_000;
const SECOND_US: u64 = 1_000_000;

fn span(trace: u128, id: u64, parent: u64, service: &str, name: &str, start_us: u64, duration_us: u64) -> Span {
    Span {
        trace_id: TraceId::new(trace),
        id: SpanId::new(id),
        parent: Some(SpanId::new(parent)).filter(|parent| !parent.is_none()),
        name: name.to_owned(),
        start: (start_us != 0).then(|| Time::from_micros(start_us)),
        duration: (duration_us != 0).then(|| Time::from_micros(duration_us)),
        local: endpoint(service),
        ..Span::default()
    }
}

fn root(trace: u128, service: &str, start_us: u64) -> Span {
    span(trace, 1, 0, service, "get", start_us, 1000)
}

fn endpoint(service: &str) -> Option<OwnedEndpoint> {
    (!service.is_empty()).then(|| OwnedEndpoint { service: service.to_owned(), ..OwnedEndpoint::default() })
}

fn tagged(mut span: Span, key: &str, value: &str) -> Span {
    span.tags.push((key.to_owned(), Value::Str(value.to_owned())));
    span
}

fn batch(spans: &[Span]) -> SpanBatch {
    let mut batch = SpanBatch::new();
    for span in spans {
        assert_eq!(batch.push_span(span), Ok(()));
    }
    batch
}

/// Writes the spans of each list as a batch. Batches stay below 100,000 bytes, which every store takes.
fn put(store: &dyn Store, batches: &[&[Span]]) {
    for spans in batches {
        assert_eq!(write(store, batch(spans)), Ok(()));
    }
}

/// Everything from an hour before [`EPOCH_US`] to an hour after it.
fn query() -> TraceQuery {
    TraceQuery { end_ts_ms: EPOCH_US / 1000 + 3_600_000, lookback_ms: 7_200_000, limit: 100, ..TraceQuery::default() }
}

#[track_caller]
fn assert_found(store: &dyn Store, query: &TraceQuery, expected: &[u128]) {
    let found = store.find(query).map(|traces| traces.iter().map(|trace| trace.span(0).trace_id().value()).collect());
    assert_eq!(found, Ok(expected.to_vec()), "{query:?}");
}

#[track_caller]
fn assert_trace(store: &dyn Store, id: u128, expected: &[Span]) {
    let found = store.traces(&[TraceId::new(id)], TraceGrouping::Strict);
    let Ok([found]) = found.as_deref() else { panic!("one trace expected, found {found:?}") };
    assert_same_spans(found, &batch(expected));
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn empty(store: &dyn Store) {
    assert_eq!(write(store, SpanBatch::new()), Ok(()));
    assert_eq!(store.service_names(), Ok(vec![]));
    assert_eq!(store.span_names("cart"), Ok(vec![]));
    assert_eq!(store.remote_service_names("cart"), Ok(vec![]));
    assert_found(store, &query(), &[]);
    let all = DependencyWindow { start_us: 0, end_us: u64::MAX };
    assert_eq!(store.dependencies(all), Ok(vec![]));
    assert!(matches!(store.traces(&[TraceId::new(1)], TraceGrouping::Strict).as_deref(), Ok([])));
    assert_eq!(store.health().writes_refused, None);
}

fn whole_trace(store: &dyn Store) {
    let mut spans: Vec<Span> = (1..=5).map(|id| span(7, id, id - 1, "cart", "get", EPOCH_US - id, id)).collect();
    spans[2].annotations = vec![OwnedAnnotation {
        time: Time::from_micros(EPOCH_US),
        value: "ws".to_owned(),
        details: vec![("size".to_owned(), Value::I64(-3))],
    }];
    spans[3] = Span { kind: Kind::Consumer, shared: true, debug: true, ..spans[3].clone() };
    spans[4].tags = vec![("z".to_owned(), Value::Bool(true)), ("a".to_owned(), Value::Str("1".to_owned()))];
    put(store, &[&spans[..2], &[root(8, "users", EPOCH_US)], &spans[2..]]);
    assert_trace(store, 7, &spans);
    let found = store.find(&TraceQuery { service_name: text("cart"), ..query() });
    let Ok([found]) = found.as_deref() else { panic!("one trace expected, found {found:?}") };
    assert_same_spans(found, &batch(&spans));
}

const HIGH: u128 = 0x1234 << 64;

fn strict_ids(store: &dyn Store) {
    let (short, long) = (root(5, "cart", EPOCH_US), root(HIGH | 5, "cart", EPOCH_US + 1));
    put(store, &[&[short.clone(), long.clone()]]);
    assert_trace(store, 5, &[short]);
    assert_trace(store, HIGH | 5, &[long]);
    assert_found(store, &query(), &[HIGH | 5, 5]);
}

fn low_bits(store: &dyn Store) {
    let spans = [
        root(5, "cart", EPOCH_US + 9),
        tagged(span(HIGH | 5, 2, 1, "users", "get", EPOCH_US, 0), "error", ""),
        span(5, 3, 1, "cart", "put", EPOCH_US, 0),
    ];
    put(store, &[&spans[..2], &spans[2..]]);
    for id in [5, HIGH | 5, HIGH << 1 | 5] {
        let found = store.traces(&[TraceId::new(id), TraceId::new(5)], TraceGrouping::LowBits);
        let Ok([found]) = found.as_deref() else { panic!("one trace expected, found {found:?}") };
        assert_same_spans(found, &batch(&spans));
    }
    let annotations = vec![("error".to_owned(), String::new())];
    let both = TraceQuery { span_name: text("put"), annotations, ..query() };
    assert_found(store, &both, &[]);
    assert_found(store, &TraceQuery { grouping: TraceGrouping::LowBits, ..both }, &[5]);
}

fn order_of_ids(store: &dyn Store) {
    put(store, &[&[root(1, "a", EPOCH_US), root(2, "a", EPOCH_US)], &[root(3, "a", EPOCH_US)]]);
    let ids = [3, 9, 1, 3, 2].map(TraceId::new);
    let found = store
        .traces(&ids, TraceGrouping::Strict)
        .map(|traces| traces.iter().map(|trace| (trace.span(0).trace_id().value(), trace.len())).collect::<Vec<_>>());
    assert_eq!(found, Ok(vec![(3, 1), (1, 1), (2, 1)]));
}

fn copies_and_pieces(store: &dyn Store) {
    let whole = tagged(root(4, "cart", EPOCH_US), "a", "1");
    let piece = Span { name: String::new(), duration: None, ..whole.clone() };
    let other = Span { shared: true, ..whole.clone() };
    put(
        store,
        &[
            &[whole.clone(), piece.clone(), whole.clone()],
            &[other.clone(), whole.clone()],
            std::slice::from_ref(&piece),
        ],
    );
    assert_trace(store, 4, &[whole, piece, other]);
}

fn many_copies(store: &dyn Store) {
    let copied = tagged(root(4, "cart", EPOCH_US), "a", "1");
    let others: Vec<Span> = (0..50).map(|n| tagged(root(4, "cart", EPOCH_US), "n", &n.to_string())).collect();
    let copies = vec![copied.clone(); 400];
    for _ in 0..10 {
        put(store, &[&copies, &others]);
    }
    assert_trace(store, 4, &[&[copied][..], &others].concat());
}

fn long_trace(store: &dyn Store) {
    let spans: Vec<Span> = (1..=10_000)
        .map(|id| tagged(span(6, id, id / 2, "cart", "get", EPOCH_US + id, id), "n", &(id % 77).to_string()))
        .collect();
    for part in spans.chunks(400) {
        put(store, &[part]);
    }
    assert_trace(store, 6, &spans);
    assert_found(store, &TraceQuery { min_duration_us: Some(10_000), ..query() }, &[6]);
    assert_found(store, &TraceQuery { min_duration_us: Some(10_001), ..query() }, &[]);
}

fn unicode(store: &dyn Store) {
    let odd = ["größe", "読む", "🦀\u{0}\n\"\\", "a\u{301}", " "];
    let spans: Vec<Span> = (1..)
        .zip(odd)
        .map(|(id, odd)| {
            let mut span = tagged(span(3, id, 0, odd, odd, EPOCH_US, 1), odd, odd);
            span.annotations.push(OwnedAnnotation { value: odd.to_owned(), ..OwnedAnnotation::default() });
            span
        })
        .collect();
    put(store, &[&spans]);
    assert_trace(store, 3, &spans);
    for odd in odd {
        let annotations = vec![(odd.to_owned(), odd.to_owned())];
        assert_found(store, &TraceQuery { service_name: text(odd), annotations, ..query() }, &[3]);
        assert_eq!(store.span_names(odd), Ok(vec![odd.to_owned()]));
    }
}

fn window(store: &dyn Store) {
    let ms = EPOCH_US / 1000;
    put(store, &[&[root(1, "a", EPOCH_US)], &[root(2, "a", EPOCH_US + 1), root(3, "a", EPOCH_US + 1000)]]);
    let window = |end_ts_ms, lookback_ms| TraceQuery { end_ts_ms, lookback_ms, ..query() };
    assert_found(store, &window(ms, 0), &[1]); // both ends belong to the window, to the millisecond
    assert_found(store, &window(ms + 1, 1), &[3, 2, 1]);
    assert_found(store, &window(ms + 1, 0), &[3]);
    assert_found(store, &window(ms + 2, 1), &[3]);
    assert_found(store, &window(ms - 1, 1000), &[]);
    assert_found(store, &window(ms + 2, u64::MAX), &[3, 2, 1]);
}

fn time_of_root(store: &dyn Store) {
    let late = EPOCH_US + 100 * SECOND_US;
    put(
        store,
        &[
            &[span(1, 2, 1, "a", "", EPOCH_US, 1), root(2, "a", EPOCH_US + SECOND_US), root(1, "a", late)],
            &[span(3, 2, 1, "a", "", EPOCH_US + 2, 1), span(3, 3, 1, "a", "", EPOCH_US + 1, 1)],
            &[span(3, 4, 0, "a", "no time", 0, 0), span(1, 9, 0, "a", "second root", EPOCH_US, 1)],
        ],
    );
    assert_found(store, &query(), &[1, 2, 3]);
    let around = |start_us: u64| TraceQuery { end_ts_ms: start_us / 1000, lookback_ms: 0, ..query() };
    assert_found(store, &around(late), &[1]);
    assert_found(store, &around(EPOCH_US), &[]); // trace 3 began 1 us later
    assert_found(store, &TraceQuery { end_ts_ms: EPOCH_US / 1000 + 1, lookback_ms: 1, ..query() }, &[3]);
}

fn no_time(store: &dyn Store) {
    let spans = [span(1, 1, 0, "a", "get", 0, 5)];
    put(store, &[&spans]);
    assert_trace(store, 1, &spans);
    assert_found(store, &TraceQuery { end_ts_ms: u64::MAX, lookback_ms: u64::MAX, ..query() }, &[]);
    put(store, &[&[span(1, 2, 1, "b", "get", EPOCH_US, 5)]]);
    assert_found(store, &TraceQuery { service_name: text("a"), ..query() }, &[1]);
}

fn order_and_limit(store: &dyn Store) {
    for trace in [5, 1, 9, 3, 7] {
        put(store, &[&[root(trace, "a", EPOCH_US + trace as u64 / 4 * SECOND_US)]]);
    }
    assert_found(store, &query(), &[9, 5, 7, 1, 3]); // of one time by id
    for limit in 0..5 {
        assert_found(store, &TraceQuery { limit, ..query() }, &[9, 5, 7, 1, 3][..limit]);
    }
}

fn by_service(store: &dyn Store) {
    put(store, &[&[root(1, "cart", EPOCH_US), root(2, "users", EPOCH_US), span(2, 2, 1, "cart", "", 0, 0)]]);
    put(store, &[&[root(3, "", EPOCH_US)]]);
    assert_found(store, &TraceQuery { service_name: text("cart"), ..query() }, &[1, 2]);
    assert_found(store, &TraceQuery { service_name: text("users"), ..query() }, &[2]);
    assert_found(store, &TraceQuery { service_name: text("car"), ..query() }, &[]);
    assert_found(store, &query(), &[1, 2, 3]);
}

fn by_span_name(store: &dyn Store) {
    put(
        store,
        &[&[root(1, "cart", EPOCH_US), span(1, 2, 1, "users", "put", EPOCH_US, 0)], &[root(2, "users", EPOCH_US)]],
    );
    let named = |service, name| TraceQuery { service_name: service, span_name: text(name), ..query() };
    assert_found(store, &named(None, "put"), &[1]);
    assert_found(store, &named(text("users"), "put"), &[1]);
    assert_found(store, &named(text("cart"), "put"), &[]);
    assert_found(store, &named(text("users"), "get"), &[2]);
    assert_found(store, &named(None, "nothing"), &[]);
}

fn by_remote_service(store: &dyn Store) {
    let to = |span: Span, remote: &str| Span { remote: endpoint(remote), ..span };
    put(store, &[&[to(root(1, "cart", EPOCH_US), "db")], &[root(2, "cart", EPOCH_US)]]);
    put(store, &[&[to(span(2, 2, 1, "users", "", 0, 0), "db")]]);
    let to = |service, remote| TraceQuery { service_name: service, remote_service_name: text(remote), ..query() };
    assert_found(store, &to(None, "db"), &[1, 2]);
    assert_found(store, &to(text("cart"), "db"), &[1]);
    assert_found(store, &to(text("users"), "db"), &[2]);
    assert_found(store, &to(None, "cart"), &[]);
}

fn by_annotation(store: &dyn Store) {
    let mut annotated = root(2, "cart", EPOCH_US + 1);
    annotated.annotations.push(OwnedAnnotation { value: "error".to_owned(), ..OwnedAnnotation::default() });
    let mut typed = root(3, "cart", EPOCH_US);
    typed.tags = vec![("code".to_owned(), Value::I64(404)), ("cached".to_owned(), Value::Bool(false))];
    put(store, &[&[tagged(root(1, "cart", EPOCH_US + 2), "error", "timeout"), annotated], &[typed]]);
    let with = |pairs: &[(&str, &str)]| {
        let annotations = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        TraceQuery { annotations, ..query() }
    };
    assert_found(store, &with(&[("error", "")]), &[1, 2]);
    assert_found(store, &with(&[("error", "timeout")]), &[1]);
    assert_found(store, &with(&[("error", "time")]), &[]);
    assert_found(store, &with(&[("timeout", "")]), &[]);
    assert_found(store, &with(&[("code", "404")]), &[3]);
    assert_found(store, &with(&[("code", "405")]), &[]);
    assert_found(store, &with(&[("code", "404"), ("cached", "false")]), &[3]);
    assert_found(store, &with(&[("code", "404"), ("error", "")]), &[]);
    assert_found(store, &TraceQuery { service_name: text("users"), ..with(&[("error", "")]) }, &[]);
}

fn by_duration(store: &dyn Store) {
    put(
        store,
        &[&[root(1, "cart", EPOCH_US), span(1, 2, 1, "users", "", EPOCH_US, 5000)], &[root(2, "cart", EPOCH_US)]],
    );
    let lasting = |service, min, max| TraceQuery {
        service_name: service,
        min_duration_us: Some(min),
        max_duration_us: max,
        ..query()
    };
    assert_found(store, &lasting(None, 1000, None), &[1, 2]);
    assert_found(store, &lasting(None, 1001, None), &[1]);
    assert_found(store, &lasting(None, 5000, Some(5000)), &[1]);
    assert_found(store, &lasting(None, 1001, Some(4999)), &[]);
    assert_found(store, &lasting(text("cart"), 1001, None), &[]);
    assert_found(store, &lasting(text("users"), 1001, None), &[1]);
}

fn three_conditions(service: &str) -> TraceQuery {
    TraceQuery {
        service_name: text(service),
        span_name: text("put"),
        annotations: vec![("env".to_owned(), "prod".to_owned())],
        min_duration_us: Some(7000),
        ..query()
    }
}

fn different_spans(store: &dyn Store) {
    let of = |trace: u128, services: [&str; 3]| {
        [
            span(trace, 1, 0, services[0], "put", EPOCH_US, 10),
            tagged(span(trace, 2, 1, services[1], "get", EPOCH_US, 0), "env", "prod"),
            span(trace, 3, 1, services[2], "get", EPOCH_US, 7000),
        ]
    };
    put(store, &[&of(1, ["cart"; 3]), &of(2, ["cart", "users", "cart"]), &of(3, ["cart", "cart", "users"])]);
    assert_found(store, &three_conditions("cart"), &[1]);
    assert_found(store, &TraceQuery { service_name: None, ..three_conditions("") }, &[1, 2, 3]);
}

fn different_batches(store: &dyn Store) {
    let filler: Vec<Span> = (100..120).map(|trace| root(trace, "users", EPOCH_US + SECOND_US)).collect();
    put(store, &[&[span(1, 1, 0, "cart", "put", EPOCH_US, 10)], &filler[..9]]);
    put(store, &[&[tagged(span(1, 2, 1, "cart", "get", 0, 0), "env", "prod")], &filler[9..]]);
    assert_found(store, &three_conditions("cart"), &[]);
    put(store, &[&[span(1, 3, 1, "cart", "get", 0, 7000)], &filler]);
    assert_found(store, &three_conditions("cart"), &[1]);
    assert_found(store, &TraceQuery { limit: 1, ..three_conditions("cart") }, &[1]);
}

fn late_span(store: &dyn Store) {
    let day_us = 86_400 * SECOND_US;
    put(store, &[&[tagged(span(1, 2, 1, "cart", "get", EPOCH_US - day_us, 0), "env", "prod")]]);
    put(store, &[&[root(2, "cart", EPOCH_US)], &[root(3, "users", EPOCH_US + 1)]]);
    let with_tag = TraceQuery { annotations: vec![("env".to_owned(), "prod".to_owned())], ..query() };
    assert_found(store, &with_tag, &[]);
    // The root arrives a day after its child began, and its time is the trace's.
    put(store, &[&[root(1, "users", EPOCH_US + 2)]]);
    assert_found(store, &with_tag, &[1]);
    assert_found(store, &TraceQuery { service_name: text("cart"), ..query() }, &[1, 2]);
    assert_found(store, &TraceQuery { limit: 1, ..query() }, &[1]);
}

fn names(store: &dyn Store) {
    let to = |span: Span, remote: &str| Span { remote: endpoint(remote), ..span };
    put(
        store,
        &[
            &[to(root(1, "cart", EPOCH_US), "db"), span(1, 2, 1, "cart", "put", 0, 0), root(2, "users", 0)],
            &[to(span(3, 2, 1, "cart", "get", 0, 0), "broker"), span(3, 3, 1, "", "lost", 0, 0)],
            &[to(span(3, 4, 1, "", "lost", 0, 0), "nobody"), span(3, 5, 1, "empty", "", 0, 0)],
        ],
    );
    let texts = |texts: &[&str]| Ok(texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
    assert_eq!(store.service_names(), texts(&["cart", "empty", "users"]));
    assert_eq!(store.span_names("cart"), texts(&["get", "put"]));
    assert_eq!(store.span_names("users"), texts(&["get"]));
    assert_eq!(store.span_names("empty"), texts(&[]));
    assert_eq!(store.remote_service_names("cart"), texts(&["broker", "db"]));
    assert_eq!(store.remote_service_names("users"), texts(&[]));
    assert_eq!(store.span_names("nobody"), texts(&[]));
}

fn tag_values(store: &dyn Store) {
    assert_eq!(store.tag_values("a key that nobody completes"), Ok(vec![]));
    let keys = store.tag_keys();
    let Some(key) = keys.first() else { return };
    put(store, &[&[tagged(root(1, "a", EPOCH_US), key, "one"), tagged(root(2, "a", EPOCH_US), key, "two")]]);
    put(store, &[&[tagged(root(3, "b", 0), key, "one"), tagged(root(3, "b", 0), "other", "three")]]);
    assert_eq!(store.tag_values(key), Ok(vec!["one".to_owned(), "two".to_owned()]));
    assert_eq!(store.tag_values("other"), Ok(vec![]));
}

fn call(trace: u128, start_us: u64) -> [Span; 3] {
    let kind = |kind, span: Span| Span { kind, ..span };
    [
        kind(Kind::Server, root(trace, "web", start_us)),
        kind(Kind::Client, span(trace, 2, 1, "web", "get", start_us, 900)),
        kind(Kind::Server, Span { shared: true, ..span(trace, 2, 1, "cart", "get", start_us, 800) }),
    ]
}

fn link(parent: &str, child: &str, call_count: u64, error_count: u64) -> DependencyLink {
    DependencyLink { parent: parent.to_owned(), child: child.to_owned(), call_count, error_count }
}

const ALL: DependencyWindow = DependencyWindow { start_us: 0, end_us: u64::MAX };

fn dependencies(store: &dyn Store) {
    let mut failed = call(2, EPOCH_US);
    failed[2] = tagged(failed[2].clone(), "error", "500");
    put(store, &[&call(1, EPOCH_US), &failed, &[root(3, "alone", EPOCH_US)]]);
    assert_eq!(store.dependencies(ALL), Ok(vec![link("web", "cart", 2, 1)]));
    put(store, &[&call(1, EPOCH_US)]); // copies
    assert_eq!(store.dependencies(ALL), Ok(vec![link("web", "cart", 2, 1)]));
}

fn dependencies_window(store: &dyn Store) {
    put(store, &[&call(1, EPOCH_US), &call(2, EPOCH_US + 10)]);
    let mut spread = call(3, EPOCH_US + 20);
    spread[2].start = Some(Time::from_micros(EPOCH_US + 40));
    put(store, &[&spread]);
    let window = |from, to| DependencyWindow { start_us: EPOCH_US + from, end_us: EPOCH_US + to };
    for (from, to, calls) in [(0, 0, 1), (0, 9, 1), (0, 10, 2), (1, 10, 1), (11, 19, 0), (21, 39, 0), (40, 40, 1)] {
        let links = if calls == 0 { vec![] } else { vec![link("web", "cart", calls, 0)] };
        assert_eq!(store.dependencies(window(from, to)), Ok(links), "{from} to {to}");
    }
}

fn dependencies_cut(store: &dyn Store) {
    let (one, two) = (call(1, EPOCH_US), call(2, EPOCH_US));
    for at in 0..3 {
        put(store, &[&[one[at].clone()], &[two[2 - at].clone()]]);
    }
    assert_eq!(store.dependencies(ALL), Ok(vec![link("web", "cart", 2, 0)]));
    // The lower 64 bits tell traces apart here, whatever a query for traces does.
    let mut long = call(HIGH | 1, EPOCH_US);
    long[1].id = SpanId::new(9);
    put(store, &[&long[1..2]]);
    assert_eq!(store.dependencies(ALL), Ok(vec![link("web", "cart", 2, 0)]));
}

/// Each brings a few batches at a time and commits until all are answered, or is called to when another does.
fn committed_by_who_brought(store: &dyn Store) {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 20;
    const TOGETHER: u64 = 3;
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    // `None` is a call.
                    let (told, answers) = mpsc::channel();
                    for at in 0..TOGETHER {
                        let id = 1 + (thread * ROUNDS + round) * TOGETHER + at;
                        let told = told.clone();
                        let spans = [span(1 + u128::from(id % 7), id, 0, "a", "get", EPOCH_US, 0)];
                        store.write_at_commit(batch(&spans), Box::new(move |answer| drop(told.send(Some(answer)))));
                    }
                    let call: WriterCall = Arc::new(move || drop(told.send(None)));
                    while store.commit(&call) {}
                    let mut left = TOGETHER;
                    while left > 0 {
                        match answers.recv() {
                            Ok(Some(answer)) => {
                                assert_eq!(answer, Ok(()));
                                left -= 1;
                            }
                            _ => while store.commit(&call) {},
                        }
                    }
                }
            });
        }
    });
    let ids: Vec<_> = (1..=7).map(TraceId::new).collect();
    let traces = store.traces(&ids, TraceGrouping::Strict);
    let spans: usize = traces.iter().flatten().map(SpanBatch::len).sum();
    assert_eq!(spans as u64, THREADS * ROUNDS * TOGETHER);
}

fn closed(store: &dyn Store) {
    put(store, &[&[root(1, "cart", EPOCH_US)]]);
    store.close();
    store.close();
    assert_eq!(write(store, batch(&[root(2, "cart", EPOCH_US)])), Err(WriteError::Closed));
    assert_trace(store, 1, &[root(1, "cart", EPOCH_US)]);
}
