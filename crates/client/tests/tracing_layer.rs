//! `tracing`'s spans and events as ours.
#![cfg(feature = "tracing")]

use std::fmt;

use tracewell::propagation::TraceContext;
use tracewell::sampler::ConstSampler;
use tracewell::{
    InMemoryReporter, Kind, SpanId, StatusCode, TraceId, Tracer, TracingLayer, TracingSpanExt, Value, current,
    tracing_layer,
};
use tracing::field::Empty;
use tracing::{error, info, info_span};
use tracing_subscriber::layer::SubscriberExt;

type Spans = Vec<tracewell_model::Span>;

fn recorded_with(sampled: bool, layer: impl FnOnce(TracingLayer) -> TracingLayer, work: impl FnOnce(&Tracer)) -> Spans {
    let reporter = InMemoryReporter::default();
    let tracer = Tracer::builder("shop").sampler(ConstSampler::new(sampled)).build(reporter.clone());
    let subscriber = tracing_subscriber::registry().with(layer(tracing_layer(tracer.clone())));
    tracing::subscriber::with_default(subscriber, || work(&tracer));
    assert!(current().is_none());
    tracer.flush();
    reporter.spans()
}

fn recorded(work: impl FnOnce(&Tracer)) -> Spans {
    recorded_with(true, |layer| layer, work)
}

fn tag<'a>(span: &'a tracewell_model::Span, key: &str) -> Option<&'a Value> {
    span.tags.iter().find(|(candidate, _)| candidate == key).map(|(_, value)| value)
}

#[test]
fn fields_become_tags_with_their_types() {
    let spans = recorded(|_| {
        let error: &(dyn std::error::Error + 'static) = &fmt::Error;
        let span = info_span!(
            "first",
            otel.name = "second",
            otel.kind = "Producer",
            whole = 1,
            large = u64::MAX,
            real = 0.5,
            truth = true,
            text = "a",
            shown = %"b",
            debugged = ?vec![1],
            failure = error,
            later = Empty
        );
        span.record("later", 3);
    });
    let [span] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((span.name.as_str(), span.kind, span.status), ("second", Kind::Producer, StatusCode::Error));
    for (key, value) in [
        ("whole", Value::I64(1)),
        ("large", Value::I64(i64::MAX)),
        ("real", Value::F64(0.5)),
        ("truth", Value::Bool(true)),
        ("text", Value::Str("a".into())),
        ("shown", Value::Str("b".into())),
        ("debugged", Value::Str("[1]".into())),
        ("failure", Value::Str(fmt::Error.to_string())),
        ("later", Value::I64(3)),
    ] {
        assert_eq!(tag(span, key), Some(&value), "{key}");
    }
    assert_eq!(tag(span, "otel.kind"), None);
}

#[test]
fn events_become_annotations_of_the_span_they_happen_in() {
    let with = |layer: TracingLayer| layer.with_target(true).with_location(true);
    let spans = recorded_with(true, with, |_| {
        let outer = info_span!("outer").entered();
        let inner = info_span!("inner");
        info!(parent: &inner, attempt = 2, "for {}", "inner");
        info!(only = "fields");
        error!(code = 7, "broken");
        drop(outer);
    });
    let [inner, outer] = &spans[..] else { panic!("{spans:?}") };
    let note = &inner.annotations[0];
    assert_eq!(note.value, "for inner");
    assert_eq!(note.details[0], ("level".to_owned(), Value::Str("INFO".into())));
    assert_eq!(note.details[1], ("attempt".to_owned(), Value::I64(2)));
    let keys: Vec<&str> = note.details[2..].iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["target", "code.file.path", "code.line.number"]);
    assert_eq!((outer.annotations[0].value.as_str(), outer.annotations[1].value.as_str()), ("", "broken"));
    assert_eq!((outer.status, outer.status_message.as_str()), (StatusCode::Error, "broken"));
    assert_eq!(tag(outer, "target"), Some(&Value::Str("tracing_layer".into())));
}

