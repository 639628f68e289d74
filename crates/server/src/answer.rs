//! Answers over HTTP: a status, a content type and bytes in, a response out. Bodies are whole and in memory, but
//! for gRPC's (`grpc`).

use crate::answer_body::AnswerBody;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue,
    LOCATION, RETRY_AFTER, VARY,
};
use http::{Response, StatusCode};
use std::io::Write;

/// What every handler answers with.
pub(crate) type Answer = Response<AnswerBody>;

/// JSON as Zipkin's query API labels it.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// JSON as Zipkin's other addresses label it.
pub(crate) const JSON_UTF8: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// Text as Zipkin's HTTP server labels it.
pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// Text as Zipkin labels the errors it tells: literally this.
const TEXT_ANY: HeaderValue = HeaderValue::from_static("text/*");

/// Answers shorter than this are not compressed, as Zipkin has it.
const COMPRESSED_BYTES_MIN: usize = 2048;
/// Traces repeat themselves: higher levels cost three times as much for a tenth of the size.
const COMPRESSION_LEVEL: u32 = 3;
const ZSTD_LEVEL: i32 = 1;
/// What a sender that is refused for now is asked to wait.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

pub(crate) fn answer(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Answer {
    let mut answer = empty(status);
    *answer.body_mut() = AnswerBody::whole(body);
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}

pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(AnswerBody::default());
    *answer.status_mut() = status;
    answer
}

/// An error in the words of Zipkin's API.
pub(crate) fn error(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    answer(status, TEXT_ANY, text)
}

/// Refused for now: the sender should try again.
pub(crate) fn try_again(text: impl Into<Bytes>) -> Answer {
    retry_after(error(StatusCode::SERVICE_UNAVAILABLE, text))
}

pub(crate) fn retry_after(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    answer
}

/// What Zipkin's HTTP server says of itself: the status and its name.
pub(crate) fn plain(status: StatusCode) -> Answer {
    let reason = status.canonical_reason().unwrap_or_default();
    answer(status, TEXT, format!("{} {reason}", status.as_u16()))
}

/// What Zipkin's HTTP server says of a request that it does not even look for a route for; it closes the connection.
pub(crate) fn unacceptable(status: StatusCode, description: &str) -> Answer {
    let text = format!("Status: {}\nDescription: {description}\n", status.as_u16());
    closing(answer(status, TEXT, text))
}

/// The connection is closed behind this answer.
pub(crate) fn closing(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// What `OPTIONS *` is told.
pub(crate) fn all_methods() -> Answer {
    let mut answer = empty(StatusCode::OK);
    let methods = HeaderValue::from_static("OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE,TRACE,CONNECT");
    answer.headers_mut().insert(ALLOW, methods);
    answer
}

pub(crate) fn redirect(location: &str) -> Answer {
    let mut answer = empty(StatusCode::FOUND);
    if let Ok(location) = HeaderValue::try_from(location) {
        answer.headers_mut().insert(LOCATION, location);
    }
    answer
}

pub(crate) fn cached(mut answer: Answer, cache_control: HeaderValue) -> Answer {
    answer.headers_mut().insert(CACHE_CONTROL, cache_control);
    answer
}

/// JSON of the query API, compressed when it is long and the client takes gzip.
pub(crate) fn json(body: Vec<u8>, takes_gzip: bool) -> Answer {
    compressible(JSON, body, takes_gzip)
}

/// Any content, compressed when it is long and the client takes gzip. Costs processor time: not for the runtime's threads
/// when it may be megabytes.
pub(crate) fn compressible(content_type: HeaderValue, body: Vec<u8>, takes_gzip: bool) -> Answer {
    if !takes_gzip || body.len() < COMPRESSED_BYTES_MIN {
        return answer(StatusCode::OK, content_type, body);
    }
    let mut answer = answer(StatusCode::OK, content_type, gzip(&body, COMPRESSION_LEVEL));
    answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    answer.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
    answer
}

/// The same for megabytes of numbers: by zstd, in a fifth of gzip's time, where the client takes that.
pub(crate) fn compressible_large(content_type: HeaderValue, body: Vec<u8>, takes: Takes) -> Answer {
    let packed = match takes.zstd && body.len() >= COMPRESSED_BYTES_MIN {
        true => zstd::bulk::compress(&body, ZSTD_LEVEL).ok(),
        false => None,
    };
    let Some(packed) = packed else { return compressible(content_type, body, takes.gzip) };
    let mut answer = answer(StatusCode::OK, content_type, packed);
    answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("zstd"));
    answer.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
    answer
}

/// The encodings a client takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Takes {
    pub(crate) gzip: bool,
    pub(crate) zstd: bool,
}

impl Takes {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self { gzip: takes_encoding(headers, "gzip"), zstd: takes_encoding(headers, "zstd") }
    }
}

fn gzip(body: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::new(level));
    #[expect(clippy::expect_used, reason = "writing to memory cannot fail")]
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("memory takes everything")
}

/// Whether the client takes this content coding: by its name or by `*`, unless with a quality of zero.
pub(crate) fn takes_encoding(headers: &HeaderMap, encoding: &str) -> bool {
    let mut any = false;
    for header in headers.get_all(ACCEPT_ENCODING) {
        for item in header.to_str().unwrap_or_default().split(',') {
            let mut parts = item.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let refused = parts.any(|part| matches!(part.strip_prefix("q="), Some("0" | "0.0" | "0.00" | "0.000")));
            if name.eq_ignore_ascii_case(encoding) {
                return !refused;
            }
            any |= name == "*" && !refused;
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(accept: &'static str, encoding: &str) -> bool {
        takes_encoding(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(accept))]), encoding)
    }

    #[test]
    fn the_client_says_what_it_takes() {
        assert!(takes("gzip", "gzip"));
        assert!(takes("deflate, gzip;q=0.5", "gzip"));
        assert!(takes("*", "br"));
        assert!(!takes("gzip;q=0", "gzip"));
        assert!(!takes("gzip;q=0, *", "gzip"));
        assert!(!takes("br", "gzip"));
        assert!(!takes_encoding(&HeaderMap::new(), "gzip"));
    }

    #[test]
    fn large_answers_are_packed_by_the_quickest() {
        let packed = |gzip, zstd| {
            let answer = compressible_large(JSON, vec![b' '; 2048], Takes { gzip, zstd });
            answer.headers().get(CONTENT_ENCODING).cloned()
        };
        assert_eq!(packed(true, true), Some(HeaderValue::from_static("zstd")));
        assert_eq!(packed(true, false), Some(HeaderValue::from_static("gzip")));
        assert_eq!(packed(false, false), None);
    }

    #[test]
    fn short_answers_stay_as_they_are() {
        assert!(!json(vec![b' '; 2047], true).headers().contains_key(CONTENT_ENCODING));
        let answer = json(vec![b' '; 2048], true);
        assert_eq!(answer.headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(answer.headers()[VARY], "accept-encoding");
        assert!(!json(vec![b' '; 2048], false).headers().contains_key(CONTENT_ENCODING));
    }
}
