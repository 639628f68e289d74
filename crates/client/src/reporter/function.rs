//! Reporters that are a function, and the one that does nothing.

use std::fmt;

use super::{ReportError, Reporter};
use crate::recorder::SpanRecords;
use crate::resource::Resource;

/// Hands spans to a function: into a file, a queue, a firehose.
///
/// ```
/// use std::io::Write as _;
/// use tracewell::sampler::ConstSampler;
/// use tracewell::{FnReporter, Tracer};
///
/// let mut file = Vec::new();
/// let reporter = FnReporter::new(move |resource, spans| {
///     for span in spans.iter() {
///         writeln!(file, "{} {}", resource.endpoint.service, span.span_id())?;
///     }
///     Ok(())
/// });
/// let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(reporter);
/// tracer.new_trace("GET /").finish();
/// assert_eq!(tracer.close().reported, 1);
/// ```
pub struct FnReporter<F> {
    report: F,
}

impl<F: FnMut(&Resource, &SpanRecords<'_>) -> Result<(), ReportError> + Send> FnReporter<F> {
    /// An error says that the spans are lost; they are counted.
    ///
    /// ```
    /// use tracewell::{FnReporter, Tracer, sampler::ConstSampler};
    /// let reporter = FnReporter::new(|_, _| Err("the disk is full".into()));
    /// let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(reporter);
    /// tracer.new_trace("GET /").finish();
    /// assert_eq!(tracer.close().failed, 1);
    /// ```
    pub const fn new(report: F) -> Self {
        Self { report }
    }
}

impl<F: FnMut(&Resource, &SpanRecords<'_>) -> Result<(), ReportError> + Send> Reporter for FnReporter<F> {
    fn report(&mut self, resource: &Resource, spans: &SpanRecords<'_>) -> Result<(), ReportError> {
        (self.report)(resource, spans)
    }
}

impl<F> fmt::Debug for FnReporter<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FnReporter")
    }
}

/// Forgets every span; they count as reported.
///
/// ```
/// use tracewell::sampler::ConstSampler;
/// use tracewell::{NullReporter, Tracer};
/// let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(NullReporter);
/// tracer.new_trace("GET /").finish();
/// assert_eq!(tracer.close().reported, 1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NullReporter;

impl Reporter for NullReporter {
    fn report(&mut self, _: &Resource, _: &SpanRecords<'_>) -> Result<(), ReportError> {
        Ok(())
    }
}
