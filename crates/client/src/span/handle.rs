//! A span as others see it who may write to it, but do not end it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use tracewell_model::{Kind, OwnedEndpoint};

use super::error::Failure;
use super::recording::{Recording, SharedOpen};
use super::{Span, TagValue, child};
use crate::current::EnteredSpan;
use crate::propagation::TraceContext;

/// Writes to a span that somebody else ends. Cheap to clone, and may go to other threads. From [`Span::handle`] or
/// [`crate::CurrentSpan::handle`].
///
/// What is written after the span has ended is lost. Its context is the span's when the handle was made: baggage set
/// later on the span itself is not seen here.
///
/// ```
/// # let reporter = tracewell::InMemoryReporter::default();
/// # let sampler = tracewell::sampler::ConstSampler::new(true);
/// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
/// let mut request = tracer.new_trace("GET /cart");
/// let handle = request.handle();
/// let worker = std::thread::spawn(move || {
///     handle.tag("rows", 3);
///     handle.new_child("query").finish();
/// });
/// worker.join().unwrap();
/// request.finish();
/// # tracer.flush();
/// # assert_eq!(reporter.spans().len(), 2);
/// ```
#[derive(Clone)]
pub struct SpanHandle {
    context: TraceContext,
    tracer: u64,
    place: Option<Arc<SharedOpen>>,
}

impl SpanHandle {
    pub(super) const fn new(context: TraceContext, tracer: u64, place: Option<Arc<SharedOpen>>) -> Self {
        Self { context, tracer, place }
    }

    /// What is to travel to a callee.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let mut request = tracer.new_trace("GET /cart");
    /// let handle = request.handle();
    /// assert_eq!(handle.context().span_id(), request.context().span_id());
    /// ```
    pub const fn context(&self) -> &TraceContext {
        &self.context
    }

    /// Whether the span is recorded; also when it has ended.
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// let handle = tracer.new_trace("GET /cart").handle();
    /// assert!(handle.is_recorded());
    /// ```
    pub const fn is_recorded(&self) -> bool {
        self.place.is_some()
    }

    /// A span under it, also when it has ended.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let handle = tracer.new_trace("GET /cart").handle();
    /// assert_eq!(handle.new_child("query").context().parent_id(), handle.context().span_id());
    /// ```
    pub fn new_child(&self, name: &str) -> Span {
        child(self.tracer, &self.context, name, self.is_recorded())
    }

    /// See [`Span::name`].
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// let mut request = tracer.new_trace("GET /cart");
    /// let handle = request.handle();
    /// handle.name("GET /cart/{id}");
    /// request.finish();
    /// tracer.flush();
    /// let span = &reporter.spans()[0];
    /// assert_eq!(span.name, "GET /cart/{id}");
    /// ```
    pub fn name(&self, name: &str) -> &Self {
        self.write(|span| span.name(name))
    }

    /// See [`Span::kind`].
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// let mut request = tracer.new_trace("GET /cart");
    /// let handle = request.handle();
    /// handle.kind(tracewell::Kind::Server);
    /// request.finish();
    /// tracer.flush();
    /// let span = &reporter.spans()[0];
    /// assert_eq!(span.kind, tracewell::Kind::Server);
    /// ```
    pub fn kind(&self, kind: Kind) -> &Self {
        self.write(|span| span.kind(kind))
    }

