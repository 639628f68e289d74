//! The tracer from outside: what begins, joins and continues a trace, and what becomes of spans when things go wrong.

use std::collections::HashSet;
use std::sync::mpsc;
use std::time::{Duration, UNIX_EPOCH};

use tracewell::propagation::{Format, Propagation, TraceContext};
use tracewell::sampler::ConstSampler;
use tracewell::{
    Done, InMemoryReporter, Kind, OwnedEndpoint, ReportError, Reporter, ReporterCounters, Resource, SpanId,
    SpanRecords, TraceId, Tracer, TracerStats, Value,
};

fn tracer(sampled: bool) -> (Tracer, InMemoryReporter) {
    let reporter = InMemoryReporter::default();
    (Tracer::builder("shop").sampler(ConstSampler::new(sampled)).build(reporter.clone()), reporter)
}

/// Reported, failed, dropped.
fn outcome(stats: TracerStats) -> (u64, u64, u64) {
    (stats.reported, stats.failed, stats.dropped)
}

fn remote(sampled: Option<bool>) -> TraceContext {
    TraceContext::new(TraceId::from_halves(7, 8), SpanId::new(9)).with_parent_id(SpanId::new(1)).with_sampled(sampled)
}

#[test]
fn a_span_arrives_as_it_was_recorded() {
    let (tracer, reporter) = tracer(true);
    let peer =
        OwnedEndpoint { service: "db".into(), ipv4: Some([10, 0, 0, 1]), port: 5432, ..OwnedEndpoint::default() };
    let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
    let mut span = tracer.new_trace("first");
    span.start_at(at(1_000)).kind(Kind::Client).name("query").remote_endpoint(&peer);
    span.tag("text", "a").tag("whole", 3).tag("real", 0.5).tag("true", true).tag("bytes", &b"x"[..]);
    span.annotate_at(at(1_001), "sent").log(&[("event", "retry".into()), ("attempt", 2.into())]);
    span.error(&std::fmt::Error);
    span.finish_at(at(1_250));
    let context = span.context().clone();
    drop(span);
    assert_eq!(outcome(tracer.close()), (1, 0, 0));

    let [span] = &reporter.spans()[..] else { panic!("one span, also after a second finish") };
    assert_eq!((span.trace_id, span.id, span.parent), (context.trace_id(), context.span_id(), None));
    assert_eq!((span.name.as_str(), span.kind, span.sampled, span.shared), ("query", Kind::Client, true, false));
    assert_eq!((span.start.unwrap().as_micros(), span.duration.unwrap().as_micros()), (1_000_000, 250_000));
    assert_eq!((span.local.as_ref().unwrap().service.as_str(), span.remote.as_ref()), ("shop", Some(&peer)));
    let tags: Vec<_> = span.tags.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    let expected = [
        ("sampler.type", Value::Str("const".into())),
        ("sampler.param", Value::Bool(true)),
        ("text", Value::Str("a".into())),
        ("whole", Value::I64(3)),
        ("real", Value::F64(0.5)),
        ("true", Value::Bool(true)),
        ("bytes", Value::Bytes(b"x".to_vec())),
        ("error", Value::Str(std::fmt::Error.to_string())),
    ];
    assert_eq!(tags, expected);
    assert_eq!((span.annotations[0].value.as_str(), span.annotations[0].time.as_micros()), ("sent", 1_001_000));
    assert_eq!(span.annotations[1].details[1], ("attempt".to_owned(), Value::I64(2)));
}

