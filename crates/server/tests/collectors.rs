//! Every way in: what is sent is found, what is broken is refused whole, and what does not fit is told to whoever sent it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::{Running, grpc, reads_nothing, start, start_with};
use std::io::Write;
use std::net::UdpSocket;
use std::sync::Arc;
use tracewell_model::SpanBatch;
use tracewell_server::ListenerName;
use tracewell_store::{EmbeddedOptions, EmbeddedStore, ReadError, RealDisk, Store, StoreHealth, WriteDone, WriteError};
use tracewell_wire::jaeger::{BatchEncoder, BatchForm, encode_proto_post_spans};
use tracewell_wire::{Limits, otlp, zipkin_v1, zipkin_v2};

/// A way in: a listener, how it is spoken to, and how spans are written there.
struct Way {
    listener: ListenerName,
    how: How,
    transport: &'static str,
    encode: fn(&SpanBatch) -> Vec<u8>,
}

enum How {
    Http { path: &'static str, content_type: &'static str, taken: u16 },
    Grpc { path: &'static str },
    Udp,
}

/// How a sender sees what became of its spans.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Taken,
    Malformed,
    /// It may try again; whether it is told when.
    TryAgain {
        told_when: bool,
    },
    Failed,
    /// Nobody says.
    Unknown,
}

