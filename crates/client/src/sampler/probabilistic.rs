//! A share of all traces, told from the trace id, so that every service decides alike.

use std::fmt;

use tracewell_model::TraceId;

use super::{Decision, Sampler, SamplerError, SamplerTags, SamplerType};

/// Records the traces whose id's lower 64 bits are below `rate` × 2⁶⁴, Jaeger's boundary to the bit.
///
/// ```
/// use tracewell::TraceId;
/// use tracewell::sampler::{ProbabilisticSampler, Sampler};
/// let sampler = ProbabilisticSampler::new(0.25)?;
/// assert!(sampler.sample(TraceId::from_halves(9, 0x3fff_ffff_ffff_ffff), "any").sampled);
/// assert!(!sampler.sample(TraceId::from_halves(9, 0x4000_0000_0000_0000), "any").sampled);
/// # Ok::<(), tracewell::sampler::SamplerError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProbabilisticSampler {
    rate: f64,
    /// The first id that is not recorded.
    boundary: u128,
}

impl ProbabilisticSampler {
    /// A share between 0.0 and 1.0, both included.
    ///
    /// ```
    /// use tracewell::sampler::ProbabilisticSampler;
    /// assert!(ProbabilisticSampler::new(0.01).is_ok());
    /// assert!(ProbabilisticSampler::new(1.1).is_err());
    /// ```
    pub fn new(rate: f64) -> Result<Self, SamplerError> {
        Ok(Self { rate: checked_rate(rate)?, boundary: boundary(rate) })
    }

    /// The share.
    ///
    /// ```
    /// use tracewell::sampler::ProbabilisticSampler;
    /// assert_eq!(ProbabilisticSampler::new(0.01)?.rate(), 0.01);
    /// # Ok::<(), tracewell::sampler::SamplerError>(())
    /// ```
    pub const fn rate(&self) -> f64 {
        self.rate
    }
}

impl Sampler for ProbabilisticSampler {
    fn sample(&self, trace_id: TraceId, _: &str) -> Decision {
        let sampled = u128::from(trace_id.low()) < self.boundary;
        Decision { sampled, tags: SamplerTags::number(SamplerType::Probabilistic, self.rate) }
    }
}

impl fmt::Display for ProbabilisticSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProbabilisticSampler({})", self.rate)
    }
}

pub(super) fn checked_rate(rate: f64) -> Result<f64, SamplerError> {
    if (0.0..=1.0).contains(&rate) { Ok(rate) } else { Err(SamplerError::Rate { rate }) }
}

/// Jaeger compares the whole number with `rate * 2^64`, a float that multiplying by a power of two leaves exact. A
/// whole number is below a float exactly when it is below the next whole number up.
pub(super) fn boundary(rate: f64) -> u128 {
    const IDS: f64 = 18_446_744_073_709_551_616.0;
    (rate * IDS).ceil() as u128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_probability() {
        for rate in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(ProbabilisticSampler::new(rate).is_err(), "{rate}");
        }
    }

    #[test]
    fn one_takes_all_and_zero_none() {
        let sampled =
            |rate, id| ProbabilisticSampler::new(rate).unwrap().sample(TraceId::from_halves(1, id), "").sampled;
        assert!(sampled(1.0, u64::MAX));
        assert!(!sampled(0.0, 0));
        assert!(sampled(1e-300, 0));
        assert!(!sampled(1e-300, 1));
    }
}
