//! The current span: across polls, tasks, threads, panics, and guards dropped in any order.

use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Waker};

use tracewell::sampler::ConstSampler;
use tracewell::{InMemoryReporter, InSpanExt, Span, SpanId, Tracer, Value, current, in_current};

fn tracer(sampled: bool) -> (Tracer, InMemoryReporter) {
    let reporter = InMemoryReporter::default();
    (Tracer::builder("shop").sampler(ConstSampler::new(sampled)).build(reporter.clone()), reporter)
}

fn current_id() -> Option<SpanId> {
    current().context().map(|context| context.span_id())
}

fn tag_of(reporter: &InMemoryReporter, span: &str, key: &str) -> Option<Value> {
    let spans = reporter.spans();
    let span = spans.iter().find(|candidate| candidate.name == span)?;
    span.tags.iter().find(|(candidate, _)| candidate == key).map(|(_, value)| value.clone())
}

#[test]
fn nothing_is_current_unless_entered() {
    let (tracer, _reporter) = tracer(true);
    let span = tracer.new_trace("idle");
    assert!(current().is_none() && !current().is_recorded());
    assert!(current().handle().is_none() && current().context().is_none());
    let child = current().tag("a", 1).error(&std::fmt::Error).new_child("child");
    assert!(!child.context().has_ids() && !child.is_recorded());
    let mut headers = Vec::new();
    current().inject(&tracewell::propagation::Propagation::default(), &mut headers);
    assert!(headers.is_empty());
    drop(span);
}

#[test]
fn guards_nest_and_may_be_dropped_in_any_order() {
    let (tracer, reporter) = tracer(true);
    let ids = ["a", "b", "c"].map(|name| tracer.new_trace(name)).map(|span| (span.context().span_id(), span.entered()));
    let [(a, enter_a), (b, enter_b), (c, enter_c)] = ids;
    assert_eq!(current_id(), Some(c));
    drop(enter_b);
    assert_eq!(current_id(), Some(c));
    drop(enter_c);
    assert_eq!(current_id(), Some(a));
    let again = enter_a.exit();
    assert_eq!((again.context().span_id(), current_id()), (a, None));
    tracer.flush();
    assert_eq!(reporter.take_spans().iter().map(|span| span.id).collect::<Vec<_>>(), [b, c]);

    let mut outer = again;
    let mut inner = outer.new_child("inner");
    let enter_outer = outer.enter();
    let enter_inner = inner.enter();
    drop(enter_outer);
    assert!(outer.is_recorded() && outer.context().span_id() == a);
    drop(enter_inner);
    assert_eq!((inner.context().parent_id(), current_id()), (a, None));
}

#[test]
fn a_panic_leaves_nothing_current_and_loses_no_span() {
    let (tracer, reporter) = tracer(true);
    let mut span = tracer.new_trace("fails");
    let failed = catch_unwind(AssertUnwindSafe(|| span.in_scope(|| panic!("as it does"))));
    assert!(failed.is_err() && current().is_none() && span.is_recorded());
    drop(span);

    let mut future = Box::pin(async { panic!("as it does") }.in_span(tracer.new_trace("polled")));
    let mut context = Context::from_waker(Waker::noop());
    assert!(catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context))).is_err());
    assert!(current().is_none());
    drop(future);
    assert_eq!(tracer.close().reported, 2);
    assert_eq!(reporter.spans().len(), 2);
}

#[test]
fn a_cancelled_future_is_dropped_under_its_span() {
    struct TagsWhenDropped;
    impl Drop for TagsWhenDropped {
        fn drop(&mut self) {
            current().tag("cancelled", true);
        }
    }
    let (tracer, reporter) = tracer(true);
    let work = async {
        let _guard = TagsWhenDropped;
        pending::<()>().await;
    };
    let mut future = Box::pin(work.in_span(tracer.new_trace("request")));
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(current().is_none());
    assert!(future.as_mut().span_mut().unwrap().is_recorded());
    drop(future);
    tracer.flush();
    assert_eq!(tag_of(&reporter, "request", "cancelled"), Some(Value::Bool(true)));
}

#[test]
fn futures_that_take_turns_on_one_thread_have_each_their_own() {
    let (tracer, reporter) = tracer(true);
    let step = |name: &'static str| async move {
        for turn in 0..3 {
            current().tag("turn", turn);
            current().annotate(name);
            tokio::task::yield_now().await;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let one = step("one").in_span(tracer.new_trace("one"));
        let two = step("two").in_span(tracer.new_trace("two"));
        tokio::join!(one, two);
    });
    tracer.flush();
    let spans = reporter.spans();
    assert_eq!(spans.len(), 2);
    for span in spans {
        assert!(span.annotations.iter().all(|note| note.value == span.name), "{span:?}");
        assert_eq!(span.annotations.len(), 3);
    }
}

