//! Spans as OTLP over HTTP: protobuf, or JSON.

use std::fmt;

use tracewell_wire::otlp;
use ureq::http::Uri;

use super::delivery::{BatchOptions, Delivery, report_by_delivery};
use super::http::{AddressError, HttpOptions, HttpTransport, Rules, http_address};
use super::otlp_request::{Form, OtlpEncoder};

const PATH: &str = "/v1/traces";

/// Sends spans as OTLP over HTTP, to an OpenTelemetry collector or a server that takes OTLP.
///
/// ```no_run
/// use tracewell::{HttpOptions, OtlpHttpReporter, Tracer};
/// let http = HttpOptions::default().header("api-key", "secret")?.gzip(true);
/// let reporter = OtlpHttpReporter::builder("http://collector:4318")?.http(http).build();
/// let tracer = Tracer::builder("shop").build(reporter);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct OtlpHttpReporter {
    delivery: Delivery,
}

/// Settings of an [`OtlpHttpReporter`]; see there.
///
/// ```
/// use tracewell::{BatchOptions, HttpOptions, OtlpHttpReporter, Tracer};
/// let reporter = OtlpHttpReporter::builder("http://collector:4318")?
///     .json(true)
///     .http(HttpOptions::default().gzip(true))
///     .batch(BatchOptions::default().spans_max(500))
///     .build();
/// let tracer = Tracer::builder("shop").build(reporter);
/// # Ok::<(), tracewell::AddressError>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct OtlpHttpReporterBuilder {
    address: Uri,
    json: bool,
    http: HttpOptions,
    batch: BatchOptions,
}

impl OtlpHttpReporter {
    /// To this address. Without a path the usual one is taken: `/v1/traces`.
    ///
    /// ```
    /// use tracewell::{OtlpHttpReporter, Tracer};
    /// let tracer = Tracer::builder("shop").build(OtlpHttpReporter::new("http://collector:4318")?);
    /// assert!(OtlpHttpReporter::new("collector:4318").is_err());
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub fn new(address: &str) -> Result<Self, AddressError> {
        Ok(Self::builder(address)?.build())
    }

    /// To this address, with other settings.
    ///
    /// ```
    /// let reporter = tracewell::OtlpHttpReporter::builder("http://collector:4318/v1/traces")?.build();
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub fn builder(address: &str) -> Result<OtlpHttpReporterBuilder, AddressError> {
        let address = http_address(address, PATH)?;
        let (http, batch) = (HttpOptions::default(), BatchOptions::default());
        Ok(OtlpHttpReporterBuilder { address, json: false, http, batch })
    }
}

impl OtlpHttpReporterBuilder {
    /// JSON, which costs more, instead of protobuf.
    ///
    /// ```
    /// let reporter = tracewell::OtlpHttpReporter::builder("http://collector:4318")?.json(true).build();
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub const fn json(mut self, json: bool) -> Self {
        self.json = json;
        self
    }

    /// Headers, compression, patience.
    ///
    /// ```
    /// use tracewell::{HttpOptions, OtlpHttpReporter};
    /// let http = HttpOptions::default().header("api-key", "secret")?;
    /// let reporter = OtlpHttpReporter::builder("http://collector:4318")?.http(http).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn http(mut self, http: HttpOptions) -> Self {
        self.http = http;
        self
    }

    /// How spans are gathered and kept.
    ///
    /// ```
    /// use tracewell::{BatchOptions, OtlpHttpReporter};
    /// let batch = BatchOptions::default().spans_max(500);
    /// let reporter = OtlpHttpReporter::builder("http://collector:4318")?.batch(batch).build();
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub fn batch(mut self, batch: BatchOptions) -> Self {
        self.batch = batch;
        self
    }

    /// The reporter. Its thread starts with the first span.
    ///
    /// ```
    /// use tracewell::{OtlpHttpReporter, Tracer};
    /// let tracer = Tracer::builder("shop").build(OtlpHttpReporter::builder("http://collector:4318")?.build());
    /// assert_eq!(tracer.reporter_stats()[0].reported, 0);
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub fn build(self) -> OtlpHttpReporter {
        let (content_type, form, rejected): (_, _, fn(&[u8]) -> _) = match self.json {
            true => ("application/json", Form::Json, |answer| partial(otlp::decode_response_json(answer).ok())),
            false => ("application/x-protobuf", Form::Protobuf, |answer| {
                partial(otlp::decode_response_protobuf(answer).ok())
            }),
        };
        // The specification of OTLP/HTTP has 429, 502, 503 and 504 repeated, nothing else.
        let rules = Rules { retries_500: false, rejected };
        let transport = HttpTransport::new(self.address, content_type, self.http, rules);
        let encoder = Box::new(OtlpEncoder::new(form));
        OtlpHttpReporter { delivery: Delivery::new("otlp", self.batch, encoder, Box::new(transport)) }
    }
}

/// An answer that cannot be read says nothing against the spans.
fn partial(answer: Option<otlp::PartialSuccess>) -> Option<(u64, String)> {
    answer.map(|answer| (answer.rejected_spans, answer.error_message))
}

report_by_delivery!(OtlpHttpReporter);

impl fmt::Debug for OtlpHttpReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpHttpReporter").field("stats", &self.delivery.counters().stats()).finish()
    }
}
