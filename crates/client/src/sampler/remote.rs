//! The sampler that a server tells what to do: this part takes answers, the part that asks for them is the caller's.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tracewell_model::TraceId;

use super::{AnySampler, Decision, OPERATIONS_MAX, PerOperationSampler, RateLimitingSampler, Sampler, SamplerError};
use super::{DEFAULT_SAMPLING_RATE, ProbabilisticSampler, Strategy, StrategyError, StrategyForm};
use crate::clock::{Clock, MonotonicClock};

/// Samples as the last good answer of a server said, and by another sampler until there was one.
///
/// What an answer leaves as it was keeps its state: a rate limiter its balance, operations their samplers.
///
/// ```
/// use tracewell::sampler::{RemoteSampler, RemoteUpdate};
/// let sampler = RemoteSampler::default();
/// let answer = br#"{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":0.5}}"#;
/// assert_eq!(sampler.update_from_json(answer)?, RemoteUpdate::Changed);
/// assert_eq!(sampler.update_from_json(answer)?, RemoteUpdate::Unchanged);
/// assert!(sampler.update_from_json(b"<html>").is_err());
/// assert_eq!(sampler.to_string(), "ProbabilisticSampler(0.5)");
/// # Ok::<(), tracewell::sampler::StrategyError>(())
/// ```
pub struct RemoteSampler {
    current: ArcSwap<AnySampler>,
    operations_max: usize,
    clock: Arc<dyn Clock>,
    filled: fn() -> f64,
    /// Held while an answer is applied.
    writer: Mutex<()>,
}

/// What an answer did.
///
/// ```
/// use tracewell::sampler::{RemoteSampler, RemoteUpdate, Strategy};
/// let sampler = RemoteSampler::default();
/// assert_eq!(sampler.update(&Strategy::Probabilistic { rate: 0.5 })?, RemoteUpdate::Changed);
/// assert_eq!(sampler.update(&Strategy::Probabilistic { rate: 0.5 })?, RemoteUpdate::Unchanged);
/// # Ok::<(), tracewell::sampler::SamplerError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteUpdate {
    /// Another sampler, other numbers, or strategies by operation (which always count as a change, as in jaeger-client).
    Changed,
    /// It said what held already.
    Unchanged,
}

/// One trace in a thousand until a server says otherwise.
impl Default for RemoteSampler {
    fn default() -> Self {
        // In range: the constant is between 0.0 and 1.0.
        let initial = ProbabilisticSampler::new(DEFAULT_SAMPLING_RATE).map(AnySampler::from);
        Self::new(initial.unwrap_or_else(|_| AnySampler::from(super::ConstSampler::new(false))), OPERATIONS_MAX)
    }
}

impl RemoteSampler {
    /// By this sampler until a server says otherwise; so many operations get samplers of their own by being seen.
    ///
    /// ```
    /// use tracewell::sampler::{ConstSampler, OPERATIONS_MAX, RemoteSampler};
    /// let sampler = RemoteSampler::new(ConstSampler::new(true), OPERATIONS_MAX);
    /// assert_eq!(sampler.to_string(), "ConstSampler(true)");
    /// ```
    pub fn new(initial: impl Into<AnySampler>, operations_max: usize) -> Self {
        Self::with_clock(initial, operations_max, Arc::new(MonotonicClock), fastrand::f64)
    }

    /// By a clock of your own; `filled` is asked how full a new bucket is.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tracewell::MonotonicClock;
    /// use tracewell::sampler::{ConstSampler, OPERATIONS_MAX, RemoteSampler};
    /// let initial = ConstSampler::new(false);
    /// let sampler = RemoteSampler::with_clock(initial, OPERATIONS_MAX, Arc::new(MonotonicClock), || 1.0);
    /// assert_eq!(sampler.to_string(), "ConstSampler(false)");
    /// ```
    pub fn with_clock(
        initial: impl Into<AnySampler>,
        operations_max: usize,
        clock: Arc<dyn Clock>,
        filled: fn() -> f64,
    ) -> Self {
        let current = ArcSwap::from_pointee(initial.into());
        Self { current, operations_max, clock, filled, writer: Mutex::new(()) }
    }

    /// Takes an answer of `/sampling?service=…`. After an error everything is as it was.
    ///
    /// ```
    /// use tracewell::sampler::RemoteSampler;
    /// let answer = br#"{"strategyType":"RATE_LIMITING","rateLimitingSampling":{"maxTracesPerSecond":20}}"#;
    /// let sampler = RemoteSampler::default();
    /// sampler.update_from_json(answer)?;
    /// assert_eq!(sampler.to_string(), "RateLimitingSampler(20)");
    /// # Ok::<(), tracewell::sampler::StrategyError>(())
    /// ```
    pub fn update_from_json(&self, answer: &[u8]) -> Result<RemoteUpdate, StrategyError> {
        Ok(self.update(&Strategy::from_json(answer, StrategyForm::Names)?)?)
    }

