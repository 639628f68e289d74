//! OpenTelemetry's configuration by variables: those of them that concern traces.

mod build;
#[cfg(any(all(feature = "tls", feature = "otlp"), feature = "otlp-grpc-tls"))]
mod certificates;
mod variables;

use std::time::Duration;

use super::ConfigError;
use super::variables::environment;
use crate::propagation::Format;

/// What OpenTelemetry's `OTEL_*` variables say about traces, with the defaults of its specification.
///
/// ```
/// use tracewell::config::{OtelConfig, OtelSampler};
/// let variables = [
///     ("OTEL_SERVICE_NAME", "shop"),
///     ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
///     ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
///     ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
/// ];
/// let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string());
/// let config = OtelConfig::from_variables(lookup)?;
/// assert_eq!((config.service_name.as_str(), config.sampler), ("shop", OtelSampler::TraceIdRatio(0.25)));
/// # Ok::<(), tracewell::config::ConfigError>(())
/// ```
///
/// In a program: `OtelConfig::from_env()?.tracer()?`.
#[derive(Debug, Clone, PartialEq)]
pub struct OtelConfig {
    /// `OTEL_SDK_DISABLED`: nothing is recorded and nothing sent.
    pub disabled: bool,
    /// `OTEL_SERVICE_NAME`, else `service.name` of `OTEL_RESOURCE_ATTRIBUTES`, else `unknown_service`.
    pub service_name: String,
    /// `OTEL_RESOURCE_ATTRIBUTES`, without the service's name.
    pub resource_attributes: Vec<(String, String)>,
    /// `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.
    pub sampler: OtelSampler,
    /// `OTEL_PROPAGATORS`; `tracecontext,baggage`.
    pub propagators: Vec<Format>,
    /// `OTEL_TRACES_EXPORTER`; `otlp`. None at all for `none`.
    pub exporters: Vec<OtelExporter>,
    /// `OTEL_EXPORTER_OTLP_PROTOCOL`, or for traces alone `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`; as for the next ones.
    pub otlp_protocol: OtlpProtocol,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` with `v1/traces` behind it, or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` as it is.
    pub otlp_endpoint: Option<String>,
    /// `OTEL_EXPORTER_OTLP_HEADERS`.
    pub otlp_headers: Vec<(String, String)>,
    /// `OTEL_EXPORTER_OTLP_COMPRESSION`: `gzip` or `none`.
    pub otlp_gzip: bool,
    /// `OTEL_EXPORTER_OTLP_CERTIFICATE`: a file of the authorities whose servers are believed over `https://`, as PEM; in
    /// place of Mozilla's. Needs the feature `tls`, for gRPC `otlp-grpc-tls`.
    pub otlp_certificate: Option<String>,
    /// `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE`: a file of what is shown to servers that ask who comes, as PEM.
    pub otlp_client_certificate: Option<String>,
    /// `OTEL_EXPORTER_OTLP_CLIENT_KEY`: a file of its key, as PEM.
    pub otlp_client_key: Option<String>,
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`, milliseconds; 10 seconds.
    pub otlp_timeout: Duration,
    /// `OTEL_EXPORTER_ZIPKIN_ENDPOINT`; `http://localhost:9411/api/v2/spans`.
    pub zipkin_endpoint: String,
    /// `OTEL_EXPORTER_ZIPKIN_TIMEOUT`, milliseconds; 10 seconds.
    pub zipkin_timeout: Duration,
    /// `OTEL_EXPORTER_JAEGER_ENDPOINT`: a collector that takes thrift over HTTP, in place of an agent.
    pub jaeger_endpoint: Option<String>,
    /// `OTEL_EXPORTER_JAEGER_AGENT_HOST` and `OTEL_EXPORTER_JAEGER_AGENT_PORT`; `localhost:6831`.
    pub jaeger_agent: String,
    /// `OTEL_BSP_SCHEDULE_DELAY`, milliseconds; 5 seconds.
    pub schedule_delay: Duration,
    /// `OTEL_BSP_MAX_QUEUE_SIZE`, spans; 2,048. Here it only makes the queue longer than it is anyway, at 1 KiB a span.
    pub queue_size_max: usize,
    /// `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`, spans; 512.
    pub export_batch_size_max: usize,
    /// `OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT` or `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`, here bytes; no limit.
    pub attribute_bytes_max: Option<u32>,
}

