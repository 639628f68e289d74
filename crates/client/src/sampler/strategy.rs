//! What a server says about sampling: Jaeger's JSON in, a checked [`Strategy`] out.

use serde_json::{Map, Value};

use super::{DEFAULT_LOWER_BOUND, DEFAULT_SAMPLING_RATE, SamplerError};

/// Bytes of a server's answer; a longer one is refused.
///
/// ```
/// use tracewell::sampler::{STRATEGY_BYTES_MAX, Strategy, StrategyError, StrategyForm};
/// let endless = vec![b' '; STRATEGY_BYTES_MAX + 1];
/// assert!(matches!(Strategy::from_json(&endless, StrategyForm::Names), Err(StrategyError::TooLarge { .. })));
/// ```
pub const STRATEGY_BYTES_MAX: usize = 4 << 20;
/// Traces a second that a server may ask for: below this (Jaeger's limit).
const TRACES_PER_SECOND_BELOW: f64 = 500.0;

/// How one service is to sample.
///
/// ```
/// use tracewell::sampler::{Strategy, StrategyForm};
/// let answer = br#"{"strategyType":"RATE_LIMITING","rateLimitingSampling":{"maxTracesPerSecond":20}}"#;
/// let strategy = Strategy::from_json(answer, StrategyForm::Names)?;
/// assert_eq!(strategy, Strategy::RateLimiting { traces_per_second: 20.0 });
/// # Ok::<(), tracewell::sampler::StrategyError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Strategy {
    /// A share of all traces.
    Probabilistic {
        /// Between 0.0 and 1.0.
        rate: f64,
    },
    /// So many traces a second.
    RateLimiting {
        /// 0 or more, below 500.
        traces_per_second: f64,
    },
    /// By operation. Wins where an answer holds it beside another.
    PerOperation(OperationStrategies),
}

/// The shares of operations.
///
/// ```
/// use tracewell::sampler::{OperationStrategies, Strategy, StrategyForm};
/// let answer = br#"{"operationSampling":{"defaultSamplingProbability":0.1,"perOperationStrategies":[]}}"#;
/// let expected = OperationStrategies { default_rate: 0.1, ..OperationStrategies::default() };
/// assert_eq!(Strategy::from_json(answer, StrategyForm::Names)?, Strategy::PerOperation(expected));
/// # Ok::<(), tracewell::sampler::StrategyError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct OperationStrategies {
    /// The share of operations that are not named.
    pub default_rate: f64,
    /// Traces a second of each operation at least.
    pub lower_bound: f64,
    /// Names and shares.
    pub operations: Vec<(Box<str>, f64)>,
}

/// Jaeger's defaults: one trace in a thousand, at least one in ten minutes.
impl Default for OperationStrategies {
    fn default() -> Self {
        Self { default_rate: DEFAULT_SAMPLING_RATE, lower_bound: DEFAULT_LOWER_BOUND, operations: Vec::new() }
    }
}

/// How `strategyType` is spelled.
///
/// ```
/// use tracewell::sampler::{Strategy, StrategyForm};
/// let answer = br#"{"strategyType":0,"probabilisticSampling":{"samplingRate":0.5}}"#;
/// assert_eq!(Strategy::from_json(answer, StrategyForm::Numbers)?, Strategy::Probabilistic { rate: 0.5 });
/// assert!(Strategy::from_json(answer, StrategyForm::Names).is_err());
/// # Ok::<(), tracewell::sampler::StrategyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StrategyForm {
    /// `"PROBABILISTIC"`, `"RATE_LIMITING"`: what `/sampling` of an agent and `/api/sampling` of a collector answer,
    /// and the only form that jaeger-client takes.
    Names,
    /// `0`, `1`: what `/` of an agent answers for the oldest clients.
    Numbers,
}

