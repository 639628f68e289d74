//! What of the page's own API is not seen from outside: that a search can be switched off, and that watching ends with the
//! server. The answers themselves are held to docs/page-api.openapi.yaml by e2e/test_page_api.py.

mod common;

use common::start;
use std::io::{BufRead, BufReader, Read, Write};

const SPAN: &str = r#"[{"traceId":"1","id":"1","name":"n","timestamp":1,"localEndpoint":{"serviceName":"front"}}]"#;

#[test]
fn without_search_queries_are_only_read() {
    let server = start(&[("search-enabled", "false")]);
    for path in ["search", "search/stream", "histogram", "facets", "complete", "services", "map", "compare"] {
        let answer = server.get(&format!("/api/tracewell/v1/{path}"));
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.json()["error"].as_str().is_some_and(|error| error.contains("search-enabled")), "{path}");
    }
    assert_eq!(server.get("/api/tracewell/v1/parse?q=a").json()["q"], "\"a\"");
    assert_eq!(server.get("/api/tracewell/v1/status").status, 200);
    assert_eq!(server.get("/api/tracewell/v1/nothing").status, 404);
    server.stop();
}

#[test]
fn what_is_found_is_also_found_below_the_page() {
    let server = start(&[]);
    assert_eq!(server.post_spans(SPAN).status, 202);
    for base in ["/api/tracewell/v1", "/zipkin/api/tracewell/v1"] {
        let page = server.get(&format!("{base}/search?q=service:front&start=1&end=1")).json();
        assert_eq!(page["traces"][0]["matches"][0], "0000000000000001");
        assert_eq!((&page["next"], &page["searched"]["complete"]), (&serde_json::Value::Null, &true.into()));
        let lines = server.get(&format!("{base}/search/stream?start=0&end=9"));
        assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    }
    server.stop();
}

#[test]
fn watching_ends_with_the_server() {
    // Stopping would wait for what is being answered.
    let server = start(&[("stop-timeout", "1h")]);
    let mut stream = server.connect();
    stream.write_all(b"GET /api/tracewell/v1/live?q=service:front HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let mut read_until = |wanted: &str| loop {
        let mut line = String::new();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0, "it ended before {wanted:?}");
        if line.starts_with(wanted) {
            return line;
        }
    };
    read_until(": watching");
    assert_eq!(server.get("/api/tracewell/v1/status").json()["live"]["listeners"], 1);
    assert_eq!(server.post_spans(SPAN).status, 202);
    read_until("event: spans");
    assert!(read_until("data: ").contains("\"service\":\"front\""));
    server.stop();
    let mut rest = vec![];
    reader.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the answer came to its end");
}
