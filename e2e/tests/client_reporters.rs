//! What the client library's reporters send is accepted by the server and found again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tracewell::sampler::ConstSampler;
use tracewell::{
    JaegerAgentReporter, JaegerCollectorReporter, Kind, OtlpGrpcReporter, OtlpHttpReporter, OwnedEndpoint, Reporter,
    Tracer, ZipkinEncoding, ZipkinReporter,
};
use tracewell_e2e::{ServerProcess, server_binary};

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than one batch, so that the parts of a trace come by different requests.
const CHILDREN: usize = 3_000;

/// A server with its Zipkin port and, if it has that, another one. `None`: it does not have it.
struct Running {
    server: ServerProcess,
    /// Of the other listener.
    address: String,
    _data: tempfile::TempDir,
}

fn start(listener: &str) -> Option<Running> {
    let binary = server_binary().unwrap();
    let data = tempfile::tempdir().unwrap();
    let data_dir = data.path().join("data");
    if listener == "zipkin" {
        let server = ServerProcess::start(&binary, &data_dir, &[]).unwrap();
        let address = server.address().to_owned();
        return Some(Running { server, address, _data: data });
    }
    let help = std::process::Command::new(&binary).args(["serve", "--help"]).output().unwrap();
    let flag = format!("--{listener}");
    if !String::from_utf8_lossy(&help.stdout).contains(&flag) {
        eprintln!("this server has no {flag}: nothing to send to");
        return None;
    }
    let server = ServerProcess::start(&binary, &data_dir, &[&flag, "127.0.0.1:0"]).unwrap();
    let address = logged_address(&data.path().join("server.log"), listener);
    Some(Running { server, address, _data: data })
}

/// Where a listener listens, as the server's log says.
fn logged_address(log: &Path, listener: &str) -> String {
    let begun = Instant::now();
    loop {
        let log = std::fs::read_to_string(log).unwrap();
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let listening = events.map(|event| event.get("fields").cloned().unwrap_or(event));
        let found =
            listening.filter(|fields| fields["message"] == "listening" && fields["listener"] == listener).next();
        if let Some(address) = found.as_ref().and_then(|fields| fields["address"].as_str()) {
            return address.to_owned();
        }
        assert!(begun.elapsed() < PATIENCE, "the server does not say where {listener} listens");
        std::thread::yield_now();
    }
}

/// Records a trace of one root and many children; answers its id as Zipkin writes it.
fn record(tracer: &Tracer) -> String {
    let mut root = tracer.new_trace("GET /cart");
    root.kind(Kind::Server).tag("http.path", "/cart").tag("größe", 3).annotate("begun");
    let peer = OwnedEndpoint { service: "db".into(), ipv4: Some([10, 0, 0, 1]), port: 5432, ..Default::default() };
    for number in 0..CHILDREN {
        let mut child = root.new_child("query");
        child.kind(Kind::Client).tag("number", number as i64).remote_endpoint(&peer);
        if number == 7 {
            child.error(&std::fmt::Error);
        }
    }
    format!("{:032x}", root.context().trace_id().value())
}

/// The spans of the trace, once they are all there: datagrams are not acknowledged.
fn found(server: &ServerProcess, trace: &str) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let answer = ureq::get(&server.url(&format!("/api/v2/trace/{trace}"))).call();
        if let Ok(mut answer) = answer {
            let body = answer.body_mut().with_config().limit(64 << 20).read_to_vec().unwrap();
            let spans: Vec<Value> = serde_json::from_slice(&body).unwrap();
            if spans.len() > CHILDREN {
                return spans;
            }
        }
        assert!(begun.elapsed() < PATIENCE, "the trace did not become whole");
        std::thread::yield_now();
    }
}

/// By this reporter all is found again that Zipkin's answers have a place for.
fn check<R: Reporter + 'static>(listener: &str, reporter: impl FnOnce(&str) -> R) {
    let Some(Running { server, address, _data }) = start(listener) else { return };
    // Datagrams get lost where nobody reads them fast enough.
    let queue_bytes = 16 << 20;
    let builder = Tracer::builder("shop").sampler(ConstSampler::new(true)).queue_bytes(queue_bytes);
    let tracer = builder.build(reporter(&address));
    let trace = record(&tracer);
    let stats = tracer.close_async().within(PATIENCE).wait();
    assert_eq!((stats.reported, stats.failed, stats.dropped), (CHILDREN as u64 + 1, 0, 0), "{stats:?}");
    let spans = found(&server, &trace);
    assert_eq!(spans.len(), CHILDREN + 1);
    let root = spans.iter().find(|span| span["parentId"].is_null()).unwrap();
    assert_eq!(root["name"].as_str().unwrap().to_lowercase(), "get /cart");
    assert_eq!((&root["kind"], &root["localEndpoint"]["serviceName"]), (&"SERVER".into(), &"shop".into()));
    assert_eq!((&root["tags"]["http.path"], &root["tags"]["größe"]), (&"/cart".into(), &"3".into()));
    assert_eq!(root["annotations"][0]["value"].as_str().unwrap().contains("begun"), true);
    assert!(root["timestamp"].as_u64().unwrap() > 0 && root["duration"].as_u64().unwrap() > 0);
    let children: Vec<_> = spans.iter().filter(|span| span["parentId"] == root["id"]).collect();
    assert_eq!(children.len(), CHILDREN);
    let mut numbers: Vec<usize> =
        children.iter().map(|span| span["tags"]["number"].as_str().unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..CHILDREN));
    let failed: Vec<_> = children.iter().filter(|span| !span["tags"]["error"].is_null()).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["tags"]["number"], "7");
    assert_eq!((&children[0]["kind"], &children[0]["remoteEndpoint"]["port"]), (&"CLIENT".into(), &5432.into()));
}

#[test]
fn zipkin_json() {
    check("zipkin", |address| ZipkinReporter::new(&format!("http://{address}")).unwrap());
}

#[test]
fn zipkin_proto3() {
    check("zipkin", |address| {
        let builder = ZipkinReporter::builder(&format!("http://{address}")).unwrap();
        builder.encoding(ZipkinEncoding::Proto3).http(tracewell::HttpOptions::default().gzip(true)).build()
    });
}

#[test]
fn otlp_http() {
    for json in [false, true] {
        check("otlp-http", |address| {
            OtlpHttpReporter::builder(&format!("http://{address}")).unwrap().json(json).build()
        });
    }
}

#[test]
fn otlp_grpc() {
    check("otlp-grpc", |address| OtlpGrpcReporter::new(&format!("http://{address}")).unwrap());
}

#[test]
fn jaeger_collector() {
    check("jaeger-http", |address| JaegerCollectorReporter::new(&format!("http://{address}")).unwrap());
}

#[test]
fn jaeger_agent_compact() {
    check("jaeger-udp-compact", JaegerAgentReporter::new);
}

#[test]
fn jaeger_agent_binary() {
    check("jaeger-udp-binary", JaegerAgentReporter::binary);
}
