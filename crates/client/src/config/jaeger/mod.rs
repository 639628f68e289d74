//! jaeger-client's configuration: the keys of its dictionary with their defaults, and the variables of all Jaeger clients.

mod build;
mod keys;
#[cfg(test)]
mod tests;
mod variables;
#[cfg(feature = "yaml")]
mod yaml;

use std::time::Duration;

use tracewell_model::Value;

use super::ConfigError;
use super::variables::environment;
use crate::propagation::Format;
use crate::sampler::OPERATIONS_MAX;

/// The configuration of jaeger-client 4.8, and what `JAEGER_*` variables say beside it.
///
/// From code, from the dictionary as JSON or YAML, from variables, or all of them: what is applied last holds.
///
/// ```
/// use tracewell::config::{JaegerConfig, JaegerSampler};
/// let config = JaegerConfig::from_env()?
///     .with_json(r#"{"service_name": "your-app-name", "sampler": {"type": "const", "param": 1}, "tags": {"region": "eu"}}"#)?;
/// assert_eq!(config.sampler, JaegerSampler::Const(true));
/// let tracer = config.tracer()?;
/// # Ok::<(), tracewell::config::ConfigError>(())
/// ```
///
/// In code every field has jaeger-client's default:
///
/// ```
/// use tracewell::config::{JaegerConfig, JaegerSampler};
/// let config = JaegerConfig { sampler: JaegerSampler::Const(true), logging: true, ..JaegerConfig::new("your-app-name") };
/// assert_eq!(config.local_agent.reporting_port, 6831);
/// ```
///
/// It can be a part of a configuration of your own: it implements serde's `Deserialize`.
#[derive(Debug, Clone, PartialEq)]
pub struct JaegerConfig {
    /// Who records. Required.
    pub service_name: String,
    /// Whether anything is recorded and sent; true. (jaeger-client reads the key and does nothing with it.) `JAEGER_DISABLED`
    /// turns it off.
    pub enabled: bool,
    /// Spans of one request to a collector; 10. To an agent, packets are filled to their limit.
    pub reporter_batch_size: usize,
    /// Spans that may wait; 100. Here it only makes the queues longer than a tracer's own, at 1 KiB a span, never shorter.
    pub reporter_queue_size: usize,
    /// How long a span waits for others; a second.
    pub reporter_flush_interval: Duration,
    /// Whether each span leaves a line in the log, by the feature `log`; false.
    pub logging: bool,
    /// Whether the library counts into the crate `metrics`, with the feature `metrics`; true.
    pub metrics: bool,
    /// Who decides; [`JaegerSampler::Remote`].
    pub sampler: JaegerSampler,
    /// How often the remote sampler asks; every 60 seconds.
    pub sampling_refresh_interval: Duration,
    /// Operations for which the remote sampler keeps a sampler of their own; 2,000.
    pub max_operations: usize,
    /// Where the agent is.
    pub local_agent: JaegerAgent,
    /// `uber-trace-id`.
    pub trace_id_header: String,
    /// `uberctx-`.
    pub baggage_header_prefix: String,
    /// `jaeger-debug-id`.
    pub debug_id_header: String,
    /// Whether trace ids have 128 bits; false.
    pub generate_128bit_trace_id: bool,
    /// Bytes of a text in a tag; 1,024.
    pub max_tag_value_length: u32,
    /// Bytes of an error's chain of causes; 4,096.
    pub max_traceback_length: usize,
    /// Tags of the process.
    pub tags: Vec<(String, Value)>,
    /// Which headers are read and written, in this order; Jaeger's.
    pub propagation: Vec<Format>,
    /// Whether debug traces need credits; not if `None`.
    pub throttler: Option<JaegerThrottler>,
    /// `JAEGER_ENDPOINT`: a collector, `http://host:14268/api/traces`, in place of the agent.
    pub endpoint: Option<String>,
    /// `JAEGER_USER` and `JAEGER_PASSWORD`, for the collector.
    pub basic_auth: Option<(String, String)>,
    /// `JAEGER_AUTH_TOKEN`, for the collector; goes before a user.
    pub auth_token: Option<String>,
    /// `JAEGER_SAMPLER_MANAGER_HOST_PORT` or `JAEGER_SAMPLING_ENDPOINT`: where the remote sampler asks, in place of the agent.
    pub sampling_endpoint: Option<String>,
}

