//! Spans on their way to servers that are down, slow, full, broken or coming back: nothing blocks whoever records, memory
//! stays bounded, the counters tell the truth, and what was kept arrives.

#![cfg(feature = "zipkin")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

mod support;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use support::{PATIENCE, Reaction, Request, Server, header};
use tracewell::sampler::ConstSampler;
use tracewell::{BatchOptions, HttpOptions, Tracer, TracerStats, ZipkinReporter};

const MILLI: Duration = Duration::from_millis(1);

/// Patient with nothing, so that tests are fast.
fn batch() -> BatchOptions {
    BatchOptions::default().interval(MILLI).backoff(5 * MILLI, 20 * MILLI)
}

fn tracer_with(address: SocketAddr, batch: BatchOptions, http: HttpOptions) -> Tracer {
    let reporter = ZipkinReporter::builder(&format!("http://{address}")).unwrap().batch(batch).http(http).build();
    Tracer::builder("shop").sampler(ConstSampler::new(true)).flush_interval(MILLI).build(reporter)
}

fn tracer(address: SocketAddr) -> Tracer {
    tracer_with(address, batch(), HttpOptions::default())
}

fn end(tracer: &Tracer, spans: u64) {
    for number in 0..spans {
        tracer.new_trace("GET /cart").tag("number", number as i64).tag("padding", "a text of some length").finish();
    }
}

/// The ids of spans in requests that were answered with a success.
fn taken(requests: &[Request]) -> Vec<String> {
    let success = |request: &&Request| {
        matches!(
            request.reaction,
            Reaction::Answer(202) | Reaction::AnswerAndHangUp(202) | Reaction::AnswerWith(202, _)
        )
    };
    requests.iter().filter(success).flat_map(ids).collect()
}

fn ids(request: &Request) -> Vec<String> {
    let spans: Vec<serde_json::Value> = serde_json::from_slice(&request.body).unwrap();
    spans.iter().map(|span| span["id"].as_str().unwrap().to_owned()).collect()
}

fn distinct(ids: &[String]) -> usize {
    ids.iter().collect::<HashSet<_>>().len()
}

/// Reported, failed, dropped.
fn outcome(stats: TracerStats) -> (u64, u64, u64) {
    (stats.reported, stats.failed, stats.dropped)
}

/// Answers by the body, once it is there.
fn by_body(mut react: impl FnMut(&[u8]) -> Reaction + Send + 'static) -> impl FnMut(usize, &[u8]) -> Reaction + Send {
    let mut asked = false;
    move |_, body| {
        asked = !asked;
        if asked { Reaction::Answer(0) } else { react(body) }
    }
}

#[test]
fn spans_arrive_in_batches_over_one_connection() {
    let server = Server::start(|_, _| Reaction::Answer(202));
    let tracer = tracer_with(server.address, batch().spans_max(40).interval(PATIENCE), HttpOptions::default());
    end(&tracer, 100);
    tracer.flush();
    assert_eq!(outcome(tracer.stats()), (100, 0, 0));
    end(&tracer, 1);
    let stats = tracer.close();
    assert_eq!((outcome(stats), stats.queued, stats.queued_bytes, stats.retries), ((101, 0, 0), 0, 0, 0));
    let requests = server.requests();
    let sizes: Vec<usize> = requests.iter().map(|request| ids(request).len()).collect();
    assert_eq!(sizes, [40, 40, 20, 1]);
    assert!(requests.iter().all(|request| request.connection == 0), "one connection");
    assert!(requests[0].head.starts_with("POST /api/v2/spans HTTP/1.1\r\n"), "{}", requests[0].head);
    assert_eq!(header(&requests[0].head, "content-type"), Some("application/json"));
    assert_eq!(distinct(&taken(&requests)), 101);
    let span: Vec<serde_json::Value> = serde_json::from_slice(&requests[3].body).unwrap();
    assert_eq!((&span[0]["name"], &span[0]["localEndpoint"]["serviceName"]), (&"GET /cart".into(), &"shop".into()));
    assert_eq!((&span[0]["tags"]["number"], &span[0]["tags"]["sampler.type"]), (&"0".into(), &"const".into()));
    assert!(span[0]["timestamp"].as_u64().unwrap() > 1_500_000_000_000_000);
}

