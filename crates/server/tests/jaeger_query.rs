//! Jaeger's query side beyond what is replayed from recordings: the archive, metrics of spans, version 3 over gRPC.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::{Answer, Running, span, start};
use tracewell_model::{SpanBatch, TraceId};
use tracewell_server::ListenerName::{JaegerHttp, JaegerQuery, JaegerQueryGrpc, OtlpHttp};
use tracewell_server::Server;
use tracewell_wire::{Limits, otlp};

const TRACE: &str = "00000000000000ab";
const ON: [(&str, &str); 2] = [("jaeger-query", "127.0.0.1:0"), ("jaeger-query-grpc", "127.0.0.1:0")];

fn start_jaeger(flags: &[(&str, &str)]) -> Running {
    start(&[&ON, flags].concat())
}

fn get(server: &Running, path: &str) -> Answer {
    server.ask_at(JaegerQuery, "GET", path, &[], None)
}

fn post(server: &Running, path: &str) -> Answer {
    server.ask_at(JaegerQuery, "POST", path, &[], None)
}

fn send(server: &Running, trace: &str) {
    assert_eq!(server.post_spans(&format!("[{}]", span(trace, "shop"))).status, 202);
}

/// `GetTraceRequest` and `ArchiveTraceRequest`.
fn trace_request(id: u128) -> Vec<u8> {
    [&[0x0a, 16][..], &id.to_be_bytes()].concat()
}

#[test]
fn an_archived_trace_outlives_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let flags = [("jaeger-archive", "true"), ("data-dir", directory.path().to_str().unwrap())];
    let server = start_jaeger(&flags);
    assert_eq!(get(&server, &format!("/api/traces/{TRACE}")).status, 404);
    assert_eq!(directory.path().read_dir().unwrap().count(), 0, "nobody archived anything");
    let unknown = post(&server, &format!("/api/archive/{TRACE}"));
    assert_eq!((unknown.status, &unknown.json()["errors"][0]["msg"]), (404, &"trace not found".into()));
    send(&server, TRACE);
    send(&server, "00000000000000ac");
    let archived = post(&server, &format!("/api/archive/{TRACE}"));
    assert_eq!(archived.text(), r#"{"data":[],"total":0,"limit":0,"offset":0,"errors":[]}"#);
    let called = server.call(JaegerQueryGrpc, "/jaeger.api_v2.QueryService/ArchiveTrace", &trace_request(0xac));
    assert_eq!((called.status, called.text.as_str()), (0, ""));
    assert_eq!(server.metric("tracewell_traces_archived_total"), 2.0);
    server.stop();

    // The same data directory, and a store that knows nothing: as after retention.
    let later = start_jaeger(&flags);
    for id in [TRACE, "00000000000000ac"] {
        let answer = get(&later, &format!("/api/traces/{id}")).json();
        assert_eq!(answer["data"][0]["traceID"], id);
        assert_eq!(answer["data"][0]["spans"].as_array().unwrap().len(), 1);
        assert_eq!(get(&later, &format!("/api/v3/traces/{id}")).status, 200);
        assert_eq!(post(&later, &format!("/api/archive/{id}")).status, 200, "again changes nothing");
    }
    let several = get(&later, &format!("/api/traces?traceID={TRACE}&traceID=ad")).json();
    assert_eq!((several["data"].as_array().unwrap().len(), several["errors"].as_array().unwrap().len()), (1, 1));
    assert_eq!(get(&later, "/api/services").json()["data"], serde_json::Value::Null, "it is not searched");
    let stored = later.call(JaegerQueryGrpc, "/jaeger.api_v2.QueryService/GetTrace", &trace_request(0xab));
    assert_eq!(stored.status, 0);
    send(&later, TRACE);
    let united = get(&later, &format!("/api/traces/{TRACE}?raw=true")).json();
    assert_eq!(united["data"][0]["spans"].as_array().unwrap().len(), 2, "what came later and what was kept");
    later.stop();
}

#[test]
fn without_an_archive_jaegers_errors_are_told() {
    let server = start_jaeger(&[]);
    let refused = post(&server, &format!("/api/archive/{TRACE}"));
    let told = "archive span storage was not configured";
    assert_eq!((refused.status, &refused.json()["errors"][0]["msg"]), (500, &told.into()));
    let called = |message: &[u8]| server.call(JaegerQueryGrpc, "/jaeger.api_v2.QueryService/ArchiveTrace", message);
    let refused = called(&trace_request(0xab));
    assert_eq!((refused.status, refused.text), (13, format!("failed to archive trace: {told}")));
    assert_eq!(called(&[]).status, 3);
    server.stop();
}

