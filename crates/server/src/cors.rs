//! Which web sites' scripts may ask: the headers of CORS, as Zipkin's HTTP server sends them.

use crate::answer::{Answer, empty};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue,
    ORIGIN, VARY,
};
use http::{Method, StatusCode};

const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static("content-type,x-grpc-web");
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET,POST");
const EXPOSED_HEADERS: HeaderValue =
    HeaderValue::from_static("grpc-status,grpc-message,armeria.grpc.throwableproto-bin");

/// The origins that may ask.
#[derive(Debug, Clone)]
pub(crate) enum Cors {
    /// All.
    Any,
    /// These, whatever their case.
    Listed(Vec<String>),
}

impl Cors {
    pub(crate) fn new(allowed_origins: &[String]) -> Self {
        if allowed_origins.iter().any(|origin| origin == "*") {
            Self::Any
        } else {
            Self::Listed(allowed_origins.to_vec())
        }
    }

    /// The answer to a preflight: whatever path and method it is about. `None` when the request is none.
    pub(crate) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Answer> {
        let origin = headers.get(ORIGIN)?;
        if method != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let mut answer = empty(StatusCode::OK);
        if self.allow(origin, answer.headers_mut()) {
            answer.headers_mut().insert(ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
            answer.headers_mut().insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("0"));
        }
        Some(answer)
    }

    /// Tells the browser that its script may see this answer.
    pub(crate) fn expose(&self, origin: &HeaderValue, headers: &mut HeaderMap) {
        if self.allow(origin, headers) {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        }
    }

    fn allow(&self, origin: &HeaderValue, headers: &mut HeaderMap) -> bool {
        let allowed = self.allow_origin(origin, headers);
        if allowed {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
        }
        allowed
    }

    /// Tells the browser that this origin may ask, if it may.
    pub(crate) fn allow_origin(&self, origin: &HeaderValue, headers: &mut HeaderMap) -> bool {
        let allowed = match self {
            Self::Any if origin == "null" => origin.clone(),
            Self::Any => HeaderValue::from_static("*"),
            Self::Listed(listed) => {
                let same = |listed: &String| listed.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
                if !listed.iter().any(same) {
                    return false;
                }
                headers.append(VARY, HeaderValue::from_static("origin"));
                origin.clone()
            }
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        true
    }
}
