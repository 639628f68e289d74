//! What servers of any framework do with a request: continue its trace, name and tag its span.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::head::RequestHead;
use super::in_flight::InFlight;
use super::tags::{SpanEnd, TagSet};
use crate::propagation::{Extracted, Format, HeaderSetter, Propagation, TraceContext};
use crate::{Kind, Span, Tracer};

/// How requests become spans. A layer or middleware is made of it.
///
/// ```
/// use tracewell::middleware::{Continuing, ServerTracing, TagSet};
/// use tracewell::propagation::{Format, Propagation};
/// use tracewell::{InMemoryReporter, Tracer};
///
/// let tracer = Tracer::builder("shop").build(InMemoryReporter::default());
/// let settings = ServerTracing::new(&tracer)
///     .propagation(Propagation::new(&[Format::B3Multi]))
///     .continuing(Continuing::Child)
///     .tags(TagSet::OpenTelemetry)
///     .skip_routes(["/health", "/assets/*"])
///     .inject_response_headers(Propagation::new(&[Format::B3Multi]));
/// # let _ = settings;
/// ```
#[derive(Clone)]
pub struct ServerTracing {
    tracer: Tracer,
    propagation: Propagation,
    continuing: Continuing,
    force_new_trace: bool,
    skipped_routes: Vec<Box<str>>,
    skip: Option<Predicate>,
    names: Option<Namer>,
    tags: TagSet,
    extra_tags: Vec<(Box<str>, Box<str>)>,
    error_from: u16,
    end: SpanEnd,
    response_headers: Option<Propagation>,
}

