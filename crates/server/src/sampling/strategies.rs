//! The strategies file of Jaeger's collector: JSON in, what each service is told out, merged as Jaeger merges.
//!
//! The rules are those of Jaeger 1.76 and, where port 5778 is asked, of 1.62; they differ in one: a service limited by rate
//! without operations of its own has the default strategy's operations in 1.76 and none in 1.62.

use super::JaegerVersion;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tracewell_wire::jaeger::{OperationSampling, SamplingRule, SamplingStrategy};

/// Operations in all answers together: each service's answer repeats those of the default strategy.
const OPERATIONS_MAX: usize = 1_000_000;

/// Why a strategies file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StrategiesError {
    /// The system does not give it.
    #[error("cannot be read: {0}")]
    Read(std::io::Error),
    /// It is longer than it may be.
    #[error("is larger than {bytes_max} bytes")]
    #[expect(missing_docs, reason = "the text says it")]
    TooLarge { bytes_max: usize },
    /// It is no JSON, or a member is of another kind.
    #[error("is no JSON of sampling strategies: {0}")]
    Json(serde_json::Error),
    /// A parameter that no client could use.
    #[error("{place}: param {param} of a {kind} strategy should be {expected}")]
    #[expect(missing_docs, reason = "the text says it")]
    Parameter { place: String, kind: &'static str, param: f64, expected: &'static str },
    /// Too many operations.
    #[error("has more than {OPERATIONS_MAX} operations, those of the default strategy counted for every service")]
    TooManyOperations,
}

/// What every service is told.
#[derive(Debug)]
pub(super) struct Strategies {
    default: Arc<SamplingStrategy>,
    services: HashMap<String, ByVersion>,
}

#[derive(Debug)]
struct ByVersion {
    v1_62: Arc<SamplingStrategy>,
    v1_76: Arc<SamplingStrategy>,
}

#[derive(Debug, Deserialize, Default)]
struct File {
    default_strategy: Option<ServiceEntry>,
    service_strategies: Option<Vec<ServiceEntry>>,
}

#[derive(Debug, Deserialize)]
struct ServiceEntry {
    service: Option<String>,
    r#type: Option<String>,
    param: Option<f64>,
    operation_strategies: Option<Vec<OperationEntry>>,
}

#[derive(Debug, Deserialize)]
struct OperationEntry {
    operation: Option<String>,
    r#type: Option<String>,
    param: Option<f64>,
}

impl Strategies {
    /// Where there is no file: every service samples this share.
    pub(super) fn without_file(default_probability: f64) -> Self {
        let default = SamplingStrategy { rule: SamplingRule::Probabilistic(default_probability), operations: None };
        Self { default: Arc::new(default), services: HashMap::new() }
    }

    /// Reads a file. Beside the strategies: what in it has no effect, or another than it seems.
    pub(super) fn parse(bytes: &[u8], default_probability: f64) -> Result<(Self, Vec<String>), StrategiesError> {
        let file: Option<File> = serde_json::from_slice(bytes).map_err(StrategiesError::Json)?;
        let File { default_strategy, service_strategies } = file.unwrap_or_default();
        let mut reader = EntryReader { default_probability, warnings: vec![] };
        let mut strategies = Self::without_file(default_probability);
        if let Some(entry) = default_strategy {
            strategies.default = Arc::new(reader.service(&entry, "default_strategy")?);
        }
        let default = Arc::clone(&strategies.default);
        let mut operations = 0;
        for entry in service_strategies.unwrap_or_default() {
            let service = entry.service.clone().unwrap_or_default();
            let own = reader.service(&entry, &format!("service_strategies \"{service}\""))?;
            let default_operations = default.operations.as_ref();
            operations += own.operations.as_ref().map_or(0, |own| own.rates.len());
            operations += default_operations.map_or(0, |default| default.rates.len());
            if operations > OPERATIONS_MAX {
                return Err(StrategiesError::TooManyOperations);
            }
            strategies.services.insert(service, merged(own, default_operations));
        }
        Ok((strategies, reader.warnings))
    }

    pub(super) fn of_service(&self, service: &str, version: JaegerVersion) -> Arc<SamplingStrategy> {
        self.of_named_service(service, version).unwrap_or_else(|| Arc::clone(&self.default))
    }