const WAYS: &[Way] = &[
    Way {
        listener: ListenerName::OtlpHttp,
        how: How::Http { path: "/v1/traces", content_type: "application/x-protobuf", taken: 200 },
        transport: "otlp_http",
        encode: |batch| encoded(batch, |batch, out| otlp::encode_protobuf(batch.spans(), out)),
    },
    Way {
        listener: ListenerName::OtlpHttp,
        how: How::Http { path: "/v1/traces", content_type: "application/json", taken: 200 },
        transport: "otlp_http",
        encode: |batch| encoded(batch, |batch, out| otlp::encode_json(batch.spans(), out)),
    },
    Way {
        listener: ListenerName::OtlpGrpc,
        how: How::Grpc { path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export" },
        transport: "otlp_grpc",
        encode: |batch| encoded(batch, |batch, out| otlp::encode_protobuf(batch.spans(), out)),
    },
    Way {
        listener: ListenerName::Zipkin,
        how: How::Grpc { path: "/zipkin.proto3.SpanService/Report" },
        transport: "grpc",
        encode: proto3,
    },
    Way {
        listener: ListenerName::Zipkin,
        how: How::Http { path: "/api/v2/spans", content_type: "application/x-protobuf", taken: 202 },
        transport: "http",
        encode: proto3,
    },
    Way {
        listener: ListenerName::Zipkin,
        how: How::Http { path: "/api/v1/spans", content_type: "application/x-thrift", taken: 202 },
        transport: "http",
        encode: |batch| encoded(batch, |batch, out| zipkin_v1::encode_thrift(batch.spans(), out)),
    },
    Way {
        listener: ListenerName::JaegerHttp,
        how: How::Http { path: "/api/traces?format=jaeger.thrift", content_type: "application/x-thrift", taken: 202 },
        transport: "jaeger_http",
        encode: |batch| thrift(batch, BatchForm::HttpBinary),
    },
    Way {
        listener: ListenerName::JaegerGrpc,
        how: How::Grpc { path: "/jaeger.api_v2.CollectorService/PostSpans" },
        transport: "jaeger_grpc",
        encode: |batch| encoded(batch, |batch, out| encode_proto_post_spans(batch.spans(), out)),
    },
    Way {
        listener: ListenerName::JaegerUdpCompact,
        how: How::Udp,
        transport: "jaeger_udp_compact",
        encode: |batch| thrift(batch, BatchForm::AgentCompact),
    },
    Way {
        listener: ListenerName::JaegerUdpBinary,
        how: How::Udp,
        transport: "jaeger_udp_binary",
        encode: |batch| thrift(batch, BatchForm::AgentBinary),
    },
];

fn proto3(batch: &SpanBatch) -> Vec<u8> {
    encoded(batch, |batch, out| batch.spans().for_each(|span| zipkin_v2::encode_proto3(span, out)))
}

fn encoded(batch: &SpanBatch, encode: impl Fn(&SpanBatch, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![];
    encode(batch, &mut out);
    out
}

fn thrift(batch: &SpanBatch, form: BatchForm) -> Vec<u8> {
    let mut encoder = BatchEncoder::new(form);
    encoder.set_process("frontend", std::iter::empty());
    batch.spans().for_each(|span| encoder.push(span, 65_000).unwrap());
    encoder.finish().to_vec()
}

/// A span of service `frontend`.
fn batch(trace: &str) -> SpanBatch {
    let json = format!("[{}]", common::span(trace, "frontend"));
    let mut batch = SpanBatch::new();
    zipkin_v2::decode_json(json.as_bytes(), &Limits::default(), &mut batch).unwrap();
    batch
}

impl Way {
    fn flag(&self) -> (&'static str, &'static str) {
        (self.listener.flag(), "127.0.0.1:0")
    }

    /// Sends; the listener must run on that server.
    fn send(&self, server: &Running, message: &[u8]) -> Outcome {
        match &self.how {
            How::Http { path, content_type, taken } => {
                let headers = [("Content-Type", *content_type)];
                let answer = server.ask_at(self.listener, "POST", path, &headers, Some(message));
                match answer.status {
                    status if status == *taken => Outcome::Taken,
                    400 => Outcome::Malformed,
                    503 => Outcome::TryAgain { told_when: answer.header("retry-after") == Some("1") },
                    500 => Outcome::Failed,
                    other => panic!("{}: {other} {}", self.transport, answer.text()),
                }
            }
            How::Grpc { path } => {
                let called = server.call(self.listener, path, message);
                let details = called.headers.contains_key("grpc-status-details-bin");
                match called.status {
                    0 => Outcome::Taken,
                    8 | 14 => Outcome::TryAgain { told_when: details },
                    13 if called.text.starts_with("grpc: ") => Outcome::Malformed,
                    13 => Outcome::Failed,
                    other => panic!("{}: {other} {}", self.transport, called.text),
                }
            }
            How::Udp => {
                let counted = |server: &Running| self.counted(server, "zipkin_collector_messages_total");
                let before = counted(server);
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.send_to(message, server.address_of(self.listener)).unwrap();
                while counted(server) == before {
                    std::thread::yield_now();
                }
                Outcome::Unknown
            }
        }
    }

    fn counted(&self, server: &Running, metric: &str) -> f64 {
        server.metric(&format!("{metric}{{transport=\"{}\"}}", self.transport))
    }

    fn refused(&self, server: &Running, reason: &str) -> f64 {
        let labels = format!("transport=\"{}\",reason=\"{reason}\"", self.transport);
        server.metric(&format!("tracewell_ingest_refused_total{{{labels}}}"))
    }

    fn is_udp(&self) -> bool {
        matches!(self.how, How::Udp)
    }
}

#[test]
fn what_is_sent_is_found() {
    for way in WAYS {
        let server = start(&[way.flag()]);
        let outcome = way.send(&server, &(way.encode)(&batch("1234567890abcdef")));
        assert_eq!(outcome, if way.is_udp() { Outcome::Unknown } else { Outcome::Taken }, "{}", way.transport);
        let found = loop {
            let found = server.get("/api/v2/trace/1234567890abcdef");
            match found.status {
                // A packet is written behind the sender's back.
                404 if way.is_udp() => std::thread::yield_now(),
                _ => break found,
            }
        };
        assert_eq!(found.status, 200, "{}", way.transport);
        assert_eq!(found.json()[0]["localEndpoint"]["serviceName"], "frontend", "{}", way.transport);
        assert_eq!(found.json()[0]["duration"], 1000, "{}", way.transport);
        assert_eq!(way.counted(&server, "zipkin_collector_messages_total"), 1.0);
        assert_eq!(way.counted(&server, "zipkin_collector_messages_dropped_total"), 0.0);
        assert_eq!(way.counted(&server, "zipkin_collector_spans_total"), 1.0);
        server.stop();
    }
}

#[test]
fn what_is_cut_anywhere_is_refused_whole() {
    for way in WAYS {
        let server = start(&[way.flag()]);
        let message = (way.encode)(&batch("1234567890abcdef"));
        let mut refused = 0;
        // The byte that ends a call's arguments is not looked at in packets: the spans in front of it are whole.
        let end = message.len() - usize::from(way.is_udp());
        for end in 0..end {
            match way.send(&server, &message[..end]) {
                // In protobuf nothing at all is a message of nothing.
                Outcome::Taken if end == 0 => {}
                Outcome::Malformed | Outcome::Unknown => refused += 1,
                other => panic!("{}: cut at {end} of {}: {other:?}", way.transport, message.len()),
            }
        }
        let malformed = way.refused(&server, "malformed");
        assert_eq!(malformed, f64::from(refused), "{}", way.transport);
        // Zipkin's own count says two for most of them.
        assert!(way.counted(&server, "zipkin_collector_messages_dropped_total") >= malformed);
        assert_eq!(server.metric("tracewell_store_spans_stored"), 0.0, "{}", way.transport);
        assert_eq!(server.metric("tracewell_ingest_bodies_held_bytes"), 0.0);
        server.stop();
    }
}

#[test]
fn senders_are_put_off_when_the_memory_for_bodies_is_spent() {
    for way in WAYS {
        let message = (way.encode)(&batch("1234567890abcdef"));
        let server = start(&[way.flag(), ("bodies-memory-bytes-max", "10000")]);
        let mut slow = server.connect();
        slow.write_all(b"POST /api/v2/spans HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n").unwrap();
        slow.write_all(&[b' '; 9999]).unwrap();
        while server.metric("tracewell_ingest_bodies_held_bytes") < 9999.0 {
            std::thread::yield_now();
        }
        let expected = if way.is_udp() { Outcome::Unknown } else { Outcome::TryAgain { told_when: true } };
        assert_eq!(way.send(&server, &message), expected, "{}", way.transport);
        assert_eq!(way.refused(&server, "memory_spent"), 1.0, "{}", way.transport);
        assert_eq!(way.counted(&server, "zipkin_collector_messages_dropped_total"), 1.0);
        drop(slow);
        while server.metric("tracewell_ingest_bodies_held_bytes") > 0.0 {
            std::thread::yield_now();
        }
        let again = way.send(&server, &message);
        assert_eq!(again, if way.is_udp() { Outcome::Unknown } else { Outcome::Taken }, "{}", way.transport);
        server.stop();
    }
}

#[test]
fn every_refusal_of_the_store_is_told_and_counted() {
    let try_again = || Outcome::TryAgain { told_when: true };
    for (error, outcome, reason) in [
        (WriteError::Overloaded, try_again(), "store_overloaded"),
        (WriteError::DiskFull("no room".to_owned()), try_again(), "store_disk_full"),
        (WriteError::Closed, try_again(), "store_failed"),
        (WriteError::Failed("sync".to_owned()), Outcome::Failed, "store_failed"),
    ] {
        for way in WAYS {
            let server = start_with(&[way.flag()], Arc::new(Refusing(error.clone())));
            let told = way.send(&server, &(way.encode)(&batch("1")));
            if way.is_udp() {
                while way.refused(&server, reason) == 0.0 {
                    std::thread::yield_now();
                }
            } else {
                assert_eq!(told, outcome, "{}: {error}", way.transport);
            }
            assert_eq!(way.refused(&server, reason), 1.0, "{}: {error}", way.transport);
            assert_eq!(way.counted(&server, "zipkin_collector_spans_dropped_total"), 1.0);
            server.stop();
        }
    }
}

#[test]
fn messages_of_grpc_come_packed_too_and_never_beyond_the_limit() {
    let pack = |message: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        encoder.write_all(message).unwrap();
        encoder.finish().unwrap()
    };
    for way in WAYS {
        let How::Grpc { path } = way.how else { continue };
        let server = start(&[way.flag(), ("body-decompressed-bytes-max", "2000"), ("body-bytes-max", "1000")]);
        let gzip = &[("grpc-encoding", "gzip")];
        let message = (way.encode)(&batch("1234567890abcdef"));
        let call = |headers: &[(&str, &str)], body: Vec<u8>| {
            let called = server.call_with(way.listener, path, headers, body);
            (called.status, called.text)
        };
        assert_eq!(call(gzip, grpc::framed(&pack(&message), true)).0, 0, "{}", way.transport);
        assert_eq!(call(gzip, grpc::framed(&message, false)).0, 0, "{}", way.transport);
        assert_eq!(server.get("/api/v2/trace/1234567890abcdef").status, 200);
        assert_eq!(call(&[], grpc::framed(&pack(&message), true)).0, 13);
        assert_eq!(call(&[("grpc-encoding", "br")], grpc::framed(&message, true)).0, 12);
        let packed = pack(&message);
        assert_eq!(call(gzip, grpc::framed(&packed[..packed.len() - 1], true)).0, 13, "cut");
        assert_eq!(call(gzip, framed_without_its_end(&packed)).0, 13, "cut");
        assert_eq!(call(gzip, vec![]).0, 13, "nothing");
        let (status, text) = call(gzip, grpc::framed(&pack(&[0; 2001]), true));
        assert_eq!((status, text.as_str()), (8, "the body is larger than 2000 bytes"));
        let (status, text) = call(&[], grpc::framed(&[0; 1000], false));
        assert_eq!((status, text.as_str()), (8, "the body is larger than 1000 bytes"));
        assert_eq!(server.metric("tracewell_ingest_bodies_held_bytes"), 0.0);
        server.stop();
    }
}

fn framed_without_its_end(message: &[u8]) -> Vec<u8> {
    let mut frame = grpc::framed(message, true);
    frame.pop();
    frame
}

#[test]
fn what_is_not_there_is_told_as_grpc_tells_it() {
    for way in WAYS {
        let How::Grpc { path } = way.how else { continue };
        let server = start(&[way.flag()]);
        let (service, _) = path.rsplit_once('/').unwrap();
        for path in [format!("{service}/Nope"), "/x.Y/Z".to_owned(), "/".to_owned()] {
            let called = server.call(way.listener, &path, b"");
            assert_eq!(called.status, 12, "{path}: {}", called.text);
            assert!(called.body.is_empty());
        }
        if way.listener == ListenerName::Zipkin {
            continue; // what is no call is for Zipkin's routes there
        }
        let answer = server.ask_at(way.listener, "GET", path, &[], None);
        assert_eq!((answer.status, answer.text()), (415, "invalid gRPC request content-type \"\"\n"));
        server.stop();
    }
}

#[test]
fn many_packets_become_few_writes_and_all_are_there() {
    const PACKETS: usize = 100;
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk::open(directory.path()).unwrap());
    let store = Arc::new(EmbeddedStore::open(EmbeddedOptions::default(), disk).unwrap());
    let server = start_with(&[("jaeger-udp-compact", "127.0.0.1:0")], store);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 1..=PACKETS {
        let packet = thrift(&batch(&format!("{number:016x}")), BatchForm::AgentCompact);
        socket.send_to(&packet, server.address_of(ListenerName::JaegerUdpCompact)).unwrap();
    }
    // Where the system's buffer is small it may have dropped some, and says so.
    let dropped = "tracewell_udp_packets_dropped_by_system_total{transport=\"jaeger_udp_compact\"}";
    while server.metric("tracewell_store_spans_written_total") + server.metric(dropped) < PACKETS as f64 {
        std::thread::yield_now();
    }
    assert!(server.metric("tracewell_store_batches_written_total") <= PACKETS as f64);
    assert_eq!(server.get("/api/v2/trace/0000000000000001").status, 200);
    server.stop();
}