#[test]
fn tasks_and_threads_write_to_the_span_that_spawned_them() {
    let (tracer, reporter) = tracer(true);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    let handler = |number: i64| async move {
        let part = |part: i64| async move {
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            assert_eq!(current().baggage_item("number").as_deref(), Some(&*number.to_string()));
            current().tag("part", part);
            current().new_child("part").tag("number", number);
        };
        current().set_baggage_item("number", &number.to_string());
        let parts: Vec<_> = (0..3).map(|number| tokio::spawn(part(number).in_current_span())).collect();
        let blocking = tokio::task::spawn_blocking(in_current(|| current().tag("blocking", true).is_none()));
        for part in parts {
            part.await.unwrap();
        }
        assert!(!blocking.await.unwrap());
        current().tag("number", number);
    };
    runtime.block_on(async {
        let requests: Vec<_> = (0..200)
            .map(|number| {
                let span = tracer.new_trace("request");
                tokio::spawn(async move {
                    let ((), mut span) = handler(number).with_span(span).await;
                    span.tag("http.status_code", 200);
                })
            })
            .collect();
        for request in requests {
            request.await.unwrap();
        }
    });
    assert_eq!(tracer.close().reported, 200 * 4);
    let spans = reporter.spans();
    let number = |span: &tracewell_model::Span| span.tags.iter().find(|(key, _)| key == "number").unwrap().1.clone();
    for span in spans.iter().filter(|span| span.name == "request") {
        let tags: Vec<&str> = span.tags.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(tags.iter().filter(|key| **key == "part").count(), 3, "{tags:?}");
        assert!(tags.contains(&"blocking") && tags.contains(&"number") && tags.contains(&"http.status_code"));
        let children: Vec<_> = spans.iter().filter(|child| child.parent == Some(span.id)).collect();
        assert_eq!(children.len(), 3);
        assert!(children.iter().all(|child| number(child) == number(span) && child.trace_id == span.trace_id));
    }
}

#[test]
fn a_handle_that_comes_late_changes_nothing() {
    let (tracer, reporter) = tracer(true);
    let mut span = tracer.new_trace("over");
    let handle = span.handle();
    handle.tag("early", true);
    assert!(handle.is_recorded());
    span.finish();
    handle.tag("late", true).error(&std::fmt::Error);
    let child = handle.new_child("child");
    assert_eq!(child.context().parent_id(), span.context().span_id());
    drop((span, child));
    drop(Span::from(handle));
    assert_eq!(tracer.close().reported, 2);
    assert_eq!(tag_of(&reporter, "over", "early"), Some(Value::Bool(true)));
    assert_eq!((tag_of(&reporter, "over", "late"), tag_of(&reporter, "over", "error")), (None, None));
}

#[test]
fn an_unsampled_trace_is_current_all_the_same() {
    let (tracer, reporter) = tracer(false);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let work = async {
            let mut headers = Vec::new();
            current().inject(&tracewell::propagation::Propagation::default(), &mut headers);
            assert!(headers[0].1.ends_with("-00"), "{headers:?}");
            let spawned = async { current().context().unwrap().sampled() };
            assert_eq!(tokio::spawn(spawned.in_current_span()).await.unwrap(), Some(false));
            assert!(!current().tag("a", 1).new_child("child").is_recorded());
        };
        pin!(work.in_span(tracer.new_trace("request"))).await;
    });
    assert_eq!((tracer.close().reported, reporter.spans().len()), (0, 0));
}

/// What users write may ask for the current span while it is being told something.
#[test]
fn an_error_whose_text_asks_for_the_current_span() {
    #[derive(Debug)]
    struct Asks;
    impl std::fmt::Display for Asks {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            current().annotate("asked");
            write!(f, "{}", current().is_recorded())
        }
    }
    impl std::error::Error for Asks {}
    let (tracer, reporter) = tracer(true);
    let mut span = tracer.new_trace("asks");
    let handle = span.handle();
    span.in_scope(|| current().error(&Asks));
    handle.error(&Asks);
    drop(span);
    tracer.flush();
    assert_eq!(tag_of(&reporter, "asks", "error"), Some(Value::Str("true".into())));
}
