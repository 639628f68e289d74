//! What must hold for any bytes in Jaeger's formats; see `checks.rs`.

use super::image_of;
use tracewell_model::{Span, SpanBatch, SpanFlags};
use tracewell_wire::Limits;
use tracewell_wire::jaeger::{
    BatchForm, DecodeError, GetOperationsRequest, GetTraceRequest, GetTraceRequestV3, SamplingTypeForm, Sanitizers,
    ThriftProtocol, TimeWindow, TraceQueryParameters, decode_agent_message, decode_proto_batch,
    decode_sampling_parameters, decode_sampling_proto, decode_thrift_batch, encode_proto_post_spans,
    encode_sampling_json, encode_sampling_parameters, encode_sampling_proto, encode_thrift_batches,
};

type Decode = dyn Fn(&[u8], &mut SpanBatch) -> Result<usize, DecodeError>;

const PROTOCOLS: [ThriftProtocol; 2] = [ThriftProtocol::Binary, ThriftProtocol::Compact];

/// A body in either protocol is decoded, and encodes to what decodes to the same spans; or it leaves the batch as it was.
pub(crate) fn thrift(body: &[u8]) {
    for protocol in PROTOCOLS {
        let form = match protocol {
            ThriftProtocol::Binary => BatchForm::HttpBinary,
            ThriftProtocol::Compact => BatchForm::HttpCompact,
        };
        check_thrift(body, form, &move |body, batch| {
            decode_thrift_batch(protocol, body, Sanitizers::None, &Limits::default(), batch)
        });
        let mut batch = SpanBatch::new();
        _ = decode_thrift_batch(protocol, body, Sanitizers::ServiceNameAndDuration, &Limits::default(), &mut batch);
    }
}

/// The same for datagrams.
pub(crate) fn agent_message(datagram: &[u8]) {
    for protocol in PROTOCOLS {
        let form = match protocol {
            ThriftProtocol::Binary => BatchForm::AgentBinary,
            ThriftProtocol::Compact => BatchForm::AgentCompact,
        };
        check_thrift(datagram, form, &move |body, batch| {
            decode_agent_message(protocol, body, Sanitizers::None, &Limits::default(), batch)
        });
    }
}

fn check_thrift(body: &[u8], form: BatchForm, decode: &Decode) {
    let Some(batch) = decoded(body, decode) else { return };
    let mut again = SpanBatch::new();
    let spans = batch.spans().skip(1);
    // Zipkin's spans, which an agent takes too, come back in another form.
    if spans.clone().any(|span| !span.flags().contains(SpanFlags::JAEGER)) {
        return;
    }
    let left_out = encode_thrift_batches(form, spans.clone(), usize::MAX, |message| {
        assert!(decode(message, &mut again).is_ok(), "{message:x?}");
    });
    assert_eq!(left_out, 0);
    assert_eq!(again.len(), spans.len());
    for (before, after) in spans.zip(again.spans()) {
        assert!(before.same(after), "{before:?}\n{after:?}");
    }
}

/// The same for `PostSpansRequest`. A start left out comes back as the epoch, so that what is compared is what is written.
pub(crate) fn proto(body: &[u8]) {
    let decode =
        |body: &[u8], batch: &mut SpanBatch| decode_proto_batch(body, Sanitizers::None, &Limits::default(), batch);
    let Some(batch) = decoded(body, &decode) else { return };
    let encode = |batch: &SpanBatch, from: usize| {
        let mut out = vec![];
        encode_proto_post_spans(batch.spans().skip(from), &mut out);
        out
    };
    let encoded = encode(&batch, 1);
    let mut again = SpanBatch::new();
    assert_eq!(decode(&encoded, &mut again), Ok(batch.len() - 1));
    assert_eq!(encode(&again, 0), encoded);
}

/// The spans behind one that was there before; `None` where the body was refused.
fn decoded(body: &[u8], decode: &Decode) -> Option<SpanBatch> {
    let mut batch = SpanBatch::new();
    assert_eq!(batch.push_span(&Span { name: "n".to_owned(), ..Span::default() }), Ok(()));
    let before = image_of(&batch);
    match decode(body, &mut batch) {
        Ok(spans) => {
            assert_eq!(batch.len(), 1 + spans);
            Some(batch)
        }
        Err(error) => {
            assert_eq!(image_of(&batch), before);
            assert!(error.to_string().len() < 1000);
            None
        }
    }
}

/// A question or an answer about sampling is decoded, and encodes to what decodes to the same.
pub(crate) fn sampling(body: &[u8]) {
    if let Ok(service) = decode_sampling_parameters(body) {
        let mut encoded = vec![];
        encode_sampling_parameters(&service, &mut encoded);
        assert_eq!(decode_sampling_parameters(&encoded), Ok(service));
    }
    if let Ok(strategy) = decode_sampling_proto(body) {
        let (mut first, mut second) = (vec![], vec![]);
        encode_sampling_proto(&strategy, &mut first);
        let again = decode_sampling_proto(&first).expect("what was encoded");
        encode_sampling_proto(&again, &mut second);
        assert_eq!(first, second);
        encode_sampling_json(&again, SamplingTypeForm::Numbers, &mut second);
    }
}

/// What the query service is asked, in each of its messages: it is read or refused. The query of a search says the same
/// when it is said twice, but for its tags' order.
pub(crate) fn query(message: &[u8]) {
    let refusals = [
        GetTraceRequest::decode(message).err(),
        GetTraceRequestV3::decode(message).err(),
        GetOperationsRequest::decode(message).err(),
        TimeWindow::decode(message).err(),
    ];
    assert!(refusals.iter().flatten().all(|error| error.to_string().len() < 1000));
    match TraceQueryParameters::decode(message) {
        Ok(once) => {
            let twice = TraceQueryParameters::decode(&[message, message].concat());
            let sorted = |query: Option<TraceQueryParameters>| {
                query.map(|mut query| {
                    query.tags.sort();
                    query
                })
            };
            assert_eq!(twice.map(sorted), Ok(sorted(once)));
        }
        Err(error) => assert!(error.to_string().len() < 1000),
    }
}
