//! The layer of a client: a span around each request, and the trace in its headers.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{ResponseFuture, TracedBody, head_of};
use crate::Tracer;
use crate::middleware::in_flight::current_context;
use crate::middleware::{ClientTracing, UrlTemplate};
use crate::propagation::TraceContext;

/// Traces the requests that a client sends: hyper-util's, tonic's, any of tower's.
///
/// ```
/// use http::{Request, Response};
/// use http_body_util::Empty;
/// use tower::{Layer, ServiceExt, service_fn};
/// use tracewell::middleware::tower::ClientLayer;
/// # use tracewell::{InMemoryReporter, Tracer};
/// type Body = Empty<&'static [u8]>;
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// # let tracer = Tracer::builder("shop").build(InMemoryReporter::default());
/// let transport = service_fn(async |request: Request<Body>| {
///     assert!(request.headers().contains_key("traceparent"));
///     Ok::<_, std::io::Error>(Response::new(Body::new()))
/// });
/// ClientLayer::new(&tracer).layer(transport).oneshot(Request::get("http://shop/").body(Body::new())?).await?;
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(run())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientLayer {
    settings: Arc<ClientTracing>,
}

/// What [`ClientLayer`] makes of a service.
///
/// ```
/// use tower::{Layer, service_fn};
/// use tracewell::middleware::tower::{ClientLayer, ClientService};
/// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
/// let transport = service_fn(async |_: http::Request<String>| Ok::<_, std::io::Error>(http::Response::new(String::new())));
/// let service: ClientService<_> = ClientLayer::new(&tracer).layer(transport);
/// # drop(service);
/// ```
#[derive(Clone, Debug)]
pub struct ClientService<S> {
    inner: S,
    settings: Arc<ClientTracing>,
}

impl ClientLayer {
    /// With the default settings.
    ///
    /// ```
    /// use tracewell::middleware::tower::ClientLayer;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let layer = ClientLayer::new(&tracer);
    /// # drop(layer);
    /// ```
    pub fn new(tracer: &Tracer) -> Self {
        Self::from(ClientTracing::new(tracer))
    }
}

impl From<ClientTracing> for ClientLayer {
    fn from(settings: ClientTracing) -> Self {
        Self { settings: Arc::new(settings) }
    }
}

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ClientService { inner, settings: Arc::clone(&self.settings) }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ClientService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Error: fmt::Display,
    ResBody: Body,
    ResBody::Error: fmt::Display,
{
    type Response = Response<TracedBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let route = request.extensions().get::<UrlTemplate>().map(|template| template.0);
        let head = head_of(&request, route, None);
        let in_flight = match request.extensions().get::<TraceContext>() {
            Some(parent) => self.settings.begin(&head, Some(parent)),
            None => self.settings.begin(&head, current_context().as_ref()),
        };
        let Some(mut in_flight) = in_flight else { return ResponseFuture::untraced(self.inner.call(request)) };
        self.settings.inject(in_flight.span.context(), request.headers_mut());
        let future = in_flight.scope(|| self.inner.call(request));
        ResponseFuture::traced(future, in_flight, self.settings.end(), None)
    }
}
