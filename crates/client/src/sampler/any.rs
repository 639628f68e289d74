//! Any sampler in one type: what a configuration or a server chose.

use std::fmt;
use std::sync::Arc;

use tracewell_model::TraceId;

use super::{ConstSampler, Decision, GuaranteedThroughputSampler, PerOperationSampler, ProbabilisticSampler};
use super::{RateLimitingSampler, Sampler, SamplerError};

/// One of the samplers, or one of your own.
///
/// ```
/// use tracewell::sampler::{AnySampler, ConstSampler};
/// let sampler = AnySampler::from(ConstSampler::new(true));
/// assert_eq!(sampler.to_string(), "ConstSampler(true)");
/// ```
pub enum AnySampler {
    /// Always or never.
    Const(ConstSampler),
    /// By the trace id.
    Probabilistic(ProbabilisticSampler),
    /// By a rate.
    RateLimiting(RateLimitingSampler),
    /// By the trace id, with a guaranteed rate.
    GuaranteedThroughput(GuaranteedThroughputSampler),
    /// By operation.
    PerOperation(PerOperationSampler),
    /// Your own.
    Custom(Arc<dyn Sampler>),
}

/// Why a configuration names no sampler.
///
/// ```
/// use tracewell::sampler::AnySampler;
/// let error = AnySampler::from_config("adaptive", None).unwrap_err();
/// assert_eq!(error.to_string(), "unknown sampler type adaptive: use const, probabilistic or ratelimiting");
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplerConfigError {
    /// The type is none of those known.
    #[error("unknown sampler type {name}: use const, probabilistic or ratelimiting")]
    UnknownType {
        /// What was given.
        name: String,
    },
    /// The parameter is no number.
    #[error("sampler type {name} needs a number as its parameter, not {param:?}")]
    Param {
        /// The type.
        name: String,
        /// What was given.
        param: Option<String>,
    },
    /// The parameter is out of range.
    #[error(transparent)]
    Range(#[from] SamplerError),
}

impl AnySampler {
    /// By jaeger-client's `sampler.type` (`const`, `probabilistic`, `ratelimiting` or `rate_limiting`) and
    /// `sampler.param`, given as text. The parameter of `const` is true for `true` and `1` in any case, else false.
    ///
    /// ```
    /// use tracewell::sampler::AnySampler;
    /// assert_eq!(AnySampler::from_config("const", Some("True"))?.to_string(), "ConstSampler(true)");
    /// assert!(AnySampler::from_config("probabilistic", None).is_err());
    /// # Ok::<(), tracewell::sampler::SamplerConfigError>(())
    /// ```
    pub fn from_config(name: &str, param: Option<&str>) -> Result<Self, SamplerConfigError> {
        let number = || {
            param
                .and_then(|param| param.trim().parse().ok())
                .ok_or_else(|| SamplerConfigError::Param { name: name.to_owned(), param: param.map(str::to_owned) })
        };
        Ok(match name {
            "const" => {
                let decision = param.is_some_and(|param| param == "1" || param.eq_ignore_ascii_case("true"));
                ConstSampler::new(decision).into()
            }
            "probabilistic" => ProbabilisticSampler::new(number()?)?.into(),
            "ratelimiting" | "rate_limiting" => RateLimitingSampler::new(number()?)?.into(),
            _ => return Err(SamplerConfigError::UnknownType { name: name.to_owned() }),
        })
    }
}

impl Sampler for AnySampler {
    fn sample(&self, trace_id: TraceId, operation: &str) -> Decision {
        match self {
            Self::Const(sampler) => sampler.sample(trace_id, operation),
            Self::Probabilistic(sampler) => sampler.sample(trace_id, operation),
            Self::RateLimiting(sampler) => sampler.sample(trace_id, operation),
            Self::GuaranteedThroughput(sampler) => sampler.sample(trace_id, operation),
            Self::PerOperation(sampler) => sampler.sample(trace_id, operation),
            Self::Custom(sampler) => sampler.sample(trace_id, operation),
        }
    }

    fn close(&self) {
        if let Self::Custom(sampler) = self {
            sampler.close();
        }
    }

    #[cfg(feature = "jaeger")]
    fn poll_counters(&self) -> Option<crate::PollCounters> {
        if let Self::Custom(sampler) = self { sampler.poll_counters() } else { None }
    }
}

impl fmt::Display for AnySampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Const(sampler) => fmt::Display::fmt(sampler, f),
            Self::Probabilistic(sampler) => fmt::Display::fmt(sampler, f),
            Self::RateLimiting(sampler) => fmt::Display::fmt(sampler, f),
            Self::GuaranteedThroughput(sampler) => fmt::Display::fmt(sampler, f),
            Self::PerOperation(sampler) => fmt::Display::fmt(sampler, f),
            Self::Custom(_) => f.write_str("Custom"),
        }
    }
}

impl fmt::Debug for AnySampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "jaeger")]
impl From<super::PollingSampler> for AnySampler {
    fn from(sampler: super::PollingSampler) -> Self {
        Self::Custom(Arc::new(sampler))
    }
}

macro_rules! from_sampler {
    ($($variant:ident($sampler:ty)),*) => {$(
        impl From<$sampler> for AnySampler {
            fn from(sampler: $sampler) -> Self {
                Self::$variant(sampler)
            }
        }
    )*};
}

from_sampler!(
    Const(ConstSampler),
    Probabilistic(ProbabilisticSampler),
    RateLimiting(RateLimitingSampler),
    GuaranteedThroughput(GuaranteedThroughputSampler),
    PerOperation(PerOperationSampler),
    Custom(Arc<dyn Sampler>)
);
