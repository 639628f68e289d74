//! Which encoding a body of spans is in: by its first bytes and telltale field names, as Zipkin looks before it decodes.

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
pub(crate) fn begins_like_a_list(body: &[u8]) -> bool {
    match body {
        [b'[' | THRIFT_STRUCT | THRIFT_STRING, ..] => true,
        [PROTOBUF_FIELD_1, second, ..] => *second != 0,
        _ => false,
    }
}

/// Whether a body labelled v2 JSON is in truth v1 JSON: it has the end of the field name `binaryAnnotations`. Zipkin looks
/// for these bytes anywhere in the body.
pub(crate) fn looks_like_json_v1(body: &[u8]) -> bool {
    memmem::find(body, b"yAnnotations\"").is_some()
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
}