#[test]
fn spans_of_both_worlds_are_each_others_parents() {
    let spans = recorded(|tracer| {
        let request = tracer.new_trace("ours").entered();
        let theirs = info_span!("theirs").entered();
        current().tag("from", "ours");
        let own = current().new_child("ours again").entered();
        let deep = info_span!("theirs again");
        deep.in_scope(|| deep.in_scope(|| assert!(current().is_recorded())));
        let root = info_span!(parent: None, "root");
        let explicit = info_span!(parent: &theirs, "explicit");
        explicit.follows_from(&root);
        drop((deep, explicit, root));
        drop((own, theirs, request));
    });
    let of = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!(spans.len(), 6);
    assert_eq!(of("theirs").parent, Some(of("ours").id));
    assert_eq!(of("ours again").parent, Some(of("theirs").id));
    assert_eq!(of("theirs again").parent, Some(of("ours again").id));
    assert_eq!((of("explicit").parent, of("root").parent), (Some(of("theirs").id), None));
    assert_ne!(of("root").trace_id, of("ours").trace_id);
    assert_eq!(of("explicit").links[0].span_id, of("root").id);
    assert_eq!(tag(of("theirs"), "from"), Some(&Value::Str("ours".into())));
}

#[test]
fn a_parent_that_came_with_a_request_decides() {
    let came = |sampled| TraceContext::new(TraceId::new(7), SpanId::new(9)).with_sampled(Some(sampled));
    for sampler in [true, false] {
        for sampled in [true, false] {
            let spans = recorded_with(
                sampler,
                |layer| layer,
                |_| {
                    let span = info_span!("request", http.method = "GET");
                    assert!(span.set_parent(&came(sampled)));
                    assert!(span.add_link(&came(true)));
                    let context = span.context().unwrap();
                    assert_eq!((context.trace_id(), context.parent_id()), (TraceId::new(7), SpanId::new(9)));
                    span.in_scope(|| drop(info_span!("child")));
                },
            );
            assert_eq!(spans.len(), if sampled { 2 } else { 0 }, "{sampler} {sampled}");
            let Some(request) = spans.iter().find(|span| span.name == "request") else { continue };
            assert_eq!((request.parent, tag(request, "http.method").is_some()), (Some(SpanId::new(9)), true));
            assert_eq!(request.links.len(), 1);
        }
    }
    assert!(!info_span!("nobody's").set_parent(&came(true)));
}

#[test]
fn what_is_not_recorded_is_current_all_the_same() {
    let spans = recorded_with(
        false,
        |layer| layer,
        |_| {
            let span = info_span!("no", a = 1);
            let _entered = span.enter();
            info!("nothing");
            error!("nothing");
            assert_eq!(current().context().unwrap().sampled(), Some(false));
            assert_eq!(current().context(), span.context());
            assert!(!current().new_child("neither").is_recorded());
        },
    );
    assert!(spans.is_empty());
}

/// Formatting a field may use `tracing` itself.
#[test]
fn a_field_whose_text_logs() {
    struct Logs;
    impl fmt::Debug for Logs {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let _span = info_span!("inside").entered();
            info!(deep = ?"x", "while formatting");
            f.write_str("logged")
        }
    }
    let spans = recorded(|_| {
        // First where `tracing` is not busy: it decides then whether anybody wants what is inside.
        drop(format!("{Logs:?}"));
        let span = info_span!("outer", first = ?Logs, later = Empty);
        span.record("later", tracing::field::debug(Logs));
        span.in_scope(|| info!(field = ?Logs, "message {:?}", Logs));
    });
    let outer = spans.iter().find(|span| span.name == "outer").unwrap();
    assert_eq!(tag(outer, "first"), Some(&Value::Str("logged".into())));
    assert_eq!(tag(outer, "later"), Some(&Value::Str("logged".into())));
    assert_eq!(outer.annotations[0].value, "message logged");
    // While a span is made or an event dispatched, `tracing` keeps away what is inside; not while a field is recorded.
    assert_eq!(spans.iter().filter(|span| span.name == "inside").count(), 2);
}

#[test]
fn many_threads_and_futures() {
    use tracing::Instrument;
    let spans = recorded(|_| {
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let _default = tracing::dispatcher::set_default(&dispatch);
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    runtime.block_on(async {
                        let request = |number: i64| {
                            async move {
                                tokio::task::yield_now().await;
                                current().tag("number", number);
                                async { tokio::task::yield_now().await }.instrument(info_span!("part", number)).await;
                                info!(number, "done");
                            }
                            .instrument(info_span!("request"))
                        };
                        for number in 0..50 {
                            tokio::join!(request(number), request(number + 100));
                        }
                    });
                });
            }
        });
    });
    assert_eq!(spans.len(), 4 * 50 * 2 * 2);
    for request in spans.iter().filter(|span| span.name == "request") {
        let number = tag(request, "number").unwrap();
        assert_eq!(request.annotations[0].details[1].1, *number);
        let part = spans.iter().find(|span| span.parent == Some(request.id)).unwrap();
        assert_eq!(tag(part, "number"), Some(number));
    }
}