/// What had come when the server was told to stop is kept.
#[test]
fn a_server_that_stops_takes_the_packets_that_wait() {
    let store = Arc::new(tracewell_store::ReferenceStore::new(vec![]));
    let server = start_with(&[("jaeger-udp-binary", "127.0.0.1:0")], Arc::clone(&store) as Arc<dyn Store>);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 1..=50 {
        let packet = thrift(&batch(&format!("{number:016x}")), BatchForm::AgentBinary);
        socket.send_to(&packet, server.address_of(ListenerName::JaegerUdpBinary)).unwrap();
    }
    server.stop();
    assert_eq!(store.stats().spans_stored, 50);
}

#[test]
fn jaegers_collector_says_what_is_wrong_as_jaeger_does() {
    let server = start(&[("jaeger-http", "127.0.0.1:0")]);
    let post = |headers: &[(&str, &str)], body: &[u8]| {
        let answer = server.ask_at(ListenerName::JaegerHttp, "POST", "/api/traces", headers, Some(body));
        (answer.status, answer.header("content-type").unwrap_or_default().to_owned(), answer.text().to_owned())
    };
    let text = "text/plain; charset=utf-8".to_owned();
    let no_type = "Cannot parse content type: mime: no media type\n".to_owned();
    assert_eq!(post(&[], b"x"), (400, text.clone(), no_type));
    let wrong_type = "Unsupported content type: application/json\n".to_owned();
    assert_eq!(post(&[("Content-Type", "application/json")], b"{}"), (400, text, wrong_type));
    for body in [&b"garbage!"[..], b"", b"\x1f\x8b\x08\0\0\0\0\0"] {
        let (status, _, said) = post(&[("Content-Type", "application/x-thrift; charset=utf-8")], body);
        assert!(status == 400 && said.starts_with("Unable to process request body: "), "{said}");
    }
    let message = thrift(&batch("1"), BatchForm::HttpBinary);
    let (status, content_type, said) = post(&[("Content-Type", "application/vnd.apache.thrift.binary")], &message);
    assert_eq!((status, content_type.as_str(), said.as_str()), (202, "", ""));
    let get = server.ask_at(ListenerName::JaegerHttp, "GET", "/api/traces", &[], None);
    assert_eq!((get.status, get.text()), (405, ""));
    assert_eq!(server.ask_at(ListenerName::JaegerHttp, "GET", "/nope", &[], None).text(), "404 page not found\n");
    server.stop();
}

