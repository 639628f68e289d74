//! gRPC over the listeners' HTTP/2: a call's message out of a body, answers with their status behind them. What a message
//! means is the callers' matter: here they are bytes.

mod messages;
mod status;

pub(crate) use messages::Messages;
pub(crate) use status::{Code, Status};

use crate::answer::{self, Answer, TEXT};
use crate::answer_body::AnswerBody;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use tokio::sync::mpsc;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
/// In front of every message: whether it is compressed, and its length.
pub(crate) const PREFIX_BYTES: usize = 5;

/// How the messages of a call are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
}

/// A call's one message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Framed {
    pub(crate) bytes: Bytes,
    pub(crate) encoding: Encoding,
}

/// Whether a request is a call of gRPC.
pub(crate) fn is_call(method: &Method, headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let rest = content_type.strip_prefix(b"application/grpc");
    method == Method::POST && rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// How this call compresses what it compresses.
pub(crate) fn encoding(headers: &HeaderMap) -> Result<Encoding, Status> {
    match headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(Encoding::Identity),
        Some(b"gzip") => Ok(Encoding::Gzip),
        Some(other) => {
            let other = String::from_utf8_lossy(other);
            let text = format!("grpc: Decompressor is not installed for grpc-encoding \"{other}\"");
            Err(Status::new(Code::Unimplemented, text))
        }
    }
}

/// The message of a body that holds exactly one. `encoding` is that of the call.
pub(crate) fn message(body: &Bytes, encoding: Encoding) -> Result<Framed, Status> {
    let broken = |text: &'static str| Status::new(Code::Internal, text);
    let Some((&[flag, a, b, c, d], rest)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(broken("the call ends before its message"));
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if rest.len() < length {
        return Err(broken("the call ends inside its message"));
    }
    if rest.len() > length {
        return Err(broken("the call holds more than one message"));
    }
    let encoding = match (flag, encoding) {
        (0, _) => Encoding::Identity,
        (1, Encoding::Gzip) => Encoding::Gzip,
        (1, Encoding::Identity) => {
            return Err(broken("grpc: compressed flag set with identity or empty encoding"));
        }
        _ => return Err(broken("the message's flag is neither 0 nor 1")),
    };
    Ok(Framed { bytes: body.slice(PREFIX_BYTES..), encoding })
}

/// The answer to a call that answers with one message.
pub(crate) fn unary(result: Result<Vec<u8>, Status>) -> Answer {
    match result {
        Ok(message) => answer(Messages::one(&message)),
        Err(status) => failed(&status),
    }
}

/// The answer to a call that answers with many: they are sent as they come; the first error ends the call, and so does the
/// sender's end, as success. When the client goes away, sending fails.
pub(crate) fn streaming(messages: mpsc::Receiver<Result<Vec<u8>, Status>>) -> Answer {
    answer(Messages::many(messages))
}

/// An answer of nothing but a status.
pub(crate) fn failed(status: &Status) -> Answer {
    let mut answer = answer_with(AnswerBody::default());
    status.write_to(answer.headers_mut());
    answer
}

/// The answer to what is not there: as grpc-go says it, to a call or to what is no call of gRPC at all.
pub(crate) fn not_there(head: &Parts) -> Answer {
    if !is_call(&head.method, &head.headers) {
        let content_type = head.headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or_default());
        let text = format!("invalid gRPC request content-type {content_type:?}\n");
        return answer::answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, TEXT, text);
    }
    let path = head.uri.path();
    let (service, method) = path.trim_start_matches('/').rsplit_once('/').unwrap_or(("", path));
    failed(&Status::new(Code::Unimplemented, format!("unknown method {method} for service {service}")))
}

fn answer(messages: Messages) -> Answer {
    answer_with(AnswerBody::Grpc(messages))
}

fn answer_with(body: AnswerBody) -> Answer {
    let mut answer = Response::new(body);
    answer.headers_mut().insert(CONTENT_TYPE, GRPC);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(flag: u8, length: u32, rest: &[u8]) -> Bytes {
        let mut bytes = vec![flag];
        bytes.extend(length.to_be_bytes());
        bytes.extend(rest);
        Bytes::from(bytes)
    }

    #[test]
    fn a_call_holds_one_message() {
        let whole = message(&framed(0, 3, b"abc"), Encoding::Gzip).unwrap();
        assert_eq!((whole.bytes.as_ref(), whole.encoding), (&b"abc"[..], Encoding::Identity));
        assert_eq!(message(&framed(1, 3, b"abc"), Encoding::Gzip).unwrap().encoding, Encoding::Gzip);
        let broken = [
            (Bytes::new(), Encoding::Gzip),
            (Bytes::from_static(b"\0\0\0\0"), Encoding::Gzip),
            (framed(0, 4, b"abc"), Encoding::Gzip),
            (framed(0, 2, b"abc"), Encoding::Gzip),
            (framed(1, 3, b"abc"), Encoding::Identity),
            (framed(2, 3, b"abc"), Encoding::Gzip),
            (framed(0, u32::MAX, b"abc"), Encoding::Gzip),
        ];
        for (body, encoding) in broken {
            assert_eq!(message(&body, encoding).unwrap_err().code, Code::Internal, "{body:?}");
        }
    }

    #[test]
    fn calls_are_known_by_their_content_type() {
        let is = |method: Method, content_type: &'static str| {
            is_call(&method, &HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]))
        };
        assert!(is(Method::POST, "application/grpc") && is(Method::POST, "application/grpc+proto"));
        assert!(!is(Method::POST, "application/grpc-web") && !is(Method::GET, "application/grpc"));
        assert!(!is_call(&Method::POST, &HeaderMap::new()));
    }
}
