//! Which encoding a body of spans is in: by its first bytes and telltale field names, as Zipkin looks before it decodes.

use crate::zipkin_v2::DecodeFault;
use memchr::memmem;
use std::fmt;

/// The encodings of a list of spans that Zipkin's collector takes, by the names its answers use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanEncoding {
    /// Zipkin v1 JSON.
    JsonV1,
    /// Zipkin v2 JSON.
    JsonV2,
    /// Zipkin v2 protobuf.
    Proto3,
    /// Zipkin v1 thrift, TBinaryProtocol.
    Thrift,
}

impl fmt::Display for SpanEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::JsonV1 => "JSON_V1",
            Self::JsonV2 => "JSON_V2",
            Self::Proto3 => "PROTO3",
            Self::Thrift => "THRIFT",
        })
    }
}

/// Whether a body that is not empty begins like a list of spans in some encoding, whatever it is labelled.
///
/// Zipkin's rule: a JSON list, protobuf's field 1, or thrift's list of structs. It does not look for the encoding that was
/// asked for, so a line feed before a JSON list is taken (for protobuf) while a space is refused. A lone line feed, which
/// Zipkin answers with 500, is refused here.
fn begins_like_a_list(body: &[u8]) -> bool {
    match body {
        [b'[' | THRIFT_STRUCT | THRIFT_STRING, ..] => true,
        [PROTOBUF_FIELD_1, second, ..] => *second != 0,
        _ => false,
    }
}

/// Looks at a body before it is decoded, as Zipkin's collector does: it must begin like a list of spans, and JSON of one
/// version must not be of the other.
pub(crate) fn check_encoding(expected: SpanEncoding, body: &[u8]) -> Result<(), DecodeFault> {
    if !begins_like_a_list(body) {
        return Err(DecodeFault::NotAList);
    }
    match expected {
        SpanEncoding::JsonV2 if looks_like_json_v1(body) => Err(DecodeFault::OtherEncoding(SpanEncoding::JsonV1)),
        SpanEncoding::JsonV1 if looks_like_json_v2(body) => Err(DecodeFault::OtherEncoding(SpanEncoding::JsonV2)),
        _ => Ok(()),
    }
}

/// The encoding of a body that is labelled thrift. Zipkin refuses JSON there; py_zipkin sends it (its newer versions know no
/// thrift, and its documentation still shows this label), so a list that is JSON beyond doubt is taken for what it is.
pub fn encoding_of_labelled_thrift(body: &[u8]) -> SpanEncoding {
    match body.first() {
        Some(b'[') if looks_like_json_v2(body) => SpanEncoding::JsonV2,
        Some(b'[') if looks_like_json_v1(body) => SpanEncoding::JsonV1,
        _ => SpanEncoding::Thrift,
    }
}

/// Whether JSON is of version 1: it has the end of the field name `binaryAnnotations`. Zipkin looks for these bytes anywhere
/// in the body.
fn looks_like_json_v1(body: &[u8]) -> bool {
    memmem::find(body, b"yAnnotations\"").is_some()
}

/// Whether JSON is of version 2: it has the end of `localEndpoint` or `remoteEndpoint`, or the field name `tags`.
fn looks_like_json_v2(body: &[u8]) -> bool {
    memmem::find(body, b"Endpoint\"").is_some() || memmem::find(body, b"\"tags\"").is_some()
}

const PROTOBUF_FIELD_1: u8 = 10;
const THRIFT_STRING: u8 = 11;
const THRIFT_STRUCT: u8 = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide() {
        for body in [&b"["[..], b"[]", b"\n[]", b"\n ", b"\x0b\0", b"\x0c"] {
            assert!(begins_like_a_list(body), "{body:?}");
        }
        for body in [&b""[..], b"{}", b" []", b"\xef\xbb\xbf[]", b"\n", b"\n\0", b"\x80[]", b"x", b"\r\n[]"] {
            assert!(!begins_like_a_list(body), "{body:?}");
        }
    }

    #[test]
    fn version_1_is_known_by_a_field_name() {
        assert!(looks_like_json_v1(br#"[{"binaryAnnotations":[]}]"#));
        assert!(looks_like_json_v1(br#"[{"tags":{"a":"yAnnotations"}}]"#));
        assert!(!looks_like_json_v1(br#"[{"tags":{"binaryAnnotations\"":"x"}}]"#));
        assert!(!looks_like_json_v1(br#"[{"annotations":[]}]"#));
    }

    #[test]
    fn json_labelled_thrift_is_known_by_its_fields() {
        let of = encoding_of_labelled_thrift;
        assert_eq!(of(br#"[{"traceId":"1","id":"1","localEndpoint":{"serviceName":"a"}}]"#), SpanEncoding::JsonV2);
        assert_eq!(of(br#"[{"traceId":"1","id":"1","tags":{}}]"#), SpanEncoding::JsonV2);
        assert_eq!(of(br#"[{"traceId":"1","id":"1","binaryAnnotations":[]}]"#), SpanEncoding::JsonV1);
        assert_eq!(of(br#"[{"traceId":"1","id":"1","name":"z"}]"#), SpanEncoding::Thrift);
        assert_eq!(of(b"\x0c\0\0\0\x01\"tags\""), SpanEncoding::Thrift);
    }
}
