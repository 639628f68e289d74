//! What services are told to sample: the answers recorded from Jaeger, a file that changes while the server runs, and
//! probabilities that follow what arrives.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::{Answer, Running, options, start};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracewell_server::{ListenerName, Server};
use tracewell_store::ReferenceStore;
use tracewell_wire::jaeger::{SamplingRule, SamplingStrategy, decode_sampling_proto, encode_sampling_parameters};

/// Ends a hang; decides nothing.
const PATIENCE: Duration = Duration::from_secs(60);
const GET_SAMPLING_STRATEGY: &str = "/jaeger.api_v2.SamplingManager/GetSamplingStrategy";

fn recorded(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/conformance/jaeger").join(file)
}

/// A server at all ports where sampling is asked for.
fn start_sampling(flags: &[(&str, &str)]) -> Running {
    let listeners = ["sampling", "jaeger-http", "jaeger-grpc"].map(|name| (name, "127.0.0.1:0"));
    start(&listeners.iter().chain(flags).copied().collect::<Vec<_>>())
}

fn get(server: &Running, path: &str) -> Answer {
    server.ask_at(ListenerName::Sampling, "GET", path, &[], None)
}

fn ask_grpc(server: &Running, service: &str) -> SamplingStrategy {
    let mut question = vec![];
    encode_sampling_parameters(service, &mut question);
    let called = server.call(ListenerName::JaegerGrpc, GET_SAMPLING_STRATEGY, &question);
    assert_eq!(called.status, 0, "{}", called.text);
    decode_sampling_proto(&called.body[5..]).unwrap()
}

/// Waits until it is so.
fn until<T>(mut so: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = so() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "it did not come about");
        std::thread::yield_now();
    }
}

/// The operations in the order of their names: Jaeger's order is not part of what was recorded.
fn in_order(mut strategy: Value) -> Value {
    if let Some(operations) = strategy["operationSampling"]["perOperationStrategies"].as_array_mut() {
        operations.sort_by_key(|operation| operation["operation"].as_str().unwrap().to_owned());
    }
    strategy
}

fn check_http(server: &Running, listener: ListenerName, step: &Value) {
    let path = step["path"].as_str().unwrap().replace("{{run}}", "1a2b3c4d");
    let answer = server.ask_at(listener, step["method"].as_str().unwrap(), &path, &[], None);
    let expect = &step["expect"];
    assert_eq!(u64::from(answer.status), expect["status"], "{path}");
    for (name, value) in expect["headers"].as_object().into_iter().flatten() {
        assert_eq!(answer.header(name), value.as_str(), "{path}");
    }
    match expect.get("json") {
        Some(json) => assert_eq!(in_order(answer.json()), in_order(json.clone()), "{path}"),
        None => assert_eq!(answer.text(), expect["text"].as_str().unwrap(), "{path}"),
    }
}

fn check_grpc(server: &Running, step: &Value) {
    let message = STANDARD.decode(step["body_b64"].as_str().unwrap()).unwrap();
    let called = server.call(ListenerName::JaegerGrpc, step["path"].as_str().unwrap(), &message);
    assert_eq!(u64::from(called.status), step["expect"]["status"], "{}", step["name"]);
    let expected = STANDARD.decode(step["expect"]["b64"].as_str().unwrap()).unwrap();
    assert_eq!(called.body[5..], expected, "{}", step["name"]);
}

