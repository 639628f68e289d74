//! Where finished spans go: the trait, and the reporter that keeps them for tests.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use tracewell_model::Span;

use crate::recorder::SpanRecords;
use crate::resource::Resource;

/// Takes finished spans, on the tracer's own thread.
///
/// ```
/// use tracewell::sampler::ConstSampler;
/// use tracewell::{ReportError, Reporter, Resource, SpanRecords, Tracer};
///
/// struct Print;
/// impl Reporter for Print {
///     fn report(&mut self, _: &Resource, spans: &SpanRecords<'_>) -> Result<(), ReportError> {
///         for span in spans.iter() {
///             println!("{} took {} µs", span.span_id(), span.duration().as_micros());
///         }
///         Ok(())
///     }
/// }
/// let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(Print);
/// tracer.new_trace("GET /").finish();
/// assert_eq!(tracer.close().reported, 1);
/// ```
pub trait Reporter: Send {
    /// Takes spans that `resource` recorded: at most [`crate::REPORT_SPANS_MAX`] at once. An error says that they are
    /// lost; the tracer counts them. What can be sent again is the reporter's own affair.
    fn report(&mut self, resource: &Resource, spans: &SpanRecords<'_>) -> Result<(), ReportError>;

    /// The last call: what is still held should be sent.
    fn close(&mut self) {}
}

/// Why spans could not be reported.
pub type ReportError = Box<dyn Error + Send + Sync>;

impl<R: Reporter + ?Sized> Reporter for Box<R> {
    fn report(&mut self, resource: &Resource, spans: &SpanRecords<'_>) -> Result<(), ReportError> {
        (**self).report(resource, spans)
    }

    fn close(&mut self) {
        (**self).close();
    }
}

/// Keeps spans, for tests. A clone sees the same spans.
///
/// ```
/// use tracewell::sampler::ConstSampler;
/// use tracewell::{InMemoryReporter, Tracer};
///
/// let reporter = InMemoryReporter::default();
/// let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(reporter.clone());
/// tracer.new_trace("GET /").tag("http.path", "/").finish();
/// tracer.flush();
/// assert_eq!(reporter.spans()[0].name, "GET /");
/// ```
#[derive(Debug, Clone, Default)]
pub struct InMemoryReporter {
    spans: Arc<Mutex<Vec<Span>>>,
}

impl InMemoryReporter {
    /// The spans reported so far, in the order each thread finished them. [`crate::Tracer::flush`] comes first.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The spans reported so far, which are then forgotten.
    pub fn take_spans(&self) -> Vec<Span> {
        std::mem::take(&mut self.spans.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Reporter for InMemoryReporter {
    fn report(&mut self, resource: &Resource, spans: &SpanRecords<'_>) -> Result<(), ReportError> {
        let mut kept = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(spans.iter().map(|span| span.to_span(&resource.endpoint)));
        Ok(())
    }
}
