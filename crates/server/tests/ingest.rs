//! Bodies of spans: what is taken, what is refused and how, what is counted, and that memory is bounded.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::{read_answer, reads_nothing, span, start, start_with};
use std::io::Write;
use std::sync::{Arc, Mutex};
use tracewell_model::SpanBatch;
use tracewell_store::{EmbeddedOptions, EmbeddedStore, ReadError, RealDisk, Store, StoreHealth, WriteDone, WriteError};

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

const GZIP: &[(&str, &str)] = &[("Content-Type", "application/json"), ("Content-Encoding", "gzip")];

#[test]
fn what_was_acknowledged_is_found_at_once() {
    let server = start(&[]);
    for (number, body) in [(1, false), (2, true)] {
        let spans = format!("[{}]", span(&format!("{number:016x}"), "frontend"));
        let answer = match body {
            false => server.post_spans(&spans),
            true => server.ask("POST", "/api/v2/spans", GZIP, Some(&gzip(spans.as_bytes()))),
        };
        assert_eq!((answer.status, answer.text()), (202, ""));
        let found = server.get(&format!("/api/v2/trace/{number:016x}"));
        assert_eq!(found.json(), serde_json::from_str::<serde_json::Value>(&spans).unwrap());
    }
    assert_eq!(server.get("/api/v2/services").json(), serde_json::json!(["frontend"]));
    assert_eq!(server.get("/api/v2/traces").json().as_array().unwrap().len(), 2);
    server.stop();
}

#[test]
fn a_body_beyond_the_limit_is_refused_whether_it_tells_its_length_or_not() {
    let server = start(&[("body-bytes-max", "1000"), ("body-decompressed-bytes-max", "2000")]);
    let long = format!("[{}]", " ".repeat(2000));
    let answer = server.post_spans(&long);
    assert_eq!((answer.status, answer.text()), (413, "the body is larger than 1000 bytes"));
    let mut chunked = server.connect();
    chunked.write_all(b"POST /api/v2/spans HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    for _ in 0..2 {
        chunked.write_all(format!("3e8\r\n{}\r\n", "[".repeat(1000)).as_bytes()).unwrap();
    }
    chunked.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(read_answer(chunked).status, 413);
    let bomb = gzip(long.as_bytes());
    assert!(bomb.len() < 1000);
    assert_eq!(server.ask("POST", "/api/v2/spans", GZIP, Some(&bomb)).status, 413);
    // A bomb that lies about its length, in its last four bytes.
    let mut lying = bomb;
    let end = lying.len() - 4;
    lying[end..].copy_from_slice(&7u32.to_le_bytes());
    assert_eq!(server.ask("POST", "/api/v2/spans", GZIP, Some(&lying)).status, 413);
    assert_eq!(server.metric("tracewell_ingest_refused_total{transport=\"http\",reason=\"body_too_large\"}"), 4.0);
    assert_eq!(server.metric("tracewell_ingest_bodies_held_bytes"), 0.0);
    server.stop();
}

#[test]
fn senders_are_put_off_when_the_memory_for_bodies_is_spent() {
    let server = start(&[("bodies-memory-bytes-max", "10000")]);
    let mut slow = server.connect();
    slow.write_all(b"POST /api/v2/spans HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n").unwrap();
    slow.write_all(&[b' '; 8999]).unwrap();
    while server.metric("tracewell_ingest_bodies_held_bytes") < 8999.0 {
        std::thread::yield_now();
    }
    let answer = server.post_spans(&format!("[{}]", " ".repeat(2000)));
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    assert_eq!(server.metric("tracewell_ingest_refused_total{transport=\"http\",reason=\"memory_spent\"}"), 1.0);
    assert_eq!(server.post_spans("[]").status, 202, "small ones still fit");
    drop(slow);
    while server.metric("tracewell_ingest_bodies_held_bytes") > 0.0 {
        std::thread::yield_now();
    }
    assert_eq!(server.post_spans(&format!("[{}]", " ".repeat(2000))).status, 202);
    server.stop();
}

#[test]
fn slow_senders_are_cut_off() {
    let server = start(&[("header-timeout", "200ms"), ("body-timeout", "200ms")]);
    let mut silent = server.connect();
    let mut head = server.connect();
    head.write_all(b"POST /api/v2/spans HTTP/1.1\r\nHo").unwrap();
    let mut body = server.connect();
    body.write_all(b"POST /api/v2/spans HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[").unwrap();
    assert_eq!(read_answer(body).status, 408);
    for stream in [&mut silent, &mut head] {
        let mut end = vec![];
        // Closed, with or without a word.
        std::io::Read::read_to_end(stream, &mut end).unwrap();
    }
    assert_eq!(server.metric("tracewell_ingest_refused_total{transport=\"http\",reason=\"body_too_slow\"}"), 1.0);
    server.stop();
}

#[test]
fn what_comes_and_what_is_dropped_is_counted_as_zipkin_counts() {
    let server = start(&[]);
    let spans =
        |answer: &str| server.get("/metrics").json()[format!("counter.zipkin_collector.{answer}.http")].as_f64();
    for body in ["[", "{}", "[]", "[ ]", r#"[{"traceId":"1","id":"1"}]"#] {
        server.post_spans(body);
    }
    assert_eq!(spans("messages"), Some(5.0));
    assert_eq!(spans("messages_dropped"), Some(3.0), "two for what is cut, one for what is no list");
    assert_eq!(spans("bytes"), Some(1.0 + 2.0 + 0.0 + 3.0 + 26.0));
    assert_eq!(spans("spans"), Some(1.0));
    server.stop();
}