#[test]
fn metrics_are_those_of_the_spans() {
    let server = start_jaeger(&[]);
    let body = |kind: &str| span(TRACE, "shop").replace("\"name\"", &format!("\"kind\":\"{kind}\",\"name\""));
    let failed = body("SERVER").replace(TRACE, "ad").replacen('{', r#"{"tags":{"error":"no"},"#, 1);
    let spans = format!("[{},{},{failed}]", body("SERVER"), body("CLIENT").replace(TRACE, "ac"));
    assert_eq!(server.post_spans(&spans).status, 202);
    let metric = |what: &str| {
        let answer = get(&server, &format!("/api/metrics/{what}service=shop&lookback=0&ratePer=10000"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        answer.json()
    };
    let value =
        |family: &serde_json::Value| family["metrics"][0]["metricPoints"][0]["gaugeValue"]["doubleValue"].clone();
    let calls = metric("calls?");
    assert_eq!((calls["name"].as_str(), calls["type"].as_str()), (Some("service_call_rate"), Some("GAUGE")));
    assert_eq!((value(&calls), value(&metric("errors?"))), (0.2.into(), 0.5.into()));
    let by_operation = metric("calls?groupByOperation=true&spanKind=server&spanKind=client&");
    assert_eq!(by_operation["metrics"][0]["labels"][0], serde_json::json!({"name": "operation", "value": "get"}));
    assert_eq!(value(&by_operation).as_f64().map(|rate| (rate * 10.0).round()), Some(3.0));
    let latency = value(&metric("latencies?quantile=0.5&")).as_f64().unwrap();
    assert!((latency - 1.0).abs() < 0.016, "{latency}");
    let minimum = get(&server, "/api/metrics/minstep");
    assert_eq!(minimum.text(), r#"{"data":1,"total":0,"limit":0,"offset":0,"errors":null}"#);
    assert_eq!(get(&server, "/api/metrics/calls?service=shop&lookback=99999999&step=1").status, 400);
    server.stop();
    let server = start_jaeger(&[("jaeger-metrics", "false")]);
    assert_eq!(get(&server, "/api/metrics/calls?service=shop").status, 501);
    assert_eq!(get(&server, "/api/metrics/minstep").status, 501);
    server.stop();
}

#[test]
fn version_3_over_grpc_streams_traces() {
    let server = start_jaeger(&[]);
    send(&server, TRACE);
    send(&server, "ac");
    let call = |method: &str, message: &[u8]| {
        server.call(JaegerQueryGrpc, &format!("/jaeger.api_v3.QueryService/{method}"), message)
    };
    let traces = |body: &[u8]| {
        let (mut batch, mut rest) = (SpanBatch::new(), body);
        while let Some((head, after)) = rest.split_first_chunk::<5>() {
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            otlp::decode_protobuf(&after[..length], &Limits::default(), &mut batch).unwrap();
            rest = &after[length..];
        }
        let mut ids: Vec<TraceId> = batch.spans().map(|span| span.trace_id()).collect();
        ids.sort_unstable();
        ids
    };
    let by_id = |id: &str| call("GetTrace", &[&[0x0a, id.len() as u8], id.as_bytes()].concat());
    assert_eq!(traces(&by_id(TRACE).body), [TraceId::new(0xab)]);
    let unknown = by_id("dead");
    assert_eq!((unknown.status, unknown.body.len()), (0, 0));
    assert_eq!(by_id("xyz").status, 2);
    // service_name "shop", from 1 s on, to the end of time.
    let times = [0x22, 2, 8, 1, 0x2a, 6, 8, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let query = [&[0x0a, 4][..], b"shop", &times].concat();
    let found = call("FindTraces", &[&[0x0a, query.len() as u8][..], &query].concat());
    assert_eq!(traces(&found.body), [TraceId::new(0xab), TraceId::new(0xac)]);
    let timeless = call("FindTraces", b"\x0a\x06\x0a\x04shop");
    assert_eq!((timeless.status, timeless.text.as_str()), (2, "start time min and max are required parameters"));
    assert_eq!(call("FindTraces", b"").status, 3);
    assert_eq!(call("GetServices", b"").body.as_ref(), b"\0\0\0\0\x06\x0a\x04shop");
    assert_eq!(call("GetOperations", b"\x0a\x04shop").body.as_ref(), b"\0\0\0\0\x07\x0a\x05\x0a\x03get");
    assert_eq!(call("Nothing", b"").status, 12);
    server.stop();
}

#[test]
fn tenants_see_only_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().to_str().unwrap();
    let more = [("jaeger-http", "127.0.0.1:0"), ("otlp-http", "127.0.0.1:0"), ("jaeger-udp-compact", "127.0.0.1:0")];
    let tenancy = [("tenancy-enabled", "true"), ("tenancy-tenants", "acme,beta"), ("data-dir", data_dir)];
    let server = start_jaeger(&[&more[..], &tenancy].concat());
    let spans = format!("[{}]", span(TRACE, "shop"));
    let post = |tenant: &str| {
        let headers = [("content-type", "application/json"), ("x-tenant", tenant)];
        server.ask("POST", "/api/v2/spans", &headers, Some(spans.as_bytes()))
    };
    assert_eq!(post("acme").status, 202);
    let nobody = post("nobody");
    assert_eq!((nobody.status, nobody.text()), (401, "unknown tenant"));
    let nameless = server.post_spans(&spans);
    assert_eq!((nameless.status, nameless.text()), (401, "missing tenant header"));
    let read = |path: &str, tenant: &str| server.ask_at(JaegerQuery, "GET", path, &[("x-tenant", tenant)], None);
    let path = format!("/api/traces/{TRACE}");
    assert_eq!((read(&path, "acme").status, read(&path, "beta").status), (200, 404));
    assert_eq!(read("/api/services", "beta").json()["data"], serde_json::Value::Null);
    assert_eq!(server.ask("GET", "/api/v2/services", &[("x-tenant", "acme")], None).text(), "[\"shop\"]");
    let called = |tenant: &str| {
        let body = common::grpc::framed(b"", false);
        let service = "/jaeger.api_v3.QueryService/GetServices";
        server.call_with(JaegerQueryGrpc, service, &[("x-tenant", tenant)], body).status
    };
    assert_eq!([called("acme"), called("nobody"), called("")], [0, 7, 16]);
    let refused = server.ask_at(OtlpHttp, "POST", "/v1/traces", &[("content-type", "application/json")], Some(b"{}"));
    assert_eq!((refused.status, refused.text()), (403, r#"{"code":7,"message":"missing tenant header"}"#));
    assert_eq!(server.ask_at(JaegerHttp, "GET", "/api/sampling?service=shop", &[], None).status, 200);
    assert_eq!(server.get("/health").status, 200, "what is no tenant's needs none");
    assert_eq!(server.metric("tracewell_store_spans_stored"), 1.0);
    server.stop();
    assert!(directory.path().join("tenants/acme").is_dir() && directory.path().join("tenants/beta").is_dir());
    for wrong in ["", "..", "a/b"] {
        let options =
            common::options(&[("tenancy-enabled", "true"), ("tenancy-tenants", wrong), ("data-dir", data_dir)]);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store = std::sync::Arc::new(tracewell_store::ReferenceStore::new(vec![]));
        let error = runtime.block_on(Server::start(&options, store)).err().unwrap().to_string();
        assert!(error.starts_with("--tenancy-tenants"), "{error}");
    }
}

#[test]
fn everything_stands_below_the_base_path() {
    let server = start_jaeger(&[("jaeger-base-path", "/tools/jaeger/")]);
    send(&server, TRACE);
    assert_eq!(get(&server, &format!("/tools/jaeger/api/traces/{TRACE}?raw=true")).status, 200);
    for path in ["/tools/jaeger", "/tools/jaeger/", "/api/services", "/tools/jaegerly"] {
        let page = get(&server, path);
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")), "{path}");
    }
    let page = get(&server, "/tools/jaeger/zipkin/");
    let based = page.text().contains("<base href=\"/tools/jaeger/zipkin/\">") || !page.text().contains("<base");
    assert!(page.status == 200 && based, "{}", page.text());
    let led = |path: &str| get(&server, path).header("location").unwrap_or_default().to_owned();
    assert_eq!(led("/tools/jaeger/monitor"), "/tools/jaeger/zipkin/monitor");
    assert_eq!(led("/tools/jaeger/search"), "/tools/jaeger/zipkin/search");
    assert_eq!(led("/tools/jaeger/search?service=a%20b"), "/tools/jaeger/zipkin/search?service=a%20b");
    assert_eq!(led("/tools/jaeger/trace/ab"), "/tools/jaeger/zipkin/traces/ab");
    assert_eq!(post(&server, "/api/services").status, 405);
    server.stop();
}

#[test]
fn ways_and_quality_come_from_the_spans() {
    let server = start_jaeger(&[]);
    let child =
        span(TRACE, "bank").replace(&format!("\"id\":\"{TRACE}\""), &format!("\"id\":\"b\",\"parentId\":\"{TRACE}\""));
    assert_eq!(server.post_spans(&format!("[{},{child}]", span(TRACE, "shop"))).status, 202);
    let ways = get(&server, "/api/deep-dependencies?service=bank&start=0&end=0").json();
    let step = |service: &str| serde_json::json!({"service": service, "operation": "get"});
    assert_eq!(ways["dependencies"][0]["path"], serde_json::json!([step("shop"), step("bank")]));
    assert_eq!(ways["dependencies"][0]["attributes"][0]["value"], TRACE);
    assert_eq!(get(&server, "/api/deep-dependencies?service=none").text(), r#"{"dependencies":[]}"#);
    let quality = get(&server, "/api/quality-metrics?service=bank").json();
    assert_eq!((quality["scores"][0]["value"].as_f64(), &quality["metrics"][0]["passCount"]), (Some(100.0), &1.into()));
    server.stop();
}