/// `sampler.type` and `sampler.param`.
///
/// ```
/// use tracewell::config::{JaegerConfig, JaegerSampler};
/// let config = JaegerConfig::new("shop").with_json(r#"{"sampler": {"type": "probabilistic", "param": "0.5"}}"#)?;
/// assert_eq!(config.sampler, JaegerSampler::Probabilistic(0.5));
/// # Ok::<(), tracewell::config::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum JaegerSampler {
    /// As the agent says, and until it does this share of traces. (As the name of a type, `remote` is an error in
    /// jaeger-client for Python and usual in the others.)
    Remote {
        /// 0.0 to 1.0; 0.001 if not said.
        initial_rate: f64,
    },
    /// `const`.
    Const(bool),
    /// `probabilistic`: a share, 0.0 to 1.0.
    Probabilistic(f64),
    /// `ratelimiting` or `rate_limiting`: traces a second.
    RateLimiting(f64),
}

/// `local_agent`.
///
/// ```
/// use tracewell::config::JaegerAgent;
/// let agent = JaegerAgent { reporting_host: "agent".into(), ..JaegerAgent::default() };
/// assert_eq!((agent.reporting_port, agent.sampling_port), (6831, 5778));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JaegerAgent {
    /// `localhost`.
    pub reporting_host: String,
    /// Where it takes spans over UDP; 6831.
    pub reporting_port: u16,
    /// Where it says who samples, over HTTP on the same host; 5778.
    pub sampling_port: u16,
}

/// `throttler`.
///
/// ```
/// use tracewell::config::{JaegerConfig, JaegerThrottler};
/// let config = JaegerConfig { throttler: Some(JaegerThrottler::default()), ..JaegerConfig::new("shop") };
/// # let _ = config;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JaegerThrottler {
    /// Where the agent gives credits, over HTTP; 5778.
    pub port: u16,
    /// How often it is asked; every 5 seconds.
    pub refresh_interval: Duration,
}

impl Default for JaegerAgent {
    fn default() -> Self {
        Self { reporting_host: "localhost".to_owned(), reporting_port: 6831, sampling_port: 5778 }
    }
}

impl Default for JaegerThrottler {
    fn default() -> Self {
        Self { port: 5778, refresh_interval: Duration::from_secs(5) }
    }
}

impl Default for JaegerSampler {
    fn default() -> Self {
        Self::Remote { initial_rate: crate::sampler::DEFAULT_SAMPLING_RATE }
    }
}

impl JaegerConfig {
    /// jaeger-client's defaults.
    ///
    /// ```
    /// use tracewell::config::{JaegerConfig, JaegerSampler};
    /// let config = JaegerConfig::new("shop");
    /// assert_eq!(config.sampler, JaegerSampler::default());
    /// assert_eq!((config.reporter_batch_size, config.max_tag_value_length), (10, 1024));
    /// ```
    pub fn new(service_name: &str) -> Self {
        Self {
            service_name: service_name.to_owned(),
            enabled: true,
            reporter_batch_size: 10,
            reporter_queue_size: 100,
            reporter_flush_interval: Duration::from_secs(1),
            logging: false,
            metrics: true,
            sampler: JaegerSampler::default(),
            sampling_refresh_interval: Duration::from_secs(60),
            max_operations: OPERATIONS_MAX,
            local_agent: JaegerAgent::default(),
            trace_id_header: "uber-trace-id".to_owned(),
            baggage_header_prefix: "uberctx-".to_owned(),
            debug_id_header: "jaeger-debug-id".to_owned(),
            generate_128bit_trace_id: false,
            max_tag_value_length: 1024,
            max_traceback_length: 4096,
            tags: Vec::new(),
            propagation: vec![Format::Jaeger],
            throttler: None,
            endpoint: None,
            basic_auth: None,
            auth_token: None,
            sampling_endpoint: None,
        }
    }

