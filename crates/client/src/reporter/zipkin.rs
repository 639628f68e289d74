//! Spans to Zipkin, and to everything that takes its v2 format: JSON or proto3 over HTTP.

use std::fmt;

use tracewell_wire::zipkin_v2;
use ureq::http::Uri;

use super::delivery::{BatchOptions, Delivery, Encode, report_by_delivery};
use super::http::{AddressError, HttpOptions, HttpTransport, Rules, http_address};
use crate::recorder::SpanRecords;
use crate::resource::Resource;

const PATH: &str = "/api/v2/spans";
const DEFAULT_ADDRESS: &str = "http://localhost:9411/api/v2/spans";

/// Sends spans to a Zipkin server, or another that takes Zipkin's v2 format.
///
/// ```no_run
/// use tracewell::{Tracer, ZipkinReporter};
/// let tracer = Tracer::builder("shop").build(ZipkinReporter::new("http://zipkin:9411")?);
/// tracer.new_trace("GET /").finish();
/// let stats = tracer.close();
/// println!("{} arrived, {} lost", stats.reported, stats.failed + stats.dropped);
/// # Ok::<(), tracewell::AddressError>(())
/// ```
pub struct ZipkinReporter {
    delivery: Delivery,
}

/// Settings of a [`ZipkinReporter`].
///
/// ```no_run
/// use tracewell::{BatchOptions, HttpOptions, Tracer, ZipkinEncoding, ZipkinReporter};
/// let reporter = ZipkinReporter::builder("http://zipkin:9411/api/v2/spans")?
///     .encoding(ZipkinEncoding::Proto3)
///     .http(HttpOptions::default().gzip(true))
///     .batch(BatchOptions::default().spans_max(500))
///     .build();
/// let tracer = Tracer::builder("shop").build(reporter);
/// # Ok::<(), tracewell::AddressError>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct ZipkinReporterBuilder {
    address: Uri,
    encoding: ZipkinEncoding,
    http: HttpOptions,
    batch: BatchOptions,
}

/// How spans are written.
///
/// ```
/// use tracewell::{ZipkinEncoding, ZipkinReporter};
/// let reporter = ZipkinReporter::builder("http://zipkin:9411")?.encoding(ZipkinEncoding::Proto3).build();
/// # drop(reporter);
/// # Ok::<(), tracewell::AddressError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ZipkinEncoding {
    /// A list of JSON objects: what every server takes.
    #[default]
    Json,
    /// `zipkin.proto3.ListOfSpans`: fewer bytes.
    Proto3,
}

impl ZipkinReporter {
    /// To this address. Without a path the usual one is taken: `/api/v2/spans`.
    ///
    /// ```
    /// use tracewell::{Tracer, ZipkinReporter};
    /// let tracer = Tracer::builder("shop").build(ZipkinReporter::new("http://zipkin:9411")?);
    /// assert!(ZipkinReporter::new("zipkin:9411").is_err());
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub fn new(address: &str) -> Result<Self, AddressError> {
        Ok(Self::builder(address)?.build())
    }

    /// To this address, with other settings.
    ///
    /// ```
    /// let reporter = tracewell::ZipkinReporter::builder("http://zipkin:9411/api/v2/spans")?.build();
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub fn builder(address: &str) -> Result<ZipkinReporterBuilder, AddressError> {
        http_address(address, PATH).map(ZipkinReporterBuilder::new)
    }
}

/// To `http://localhost:9411/api/v2/spans`.
impl Default for ZipkinReporter {
    fn default() -> Self {
        ZipkinReporterBuilder::new(Uri::from_static(DEFAULT_ADDRESS)).build()
    }
}

impl ZipkinReporterBuilder {
    fn new(address: Uri) -> Self {
        let (http, batch) = (HttpOptions::default(), BatchOptions::default());
        Self { address, encoding: ZipkinEncoding::default(), http, batch }
    }

    /// JSON or proto3; JSON if not said.
    ///
    /// ```
    /// use tracewell::{ZipkinEncoding, ZipkinReporter};
    /// let reporter = ZipkinReporter::builder("http://zipkin:9411")?.encoding(ZipkinEncoding::Proto3).build();
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub const fn encoding(mut self, encoding: ZipkinEncoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Headers, compression, patience.
    ///
    /// ```
    /// use tracewell::{HttpOptions, ZipkinReporter};
    /// let reporter = ZipkinReporter::builder("http://zipkin:9411")?.http(HttpOptions::default().gzip(true)).build();
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub fn http(mut self, http: HttpOptions) -> Self {
        self.http = http;
        self
    }

    /// How spans are gathered and kept.
    ///
    /// ```
    /// use tracewell::{BatchOptions, ZipkinReporter};
    /// let batch = BatchOptions::default().spans_max(500);
    /// let reporter = ZipkinReporter::builder("http://zipkin:9411")?.batch(batch).build();
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub fn batch(mut self, batch: BatchOptions) -> Self {
        self.batch = batch;
        self
    }

    /// The reporter. Its thread starts with the first span.
    ///
    /// ```
    /// use tracewell::{Tracer, ZipkinReporter};
    /// let tracer = Tracer::builder("shop").build(ZipkinReporter::builder("http://zipkin:9411")?.build());
    /// assert_eq!(tracer.reporter_stats()[0].name, "zipkin");
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub fn build(self) -> ZipkinReporter {
        let (content_type, encoder): (_, Box<dyn Encode>) = match self.encoding {
            ZipkinEncoding::Json => ("application/json", Box::new(encode_json)),
            ZipkinEncoding::Proto3 => ("application/x-protobuf", Box::new(encode_proto3)),
        };
        // Zipkin answers an overload of its storage with 500, and a success with an empty 202.
        let rules = Rules { retries_500: true, rejected: |_| None };
        let transport = HttpTransport::new(self.address, content_type, self.http, rules);
        ZipkinReporter { delivery: Delivery::new("zipkin", self.batch, encoder, Box::new(transport)) }
    }
}

fn encode_json(resource: &Resource, spans: &SpanRecords<'_>, body: &mut Vec<u8>) {
    zipkin_v2::encode_spans(spans.views(&resource.endpoint), body);
}

fn encode_proto3(resource: &Resource, spans: &SpanRecords<'_>, body: &mut Vec<u8>) {
    spans.views(&resource.endpoint).for_each(|span| zipkin_v2::encode_proto3(span, body));
}

report_by_delivery!(ZipkinReporter);

impl fmt::Debug for ZipkinReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZipkinReporter").field("stats", &self.delivery.counters().stats()).finish()
    }
}
