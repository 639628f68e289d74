//! The layer of a server: a span around each request.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Extensions, Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{ResponseFuture, TracedBody, head_of};
use crate::Tracer;
use crate::middleware::ServerTracing;

/// Traces the requests of a server.
///
/// With axum (and the feature of that name) routes come by themselves, and addresses where the service is made with
/// connect info:
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::{Router, routing::get};
/// use tracewell::middleware::tower::ServerLayer;
/// # use tracewell::{InMemoryReporter, Tracer};
/// # let tracer = Tracer::builder("shop").build(InMemoryReporter::default());
/// let app: Router =
///     Router::new().route("/cart/{id}", get(async || "3 apples")).layer(ServerLayer::new(&tracer));
/// # drop(app);
/// # }
/// ```
#[derive(Clone)]
pub struct ServerLayer {
    shared: Arc<Shared>,
}

/// What [`ServerLayer`] makes of a service.
///
/// ```
/// use tower::{Layer, Service, ServiceExt, service_fn};
/// use tracewell::middleware::tower::ServerLayer;
/// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// type Body = http_body_util::Empty<&'static [u8]>;
/// let handler = service_fn(async |_: http::Request<Body>| Ok::<_, std::io::Error>(http::Response::new(Body::new())));
/// let mut service = ServerLayer::new(&tracer).layer(handler);
/// let request = http::Request::get("/cart").body(Body::new()).unwrap();
/// let service: tracewell::middleware::tower::ServerService<_> = service;
/// assert_eq!(service.oneshot(request).await.unwrap().status(), 200);
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct ServerService<S> {
    inner: S,
    layer: ServerLayer,
}

#[derive(Clone)]
struct Shared {
    settings: Arc<ServerTracing>,
    route: Option<RouteOf>,
    peer: Option<PeerOf>,
}

type RouteOf = Arc<dyn Fn(&Extensions) -> Option<&str> + Send + Sync>;
type PeerOf = Arc<dyn Fn(&Extensions) -> Option<SocketAddr> + Send + Sync>;

impl ServerLayer {
    /// With the default settings.
    ///
    /// ```
    /// use tracewell::middleware::tower::ServerLayer;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let layer = ServerLayer::new(&tracer);
    /// # drop(layer);
    /// ```
    pub fn new(tracer: &Tracer) -> Self {
        Self::from(ServerTracing::new(tracer))
    }

    /// Where a router left the route it matched. Not needed for axum.
    ///
    /// ```
    /// use tracewell::middleware::tower::ServerLayer;
    /// # use tracewell::{InMemoryReporter, Tracer};
    /// # let tracer = Tracer::builder("shop").build(InMemoryReporter::default());
    /// #[derive(Clone)]
    /// struct Matched(String);
    /// let layer = ServerLayer::new(&tracer).route_from(|extensions| Some(&extensions.get::<Matched>()?.0));
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn route_from(mut self, route: impl Fn(&Extensions) -> Option<&str> + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.shared).route = Some(Arc::new(route));
        self
    }

    /// Where the server left the address of the connection's other end. Found without being told: a
    /// [`SocketAddr`] among the request's extensions, and axum's `ConnectInfo<SocketAddr>`.
    ///
    /// ```
    /// use std::net::SocketAddr;
    /// use tracewell::middleware::tower::ServerLayer;
    /// # use tracewell::{InMemoryReporter, Tracer};
    /// # let tracer = Tracer::builder("shop").build(InMemoryReporter::default());
    /// #[derive(Clone)]
    /// struct Connection { from: SocketAddr }
    /// let layer = ServerLayer::new(&tracer).peer_from(|extensions| Some(extensions.get::<Connection>()?.from));
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn peer_from(mut self, peer: impl Fn(&Extensions) -> Option<SocketAddr> + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.shared).peer = Some(Arc::new(peer));
        self
    }
}

impl From<ServerTracing> for ServerLayer {
    fn from(settings: ServerTracing) -> Self {
        Self { shared: Arc::new(Shared { settings: Arc::new(settings), route: None, peer: None }) }
    }
}

impl<S> Layer<S> for ServerLayer {
    type Service = ServerService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ServerService { inner, layer: self.clone() }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ServerService<S>
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
        let shared = &self.layer.shared;
        let route = shared.route(request.extensions());
        let peer = || shared.peer(request.extensions());
        let Some(mut in_flight) = shared.settings.begin(head_of(&request, route, None), peer) else {
            return ResponseFuture::untraced(self.inner.call(request));
        };
        in_flight.announce(request.extensions_mut());
        let future = in_flight.scope(|| self.inner.call(request));
        let settings = shared.settings.writes_response_headers().then(|| Arc::clone(&shared.settings));
        ResponseFuture::traced(future, in_flight, shared.settings.end(), settings)
    }
}

impl Shared {
    fn route<'a>(&self, extensions: &'a Extensions) -> Option<&'a str> {
        if let Some(route) = &self.route {
            return route(extensions);
        }
        #[cfg(feature = "axum")]
        if let Some(matched) = extensions.get::<axum::extract::MatchedPath>() {
            return Some(matched.as_str());
        }
        None
    }

    fn peer(&self, extensions: &Extensions) -> Option<SocketAddr> {
        if let Some(peer) = &self.peer {
            return peer(extensions);
        }
        #[cfg(feature = "axum")]
        if let Some(info) = extensions.get::<axum::extract::ConnectInfo<SocketAddr>>() {
            return Some(info.0);
        }
        extensions.get::<SocketAddr>().copied()
    }
}

impl fmt::Debug for ServerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerLayer").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}
