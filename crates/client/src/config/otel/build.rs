//! What is made of OpenTelemetry's variables: the tracer, its reporters, its headers.

use super::super::ConfigError;
use super::{OtelConfig, OtelExporter, OtelJaegerRemote, OtelSampler, OtlpProtocol};
#[cfg(any(feature = "tower", feature = "reqwest", feature = "actix", feature = "sqlx"))]
use crate::middleware::{ClientTracing, ServerTracing, TagSet};
use crate::propagation::Propagation;
use crate::sampler::{AnySampler, ConstSampler, ProbabilisticSampler};
use crate::{BatchOptions, CompositeReporter, LoggingReporter, NullReporter, Reporter, Tracer, TracerBuilder};

/// What a reporter has without being told: never less.
const QUEUE_BYTES_MIN: usize = 16 << 20;
/// A span that waits.
const SPAN_BYTES: usize = 1 << 10;

impl OtelConfig {
    /// The tracer. One that is disabled records nothing and sends nothing.
    ///
    /// ```
    /// use tracewell::config::OtelConfig;
    /// let tracer = OtelConfig { service_name: "shop".into(), exporters: Vec::new(), ..OtelConfig::default() }.tracer()?;
    /// assert!(tracer.new_trace("GET /").is_recorded());
    /// let tracer = OtelConfig { disabled: true, ..OtelConfig::default() }.tracer()?;
    /// assert!(!tracer.new_trace("GET /").is_recorded());
    /// # Ok::<(), tracewell::config::ConfigError>(())
    /// ```
    pub fn tracer(&self) -> Result<Tracer, ConfigError> {
        let builder = self.tracer_builder()?;
        if self.disabled {
            return Ok(builder.sampler(ConstSampler::new(false)).build(NullReporter));
        }
        Ok(builder.build(self.reporter()?))
    }

    /// The same before it is made, for other settings. Takes no notice of `disabled`.
    ///
    /// ```
    /// use tracewell::InMemoryReporter;
    /// use tracewell::config::OtelConfig;
    /// let tracer = OtelConfig::default().tracer_builder()?.build(InMemoryReporter::default());
    /// assert_eq!(tracer.resource().endpoint.service, "unknown_service");
    /// # Ok::<(), tracewell::config::ConfigError>(())
    /// ```
    pub fn tracer_builder(&self) -> Result<TracerBuilder, ConfigError> {
        let mut builder = Tracer::builder(&self.service_name).sampler(self.any_sampler()?);
        if let Some(bytes) = self.attribute_bytes_max {
            builder = builder.tag_value_bytes_max(bytes);
        }
        for (key, value) in &self.resource_attributes {
            builder = builder.resource_tag(key, value.as_str());
        }
        Ok(builder)
    }

    /// What sends its spans: none, one, or several that get all of them.
    ///
    /// ```
    /// use tracewell::config::{OtelConfig, OtelExporter};
    /// let config = OtelConfig { exporters: vec![OtelExporter::Console], ..OtelConfig::default() };
    /// let tracer = config.tracer_builder()?.build(config.reporter()?);
    /// # Ok::<(), tracewell::config::ConfigError>(())
    /// ```
    pub fn reporter(&self) -> Result<Box<dyn Reporter>, ConfigError> {
        match self.exporters.as_slice() {
            [] => Ok(Box::new(NullReporter)),
            [exporter] => self.exporter(*exporter),
            exporters => {
                let add = |all: CompositeReporter, exporter: &OtelExporter| Ok(all.with(self.exporter(*exporter)?));
                Ok(Box::new(exporters.iter().try_fold(CompositeReporter::default(), add)?))
            }
        }
    }

    /// The headers of `OTEL_PROPAGATORS`.
    ///
    /// ```
    /// use tracewell::config::OtelConfig;
    /// let formats: Vec<_> = OtelConfig::default().propagation().read_formats().iter().map(|format| format.name()).collect();
    /// assert_eq!(formats, ["tracecontext", "baggage"]);
    /// ```
    pub fn propagation(&self) -> Propagation {
        Propagation::new(&self.propagators)
    }