#[test]
fn headers_and_gzip_go_with_it() {
    let server = Server::start(|_, _| Reaction::Answer(202));
    let http = HttpOptions::default().gzip(true).basic_auth("user", "secret").unwrap().header("x-tenant", "a").unwrap();
    let tracer = tracer_with(server.address, batch().interval(PATIENCE), http);
    end(&tracer, 50);
    assert_eq!(outcome(tracer.close()), (50, 0, 0));
    let request = &server.requests()[0];
    assert_eq!(header(&request.head, "authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
    assert_eq!(header(&request.head, "x-tenant"), Some("a"));
    assert_eq!(header(&request.head, "content-encoding"), Some("gzip"));
    let json = tracewell_wire::gunzip(&request.body, 1 << 20).unwrap();
    assert_eq!(serde_json::from_slice::<Vec<serde_json::Value>>(&json).unwrap().len(), 50);
}

#[test]
fn what_is_kept_while_the_server_is_down_arrives_when_it_returns() {
    let address = Server::nowhere();
    let tracer = tracer(address);
    end(&tracer, 100);
    tracer.flush();
    let stats = tracer.stats();
    assert_eq!((outcome(stats), stats.queued), ((0, 0, 0), 100), "a flush ends though nobody is there");
    assert!(stats.queued_bytes > 0);
    end(&tracer, 100);
    let server = Server::start_at(address, |_, _| Reaction::Answer(202));
    let stats = tracer.flush_async().within(PATIENCE).wait();
    assert_eq!((outcome(stats), stats.queued, stats.queued_bytes), ((200, 0, 0), 0, 0));
    assert!(stats.retries > 0);
    let ids = taken(&server.requests());
    assert_eq!((ids.len(), distinct(&ids)), (200, 200), "nothing twice");
}

#[test]
fn memory_is_bounded_while_the_server_is_down_and_the_newest_are_dropped() {
    const ROOM: usize = 20_000;
    let address = Server::nowhere();
    let tracer = tracer_with(address, batch().queue_bytes_max(ROOM), HttpOptions::default());
    for _ in 0..20 {
        end(&tracer, 100);
        tracer.flush();
        assert!(tracer.stats().queued_bytes <= ROOM as u64);
    }
    let stats = tracer.stats();
    assert!(stats.dropped > 1_000 && stats.queued > 20, "{stats:?}");
    assert_eq!(stats.queued + stats.dropped, 2_000, "{stats:?}");
    let server = Server::start_at(address, |_, _| Reaction::Answer(202));
    let after = tracer.flush_async().within(PATIENCE).wait();
    assert_eq!(outcome(after), (stats.queued, 0, stats.dropped));
    assert_eq!(distinct(&taken(&server.requests())) as u64, stats.queued);
    end(&tracer, 10);
    assert_eq!(outcome(tracer.close()), (stats.queued + 10, 0, stats.dropped), "there is room again");
}

#[test]
fn a_server_that_never_answers_holds_up_nobody() {
    let server = Server::start(|_, _| Reaction::Never);
    let http = HttpOptions::default().timeout(PATIENCE);
    let tracer = tracer_with(server.address, batch().queue_bytes_max(30_000), http);
    end(&tracer, 1);
    server.wait_for_requests(1);
    // Would take an hour if anything of it waited for the server.
    for _ in 0..50 {
        end(&tracer, 100);
        tracer.flush_async().within(MILLI).wait();
    }
    let stats = tracer.stats();
    assert!(stats.queued_bytes <= 30_000 && stats.dropped > 0, "{stats:?}");
    let stats = tracer.close_async().within(20 * MILLI).wait();
    assert_eq!((stats.reported, stats.failed + stats.dropped, stats.queued), (0, 5_001, 0), "{stats:?}");
}

#[test]
fn an_answer_that_takes_too_long_is_not_waited_for() {
    let server = Server::start(|number, _| if number == 0 { Reaction::Never } else { Reaction::Answer(202) });
    let tracer = tracer_with(server.address, batch(), HttpOptions::default().timeout(50 * MILLI));
    end(&tracer, 10);
    let stats = tracer.flush_async().within(PATIENCE).wait();
    assert_eq!(outcome(stats), (10, 0, 0));
    assert!(stats.retries >= 1);
}

#[test]
fn failures_that_may_pass_are_tried_again() {
    for status in [429, 500, 502, 503, 504] {
        let answer = move |number, _: &[u8]| Reaction::Answer(if number < 3 { status } else { 202 });
        let server = Server::start(answer);
        let tracer = tracer(server.address);
        end(&tracer, 10);
        let stats = tracer.flush_async().within(PATIENCE).wait();
        assert_eq!((outcome(stats), stats.retries), ((10, 0, 0), 3), "{status}");
        assert_eq!(distinct(&taken(&server.requests())), 10);
    }
}

#[test]
fn refusals_are_not_tried_again() {
    for status in [301, 400, 401, 403, 404, 411, 415, 501] {
        let server = Server::start(move |number, _| Reaction::Answer(if number == 0 { status } else { 202 }));
        let (problems, told) = std::sync::mpsc::sync_channel(10);
        let options = batch().interval(PATIENCE).on_problem(move |problem| problems.send(problem.to_string()).unwrap());
        let tracer = tracer_with(server.address, options, HttpOptions::default());
        end(&tracer, 10);
        tracer.flush();
        assert_eq!(outcome(tracer.stats()), (0, 10, 0), "{status}");
        end(&tracer, 5);
        assert_eq!(outcome(tracer.close()), (5, 10, 0), "{status}");
        assert_eq!(server.requests().len(), 2);
        let problem = told.recv().unwrap();
        assert!(problem.contains("10 spans are lost") && problem.contains(&status.to_string()), "{problem}");
    }
}

#[test]
fn a_batch_at_which_the_server_always_fails_does_not_hold_up_the_others_for_ever() {
    let poisoned = |body: &[u8]| body.windows(6).any(|window| window == b"poison");
    let server = Server::start(by_body(move |body| Reaction::Answer(if poisoned(body) { 500 } else { 202 })));
    let tracer = tracer(server.address);
    tracer.new_trace("poison").finish();
    tracer.flush();
    end(&tracer, 10);
    assert_eq!(outcome(tracer.flush_async().within(PATIENCE).wait()), (10, 1, 0));
}

#[test]
fn a_server_that_says_when_is_not_asked_before() {
    let answer = |number, _: &[u8]| match number {
        0 => Reaction::AnswerWith(429, "Retry-After: 1"),
        _ => Reaction::Answer(202),
    };
    let server = Server::start(answer);
    let tracer = tracer(server.address);
    end(&tracer, 10);
    let requests = server.wait_for_requests(2);
    let pause = requests[1].at - requests[0].at;
    assert!(pause >= Duration::from_millis(990), "{pause:?}");
    assert_eq!(outcome(tracer.close()), (10, 0, 0));
}

#[test]
fn cut_connections_lose_nothing() {
    for cut in [Reaction::CutBody, Reaction::CutAnswer] {
        let react = move |number, _: &[u8]| if number < 3 { cut.clone() } else { Reaction::Answer(202) };
        let server = Server::start(react);
        let tracer = tracer(server.address);
        end(&tracer, 3_000);
        let stats = tracer.flush_async().within(PATIENCE).wait();
        assert_eq!(outcome(stats), (3_000, 0, 0));
        assert_eq!(distinct(&taken(&server.requests())), 3_000);
    }
}

#[test]
fn a_connection_that_the_server_closed_meanwhile_is_made_anew() {
    let server = Server::start(|_, _| Reaction::AnswerAndHangUp(202));
    let tracer = tracer(server.address);
    for round in 1..=20 {
        end(&tracer, 1);
        assert_eq!(outcome(tracer.flush_async().within(PATIENCE).wait()), (round, 0, 0));
    }
    assert_eq!(distinct(&taken(&server.requests())), 20);
}

#[test]
fn a_batch_that_is_too_large_for_the_server_is_cut() {
    const LIMIT: usize = 4_000;
    let react = |body: &[u8]| Reaction::Answer(if body.len() > LIMIT { 413 } else { 202 });
    let server = Server::start(by_body(react));
    let tracer = tracer_with(server.address, batch().interval(PATIENCE), HttpOptions::default());
    end(&tracer, 200);
    tracer.new_trace("large").tag("text", &*"x".repeat(LIMIT)).finish();
    end(&tracer, 200);
    let stats = tracer.flush_async().within(PATIENCE).wait();
    assert_eq!((outcome(stats), stats.retries), ((400, 1, 0), 0));
    assert_eq!(distinct(&taken(&server.requests())), 400);
}

#[test]
fn bodies_stay_below_our_own_limit() {
    let server = Server::start(|_, _| Reaction::Answer(202));
    let options = batch().interval(PATIENCE).body_bytes_max(5_000);
    let tracer = tracer_with(server.address, options, HttpOptions::default());
    end(&tracer, 300);
    tracer.new_trace("large").tag("text", &*"x".repeat(6_000)).finish();
    assert_eq!(outcome(tracer.close()), (300, 1, 0));
    assert!(server.requests().iter().all(|request| request.body.len() <= 5_000));
}

#[test]
fn what_is_lost_at_the_end_is_counted() {
    let tracer = tracer(Server::nowhere());
    end(&tracer, 100);
    let stats = tracer.close();
    assert_eq!((outcome(stats), stats.queued), ((0, 100, 0), 0), "one try, and it is over");
    let mut late = tracer.new_trace("late");
    late.finish();
    assert_eq!(outcome(tracer.close()), (0, 100, 1));
}

#[test]
fn an_end_with_patience_waits_for_the_server() {
    let address = Server::nowhere();
    let tracer = tracer(address);
    end(&tracer, 100);
    let closing = {
        let tracer = tracer.clone();
        std::thread::spawn(move || tracer.close_async().within(PATIENCE).wait())
    };
    // It has tried at least once by then.
    let begun = Instant::now();
    while tracer.stats().retries < 2 {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    let _server = Server::start_at(address, |_, _| Reaction::Answer(202));
    assert_eq!(outcome(closing.join().unwrap()), (100, 0, 0));
}
