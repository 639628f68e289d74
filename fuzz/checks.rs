//! What must hold for any bytes: run by the fuzz targets, and by a test over the committed corpus.

#[path = "checks_answers.rs"]
pub(crate) mod answers;
#[path = "checks_jaeger.rs"]
pub(crate) mod jaeger;
#[path = "checks_propagation.rs"]
pub(crate) mod propagation;
#[path = "checks_query.rs"]
pub(crate) mod query;
#[path = "checks_zipkin.rs"]
pub(crate) mod zipkin;

use tracewell_model::{SpanBatch, read_image, write_image};
use tracewell_wire::otlp;
use tracewell_wire::zipkin_v2::{decode_json, encode_spans};
use tracewell_wire::{GunzipError, Limits, gunzip as decompress};

const UNZIPPED_BYTES_MAX: usize = 1 << 20;

/// A body is decoded, and then encodes to what decodes to the same; or it is refused, and leaves the batch as it was.
pub(crate) fn zipkin_v2_json(body: &[u8]) {
    let limits = Limits::default();
    let mut batch = SpanBatch::new();
    let first = br#"[{"traceId":"a","id":"b","name":"n","localEndpoint":{"serviceName":"s"},"tags":{"k":"v"}}]"#;
    assert_eq!(decode_json(first, &limits, &mut batch), Ok(1));
    let before = image_of(&batch);
    match decode_json(body, &limits, &mut batch) {
        Ok(spans) => {
            assert_eq!(batch.len(), 1 + spans);
            let encoded = encode(&batch, 1);
            let mut again = SpanBatch::new();
            match decode_json(&encoded, &limits, &mut again) {
                Ok(_) => assert_eq!(encode(&again, 0), encoded),
                // An id sent as "0" is taken, printed as sixteen zeros and refused in that form, as by Zipkin; and a name
                // may look like one of version 1 once its escapes are gone.
                Err(error) => assert!(
                    batch.spans().any(|span| span.id().is_none()) || error.is_wrong_encoding(),
                    "{error}: {}",
                    String::from_utf8_lossy(&encoded)
                ),
            }
        }
        Err(error) => {
            assert_eq!(image_of(&batch), before);
            assert!(error.to_string().len() < 10_000);
        }
    }
}

/// A body is decoded, and what is then encoded stays the same when it goes through either encoding; or it is refused, and
/// leaves the batch as it was.
pub(crate) fn otlp_protobuf(body: &[u8]) {
    otlp_body(body, otlp::decode_protobuf);
}

/// See [`otlp_protobuf`].
pub(crate) fn otlp_json(body: &[u8]) {
    otlp_body(body, otlp::decode_json);
}

type OtlpDecoder = fn(&[u8], &Limits, &mut SpanBatch) -> Result<usize, otlp::OtlpError>;

fn otlp_body(body: &[u8], decode: OtlpDecoder) {
    let limits = Limits::default();
    let mut batch = SpanBatch::new();
    let first = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"n","attributes":[{"key":"k"}]}]}]}]}"#;
    assert_eq!(otlp::decode_json(first, &limits, &mut batch), Ok(1));
    let before = image_of(&batch);
    match decode(body, &limits, &mut batch) {
        Ok(spans) => {
            assert_eq!(batch.len(), 1 + spans);
            encode(&batch, 0);
            assert_otlp_stays(&batch, |batch, out| otlp::encode_protobuf(batch.spans(), out), otlp::decode_protobuf);
            assert_otlp_stays(&batch, |batch, out| otlp::encode_json(batch.spans(), out), otlp::decode_json);
        }
        Err(error) => {
            assert_eq!(image_of(&batch), before);
            assert!(error.to_string().len() < 10_000);
        }
    }
}

fn assert_otlp_stays(batch: &SpanBatch, encode: fn(&SpanBatch, &mut Vec<u8>), decode: OtlpDecoder) {
    let encoded = |batch: &SpanBatch| {
        let mut out = vec![];
        encode(batch, &mut out);
        out
    };
    let first = encoded(batch);
    let mut again = SpanBatch::new();
    assert_eq!(decode(&first, &Limits::default(), &mut again), Ok(batch.len()));
    assert_eq!(encoded(&again), first);
}

/// Decompression gives at most what the limit allows.
pub(crate) fn gunzip(body: &[u8]) {
    match decompress(body, UNZIPPED_BYTES_MAX) {
        Ok(data) => assert!(!data.is_empty() && data.len() <= UNZIPPED_BYTES_MAX),
        Err(GunzipError::TooLarge { limit_bytes }) => assert_eq!(limit_bytes, UNZIPPED_BYTES_MAX),
        Err(_) => {}
    }
}

/// An image is read and can then be used in every way a batch can, or it is refused.
pub(crate) fn image(bytes: &[u8]) {
    let Ok(batch) = read_image(bytes) else { return };
    encode(&batch, 0);
    let written = image_of(&batch);
    let again = read_image(&written).map(|again| image_of(&again));
    assert_eq!(again.as_ref(), Ok(&written));
    let mut copy = SpanBatch::new();
    for span in batch.spans() {
        assert_eq!(copy.push_copy(span), Ok(()));
        assert!(copy.span(span.row()).same(span));
        drop(span.to_span());
    }
}

fn encode(batch: &SpanBatch, from: usize) -> Vec<u8> {
    let mut out = vec![];
    encode_spans(batch.spans().skip(from), &mut out);
    out
}

fn image_of(batch: &SpanBatch) -> Vec<u8> {
    let mut image = vec![];
    write_image(batch, &mut image);
    image
}