/// Why an answer is no strategy.
///
/// ```
/// use tracewell::sampler::{Strategy, StrategyForm};
/// let error = Strategy::from_json(br#"{"strategyType":"SOMETIMES"}"#, StrategyForm::Names).unwrap_err();
/// assert!(error.to_string().starts_with("unsupported sampling strategy type"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StrategyError {
    /// Longer than [`STRATEGY_BYTES_MAX`].
    #[error("sampling strategy has {bytes} bytes: at most {STRATEGY_BYTES_MAX} are read")]
    TooLarge {
        /// How long it is.
        bytes: usize,
    },
    /// No JSON.
    #[error("sampling strategy is not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// A member has another type than it must have, or is missing.
    #[error("sampling strategy: {member} should be {expected}")]
    Member {
        /// Which.
        member: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// `strategyType` is missing or none that is known.
    #[error("unsupported sampling strategy type: {found}")]
    UnknownType {
        /// What is there instead.
        found: String,
    },
    /// The rate limit is out of range.
    #[error("rate limiting parameter not in [0, 500) range: {traces_per_second}")]
    RateLimit {
        /// What was asked for.
        traces_per_second: f64,
    },
    /// A probability or a lower bound is out of range.
    #[error(transparent)]
    Range(#[from] SamplerError),
}

impl StrategyError {
    /// Whether it is the answer that failed (no JSON at all) rather than what it says: jaeger-client counts the one as
    /// a failed query and the other as a failed update.
    ///
    /// ```
    /// use tracewell::sampler::{Strategy, StrategyForm};
    /// assert!(Strategy::from_json(b"<html>", StrategyForm::Names).unwrap_err().is_query_failure());
    /// assert!(!Strategy::from_json(b"{}", StrategyForm::Names).unwrap_err().is_query_failure());
    /// ```
    pub const fn is_query_failure(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::NotJson(_))
    }
}

impl Strategy {
    /// Reads an answer. Members that are missing have Jaeger's defaults, except `strategyType`.
    ///
    /// ```
    /// use tracewell::sampler::{Strategy, StrategyForm};
    /// let answer = br#"{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":0.5}}"#;
    /// assert_eq!(Strategy::from_json(answer, StrategyForm::Names)?, Strategy::Probabilistic { rate: 0.5 });
    /// # Ok::<(), tracewell::sampler::StrategyError>(())
    /// ```
    pub fn from_json(answer: &[u8], form: StrategyForm) -> Result<Self, StrategyError> {
        if answer.len() > STRATEGY_BYTES_MAX {
            return Err(StrategyError::TooLarge { bytes: answer.len() });
        }
        let answer: Value = serde_json::from_slice(answer)?;
        let answer = answer.as_object().ok_or(StrategyError::Member { member: "the answer", expected: "an object" })?;
        if let Some(operations) = object(answer, "operationSampling")? {
            return Ok(Self::PerOperation(operation_strategies(operations)?));
        }
        let found = answer.get("strategyType").unwrap_or(&Value::Null);
        let (probabilistic, rate_limiting) = match form {
            StrategyForm::Names => (Value::from("PROBABILISTIC"), Value::from("RATE_LIMITING")),
            StrategyForm::Numbers => (Value::from(0), Value::from(1)),
        };
        if *found == probabilistic {
            Ok(Self::Probabilistic { rate: sampling_rate(answer)? })
        } else if *found == rate_limiting {
            let limit = object(answer, "rateLimitingSampling")?;
            let traces_per_second = match limit {
                Some(limit) => number(limit, "maxTracesPerSecond")?.unwrap_or(DEFAULT_LOWER_BOUND),
                None => DEFAULT_LOWER_BOUND,
            };
            if !(0.0..TRACES_PER_SECOND_BELOW).contains(&traces_per_second) {
                return Err(StrategyError::RateLimit { traces_per_second });
            }
            Ok(Self::RateLimiting { traces_per_second })
        } else {
            Err(StrategyError::UnknownType { found: found.to_string() })
        }
    }
}

