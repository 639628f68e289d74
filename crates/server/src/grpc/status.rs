//! How a call ended: gRPC's codes, texts and details as headers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::{HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::borrow::Cow;

/// What a message must not hold as it is, besides what is not ASCII: gRPC's specification of `grpc-message`.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');
/// How long a sender that is refused for now is asked to wait, seconds.
const RETRY_AFTER_S: u8 = 1;

/// gRPC's codes, those that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Ok = 0,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) code: Code,
    pub(crate) message: Cow<'static, str>,
    /// Whether the caller is told to try again in a moment.
    pub(crate) try_again: bool,
}

impl Status {
    pub(crate) const OK: Self = Self { code: Code::Ok, message: Cow::Borrowed(""), try_again: false };

    pub(crate) fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), try_again: false }
    }

    /// With the `google.rpc.RetryInfo` that OpenTelemetry's senders look for.
    pub(crate) fn try_again(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { try_again: true, ..Self::new(code, message) }
    }

    /// The headers of this status, as trailers or alone.
    pub(super) fn write_to(&self, headers: &mut HeaderMap) {
        headers.insert("grpc-status", HeaderValue::from(self.code as u16));
        if !self.message.is_empty() {
            let text: Cow<'_, str> = utf8_percent_encode(&self.message, ENCODED).into();
            if let Ok(text) = HeaderValue::from_str(&text) {
                headers.insert("grpc-message", text);
            }
        }
        if self.try_again {
            let details = STANDARD_NO_PAD.encode(self.to_protobuf());
            if let Ok(details) = HeaderValue::from_str(&details) {
                headers.insert("grpc-status-details-bin", details);
            }
        }
    }

    /// As `google.rpc.Status`: small enough to be written by hand.
    pub(crate) fn to_protobuf(&self) -> Vec<u8> {
        const TYPE_URL: &[u8] = b"type.googleapis.com/google.rpc.RetryInfo";
        let mut status = vec![0x08, self.code as u8];
        field(&mut status, 2, self.message.as_bytes());
        if self.try_again {
            // RetryInfo { 1: Duration { 1: seconds } }
            let retry_info = [0x0a, 2, 0x08, RETRY_AFTER_S];
            let mut any = vec![];
            field(&mut any, 1, TYPE_URL);
            field(&mut any, 2, &retry_info);
            field(&mut status, 3, &any);
        }
        status
    }
}

/// A field of bytes.
fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    let mut length = bytes.len();
    while length > 0x7f {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(status: &Status) -> HeaderMap {
        let mut headers = HeaderMap::new();
        status.write_to(&mut headers);
        headers
    }

    #[test]
    fn a_status_is_a_code_and_a_text_in_ascii() {
        let some = headers(&Status::new(Code::Unimplemented, "100 % nöthing\n"));
        assert_eq!(some["grpc-status"], "12");
        assert_eq!(some["grpc-message"], "100 %25 n%C3%B6thing%0A");
        assert_eq!(headers(&Status::OK).len(), 1);
    }

    #[test]
    fn a_sender_that_should_try_again_is_told_when() {
        let details = headers(&Status::try_again(Code::ResourceExhausted, "full"));
        let details = STANDARD_NO_PAD.decode(details["grpc-status-details-bin"].as_bytes()).unwrap();
        let expected =
            b"\x08\x08\x12\x04full\x1a\x30\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x04\x0a\x02\x08\x01";
        assert_eq!(details, expected);
    }
}
