//! Record spans in a service.
//!
//! ```
//! use tracewell::sampler::ConstSampler;
//! use tracewell::{InMemoryReporter, Tracer};
//!
//! let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(InMemoryReporter::default());
//! let mut span = tracer.new_trace("GET /cart");
//! span.tag("http.path", "/cart");
//! span.finish();
//! ```
//!
//! # How it works
//!
//! - **Contexts are explicit.** A [`Span`] has a [`propagation::TraceContext`] that callees are given; nothing is
//!   current behind your back. [`propagation::Propagation`] reads and writes it in headers.
//! - **Whether to record is decided before anything is written**, once a trace, by a [`sampler::Sampler`]. A span that
//!   is not recorded is its context alone.
//! - **A recorded span writes its entries into a buffer** of its thread's pool: final bytes, no tree of objects. Where
//!   it ends, a head of fixed size and those bytes go into that thread's ring, which one thread a tracer empties into a
//!   [`Reporter`]. In the steady state nothing is allocated and no lock is taken: the ring is words with a position at
//!   each end. A ring that is full drops the newest span and counts it; nothing waits.
//! - **Time** is read from the processor's time stamp counter where there is one.
//! - **The tracer's thread starts with the first span that ends**, so a process may fork before that.
//!
//! # Features
//!
//! | feature | |
//! |---|---|
//! | `macros` (default) | the attribute [`trace`] |
//! | `zipkin` (default) | spans to Zipkin; [`config`]`::ZipkinConfig` |
//! | `jaeger`, `yaml` | spans to Jaeger, samplers and throttlers that it leads; `JaegerConfig`, also from YAML |
//! | `otlp`, `otlp-grpc` | spans as OTLP; `OtelConfig` |
//! | `tls`, `otlp-grpc-tls` | reporters that speak HTTPS; OTLP over gRPC and TLS, too |
//! | `tower`, `axum`, `reqwest`, `actix`, `sqlx` | spans of requests and queries: `middleware` |
//! | `tracing` | spans and events of the crate `tracing` |
//! | `http` | trace contexts in `http::HeaderMap` |
//! | `log`, `metrics` | what the library has to say, to these crates |

#[cfg(feature = "macros")]
#[doc(hidden)]
#[path = "trace_macro.rs"]
pub mod __private;
mod clock;
#[cfg(any(feature = "zipkin", feature = "jaeger", feature = "otlp", feature = "otlp-grpc"))]
pub mod config;
mod current;
mod in_span;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(any(feature = "tower", feature = "reqwest", feature = "actix", feature = "sqlx"))]
pub mod middleware;
#[cfg(feature = "jaeger")]
mod poll;
mod random;
mod recorder;
mod reporter;
mod resource;
pub mod sampler;
mod settings;
mod span;
mod span_builder;
mod throttler;
mod tracer;
mod tracer_builder;
#[cfg(feature = "tracing")]
mod tracing_layer;

pub use clock::{Clock, MonotonicClock};
pub use current::{CurrentSpan, Entered, EnteredSpan, current, in_current};
pub use in_span::{InSpan, InSpanExt, WithSpan};
#[cfg(feature = "jaeger")]
pub use poll::PollCounters;
pub use recorder::{
    Finish, LocalSpan, REPORT_SPANS_MAX, SPAN_BYTES_MAX, SpanEntry, SpanRecord, SpanRecords, TracerStats,
    spans_without_tracer,
};
#[cfg(feature = "_http")]
pub use reporter::{AddressError, HeaderError, HttpOptions};
#[cfg(feature = "_delivery")]
pub use reporter::{BatchOptions, SendProblem};
pub use reporter::{
    CompositeReporter, Done, FnReporter, InMemoryReporter, LoggingReporter, NullReporter, ReportError, Reporter,
    ReporterCounters, ReporterStats,
};
#[cfg(feature = "otlp-grpc")]
pub use reporter::{GrpcAddressError, OtlpGrpcReporter, OtlpGrpcReporterBuilder};
#[cfg(feature = "jaeger")]
pub use reporter::{JaegerAgentReporter, JaegerCollectorReporter, JaegerCollectorReporterBuilder};
#[cfg(feature = "otlp")]
pub use reporter::{OtlpHttpReporter, OtlpHttpReporterBuilder};
#[cfg(any(all(feature = "tls", feature = "_http"), feature = "otlp-grpc-tls"))]
pub use reporter::{TlsError, TlsOptions};
#[cfg(feature = "zipkin")]
pub use reporter::{ZipkinEncoding, ZipkinReporter, ZipkinReporterBuilder};
pub use resource::Resource;
pub use span::{Span, SpanHandle, TagValue};
pub use span_builder::SpanBuilder;
pub use throttler::{CreditsError, DebugThrottler};
pub use tracer::{TraceIds, Tracer};
pub use tracer_builder::TracerBuilder;
/// A span for each call of a function: a child of the current span, and nothing where there is none. It is current while
/// the function runs, and ends with it, across `.await` and wherever the task runs.
///
/// | in the brackets | |
/// |---|---|
/// | `name = "…"` | the span's name, any expression that is a `&str`; the function's own if not said |
/// | `kind = Client` | its [`Kind`] |
/// | `tags(user, key = value, "http.path" = path)` | arguments and expressions as tags, evaluated only where the span is recorded |
/// | `err` | an `Err` that is returned makes the span one that failed, with the error's text |
///
/// ```
/// use tracewell::trace;
/// # let reporter = tracewell::InMemoryReporter::default();
/// # let sampler = tracewell::sampler::ConstSampler::new(true);
/// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
/// #[trace(name = "parse amount", err, tags(text, "text.len" = text.len()))]
/// fn parse(text: &str) -> Result<u32, std::num::ParseIntError> {
///     let amount: u32 = text.parse()?;
///     Ok(amount * 100)
/// }
///
/// #[trace(kind = Client)]
/// async fn charge(user: u32) -> u32 {
///     tracewell::current().tag("user", user);
///     1
/// }
///
/// let mut request = tracer.new_trace("POST /charge");
/// assert!(request.in_scope(|| parse("x")).is_err());
/// # drop(request);
/// # tracer.flush();
/// # assert_eq!(reporter.spans()[0].tags[1].0, "text.len");
/// # assert_eq!(reporter.spans()[0].tags[2].0, "error");
/// ```
///
/// On a method below `#[async_trait]` it covers the future. `const fn` is refused.
#[cfg(feature = "macros")]
pub use tracewell_macros::trace;
pub use tracewell_model::{Kind, OwnedEndpoint, SpanId, StatusCode, TraceId, Value, ValueRef};
pub use tracewell_wire::propagation;
#[cfg(feature = "tracing")]
pub use tracing_layer::{TracingLayer, TracingSpanExt, tracing_layer};

/// The code of the guide, compiled and run.
#[cfg(all(
    doctest,
    feature = "axum",
    feature = "jaeger",
    feature = "otlp",
    feature = "reqwest",
    feature = "yaml",
    feature = "zipkin"
))]
#[doc = include_str!("../../../docs/guide.md")]
mod guide {}

/// The code of the page that one sees first.
#[cfg(all(doctest, feature = "zipkin"))]
#[doc = include_str!("../../../README.md")]
mod readme {}
