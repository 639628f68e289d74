//! Which traces are recorded: decided once a trace, on its id and its first operation.
//!
//! The samplers are Jaeger's: constant, by probability, by rate, by probability with a guaranteed rate, by operation,
//! and told by a server. All decide without a lock and without allocating; those that change (a rate's credits, an
//! operation's probability) do so by atomic operations.

mod any;
mod constant;
mod guaranteed_throughput;
mod per_operation;
#[cfg(feature = "jaeger")]
mod polling;
mod probabilistic;
mod rate_limiting;
mod remote;
mod strategy;
mod tags;

use std::fmt;
use std::sync::Arc;

use tracewell_model::TraceId;

pub use any::{AnySampler, SamplerConfigError};
pub use constant::ConstSampler;
pub use guaranteed_throughput::GuaranteedThroughputSampler;
pub use per_operation::{OPERATIONS_MAX, PerOperationSampler};
#[cfg(feature = "jaeger")]
pub use polling::PollingSampler;
pub use probabilistic::ProbabilisticSampler;
pub use rate_limiting::RateLimitingSampler;
pub use remote::{RemoteSampler, RemoteUpdate};
pub use strategy::{OperationStrategies, STRATEGY_BYTES_MAX, Strategy, StrategyError, StrategyForm};
pub use tags::{SamplerParam, SamplerTags, SamplerType};

/// The share of traces recorded when nothing else was said (Jaeger's default).
///
/// ```
/// use tracewell::sampler::{DEFAULT_SAMPLING_RATE, OperationStrategies};
/// assert_eq!(OperationStrategies::default().default_rate, DEFAULT_SAMPLING_RATE);
/// ```
pub const DEFAULT_SAMPLING_RATE: f64 = 0.001;
/// Traces a second of each operation recorded at least: one in ten minutes (Jaeger's default).
///
/// ```
/// use tracewell::sampler::{DEFAULT_LOWER_BOUND, OperationStrategies};
/// assert_eq!(OperationStrategies::default().lower_bound, DEFAULT_LOWER_BOUND);
/// ```
pub const DEFAULT_LOWER_BOUND: f64 = 1.0 / (10.0 * 60.0);

/// Decides whether a new trace is recorded. Asked for roots only: what comes with a decision keeps it.
///
/// ```
/// use tracewell::sampler::{Decision, ProbabilisticSampler, Sampler};
/// use tracewell::TraceId;
///
/// /// Records what a health check does not cause.
/// struct Interesting(ProbabilisticSampler);
/// impl Sampler for Interesting {
///     fn sample(&self, trace_id: TraceId, operation: &str) -> Decision {
///         let decision = self.0.sample(trace_id, operation);
///         Decision { sampled: decision.sampled && operation != "GET /health", ..decision }
///     }
/// }
/// let sampler = Interesting(ProbabilisticSampler::new(1.0)?);
/// assert!(sampler.sample(TraceId::new(1), "GET /").sampled);
/// assert!(!sampler.sample(TraceId::new(1), "GET /health").sampled);
/// # Ok::<(), tracewell::sampler::SamplerError>(())
/// ```
pub trait Sampler: Send + Sync {
    /// The decision for a trace that begins with this operation.
    ///
    /// ```
    /// use tracewell::TraceId;
    /// use tracewell::sampler::{ProbabilisticSampler, Sampler};
    /// let half = ProbabilisticSampler::new(0.5)?;
    /// assert!(half.sample(TraceId::new(1), "GET /").sampled);
    /// assert!(!half.sample(TraceId::new(u128::MAX), "GET /").sampled);
    /// # Ok::<(), tracewell::sampler::SamplerError>(())
    /// ```
    fn sample(&self, trace_id: TraceId, operation: &str) -> Decision;

    /// The tracer is closed: what runs by itself should end.
    ///
    /// ```
    /// use tracewell::sampler::{ConstSampler, Decision, Sampler};
    /// /// Asks somebody, on a thread of its own.
    /// struct Asking(std::sync::mpsc::SyncSender<()>);
    /// impl Sampler for Asking {
    ///     # fn sample(&self, id: tracewell::TraceId, name: &str) -> Decision { ConstSampler::new(true).sample(id, name) }
    ///     fn close(&self) {
    ///         self.0.try_send(()).ok();
    ///     }
    /// }
    /// ```
    fn close(&self) {}

    /// How a server is asked, if one is.
    ///
    /// ```
    /// use tracewell::sampler::{ConstSampler, PollingSampler, Sampler};
    /// assert!(ConstSampler::new(true).poll_counters().is_none());
    /// assert!(PollingSampler::new("http://localhost:5778", "shop")?.poll_counters().is_some());
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    #[cfg(feature = "jaeger")]
    fn poll_counters(&self) -> Option<crate::PollCounters> {
        None
    }
}

/// What a sampler decided, and the tags that say why.
///
/// ```
/// use tracewell::TraceId;
/// use tracewell::sampler::{ConstSampler, Sampler, SamplerType};
/// let decision = ConstSampler::new(true).sample(TraceId::new(1), "GET /");
/// assert!(decision.sampled);
/// assert_eq!(decision.tags.sampler_type, SamplerType::Const);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// Whether the trace is recorded.
    pub sampled: bool,
    /// `sampler.type` and `sampler.param` for the root span of a recorded trace.
    pub tags: SamplerTags,
}

/// Why a sampler could not be made.
///
/// ```
/// use tracewell::sampler::ProbabilisticSampler;
/// let error = ProbabilisticSampler::new(50.0).unwrap_err();
/// assert_eq!(error.to_string(), "sampling rate is 50: it must be between 0.0 and 1.0");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplerError {
    /// A probability is not one.
    #[error("sampling rate is {rate}: it must be between 0.0 and 1.0")]
    Rate {
        /// What was given.
        rate: f64,
    },
    /// A rate limit is below zero, infinite or not a number.
    #[error("traces per second are {traces_per_second}: they must be finite and not negative")]
    TracesPerSecond {
        /// What was given.
        traces_per_second: f64,
    },
}

impl<T: Sampler + ?Sized> Sampler for Arc<T> {
    fn sample(&self, trace_id: TraceId, operation: &str) -> Decision {
        (**self).sample(trace_id, operation)
    }

    fn close(&self) {
        (**self).close();
    }

    #[cfg(feature = "jaeger")]
    fn poll_counters(&self) -> Option<crate::PollCounters> {
        (**self).poll_counters()
    }
}

impl<T: Sampler + ?Sized> Sampler for Box<T> {
    fn sample(&self, trace_id: TraceId, operation: &str) -> Decision {
        (**self).sample(trace_id, operation)
    }

    fn close(&self) {
        (**self).close();
    }

    #[cfg(feature = "jaeger")]
    fn poll_counters(&self) -> Option<crate::PollCounters> {
        (**self).poll_counters()
    }
}

impl fmt::Debug for dyn Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sampler")
    }
}
