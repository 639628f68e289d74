//! What clients of any library do with a request: a child of the current span, headers, name and tags.

use std::fmt;
use std::sync::Arc;

use super::head::RequestHead;
use super::in_flight::InFlight;
use super::server::with_name;
use super::tags::{SpanEnd, TagSet, endpoint};
use crate::propagation::{HeaderSetter, Propagation, TraceContext};
use crate::{Kind, OwnedEndpoint, Span, Tracer};

/// How requests that are sent become spans. A layer or middleware is made of it.
///
/// The parent is the [`TraceContext`] among the request's extensions, else the current span. Without either a trace
/// begins, unless [`ClientTracing::only_in_traces`] says otherwise.
///
/// ```
/// use tracewell::middleware::ClientTracing;
/// use tracewell::propagation::{Format, Propagation};
/// use tracewell::{InMemoryReporter, Tracer};
///
/// let tracer = Tracer::builder("shop").build(InMemoryReporter::default());
/// let settings = ClientTracing::new(&tracer)
///     .propagation(Propagation::new(&[Format::B3Multi]))
///     .peer_service("warehouse");
/// # let _ = settings;
/// ```
#[derive(Clone)]
pub struct ClientTracing {
    tracer: Tracer,
    propagation: Propagation,
    only_in_traces: bool,
    names: Option<Namer>,
    tags: TagSet,
    error_from: u16,
    end: SpanEnd,
    peer_service: Box<str>,
    service_from_host: bool,
}

