//! Where finished spans go: the trait, and the reporters that are there.

mod composite;
mod counters;
#[cfg(feature = "_delivery")]
mod delivery;
mod done;
mod function;
#[cfg(feature = "_http")]
mod http;
mod in_memory;
#[cfg(feature = "jaeger")]
mod jaeger_agent;
#[cfg(feature = "jaeger")]
mod jaeger_collector;
#[cfg(feature = "jaeger")]
mod jaeger_process;
mod logging;
#[cfg(feature = "otlp-grpc")]
mod otlp_grpc;
#[cfg(feature = "otlp")]
mod otlp_http;
#[cfg(any(feature = "otlp", feature = "otlp-grpc"))]
mod otlp_request;
#[cfg(any(all(feature = "tls", feature = "_http"), feature = "otlp-grpc-tls"))]
mod tls;
#[cfg(feature = "zipkin")]
mod zipkin;

use std::error::Error;
use std::time::Instant;

pub use composite::CompositeReporter;
pub use counters::{ReporterCounters, ReporterStats};
#[cfg(feature = "_delivery")]
pub use delivery::{BatchOptions, SendProblem};
pub(crate) use done::Completion;
pub use done::Done;
pub use function::{FnReporter, NullReporter};
#[cfg(feature = "_http")]
pub use http::{AddressError, HeaderError, HttpOptions};
#[cfg(feature = "jaeger")]
pub(crate) use http::{agent, http_address};
pub use in_memory::InMemoryReporter;
#[cfg(feature = "jaeger")]
pub use jaeger_agent::JaegerAgentReporter;
#[cfg(feature = "jaeger")]
pub use jaeger_collector::{JaegerCollectorReporter, JaegerCollectorReporterBuilder};
pub use logging::LoggingReporter;
#[cfg(feature = "otlp-grpc")]
pub use otlp_grpc::{GrpcAddressError, OtlpGrpcReporter, OtlpGrpcReporterBuilder};
#[cfg(feature = "otlp")]
pub use otlp_http::{OtlpHttpReporter, OtlpHttpReporterBuilder};
#[cfg(any(all(feature = "tls", feature = "_http"), feature = "otlp-grpc-tls"))]
pub use tls::{TlsError, TlsOptions};
#[cfg(feature = "zipkin")]
pub use zipkin::{ZipkinEncoding, ZipkinReporter, ZipkinReporterBuilder};

use crate::recorder::SpanRecords;
use crate::resource::Resource;

/// Takes finished spans, on the tracer's own thread.
///
/// One method is enough:
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
///
/// One that keeps spans back says so by [`Reporter::counters`], sends what is due in [`Reporter::poll`] and everything in
/// [`Reporter::flush`]:
///
/// ```
/// use std::time::{Duration, Instant};
/// use tracewell::sampler::ConstSampler;
/// use tracewell::{Done, ReportError, Reporter, ReporterCounters, Resource, SpanRecords, Tracer};
///
/// #[derive(Default)]
/// struct Durations {
///     micros: Vec<u64>,
///     due: Option<Instant>,
///     counters: ReporterCounters,
/// }
/// impl Durations {
///     fn send(&mut self) {
///         let spans = self.micros.len() as u64;
///         println!("{:?}", self.micros);
///         self.micros.clear();
///         self.due = None;
///         self.counters.settled(spans, 0);
///     }
/// }
/// impl Reporter for Durations {
///     fn report(&mut self, _: &Resource, spans: &SpanRecords<'_>) -> Result<(), ReportError> {
///         self.micros.extend(spans.iter().map(|span| span.duration().as_micros()));
///         self.counters.queued(spans.len() as u64);
///         self.due.get_or_insert_with(|| Instant::now() + Duration::from_secs(5));
///         Ok(())
///     }
///
///     fn poll(&mut self, now: Instant) -> Option<Instant> {
///         if self.due.is_some_and(|due| due <= now) {
///             self.send();
///         }
///         self.due
///     }
///
///     fn flush(&mut self, _: Done) {
///         self.send();
///     }
///
///     fn counters(&self) -> Option<ReporterCounters> {
///         Some(self.counters.clone())
///     }
/// }
/// let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(Durations::default());
/// tracer.new_trace("GET /").finish();
/// assert_eq!(tracer.close().reported, 1);
/// ```
pub trait Reporter: Send {
    /// Takes spans that `resource` recorded: at most [`crate::REPORT_SPANS_MAX`] at once. An error says that all of them are
    /// lost; the tracer counts them. What can be sent again is the reporter's own affair.
    ///
    /// ```
    /// use tracewell::{ReportError, Reporter, Resource, SpanRecords};
    /// struct Refuse;
    /// impl Reporter for Refuse {
    ///     fn report(&mut self, resource: &Resource, spans: &SpanRecords<'_>) -> Result<(), ReportError> {
    ///         Err(format!("{} spans of {} are not wanted", spans.len(), resource.endpoint.service).into())
    ///     }
    /// }
    /// ```
    fn report(&mut self, resource: &Resource, spans: &SpanRecords<'_>) -> Result<(), ReportError>;

    /// Does what is due at `now`, and says when something will be due again. Called after every round of reports, at the
    /// time it asked for, and from time to time.
    fn poll(&mut self, now: Instant) -> Option<Instant> {
        let _ = now;
        None
    }

    /// Everything held is to be sent now. `done` is dropped when it was: here, or later from wherever it is sent, since
    /// whoever waits for the flush waits for that. Should not wait for long itself.
    fn flush(&mut self, done: Done) {
        drop(done);
    }

    /// The last call, behind a [`Reporter::flush`] that is done or whose time is up: what is still held is lost.
    ///
    /// ```
    /// # use tracewell::{ReportError, Reporter, Resource, SpanRecords};
    /// struct Held(u64);
    /// impl Reporter for Held {
    ///     # fn report(&mut self, _: &Resource, _: &SpanRecords<'_>) -> Result<(), ReportError> { Ok(()) }
    ///     fn close(&mut self) {
    ///         println!("{} spans are lost", self.0);
    ///     }
    /// }
    /// ```
    fn close(&mut self) {}

    /// For a reporter that cannot say in [`Reporter::report`] yet what becomes of a span: where it counts. The tracer then
    /// counts no success itself, but errors of `report` still. Asked once, before the first span.
    fn counters(&self) -> Option<ReporterCounters> {
        None
    }
}

/// Why spans could not be reported.
///
/// ```
/// use tracewell::ReportError;
/// fn write(line: &str) -> Result<(), ReportError> {
///     if line.len() > 80 { Err("the line is too long".into()) } else { Ok(()) }
/// }
/// assert!(write("short").is_ok());
/// ```
pub type ReportError = Box<dyn Error + Send + Sync>;

impl<R: Reporter + ?Sized> Reporter for Box<R> {
    fn report(&mut self, resource: &Resource, spans: &SpanRecords<'_>) -> Result<(), ReportError> {
        (**self).report(resource, spans)
    }

    fn poll(&mut self, now: Instant) -> Option<Instant> {
        (**self).poll(now)
    }

    fn flush(&mut self, done: Done) {
        (**self).flush(done);
    }

    fn close(&mut self) {
        (**self).close();
    }

    fn counters(&self) -> Option<ReporterCounters> {
        (**self).counters()
    }
}