#[test]
fn answers_are_those_recorded_from_jaeger() {
    let server = start_sampling(&[("sampling-strategies", recorded("strategies.json.txt").to_str().unwrap())]);
    for (file, steps) in [("sampling_5778.json", 15), ("sampling_14268.json", 13)] {
        let scenario: Value = serde_json::from_slice(&fs::read(recorded(file)).unwrap()).unwrap();
        let listed = scenario["steps"].as_array().unwrap();
        assert_eq!(listed.len(), steps);
        for step in listed {
            match (step["via"].as_str().unwrap(), step["base"].as_str().unwrap()) {
                ("http", "sampling") => check_http(&server, ListenerName::Sampling, step),
                ("http", "collector") => check_http(&server, ListenerName::JaegerHttp, step),
                ("grpc", "sampling_grpc") => check_grpc(&server, step),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_service_limited_by_rate_has_no_operations_at_the_agents_port() {
    let server = start_sampling(&[("sampling-strategies", recorded("strategies.json.txt").to_str().unwrap())]);
    let json = get(&server, "/sampling?service=bar").json();
    assert_eq!(
        json,
        serde_json::json!({"strategyType": "RATE_LIMITING", "rateLimitingSampling": {"maxTracesPerSecond": 5}})
    );
    let newer = server.ask_at(ListenerName::JaegerHttp, "GET", "/api/sampling?service=bar", &[], None).json();
    assert_eq!(newer["operationSampling"]["perOperationStrategies"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_not_asked_with_get_is_not_answered() {
    let server = start_sampling(&[]);
    for (path, status) in
        [("/", 405), ("/sampling", 405), ("/credits", 405), ("/baggageRestrictions", 405), ("/no", 404)]
    {
        let answer = server.ask_at(ListenerName::Sampling, "POST", &format!("{path}?service=a"), &[], Some(b""));
        assert_eq!(answer.status, status, "{path}");
    }
    let called = server.call(ListenerName::JaegerGrpc, GET_SAMPLING_STRATEGY, b"\x0a\x05ab");
    assert_eq!(called.status, 13, "{}", called.text);
    assert_eq!(ask_grpc(&server, "").rule, SamplingRule::Probabilistic(0.001), "without a file");
    let requests = server.metric(r#"http_server_requests_seconds_count{method="POST",status="405",uri="/sampling"}"#);
    assert_eq!(requests, 2.0);
}

#[test]
fn a_changed_file_is_taken_and_a_broken_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("strategies.json");
    // In one step: a file that is being written is half there.
    let write = |content: &str| {
        let new = directory.path().join("new");
        fs::write(&new, content).unwrap();
        fs::rename(new, &path).unwrap();
    };
    write(r#"{"default_strategy":{"type":"probabilistic","param":0.25}}"#);
    let file = path.to_str().unwrap().to_owned();
    let server = start_sampling(&[("sampling-strategies", &file), ("sampling-strategies-reload-interval", "5ms")]);
    let share = || get(&server, "/sampling?service=any").json()["probabilisticSampling"]["samplingRate"].as_f64();
    assert_eq!(share(), Some(0.25));
    write("{\"default_strategy\":");
    until(|| (server.metric("tracewell_sampling_strategies_broken") == 1.0).then_some(()));
    assert_eq!(share(), Some(0.25));
    write(r#"{"default_strategy":{"type":"probabilistic","param":0.75}}"#);
    until(|| (share() == Some(0.75)).then_some(()));
    until(|| (server.metric("tracewell_sampling_strategies_broken") == 0.0).then_some(()));
    let totals =
        ["loaded", "refused"].map(|what| server.metric(&format!("tracewell_sampling_strategies_{what}_total")));
    assert_eq!(totals, [1.0, 1.0]);
    server.stop();
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("strategies.json");
    fs::write(&path, r#"{"service_strategies":[{"service":"shop","type":"probabilistic","param":7}]}"#).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let file = path.to_str().unwrap().to_owned();
    let started = runtime
        .block_on(Server::start(&options(&[("sampling-strategies", &file)]), Arc::new(ReferenceStore::new(vec![]))));
    let problem = "service_strategies \"shop\": param 7 of a probabilistic strategy should be from 0 to 1";
    assert_eq!(started.err().unwrap().to_string(), format!("--sampling-strategies {file}: {problem}"));
}

#[test]
fn throttlers_are_given_credits() {
    let server = start_sampling(&[("debug-credits-per-second", "0"), ("debug-credits-max", "2.5")]);
    let path = "/credits?service=shop&uuid=7&operations=GET+%2F&operations=b";
    let balances = |a: f64, b: f64| serde_json::json!({"balances": [{"operation": "GET /", "balance": a}, {"operation": "b", "balance": b}]});
    let answer = get(&server, path);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.json(), balances(2.5, 2.5));
    assert_eq!(get(&server, path).json(), balances(0.0, 0.0), "they are given once");
    assert_eq!(get(&server, "/credits?service=shop").json(), serde_json::json!({"balances": []}));
    assert_eq!(get(&server, "/credits?operations=a").status, 400);
}

#[test]
fn adaptive_probabilities_follow_what_arrives() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("strategies.json");
    fs::write(&path, r#"{"service_strategies":[{"service":"named","type":"probabilistic","param":1}]}"#).unwrap();
    let server = start_sampling(&[
        ("sampling-mode", "adaptive"),
        ("sampling-strategies", path.to_str().unwrap()),
        ("sampling-calculation-interval", "1s"),
        ("sampling-target-traces-per-second", "2"),
    ]);
    let initial = ask_grpc(&server, "shop");
    assert_eq!(initial.rule, SamplingRule::Probabilistic(0.001));
    assert_eq!(initial.operations.as_ref().unwrap().rates, []);
    let span = |at: u32| {
        let tags = r#"{"sampler.type":"probabilistic","sampler.param":"0.5"}"#;
        format!(
            r#"{{"traceId":"{at:016x}","id":"1","name":"buy","localEndpoint":{{"serviceName":"shop"}},"tags":{tags}}}"#
        )
    };
    let spans: Vec<String> = (1..=1000).map(span).collect();
    assert_eq!(server.post_spans(&format!("[{}]", spans.join(","))).status, 202);
    let told =
        until(|| Some(ask_grpc(&server, "shop")).filter(|told| !told.operations.as_ref().unwrap().rates.is_empty()));
    let (operation, share) = &told.operations.as_ref().unwrap().rates[0];
    assert_eq!(operation, "buy");
    // A thousand at a half within a second or a few: far more than two a second.
    assert!(*share < 0.1, "{share}");
    assert_eq!(server.metric("tracewell_sampling_operations"), 1.0);
    assert_eq!(ask_grpc(&server, "named").rule, SamplingRule::Probabilistic(1.0), "the file decides");
    let json = get(&server, "/sampling?service=shop").json();
    assert_eq!(json["operationSampling"]["defaultLowerBoundTracesPerSecond"], 0.0167);
}
