//! What each reporter sends, read again by the decoders that the server has; and what it makes of answers.

#![cfg(all(feature = "zipkin", feature = "jaeger", feature = "otlp"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

mod support;

use std::net::UdpSocket;
use std::time::Duration;

use support::{PATIENCE, Reaction, Request, Server, header};
use tracewell::sampler::ConstSampler;
use tracewell::{
    BatchOptions, CompositeReporter, FnReporter, HttpOptions, InMemoryReporter, JaegerAgentReporter,
    JaegerCollectorReporter, Kind, OtlpHttpReporter, OwnedEndpoint, Reporter, Tracer, TracerStats, Value,
    ZipkinEncoding, ZipkinReporter,
};
use tracewell_model::{Span, SpanBatch};
use tracewell_wire::jaeger::{Sanitizers, ThriftProtocol, decode_agent_message, decode_thrift_batch};
use tracewell_wire::{Limits, otlp, zipkin_v2};

fn tracer(reporter: impl Reporter + 'static) -> Tracer {
    let endpoint = OwnedEndpoint { service: "shop".into(), ipv4: Some([10, 1, 2, 3]), ..OwnedEndpoint::default() };
    let builder = Tracer::builder("shop").local_endpoint(endpoint).resource_tag("hostname", "h1");
    // Long, so that a test decides when spans are given to the reporter.
    builder.sampler(ConstSampler::new(true)).flush_interval(PATIENCE).build(reporter)
}

fn batch() -> BatchOptions {
    BatchOptions::default().interval(PATIENCE).backoff(Duration::from_millis(5), Duration::from_millis(20))
}

/// A trace of two spans that has something of everything.
fn record(tracer: &Tracer) {
    let mut root = tracer.new_trace("GET /cart");
    root.kind(Kind::Server).tag("text", "ü").tag("whole", 3).tag("real", 0.5).tag("true", true);
    let peer = OwnedEndpoint { service: "db".into(), ipv4: Some([10, 0, 0, 1]), port: 5432, ..Default::default() };
    let mut child = root.new_child("query");
    child.kind(Kind::Client).remote_endpoint(&peer).log(&[("event", "retry".into()), ("attempt", 2.into())]);
    child.error(&std::fmt::Error);
    drop((child, root));
}

fn spans(batch: &SpanBatch) -> Vec<Span> {
    (0..batch.len()).map(|at| batch.span(at).to_span()).collect()
}

/// Sends a trace by both the reporter and the in-memory one.
fn sent(reporter: impl Reporter + 'static) -> (Vec<Span>, TracerStats) {
    let kept = InMemoryReporter::default();
    let tracer = tracer(CompositeReporter::default().with(reporter).with(kept.clone()));
    record(&tracer);
    let stats = tracer.close_async().within(PATIENCE).wait();
    (kept.spans(), stats)
}

