//! How long OTLP takes: `cargo test --release -p tracewell-wire --test otlp_speed -- --ignored --nocapture`. Decides nothing.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a test says what it needs, and this one what it found")]

use std::hint::black_box;
use std::time::Instant;
use tracewell_model::{
    Kind, OwnedAnnotation, OwnedEndpoint, Span, SpanBatch, SpanId, StatusCode, Time, TraceId, Value,
};
use tracewell_wire::otlp::{RequestWriter, decode_json, decode_protobuf, encode_json, encode_protobuf, encode_span};
use tracewell_wire::{Limits, zipkin_v2};

const SPANS: usize = 1_000;

fn batch(tags: usize) -> SpanBatch {
    let keys = [
        "http.request.method",
        "http.route",
        "http.response.status_code",
        "server.address",
        "url.full",
        "user_agent.original",
        "db.system",
        "db.statement",
        "thread.id",
        "code.function",
    ];
    let mut batch = SpanBatch::new();
    for at in 0..SPANS as u64 {
        let mixed = (at + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let tag = |n: usize| {
            let value = if n % 3 == 2 {
                Value::I64((at % 500) as i64)
            } else {
                Value::Str(format!("value {} of {}", mixed % 1000, n))
            };
            (keys[n].to_owned(), value)
        };
        let span = Span {
            trace_id: TraceId::from_halves(mixed, at / 10 + 1),
            id: SpanId::new(mixed),
            parent: (at % 10 != 0).then(|| SpanId::new(mixed ^ 1)),
            name: format!("GET /resource/{}", at % 40),
            kind: [Kind::Server, Kind::Client, Kind::Internal][at as usize % 3],
            start: Some(Time::from_nanos(1_700_000_000_000_000_000 + at * 1_000_003)),
            duration: Some(Time::from_nanos(1 + mixed % 100_000_000)),
            local: Some(OwnedEndpoint {
                service: format!("service-{}", at * 10 / SPANS as u64),
                ..OwnedEndpoint::default()
            }),
            tags: (0..tags).map(tag).collect(),
            annotations: (at % 20 == 0)
                .then(|| OwnedAnnotation {
                    time: Time::from_nanos(1_700_000_000_000_000_500),
                    value: "exception".to_owned(),
                    details: vec![("exception.type".to_owned(), Value::Str("E".to_owned()))],
                })
                .into_iter()
                .collect(),
            status: if at % 50 == 0 { StatusCode::Error } else { StatusCode::Unset },
            ..Span::default()
        };
        batch.push_span(&span).expect("room");
    }
    batch
}

/// The best of several runs, in nanoseconds a span.
fn report(what: &str, bytes: usize, mut run: impl FnMut()) {
    let mut best = f64::MAX;
    for _ in 0..500 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{what}: {:.1} ns a span, {} bytes a span", best * 1e9 / SPANS as f64, bytes / SPANS);
}

#[test]
#[ignore = "measures"]
fn otlp() {
    for tags in [2, 6, 10] {
        let spans = batch(tags);
        let (mut protobuf, mut json, mut zipkin) = (vec![], vec![], vec![]);
        encode_protobuf(spans.spans(), &mut protobuf);
        encode_json(spans.spans(), &mut json);
        zipkin_v2::encode_spans(spans.spans(), &mut zipkin);
        let limits = Limits::default();
        let mut decoded = SpanBatch::new();
        println!("{tags} tags");
        report("  decode protobuf", protobuf.len(), || {
            decoded.clear();
            assert_eq!(decode_protobuf(&protobuf, &limits, &mut decoded), Ok(SPANS));
        });
        report("  decode JSON", json.len(), || {
            decoded.clear();
            assert_eq!(decode_json(&json, &limits, &mut decoded), Ok(SPANS));
        });
        report("  decode Zipkin JSON", zipkin.len(), || {
            decoded.clear();
            assert_eq!(zipkin_v2::decode_json(&zipkin, &limits, &mut decoded), Ok(SPANS));
        });
        let mut out = Vec::new();
        report("  encode protobuf", protobuf.len(), || {
            out.clear();
            encode_protobuf(decoded.spans(), &mut out);
        });
        report("  encode JSON", json.len(), || {
            out.clear();
            encode_json(decoded.spans(), &mut out);
        });
        let span = spans.span(1);
        report("  encode one span over and over", 0, || {
            for _ in 0..SPANS / 100 {
                out.clear();
                for _ in 0..100 {
                    encode_span(black_box(span), &mut out);
                }
            }
        });
        let mut writer = RequestWriter::new([], "lib", "1");
        report("  RequestWriter, 100 spans a request", 0, || {
            for at in 0..SPANS / 100 {
                writer.clear();
                for n in 0..100 {
                    writer.push(black_box(spans.span(at * 100 + n)));
                }
                black_box(writer.finish());
            }
        });
    }
}
