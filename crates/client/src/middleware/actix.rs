//! A middleware of actix-web: a span around each request.

use std::fmt;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use actix_web::{Error, HttpMessage};
use pin_project_lite::pin_project;

use super::head::{RequestHead, is_grpc};
use super::in_flight::InFlight;
use super::server::ServerTracing;
use crate::Tracer;
use crate::propagation::{HeaderGetter, HeaderSetter};

/// Traces the requests of an application. Spans end with the head of the response.
///
/// ```
/// use actix_web::{App, web};
/// use tracewell::middleware::actix::ActixTracing;
/// # use tracewell::{InMemoryReporter, Tracer};
/// # let tracer = Tracer::builder("shop").build(InMemoryReporter::default());
/// let app = App::new()
///     .wrap(ActixTracing::new(&tracer))
///     .route("/cart/{id}", web::get().to(async || "3 apples"));
/// # drop(app);
/// ```
#[derive(Clone, Debug)]
pub struct ActixTracing {
    settings: Arc<ServerTracing>,
}

/// What [`ActixTracing`] makes of a service.
///
/// ```
/// use actix_web::dev::Transform;
/// use actix_web::{dev::ServiceRequest, dev::ServiceResponse, dev::fn_service, HttpResponse};
/// use tracewell::middleware::actix::{ActixService, ActixTracing};
/// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
/// # actix_web::rt::System::new().block_on(async {
/// let handler = fn_service(async |request: ServiceRequest| Ok(request.into_response(HttpResponse::Ok().finish())));
/// let service: ActixService<_> = ActixTracing::new(&tracer).new_transform(handler).await.unwrap();
/// # drop(service);
/// # });
/// ```
#[derive(Debug)]
pub struct ActixService<S> {
    inner: S,
    settings: Arc<ServerTracing>,
}

impl ActixTracing {
    /// With the default settings.
    ///
    /// ```
    /// use actix_web::App;
    /// use tracewell::middleware::actix::ActixTracing;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let app = App::new().wrap(ActixTracing::new(&tracer));
    /// # drop(app);
    /// ```
    pub fn new(tracer: &Tracer) -> Self {
        Self::from(ServerTracing::new(tracer))
    }
}

impl From<ServerTracing> for ActixTracing {
    fn from(settings: ServerTracing) -> Self {
        Self { settings: Arc::new(settings) }
    }
}

impl<S, B> Transform<S, ServiceRequest> for ActixTracing
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = ActixService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(ActixService { inner, settings: Arc::clone(&self.settings) }))
    }
}

impl<S, B> Service<ServiceRequest> for ActixService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = ActixFuture<S::Future>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let Some(mut in_flight) = begin(&self.settings, &request) else {
            return ActixFuture { inner: self.inner.call(request), in_flight: None, settings: None };
        };
        request.extensions_mut().insert(in_flight.span.context().clone());
        let inner = in_flight.scope(|| self.inner.call(request));
        let settings = self.settings.writes_response_headers().then(|| Arc::clone(&self.settings));
        ActixFuture { inner, in_flight: Some(in_flight), settings }
    }
}

fn begin(settings: &ServerTracing, request: &ServiceRequest) -> Option<InFlight> {
    let route = request.match_pattern();
    let connection = request.connection_info();
    let head = RequestHead {
        method: request.method().as_str(),
        scheme: connection.scheme(),
        authority: Some(connection.host()),
        path: request.path(),
        query: Some(request.query_string()).filter(|query| !query.is_empty()),
        route: route.as_deref(),
        peer: None,
        version: match request.version() {
            actix_web::http::Version::HTTP_10 => "1.0",
            actix_web::http::Version::HTTP_2 => "2",
            _ => "1.1",
        },
        headers: &Headers(request.headers()),
        is_grpc: is_grpc(request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes)),
    };
    settings.begin(head, || request.peer_addr())
}

pin_project! {
    /// The future of a traced service. Dropping it before it is ready marks the span as cancelled.
    ///
    /// ```
    /// use actix_web::dev::{Service, Transform, fn_service};
    /// use actix_web::test::TestRequest;
    /// use actix_web::{HttpResponse, dev::ServiceRequest};
    /// use tracewell::middleware::actix::{ActixFuture, ActixTracing};
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// # actix_web::rt::System::new().block_on(async {
    /// let handler = fn_service(async |request: ServiceRequest| Ok(request.into_response(HttpResponse::Ok().finish())));
    /// let service = ActixTracing::new(&tracer).new_transform(handler).await.unwrap();
    /// let future: ActixFuture<_> = service.call(TestRequest::get().uri("/cart").to_srv_request());
    /// assert_eq!(future.await.unwrap().status(), 200);
    /// # });
    /// ```
    pub struct ActixFuture<F> {
        #[pin]
        inner: F,
        in_flight: Option<InFlight>,
        settings: Option<Arc<ServerTracing>>,
    }
}

impl<F, B> Future for ActixFuture<F>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(in_flight) = this.in_flight else { return this.inner.poll(context) };
        let mut result = std::task::ready!(in_flight.scope(|| this.inner.poll(context)));
        let Some(mut in_flight) = this.in_flight.take() else { return Poll::Ready(result) };
        match &mut result {
            Ok(response) => {
                if let Some(settings) = this.settings {
                    let headers = &mut OnlyAbsent(response.headers_mut());
                    settings.write_response_headers(in_flight.span.context(), headers);
                }
                in_flight.response(response.status().as_u16(), &Headers(response.headers()));
                if let (Some(error), true) = (response.response().error(), response.status().is_server_error()) {
                    in_flight.failed(error);
                }
            }
            // Becomes a response further out, whose status the error knows.
            Err(error) => {
                let status = error.as_response_error().status_code();
                in_flight.response(status.as_u16(), &Headers(&HeaderMap::new()));
                if status.is_server_error() {
                    in_flight.failed(error);
                }
            }
        }
        Poll::Ready(result)
    }
}

impl<F> fmt::Debug for ActixFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActixFuture").field("is_traced", &self.in_flight.is_some()).finish_non_exhaustive()
    }
}

struct Headers<'a>(&'a HeaderMap);

impl HeaderGetter for Headers<'_> {
    fn for_each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8])) {
        for (name, value) in self.0 {
            visit(name.as_str(), value.as_bytes());
        }
    }

    fn get(&self, name: &str) -> (Option<&[u8]>, bool) {
        let mut values = self.0.get_all(name).map(HeaderValue::as_bytes);
        (values.next(), values.next().is_some())
    }
}

/// Leaves the headers alone that are there.
struct OnlyAbsent<'a>(&'a mut HeaderMap);

impl HeaderSetter for OnlyAbsent<'_> {
    fn set(&mut self, name: &str, value: &str) {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value))
            && !self.0.contains_key(&name)
        {
            self.0.insert(name, value);
        }
    }
}