#[test]
fn opentelemetrys_collector_answers_as_jaegers_does() {
    let server = start(&[("otlp-http", "127.0.0.1:0"), ("otlp-grpc", "127.0.0.1:0")]);
    let ask = |method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]| {
        let answer = server.ask_at(ListenerName::OtlpHttp, method, path, headers, Some(body));
        (answer.status, answer.header("content-type").unwrap_or_default().to_owned(), answer.body)
    };
    let told =
        |status: u16, content_type: &str, body: &str| (status, content_type.to_owned(), body.as_bytes().to_vec());
    let json: &[(&str, &str)] = &[("Content-Type", "application/json; charset=utf-8")];
    let protobuf: &[(&str, &str)] = &[("Content-Type", "application/x-protobuf")];
    let taken = told(200, "application/json", r#"{"partialSuccess":{}}"#);
    assert_eq!(ask("POST", "/v1/traces", json, b"{}"), taken);
    assert_eq!(ask("POST", "/v1/traces", protobuf, b""), told(200, "application/x-protobuf", "\n\0"));
    let (status, content_type, body) = ask("POST", "/v1/traces", json, b"{nope");
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, content_type.as_str(), &body["code"]), (400, "application/json", &3.into()));
    let (status, content_type, body) = ask("POST", "/v1/traces", protobuf, b"\xff\xff\xff\xff\xff");
    assert_eq!((status, content_type.as_str()), (400, "application/x-protobuf"));
    assert_eq!(otlp::decode_status_protobuf(&body).unwrap().code, 3);
    let media = "415 unsupported media type, supported: [application/json, application/x-protobuf]";
    for headers in [&[("Content-Type", "text/plain")][..], &[]] {
        assert_eq!(ask("POST", "/v1/traces", headers, b"{}"), told(415, "text/plain", media));
    }
    let method = "405 method not allowed, supported: [POST]";
    assert_eq!(ask("GET", "/v1/traces", &[], b""), told(405, "text/plain", method));
    let not_found = told(404, "text/plain; charset=utf-8", "404 page not found\n");
    assert_eq!(ask("POST", "/v1/logs", json, b"{}"), not_found);
    let foo: &[(&str, &str)] = &[("Content-Type", "application/json"), ("Content-Encoding", "foo")];
    let unsupported = told(400, "application/json", r#"{"code":3,"message":"unsupported Content-Encoding: foo"}"#);
    assert_eq!(ask("POST", "/v1/traces", foo, b"{}"), unsupported);
    let export = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let called = server.call(ListenerName::OtlpGrpc, export, b"");
    assert_eq!((called.status, called.body.as_ref()), (0, &b"\0\0\0\0\x02\x0a\0"[..]));
    server.stop();
}

