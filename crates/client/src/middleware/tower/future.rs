//! The response that is on its way, polled with its span as the current one.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, Response};
use http_body::Body;
use pin_project_lite::pin_project;

use super::TracedBody;
use crate::middleware::in_flight::InFlight;
use crate::middleware::{ServerTracing, SpanEnd};
use crate::propagation::HeaderSetter;

pin_project! {
    /// The future of a traced service. Dropping it before it is ready marks the span as cancelled.
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
    /// let future: tracewell::middleware::tower::ResponseFuture<_> = service.call(request);
    /// assert_eq!(future.await.unwrap().status(), 200);
    /// # });
    /// ```
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        in_flight: Option<InFlight>,
        end: SpanEnd,
        settings: Option<Arc<ServerTracing>>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) const fn untraced(inner: F) -> Self {
        Self { inner, in_flight: None, end: SpanEnd::Head, settings: None }
    }

    pub(super) const fn traced(
        inner: F,
        in_flight: InFlight,
        end: SpanEnd,
        settings: Option<Arc<ServerTracing>>,
    ) -> Self {
        Self { inner, in_flight: Some(in_flight), end, settings }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: fmt::Display,
{
    type Output = Result<Response<TracedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(in_flight) = this.in_flight else {
            return this.inner.poll(context).map_ok(|response| response.map(TracedBody::untraced));
        };
        let result = ready!(in_flight.scope(|| this.inner.poll(context)));
        let Some(mut in_flight) = this.in_flight.take() else { return Poll::Pending };
        let mut response = match result {
            Ok(response) => response,
            Err(error) => {
                in_flight.failed(&error);
                return Poll::Ready(Err(error));
            }
        };
        if let Some(settings) = this.settings {
            settings.write_response_headers(in_flight.span.context(), &mut OnlyAbsent(response.headers_mut()));
        }
        let is_status_to_come = in_flight.response(response.status().as_u16(), response.headers());
        let waits = is_status_to_come || *this.end == SpanEnd::Body && in_flight.span.is_recorded();
        Poll::Ready(Ok(
            response.map(|body| if waits { TracedBody::traced(body, in_flight) } else { TracedBody::untraced(body) })
        ))
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("is_traced", &self.in_flight.is_some()).finish_non_exhaustive()
    }
}

/// Leaves the headers alone that are there.
struct OnlyAbsent<'a>(&'a mut HeaderMap);

impl HeaderSetter for OnlyAbsent<'_> {
    fn set(&mut self, name: &str, value: &str) {
        if !self.0.contains_key(name) {
            self.0.set(name, value);
        }
    }
}
