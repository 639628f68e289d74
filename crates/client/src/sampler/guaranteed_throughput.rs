//! A share of all traces, and so many a second at least: what keeps rare operations from never being seen.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracewell_model::TraceId;

use super::probabilistic::{boundary, checked_rate};
use super::rate_limiting::checked_traces_per_second;
use super::{Decision, RateLimitingSampler, Sampler, SamplerError, SamplerTags, SamplerType};
use crate::clock::{Clock, MonotonicClock};

/// Records by probability; what that leaves out is recorded as long as fewer than `lower_bound` traces a second were.
///
/// ```
/// use tracewell::TraceId;
/// use tracewell::sampler::{GuaranteedThroughputSampler, Sampler};
/// let sampler = GuaranteedThroughputSampler::new(1.0 / 600.0, 0.5)?;
/// assert!(sampler.sample(TraceId::new(1), "any").sampled);
/// # Ok::<(), tracewell::sampler::SamplerError>(())
/// ```
pub struct GuaranteedThroughputSampler {
    /// The probability, the bits of an `f64`.
    rate: AtomicU64,
    lower_bound: RateLimitingSampler,
}

impl GuaranteedThroughputSampler {
    /// Traces a second at least, and a share of all between 0.0 and 1.0.
    ///
    /// ```
    /// use tracewell::sampler::GuaranteedThroughputSampler;
    /// let sampler = GuaranteedThroughputSampler::new(2.0, 0.1)?;
    /// assert_eq!(sampler.to_string(), "GuaranteedThroughputSampler(0.1, 2)");
    /// # Ok::<(), tracewell::sampler::SamplerError>(())
    /// ```
    pub fn new(lower_bound: f64, rate: f64) -> Result<Self, SamplerError> {
        Self::with_clock(lower_bound, rate, Arc::new(MonotonicClock), fastrand::f64())
    }

    /// By a clock of your own; see [`RateLimitingSampler::with_clock`].
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tracewell::sampler::{GuaranteedThroughputSampler, Sampler};
    /// use tracewell::{MonotonicClock, TraceId};
    /// let sampler = GuaranteedThroughputSampler::with_clock(1.0, 0.0, Arc::new(MonotonicClock), 1.0)?;
    /// assert!(sampler.sample(TraceId::new(1), "the first in this second").sampled);
    /// # Ok::<(), tracewell::sampler::SamplerError>(())
    /// ```
    pub fn with_clock(lower_bound: f64, rate: f64, clock: Arc<dyn Clock>, filled: f64) -> Result<Self, SamplerError> {
        let lower_bound = RateLimitingSampler::with_clock(lower_bound, clock, filled)?;
        Ok(Self { rate: AtomicU64::new(checked_rate(rate)?.to_bits()), lower_bound })
    }

    /// Another share and another guarantee, taking effect together or, where one is not possible, not at all. To be
    /// called by one thread at a time.
    ///
    /// ```
    /// use tracewell::sampler::GuaranteedThroughputSampler;
    /// let sampler = GuaranteedThroughputSampler::new(1.0, 0.1)?;
    /// sampler.update(2.0, 0.5)?;
    /// assert!(sampler.update(2.0, 5.0).is_err());
    /// assert_eq!((sampler.rate(), sampler.lower_bound().traces_per_second()), (0.5, 2.0));
    /// # Ok::<(), tracewell::sampler::SamplerError>(())
    /// ```
    pub fn update(&self, lower_bound: f64, rate: f64) -> Result<(), SamplerError> {
        let rate = checked_rate(rate)?;
        checked_traces_per_second(lower_bound)?;
        self.rate.store(rate.to_bits(), Ordering::Release);
        self.lower_bound.update(lower_bound)?;
        Ok(())
    }

    /// The share.
    ///
    /// ```
    /// use tracewell::sampler::GuaranteedThroughputSampler;
    /// assert_eq!(GuaranteedThroughputSampler::new(1.0, 0.1)?.rate(), 0.1);
    /// # Ok::<(), tracewell::sampler::SamplerError>(())
    /// ```
    pub fn rate(&self) -> f64 {
        f64::from_bits(self.rate.load(Ordering::Acquire))
    }

    /// The sampler that holds the guarantee.
    ///
    /// ```
    /// use tracewell::sampler::GuaranteedThroughputSampler;
    /// assert_eq!(GuaranteedThroughputSampler::new(1.0, 0.1)?.lower_bound().traces_per_second(), 1.0);
    /// # Ok::<(), tracewell::sampler::SamplerError>(())
    /// ```
    pub const fn lower_bound(&self) -> &RateLimitingSampler {
        &self.lower_bound
    }
}

impl Sampler for GuaranteedThroughputSampler {
    fn sample(&self, trace_id: TraceId, _: &str) -> Decision {
        let rate = self.rate();
        let by_probability = u128::from(trace_id.low()) < boundary(rate);
        // What the probability takes counts towards the guarantee, too.
        let guaranteed = self.lower_bound.take_credit();
        let sampler_type = if by_probability { SamplerType::Probabilistic } else { SamplerType::LowerBound };
        Decision { sampled: by_probability || guaranteed, tags: SamplerTags::number(sampler_type, rate) }
    }
}

impl fmt::Display for GuaranteedThroughputSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuaranteedThroughputSampler({}, {})", self.rate(), self.lower_bound.traces_per_second())
    }
}

impl fmt::Debug for GuaranteedThroughputSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