#[test]
fn opentelemetrys_bodies_come_packed_too() {
    let server = start(&[("otlp-http", "127.0.0.1:0"), ("body-decompressed-bytes-max", "2000")]);
    let post = |coding: &str, body: &[u8]| {
        let headers = [("Content-Type", "application/json"), ("Content-Encoding", coding)];
        server.ask_at(ListenerName::OtlpHttp, "POST", "/v1/traces", &headers, Some(body)).status
    };
    let level = flate2::Compression::fast();
    let packed = |body: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(vec![], level);
        gzip.write_all(body).unwrap();
        let mut deflate = flate2::write::ZlibEncoder::new(vec![], level);
        deflate.write_all(body).unwrap();
        let zstd = zstd::encode_all(body, 1).unwrap();
        [("gzip", gzip.finish().unwrap()), ("deflate", deflate.finish().unwrap()), ("zstd", zstd)]
    };
    for (number, (coding, _)) in packed(b"").into_iter().enumerate() {
        let trace = format!("{:016x}", number + 1);
        let body = encoded(&batch(&trace), |batch, out| otlp::encode_json(batch.spans(), out));
        let (_, whole) = packed(&body).into_iter().find(|(name, _)| *name == coding).unwrap();
        assert_eq!(post(coding, &whole[..whole.len() - 1]), 400, "{coding}, cut");
        assert_eq!(server.get(&format!("/api/v2/trace/{trace}")).status, 404);
        assert_eq!(post(coding, &whole), 200, "{coding}");
        assert_eq!(server.get(&format!("/api/v2/trace/{trace}")).status, 200);
        assert_eq!(post(coding, &body), 400, "{coding}, but not packed");
        let (_, bomb) = packed(&[b' '; 2001]).into_iter().find(|(name, _)| *name == coding).unwrap();
        assert_eq!(post(coding, &bomb), 413, "{coding}");
    }
    server.stop();
}

