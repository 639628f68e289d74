//! Which web sites' scripts may send spans: CORS as Go's servers answer it, for the ports where browsers' OpenTelemetry sends.

use crate::answer::{Answer, empty};
use crate::cors::Cors;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use http::{Method, StatusCode};

/// The origins of `--allowed-origins`, for a port that only takes posts.
pub(crate) struct WebOrigins {
    allowed: Cors,
}

impl WebOrigins {
    pub(crate) fn new(allowed_origins: &[String]) -> Self {
        Self { allowed: Cors::new(allowed_origins) }
    }

    /// The answer to a preflight, on any path; `None` when the request is none.
    pub(crate) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Answer> {
        if method != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let mut answer = empty(StatusCode::NO_CONTENT);
        if self.allowed.allow_origin(headers.get(ORIGIN)?, answer.headers_mut()) {
            answer.headers_mut().insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
            if let Some(asked) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
                answer.headers_mut().insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
            }
        }
        answer.headers_mut().append(VARY, HeaderValue::from_static("access-control-request-headers"));
        Some(answer)
    }

    /// Tells the browser that its script may see this answer.
    pub(crate) fn expose(&self, asked: &HeaderMap, headers: &mut HeaderMap) {
        if let Some(origin) = asked.get(ORIGIN) {
            self.allowed.allow_origin(origin, headers);
        }
    }
}