    /// See [`Span::tag`]. Here `sampling.priority` holds for the span itself, not for its children.
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// let mut request = tracer.new_trace("GET /cart");
    /// let handle = request.handle();
    /// handle.tag("rows", 3).tag("cached", false);
    /// request.finish();
    /// tracer.flush();
    /// let span = &reporter.spans()[0];
    /// assert_eq!(span.tags.last().unwrap().0, "cached");
    /// ```
    pub fn tag<'v>(&self, key: &str, value: impl Into<TagValue<'v>>) -> &Self {
        let value = value.into();
        self.write(|span| span.tag(key, value))
    }

    /// See [`Span::annotate`].
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// let mut request = tracer.new_trace("GET /cart");
    /// let handle = request.handle();
    /// handle.annotate("cache miss");
    /// request.finish();
    /// tracer.flush();
    /// let span = &reporter.spans()[0];
    /// assert_eq!(span.annotations[0].value, "cache miss");
    /// ```
    pub fn annotate(&self, value: &str) -> &Self {
        self.write(|span| span.annotate(value))
    }

    /// See [`Span::log`].
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// let mut request = tracer.new_trace("GET /cart");
    /// let handle = request.handle();
    /// handle.log(&[("event", "retry".into()), ("attempt", 2.into())]);
    /// request.finish();
    /// tracer.flush();
    /// let span = &reporter.spans()[0];
    /// assert_eq!(span.annotations.len(), 1);
    /// ```
    pub fn log(&self, fields: &[(&str, TagValue<'_>)]) -> &Self {
        self.write(|span| span.log(fields))
    }

    /// See [`Span::remote_endpoint`].
    ///
    /// ```
    /// use tracewell::OwnedEndpoint;
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// let mut request = tracer.new_trace("GET /cart");
    /// let handle = request.handle();
    /// handle.remote_endpoint(&OwnedEndpoint { service: "db".into(), ..OwnedEndpoint::default() });
    /// request.finish();
    /// tracer.flush();
    /// let span = &reporter.spans()[0];
    /// assert_eq!(span.remote.as_ref().unwrap().service, "db");
    /// ```
    pub fn remote_endpoint(&self, endpoint: &OwnedEndpoint) -> &Self {
        self.write(|span| span.remote_endpoint(endpoint))
    }

    /// See [`Span::error`].
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// let mut request = tracer.new_trace("GET /cart");
    /// let handle = request.handle();
    /// if let Err(error) = "x".parse::<u32>() {
    ///     handle.error(&error);
    /// }
    /// request.finish();
    /// tracer.flush();
    /// let span = &reporter.spans()[0];
    /// assert_eq!(span.tags.last().unwrap().0, "error");
    /// ```
    pub fn error(&self, error: &(dyn Error + 'static)) -> &Self {
        if self.is_recorded()
            && let Some(failure) = Failure::of(self.tracer, error)
        {
            self.write(|span| span.fail(&failure));
        }
        self
    }

    /// See [`Span::error_message`].
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// let mut request = tracer.new_trace("GET /cart");
    /// let handle = request.handle();
    /// handle.error_message("no credit");
    /// request.finish();
    /// tracer.flush();
    /// let span = &reporter.spans()[0];
    /// assert_eq!(span.tags.last().unwrap().0, "error");
    /// ```
    pub fn error_message(&self, message: &str) -> &Self {
        self.write(|span| span.error_message(message))
    }

    /// Makes the span current until the guard is dropped; see [`Span::entered`].
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// let mut request = tracer.new_trace("GET /cart");
    /// let handle = request.handle();
    /// {
    ///     let _current = handle.clone().entered();
    ///     tracewell::current().tag("rows", 3);
    /// } // The span goes on.
    /// request.finish();
    /// tracer.flush();
    /// let span = &reporter.spans()[0];
    /// assert_eq!(span.tags.last().unwrap().0, "rows");
    /// ```
    pub fn entered(self) -> EnteredSpan {
        Span::from(self).entered()
    }

    fn write(&self, write: impl FnOnce(&mut Span) -> &mut Span) -> &Self {
        if self.is_recorded() {
            write(&mut Span::from(self.clone()));
        }
        self
    }
}

/// The same span, as what [`crate::InSpanExt::in_span`] and [`Span::enter`] take. Finishing or dropping it does not end the
/// span.
impl From<SpanHandle> for Span {
    fn from(handle: SpanHandle) -> Self {
        let SpanHandle { context, tracer, place } = handle;
        let recording = Recording::guest(place);
        Self { context, tracer, recording }
    }
}

impl fmt::Debug for SpanHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanHandle").field("context", &self.context).field("recorded", &self.is_recorded()).finish()
    }
}