    /// `None` for a service that the file does not name.
    pub(super) fn of_named_service(&self, service: &str, version: JaegerVersion) -> Option<Arc<SamplingStrategy>> {
        let ByVersion { v1_62, v1_76 } = self.services.get(service)?;
        Some(Arc::clone(match version {
            JaegerVersion::V1_62 => v1_62,
            JaegerVersion::V1_76 => v1_76,
        }))
    }
}

/// A service's strategy with the default strategy's operations behind its own.
fn merged(own: SamplingStrategy, default: Option<&OperationSampling>) -> ByVersion {
    let Some(default) = default else {
        let both = Arc::new(own);
        return ByVersion { v1_62: Arc::clone(&both), v1_76: both };
    };
    let SamplingStrategy { rule, operations } = own;
    let has_own = operations.is_some();
    let operations = match (operations, rule) {
        (Some(mut own), _) => {
            let named: HashSet<&str> = own.rates.iter().map(|(operation, _)| operation.as_str()).collect();
            let others = default.rates.iter().filter(|(operation, _)| !named.contains(operation.as_str()));
            let others: Vec<_> = others.cloned().collect();
            own.rates.extend(others);
            own
        }
        (None, SamplingRule::Probabilistic(rate)) => OperationSampling { default_rate: rate, ..default.clone() },
        (None, SamplingRule::RateLimiting(_)) => default.clone(),
    };
    let v1_76 = Arc::new(SamplingStrategy { rule, operations: Some(operations) });
    let v1_62 = match rule {
        SamplingRule::RateLimiting(_) if !has_own => Arc::new(SamplingStrategy { rule, operations: None }),
        _ => Arc::clone(&v1_76),
    };
    ByVersion { v1_62, v1_76 }
}

/// Turns entries into strategies, and remembers what is odd about them.
struct EntryReader {
    default_probability: f64,
    warnings: Vec<String>,
}

impl EntryReader {
    fn service(&mut self, entry: &ServiceEntry, place: &str) -> Result<SamplingStrategy, StrategiesError> {
        let rule = self.rule(entry.r#type.as_deref(), entry.param, place)?;
        let entries = entry.operation_strategies.as_deref().unwrap_or_default();
        if entries.is_empty() {
            return Ok(SamplingStrategy { rule, operations: None });
        }
        let default_rate = match rule {
            SamplingRule::Probabilistic(rate) => rate,
            SamplingRule::RateLimiting(_) => self.default_probability,
        };
        let mut rates = vec![];
        for entry in entries {
            let operation = entry.operation.clone().unwrap_or_default();
            let place = format!("{place} operation \"{operation}\"");
            match self.rule(entry.r#type.as_deref(), entry.param, &place)? {
                SamplingRule::Probabilistic(rate) => rates.push((operation, rate)),
                SamplingRule::RateLimiting(_) => {
                    self.warnings.push(format!("{place} is left out: operations are sampled by probability only"));
                }
            }
        }
        let operations = OperationSampling { default_rate, rates, ..OperationSampling::default() };
        Ok(SamplingStrategy { rule, operations: Some(operations) })
    }

    fn rule(&mut self, kind: Option<&str>, param: Option<f64>, place: &str) -> Result<SamplingRule, StrategiesError> {
        let param = param.unwrap_or(0.0);
        let wrong = |kind, expected| StrategiesError::Parameter { place: place.to_owned(), kind, param, expected };
        match kind.unwrap_or_default() {
            "probabilistic" if (0.0..=1.0).contains(&param) => Ok(SamplingRule::Probabilistic(param)),
            "probabilistic" => Err(wrong("probabilistic", "from 0 to 1")),
            "ratelimiting" if (0.0..=f64::from(i32::MAX)).contains(&param) => {
                if param.fract() != 0.0 {
                    let whole = param.trunc();
                    self.warnings.push(format!("{place}: param {param} counts as {whole}, since limits are whole"));
                }
                Ok(SamplingRule::RateLimiting(param as i32))
            }
            "ratelimiting" => Err(wrong("ratelimiting", "a number of traces a second, 0 or more")),
            other => {
                let share = self.default_probability;
                self.warnings.push(format!(
                    "{place}: type \"{other}\" is neither probabilistic nor ratelimiting: it counts as probabilistic, {share}"
                ));
                Ok(SamplingRule::Probabilistic(share))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Strategies, Vec<String>) {
        Strategies::parse(text.as_bytes(), 0.001).unwrap()
    }

    fn rates(strategy: &SamplingStrategy) -> Vec<(&str, f64)> {
        strategy
            .operations
            .iter()
            .flat_map(|operations| &operations.rates)
            .map(|(name, rate)| (&**name, *rate))
            .collect()
    }

    const FILE: &str = r#"{
        "default_strategy": {"type": "probabilistic", "param": 0.5, "operation_strategies": [
            {"operation": "/health", "type": "probabilistic", "param": 0},
            {"operation": "/", "type": "probabilistic", "param": 0.1}]},
        "service_strategies": [
            {"service": "a", "type": "probabilistic", "param": 0.8, "operation_strategies": [
                {"operation": "/", "type": "probabilistic", "param": 0.9}]},
            {"service": "b", "type": "ratelimiting", "param": 5},
            {"service": "c", "type": "ratelimiting", "param": 7, "operation_strategies": [
                {"operation": "x", "type": "ratelimiting", "param": 3}]},
            {"service": "d", "type": "probabilistic", "param": 0.2},
            {"service": "d", "type": "probabilistic", "param": 0.3}]}"#;

    #[test]
    fn operations_of_the_default_strategy_stand_behind_a_services_own() {
        let (strategies, warnings) = parse(FILE);
        let of = |service| strategies.of_service(service, JaegerVersion::V1_76);
        assert_eq!(rates(&of("a")), [("/", 0.9), ("/health", 0.0)]);
        assert_eq!(of("a").operations.as_ref().unwrap().default_rate, 0.8);
        assert_eq!(rates(&of("c")), [("/health", 0.0), ("/", 0.1)]);
        assert_eq!(of("c").operations.as_ref().unwrap().default_rate, 0.001);
        assert_eq!(of("d").rule, SamplingRule::Probabilistic(0.3), "the last counts");
        assert_eq!(rates(&of("any other")), [("/health", 0.0), ("/", 0.1)]);
        assert!(strategies.of_named_service("any other", JaegerVersion::V1_76).is_none());
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].starts_with("service_strategies \"c\" operation \"x\" is left out"), "{warnings:?}");
    }