#[test]
fn times_read_from_the_fast_clock_agree_with_the_wall_clock() {
    let (tracer, reporter) = tracer(true);
    let wall = || u64::try_from(UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap();
    let before = wall();
    tracer.new_trace("now").annotate("then");
    let after = wall();
    tracer.flush();
    let span = &reporter.spans()[0];
    // The two clocks are held together to a few microseconds; a second apart, something is wrong.
    let near = |micros: u64| micros + 1_000_000 > before && micros < after + 1_000_000;
    assert!(near(span.start.unwrap().as_micros()), "{before} {:?} {after}", span.start.unwrap().as_micros());
    assert!(near(span.annotations[0].time.as_micros()));
    assert!(span.duration.unwrap().as_micros() <= 1_000_000 + after - before);
}

#[test]
fn a_decision_that_came_holds_and_one_left_open_is_the_samplers() {
    for (came, sampler, recorded) in
        [(Some(true), false, true), (Some(false), true, false), (None, true, true), (None, false, false)]
    {
        let (tracer, reporter) = tracer(sampler);
        let joined = tracer.join_span(&remote(came), "join");
        let child = tracer.new_child(&remote(came), "child");
        let grandchild = child.new_child("grandchild");
        for span in [&joined, &child, &grandchild] {
            assert_eq!(
                (span.is_recorded(), span.context().sampled()),
                (recorded, Some(recorded)),
                "{came:?} {sampler}"
            );
            assert_eq!(span.context().trace_id(), TraceId::from_halves(7, 8));
        }
        assert_eq!((joined.context().span_id(), joined.context().parent_id()), (SpanId::new(9), SpanId::new(1)));
        assert_eq!(child.context().parent_id(), SpanId::new(9));
        assert_eq!(grandchild.context().parent_id(), child.context().span_id());
        drop((joined, child, grandchild));
        tracer.flush();
        let shared: Vec<bool> = reporter.spans().iter().map(|span| span.shared).collect();
        let expected = if recorded { vec![came.is_some(), false, false] } else { vec![] };
        assert_eq!(shared, expected, "{came:?} {sampler}");
    }
}

#[test]
fn without_ids_a_trace_begins_by_what_came() {
    let (tracer, reporter) = tracer(true);
    let extract = |headers: &[(&str, &str)]| Propagation::new(&Format::ALL).extract(headers).context;
    assert!(!tracer.join_span(&extract(&[("b3", "0")]), "no").is_recorded());
    let debug = tracer.new_child(&extract(&[("jaeger-debug-id", "find me"), ("uberctx-user", "7")]), "debug");
    assert_eq!((debug.context().debug(), debug.baggage_item("user")), (true, Some("7")));
    assert!(debug.context().has_ids());
    drop(debug);
    tracer.flush();
    let [span] = &reporter.spans()[..] else { panic!("one span") };
    assert!(span.debug);
    assert_eq!(span.tags, [("jaeger-debug-id".to_owned(), Value::Str("find me".into()))]);
}

#[test]
fn baggage_travels_to_children_and_into_headers() {
    let (tracer, _reporter) = tracer(false);
    let mut span = tracer.new_trace("root");
    assert!(span.set_baggage_item("user", "7"));
    let child = span.new_child("child");
    let mut headers = Vec::new();
    Propagation::new(&[Format::Jaeger]).inject(child.context(), &mut headers);
    assert!(headers.contains(&("uberctx-user".to_owned(), "7".to_owned())), "{headers:?}");
}

#[test]
fn spans_of_many_threads_all_arrive() {
    let (tracer, reporter) = tracer(true);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let root = tracer.new_trace("root");
                    drop(root.new_child("child"));
                }
            });
        }
    });
    let moved = tracer.new_trace("moved");
    std::thread::spawn(move || drop(moved)).join().unwrap();
    assert_eq!(outcome(tracer.close()), (4001, 0, 0));
    let ids: HashSet<_> = reporter.spans().iter().map(|span| span.id).collect();
    assert_eq!(ids.len(), 4001);
}

/// Blocks in its first report until it is let go.
struct Stuck(mpsc::Sender<()>, mpsc::Receiver<()>);

impl Reporter for Stuck {
    fn report(&mut self, _: &Resource, _: &SpanRecords<'_>) -> Result<(), ReportError> {
        self.0.send(()).ok();
        self.1.recv().ok();
        Ok(())
    }
}

