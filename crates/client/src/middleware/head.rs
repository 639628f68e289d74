//! What is known of a request when its span begins, whichever framework it came through.

use std::fmt;
use std::net::SocketAddr;

use crate::propagation::HeaderGetter;

/// A request, as closures that choose names or leave requests out see it.
///
/// ```
/// use tracewell::middleware::ServerTracing;
/// # use tracewell::{InMemoryReporter, Tracer};
/// # let tracer = Tracer::builder("shop").build(InMemoryReporter::default());
/// let settings = ServerTracing::new(&tracer)
///     .names(|request| format!("{} {}", request.method(), request.route().unwrap_or("other")))
///     .skip_if(|request| request.path().starts_with("/internal/"));
/// # let _ = settings;
/// ```
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    pub(crate) method: &'a str,
    pub(crate) scheme: &'a str,
    /// From the URI, where it has one; else the header `host` is looked at.
    pub(crate) authority: Option<&'a str>,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) route: Option<&'a str>,
    pub(crate) peer: Option<SocketAddr>,
    /// `1.0`, `1.1`, `2`, `3`.
    pub(crate) version: &'a str,
    pub(crate) headers: &'a dyn HeaderGetter,
    pub(crate) is_grpc: bool,
}

impl<'a> RequestHead<'a> {
    /// `GET`.
    ///
    /// ```
    /// use tracewell::middleware::ServerTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).names(|head| head.method().to_owned());
    /// # let _ = settings;
    /// ```
    pub const fn method(&self) -> &'a str {
        self.method
    }

    /// `http` or `https`.
    ///
    /// ```
    /// use tracewell::middleware::ServerTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).names(|head| format!("{} {}", head.scheme(), head.method()));
    /// # let _ = settings;
    /// ```
    pub const fn scheme(&self) -> &'a str {
        self.scheme
    }

    /// The path without the query: `/cart/7`.
    ///
    /// ```
    /// use tracewell::middleware::ServerTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).names(|head| head.path().to_owned());
    /// # let _ = settings;
    /// ```
    pub const fn path(&self) -> &'a str {
        self.path
    }

    /// The query without its question mark.
    ///
    /// ```
    /// use tracewell::middleware::ServerTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).names(|head| head.query().unwrap_or_default().to_owned());
    /// # let _ = settings;
    /// ```
    pub const fn query(&self) -> Option<&'a str> {
        self.query
    }

    /// What the framework matched, where it tells: `/cart/{id}`.
    ///
    /// ```
    /// use tracewell::middleware::ServerTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).names(|head| head.route().unwrap_or("not found").to_owned());
    /// # let _ = settings;
    /// ```
    pub const fn route(&self) -> Option<&'a str> {
        self.route
    }

    /// Who sent it, or to whom it goes, where that is known.
    ///
    /// ```
    /// use tracewell::middleware::ServerTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).names(|head| head.peer().map_or("nobody".into(), |peer| peer.to_string()));
    /// # let _ = settings;
    /// ```
    pub const fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Whether it is a call of gRPC, by its content type.
    ///
    /// ```
    /// use tracewell::middleware::ServerTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer)
    ///     .names(|head| if head.is_grpc() { head.path().to_owned() } else { head.method().to_owned() });
    /// # let _ = settings;
    /// ```
    pub const fn is_grpc(&self) -> bool {
        self.is_grpc
    }

    /// A header that is text; the first, where there are several.
    ///
    /// ```
    /// use tracewell::middleware::ServerTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).names(|head| head.header("x-operation").unwrap_or("unnamed").to_owned());
    /// # let _ = settings;
    /// ```
    pub fn header(&self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.headers.get(name).0?).ok()
    }

    /// Host and port as the client named them.
    ///
    /// ```
    /// use tracewell::middleware::ServerTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).names(|head| head.host().unwrap_or_default().to_owned());
    /// # let _ = settings;
    /// ```
    pub fn host(&self) -> Option<&'a str> {
        self.authority.or_else(|| self.header("host"))
    }

    /// The whole URL.
    ///
    /// ```
    /// use tracewell::middleware::ServerTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).names(|head| head.url());
    /// # let _ = settings;
    /// ```
    pub fn url(&self) -> String {
        let host = self.host().unwrap_or_default();
        let (mark, query) = self.query.map_or(("", ""), |query| ("?", query));
        format!("{}://{host}{}{mark}{query}", self.scheme, self.path)
    }

    /// Service and method of a gRPC call's path: `/shop.Cart/Add`.
    pub(crate) fn grpc_call(&self) -> Option<(&'a str, &'a str)> {
        if self.is_grpc { self.path.strip_prefix('/')?.rsplit_once('/') } else { None }
    }
}

impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("RequestHead");
        text.field("method", &self.method).field("path", &self.path).field("route", &self.route);
        text.field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// Whether a content type is gRPC's: `application/grpc`, `application/grpc+proto`; gRPC-Web is a protocol of its own.
pub(crate) fn is_grpc(content_type: Option<&[u8]>) -> bool {
    let rest = content_type.and_then(|value| value.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_is_told_from_what_only_begins_like_it() {
        for (content_type, expected) in
            [("application/grpc", true), ("application/grpc+proto", true), ("application/grpc-web", false)]
        {
            assert_eq!(is_grpc(Some(content_type.as_bytes())), expected, "{content_type}");
        }
        assert!(!is_grpc(None));
    }

    #[test]
    fn a_url_is_put_together_from_what_came() {
        let headers = [("Host", "shop:8080")];
        let head = RequestHead {
            method: "GET",
            scheme: "http",
            authority: None,
            path: "/cart",
            query: Some("a=1"),
            route: None,
            peer: None,
            version: "1.1",
            headers: &headers.as_slice(),
            is_grpc: false,
        };
        assert_eq!(head.url(), "http://shop:8080/cart?a=1");
    }
}
