//! What is made of a configuration: the tracer, its reporter, its headers.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::{ConfigError, process};
use super::{JaegerConfig, JaegerSampler};
#[cfg(any(feature = "tower", feature = "reqwest", feature = "actix", feature = "sqlx"))]
use crate::middleware::{ClientTracing, ServerTracing};
use crate::propagation::{JaegerHeaders, Propagation};
use crate::sampler::{
    AnySampler, ConstSampler, PollingSampler, ProbabilisticSampler, RateLimitingSampler, RemoteSampler,
};
use crate::{
    BatchOptions, CompositeReporter, DebugThrottler, HttpOptions, JaegerAgentReporter, JaegerCollectorReporter,
    LoggingReporter, NullReporter, OwnedEndpoint, Reporter, Tracer, TracerBuilder,
};

/// `jaeger.version`: the language and the library's version.
const VERSION: &str = concat!("Rust-", env!("CARGO_PKG_VERSION"));
/// What a tracer has without being told: never less.
const RING_BYTES_MIN: usize = 1 << 20;
const QUEUE_BYTES_MIN: usize = 16 << 20;
/// A span that waits.
const SPAN_BYTES: usize = 1 << 10;

impl JaegerConfig {
    /// The tracer. One that is not enabled records nothing and sends nothing.
    ///
    /// ```
    /// use tracewell::Value;
    /// use tracewell::config::{JaegerConfig, JaegerSampler};
    /// let config = JaegerConfig { sampler: JaegerSampler::Const(true), ..JaegerConfig::new("your-app-name") };
    /// let tracer = config.tracer()?;
    /// assert!(tracer.new_trace("TestSpan").is_recorded());
    /// assert!(tracer.resource().tags.iter().any(|(key, _)| key == "jaeger.version"));
    /// assert!(JaegerConfig::new("").tracer().is_err());
    /// # Ok::<(), tracewell::config::ConfigError>(())
    /// ```
    pub fn tracer(&self) -> Result<Tracer, ConfigError> {
        let builder = self.tracer_builder()?;
        if !self.enabled {
            return Ok(builder.sampler(ConstSampler::new(false)).build(NullReporter));
        }
        Ok(builder.build(self.reporter()?))
    }

    /// The same before it is made: for a sampler of your own (`sampler` as an object, there), for `one_span_per_rpc`, for
    /// another reporter (`create_tracer`, there). Takes no notice of `enabled`.
    ///
    /// ```
    /// use tracewell::config::JaegerConfig;
    /// use tracewell::{InMemoryReporter, sampler::ConstSampler};
    /// let builder = JaegerConfig::new("shop").tracer_builder()?;
    /// let tracer = builder.sampler(ConstSampler::new(true)).one_span_per_rpc(true).build(InMemoryReporter::default());
    /// # Ok::<(), tracewell::config::ConfigError>(())
    /// ```
    pub fn tracer_builder(&self) -> Result<TracerBuilder, ConfigError> {
        if self.service_name.is_empty() {
            return Err(ConfigError::NoServiceName);
        }
        let (queue, batch) = (self.reporter_queue_size, self.reporter_batch_size);
        if queue < batch {
            return Err(ConfigError::QueueBelowBatch { queue, batch });
        }
        let ip = process::own_ip();
        let endpoint =
            OwnedEndpoint { service: self.service_name.clone(), ipv4: Some(ip.octets()), ..OwnedEndpoint::default() };
        let mut builder = Tracer::builder(&self.service_name)
            .local_endpoint(endpoint)
            .sampler(self.any_sampler()?)
            .wide_trace_ids(self.generate_128bit_trace_id)
            .tag_value_bytes_max(self.max_tag_value_length)
            .error_chain_bytes_max(self.max_traceback_length)
            .queue_bytes(queue.saturating_mul(SPAN_BYTES).max(RING_BYTES_MIN))
            .flush_interval(self.reporter_flush_interval);
        #[cfg(feature = "metrics")]
        {
            builder = builder.metrics(self.metrics);
        }
        let given = |key: &str| self.tags.iter().any(|(known, _)| known == key);
        let own = [("jaeger.version", VERSION.to_owned()), ("hostname", process::host_name()), ("ip", ip.to_string())];
        for (key, value) in own.iter().filter(|(key, _)| !given(key)) {
            builder = builder.resource_tag(key, value.as_str());
        }
        for (key, value) in &self.tags {
            builder = builder.resource_tag(key, value.as_ref());
        }
        self.with_throttler(builder)
    }