/// The member `operationSampling` by itself.
fn operation_strategies(strategies: &Map<String, Value>) -> Result<OperationStrategies, StrategyError> {
    let list = match strategies.get("perOperationStrategies") {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(list)) => list,
        Some(_) => return Err(StrategyError::Member { member: "perOperationStrategies", expected: "a list" }),
    };
    let operation = |strategy: &Value| {
        let strategy = strategy
            .as_object()
            .ok_or(StrategyError::Member { member: "perOperationStrategies", expected: "a list of objects" })?;
        let name = strategy
            .get("operation")
            .and_then(Value::as_str)
            .ok_or(StrategyError::Member { member: "operation", expected: "text" })?;
        Ok((name.into(), sampling_rate(strategy)?))
    };
    let default_rate = number(strategies, "defaultSamplingProbability")?.unwrap_or(DEFAULT_SAMPLING_RATE);
    Ok(OperationStrategies {
        default_rate: super::probabilistic::checked_rate(default_rate)?,
        lower_bound: super::rate_limiting::checked_traces_per_second(
            number(strategies, "defaultLowerBoundTracesPerSecond")?.unwrap_or(DEFAULT_LOWER_BOUND),
        )?,
        operations: list.iter().map(operation).collect::<Result<_, StrategyError>>()?,
    })
}

fn sampling_rate(strategy: &Map<String, Value>) -> Result<f64, StrategyError> {
    let rate = match object(strategy, "probabilisticSampling")? {
        Some(sampling) => number(sampling, "samplingRate")?.unwrap_or(DEFAULT_SAMPLING_RATE),
        None => DEFAULT_SAMPLING_RATE,
    };
    Ok(super::probabilistic::checked_rate(rate)?)
}

/// An object with members; an empty one counts as missing, as in jaeger-client.
fn object<'a>(
    parent: &'a Map<String, Value>,
    member: &'static str,
) -> Result<Option<&'a Map<String, Value>>, StrategyError> {
    match parent.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object).filter(|object| !object.is_empty())),
        Some(_) => Err(StrategyError::Member { member, expected: "an object" }),
    }
}

fn number(parent: &Map<String, Value>, member: &'static str) -> Result<Option<f64>, StrategyError> {
    match parent.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(StrategyError::Member { member, expected: "a number" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Strategy, String> {
        Strategy::from_json(text.as_bytes(), StrategyForm::Names).map_err(|error| error.to_string())
    }

    #[test]
    fn operations_win_over_the_type_beside_them() {
        let text = r#"{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":0.5},
            "operationSampling":{"defaultSamplingProbability":0.2,
            "perOperationStrategies":[{"operation":"a","probabilisticSampling":{"samplingRate":1}},{"operation":"b"}]}}"#;
        let operations = vec![("a".into(), 1.0), ("b".into(), 0.001)];
        let expected = OperationStrategies { default_rate: 0.2, lower_bound: 1.0 / 600.0, operations };
        assert_eq!(read(text), Ok(Strategy::PerOperation(expected)));
    }

    #[test]
    fn reads_numbers_where_asked_to() {
        let text = br#"{"strategyType":1,"rateLimitingSampling":{"maxTracesPerSecond":2}}"#;
        let strategy = Strategy::from_json(text, StrategyForm::Numbers).unwrap();
        assert_eq!(strategy, Strategy::RateLimiting { traces_per_second: 2.0 });
        assert!(Strategy::from_json(text, StrategyForm::Names).is_err());
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("nope", "not JSON"),
            ("[]", "the answer should be an object"),
            ("{}", "unsupported sampling strategy type: null"),
            (r#"{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":1.1}}"#, "is 1.1"),
            (r#"{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":"1"}}"#, "should be a number"),
            (r#"{"strategyType":"RATE_LIMITING","rateLimitingSampling":{"maxTracesPerSecond":500}}"#, "range: 500"),
            (r#"{"operationSampling":{"perOperationStrategies":[{}]}}"#, "operation should be text"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
