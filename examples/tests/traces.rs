//! Every example, run as a user runs it against a server, leaves the trace that it is to show.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tracewell_e2e::{ServerProcess, server_binary};

/// How long spans may take to be found after their senders have ended.
const FOUND_MAX: Duration = Duration::from_secs(20);

struct Test {
    server: ServerProcess,
    _directory: tempfile::TempDir,
}

impl Test {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = ServerProcess::start(&server_binary().unwrap(), &directory.path().join("data"), &[]).unwrap();
        Self { server, _directory: directory }
    }

    /// Runs an example to its end; out come what it printed and the one trace it says to look at, or several.
    fn run(&self, example: &str, arguments: &[&str]) -> (String, Vec<String>) {
        let output = Command::new(example)
            .args(arguments)
            .env("TRACEWELL_URL", self.server.url(""))
            .output()
            .unwrap_or_else(|error| panic!("{example}: {error}"));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{example}: {text}{}", String::from_utf8_lossy(&output.stderr));
        let traces = text.lines().filter_map(|line| Some(line.rsplit_once("/zipkin/traces/")?.1.to_owned())).collect();
        (text, traces)
    }

    /// The spans of a trace, once there are so many of them.
    fn trace(&self, id: &str, count: usize) -> Vec<Value> {
        let began = Instant::now();
        let url = format!("/api/v2/trace/{id}");
        loop {
            let spans = self.get(&url);
            let spans = spans.as_array().cloned().unwrap_or_default();
            if spans.len() >= count || began.elapsed() > FOUND_MAX {
                assert_eq!(spans.len(), count, "{spans:#?}");
                return spans;
            }
            std::thread::yield_now();
        }
    }

    fn get(&self, path: &str) -> Value {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut response = agent.get(self.server.url(path)).call().unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

/// `service kind name` of the spans, sorted.
fn outline(spans: &[Value]) -> Vec<String> {
    let text = |span: &Value, pointer: &str| span.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
    let line = |span| {
        let name = text(span, "/name");
        format!("{} {} {name}", text(span, "/localEndpoint/serviceName"), text(span, "/kind"))
    };
    let mut lines: Vec<String> = spans.iter().map(line).collect();
    lines.sort();
    lines
}

fn span<'s>(spans: &'s [Value], name: &str) -> &'s Value {
    spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
}

