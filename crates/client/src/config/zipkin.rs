//! starlette-zipkin's configuration: its fields, its defaults.

use super::{ConfigError, process};
#[cfg(any(feature = "tower", feature = "reqwest", feature = "actix", feature = "sqlx"))]
use crate::middleware::{ClientTracing, ServerTracing};
use crate::propagation::{Format, JaegerHeaders, Propagation};
use crate::sampler::ProbabilisticSampler;
use crate::{OwnedEndpoint, Tracer, TracerBuilder, ZipkinEncoding, ZipkinReporter};

/// The configuration of starlette-zipkin 0.3, field by field with its defaults.
///
/// ```
/// use tracewell::config::{HeaderFormatter, ZipkinConfig};
/// let config = ZipkinConfig {
///     host: "zipkin".into(),
///     service_name: "shop".into(),
///     sample_rate: 0.1,
///     header_formatter: HeaderFormatter::Uber { split_char: ":".into() },
///     ..ZipkinConfig::default()
/// };
/// assert_eq!(config.address(), "http://zipkin:9411/api/v2/spans");
/// let tracer = config.tracer()?;
/// # Ok::<(), tracewell::config::ConfigError>(())
/// ```
///
/// With axum: `Router::layer(ServerLayer::from(config.server_tracing(&tracer)))`, see `ZipkinConfig::server_tracing`.
#[derive(Debug, Clone, PartialEq)]
pub struct ZipkinConfig {
    /// Where the server is; `localhost`.
    pub host: String,
    /// Its port; 9411.
    pub port: u16,
    /// Who records; `service_name`, which is starlette-zipkin's default.
    pub service_name: String,
    /// The share of traces that are recorded, 0.0 to 1.0; 1.0.
    pub sample_rate: f64,
    /// Whether responses carry the headers of the request's span; true.
    pub inject_response_headers: bool,
    /// Whether every request begins a trace of its own; false.
    pub force_new_trace: bool,
    /// How spans are written. It stands where `json_encoder` does there: a function that turns a span's tree of objects
    /// into text, where here is no such tree.
    pub encoding: ZipkinEncoding,
    /// Which headers are read and written; B3.
    pub header_formatter: HeaderFormatter,
}

/// `header_formatter` and its `header_formatter_kwargs`.
///
/// ```
/// use tracewell::config::HeaderFormatter;
/// assert_eq!(HeaderFormatter::uber(), HeaderFormatter::Uber { split_char: "%3A".into() });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum HeaderFormatter {
    /// `B3Headers`: `x-b3-traceid` and its like.
    #[default]
    B3,
    /// `UberHeaders`: `uber-trace-id` as starlette-zipkin writes it. Without such a header B3 is read. With `:` it is
    /// Jaeger's own form.
    Uber {
        /// What stands between the ids; `%3A` there if not said. Every form is read.
        split_char: String,
    },
}

impl Default for ZipkinConfig {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 9411,
            service_name: "service_name".to_owned(),
            sample_rate: 1.0,
            inject_response_headers: true,
            force_new_trace: false,
            encoding: ZipkinEncoding::Json,
            header_formatter: HeaderFormatter::B3,
        }
    }
}

impl HeaderFormatter {
    /// `UberHeaders` without arguments.
    ///
    /// ```
    /// use tracewell::config::{HeaderFormatter, ZipkinConfig};
    /// let config = ZipkinConfig { header_formatter: HeaderFormatter::uber(), ..ZipkinConfig::default() };
    /// # let _ = config;
    /// ```
    pub fn uber() -> Self {
        Self::Uber { split_char: "%3A".to_owned() }
    }
}

impl ZipkinConfig {
    /// Where spans are sent.
    ///
    /// ```
    /// use tracewell::config::ZipkinConfig;
    /// assert_eq!(ZipkinConfig::default().address(), "http://localhost:9411/api/v2/spans");
    /// ```
    pub fn address(&self) -> String {
        format!("http://{}:{}/api/v2/spans", self.host, self.port)
    }

    /// A tracer that sends its spans there.
    ///
    /// ```
    /// use tracewell::config::ZipkinConfig;
    /// let tracer = ZipkinConfig { service_name: "shop".into(), ..ZipkinConfig::default() }.tracer()?;
    /// assert_eq!(tracer.resource().endpoint.service, "shop");
    /// let wrong = ZipkinConfig { sample_rate: 10.0, ..ZipkinConfig::default() }.tracer();
    /// assert_eq!(wrong.unwrap_err().to_string(), "sample_rate: sampling rate is 10: it must be between 0.0 and 1.0");
    /// # Ok::<(), tracewell::config::ConfigError>(())
    /// ```
    pub fn tracer(&self) -> Result<Tracer, ConfigError> {
        Ok(self.tracer_builder()?.build(self.reporter()?))
    }

    /// The same before it is made: for another sampler, or tags of the process.
    ///
    /// ```
    /// use tracewell::config::ZipkinConfig;
    /// let config = ZipkinConfig::default();
    /// let tracer = config.tracer_builder()?.resource_tag("region", "eu").build(config.reporter()?);
    /// # Ok::<(), tracewell::config::ConfigError>(())
    /// ```
    pub fn tracer_builder(&self) -> Result<TracerBuilder, ConfigError> {
        let sampler = ProbabilisticSampler::new(self.sample_rate).map_err(ConfigError::refused("sample_rate"))?;
        let endpoint = OwnedEndpoint {
            service: self.service_name.clone(),
            ipv4: Some(process::own_ip().octets()),
            ..OwnedEndpoint::default()
        };
        Ok(Tracer::builder(&self.service_name).local_endpoint(endpoint).sampler(sampler))
    }

