//! Futures that have a span: it is current whenever they are polled, on whichever thread.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::current::{self, Ticket, current};
use crate::span::Span;

/// Gives futures a span. In scope by `use tracewell::InSpanExt`.
///
/// ```
/// use tracewell::{InMemoryReporter, InSpanExt, Tracer, sampler::ConstSampler};
/// let reporter = InMemoryReporter::default();
/// let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(reporter.clone());
/// let work = async { tracewell::current().tag("rows", 1).is_recorded() }.in_span(tracer.new_trace("work"));
/// # tokio::runtime::Builder::new_current_thread().build().map(|runtime| assert!(runtime.block_on(work))).unwrap();
/// ```
pub trait InSpanExt: Future + Sized {
    /// The span is current while this future runs, and ends when it is ready (or dropped).
    ///
    /// ```
    /// use tracewell::InSpanExt;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// async fn cart(user: u32) -> usize {
    ///     tracewell::current().tag("user", user);
    ///     3
    /// }
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # runtime.block_on(async {
    /// let items = cart(7).in_span(tracer.new_trace("GET /cart")).await;
    /// # });
    /// ```
    ///
    /// Of a [`crate::SpanHandle`], the span stays open: somebody else ends it.
    fn in_span(self, span: impl Into<Span>) -> InSpan<Self> {
        InSpan::new(self, Some(span.into()))
    }

    /// What is current here is current in the future, too, when it is handed to somebody else to run: `spawn`.
    ///
    /// ```
    /// use tracewell::InSpanExt;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # runtime.block_on(async {
    /// let handler = async {
    ///     let work = async { tracewell::current().tag("from", "another task").is_none() };
    ///     let is_none = tokio::spawn(work.in_current_span()).await.unwrap();
    ///     assert!(!is_none);
    /// };
    /// handler.in_span(tracer.new_trace("GET /cart")).await;
    /// # });
    /// ```
    fn in_current_span(self) -> InSpan<Self> {
        InSpan::new(self, current().handle().map(Span::from))
    }

    /// As [`InSpanExt::in_span`], but the span comes back with what the future is ready with, still open.
    ///
    /// ```
    /// use tracewell::InSpanExt;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # runtime.block_on(async {
    /// let (status, mut span) = async { 200 }.with_span(tracer.new_trace("GET /cart")).await;
    /// span.tag("http.status_code", status);
    /// # });
    /// ```
    fn with_span(self, span: impl Into<Span>) -> WithSpan<Self> {
        WithSpan::new(self, Some(span.into()))
    }
}

impl<F: Future> InSpanExt for F {}

pin_project! {
    /// See [`InSpanExt::in_span`].
    ///
    /// ```
    /// use tracewell::{InSpan, InSpanExt};
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let future: InSpan<_> = async { 3 }.in_span(tracer.new_trace("count"));
    /// # assert_eq!(tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future), 3);
    /// ```
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct InSpan<F> {
        // `None` once it was dropped.
        #[pin]
        inner: Option<F>,
        // `None` once it has ended, or where nothing was current.
        span: Option<Span>,
    }

    impl<F> PinnedDrop for InSpan<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // What the future holds is dropped under its span: of a cancelled request, this is where it ends.
            let _current = Current::of(this.span);
            this.inner.set(None);
        }
    }
}

pin_project! {
    /// See [`InSpanExt::with_span`].
    ///
    /// ```
    /// use tracewell::{InSpanExt, WithSpan};
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let future: WithSpan<_> = async { 3 }.with_span(tracer.new_trace("count"));
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # runtime.block_on(async {
    /// let (items, mut span) = future.await;
    /// span.tag("items", items).finish();
    /// # });
    /// ```
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct WithSpan<F> {
        #[pin]
        inner: InSpan<F>,
    }
}

impl<F> InSpan<F> {
    pub(crate) const fn new(future: F, span: Option<Span>) -> Self {
        Self { inner: Some(future), span }
    }

    /// The span, except while the future runs, and once it has ended.
    ///
    /// ```
    /// use tracewell::InSpanExt;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let mut future = std::pin::pin!(async { 3 }.in_span(tracer.new_trace("count")));
    /// future.as_mut().span_mut().unwrap().tag("queue", "orders");
    /// ```
    pub fn span_mut(self: Pin<&mut Self>) -> Option<&mut Span> {
        self.project().span.as_mut()
    }
}

impl<F> WithSpan<F> {
    pub(crate) const fn new(future: F, span: Option<Span>) -> Self {
        Self { inner: InSpan::new(future, span) }
    }

    /// The span, except while the future runs, and once it was given back.
    ///
    /// ```
    /// use tracewell::InSpanExt;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let mut future = std::pin::pin!(async { 3 }.with_span(tracer.new_trace("count")));
    /// future.as_mut().span_mut().unwrap().tag("queue", "orders");
    /// ```
    pub fn span_mut(self: Pin<&mut Self>) -> Option<&mut Span> {
        self.project().inner.span_mut()
    }
}

impl<F: Future> InSpan<F> {
    fn poll_inner(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _current = Current::of(this.span);
        match this.inner.as_pin_mut() {
            Some(inner) => inner.poll(context),
            // Dropped futures are not polled.
            None => Poll::Pending,
        }
    }
}

impl<F: Future> Future for InSpan<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let output = ready!(self.as_mut().poll_inner(context));
        *self.project().span = None;
        Poll::Ready(output)
    }
}

impl<F: Future> Future for WithSpan<F> {
    type Output = (F::Output, Span);

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut inner = self.project().inner;
        let output = ready!(inner.as_mut().poll_inner(context));
        Poll::Ready((output, inner.project().span.take().unwrap_or_else(Span::none)))
    }
}

/// Has a span current, and puts it back where it was; also when what runs meanwhile panics.
struct Current<'a> {
    place: &'a mut Option<Span>,
    ticket: Option<Ticket>,
}

impl<'a> Current<'a> {
    fn of(place: &'a mut Option<Span>) -> Self {
        let ticket = current::push(place);
        Self { place, ticket }
    }
}

impl Drop for Current<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            *self.place = current::remove(ticket);
        }
    }
}
