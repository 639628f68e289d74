//! The two tags by which Jaeger's server learns how a trace came to be recorded.

use tracewell_model::Value;

/// `sampler.type`.
///
/// ```
/// use tracewell::sampler::SamplerType;
/// assert_eq!(SamplerType::LowerBound.name(), "lowerbound");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SamplerType {
    /// Always or never.
    Const,
    /// By the trace id.
    Probabilistic,
    /// By a rate.
    RateLimiting,
    /// Not by the probability, but by the guaranteed rate.
    LowerBound,
}

impl SamplerType {
    /// As Jaeger spells it.
    ///
    /// ```
    /// use tracewell::sampler::SamplerType;
    /// assert_eq!(SamplerType::RateLimiting.name(), "ratelimiting");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Self::Const => "const",
            Self::Probabilistic => "probabilistic",
            Self::RateLimiting => "ratelimiting",
            Self::LowerBound => "lowerbound",
        }
    }
}

/// `sampler.param`.
///
/// ```
/// use tracewell::TraceId;
/// use tracewell::sampler::{ConstSampler, Sampler, SamplerParam};
/// assert_eq!(ConstSampler::new(true).sample(TraceId::new(1), "any").tags.param, SamplerParam::Bool(true));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SamplerParam {
    /// The constant decision.
    Bool(bool),
    /// The probability, or the traces a second.
    Number(f64),
}

/// Both tags.
///
/// ```
/// use tracewell::sampler::SamplerTags;
/// assert_eq!((SamplerTags::TYPE_KEY, SamplerTags::PARAM_KEY), ("sampler.type", "sampler.param"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamplerTags {
    /// `sampler.type`.
    pub sampler_type: SamplerType,
    /// `sampler.param`.
    pub param: SamplerParam,
}

impl SamplerTags {
    /// The key of the sampler's name.
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// tracer.new_trace("GET /").finish();
    /// tracer.flush();
    /// let tags = &reporter.spans()[0].tags;
    /// assert!(tags.iter().any(|(key, _)| key == tracewell::sampler::SamplerTags::TYPE_KEY));
    /// ```
    pub const TYPE_KEY: &'static str = "sampler.type";
    /// The key of its parameter.
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// tracer.new_trace("GET /").finish();
    /// tracer.flush();
    /// let tags = &reporter.spans()[0].tags;
    /// assert!(tags.iter().any(|(key, _)| key == tracewell::sampler::SamplerTags::PARAM_KEY));
    /// ```
    pub const PARAM_KEY: &'static str = "sampler.param";

    pub(super) const fn number(sampler_type: SamplerType, param: f64) -> Self {
        Self { sampler_type, param: SamplerParam::Number(param) }
    }
}

impl From<SamplerParam> for Value {
    fn from(param: SamplerParam) -> Self {
        match param {
            SamplerParam::Bool(value) => Self::Bool(value),
            SamplerParam::Number(value) => Self::F64(value),
        }
    }
}