/// What every format keeps.
fn check(decoded: &[Span], recorded: &[Span]) {
    assert_eq!((decoded.len(), recorded.len()), (2, 2));
    for (decoded, recorded) in decoded.iter().zip(recorded) {
        assert_eq!((decoded.trace_id, decoded.id, decoded.parent), (recorded.trace_id, recorded.id, recorded.parent));
        assert_eq!(decoded.name.to_lowercase(), recorded.name.to_lowercase());
        assert_eq!(decoded.kind, recorded.kind);
        assert_eq!(decoded.start.unwrap().as_micros(), recorded.start.unwrap().as_micros());
        assert_eq!(decoded.local.as_ref().unwrap().service, "shop");
        assert_eq!(decoded.annotations.len(), recorded.annotations.len());
    }
    let text = |span: &Span, key: &str| {
        let found = span.tags.iter().find(|(tag, _)| tag == key);
        found.map(|(_, value)| match value {
            Value::Str(text) => text.clone(),
            Value::I64(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            other => format!("{other:?}"),
        })
    };
    assert_eq!(text(&decoded[1], "text").as_deref(), Some("ü"));
    assert_eq!(text(&decoded[1], "whole").as_deref(), Some("3"));
    assert_eq!(text(&decoded[1], "true").as_deref(), Some("true"));
}

fn only_request(server: &Server, path: &str, content_type: &str) -> Request {
    let [request] = &server.requests()[..] else { panic!("one request") };
    assert!(request.head.starts_with(&format!("POST {path} HTTP/1.1\r\n")), "{}", request.head);
    assert_eq!(header(&request.head, "content-type"), Some(content_type));
    request.clone()
}

#[test]
fn zipkin_json_and_proto3() {
    type Decode = fn(&[u8], &mut SpanBatch);
    let encodings: [(_, _, Decode); 2] = [
        (ZipkinEncoding::Json, "application/json", |body, batch| {
            zipkin_v2::decode_json(body, &Limits::default(), batch).unwrap();
        }),
        (ZipkinEncoding::Proto3, "application/x-protobuf", |body, batch| {
            zipkin_v2::decode_proto3(body, &Limits::default(), batch).unwrap();
        }),
    ];
    for (encoding, content_type, decode) in encodings {
        let server = Server::start(|_, _| Reaction::Answer(202));
        let builder = ZipkinReporter::builder(&server.url("")).unwrap().encoding(encoding).batch(batch());
        let (recorded, stats) = sent(builder.build());
        assert_eq!((stats.reported, stats.failed), (2, 0));
        let request = only_request(&server, "/api/v2/spans", content_type);
        let mut batch = SpanBatch::new();
        decode(&request.body, &mut batch);
        let decoded = spans(&batch);
        check(&decoded, &recorded);
        assert_eq!(decoded[0].remote.as_ref().unwrap().port, 5432);
        assert_eq!(decoded[0].local.as_ref().unwrap().ipv4, Some([10, 1, 2, 3]));
    }
}

#[test]
fn jaeger_collector() {
    let server = Server::start(|_, _| Reaction::Answer(202));
    let http = HttpOptions::default().bearer_token("secret").unwrap();
    let builder = JaegerCollectorReporter::builder(&server.url("/")).unwrap().http(http).batch(batch());
    let (recorded, stats) = sent(builder.build());
    assert_eq!((stats.reported, stats.failed), (2, 0));
    let path = "/api/traces?format=jaeger.thrift";
    let request = only_request(&server, path, "application/vnd.apache.thrift.binary");
    assert_eq!(header(&request.head, "authorization"), Some("Bearer secret"));
    let mut batch = SpanBatch::new();
    let (limits, sanitizers) = (Limits::default(), Sanitizers::default());
    decode_thrift_batch(ThriftProtocol::Binary, &request.body, sanitizers, &limits, &mut batch).unwrap();
    check(&spans(&batch), &recorded);
    let holds = |text: &[u8]| request.body.windows(text.len()).any(|window| window == text);
    assert!(holds(b"hostname") && holds(b"10.1.2.3"), "process tags");
}

#[test]
fn jaeger_agent_in_both_protocols() {
    for (protocol, binary) in [(ThriftProtocol::Compact, false), (ThriftProtocol::Binary, true)] {
        let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
        agent.set_read_timeout(Some(PATIENCE)).unwrap();
        let address = agent.local_addr().unwrap().to_string();
        let make = if binary { JaegerAgentReporter::binary } else { JaegerAgentReporter::new };
        let (recorded, stats) = sent(make(&address));
        assert_eq!((stats.reported, stats.failed), (2, 0));
        let mut packet = [0; 65_536];
        let length = agent.recv(&mut packet).unwrap();
        let mut batch = SpanBatch::new();
        let (limits, sanitizers) = (Limits::default(), Sanitizers::default());
        decode_agent_message(protocol, &packet[..length], sanitizers, &limits, &mut batch).unwrap();
        check(&spans(&batch), &recorded);
    }
}

#[test]
fn datagrams_are_cut_to_their_limit_and_a_span_that_is_too_large_is_counted() {
    const LIMIT: usize = 2_000;
    let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
    agent.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = agent.local_addr().unwrap().to_string();
    let tracer = tracer(JaegerAgentReporter::new(&address).packet_bytes_max(LIMIT));
    for _ in 0..50 {
        tracer.new_trace("small").finish();
    }
    tracer.new_trace("large").tag("text", &*"x".repeat(LIMIT)).finish();
    for _ in 0..50 {
        tracer.new_trace("small").finish();
    }
    let stats = tracer.close();
    assert_eq!((stats.reported, stats.failed, stats.dropped, stats.queued), (100, 1, 0, 0));
    let mut batch = SpanBatch::new();
    while batch.len() < 100 {
        let mut packet = [0; 65_536];
        let length = agent.recv(&mut packet).unwrap();
        assert!(length <= LIMIT, "{length}");
        let (limits, sanitizers) = (Limits::default(), Sanitizers::default());
        decode_agent_message(ThriftProtocol::Compact, &packet[..length], sanitizers, &limits, &mut batch).unwrap();
    }
    assert_eq!(batch.len(), 100);
}

#[test]
#[cfg(target_os = "linux")]
fn an_agent_that_is_not_there_is_noticed_on_this_host() {
    let nowhere = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tracer = tracer(JaegerAgentReporter::new(&nowhere.to_string()));
    for ended in 1..=3 {
        tracer.new_trace("lost").finish();
        tracer.flush();
        assert_eq!((tracer.stats().reported, tracer.stats().failed), (0, ended));
    }
}

#[test]
fn otlp_over_http_in_protobuf_and_json() {
    for json in [false, true] {
        let server = Server::start(|_, _| Reaction::Answer(200));
        let builder = OtlpHttpReporter::builder(&server.url("")).unwrap().json(json).batch(batch());
        let (recorded, stats) = sent(builder.build());
        assert_eq!((stats.reported, stats.failed), (2, 0));
        let content_type = if json { "application/json" } else { "application/x-protobuf" };
        let request = only_request(&server, "/v1/traces", content_type);
        let mut batch = SpanBatch::new();
        let decode = if json { otlp::decode_json } else { otlp::decode_protobuf };
        decode(&request.body, &Limits::default(), &mut batch).unwrap();
        check(&spans(&batch), &recorded);
        let holds = |text: &[u8]| request.body.windows(text.len()).any(|window| window == text);
        assert!(holds(b"hostname") && holds(b"telemetry.sdk.language"), "resource attributes");
    }
}

#[test]
fn otlp_counts_what_was_refused_of_a_batch_and_repeats_only_what_it_may() {
    let partial = otlp::PartialSuccess { rejected_spans: 3, error_message: "three too many".into() };
    let mut answer = Vec::new();
    otlp::encode_response_protobuf(&partial, &mut answer);
    let answer: &'static [u8] = answer.leak();
    let server = Server::start(move |number, _| match number {
        0 => Reaction::Say(200, answer),
        1 => Reaction::Answer(500),
        2 => Reaction::Answer(503),
        _ => Reaction::Answer(200),
    });
    let tracer = tracer(OtlpHttpReporter::builder(&server.url("")).unwrap().batch(batch()).build());
    let round = |spans: u64| {
        (0..spans).for_each(|_| tracer.new_trace("one").finish());
        let stats = tracer.flush_async().within(PATIENCE).wait();
        (stats.reported, stats.failed, stats.retries)
    };
    assert_eq!(round(10), (7, 3, 0), "partial success");
    assert_eq!(round(10), (7, 13, 0), "500 is not repeated");
    assert_eq!(round(10), (17, 13, 1), "503 is");
}

#[test]
fn each_reporter_of_a_composite_counts_for_itself() {
    let server = Server::start(|_, _| Reaction::Answer(400));
    let zipkin = ZipkinReporter::builder(&server.url("")).unwrap().batch(batch()).build();
    let kept = InMemoryReporter::default();
    let refuses = FnReporter::new(|_, _| Err("no".into()));
    let tracer = tracer(CompositeReporter::default().with(kept.clone()).with(zipkin).with(refuses));
    (0..10).for_each(|_| tracer.new_trace("one").finish());
    let stats = tracer.close();
    assert_eq!((stats.reported, stats.failed, stats.dropped), (0, 10, 0), "where the fewest arrived");
    let each: Vec<_> = tracer.reporter_stats().iter().map(|stats| (stats.name, stats.reported, stats.failed)).collect();
    assert_eq!(each, [("reporter", 10, 0), ("zipkin", 0, 10), ("reporter", 0, 10)]);
    assert_eq!(kept.spans().len(), 10);
}

#[test]
fn a_tracer_inside_a_runtime_flushes_and_closes_there() {
    let server = Server::start(|_, _| Reaction::Answer(202));
    let tracer = tracer(ZipkinReporter::new(&server.url("")).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stats = runtime.block_on(async {
        tracer.new_trace("in a task").finish();
        assert_eq!(tracer.flush_async().await.reported, 1);
        tracer.new_trace("in a task").finish();
        tracer.close_async().await
    });
    assert_eq!((stats.reported, stats.failed, stats.dropped), (2, 0, 0));
}