/// Who decides about new traces. What comes with a decision keeps it, whether the name begins with `parentbased_` or not.
///
/// ```
/// use tracewell::config::{OtelConfig, OtelSampler};
/// let lookup = |name: &str| (name == "OTEL_TRACES_SAMPLER").then(|| "parentbased_always_off".into());
/// assert_eq!(OtelConfig::from_variables(lookup)?.sampler, OtelSampler::AlwaysOff);
/// # Ok::<(), tracewell::config::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum OtelSampler {
    /// `always_on`, `parentbased_always_on`.
    AlwaysOn,
    /// `always_off`, `parentbased_always_off`.
    AlwaysOff,
    /// `traceidratio`, `parentbased_traceidratio`: 0.0 to 1.0; 1.0 without an argument.
    TraceIdRatio(f64),
    /// `jaeger_remote`, `parentbased_jaeger_remote`.
    JaegerRemote(OtelJaegerRemote),
}

/// The argument of `jaeger_remote`: `endpoint=http://host:5778/sampling,pollingIntervalMs=5000,initialSamplingRate=0.25`.
///
/// ```
/// use tracewell::config::OtelJaegerRemote;
/// assert_eq!(OtelJaegerRemote::default().endpoint, "http://localhost:5778/sampling");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct OtelJaegerRemote {
    /// Where strategies are asked for.
    pub endpoint: String,
    /// How often.
    pub polling_interval: Duration,
    /// Until there is an answer.
    pub initial_rate: f64,
}

/// Where spans are sent.
///
/// ```
/// use tracewell::config::{OtelConfig, OtelExporter};
/// let lookup = |name: &str| (name == "OTEL_TRACES_EXPORTER").then(|| "otlp,console".into());
/// assert_eq!(OtelConfig::from_variables(lookup)?.exporters, [OtelExporter::Otlp, OtelExporter::Console]);
/// # Ok::<(), tracewell::config::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtelExporter {
    /// `otlp`.
    Otlp,
    /// `zipkin`.
    Zipkin,
    /// `jaeger`, which the specification has removed.
    Jaeger,
    /// `console` or `logging`: a line a span on standard output.
    Console,
}

/// How OTLP is sent.
///
/// ```
/// use tracewell::config::{OtelConfig, OtlpProtocol};
/// assert_eq!(OtelConfig::default().otlp_protocol, OtlpProtocol::HttpProtobuf);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OtlpProtocol {
    /// `grpc`.
    Grpc,
    /// `http/protobuf`.
    #[default]
    HttpProtobuf,
    /// `http/json`.
    HttpJson,
}

impl Default for OtelJaegerRemote {
    fn default() -> Self {
        let polling_interval = Duration::from_secs(60);
        let initial_rate = crate::sampler::DEFAULT_SAMPLING_RATE;
        Self { endpoint: "http://localhost:5778/sampling".to_owned(), polling_interval, initial_rate }
    }
}

/// What holds when no variable is set.
impl Default for OtelConfig {
    fn default() -> Self {
        Self {
            disabled: false,
            service_name: "unknown_service".to_owned(),
            resource_attributes: Vec::new(),
            sampler: OtelSampler::AlwaysOn,
            propagators: vec![Format::TraceContext, Format::Baggage],
            exporters: vec![OtelExporter::Otlp],
            otlp_protocol: OtlpProtocol::default(),
            otlp_endpoint: None,
            otlp_headers: Vec::new(),
            otlp_gzip: false,
            otlp_certificate: None,
            otlp_client_certificate: None,
            otlp_client_key: None,
            otlp_timeout: Duration::from_secs(10),
            zipkin_endpoint: "http://localhost:9411/api/v2/spans".to_owned(),
            zipkin_timeout: Duration::from_secs(10),
            jaeger_endpoint: None,
            jaeger_agent: "localhost:6831".to_owned(),
            schedule_delay: Duration::from_secs(5),
            queue_size_max: 2048,
            export_batch_size_max: 512,
            attribute_bytes_max: None,
        }
    }
}

impl OtelConfig {
    /// What the variables of this process say.
    ///
    /// ```
    /// let config = tracewell::config::OtelConfig::from_env()?;
    /// assert!(!config.service_name.is_empty());
    /// # Ok::<(), tracewell::config::ConfigError>(())
    /// ```
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_variables(environment)
    }

    /// What variables say, by a function that looks one up. A value that cannot be used is an error, where the specification
    /// would have it logged and forgotten.
    ///
    /// ```
    /// use tracewell::config::OtelConfig;
    /// let error = OtelConfig::from_variables(|name| (name == "OTEL_TRACES_EXPORTER").then(|| "kafka".into()));
    /// assert_eq!(
    ///     error.unwrap_err().to_string(),
    ///     r#"OTEL_TRACES_EXPORTER is "kafka": it must be otlp, zipkin, jaeger, console, none or several with commas between"#
    /// );
    /// ```
    pub fn from_variables(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        variables::read(&lookup)
    }
}