#[test]
fn a_full_queue_drops_the_newest_and_counts_them() {
    let (entered, wait_entered) = mpsc::channel();
    let (release, wait_release) = mpsc::channel();
    let builder = Tracer::builder("shop").sampler(ConstSampler::new(true)).queue_bytes(4096);
    let tracer = builder.flush_interval(Duration::ZERO).build(Stuck(entered, wait_release));
    tracer.new_trace("first").finish();
    wait_entered.recv().unwrap();
    for _ in 0..1000 {
        tracer.new_trace("next").finish();
    }
    let dropped = tracer.stats().dropped;
    assert!((900..1000).contains(&dropped), "{dropped}");
    drop(release);
    assert_eq!(outcome(tracer.close()), (1001 - dropped, 0, dropped));
}

#[test]
fn what_the_reporter_refuses_or_comes_too_late_is_counted() {
    struct Refuse;
    impl Reporter for Refuse {
        fn report(&mut self, _: &Resource, _: &SpanRecords<'_>) -> Result<(), ReportError> {
            Err("no".into())
        }
    }
    let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(Refuse);
    tracer.new_trace("refused").finish();
    let mut late = tracer.new_trace("late");
    assert_eq!(outcome(tracer.close()), (0, 1, 0));
    late.finish();
    let mut later = tracer.new_trace("later");
    std::thread::scope(|scope| scope.spawn(|| later.finish()).join().unwrap());
    assert_eq!(tracer.close().dropped, 2);
}

#[test]
fn a_reporter_that_panics_stops_nobody() {
    struct Panics;
    impl Reporter for Panics {
        fn report(&mut self, _: &Resource, _: &SpanRecords<'_>) -> Result<(), ReportError> {
            panic!("as it does")
        }
    }
    let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(Panics);
    tracer.new_trace("one").finish();
    tracer.flush();
    tracer.new_trace("two").finish();
    tracer.flush();
    assert_eq!(outcome(tracer.close()), (0, 1, 1));
}

#[test]
fn an_abandoned_span_is_not_reported() {
    let (tracer, reporter) = tracer(true);
    tracer.new_trace("no").abandon();
    assert_eq!((tracer.close().reported, reporter.spans().len()), (0, 0));
}

#[test]
fn no_span_is_uncounted_that_ends_while_the_tracer_closes() {
    const SPANS: u64 = 2_000;
    for round in 0..20 {
        let (tracer, _reporter) = tracer(true);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..SPANS).for_each(|_| tracer.new_trace("racing").finish()));
            }
            while tracer.stats().reported < 50 * round {
                tracer.flush();
            }
            tracer.close();
        });
        let (reported, failed, dropped) = outcome(tracer.stats());
        assert_eq!((reported + failed + dropped, failed), (2 * SPANS, 0), "{reported} {dropped}");
    }
}

#[test]
fn a_flush_ends_with_its_limit_though_the_reporter_keeps_spans() {
    #[derive(Default)]
    struct Keeps(ReporterCounters, Vec<Done>);
    impl Reporter for Keeps {
        fn report(&mut self, _: &Resource, spans: &SpanRecords<'_>) -> Result<(), ReportError> {
            self.0.queued(spans.len() as u64);
            Ok(())
        }

        fn flush(&mut self, done: Done) {
            self.1.push(done);
        }

        fn close(&mut self) {
            self.0.settled(0, self.0.stats().queued);
        }

        fn counters(&self) -> Option<ReporterCounters> {
            Some(self.0.clone())
        }
    }
    let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(Keeps::default());
    tracer.new_trace("kept").finish();
    let stats = wait(tracer.flush_async().within(Duration::from_millis(20)));
    assert_eq!((stats.queued, outcome(stats)), (1, (0, 0, 0)));
    let stats = wait(tracer.close_async().within(Duration::from_millis(20)));
    assert_eq!((stats.queued, outcome(stats)), (0, (0, 1, 0)));
    assert_eq!(outcome(wait(tracer.close_async())), (0, 1, 0), "a second time it is over at once");
}

/// An executor for one future, by a thread that parks.
fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::park();
    }
}
