//! So many traces a second: a leaky bucket in one 128-bit word, changed by compare-and-swap.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use portable_atomic::AtomicU128;
use tracewell_model::TraceId;

use super::{Decision, Sampler, SamplerError, SamplerTags, SamplerType};
use crate::clock::{Clock, MonotonicClock};

/// Records at most so many traces a second, as they come: in bursts up to a second's worth, or one trace.
///
/// ```
/// use tracewell::TraceId;
/// use tracewell::sampler::{RateLimitingSampler, Sampler};
/// let sampler = RateLimitingSampler::new(2.0)?;
/// assert_eq!(sampler.sample(TraceId::new(1), "any").tags.sampler_type.name(), "ratelimiting");
/// # Ok::<(), tracewell::sampler::SamplerError>(())
/// ```
pub struct RateLimitingSampler {
    clock: Arc<dyn Clock>,
    /// Credits a second, the bits of an `f64`. The bucket holds a second's worth of them, or one.
    rate: AtomicU64,
    /// The bits of a [`Bucket`].
    bucket: AtomicU128,
}

/// Credits left, and when they were counted. The arithmetic is jaeger-client's, operation by operation, so that a
/// decision at the boundary falls as it does there.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    balance: f64,
    ticked_seconds: f64,
}

impl RateLimitingSampler {
    /// So many traces a second, fractions allowed. As in jaeger-client the bucket begins with a random part of what it
    /// holds, so that many processes started together don't all record their first request.
    ///
    /// ```
    /// use tracewell::sampler::RateLimitingSampler;
    /// assert!(RateLimitingSampler::new(2.5).is_ok());
    /// assert!(RateLimitingSampler::new(-1.0).is_err());
    /// ```
    pub fn new(traces_per_second: f64) -> Result<Self, SamplerError> {
        Self::with_clock(traces_per_second, Arc::new(MonotonicClock), fastrand::f64())
    }

    /// By a clock of your own, the bucket filled to `filled` (0.0 to 1.0) of what it holds.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tracewell::sampler::{RateLimitingSampler, Sampler};
    /// use tracewell::{Clock, TraceId};
    /// struct Stopped;
    /// impl Clock for Stopped {
    ///     fn seconds(&self) -> f64 {
    ///         0.0
    ///     }
    /// }
    /// let sampler = RateLimitingSampler::with_clock(2.0, Arc::new(Stopped), 1.0)?;
    /// let sampled = [(); 3].map(|()| sampler.sample(TraceId::new(1), "any").sampled);
    /// assert_eq!(sampled, [true, true, false]);
    /// # Ok::<(), tracewell::sampler::SamplerError>(())
    /// ```
    pub fn with_clock(traces_per_second: f64, clock: Arc<dyn Clock>, filled: f64) -> Result<Self, SamplerError> {
        let rate = checked_traces_per_second(traces_per_second)?;
        let bucket = Bucket { balance: balance_max(rate) * filled, ticked_seconds: clock.seconds() };
        Ok(Self { rate: AtomicU64::new(rate.to_bits()), bucket: AtomicU128::new(bucket.to_bits()), clock })
    }

    /// Another rate; what the bucket holds is scaled with it. Says whether that changed anything.
    ///
    /// To be called by one thread at a time; decisions may be taken meanwhile.
    ///
    /// ```
    /// use tracewell::sampler::RateLimitingSampler;
    /// let sampler = RateLimitingSampler::new(2.0)?;
    /// assert!(sampler.update(5.0)?);
    /// assert!(!sampler.update(5.0)?);
    /// # Ok::<(), tracewell::sampler::SamplerError>(())
    /// ```
    pub fn update(&self, traces_per_second: f64) -> Result<bool, SamplerError> {
        let rate = checked_traces_per_second(traces_per_second)?;
        let old = self.traces_per_second();
        if rate == old {
            return Ok(false);
        }
        let now = self.clock.seconds();
        self.change(|bucket| {
            let ticked = bucket.ticked(now, old);
            Bucket { balance: balance_max(rate) * ticked.balance / balance_max(old), ..ticked }
        });
        self.rate.store(rate.to_bits(), Ordering::Release);
        Ok(true)
    }