fn ids(spans: &[Value]) -> usize {
    let mut ids: Vec<&str> = spans.iter().filter_map(|span| span["id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}

#[test]
fn five_services_and_a_queue() {
    let test = Test::start();
    let (_, traces) = test.run(env!("CARGO_BIN_EXE_microservices"), &["--port", "0", "--once"]);

    // As aiozipkin's example: 9 records of 5 spans, since caller and callee share theirs.
    let calls = test.trace(&traces[0], 9);
    assert_eq!(ids(&calls), 5);
    assert_eq!(
        outline(&calls),
        [
            "service_a CLIENT get",
            "service_a CLIENT get",
            "service_a SERVER get /",
            "service_b CLIENT get",
            "service_b CLIENT get",
            "service_b SERVER get /api/v1/data",
            "service_c SERVER get /api/v1/data",
            "service_d SERVER get /api/v1/data",
            "service_e SERVER get /api/v1/data",
        ]
    );
    assert_eq!(calls.iter().filter(|span| span["shared"] == true).count(), 4);
    let root = span(&calls, "get /");
    assert_eq!(root.get("parentId"), None);
    for (tag, value) in [("http.method", "GET"), ("http.path", "/"), ("http.route", "/"), ("http.status_code", "200")] {
        assert_eq!(root["tags"][tag], value, "{root:#}");
    }
    assert_eq!(root["remoteEndpoint"]["ipv4"], "127.0.0.1");

    let messages = test.trace(&traces[1], 12);
    let outline = outline(&messages);
    assert_eq!(outline.iter().filter(|line| *line == "backend CONSUMER consumer event").count(), 5);
    assert_eq!(outline.iter().filter(|line| *line == "backend - process event").count(), 5);
    let producer = span(&messages, "produce event click");
    assert_eq!(
        (&producer["kind"], &span(&messages, "consumer event")["parentId"]),
        (&"PRODUCER".into(), &producer["id"])
    );

    let now = root["timestamp"].as_u64().unwrap() / 1000 + 60_000;
    let links = test.get(&format!("/api/v2/dependencies?endTs={now}&lookback=86400000"));
    let mut pairs: Vec<String> = links
        .as_array()
        .into_iter()
        .flatten()
        .map(|link| {
            format!("{} {} {}", link["parent"].as_str().unwrap(), link["child"].as_str().unwrap(), link["callCount"])
        })
        .collect();
    pairs.sort();
    assert_eq!(
        pairs,
        [
            "frontend queue 1",
            "queue backend 5",
            "service_a service_b 1",
            "service_a service_e 1",
            "service_b service_c 1",
            "service_b service_d 1"
        ]
    );
}

#[test]
fn axum_with_reqwest() {
    let test = Test::start();
    let (text, traces) = test.run(env!("CARGO_BIN_EXE_axum_pair"), &[]);
    assert!(text.contains("cart 7: {\"count\":3,\"fruit\":\"apple\"}"), "{text}");
    let spans = test.trace(&traces[0], 6);
    assert_eq!(
        outline(&spans),
        [
            "browser - click",
            "browser CLIENT get",
            "shop CLIENT get",
            "shop SERVER get /cart/{id}",
            "stock - lookup",
            "stock SERVER get /stock/{fruit}",
        ]
    );
    // W3C's headers: a callee is a child.
    assert_eq!(ids(&spans), 6);
    let stock = span(&spans, "get /stock/{fruit}");
    assert_eq!((&stock["tags"]["fruit"], &stock["tags"]["http.path"]), (&"apple".into(), &"/stock/apple".into()));
    assert_eq!(span(&spans, "lookup")["parentId"], stock["id"]);
}

#[test]
fn hyper_alone() {
    let test = Test::start();
    let (_, traces) = test.run(env!("CARGO_BIN_EXE_hyper_pair"), &[]);
    let spans = test.trace(&traces[0], 3);
    assert_eq!(outline(&spans), ["browser - click", "browser CLIENT get", "fruit SERVER get /fruit"]);
    let served = span(&spans, "get /fruit");
    assert_eq!(
        (&served["annotations"][0]["value"], &served["remoteEndpoint"]["ipv4"]),
        (&"picked".into(), &"127.0.0.1".into())
    );
}

#[test]
fn tonic_calls() {
    let test = Test::start();
    let (text, traces) = test.run(env!("CARGO_BIN_EXE_tonic_pair"), &[]);
    assert!(text.contains("apple: 3") && text.contains("no pear"), "{text}");
    let spans = test.trace(&traces[0], 5);
    let call = "shop.stock/look";
    let expected = ["shop - inventory", "shop CLIENT ", "shop CLIENT ", "stock SERVER ", "stock SERVER "];
    let expected = expected.map(|line| if line.ends_with(' ') { format!("{line}{call}") } else { line.to_owned() });
    assert_eq!(outline(&spans), expected);
    let statuses = |kind: &str| {
        let of_kind = spans.iter().filter(|span| span["kind"] == kind);
        let mut tags: Vec<_> =
            of_kind.map(|span| (&span["tags"]["grpc.status_code"], span["tags"].get("error"))).collect();
        tags.sort_by_key(|(status, _)| status.as_str());
        tags.into_iter()
            .map(|(status, error)| (status.as_str().unwrap(), error.and_then(Value::as_str)))
            .collect::<Vec<_>>()
    };
    // Not found is the asker's failure, not the server's.
    assert_eq!(statuses("SERVER"), [("NOT_FOUND", None), ("OK", None)]);
    assert_eq!(statuses("CLIENT"), [("NOT_FOUND", Some("NOT_FOUND: no pear")), ("OK", None)]);
}

#[test]
fn actix_with_reqwest() {
    let test = Test::start();
    let (text, traces) = test.run(env!("CARGO_BIN_EXE_actix_pair"), &[]);
    assert!(text.contains("3 apples"), "{text}");
    let spans = test.trace(&traces[0], 4);
    assert_eq!(
        outline(&spans),
        ["browser - click", "browser CLIENT get", "shop - lookup", "shop SERVER get /stock/{fruit}"]
    );
    let served = span(&spans, "get /stock/{fruit}");
    assert_eq!((&served["tags"]["fruit"], &served["tags"]["http.status_code"]), (&"apple".into(), &"200".into()));
}

#[test]
fn sqlx_over_sqlite() {
    let test = Test::start();
    let (text, traces) = test.run(env!("CARGO_BIN_EXE_sqlx_queries"), &[]);
    assert!(text.contains("apple: 3\npear: 5\nmost: 5"), "{text}");
    let spans = test.trace(&traces[0], 7);
    assert_eq!(
        outline(&spans),
        [
            "shop - inventory",
            "shop CLIENT create",
            "shop CLIENT insert",
            "shop CLIENT insert",
            "shop CLIENT select",
            "shop CLIENT select",
            "shop CLIENT select",
        ]
    );
    let query = |text: &str| spans.iter().find(|span| span["tags"]["sql.query"] == text).unwrap();
    let all = query("SELECT name, pieces FROM fruit ORDER BY name");
    assert_eq!((&all["tags"]["db.system"], &all["tags"]["db.rows"]), (&"sqlite".into(), &"2".into()));
    assert_eq!(all["remoteEndpoint"]["serviceName"], "fruit-db");
    let failed = query("SELECT taste FROM fruit");
    assert!(failed["tags"]["error"].as_str().unwrap().contains("no such column"), "{failed:#}");
}

#[test]
fn spans_of_tracing() {
    let test = Test::start();
    let (_, traces) = test.run(env!("CARGO_BIN_EXE_tracing_layer"), &[]);
    let spans = test.trace(&traces[0], 3);
    assert_eq!(outline(&spans), ["till - charge", "till - purchase", "till SERVER checkout"]);
    let (charge, checkout) = (span(&spans, "charge"), span(&spans, "checkout"));
    assert_eq!((&checkout["parentId"], &charge["parentId"]), (&span(&spans, "purchase")["id"], &checkout["id"]));
    assert_eq!((&charge["tags"]["amount"], &checkout["tags"]["items"]), (&"9.95".into(), &"2".into()));
}

#[test]
fn jaeger_s_first_steps_reach_an_agent() {
    let agent = UdpSocket::bind("127.0.0.1:0").unwrap();
    agent.set_read_timeout(Some(FOUND_MAX)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_jaeger_client"))
        .env("JAEGER_AGENT_HOST", "127.0.0.1")
        .env("JAEGER_AGENT_PORT", agent.local_addr().unwrap().port().to_string())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut packet = vec![0; 65_536];
    let length = agent.recv(&mut packet).unwrap();
    let packet = String::from_utf8_lossy(&packet[..length]);
    for text in ["emitBatch", "your-app-name", "TestSpan", "ChildSpan", "event", "test message", "life", "down below"] {
        assert!(packet.contains(text), "no {text} in {packet:?}");
    }
    assert!(packet.contains("sampler.type") && packet.contains("const"), "{packet:?}");
}

#[test]
fn prometheus_reads_what_the_library_counts() {
    let test = Test::start();
    let (text, _) = test.run(env!("CARGO_BIN_EXE_prometheus"), &["--port", "0", "--once"]);
    for line in [
        r#"jaeger:traces{service="shop",state="started",sampled="y"} 1"#,
        r#"jaeger:finished_spans{service="shop"} 2"#,
        r#"jaeger:reporter_spans{service="shop",result="ok"} 2"#,
        r#"jaeger:reporter_queue_length{service="shop"} 0"#,
    ] {
        assert!(text.lines().any(|said| said == line), "{line} is not in {text}");
    }
}
