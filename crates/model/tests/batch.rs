//! A batch gives back what was put in: by views, by copies and by its image.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use proptest::collection::vec;
use proptest::prelude::*;
use tracewell_model::{
    Kind, OwnedAnnotation, OwnedEndpoint, OwnedLink, Span, SpanBatch, SpanId, SpanRow, StatusCode, StrId, Time,
    TraceId, Value, ValueRef, read_image, write_image,
};

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-c]{1,2}", "\\PC{0,12}"]
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        texts().prop_map(Value::Str),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::I64),
        any::<u32>().prop_map(|n| Value::F64(f64::from(n) / 7.0)),
        vec(any::<u8>(), 0..9).prop_map(Value::Bytes),
        vec(any::<u8>(), 0..9).prop_map(Value::Nested),
    ]
}

fn attributes() -> impl Strategy<Value = Vec<(String, Value)>> {
    vec((texts(), values()), 0..4)
}

fn endpoints() -> impl Strategy<Value = Option<OwnedEndpoint>> {
    let some = (texts(), any::<Option<[u8; 4]>>(), any::<Option<[u8; 16]>>(), any::<u16>());
    let endpoint = some.prop_map(|(service, ipv4, ipv6, port)| {
        let endpoint = OwnedEndpoint { service, ipv4, ipv6, port, ipv4_text: String::new() };
        Some(endpoint).filter(|endpoint| *endpoint != OwnedEndpoint::default())
    });
    prop_oneof![Just(None), endpoint]
}

prop_compose! {
    fn spans()(
        (trace, id, parent) in (any::<u128>(), any::<u64>(), any::<u64>()),
        name in texts(),
        kind in 0u8..6,
        flags in any::<(bool, bool, bool)>(),
        (start, duration) in any::<(Option<u64>, Option<u64>)>(),
        (local, remote) in (endpoints(), endpoints()),
        tags in attributes(),
        annotations in vec((any::<u64>(), texts(), attributes()), 0..3),
        (status, status_message, trace_state) in (0u8..3, texts(), texts()),
        links in vec((any::<u128>(), any::<u64>(), any::<bool>(), attributes()), 0..2),
        warnings in vec(texts(), 0..2),
    ) -> Span {
        Span {
            trace_id: TraceId::new(trace),
            id: SpanId::new(id),
            parent: Some(SpanId::new(parent)).filter(|id| !id.is_none()),
            name,
            kind: Kind::from_u8(kind).unwrap(),
            debug: flags.0,
            shared: flags.1,
            sampled: flags.2,
            start: start.map(Time::from_bits),
            duration: duration.map(Time::from_bits),
            local,
            remote,
            tags,
            annotations: annotations.into_iter().map(|(time, value, details)| {
                OwnedAnnotation { time: Time::from_bits(time), value, details }
            }).collect(),
            status: StatusCode::from_u8(status).unwrap(),
            status_message,
            trace_state,
            links: links.into_iter().map(|(trace, span, child_of, attributes)| {
                OwnedLink { trace_id: TraceId::new(trace), span_id: SpanId::new(span), child_of, attributes }
            }).collect(),
            warnings,
        }
    }
}

fn to_batch(spans: &[Span]) -> SpanBatch {
    let mut batch = SpanBatch::new();
    spans.iter().for_each(|span| batch.push_span(span).unwrap());
    batch
}

fn to_spans(batch: &SpanBatch) -> Vec<Span> {
    batch.spans().map(|span| span.to_span()).collect()
}

proptest! {
    #[test]
    fn spans_come_back(spans in vec(spans(), 0..6)) {
        let batch = to_batch(&spans);
        prop_assert_eq!(&to_spans(&batch), &spans);

        let mut image = vec![];
        write_image(&batch, &mut image);
        let read = read_image(&image).unwrap();
        prop_assert_eq!(&to_spans(&read), &spans);

        let mut copy = SpanBatch::new();
        for span in read.spans().rev() {
            copy.push_copy(span).unwrap();
        }
        prop_assert_eq!(to_spans(&copy).into_iter().rev().collect::<Vec<_>>(), spans);
        for (copy, span) in copy.spans().rev().zip(batch.spans()) {
            prop_assert!(copy.same(span));
        }
    }

    #[test]
    fn a_damaged_image_is_an_error_or_a_readable_batch(
        spans in vec(spans(), 1..3), at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<bool>(),
    ) {
        let mut image = vec![];
        write_image(&to_batch(&spans), &mut image);
        let at = at.index(image.len());
        image[at] ^= 1 << bit;
        if cut {
            image.truncate(at);
        }
        if let Ok(batch) = read_image(&image) {
            to_spans(&batch);
        }
    }
}

#[test]
fn what_is_not_committed_leaves_no_trace() {
    let mut batch = common::batch("1 a k=v !5:x");
    let before = to_spans(&batch);
    let key = batch.intern("key");
    batch.tag(key, ValueRef::Str("dropped"));
    batch.annotation(Time::from_micros(1), "dropped");
    batch.warning("dropped");
    batch.discard_open();
    batch.push_span(&common::span("2 b")).unwrap();
    assert_eq!(to_spans(&batch)[..1], before);
    assert_eq!(to_spans(&batch)[1], common::span("2 b"));
}

#[test]
fn many_tags_are_sorted_and_the_last_of_a_key_stays() {
    let mut batch = SpanBatch::new();
    for n in (0..1000).rev().chain(0..1000) {
        let key = batch.intern(&format!("{:03}", n % 500));
        batch.tag(key, ValueRef::I64(n));
    }
    batch.sort_open_tags();
    batch.commit(SpanRow { name: StrId::EMPTY, ..SpanRow::default() }).unwrap();
    let tags: Vec<_> = batch.span(0).tags().iter().collect();
    assert_eq!(tags.len(), 500);
    assert!(tags.is_sorted_by_key(|(key, _)| *key));
    assert!(tags.iter().enumerate().all(|(n, (_, value))| *value == ValueRef::I64(n as i64 + 500)));
}

#[test]
fn a_cleared_batch_is_as_new() {
    let mut batch = common::batch("CLIENT 1>2 a:b @5+3 k=v !5:x \n SERVER 1>2 b shared");
    batch.clear();
    assert!(batch.is_empty());
    batch.push_span(&common::span("3 c x=y")).unwrap();
    assert_eq!(to_spans(&batch), [common::span("3 c x=y")]);
}
