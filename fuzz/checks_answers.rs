//! What must hold for any answer of a server to who sends it spans; see `checks.rs`.

use tracewell_wire::otlp::{
    decode_response_json, decode_response_protobuf, decode_status_json, decode_status_protobuf, encode_response_json,
    encode_response_protobuf, encode_status_json, encode_status_protobuf,
};

/// An answer of an OTLP collector is read, and written so that it is read again, in either encoding.
pub(crate) fn otlp_response(body: &[u8]) {
    for answer in [decode_response_protobuf(body), decode_response_json(body)].into_iter().flatten() {
        let (mut protobuf, mut json) = (vec![], vec![]);
        encode_response_protobuf(&answer, &mut protobuf);
        assert_eq!(decode_response_protobuf(&protobuf).as_ref(), Ok(&answer));
        encode_response_json(&answer, &mut json);
        assert_eq!(decode_response_json(&json).as_ref(), Ok(&answer));
    }
    for status in [decode_status_protobuf(body), decode_status_json(body)].into_iter().flatten() {
        let (mut protobuf, mut json) = (vec![], vec![]);
        encode_status_protobuf(&status, &mut protobuf);
        assert_eq!(decode_status_protobuf(&protobuf).as_ref(), Ok(&status));
        encode_status_json(&status, &mut json);
        assert_eq!(decode_status_json(&json).as_ref(), Ok(&status));
    }
}