type Namer = Arc<dyn Fn(&RequestHead<'_>) -> String + Send + Sync>;

/// The pattern of a request's path, to be put among its extensions: the span's name is then `GET /cart/{id}`.
///
/// ```
/// # #[cfg(feature = "tower")] {
/// use tracewell::middleware::UrlTemplate;
/// let request = http::Request::get("http://shop/cart/7").extension(UrlTemplate("/cart/{id}")).body(())?;
/// # let _ = request;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UrlTemplate(pub &'static str);

impl ClientTracing {
    /// By default: writes what [`Propagation::default`] writes (W3C), Zipkin's tags, names by the method (`GET`), the
    /// span ends with the head of the response, a status of 400 and above is an error.
    ///
    /// ```
    /// use tracewell::middleware::ClientTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ClientTracing::new(&tracer);
    /// # let _ = settings;
    /// ```
    pub fn new(tracer: &Tracer) -> Self {
        Self {
            tracer: tracer.clone(),
            propagation: Propagation::default(),
            only_in_traces: false,
            names: None,
            tags: TagSet::default(),
            error_from: 400,
            end: SpanEnd::default(),
            peer_service: Box::default(),
            service_from_host: false,
        }
    }

    /// Which headers the trace is written into.
    ///
    /// ```
    /// use tracewell::middleware::ClientTracing;
    /// use tracewell::propagation::{Format, Propagation};
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ClientTracing::new(&tracer).propagation(Propagation::new(&[Format::B3Multi]));
    /// # let _ = settings;
    /// ```
    #[must_use]
    pub fn propagation(mut self, propagation: Propagation) -> Self {
        self.propagation = propagation;
        self
    }

    /// Requests outside of a trace get neither span nor headers.
    ///
    /// ```
    /// use tracewell::middleware::ClientTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ClientTracing::new(&tracer).only_in_traces(true);
    /// # let _ = settings;
    /// ```
    #[must_use]
    pub const fn only_in_traces(mut self, only: bool) -> Self {
        self.only_in_traces = only;
        self
    }

    /// Other names: by default `GET`, since paths are too many to be names; `GET /cart/{id}` with a [`UrlTemplate`];
    /// `shop.Cart/Add` for gRPC.
    ///
    /// ```
    /// use tracewell::middleware::ClientTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ClientTracing::new(&tracer).names(|head| format!("{} {}", head.method(), head.host().unwrap_or("?")));
    /// # let _ = settings;
    /// ```
    #[must_use]
    pub fn names(mut self, names: impl Fn(&RequestHead<'_>) -> String + Send + Sync + 'static) -> Self {
        self.names = Some(Arc::new(names));
        self
    }

    /// By whose conventions spans are tagged.
    ///
    /// ```
    /// use tracewell::middleware::ClientTracing;
    /// use tracewell::middleware::TagSet;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ClientTracing::new(&tracer).tags(TagSet::OpenTelemetry);
    /// # let _ = settings;
    /// ```
    #[must_use]
    pub const fn tags(mut self, tags: TagSet) -> Self {
        self.tags = tags;
        self
    }

    /// From which HTTP status on a request has failed.
    ///
    /// ```
    /// use tracewell::middleware::ClientTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ClientTracing::new(&tracer).errors_from(500);
    /// # let _ = settings;
    /// ```
    #[must_use]
    pub const fn errors_from(mut self, status: u16) -> Self {
        self.error_from = status;
        self
    }

    /// Whether a span ends with the head or with the body of the response.
    ///
    /// ```
    /// use tracewell::middleware::ClientTracing;
    /// use tracewell::middleware::SpanEnd;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ClientTracing::new(&tracer).ends_with(SpanEnd::Body);
    /// # let _ = settings;
    /// ```
    #[must_use]
    pub const fn ends_with(mut self, end: SpanEnd) -> Self {
        self.end = end;
        self
    }

    /// The service that is called. Worth saying where that one is not traced itself.
    ///
    /// ```
    /// use tracewell::middleware::ClientTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ClientTracing::new(&tracer).peer_service("warehouse");
    /// # let _ = settings;
    /// ```
    #[must_use]
    pub fn peer_service(mut self, service: &str) -> Self {
        self.peer_service = service.into();
        self
    }

    /// Takes the host's name for the name of the service that is called.
    ///
    /// ```
    /// use tracewell::middleware::ClientTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ClientTracing::new(&tracer).peer_service_from_host(true);
    /// # let _ = settings;
    /// ```
    #[must_use]
    pub const fn peer_service_from_host(mut self, from_host: bool) -> Self {
        self.service_from_host = from_host;
        self
    }
}

impl ClientTracing {
    /// The span of a request; none outside of a trace, if these are to be left alone.
    pub(crate) fn begin(&self, head: &RequestHead<'_>, parent: Option<&TraceContext>) -> Option<InFlight> {
        let span = match parent {
            Some(parent) => self.span(head, parent),
            None if self.only_in_traces => return None,
            None => self.span(head, &TraceContext::default()),
        };
        let mut request = InFlight::new(span, self.tags, Kind::Client);
        request.is_grpc = head.is_grpc;
        request.error_from = self.error_from;
        if request.span.is_recorded() {
            request.span.kind(Kind::Client);
            self.tags.request(&mut request.span, head, Kind::Client);
            self.name_peer(&mut request.span, head);
        }
        Some(request)
    }

    pub(crate) fn inject(&self, context: &TraceContext, headers: &mut dyn HeaderSetter) {
        self.propagation.inject(context, headers);
    }

    pub(crate) const fn end(&self) -> SpanEnd {
        self.end
    }

    /// Says to whom it went once that is known.
    #[cfg(feature = "reqwest")]
    pub(crate) fn peer(&self, span: &mut Span, host: Option<&str>, address: std::net::SocketAddr) {
        if span.is_recorded() {
            span.remote_endpoint(&endpoint(self.service_name(host), address));
        }
    }

    fn span(&self, head: &RequestHead<'_>, parent: &TraceContext) -> Span {
        if parent.sampled() == Some(false) {
            return self.tracer.new_child(parent, "");
        }
        with_name(|name| self.write_name(head, name), |name| self.tracer.new_child(parent, name))
    }

    fn name_peer(&self, span: &mut Span, head: &RequestHead<'_>) {
        let service = self.service_name(head.host().map(|host| host.rsplit_once(':').map_or(host, |(host, _)| host)));
        match head.host().and_then(|host| host.parse().ok()) {
            Some(address) => span.remote_endpoint(&endpoint(service, address)),
            None if service.is_empty() => span,
            None => span.remote_endpoint(&OwnedEndpoint { service, ..OwnedEndpoint::default() }),
        };
    }

    fn service_name(&self, host: Option<&str>) -> String {
        let name = if self.service_from_host && self.peer_service.is_empty() { host } else { None };
        name.unwrap_or(&self.peer_service).to_owned()
    }

    fn write_name(&self, head: &RequestHead<'_>, name: &mut String) {
        if let Some(names) = &self.names {
            name.push_str(&names(head));
        } else if head.is_grpc {
            name.push_str(head.path.trim_start_matches('/'));
        } else {
            name.push_str(head.method);
            if let Some(route) = head.route {
                name.push(' ');
                name.push_str(route);
            }
        }
    }
}

impl fmt::Debug for ClientTracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("ClientTracing");
        text.field("propagation", &self.propagation).field("tags", &self.tags);
        text.field("peer_service", &self.peer_service).field("end", &self.end).finish_non_exhaustive()
    }
}