type Predicate = Arc<dyn Fn(&RequestHead<'_>) -> bool + Send + Sync>;
type Namer = Arc<dyn Fn(&RequestHead<'_>) -> String + Send + Sync>;

/// Which span a request that came with a trace gets.
///
/// ```
/// use tracewell::middleware::{Continuing, ServerTracing};
/// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
/// let settings = ServerTracing::new(&tracer).continuing(Continuing::Join);
/// # let _ = settings;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Continuing {
    /// As senders of the format expect: [`Continuing::Join`] for B3, [`Continuing::Child`] for the others.
    #[default]
    ByFormat,
    /// The caller's own span seen from the other side: Zipkin's way.
    Join,
    /// A child of the caller's span: Jaeger's, OpenTelemetry's and starlette-zipkin's way.
    Child,
}

impl ServerTracing {
    /// By default: reads every format, leaves nothing out, Zipkin's tags, the span ends with the head of the response,
    /// a status of 500 and above is an error.
    ///
    /// ```
    /// use tracewell::middleware::ServerTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer);
    /// # let _ = settings;
    /// ```
    pub fn new(tracer: &Tracer) -> Self {
        Self {
            tracer: tracer.clone(),
            propagation: Propagation::default(),
            continuing: Continuing::default(),
            force_new_trace: false,
            skipped_routes: Vec::new(),
            skip: None,
            names: None,
            tags: TagSet::default(),
            extra_tags: Vec::new(),
            error_from: 500,
            end: SpanEnd::default(),
            response_headers: None,
        }
    }

    /// As starlette-zipkin 0.3 does it: B3 headers in, a child of the caller's span, names such as `HTTP GET /cart`, its
    /// tags, an error from 400 on, B3 headers in the response.
    ///
    /// ```
    /// # use tracewell::{InMemoryReporter, Tracer, middleware::ServerTracing};
    /// # let tracer = Tracer::builder("shop").build(InMemoryReporter::default());
    /// let settings = ServerTracing::starlette(&tracer).force_new_trace(true);
    /// # let _ = settings;
    /// ```
    pub fn starlette(tracer: &Tracer) -> Self {
        Self::new(tracer)
            .propagation(Propagation::new(&[Format::B3Multi]))
            .continuing(Continuing::Child)
            .tags(TagSet::Starlette)
            .tag("component", "asgi")
            .errors_from(400)
            .inject_response_headers(Propagation::new(&[Format::B3Multi]))
    }

    /// Which headers a trace is read from.
    ///
    /// ```
    /// use tracewell::middleware::ServerTracing;
    /// use tracewell::propagation::{Format, Propagation};
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).propagation(Propagation::new(&[Format::TraceContext]));
    /// # let _ = settings;
    /// ```
    #[must_use]
    pub fn propagation(mut self, propagation: Propagation) -> Self {
        self.propagation = propagation;
        self
    }

    /// Whether the caller's span is joined or gets a child.
    ///
    /// ```
    /// use tracewell::middleware::Continuing;
    /// use tracewell::middleware::ServerTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).continuing(Continuing::Child);
    /// # let _ = settings;
    /// ```
    #[must_use]
    pub const fn continuing(mut self, continuing: Continuing) -> Self {
        self.continuing = continuing;
        self
    }

    /// Every request begins a trace of its own, whatever came with it.
    ///
    /// ```
    /// use tracewell::middleware::ServerTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).force_new_trace(true);
    /// # let _ = settings;
    /// ```
    #[must_use]
    pub const fn force_new_trace(mut self, force: bool) -> Self {
        self.force_new_trace = force;
        self
    }

    /// Requests of these routes or paths get no span, and pass as if there were no middleware. A `*` at the end stands
    /// for anything.
    ///
    /// ```
    /// use tracewell::middleware::ServerTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).skip_routes(["/health", "/static/*"]);
    /// # let _ = settings;
    /// ```
    #[must_use]
    pub fn skip_routes<R: AsRef<str>>(mut self, routes: impl IntoIterator<Item = R>) -> Self {
        self.skipped_routes.extend(routes.into_iter().map(|route| route.as_ref().into()));
        self
    }

    /// Requests of which this says true get no span.
    ///
    /// ```
    /// use tracewell::middleware::ServerTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).skip_if(|head| head.method() == "OPTIONS");
    /// # let _ = settings;
    /// ```
    #[must_use]
    pub fn skip_if(mut self, skip: impl Fn(&RequestHead<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.skip = Some(Arc::new(skip));
        self
    }

    /// Other names. By default `GET /cart/{id}` where the framework knows the route, else with the path (and
    /// `GET not_found` where nothing was found, lest every typing error be a name), and `shop.Cart/Add` for gRPC.
    ///
    /// ```
    /// use tracewell::middleware::ServerTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).names(|head| format!("{} {}", head.method(), head.route().unwrap_or("?")));
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
    /// use tracewell::middleware::ServerTracing;
    /// use tracewell::middleware::TagSet;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).tags(TagSet::OpenTelemetry);
    /// # let _ = settings;
    /// ```
    #[must_use]
    pub const fn tags(mut self, tags: TagSet) -> Self {
        self.tags = tags;
        self
    }

    /// A tag that every span gets: `component`, say.
    ///
    /// ```
    /// use tracewell::middleware::ServerTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).tag("component", "axum");
    /// # let _ = settings;
    /// ```
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.extra_tags.push((key.into(), value.into()));
        self
    }

    /// From which HTTP status on a request has failed.
    ///
    /// ```
    /// use tracewell::middleware::ServerTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).errors_from(400);
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
    /// use tracewell::middleware::ServerTracing;
    /// use tracewell::middleware::SpanEnd;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).ends_with(SpanEnd::Body);
    /// # let _ = settings;
    /// ```
    #[must_use]
    pub const fn ends_with(mut self, end: SpanEnd) -> Self {
        self.end = end;
        self
    }

    /// Tells callers which trace was theirs, in these headers of the response; what a handler set is left alone.
    ///
    /// ```
    /// use tracewell::middleware::ServerTracing;
    /// use tracewell::propagation::{Format, Propagation};
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let settings = ServerTracing::new(&tracer).inject_response_headers(Propagation::new(&[Format::B3Multi]));
    /// # let _ = settings;
    /// ```
    #[must_use]
    pub fn inject_response_headers(mut self, propagation: Propagation) -> Self {
        self.response_headers = Some(propagation);
        self
    }
}

