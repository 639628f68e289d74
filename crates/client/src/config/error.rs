//! What can be wrong with a configuration.

use std::error::Error;

/// Why a configuration cannot be used.
///
/// ```
/// # #[cfg(feature = "jaeger")] {
/// use tracewell::config::JaegerConfig;
/// let error = JaegerConfig::new("shop").with_json(r#"{"reporter_batch_siz": 5, "samplr": {}}"#).unwrap_err();
/// assert_eq!(error.to_string(), "Unexpected keys found in config:reporter_batch_siz,samplr");
/// let error = JaegerConfig::new("shop").with_variables(|name| (name == "JAEGER_AGENT_PORT").then(|| "udp".into()));
/// assert_eq!(error.unwrap_err().to_string(), r#"JAEGER_AGENT_PORT is "udp": it must be a port, 0 to 65535"#);
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Keys that nobody reads, in jaeger-client's words. Keys within a group are named `sampler.typ`.
    #[error("Unexpected keys found in config:{}", keys.join(","))]
    UnexpectedKeys {
        /// What is not known.
        keys: Vec<String>,
    },
    /// Nobody said who records, in jaeger-client's words.
    #[error("service_name required in the config or param")]
    NoServiceName,
    /// A value is not one of those allowed.
    #[error("{name} is {value:?}: it must be {allowed}")]
    Value {
        /// The key or the variable.
        name: String,
        /// What was given.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Two values that do not go together.
    #[error(
        "Queue capacity cannot be less than batch size: reporter_queue_size is {queue}, reporter_batch_size {batch}"
    )]
    QueueBelowBatch {
        /// `reporter_queue_size`.
        queue: usize,
        /// `reporter_batch_size`.
        batch: usize,
    },
    /// The text is not of the format it should have.
    #[error("the configuration is no {format}: {why}")]
    Syntax {
        /// `JSON` or `YAML`.
        format: &'static str,
        /// What is wrong, and where.
        why: String,
    },
    /// It asks for something that was not built in.
    #[error("{name} is {value:?}: that needs the feature `{feature}` of the package tracewell")]
    Feature {
        /// The key or the variable.
        name: &'static str,
        /// What was given.
        value: String,
        /// What is to be enabled.
        feature: &'static str,
    },
    /// What is to use the value refuses it.
    #[error("{name}: {source}")]
    Refused {
        /// The key or the variable.
        name: &'static str,
        /// What it says.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl ConfigError {
    pub(super) fn refused<E: Error + Send + Sync + 'static>(name: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Refused { name, source: Box::new(source) }
    }

    #[cfg(any(feature = "jaeger", feature = "otlp", feature = "otlp-grpc"))]
    pub(super) fn value(name: &str, value: &str, allowed: &'static str) -> Self {
        Self::Value { name: name.to_owned(), value: value.to_owned(), allowed }
    }
}