    /// Takes a strategy.
    ///
    /// ```
    /// use tracewell::sampler::{RemoteSampler, Strategy};
    /// let sampler = RemoteSampler::default();
    /// sampler.update(&Strategy::Probabilistic { rate: 0.5 })?;
    /// assert!(sampler.update(&Strategy::Probabilistic { rate: 5.0 }).is_err());
    /// assert_eq!(sampler.to_string(), "ProbabilisticSampler(0.5)");
    /// # Ok::<(), tracewell::sampler::SamplerError>(())
    /// ```
    pub fn update(&self, strategy: &Strategy) -> Result<RemoteUpdate, SamplerError> {
        // It guards no data, so there is nothing that a panic could have left half done.
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current.load_full();
        let next = match (strategy, &*current) {
            (Strategy::Probabilistic { rate }, current) => {
                let next = ProbabilisticSampler::new(*rate)?;
                if matches!(current, AnySampler::Probabilistic(same) if *same == next) {
                    return Ok(RemoteUpdate::Unchanged);
                }
                AnySampler::from(next)
            }
            (Strategy::RateLimiting { traces_per_second }, AnySampler::RateLimiting(sampler)) => {
                let changed = sampler.update(*traces_per_second)?;
                return Ok(if changed { RemoteUpdate::Changed } else { RemoteUpdate::Unchanged });
            }
            (Strategy::RateLimiting { traces_per_second }, _) => {
                let clock = Arc::clone(&self.clock);
                AnySampler::from(RateLimitingSampler::with_clock(*traces_per_second, clock, (self.filled)())?)
            }
            (Strategy::PerOperation(strategies), AnySampler::PerOperation(sampler)) => {
                sampler.update(strategies)?;
                return Ok(RemoteUpdate::Changed);
            }
            (Strategy::PerOperation(strategies), _) => {
                let clock = Arc::clone(&self.clock);
                let next = PerOperationSampler::with_clock(strategies, self.operations_max, clock, self.filled)?;
                AnySampler::from(next)
            }
        };
        self.current.store(Arc::new(next));
        Ok(RemoteUpdate::Changed)
    }

    /// The sampler in force.
    ///
    /// ```
    /// use tracewell::sampler::{AnySampler, RemoteSampler};
    /// assert!(matches!(*RemoteSampler::default().current(), AnySampler::Probabilistic(_)));
    /// ```
    pub fn current(&self) -> Arc<AnySampler> {
        self.current.load_full()
    }
}

impl Sampler for RemoteSampler {
    fn sample(&self, trace_id: TraceId, operation: &str) -> Decision {
        self.current.load().sample(trace_id, operation)
    }
}

/// The sampler in force.
impl fmt::Display for RemoteSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self.current.load(), f)
    }
}

impl fmt::Debug for RemoteSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteSampler({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::ConstSampler;

    fn answer(traces_per_second: u32) -> Vec<u8> {
        let limit = format!(r#"{{"maxTracesPerSecond":{traces_per_second}}}"#);
        format!(r#"{{"strategyType":"RATE_LIMITING","rateLimitingSampling":{limit}}}"#).into_bytes()
    }

    #[test]
    fn a_rate_limiter_keeps_its_balance_over_answers() {
        let sampler = RemoteSampler::with_clock(ConstSampler::new(true), 10, Arc::new(MonotonicClock), || 1.0);
        sampler.update_from_json(&answer(0)).unwrap();
        assert!(sampler.sample(TraceId::new(1), "").sampled, "a bucket holds one at least");
        assert!(!sampler.sample(TraceId::new(1), "").sampled);
        sampler.update_from_json(&answer(0)).unwrap();
        assert!(!sampler.sample(TraceId::new(1), "").sampled, "the same answer again must not fill it");
    }

    #[test]
    fn operations_keep_what_a_later_answer_does_not_name() {
        let sampler = RemoteSampler::default();
        let named = |name: &str| {
            let strategy = format!(r#"{{"operation":"{name}","probabilisticSampling":{{"samplingRate":1.0}}}}"#);
            format!(r#"{{"operationSampling":{{"perOperationStrategies":[{strategy}]}}}}"#).into_bytes()
        };
        sampler.update_from_json(&named("a")).unwrap();
        sampler.update_from_json(&named("b")).unwrap();
        assert!(sampler.sample(TraceId::new(u128::MAX), "a").sampled);
        assert_eq!(sampler.to_string(), format!("PerOperationSampler(0.001, {}, 2000)", 1.0 / 600.0));
    }
}
