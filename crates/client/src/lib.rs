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

mod clock;
mod random;
mod recorder;
mod reporter;
mod resource;
pub mod sampler;
mod settings;
mod span;
mod throttler;
mod tracer;

pub use clock::{Clock, MonotonicClock};
pub use recorder::{LocalSpan, REPORT_SPANS_MAX, SPAN_BYTES_MAX, SpanEntry, SpanRecord, SpanRecords, TracerStats};
pub use reporter::{InMemoryReporter, ReportError, Reporter};
pub use resource::Resource;
pub use span::{Span, TagValue};
pub use throttler::{CreditsError, DebugThrottler};
pub use tracer::{Tracer, TracerBuilder};
pub use tracewell_model::{Kind, OwnedEndpoint, SpanId, TraceId, Value, ValueRef};
pub use tracewell_wire::propagation;