    /// What sends its spans: see [`ZipkinConfig::tracer_builder`].
    ///
    /// ```
    /// use tracewell::config::ZipkinConfig;
    /// assert!(ZipkinConfig { host: "not a host".into(), ..ZipkinConfig::default() }.reporter().is_err());
    /// ```
    pub fn reporter(&self) -> Result<ZipkinReporter, ConfigError> {
        let builder = ZipkinReporter::builder(&self.address()).map_err(ConfigError::refused("host"))?;
        Ok(builder.encoding(self.encoding).build())
    }

    /// The headers of `header_formatter`.
    ///
    /// ```
    /// use tracewell::config::{HeaderFormatter, ZipkinConfig};
    /// let config = ZipkinConfig { header_formatter: HeaderFormatter::uber(), ..ZipkinConfig::default() };
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let mut headers = Vec::new();
    /// tracer.new_trace("GET /").inject(&config.propagation(), &mut headers);
    /// assert_eq!(headers[0].0, "uber-trace-id");
    /// assert_eq!(headers[0].1.split("%3A").count(), 4);
    /// ```
    pub fn propagation(&self) -> Propagation {
        match &self.header_formatter {
            HeaderFormatter::B3 => Propagation::new(&[Format::B3Multi]),
            HeaderFormatter::Uber { split_char } => Propagation::new(&[Format::Jaeger, Format::B3Multi])
                .writing(&[Format::Jaeger])
                .with_jaeger_headers(JaegerHeaders::default().with_starlette_split(split_char)),
        }
    }

    /// What `ZipkinMiddleware` does with requests, for a server's middleware: names, tags, headers, the tag `ip`.
    ///
    /// ```
    /// # #[cfg(feature = "tower")] {
    /// use tracewell::config::ZipkinConfig;
    /// use tracewell::middleware::tower::ServerLayer;
    /// let config = ZipkinConfig { service_name: "shop".into(), ..ZipkinConfig::default() };
    /// let tracer = config.tracer()?;
    /// let layer = ServerLayer::from(config.server_tracing(&tracer));
    /// # let _ = layer;
    /// # }
    /// # Ok::<(), tracewell::config::ConfigError>(())
    /// ```
    #[cfg(any(feature = "tower", feature = "reqwest", feature = "actix", feature = "sqlx"))]
    pub fn server_tracing(&self, tracer: &Tracer) -> ServerTracing {
        let written = if self.inject_response_headers { self.propagation() } else { Propagation::new(&[]) };
        ServerTracing::starlette(tracer)
            .propagation(self.propagation())
            .force_new_trace(self.force_new_trace)
            .tag("ip", &process::own_ip().to_string())
            .inject_response_headers(written)
    }

    /// The same headers for requests that are sent.
    ///
    /// ```
    /// # #[cfg(feature = "tower")] {
    /// use tracewell::config::ZipkinConfig;
    /// use tracewell::middleware::tower::ClientLayer;
    /// let config = ZipkinConfig::default();
    /// let layer = ClientLayer::from(config.client_tracing(&config.tracer()?));
    /// # let _ = layer;
    /// # }
    /// # Ok::<(), tracewell::config::ConfigError>(())
    /// ```
    #[cfg(any(feature = "tower", feature = "reqwest", feature = "actix", feature = "sqlx"))]
    pub fn client_tracing(&self, tracer: &Tracer) -> ClientTracing {
        ClientTracing::new(tracer).propagation(self.propagation())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::propagation::TraceContext;
    use crate::{SpanId, TraceId};

    fn written(formatter: HeaderFormatter) -> Vec<(String, String)> {
        let config = ZipkinConfig { header_formatter: formatter, ..ZipkinConfig::default() };
        let context = TraceContext::new(TraceId::new(0xabc), SpanId::new(1)).with_sampled(Some(true));
        let mut headers = Vec::new();
        config.propagation().inject(&context, &mut headers);
        headers
    }

    #[test]
    fn each_formatter_writes_its_headers() {
        let b3 = written(HeaderFormatter::B3);
        assert!(b3.iter().any(|(name, value)| name.eq_ignore_ascii_case("x-b3-sampled") && value == "1"), "{b3:?}");
        let colon = written(HeaderFormatter::Uber { split_char: ":".into() });
        assert_eq!(colon[0].1, "0000000000000abc:0000000000000001:0:1");
        let default = written(HeaderFormatter::uber());
        assert_eq!(default[0].1, "0000000000000abc%3A0000000000000001%3A0%3A1");
    }

    #[test]
    fn uber_headers_fall_back_to_b3() {
        let config = ZipkinConfig { header_formatter: HeaderFormatter::uber(), ..ZipkinConfig::default() };
        let headers = [("x-b3-traceid", "0000000000000abc"), ("x-b3-spanid", "0000000000000001")];
        assert_eq!(config.propagation().extract(&headers[..]).format, Some(Format::B3Multi));
    }
}
