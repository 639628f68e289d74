//! Jaeger's shapes of answers: `{"data":…,"total":0,"limit":0,"offset":0,"errors":null}` of the API of its page, and
//! `{"error":{…}}` of version 3.

use crate::answer::{self, Answer, JSON, TEXT};
use crate::queries::QueryError;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use serde_json::json;
use tracewell_model::TraceId;
use tracewell_store::ReadError;

/// An answer that is an error: status and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) message: String,
    try_again: bool,
}

pub(super) type Result<T> = std::result::Result<T, Refused>;

impl Refused {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), try_again: false }
    }

    /// Refused for now.
    pub(super) fn try_again(status: StatusCode, message: impl Into<String>) -> Self {
        Self { try_again: true, ..Self::new(status, message) }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// In the shape of the page's API.
    pub(super) fn answer(&self) -> Answer {
        let errors = json!([{"code": self.status.as_u16(), "msg": self.message}]);
        self.in_shape(format!(r#"{{"data":null,"total":0,"limit":0,"offset":0,"errors":{errors}}}"#))
    }

    /// In the shape of version 3.
    pub(super) fn answer_v3(&self) -> Answer {
        self.in_shape(json!({"error": {"httpCode": self.status.as_u16(), "message": self.message}}).to_string())
    }

    /// As Go's `http.Error` answers: text, whatever it is, with a new line behind it.
    fn in_shape(&self, mut body: String) -> Answer {
        const NO_SNIFFING: HeaderName = HeaderName::from_static("x-content-type-options");
        body.push('\n');
        let mut answer = answer::answer(self.status, TEXT, body);
        answer.headers_mut().insert(NO_SNIFFING, HeaderValue::from_static("nosniff"));
        if self.try_again { answer::retry_after(answer) } else { answer }
    }
}

impl From<QueryError> for Refused {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        match error {
            QueryError::Overloaded | QueryError::TimedOut(_) | QueryError::MemorySpent(_) => {
                Self::try_again(StatusCode::SERVICE_UNAVAILABLE, message)
            }
            QueryError::Read(ReadError::SearchDisabled) => Self::new(StatusCode::NOT_IMPLEMENTED, message),
            QueryError::Read(_) | QueryError::Panicked => {
                tracing::error!(%error, "a query failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
            }
        }
    }
}

/// How an answer is to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) pretty: bool,
    pub(super) takes_gzip: bool,
}

impl Form {
    /// JSON, compact as it is given. Costs processor time where it is long.
    pub(super) fn json(self, body: Vec<u8>) -> Answer {
        let body = if self.pretty { pretty(&body) } else { body };
        answer::compressible(JSON, body, self.takes_gzip)
    }

    /// The shape of the page's API around `data`, which is JSON.
    pub(super) fn data(self, data: &[u8], total: usize, not_found: &[TraceId]) -> Answer {
        let mut body = Vec::with_capacity(data.len() + 80);
        body.extend_from_slice(b"{\"data\":");
        body.extend_from_slice(data);
        let errors: Vec<_> =
            not_found.iter().map(|id| json!({"msg": "trace not found", "traceID": id.to_string()})).collect();
        let errors = if errors.is_empty() { json!(null) } else { json!(errors) };
        body.extend_from_slice(format!(",\"total\":{total},\"limit\":0,\"offset\":0,\"errors\":{errors}}}").as_bytes());
        self.json(body)
    }
}

/// Compact JSON with line breaks, four spaces a level, as Go indents it. Works on the bytes, so that numbers stay as they
/// are.
fn pretty(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() * 2);
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    let new_line = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.resize(out.len() + 4 * depth, b' ');
    };
    for (at, &byte) in body.iter().enumerate() {
        if in_text {
            out.push(byte);
            (in_text, escaped) = (escaped || byte != b'"', !escaped && byte == b'\\');
            continue;
        }
        match byte {
            b'{' | b'[' => {
                out.push(byte);
                depth += 1;
                if !matches!(body.get(at + 1), Some(b'}' | b']')) {
                    new_line(&mut out, depth);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if !matches!(body.get(at.wrapping_sub(1)), Some(b'{' | b'[')) {
                    new_line(&mut out, depth);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                new_line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            _ => {
                in_text = byte == b'"';
                out.push(byte);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pretty_json_says_the_same() {
        let compact = r#"{"a":[],"b":{},"c":[1,{"d":"x:{,}\"\\"}],"e":null}"#;
        let text = String::from_utf8(pretty(compact.as_bytes())).unwrap();
        assert!(text.starts_with("{\n    \"a\": [],\n    \"b\": {},\n    \"c\": [\n        1,"), "{text}");
        let same: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(same, serde_json::from_str::<serde_json::Value>(compact).unwrap());
    }
}