    /// The defaults and what the variables of this process say: see [`JaegerConfig::with_variables`].
    ///
    /// ```
    /// use tracewell::config::JaegerConfig;
    /// let mut config = JaegerConfig::from_env()?;
    /// if config.service_name.is_empty() {
    ///     config.service_name = "shop".into();
    /// }
    /// let tracer = config.tracer()?;
    /// # Ok::<(), tracewell::config::ConfigError>(())
    /// ```
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::new("").with_variables(environment)
    }

    /// As variables say, by a function that looks one up:
    ///
    /// | variable | |
    /// |---|---|
    /// | `JAEGER_SERVICE_NAME` | `service_name` |
    /// | `JAEGER_AGENT_HOST`, `JAEGER_AGENT_PORT` | `local_agent` |
    /// | `JAEGER_ENDPOINT`, `JAEGER_AUTH_TOKEN`, `JAEGER_USER`, `JAEGER_PASSWORD` | a collector |
    /// | `JAEGER_SAMPLER_TYPE`, `JAEGER_SAMPLER_PARAM` | `sampler` |
    /// | `JAEGER_SAMPLER_MANAGER_HOST_PORT`, `JAEGER_SAMPLING_ENDPOINT` | where a remote sampler asks |
    /// | `JAEGER_SAMPLER_REFRESH_INTERVAL`, `JAEGER_SAMPLER_MAX_OPERATIONS` | how a remote sampler asks |
    /// | `JAEGER_REPORTER_LOG_SPANS` | `logging` |
    /// | `JAEGER_REPORTER_MAX_QUEUE_SIZE`, `JAEGER_REPORTER_FLUSH_INTERVAL` | `reporter_queue_size`, … |
    /// | `JAEGER_TAGS` | `k=v,k2=${VARIABLE:default}`: takes the place of tags of these names |
    /// | `JAEGER_TRACEID_128BIT` | `generate_128bit_trace_id` |
    /// | `JAEGER_PROPAGATION` | `jaeger`, `b3`, `w3c`, with commas between |
    /// | `JAEGER_DISABLED` | the contrary of `enabled` |
    ///
    /// Intervals are numbers of milliseconds, or have a unit: `1s`, `500ms`, `2m`.
    ///
    /// ```
    /// use tracewell::config::JaegerConfig;
    /// let variables = [("JAEGER_AGENT_HOST", "agent"), ("JAEGER_TAGS", "region=eu, zone = b")];
    /// let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string());
    /// let config = JaegerConfig::new("shop").with_variables(lookup)?;
    /// assert_eq!(config.local_agent.reporting_host, "agent");
    /// assert_eq!(config.tags[1].0, "zone");
    /// # Ok::<(), tracewell::config::ConfigError>(())
    /// ```
    pub fn with_variables(self, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        variables::apply(self, &lookup)
    }

    /// As the dictionary says, written as JSON. Unknown keys are an error, in jaeger-client's words when it validates;
    /// `metrics`, `debug_id_header` and `max_operations`, which it reads but refuses then, are taken.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tracewell::config::JaegerConfig;
    /// let config = JaegerConfig::new("shop").with_json(r#"{"local_agent": {"reporting_port": "5775"}, "throttler": {}}"#)?;
    /// assert_eq!(config.local_agent.reporting_port, 5775);
    /// assert_eq!(config.throttler.map(|throttler| throttler.refresh_interval), Some(Duration::from_secs(5)));
    /// # Ok::<(), tracewell::config::ConfigError>(())
    /// ```
    pub fn with_json(self, text: &str) -> Result<Self, ConfigError> {
        let syntax = |error: serde_json::Error| ConfigError::Syntax { format: "JSON", why: error.to_string() };
        keys::apply(self, &serde_json::from_str(text).map_err(syntax)?)
    }

    /// The same written as YAML 1.2: as in jaeger-client's own documentation.
    ///
    /// ```
    /// use tracewell::config::{JaegerConfig, JaegerSampler};
    /// let config = JaegerConfig::new("").with_yaml("
    /// service_name: your-app-name
    /// reporter_batch_size: 10
    /// logging: true
    /// sampler:
    ///   type: const
    ///   param: true
    /// ")?;
    /// assert_eq!(config.sampler, JaegerSampler::Const(true));
    /// # Ok::<(), tracewell::config::ConfigError>(())
    /// ```
    #[cfg(feature = "yaml")]
    pub fn with_yaml(self, text: &str) -> Result<Self, ConfigError> {
        keys::apply(self, &yaml::read(text)?)
    }
}

/// The dictionary, as [`JaegerConfig::with_json`] takes it.
impl<'de> serde_core::Deserialize<'de> for JaegerConfig {
    fn deserialize<D: serde_core::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys = serde_json::Value::deserialize(deserializer)?;
        keys::apply(Self::new(""), &keys).map_err(serde_core::de::Error::custom)
    }
}