    /// The rate.
    ///
    /// ```
    /// use tracewell::sampler::RateLimitingSampler;
    /// assert_eq!(RateLimitingSampler::new(2.0)?.traces_per_second(), 2.0);
    /// # Ok::<(), tracewell::sampler::SamplerError>(())
    /// ```
    pub fn traces_per_second(&self) -> f64 {
        f64::from_bits(self.rate.load(Ordering::Acquire))
    }

    /// How many traces could have been recorded at once when it was last asked.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tracewell::MonotonicClock;
    /// use tracewell::sampler::RateLimitingSampler;
    /// let full = RateLimitingSampler::with_clock(2.0, Arc::new(MonotonicClock), 1.0)?;
    /// assert_eq!(full.balance(), 2.0);
    /// # Ok::<(), tracewell::sampler::SamplerError>(())
    /// ```
    pub fn balance(&self) -> f64 {
        Bucket::from_bits(self.bucket.load(Ordering::Acquire)).balance
    }

    pub(super) fn take_credit(&self) -> bool {
        let rate = self.traces_per_second();
        let now = self.clock.seconds();
        let mut taken = false;
        self.change(|bucket| {
            let ticked = bucket.ticked(now, rate);
            taken = ticked.balance >= 1.0;
            if taken { Bucket { balance: ticked.balance - 1.0, ..ticked } } else { ticked }
        });
        taken
    }

    fn change(&self, mut to: impl FnMut(Bucket) -> Bucket) {
        let mut bits = self.bucket.load(Ordering::Acquire);
        loop {
            let changed = to(Bucket::from_bits(bits)).to_bits();
            match self.bucket.compare_exchange_weak(bits, changed, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(newer) => bits = newer,
            }
        }
    }
}

impl Sampler for RateLimitingSampler {
    fn sample(&self, _: TraceId, _: &str) -> Decision {
        let tags = SamplerTags::number(SamplerType::RateLimiting, self.traces_per_second());
        Decision { sampled: self.take_credit(), tags }
    }
}

impl Bucket {
    fn ticked(self, now: f64, rate: f64) -> Self {
        // Where another thread ticked with a later reading of the clock, this takes back what the next tick adds again.
        let balance = self.balance + (now - self.ticked_seconds) * rate;
        Self { balance: balance.min(balance_max(rate)), ticked_seconds: now }
    }

    fn from_bits(bits: u128) -> Self {
        Self { balance: f64::from_bits((bits >> 64) as u64), ticked_seconds: f64::from_bits(bits as u64) }
    }

    fn to_bits(self) -> u128 {
        u128::from(self.balance.to_bits()) << 64 | u128::from(self.ticked_seconds.to_bits())
    }
}

fn balance_max(rate: f64) -> f64 {
    rate.max(1.0)
}

pub(super) fn checked_traces_per_second(traces_per_second: f64) -> Result<f64, SamplerError> {
    if traces_per_second >= 0.0 && traces_per_second.is_finite() {
        Ok(traces_per_second)
    } else {
        Err(SamplerError::TracesPerSecond { traces_per_second })
    }
}

impl fmt::Display for RateLimitingSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RateLimitingSampler({})", self.traces_per_second())
    }
}

impl fmt::Debug for RateLimitingSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_threads_share_one_budget() {
        struct Stopped;
        impl Clock for Stopped {
            fn seconds(&self) -> f64 {
                1000.0
            }
        }
        let sampler = RateLimitingSampler::with_clock(100.0, Arc::new(Stopped), 1.0).unwrap();
        let recorded: usize = std::thread::scope(|scope| {
            let count = || (0..200).filter(|_| sampler.sample(TraceId::new(1), "").sampled).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((recorded, sampler.balance()), (100, 0.0));
    }

    #[test]
    fn refuses_negative_rates() {
        assert!(RateLimitingSampler::new(-1.0).is_err());
        assert!(RateLimitingSampler::new(f64::NAN).is_err());
    }
}
