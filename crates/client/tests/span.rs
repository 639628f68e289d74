//! What a span says and is: builders, links, priorities, errors, baggage, ids.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tracewell::propagation::{Format, Propagation, TraceContext};
use tracewell::sampler::ConstSampler;
use tracewell::{DebugThrottler, InMemoryReporter, Kind, Span, SpanId, StatusCode, TraceId, TraceIds, Tracer, Value};
use tracewell::{TracerBuilder, TracerStats};

fn tracer_with(sampled: bool, settings: impl FnOnce(TracerBuilder) -> TracerBuilder) -> (Tracer, InMemoryReporter) {
    let reporter = InMemoryReporter::default();
    let builder = Tracer::builder("shop").sampler(ConstSampler::new(sampled));
    (settings(builder).build(reporter.clone()), reporter)
}

fn tracer(sampled: bool) -> (Tracer, InMemoryReporter) {
    tracer_with(sampled, |builder| builder)
}

fn remote() -> TraceContext {
    TraceContext::new(TraceId::from_halves(7, 8), SpanId::new(9)).with_parent_id(SpanId::new(1))
}

fn finished(tracer: &Tracer, reporter: &InMemoryReporter, span: Span) -> tracewell_model::Span {
    drop(span);
    tracer.flush();
    reporter.take_spans().remove(0)
}

fn text(value: &str) -> Value {
    Value::Str(value.to_owned())
}

#[test]
fn a_builder_says_it_all_before_the_span_begins() {
    let (tracer, reporter) = tracer(true);
    let cause = TraceContext::new(TraceId::new(5), SpanId::new(6));
    let other = TraceContext::new(TraceId::new(5), SpanId::new(7));
    let span = tracer
        .span("charge")
        .tag("first", 1)
        .follows_from(&cause)
        .child_of(&remote())
        .child_of(&other)
        .kind(Kind::Client)
        .start_at(UNIX_EPOCH + Duration::from_secs(1))
        .start();
    assert_eq!((span.context().trace_id(), span.context().parent_id()), (remote().trace_id(), remote().span_id()));
    let mut span = span;
    span.finish_at(UNIX_EPOCH + Duration::from_secs(3));
    let span = finished(&tracer, &reporter, span);
    assert_eq!((span.name.as_str(), span.kind), ("charge", Kind::Client));
    assert_eq!((span.start.unwrap().as_micros(), span.duration.unwrap().as_micros()), (1_000_000, 2_000_000));
    assert_eq!(span.tags[0], ("first".to_owned(), Value::I64(1)));
    let links: Vec<_> = span.links.iter().map(|link| (link.span_id.value(), link.child_of)).collect();
    assert_eq!(links, [(6, false), (7, true)]);
}

#[test]
fn without_a_parent_the_first_reference_is_it() {
    let (tracer, reporter) = tracer(true);
    let span = tracer.span("late").follows_from(&remote()).start();
    let span = finished(&tracer, &reporter, span);
    assert_eq!((span.trace_id, span.parent), (remote().trace_id(), Some(remote().span_id())));
    assert_eq!((span.links.len(), span.links[0].child_of), (1, false));
    assert!(!span.tags.iter().any(|(key, _)| key == "sampler.type"));
    // Of a context without ids, what else it holds counts.
    let hints = TraceContext::default().with_baggage_item("user", "7").with_sampled(Some(false));
    let root = tracer.span("root").child_of(&hints).tag("a", 1).start();
    assert_eq!((root.is_recorded(), root.baggage_item("user"), root.context().has_ids()), (false, Some("7"), true));
}

#[test]
fn a_builder_of_a_trace_that_is_not_recorded_leaves_nothing() {
    let (tracer, reporter) = tracer(false);
    let span = tracer.span("no").tag("a", 1).kind(Kind::Server).start();
    assert!(!span.is_recorded() && span.context().sampled() == Some(false));
    drop(span);
    assert_eq!((tracer.close().reported, reporter.spans().len()), (0, 0));
}

#[test]
fn one_span_per_rpc_shares_the_callers_span() {
    let (tracer, reporter) = tracer_with(true, |builder| builder.one_span_per_rpc(true));
    let came = remote().with_sampled(Some(true));
    let server = finished(&tracer, &reporter, tracer.span("s").child_of(&came).kind(Kind::Server).start());
    assert_eq!((server.id, server.parent, server.shared), (came.span_id(), Some(SpanId::new(1)), true));
    let client = finished(&tracer, &reporter, tracer.span("c").child_of(&came).kind(Kind::Client).start());
    assert_eq!((client.parent, client.shared), (Some(came.span_id()), false));
}

#[test]
fn sampling_priority_switches_on_and_off() {
    let (tracer, reporter) = tracer_with(false, |builder| builder.late_sampling(true));
    let mut span = tracer.new_trace("first");
    span.tag("lost", 1).name("second").start_at(UNIX_EPOCH + Duration::from_secs(1));
    span.tag("sampling.priority", 1).tag("kept", 2);
    assert!(span.context().debug() && span.context().sampled() == Some(true));
    assert!(span.new_child("child").is_recorded());
    drop(span);
    tracer.flush();
    let [_, span] = &reporter.spans()[..] else { panic!("a child and the span") };
    assert_eq!((span.name.as_str(), span.debug, span.start.unwrap().as_micros()), ("second", true, 1_000_000));
    let keys: Vec<_> = span.tags.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["sampling.priority", "kept"]);

    let (tracer, reporter) = self::tracer(true);
    let mut span = tracer.new_trace("off");
    span.tag("sampling.priority", 0).tag("more", 1);
    assert!(!span.is_recorded() && span.context().sampled() == Some(false) && !span.new_child("child").is_recorded());
    let mut odd = tracer.new_trace("odd");
    odd.tag("sampling.priority", "no number");
    assert!(odd.is_recorded() && !odd.context().debug());
    drop((span, odd));
    tracer.flush();
    assert_eq!(reporter.spans().len(), 1);
    assert!(!reporter.spans()[0].tags.iter().any(|(key, _)| key == "sampling.priority"));
}