    /// Its headers, and tags by OpenTelemetry's conventions, for a server's middleware.
    ///
    /// ```
    /// # #[cfg(feature = "tower")] {
    /// use tracewell::config::OtelConfig;
    /// use tracewell::middleware::tower::ServerLayer;
    /// let config = OtelConfig { exporters: Vec::new(), ..OtelConfig::default() };
    /// let layer = ServerLayer::from(config.server_tracing(&config.tracer()?));
    /// # let _ = layer;
    /// # }
    /// # Ok::<(), tracewell::config::ConfigError>(())
    /// ```
    #[cfg(any(feature = "tower", feature = "reqwest", feature = "actix", feature = "sqlx"))]
    pub fn server_tracing(&self, tracer: &Tracer) -> ServerTracing {
        ServerTracing::new(tracer).propagation(self.propagation()).tags(TagSet::OpenTelemetry)
    }

    /// The same for requests that are sent.
    ///
    /// ```
    /// # #[cfg(feature = "tower")] {
    /// use tracewell::config::OtelConfig;
    /// use tracewell::middleware::tower::ClientLayer;
    /// let config = OtelConfig { exporters: Vec::new(), ..OtelConfig::default() };
    /// let layer = ClientLayer::from(config.client_tracing(&config.tracer()?));
    /// # let _ = layer;
    /// # }
    /// # Ok::<(), tracewell::config::ConfigError>(())
    /// ```
    #[cfg(any(feature = "tower", feature = "reqwest", feature = "actix", feature = "sqlx"))]
    pub fn client_tracing(&self, tracer: &Tracer) -> ClientTracing {
        ClientTracing::new(tracer).propagation(self.propagation()).tags(TagSet::OpenTelemetry)
    }

    fn any_sampler(&self) -> Result<AnySampler, ConfigError> {
        Ok(match &self.sampler {
            OtelSampler::AlwaysOn => ConstSampler::new(true).into(),
            OtelSampler::AlwaysOff => ConstSampler::new(false).into(),
            OtelSampler::TraceIdRatio(ratio) => ProbabilisticSampler::new(*ratio).map_err(refused_sampler())?.into(),
            OtelSampler::JaegerRemote(remote) => jaeger_remote(remote, &self.service_name)?,
        })
    }

    fn exporter(&self, exporter: OtelExporter) -> Result<Box<dyn Reporter>, ConfigError> {
        match exporter {
            OtelExporter::Otlp if self.otlp_protocol == OtlpProtocol::Grpc => self.otlp_grpc(),
            OtelExporter::Otlp => self.otlp_http(),
            OtelExporter::Zipkin => self.zipkin(),
            OtelExporter::Jaeger => self.jaeger(),
            OtelExporter::Console => Ok(Box::new(LoggingReporter::to(print))),
        }
    }

    fn batch(&self) -> BatchOptions {
        BatchOptions::default()
            .spans_max(self.export_batch_size_max)
            .interval(self.schedule_delay)
            .queue_bytes_max(self.queue_size_max.saturating_mul(SPAN_BYTES).max(QUEUE_BYTES_MIN))
    }

    #[cfg(feature = "otlp-grpc")]
    fn otlp_grpc(&self) -> Result<Box<dyn Reporter>, ConfigError> {
        let endpoint = self.otlp_endpoint.as_deref().unwrap_or("http://localhost:4317");
        let mut builder = crate::OtlpGrpcReporter::builder(endpoint)
            .map_err(ConfigError::refused("OTEL_EXPORTER_OTLP_ENDPOINT"))?
            .gzip(self.otlp_gzip)
            .timeout(self.otlp_timeout)
            .batch(self.batch());
        #[cfg(feature = "otlp-grpc-tls")]
        {
            builder = builder.tls(self.tls_options()?);
        }
        for (name, value) in &self.otlp_headers {
            builder = builder.metadata(name, value).map_err(ConfigError::refused("OTEL_EXPORTER_OTLP_HEADERS"))?;
        }
        Ok(Box::new(builder.build()))
    }

