//! What must hold for any bytes in Zipkin's formats beside v2 JSON; see `checks.rs`.

use super::{encode, image_of};
use tracewell_model::SpanBatch;
use tracewell_wire::{Limits, zipkin_v1, zipkin_v2};

/// A body is decoded, and then encodes to what decodes to the same; or it is refused, and leaves the batch as it was.
pub(crate) fn v2_proto3(body: &[u8]) {
    let Some(batch) = decoded(body, |body, batch| zipkin_v2::decode_proto3(body, &Limits::default(), batch).ok())
    else {
        return;
    };
    let written = proto3(&batch);
    let mut again = SpanBatch::new();
    match zipkin_v2::decode_proto3(&written, &Limits::default(), &mut again) {
        Ok(spans) => {
            assert_eq!(spans, batch.len());
            // Annotations at the epoch, where those before it are put, are lost on the way; nothing is the second time.
            let settled = proto3(&again);
            let mut once_more = SpanBatch::new();
            assert_eq!(zipkin_v2::decode_proto3(&settled, &Limits::default(), &mut once_more), Ok(spans));
            assert_eq!(proto3(&once_more), settled);
        }
        // An id of fewer zero bytes is taken, written as eight and refused in that form, as by Zipkin.
        Err(error) => assert!(batch.spans().any(|span| span.id().is_none()), "{error}"),
    }
}

/// The same, in version 1: what was decoded says the same in version 2, and version 1 of it is taken again.
pub(crate) fn v1_json(body: &[u8]) {
    let decode = |body: &[u8], batch: &mut SpanBatch| zipkin_v1::decode_json(body, &Limits::default(), batch).ok();
    if let Some(batch) = decoded(body, decode) {
        check_v1(&batch);
    }
}

pub(crate) fn v1_thrift(body: &[u8]) {
    let decode = |body: &[u8], batch: &mut SpanBatch| zipkin_v1::decode_thrift(body, &Limits::default(), batch).ok();
    if let Some(batch) = decoded(body, decode) {
        check_v1(&batch);
    }
}

/// A datagram for Jaeger's agent.
pub(crate) fn v1_agent_message(datagram: &[u8]) {
    let decode =
        |body: &[u8], batch: &mut SpanBatch| zipkin_v1::decode_agent_message(body, &Limits::default(), batch).ok();
    if let Some(batch) = decoded(datagram, decode) {
        check_v1(&batch);
    }
}

/// What a body adds to a batch that holds a span already.
fn decoded(body: &[u8], decode: impl FnOnce(&[u8], &mut SpanBatch) -> Option<usize>) -> Option<SpanBatch> {
    let mut batch = SpanBatch::new();
    let first = br#"[{"traceId":"a","id":"b","name":"n","localEndpoint":{"serviceName":"s"},"tags":{"k":"v"}}]"#;
    assert_eq!(zipkin_v2::decode_json(first, &Limits::default(), &mut batch), Ok(1));
    let before = image_of(&batch);
    match decode(body, &mut batch) {
        Some(spans) => {
            assert_eq!(batch.len(), 1 + spans);
            let mut added = SpanBatch::new();
            for span in batch.spans().skip(1) {
                assert_eq!(added.push_copy(span), Ok(()));
            }
            Some(added)
        }
        None => {
            assert_eq!(image_of(&batch), before);
            None
        }
    }
}

fn check_v1(batch: &SpanBatch) {
    let written = encode(batch, 0);
    let mut again = SpanBatch::new();
    match zipkin_v2::decode_json(&written, &Limits::default(), &mut again) {
        Ok(_) => assert_eq!(encode(&again, 0), written),
        // A name or a value may look like a field of version 1.
        Err(error) => assert!(error.is_wrong_encoding(), "{error}"),
    }
    let (mut json, mut thrift) = (vec![], vec![]);
    zipkin_v1::encode_json(batch.spans(), &mut json);
    zipkin_v1::encode_thrift(batch.spans(), &mut thrift);
    let mut from_json = SpanBatch::new();
    let mut from_thrift = SpanBatch::new();
    let spans = zipkin_v1::decode_thrift(&thrift, &Limits::default(), &mut from_thrift);
    assert!(spans.is_ok_and(|spans| spans >= batch.len()));
    match zipkin_v1::decode_json(&json, &Limits::default(), &mut from_json) {
        Ok(spans) => assert!(spans >= batch.len()),
        // A name or a value may look like a field of version 2.
        Err(error) => assert!(error.is_wrong_encoding(), "{error}"),
    }
}

fn proto3(batch: &SpanBatch) -> Vec<u8> {
    let mut out = vec![];
    batch.spans().for_each(|span| zipkin_v2::encode_proto3(span, &mut out));
    out
}
