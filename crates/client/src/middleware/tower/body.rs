//! The body of a response, with the span that ends where the body does.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::Kind;
use crate::middleware::in_flight::InFlight;

pin_project! {
    /// A body as it was. If its span is still open, it ends with the last frame, with an error, or when the body is
    /// dropped: a server's is then marked as cancelled.
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
    /// let response = service.oneshot(request).await.unwrap();
    /// let body: tracewell::middleware::tower::TracedBody<_> = response.into_body();
    /// assert!(http_body::Body::is_end_stream(&body));
    /// # });
    /// ```
    pub struct TracedBody<B> where B: Body {
        #[pin]
        inner: B,
        in_flight: Option<Box<InFlight>>,
    }

    impl<B> PinnedDrop for TracedBody<B> where B: Body {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(mut in_flight) = this.in_flight.take() {
                // A server without a body to send is not asked for one; a client may stop reading when it has enough.
                let is_cancelled = in_flight.kind == Kind::Server && !this.inner.is_end_stream();
                in_flight.has_outcome = !is_cancelled;
            }
        }
    }
}

impl<B: Body> TracedBody<B> {
    pub(super) const fn untraced(inner: B) -> Self {
        Self { inner, in_flight: None }
    }

    pub(super) fn traced(inner: B, in_flight: InFlight) -> Self {
        Self { inner, in_flight: Some(Box::new(in_flight)) }
    }
}

impl<B> Body for TracedBody<B>
where
    B: Body,
    B::Error: fmt::Display,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(in_flight) = this.in_flight else { return this.inner.poll_frame(context) };
        let polled = in_flight.scope(|| this.inner.as_mut().poll_frame(context));
        let is_over = match &polled {
            Poll::Pending => false,
            Poll::Ready(None) => true,
            Poll::Ready(Some(Err(error))) => {
                in_flight.failed(error);
                true
            }
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    in_flight.trailers(trailers);
                }
                frame.is_trailers() || this.inner.is_end_stream()
            }
        };
        if is_over {
            in_flight.has_outcome = true;
            *this.in_flight = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: Body + Default> Default for TracedBody<B> {
    fn default() -> Self {
        Self::untraced(B::default())
    }
}

impl<B: Body> fmt::Debug for TracedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracedBody").field("is_traced", &self.in_flight.is_some()).finish_non_exhaustive()
    }
}