#[test]
fn a_throttler_allows_debug_spans_or_not() {
    let throttler = Arc::new(DebugThrottler::default());
    let (tracer, reporter) = tracer_with(true, |builder| builder.throttler(Arc::clone(&throttler)));
    let is_debug = |tracer: &Tracer| {
        let mut span = tracer.new_trace("GET");
        span.name("op").tag("sampling.priority", 1);
        span.context().debug()
    };
    assert!(!is_debug(&tracer));
    throttler.add_credits(br#"{"balances":[{"operation":"op","balance":2}]}"#).unwrap();
    assert!(is_debug(&tracer));
    assert!(tracer.span("op").tag("sampling.priority", 1).start().context().debug());
    assert!(!is_debug(&tracer));
    let debug_id = Propagation::new(&Format::ALL).extract(&[("jaeger-debug-id", "x")][..]).context;
    assert!(!tracer.new_child(&debug_id, "op").context().debug());
    assert_eq!(tracer.close(), TracerStats { reported: 5, throttled_debug_spans: 3, ..TracerStats::default() });
    assert_eq!(reporter.spans().iter().filter(|span| span.debug).count(), 2);
}

#[derive(Debug)]
struct NotFound(fmt::Error);

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not found")
    }
}

impl Error for NotFound {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn errors_in_zipkins_words_and_in_opentracings() {
    let (tracer, reporter) = tracer(true);
    let mut span = tracer.new_trace("zipkin");
    span.error(&NotFound(fmt::Error));
    let span = finished(&tracer, &reporter, span);
    assert_eq!((span.status, span.status_message.as_str()), (StatusCode::Error, "not found"));
    assert_eq!(span.tags.last().unwrap(), &("error".to_owned(), text("not found")));

    let mut span = tracer.new_trace("opentracing");
    span.log_error(&NotFound(fmt::Error));
    let span = finished(&tracer, &reporter, span);
    assert_eq!(span.tags.last().unwrap(), &("error".to_owned(), Value::Bool(true)));
    let keys: Vec<_> = span.annotations[0].details.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["event", "message", "error.object", "error.kind", "stack"]);
    assert_eq!(span.annotations[0].details[2].1, text("NotFound(Error)"));
    assert_eq!(span.annotations[0].details[3].1, text("span::NotFound"));
    assert_eq!(span.annotations[0].details[4].1, text(&format!("not found\ncaused by: {}", fmt::Error)));
}

#[test]
fn errors_that_are_none_are_ignored() {
    let (tracer, reporter) = tracer_with(true, |builder| builder.ignore_errors(|error| error.is::<NotFound>()));
    let mut span = tracer.new_trace("fine");
    span.error(&NotFound(fmt::Error)).log_error(&NotFound(fmt::Error));
    let fine = finished(&tracer, &reporter, span);
    assert_eq!((fine.status, fine.annotations.len()), (StatusCode::Unset, 0));
    let mut span = tracer.new_trace("not fine");
    span.error(&fmt::Error);
    assert_eq!(finished(&tracer, &reporter, span).status, StatusCode::Error);
}

#[test]
fn baggage_is_logged_as_jaegers_clients_do() {
    let (tracer, reporter) = tracer(true);
    let mut span = tracer.new_trace("baggage");
    span.set_baggage_item("user", "7");
    span.set_baggage_item("user", "8");
    span.remove_baggage_item("user");
    span.remove_baggage_item("user");
    let span = finished(&tracer, &reporter, span);
    let logs: Vec<Vec<&str>> = span
        .annotations
        .iter()
        .map(|annotation| annotation.details.iter().map(|(key, _)| key.as_str()).collect())
        .collect();
    assert_eq!(logs.len(), 3);
    assert_eq!(logs[0], ["event", "key", "value"]);
    assert_eq!(logs[1], ["event", "key", "value", "override"]);
    assert_eq!(span.annotations[0].details[2].1, text("7"));
}

#[test]
fn ids_of_three_kinds() {
    let id = |ids| tracer_with(false, |builder| builder.trace_ids(ids)).0.new_trace("id").context().trace_id();
    assert_eq!(id(TraceIds::Random64).high(), 0);
    assert_ne!(id(TraceIds::Random128).high(), 0);
    let now = UNIX_EPOCH.elapsed().unwrap().as_secs();
    let seconds = id(TraceIds::EpochPrefixed128).high() >> 32;
    assert!(seconds.abs_diff(now) < 60, "{seconds} {now}");
}

#[test]
fn malformed_headers_are_counted_and_fail_nobody() {
    let (tracer, _reporter) = tracer(true);
    let propagation = Propagation::new(&Format::ALL);
    for headers in [&[("b3", "nonsense")][..], &[("uber-trace-id", "1:2"), ("traceparent", "x")], &[("b3", "0")], &[]] {
        let context = tracer.extract(&propagation, headers).context;
        assert!(tracer.new_child(&context, "request").context().has_ids());
    }
    assert_eq!(tracer.close().malformed_headers, 2);
}
