//! Contexts of `tracing`'s spans: what came with a request, and what is to travel to a callee.

use super::TracingLayer;
use crate::propagation::TraceContext;
use crate::recorder::Open;

/// What [`TracingLayer`] adds to `tracing::Span`.
///
/// ```
/// use tracewell::TracingSpanExt;
/// use tracing_subscriber::layer::SubscriberExt;
/// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
/// let subscriber = tracing_subscriber::registry().with(tracewell::tracing_layer(tracer.clone()));
/// tracing::subscriber::with_default(subscriber, || {
///     let span = tracing::info_span!("request");
///     assert!(span.context().unwrap().has_ids());
/// });
/// assert!(tracing::Span::none().context().is_none());
/// ```
pub trait TracingSpanExt {
    /// Makes the span a child of the one that sent this context. To be done before the span is entered and has children.
    /// False: no [`TracingLayer`] records this span.
    ///
    /// ```
    /// use tracewell::TracingSpanExt;
    /// use tracewell::propagation::Propagation;
    /// use tracing_subscriber::layer::SubscriberExt;
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let tracer = tracewell::Tracer::builder("shop").build(reporter.clone());
    /// let headers = [("traceparent", "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01")];
    /// let came = tracer.extract(&Propagation::default(), &headers[..]).context;
    /// let subscriber = tracing_subscriber::registry().with(tracewell::tracing_layer(tracer.clone()));
    /// tracing::subscriber::with_default(subscriber, || {
    ///     let span = tracing::info_span!("request", http.method = "GET");
    ///     assert!(span.set_parent(&came));
    ///     assert_eq!(span.context().unwrap().trace_id(), came.trace_id());
    /// });
    /// tracer.flush();
    /// assert_eq!(reporter.spans()[0].tags[0].0, "http.method");
    /// ```
    fn set_parent(&self, parent: &TraceContext) -> bool;

    /// What is to travel to a callee; `None`: no [`TracingLayer`] records this span.
    ///
    /// ```
    /// use tracewell::TracingSpanExt;
    /// use tracewell::propagation::Propagation;
    /// use tracing_subscriber::layer::SubscriberExt;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let subscriber = tracing_subscriber::registry().with(tracewell::tracing_layer(tracer.clone()));
    /// tracing::subscriber::with_default(subscriber, || {
    ///     let mut headers = Vec::new();
    ///     let call = tracing::info_span!("call").context().unwrap();
    ///     Propagation::default().inject(&call, &mut headers);
    ///     assert_eq!(headers[0].0, "traceparent");
    /// });
    /// ```
    fn context(&self) -> Option<TraceContext>;

    /// Adds a link to another span, one of another service perhaps. False: no [`TracingLayer`] records this span.
    ///
    /// ```
    /// use tracewell::TracingSpanExt;
    /// use tracing_subscriber::layer::SubscriberExt;
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// let cause = tracer.new_trace("produce");
    /// let subscriber = tracing_subscriber::registry().with(tracewell::tracing_layer(tracer.clone()));
    /// tracing::subscriber::with_default(subscriber, || {
    ///     assert!(tracing::info_span!("consume").add_link(cause.context()));
    /// });
    /// tracer.flush();
    /// assert_eq!(reporter.spans()[0].links[0].trace_id, cause.context().trace_id());
    /// ```
    fn add_link(&self, cause: &TraceContext) -> bool;
}

impl TracingSpanExt for tracing::Span {
    fn set_parent(&self, parent: &TraceContext) -> bool {
        let name = self.metadata().map_or("", |metadata| metadata.name());
        let set = |layer: &TracingLayer, id: &_| {
            // Taken out meanwhile: a sampler may be its user's own.
            let Some(mut kept) = layer.table.remove(id) else { return false };
            let late = kept.late.take();
            layer.tracer.adopt(&mut kept.span, name, parent, || late.unwrap_or_else(|| Open::new(name)));
            layer.table.insert(id, kept);
            true
        };
        with_layer(self, set).unwrap_or(false)
    }

    fn context(&self) -> Option<TraceContext> {
        with_layer(self, |layer, id| layer.table.read(id, |kept| kept.span.context().clone())).flatten()
    }

    fn add_link(&self, cause: &TraceContext) -> bool {
        with_layer(self, |layer, id| layer.guest(id).map(|mut span| _ = span.follows_from(cause)).is_some())
            .unwrap_or(false)
    }
}

fn with_layer<R>(span: &tracing::Span, ask: impl FnOnce(&TracingLayer, &tracing::span::Id) -> R) -> Option<R> {
    span.with_subscriber(|(id, dispatch)| dispatch.downcast_ref::<TracingLayer>().map(|layer| ask(layer, id))).flatten()
}