impl ServerTracing {
    /// The span of a request; none if it is to be left out. Its peer is asked for if somebody wants to know.
    pub(crate) fn begin(&self, mut head: RequestHead<'_>, peer: impl Fn() -> Option<SocketAddr>) -> Option<InFlight> {
        if self.names.is_some() || self.skip.is_some() {
            head.peer = peer();
        }
        let head = &mut head;
        if self.skips(head) {
            return None;
        }
        let extracted =
            if self.force_new_trace { Extracted::default() } else { self.propagation.extract(head.headers) };
        // Nobody will read the name of a span that the caller decided not to record.
        let is_dropped = extracted.context.sampled() == Some(false);
        let span = if is_dropped {
            self.continue_trace(&extracted, "")
        } else {
            with_name(|name| self.write_name(head, name), |name| self.continue_trace(&extracted, name))
        };
        let mut request = InFlight::new(span, self.tags, Kind::Server);
        request.is_grpc = head.is_grpc;
        request.error_from = self.error_from;
        if request.span.is_recorded() {
            head.peer = head.peer.or_else(peer);
            request.span.kind(Kind::Server);
            self.tags.request(&mut request.span, head, Kind::Server);
            for (key, value) in &self.extra_tags {
                request.span.tag(key, &**value);
            }
            let says_path = self.names.is_none() && head.route.is_none() && !head.is_grpc;
            if says_path && self.tags != TagSet::Starlette {
                request.name_if_not_found = Some(format!("{} not_found", head.method).into());
            }
        }
        Some(request)
    }

    pub(crate) fn write_response_headers(&self, context: &TraceContext, headers: &mut dyn HeaderSetter) {
        if let Some(propagation) = &self.response_headers {
            propagation.inject(context, headers);
        }
    }

    pub(crate) const fn writes_response_headers(&self) -> bool {
        self.response_headers.is_some()
    }

    pub(crate) const fn end(&self) -> SpanEnd {
        self.end
    }

    fn continue_trace(&self, extracted: &Extracted, name: &str) -> Span {
        let is_b3 = matches!(extracted.format, Some(Format::B3Multi | Format::B3Single));
        match self.continuing {
            Continuing::ByFormat if !is_b3 => self.tracer.new_child(&extracted.context, name),
            Continuing::Child => self.tracer.new_child(&extracted.context, name),
            Continuing::ByFormat | Continuing::Join => self.tracer.join_span(&extracted.context, name),
        }
    }

    fn skips(&self, head: &RequestHead<'_>) -> bool {
        let is_meant = |skipped: &str, place: &str| match skipped.strip_suffix('*') {
            Some(start) => place.starts_with(start),
            None => place == skipped,
        };
        let is_skipped =
            |skipped: &str| is_meant(skipped, head.path) || head.route.is_some_and(|route| is_meant(skipped, route));
        self.skipped_routes.iter().any(|skipped| is_skipped(skipped))
            || self.skip.as_ref().is_some_and(|skip| skip(head))
    }

    fn write_name(&self, head: &RequestHead<'_>, name: &mut String) {
        if let Some(names) = &self.names {
            name.push_str(&names(head));
        } else if head.is_grpc {
            name.push_str(head.path.trim_start_matches('/'));
        } else {
            if self.tags == TagSet::Starlette {
                name.push_str(if head.scheme == "https" { "HTTPS " } else { "HTTP " });
            }
            name.push_str(head.method);
            name.push(' ');
            name.push_str(head.route.unwrap_or(head.path));
        }
    }
}

/// Writes a name into a buffer of this thread's and hands it over.
pub(crate) fn with_name<R>(write: impl FnOnce(&mut String), read: impl FnOnce(&str) -> R) -> R {
    thread_local!(static NAME: std::cell::Cell<String> = const { std::cell::Cell::new(String::new()) });
    // Taken out, so that a sampler that itself sends a request finds an empty one.
    let mut name = NAME.take();
    name.clear();
    write(&mut name);
    let result = read(&name);
    NAME.set(name);
    result
}

impl fmt::Debug for ServerTracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("ServerTracing");
        text.field("propagation", &self.propagation).field("continuing", &self.continuing).field("tags", &self.tags);
        text.field("skipped_routes", &self.skipped_routes).field("end", &self.end).finish_non_exhaustive()
    }
}