#[test]
fn web_pages_may_send_if_their_origin_may() {
    let server = start(&[("otlp-http", "127.0.0.1:0"), ("allowed-origins", "http://a.example")]);
    let ask = |method: &str, headers: &[(&str, &str)]| {
        server.ask_at(ListenerName::OtlpHttp, method, "/v1/traces", headers, Some(b"{}"))
    };
    let preflight = |origin: &str| {
        let asked = [("Origin", origin), ("Access-Control-Request-Method", "POST")];
        let headers = [asked[0], asked[1], ("Access-Control-Request-Headers", "content-type")];
        ask("OPTIONS", &headers)
    };
    let allowed = preflight("http://a.example");
    assert_eq!((allowed.status, allowed.text()), (204, ""));
    assert_eq!(allowed.header("access-control-allow-origin"), Some("http://a.example"));
    assert_eq!(allowed.header("access-control-allow-headers"), Some("content-type"));
    let other = preflight("http://b.example");
    assert_eq!((other.status, other.header("access-control-allow-origin")), (204, None));
    let posted = ask("POST", &[("Origin", "http://a.example"), ("Content-Type", "application/json")]);
    assert_eq!((posted.status, posted.header("access-control-allow-origin")), (200, Some("http://a.example")));
    server.stop();
}

#[test]
fn the_admin_port_tells_of_health_and_metrics() {
    let server = start(&[("admin", "127.0.0.1:0")]);
    let health = server.ask_at(ListenerName::Admin, "GET", "/", &[], None);
    assert_eq!((health.status, health.json()["status"].as_str()), (200, Some("Server available")));
    assert!(health.json()["upSince"].as_str().unwrap().ends_with('Z'));
    let metrics = server.ask_at(ListenerName::Admin, "GET", "/metrics", &[], None);
    assert!(metrics.text().contains("\ntracewell_store_takes_writes 1.0\n"));
    server.stop();
    let server = start_with(&[("admin", "127.0.0.1:0")], Arc::new(Refusing(WriteError::Closed)));
    let health = server.ask_at(ListenerName::Admin, "GET", "/", &[], None);
    assert_eq!((health.status, health.json()["status"].as_str()), (503, Some("Server not available")));
    server.stop();
}

/// Refuses every batch for one reason.
struct Refusing(WriteError);

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
