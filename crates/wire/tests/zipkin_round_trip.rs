//! Zipkin's formats against each other: what is written in one is read in it as what it was.

use proptest::prelude::*;
use tracewell_model::{Kind, OwnedAnnotation, OwnedEndpoint, Span, SpanBatch, SpanId, Time, TraceId, Value};
use tracewell_wire::{Limits, zipkin_v1, zipkin_v2};

const MICROS: std::ops::Range<u64> = 1_500_000_000_000_000..1_600_000_000_000_000;

fn endpoint() -> impl Strategy<Value = OwnedEndpoint> {
    // Version 1 tells services apart by their names.
    let ipv6 = proptest::option::of(any::<[u8; 16]>().prop_filter("no IPv4 inside", |bytes| bytes[0] != 0));
    let ipv4 = proptest::option::of(any::<[u8; 4]>().prop_filter("zeros are none", |bytes| *bytes != [0; 4]));
    ("[a-zé]{1,8}", ipv4, ipv6, any::<u16>()).prop_map(|(service, ipv4, ipv6, port)| OwnedEndpoint {
        service,
        ipv4,
        ipv6,
        port,
        ipv4_text: String::new(),
    })
}

prop_compose! {
    fn span()(
        (high, low, id, parent) in (prop_oneof![Just(0), any::<u64>()], 1..=u64::MAX, 1..=u64::MAX, any::<Option<u64>>()),
        name in "[a-z0-9 /é]{0,20}",
        kind in prop_oneof![
            Just(Kind::Unset), Just(Kind::Client), Just(Kind::Server), Just(Kind::Producer), Just(Kind::Consumer)
        ],
        debug in any::<bool>(),
        (start, duration) in (MICROS, 1..10_000_000u64),
        (local, remote) in (endpoint(), proptest::option::of(endpoint())),
        tags in proptest::collection::btree_map("[a-z.]{3,12}", "[ -~é]{0,20}", 0..5),
        annotations in proptest::collection::btree_map(MICROS, "[ -~é]{3,20}", 0..4),
    ) -> Span {
        // A client's address with the server's own service is taken for Finagle's and loses its name.
        let remote = remote.filter(|remote| remote.service != local.service);
        Span {
            trace_id: TraceId::from_halves(high, low),
            id: SpanId::new(id),
            parent: parent.map(SpanId::new).filter(|parent| !parent.is_none() && parent.value() != id),
            name, kind, debug,
            start: Some(Time::from_micros(start)),
            duration: Some(Time::from_micros(duration)),
            local: Some(local),
            remote,
            tags: tags.into_iter().map(|(key, value)| (key, Value::Str(value))).collect(),
            annotations: annotations
                .into_iter()
                .map(|(micros, value)| OwnedAnnotation { time: Time::from_micros(micros), value, details: vec![] })
                .collect(),
            ..Span::default()
        }
    }
}

proptest! {
    #[test]
    fn spans_come_back_in_every_format(spans in proptest::collection::vec(span(), 1..4)) {
        let mut batch = SpanBatch::new();
        for span in &spans {
            batch.push_span(span).expect("room");
        }
        let back = |batch: SpanBatch| batch.spans().map(|span| span.to_span()).collect::<Vec<_>>();
        let limits = Limits::default();
        let (mut proto3, mut json, mut thrift) = (vec![], vec![], vec![]);
        batch.spans().for_each(|span| zipkin_v2::encode_proto3(span, &mut proto3));
        zipkin_v1::encode_json(batch.spans(), &mut json);
        zipkin_v1::encode_thrift(batch.spans(), &mut thrift);
        let mut decoded = SpanBatch::new();
        prop_assert_eq!(zipkin_v2::decode_proto3(&proto3, &limits, &mut decoded), Ok(spans.len()));
        prop_assert_eq!(&back(decoded), &spans);
        let mut decoded = SpanBatch::new();
        prop_assert_eq!(zipkin_v1::decode_thrift(&thrift, &limits, &mut decoded), Ok(spans.len()));
        prop_assert_eq!(&back(decoded), &spans);
        let mut decoded = SpanBatch::new();
        prop_assert_eq!(zipkin_v1::decode_json(&json, &limits, &mut decoded), Ok(spans.len()));
        prop_assert_eq!(&back(decoded), &spans);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut batch = SpanBatch::new();
        for first in [&b"\n"[..], b"\x0c\0\0\0\x03", b"[", b"\x82\x81\x01\x0femitZipkinBatch"] {
            let body = [first, &bytes].concat();
            _ = zipkin_v2::decode_proto3(&body, &Limits::default(), &mut batch);
            _ = zipkin_v1::decode_thrift(&body, &Limits::default(), &mut batch);
            _ = zipkin_v1::decode_json(&body, &Limits::default(), &mut batch);
            _ = zipkin_v1::decode_agent_message(&body, &Limits::default(), &mut batch);
        }
    }
}
