//! Which tags a request's span gets, by whose names.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Map, Value};

use super::head::RequestHead;
use crate::propagation::HeaderGetter;
use crate::{Kind, OwnedEndpoint, Span};

/// By whose conventions a request is told about.
///
/// - `Zipkin`: `http.method`, `http.path`, `http.route`; `http.status_code`. gRPC: `rpc.service`, `rpc.method`;
///   `grpc.status_code` by name.
/// - `OpenTelemetry`: `http.request.method`, `http.route`, `url.path`, `url.query`, `url.scheme`, `server.address`,
///   `client.address`, `network.protocol.version`, `user_agent.original`, of clients `url.full`;
///   `http.response.status_code`, `error.type`. gRPC: `rpc.system`, `rpc.service`, `rpc.method`; `rpc.grpc.status_code`.
/// - `Starlette`: `http.method`, `http.url`, `http.route`, `http.headers`, `query`, `remote_address`;
///   `http.status_code`, `http.response.headers`.
///
/// `Starlette` is what starlette-zipkin 0.3 sends: its spans have the scheme in their names (`HTTP GET /cart`), and a
/// status of 400 and above is an error. It keeps all headers as JSON, so mind what is in them.
///
/// ```
/// use tracewell::middleware::{ServerTracing, TagSet};
/// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
/// let settings = ServerTracing::new(&tracer).tags(TagSet::OpenTelemetry);
/// # let _ = settings;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TagSet {
    /// As Zipkin's libraries (Brave, aiozipkin) name them.
    #[default]
    Zipkin,
    /// As OpenTelemetry's semantic conventions 1.2x name them.
    OpenTelemetry,
    /// As starlette-zipkin names them.
    Starlette,
}

/// When the span of a request ends. The span of a gRPC call always ends with its body, where the status is.
///
/// ```
/// use tracewell::middleware::{ServerTracing, SpanEnd};
/// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
/// let settings = ServerTracing::new(&tracer).ends_with(SpanEnd::Body);
/// # let _ = settings;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpanEnd {
    /// With the head of the response: what a handler took.
    #[default]
    Head,
    /// With the last byte of the response's body, or where it broke off.
    Body,
}

impl TagSet {
    pub(crate) fn request(self, span: &mut Span, head: &RequestHead<'_>, kind: Kind) {
        match self {
            Self::Zipkin => {
                if let Some((service, method)) = head.grpc_call() {
                    span.tag("rpc.service", service).tag("rpc.method", method);
                } else {
                    span.tag("http.method", head.method).tag("http.path", head.path);
                    optional(span, "http.route", head.route);
                }
            }
            Self::OpenTelemetry => open_telemetry(span, head, kind),
            Self::Starlette => starlette(span, head, kind),
        }
        if let Some(peer) = head.peer {
            span.remote_endpoint(&endpoint(String::new(), peer));
        }
    }

    pub(crate) fn response(self, span: &mut Span, status: u16, headers: &dyn HeaderGetter) {
        match self {
            Self::Zipkin => span.tag("http.status_code", status),
            Self::OpenTelemetry => span.tag("http.response.status_code", status),
            Self::Starlette => {
                span.tag("http.status_code", status).tag("http.response.headers", json_of_headers(headers).as_str())
            }
        };
    }
}

/// The address of a connection's other end.
pub(crate) fn endpoint(service: String, address: SocketAddr) -> OwnedEndpoint {
    let mut endpoint = OwnedEndpoint { service, port: address.port(), ..OwnedEndpoint::default() };
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => endpoint.ipv4 = Some(ip.octets()),
        IpAddr::V6(ip) => endpoint.ipv6 = Some(ip.octets()),
    }
    endpoint
}

fn optional(span: &mut Span, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        span.tag(key, value);
    }
}

fn open_telemetry(span: &mut Span, head: &RequestHead<'_>, kind: Kind) {
    if let Some((service, method)) = head.grpc_call() {
        span.tag("rpc.system", "grpc").tag("rpc.service", service).tag("rpc.method", method);
    } else {
        span.tag("http.request.method", head.method);
        if kind == Kind::Server {
            span.tag("url.path", head.path).tag("url.scheme", head.scheme);
            optional(span, "url.query", head.query);
            optional(span, "http.route", head.route);
            optional(span, "user_agent.original", head.header("user-agent"));
        } else {
            span.tag("url.full", head.url().as_str());
            optional(span, "url.template", head.route);
        }
        span.tag("network.protocol.version", head.version);
    }
    if let Some((host, port)) = head.host().map(split_host) {
        span.tag("server.address", host);
        if let Some(port) = port {
            span.tag("server.port", port);
        }
    }
    if let (Some(peer), Kind::Server) = (head.peer, kind) {
        span.tag("client.address", peer.ip().to_canonical().to_string().as_str());
    }
}

fn starlette(span: &mut Span, head: &RequestHead<'_>, kind: Kind) {
    span.tag("http.method", head.method).tag("http.url", head.url().as_str());
    span.tag("http.route", head.route.unwrap_or(head.path));
    span.tag("http.headers", json_of_headers(head.headers).as_str());
    optional(span, "query", head.query);
    if let (Some(peer), Kind::Server) = (head.peer, kind) {
        span.tag("remote_address", peer.ip().to_canonical().to_string().as_str());
    }
}

/// `localhost:80` into its halves; an address of version 6 stands in brackets.
fn split_host(host: &str) -> (&str, Option<u16>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
        _ => (host, None),
    }
}

/// An object of all headers; those that came several times are joined by a comma.
fn json_of_headers(headers: &dyn HeaderGetter) -> String {
    let mut object = Map::new();
    headers.for_each(&mut |name, value| {
        let value = String::from_utf8_lossy(value);
        match object.get_mut(name) {
            Some(Value::String(text)) => {
                text.push_str(", ");
                text.push_str(&value);
            }
            _ => drop(object.insert(name.to_owned(), Value::String(value.into_owned()))),
        }
    });
    Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_split_from_their_ports() {
        assert_eq!(split_host("shop:8080"), ("shop", Some(8080)));
        assert_eq!(split_host("[::1]"), ("[::1]", None));
        assert_eq!(split_host("[::1]:80"), ("[::1]", Some(80)));
        assert_eq!(split_host("shop"), ("shop", None));
    }

    #[test]
    fn repeated_headers_are_joined() {
        let headers = [("a", "1"), ("b", "x"), ("a", "2")];
        assert_eq!(json_of_headers(&headers.as_slice()), r#"{"a":"1, 2","b":"x"}"#);
    }

    #[test]
    fn an_address_of_version_4_in_one_of_version_6_is_one_of_version_4() {
        let endpoint = endpoint(String::new(), "[::ffff:1.2.3.4]:80".parse().unwrap());
        assert_eq!((endpoint.ipv4, endpoint.port), (Some([1, 2, 3, 4]), 80));
    }
}