/// py_zipkin sends this, labelled as its documentation still shows it; Zipkin refuses it.
#[test]
fn json_labelled_thrift_is_taken_for_what_it_is() {
    let server = start(&[]);
    let labelled = [("Content-Type", "application/x-thrift")];
    let v2 = r#"[{"traceId":"1","id":"2","name":"a","localEndpoint":{"serviceName":"s"}}]"#;
    assert_eq!(server.ask("POST", "/api/v1/spans", &labelled, Some(v2.as_bytes())).status, 202);
    assert_eq!(server.get("/api/v2/trace/1").json()[0]["localEndpoint"]["serviceName"], "s");
    let undecided = r#"[{"traceId":"1","id":"2","name":"a"}]"#;
    assert_eq!(server.ask("POST", "/api/v1/spans", &labelled, Some(undecided.as_bytes())).status, 400);
    server.stop();
}

/// A real store whose queue takes next to nothing.
#[test]
fn a_store_that_cannot_keep_up_pushes_back() {
    let directory = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { write_queue_bytes_max: 1, ..EmbeddedOptions::default() };
    let store = EmbeddedStore::open(options, Arc::new(RealDisk::open(directory.path()).unwrap())).unwrap();
    let server = start_with(&[], Arc::new(store));
    let answer = server.post_spans(&format!("[{}]", span("1", "a")));
    assert_eq!(answer.status, 413, "larger than the queue, so it will never fit: {}", answer.text());
    assert_eq!(server.metric("zipkin_collector_spans_dropped_total{transport=\"http\"}"), 1.0);
    server.stop();
}

#[test]
fn every_refusal_of_the_store_is_told_with_its_status() {
    let cases = [
        (WriteError::Overloaded, 503, Some("1"), "store_overloaded"),
        (WriteError::DiskFull("no room".to_owned()), 503, Some("1"), "store_disk_full"),
        (WriteError::Closed, 503, Some("1"), "store_failed"),
        (WriteError::Failed("sync".to_owned()), 500, None, "store_failed"),
    ];
    for (error, status, retry_after, reason) in cases {
        let server = start_with(&[], Arc::new(Refusing(error.clone())));
        let answer = server.post_spans(&format!("[{}]", span("1", "a")));
        assert_eq!((answer.status, answer.header("retry-after")), (status, retry_after), "{error}");
        assert_eq!(answer.text(), error.to_string());
        assert_eq!(
            server.metric(&format!("tracewell_ingest_refused_total{{transport=\"http\",reason=\"{reason}\"}}")),
            1.0
        );
        let health = server.get("/health");
        assert_eq!((health.status, &health.json()["status"]), (503, &"DOWN".into()));
        assert_eq!(health.json()["zipkin"]["details"]["TracewellStore{}"]["details"]["error"], error.to_string());
        server.stop();
    }
}

#[test]
fn a_server_that_stops_answers_what_it_was_asked() {
    let held = Arc::new(Holding::default());
    let mut server = start_with(&[], Arc::clone(&held) as Arc<dyn Store>);
    let mut sender = server.connect();
    let body = format!("[{}]", span("1", "a"));
    let head = format!("POST /api/v2/spans HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    sender.write_all(format!("{head}{body}").as_bytes()).unwrap();
    while held.waiting.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
    let stopping = server.stop_in_background();
    // Nobody new is taken once the socket is closed; who waits still gets an answer.
    while std::net::TcpStream::connect(server.address).is_ok() {
        std::thread::yield_now();
    }
    assert!(!*held.closed.lock().unwrap(), "the store is open while somebody waits for it");
    held.waiting.lock().unwrap().drain(..).for_each(|done| done(Ok(())));
    assert_eq!(read_answer(sender).status, 202);
    server.wait(stopping);
    assert!(*held.closed.lock().unwrap());
}

/// Refuses every batch for one reason.
struct Refusing(WriteError);

/// Answers no write by itself.
#[derive(Default)]
struct Holding {
    waiting: Mutex<Vec<WriteDone>>,
    closed: Mutex<bool>,
}

impl Store for Refusing {
    fn write(&self, _: SpanBatch, done: WriteDone) {
        done(Err(self.0.clone()));
    }
    fn health(&self) -> StoreHealth {
        StoreHealth { writes_refused: Some(self.0.to_string()), damage: vec![] }
    }
    fn close(&self) {}
    fn service_names(&self) -> Result<Vec<String>, ReadError> {
        Ok(vec![])
    }
    reads_nothing!();
}

impl Store for Holding {
    fn write(&self, _: SpanBatch, done: WriteDone) {
        self.waiting.lock().unwrap().push(done);
    }
    fn health(&self) -> StoreHealth {
        StoreHealth::default()
    }
    fn close(&self) {
        *self.closed.lock().unwrap() = true;
    }
    fn service_names(&self) -> Result<Vec<String>, ReadError> {
        Ok(vec![])
    }
    reads_nothing!();
}
