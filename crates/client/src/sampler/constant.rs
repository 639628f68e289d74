//! The same decision for every trace.

use std::fmt;

use tracewell_model::TraceId;

use super::{Decision, Sampler, SamplerParam, SamplerTags, SamplerType};

/// Records every trace, or none.
///
/// ```
/// use tracewell::TraceId;
/// use tracewell::sampler::{ConstSampler, Sampler};
/// assert!(ConstSampler::new(true).sample(TraceId::new(1), "any").sampled);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConstSampler {
    decision: bool,
}

impl ConstSampler {
    /// Records every trace (`true`) or none.
    ///
    /// ```
    /// use tracewell::TraceId;
    /// use tracewell::sampler::{ConstSampler, Sampler};
    /// assert!(!ConstSampler::new(false).sample(TraceId::new(1), "any").sampled);
    /// ```
    pub const fn new(decision: bool) -> Self {
        Self { decision }
    }
}

impl Sampler for ConstSampler {
    fn sample(&self, _: TraceId, _: &str) -> Decision {
        let tags = SamplerTags { sampler_type: SamplerType::Const, param: SamplerParam::Bool(self.decision) };
        Decision { sampled: self.decision, tags }
    }
}

impl fmt::Display for ConstSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConstSampler({})", self.decision)
    }
}
