//! The reporter that keeps spans, for tests.

use std::sync::{Arc, Mutex, PoisonError};

use tracewell_model::Span;

use super::{ReportError, Reporter};
use crate::recorder::SpanRecords;
use crate::resource::Resource;

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
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// tracer.new_trace("GET /").finish();
    /// tracer.flush();
    /// assert_eq!((reporter.spans().len(), reporter.spans().len()), (1, 1));
    /// ```
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The spans reported so far, which are then forgotten.
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// tracer.new_trace("GET /").finish();
    /// tracer.flush();
    /// assert_eq!((reporter.take_spans().len(), reporter.spans().len()), (1, 0));
    /// ```
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
