//! Spans to Jaeger's collector: thrift over HTTP.

use std::fmt;

use tracewell_wire::jaeger::BatchForm;
use ureq::http::Uri;

use super::delivery::{BatchOptions, Delivery, Encode, report_by_delivery};
use super::http::{AddressError, HttpOptions, HttpTransport, Rules, http_address};
use super::jaeger_process::ProcessEncoder;
use crate::recorder::SpanRecords;
use crate::resource::Resource;

const PATH: &str = "/api/traces?format=jaeger.thrift";
const CONTENT_TYPE: &str = "application/vnd.apache.thrift.binary";

/// Sends spans to Jaeger's collector, without an agent between.
///
/// ```no_run
/// use tracewell::{HttpOptions, JaegerCollectorReporter, Tracer};
/// let http = HttpOptions::default().basic_auth("user", "password")?;
/// let reporter = JaegerCollectorReporter::builder("http://jaeger:14268")?.http(http).build();
/// let tracer = Tracer::builder("shop").build(reporter);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct JaegerCollectorReporter {
    delivery: Delivery,
}

/// Settings of a [`JaegerCollectorReporter`]; see there.
///
/// ```
/// use tracewell::{BatchOptions, HttpOptions, JaegerCollectorReporter, Tracer};
/// let reporter = JaegerCollectorReporter::builder("http://jaeger:14268")?
///     .http(HttpOptions::default().basic_auth("user", "password")?)
///     .batch(BatchOptions::default().spans_max(500))
///     .build();
/// let tracer = Tracer::builder("shop").build(reporter);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct JaegerCollectorReporterBuilder {
    address: Uri,
    http: HttpOptions,
    batch: BatchOptions,
}

impl JaegerCollectorReporter {
    /// To this address. Without a path the usual one is taken: `/api/traces?format=jaeger.thrift`.
    ///
    /// ```
    /// use tracewell::{JaegerCollectorReporter, Tracer};
    /// let tracer = Tracer::builder("shop").build(JaegerCollectorReporter::new("http://jaeger:14268")?);
    /// assert!(JaegerCollectorReporter::new("jaeger:14268").is_err());
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub fn new(address: &str) -> Result<Self, AddressError> {
        Ok(Self::builder(address)?.build())
    }

    /// To this address, with other settings.
    ///
    /// ```
    /// let reporter = tracewell::JaegerCollectorReporter::builder("http://jaeger:14268/api/traces")?.build();
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub fn builder(address: &str) -> Result<JaegerCollectorReporterBuilder, AddressError> {
        let address = http_address(address, PATH)?;
        let (http, batch) = (HttpOptions::default(), BatchOptions::default());
        Ok(JaegerCollectorReporterBuilder { address, http, batch })
    }
}

impl JaegerCollectorReporterBuilder {
    /// Headers, compression, patience. Jaeger's collector before its second version takes no gzip.
    ///
    /// ```
    /// use tracewell::{HttpOptions, JaegerCollectorReporter};
    /// let http = HttpOptions::default().bearer_token("eyJhbGciOi")?;
    /// let reporter = JaegerCollectorReporter::builder("http://jaeger:14268")?.http(http).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn http(mut self, http: HttpOptions) -> Self {
        self.http = http;
        self
    }

    /// How spans are gathered and kept.
    ///
    /// ```
    /// use tracewell::{BatchOptions, JaegerCollectorReporter};
    /// let batch = BatchOptions::default().spans_max(500);
    /// let reporter = JaegerCollectorReporter::builder("http://jaeger:14268")?.batch(batch).build();
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub fn batch(mut self, batch: BatchOptions) -> Self {
        self.batch = batch;
        self
    }

    /// The reporter. Its thread starts with the first span.
    ///
    /// ```
    /// use tracewell::{JaegerCollectorReporter, Tracer};
    /// let tracer = Tracer::builder("shop").build(JaegerCollectorReporter::builder("http://jaeger:14268")?.build());
    /// assert_eq!(tracer.reporter_stats()[0].name, "jaeger");
    /// # Ok::<(), tracewell::AddressError>(())
    /// ```
    pub fn build(self) -> JaegerCollectorReporter {
        // Jaeger answers a full queue with 500.
        let rules = Rules { retries_500: true, rejected: |_| None };
        let transport = HttpTransport::new(self.address, CONTENT_TYPE, self.http, rules);
        let encoder = Box::new(CollectorEncoder(ProcessEncoder::new(BatchForm::HttpBinary)));
        JaegerCollectorReporter { delivery: Delivery::new("jaeger", self.batch, encoder, Box::new(transport)) }
    }
}

struct CollectorEncoder(ProcessEncoder);

impl Encode for CollectorEncoder {
    fn encode(&mut self, resource: &Resource, spans: &SpanRecords<'_>, body: &mut Vec<u8>) {
        let batch = self.0.begin(resource);
        for span in spans.views(&resource.endpoint) {
            // Without a limit every span fits.
            batch.push(span, usize::MAX).ok();
        }
        body.extend_from_slice(batch.finish());
    }
}

report_by_delivery!(JaegerCollectorReporter);

impl fmt::Debug for JaegerCollectorReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JaegerCollectorReporter").field("stats", &self.delivery.counters().stats()).finish()
    }
}