    #[cfg(not(feature = "otlp-grpc"))]
    fn otlp_grpc(&self) -> Result<Box<dyn Reporter>, ConfigError> {
        Err(missing("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "otlp-grpc"))
    }

    #[cfg(feature = "otlp")]
    fn otlp_http(&self) -> Result<Box<dyn Reporter>, ConfigError> {
        let mut http = crate::HttpOptions::default().gzip(self.otlp_gzip).timeout(self.otlp_timeout);
        #[cfg(feature = "tls")]
        {
            http = http.tls(self.tls_options()?);
        }
        for (name, value) in &self.otlp_headers {
            http = http.header(name, value).map_err(ConfigError::refused("OTEL_EXPORTER_OTLP_HEADERS"))?;
        }
        let endpoint = self.otlp_endpoint.as_deref().unwrap_or("http://localhost:4318");
        let builder = crate::OtlpHttpReporter::builder(endpoint)
            .map_err(ConfigError::refused("OTEL_EXPORTER_OTLP_ENDPOINT"))?
            .json(self.otlp_protocol == OtlpProtocol::HttpJson);
        Ok(Box::new(builder.http(http).batch(self.batch()).build()))
    }

    #[cfg(not(feature = "otlp"))]
    fn otlp_http(&self) -> Result<Box<dyn Reporter>, ConfigError> {
        Err(missing("OTEL_EXPORTER_OTLP_PROTOCOL", "http", "otlp"))
    }

    #[cfg(feature = "zipkin")]
    fn zipkin(&self) -> Result<Box<dyn Reporter>, ConfigError> {
        let builder = crate::ZipkinReporter::builder(&self.zipkin_endpoint)
            .map_err(ConfigError::refused("OTEL_EXPORTER_ZIPKIN_ENDPOINT"))?;
        let http = crate::HttpOptions::default().timeout(self.zipkin_timeout);
        Ok(Box::new(builder.http(http).batch(self.batch()).build()))
    }

    #[cfg(not(feature = "zipkin"))]
    fn zipkin(&self) -> Result<Box<dyn Reporter>, ConfigError> {
        Err(missing("OTEL_TRACES_EXPORTER", "zipkin", "zipkin"))
    }

    #[cfg(feature = "jaeger")]
    fn jaeger(&self) -> Result<Box<dyn Reporter>, ConfigError> {
        let Some(endpoint) = &self.jaeger_endpoint else {
            return Ok(Box::new(crate::JaegerAgentReporter::new(&self.jaeger_agent)));
        };
        let builder = crate::JaegerCollectorReporter::builder(endpoint)
            .map_err(ConfigError::refused("OTEL_EXPORTER_JAEGER_ENDPOINT"))?;
        Ok(Box::new(builder.batch(self.batch()).build()))
    }

    #[cfg(not(feature = "jaeger"))]
    fn jaeger(&self) -> Result<Box<dyn Reporter>, ConfigError> {
        Err(missing("OTEL_TRACES_EXPORTER", "jaeger", "jaeger"))
    }
}

#[cfg(feature = "jaeger")]
fn jaeger_remote(remote: &OtelJaegerRemote, service: &str) -> Result<AnySampler, ConfigError> {
    use crate::sampler::{OPERATIONS_MAX, PollingSampler, RemoteSampler};
    let initial = ProbabilisticSampler::new(remote.initial_rate).map_err(refused_sampler())?;
    let polling = PollingSampler::new(&remote.endpoint, service).map_err(refused_sampler())?;
    Ok(polling.interval(remote.polling_interval).sampler(RemoteSampler::new(initial, OPERATIONS_MAX)).into())
}

#[cfg(not(feature = "jaeger"))]
fn jaeger_remote(_: &OtelJaegerRemote, _: &str) -> Result<AnySampler, ConfigError> {
    Err(missing("OTEL_TRACES_SAMPLER", "jaeger_remote", "jaeger"))
}

fn refused_sampler<E: std::error::Error + Send + Sync + 'static>() -> impl FnOnce(E) -> ConfigError {
    ConfigError::refused("OTEL_TRACES_SAMPLER_ARG")
}

#[cfg(not(all(feature = "otlp", feature = "otlp-grpc", feature = "zipkin", feature = "jaeger")))]
fn missing(name: &'static str, value: &str, feature: &'static str) -> ConfigError {
    ConfigError::Feature { name, value: value.to_owned(), feature }
}

#[expect(clippy::print_stdout, reason = "what the exporter named console is for")]
fn print(line: std::fmt::Arguments<'_>) {
    println!("{line}");
}