    /// What sends its spans: to the collector if one is named, else to the agent; and into the log if `logging` says so.
    ///
    /// ```
    /// use tracewell::config::JaegerConfig;
    /// let config = JaegerConfig { endpoint: Some("collector".into()), ..JaegerConfig::new("shop") };
    /// let error = config.reporter().err().unwrap();
    /// assert_eq!(error.to_string(), "JAEGER_ENDPOINT: collector: an address begins with http://");
    /// ```
    pub fn reporter(&self) -> Result<Box<dyn Reporter>, ConfigError> {
        let sender: Box<dyn Reporter> = match &self.endpoint {
            Some(endpoint) => Box::new(self.collector(endpoint)?),
            None => {
                let agent = &self.local_agent;
                Box::new(JaegerAgentReporter::new(&host_port(&agent.reporting_host, agent.reporting_port)))
            }
        };
        if !self.logging {
            return Ok(sender);
        }
        Ok(Box::new(CompositeReporter::default().with(sender).with(logging()?)))
    }

    /// The headers that it says.
    ///
    /// ```
    /// use tracewell::config::JaegerConfig;
    /// use tracewell::propagation::Format;
    /// let config = JaegerConfig::new("shop").with_json(r#"{"propagation": "b3"}"#)?;
    /// assert_eq!(config.propagation().written_formats(), [Format::B3Multi]);
    /// # Ok::<(), tracewell::config::ConfigError>(())
    /// ```
    pub fn propagation(&self) -> Propagation {
        let names = JaegerHeaders::default()
            .with_trace_id(&self.trace_id_header)
            .with_baggage_prefix(&self.baggage_header_prefix)
            .with_debug_id(&self.debug_id_header);
        Propagation::new(&self.propagation).with_jaeger_headers(names)
    }

    /// Its headers for a server's middleware.
    ///
    /// ```
    /// # #[cfg(feature = "tower")] {
    /// use tracewell::config::JaegerConfig;
    /// use tracewell::middleware::tower::ServerLayer;
    /// let config = JaegerConfig::new("shop");
    /// let layer = ServerLayer::from(config.server_tracing(&config.tracer()?));
    /// # let _ = layer;
    /// # }
    /// # Ok::<(), tracewell::config::ConfigError>(())
    /// ```
    #[cfg(any(feature = "tower", feature = "reqwest", feature = "actix", feature = "sqlx"))]
    pub fn server_tracing(&self, tracer: &Tracer) -> ServerTracing {
        ServerTracing::new(tracer).propagation(self.propagation())
    }

    /// Its headers for requests that are sent.
    ///
    /// ```
    /// # #[cfg(feature = "tower")] {
    /// use tracewell::config::JaegerConfig;
    /// use tracewell::middleware::tower::ClientLayer;
    /// let config = JaegerConfig::new("shop");
    /// let layer = ClientLayer::from(config.client_tracing(&config.tracer()?));
    /// # let _ = layer;
    /// # }
    /// # Ok::<(), tracewell::config::ConfigError>(())
    /// ```
    #[cfg(any(feature = "tower", feature = "reqwest", feature = "actix", feature = "sqlx"))]
    pub fn client_tracing(&self, tracer: &Tracer) -> ClientTracing {
        ClientTracing::new(tracer).propagation(self.propagation())
    }

