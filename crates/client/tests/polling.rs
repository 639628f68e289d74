//! The sampler and the throttler that ask a server themselves.

#![cfg(feature = "jaeger")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use support::{PATIENCE, Reaction, Server};
use tracewell::sampler::{ConstSampler, PollingSampler, RemoteSampler};
use tracewell::{DebugThrottler, InMemoryReporter, Tracer};

const MILLI: Duration = Duration::from_millis(1);

/// Looks again and again until it is so.
fn until(mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "it did not come about");
        std::thread::yield_now();
    }
}

#[test]
fn the_sampler_asks_and_keeps_the_last_good_answer() {
    const ALWAYS: &[u8] = br#"{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":1.0}}"#;
    let server = Server::start(|number, _| match number {
        0 => Reaction::Say(200, ALWAYS),
        1 => Reaction::Say(200, b"<html>"),
        2 => Reaction::Answer(500),
        3 => Reaction::CutAnswer,
        _ => Reaction::Say(200, ALWAYS),
    });
    let sampler = PollingSampler::new(&server.url(""), "a shop").unwrap();
    let sampler = sampler.sampler(RemoteSampler::new(ConstSampler::new(false), 10)).interval(MILLI);
    let counters = sampler.counters();
    let tracer = Tracer::builder("a shop").sampler(sampler).build(InMemoryReporter::default());
    assert_eq!(server.requests().len(), 0, "nobody asks before there is something to decide");
    until(|| tracer.new_trace("one").is_recorded());
    let requests = server.wait_for_requests(6);
    assert!(requests[0].head.starts_with("GET /sampling?service=a%20shop HTTP/1.1\r\n"), "{}", requests[0].head);
    until(|| counters.answers() >= 3);
    assert!(tracer.new_trace("one").is_recorded(), "what was good holds");
    assert_eq!((counters.failures(), counters.updates(), counters.bad_answers()), (2, 1, 1));
    tracer.close();
}

#[test]
fn the_throttler_asks_for_the_operations_that_were_wanted() {
    let credits = br#"{"balances":[{"operation":"GET /","balance":2.0}]}"#;
    let server =
        Server::start(|number, _| if number == 0 { Reaction::Say(200, credits) } else { Reaction::Answer(500) });
    let throttler = Arc::new(DebugThrottler::polling(&server.url(""), "shop", "1f7a").unwrap().interval(MILLI));
    assert_eq!(server.requests().len(), 0, "nobody asks before a debug trace was wanted");
    assert!(!throttler.allow("GET /"));
    let request = &server.wait_for_requests(1)[0];
    let expected = "GET /credits?service=shop&uuid=1f7a&operations=GET%20%2F HTTP/1.1\r\n";
    assert!(request.head.starts_with(expected), "{}", request.head);
    until(|| throttler.balance("GET /") >= 2.0);
    assert_eq!((throttler.allow("GET /"), throttler.allow("GET /"), throttler.allow("GET /")), (true, true, false));
    let counters = throttler.counters().unwrap();
    until(|| counters.failures() >= 1);
    assert_eq!((counters.answers(), counters.updates()), (1, 1));
}
