//! A layer that does nothing: what axum and tower take for any layer that looks at responses and at their bodies.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

#[derive(Clone)]
pub(crate) struct EmptyLayer;

#[derive(Clone)]
pub(crate) struct EmptyService<S>(S);

impl<S> Layer<S> for EmptyLayer {
    type Service = EmptyService<S>;

    fn layer(&self, inner: S) -> EmptyService<S> {
        EmptyService(inner)
    }
}

impl<S, A, B> Service<Request<A>> for EmptyService<S>
where
    S: Service<Request<A>, Response = Response<B>>,
{
    type Response = Response<EmptyBody<B>>;
    type Error = S::Error;
    type Future = EmptyFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> EmptyFuture<S::Future> {
        EmptyFuture { inner: self.0.call(request) }
    }
}

pin_project! {
    pub(crate) struct EmptyFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F: Future<Output = Result<Response<B>, E>>, B, E> Future for EmptyFuture<F> {
    type Output = Result<Response<EmptyBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response = ready!(self.project().inner.poll(context));
        Poll::Ready(response.map(|response| response.map(|inner| EmptyBody { inner })))
    }
}

pin_project! {
    pub(crate) struct EmptyBody<B> {
        #[pin]
        inner: B,
    }
}

impl<B: Body> Body for EmptyBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().inner.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