    fn any_sampler(&self) -> Result<AnySampler, ConfigError> {
        let refused = || ConfigError::refused("sampler.param");
        Ok(match self.sampler {
            JaegerSampler::Const(decision) => ConstSampler::new(decision).into(),
            JaegerSampler::Probabilistic(rate) => ProbabilisticSampler::new(rate).map_err(refused())?.into(),
            JaegerSampler::RateLimiting(rate) => RateLimitingSampler::new(rate).map_err(refused())?.into(),
            JaegerSampler::Remote { initial_rate } => {
                let initial = ProbabilisticSampler::new(initial_rate).map_err(refused())?;
                let agent = &self.local_agent;
                let address = self.sampling_endpoint.clone();
                let address = address.unwrap_or_else(|| http(&agent.reporting_host, agent.sampling_port));
                let polling = PollingSampler::new(&address, &self.service_name)
                    .map_err(ConfigError::refused("the address of the remote sampler"))?;
                let remote = RemoteSampler::new(initial, self.max_operations);
                polling.interval(self.sampling_refresh_interval).sampler(remote).into()
            }
        })
    }

    fn with_throttler(&self, builder: TracerBuilder) -> Result<TracerBuilder, ConfigError> {
        let Some(throttler) = self.throttler.filter(|_| self.enabled) else { return Ok(builder) };
        let uuid = format!("{:032x}", fastrand::u128(..));
        let address = http(&self.local_agent.reporting_host, throttler.port);
        let credits = DebugThrottler::polling(&address, &self.service_name, &uuid)
            .map_err(ConfigError::refused("the address of the throttler"))?
            .interval(throttler.refresh_interval);
        Ok(builder.resource_tag("client-uuid", uuid.as_str()).throttler(Arc::new(credits)))
    }

    fn collector(&self, endpoint: &str) -> Result<JaegerCollectorReporter, ConfigError> {
        let mut http = HttpOptions::default();
        if let Some(token) = &self.auth_token {
            http = http.bearer_token(token).map_err(ConfigError::refused("JAEGER_AUTH_TOKEN"))?;
        } else if let Some((user, password)) = &self.basic_auth {
            http = http.basic_auth(user, password).map_err(ConfigError::refused("JAEGER_USER"))?;
        }
        let batch = BatchOptions::default()
            .spans_max(self.reporter_batch_size)
            .interval(self.reporter_flush_interval)
            .queue_bytes_max(self.reporter_queue_size.saturating_mul(SPAN_BYTES).max(QUEUE_BYTES_MIN));
        let builder = JaegerCollectorReporter::builder(&with_format(endpoint))
            .map_err(ConfigError::refused("JAEGER_ENDPOINT"))?;
        Ok(builder.http(http).batch(batch).build())
    }
}

/// The clients for Go and Java say the format behind the path that they are given.
fn with_format(endpoint: &str) -> Cow<'_, str> {
    let path = endpoint.split_once("://").and_then(|(_, rest)| Some(rest.split_once('/')?.1)).unwrap_or_default();
    if path.is_empty() || path.contains('?') {
        return Cow::Borrowed(endpoint);
    }
    Cow::Owned(format!("{endpoint}?format=jaeger.thrift"))
}

#[cfg(feature = "log")]
#[expect(clippy::unnecessary_wraps, reason = "the other one fails")]
fn logging() -> Result<LoggingReporter, ConfigError> {
    Ok(LoggingReporter::default())
}

#[cfg(not(feature = "log"))]
fn logging() -> Result<LoggingReporter, ConfigError> {
    Err(ConfigError::Feature { name: "logging", value: "true".to_owned(), feature: "log" })
}

fn http(host: &str, port: u16) -> String {
    format!("http://{}", host_port(host, port))
}

/// An IPv6 address has brackets before a port.
fn host_port(host: &str, port: u16) -> String {
    match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}