    #[test]
    fn the_versions_differ_where_a_service_is_limited_by_rate() {
        let (strategies, _) = parse(FILE);
        let newer = strategies.of_service("b", JaegerVersion::V1_76);
        assert_eq!((newer.operations.as_ref().unwrap().default_rate, rates(&newer).len()), (0.5, 2));
        assert_eq!(strategies.of_service("b", JaegerVersion::V1_62).operations, None);
        for service in ["a", "c", "d", "any other"] {
            let [older, newer] =
                [JaegerVersion::V1_62, JaegerVersion::V1_76].map(|v| strategies.of_service(service, v));
            assert_eq!(older, newer);
        }
    }

    #[test]
    fn what_says_nothing_is_a_small_share() {
        for text in ["null", "{}", r#"{"default_strategy":null,"service_strategies":null,"other":1}"#] {
            let (strategies, warnings) = parse(text);
            let expected = SamplingStrategy { rule: SamplingRule::Probabilistic(0.001), operations: None };
            assert_eq!((*strategies.of_service("a", JaegerVersion::V1_62)).clone(), expected);
            assert!(warnings.is_empty());
        }
        let (strategies, warnings) = parse(r#"{"default_strategy":{"type":"ratelimting","param":2}}"#);
        assert_eq!(strategies.of_service("", JaegerVersion::V1_62).rule, SamplingRule::Probabilistic(0.001));
        assert!(warnings[0].contains("\"ratelimting\""), "{warnings:?}");
    }

    #[test]
    fn what_cannot_be_used_is_told_with_its_place() {
        let wrong = |text: &str| Strategies::parse(text.as_bytes(), 0.001).unwrap_err().to_string();
        for (text, told) in [
            ("", "no JSON of sampling strategies: EOF"),
            (r#"{"service_strategies":[{"service":"a","type":"probabilistic","param":"1"}]}"#, "line 1 column 72"),
            (
                r#"{"service_strategies":[{"service":"a","type":"probabilistic","param":1.5}]}"#,
                "service_strategies \"a\": param 1.5 of a probabilistic strategy should be from 0 to 1",
            ),
            (
                r#"{"default_strategy":{"operation_strategies":[{"operation":"o","type":"probabilistic","param":-1}]}}"#,
                "default_strategy operation \"o\": param -1",
            ),
            (r#"{"default_strategy":{"type":"ratelimiting","param":-1}}"#, "should be a number of traces a second"),
        ] {
            let error = wrong(text);
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
