//! What can be said about a tracer before it is made.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tracewell_model::OwnedEndpoint;

use crate::recorder::{Options, Shared};
use crate::reporter::Reporter;
use crate::resource::Resource;
use crate::sampler::{AnySampler, DEFAULT_SAMPLING_RATE, ProbabilisticSampler};
use crate::settings::Settings;
use crate::span::TagValue;
use crate::throttler::DebugThrottler;
use crate::tracer::{TraceIds, Tracer};

/// Settings of a [`Tracer`].
///
/// ```
/// use tracewell::sampler::ProbabilisticSampler;
/// use tracewell::{InMemoryReporter, OwnedEndpoint, Tracer};
/// let here = OwnedEndpoint { service: "shop".into(), ipv4: Some([10, 0, 0, 7]), port: 8080, ..OwnedEndpoint::default() };
/// let tracer = Tracer::builder("shop")
///     .sampler(ProbabilisticSampler::new(0.1)?)
///     .local_endpoint(here)
///     .resource_tag("deployment.environment", "prod")
///     .build(InMemoryReporter::default());
/// # Ok::<(), tracewell::sampler::SamplerError>(())
/// ```
pub struct TracerBuilder {
    options: Options,
    sampler: Option<AnySampler>,
    ids: TraceIds,
    one_span_per_rpc: bool,
}

impl TracerBuilder {
    pub(crate) fn new(service: &str) -> Self {
        let endpoint = OwnedEndpoint { service: service.to_owned(), ..OwnedEndpoint::default() };
        let options = Options {
            resource: Resource { endpoint, tags: Vec::new() },
            settings: Settings::default(),
            queue_bytes: 1 << 20,
            flush_interval: Duration::from_secs(1),
            #[cfg(feature = "metrics")]
            metrics: crate::metrics::Metrics::default(),
            #[cfg(all(feature = "metrics", feature = "jaeger"))]
            sampler_polls: None,
        };
        Self { options, sampler: None, ids: TraceIds::default(), one_span_per_rpc: false }
    }

    /// Who decides about new traces.
    ///
    /// ```
    /// use tracewell::sampler::RateLimitingSampler;
    /// use tracewell::{InMemoryReporter, Tracer};
    /// let tracer = Tracer::builder("shop").sampler(RateLimitingSampler::new(2.0)?).build(InMemoryReporter::default());
    /// # Ok::<(), tracewell::sampler::SamplerError>(())
    /// ```
    #[must_use]
    pub fn sampler(mut self, sampler: impl Into<AnySampler>) -> Self {
        self.sampler = Some(sampler.into());
        self
    }

    /// The service's name and address.
    ///
    /// ```
    /// use tracewell::{InMemoryReporter, OwnedEndpoint, Tracer};
    /// let here = OwnedEndpoint { service: "shop".into(), port: 8080, ..OwnedEndpoint::default() };
    /// let tracer = Tracer::builder("shop").local_endpoint(here).build(InMemoryReporter::default());
    /// assert_eq!(tracer.resource().endpoint.port, 8080);
    /// ```
    #[must_use]
    pub fn local_endpoint(mut self, endpoint: OwnedEndpoint) -> Self {
        self.options.resource.endpoint = endpoint;
        self
    }

    /// A tag that holds for all spans and is sent once beside them: see [`Resource`].
    ///
    /// ```
    /// use tracewell::{InMemoryReporter, Tracer};
    /// let tracer = Tracer::builder("shop").resource_tag("region", "eu").build(InMemoryReporter::default());
    /// assert_eq!(tracer.resource().tags[0].0, "region");
    /// ```
    #[must_use]
    pub fn resource_tag<'v>(mut self, key: &str, value: impl Into<TagValue<'v>>) -> Self {
        self.options.resource.tags.push((key.to_owned(), value.into().0.to_value()));
        self
    }

    /// How trace ids are made; 128 random bits if not said.
    ///
    /// ```
    /// use tracewell::{InMemoryReporter, TraceIds, Tracer};
    /// let tracer = Tracer::builder("shop").trace_ids(TraceIds::EpochPrefixed128).build(InMemoryReporter::default());
    /// assert_ne!(tracer.new_trace("GET /").context().trace_id().high(), 0);
    /// ```
    #[must_use]
    pub const fn trace_ids(mut self, ids: TraceIds) -> Self {
        self.ids = ids;
        self
    }

    /// New trace ids with 128 bits (the default) or with 64.
    ///
    /// ```
    /// use tracewell::{InMemoryReporter, Tracer};
    /// let tracer = Tracer::builder("shop").wide_trace_ids(false).build(InMemoryReporter::default());
    /// assert_eq!(tracer.new_trace("GET /").context().trace_id().high(), 0);
    /// ```
    #[must_use]
    pub const fn wide_trace_ids(self, wide: bool) -> Self {
        self.trace_ids(if wide { TraceIds::Random128 } else { TraceIds::Random64 })
    }

    /// Spans of kind server that [`Tracer::span`] begins under a parent share its span id, as [`Tracer::join_span`] has
    /// it: Zipkin's way. Off if not said.
    ///
    /// ```
    /// use tracewell::{InMemoryReporter, Kind, SpanId, TraceId, Tracer, propagation::TraceContext};
    /// let tracer = Tracer::builder("shop").one_span_per_rpc(true).build(InMemoryReporter::default());
    /// let caller = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// let span = tracer.span("GET /").child_of(&caller).kind(Kind::Server).start();
    /// assert_eq!(span.context().span_id(), SpanId::new(1));
    /// ```
    #[must_use]
    pub const fn one_span_per_rpc(mut self, shared: bool) -> Self {
        self.one_span_per_rpc = shared;
        self
    }

    /// Texts in tags and log fields are cut to so many bytes, in whole characters; as long as they are if not said.
    /// jaeger-client's `max_tag_value_length` is 1024.
    ///
    /// ```
    /// use tracewell::{InMemoryReporter, Tracer, Value, sampler::ConstSampler};
    /// let reporter = InMemoryReporter::default();
    /// let builder = Tracer::builder("shop").sampler(ConstSampler::new(true)).tag_value_bytes_max(4);
    /// let tracer = builder.build(reporter.clone());
    /// tracer.new_trace("GET /").tag("user", "7é89");
    /// tracer.flush();
    /// assert_eq!(reporter.spans()[0].tags.last().unwrap().1, Value::Str("7é8".into()));
    /// ```
    #[must_use]
    pub const fn tag_value_bytes_max(mut self, bytes: u32) -> Self {
        self.options.settings.text_bytes_max = bytes;
        self
    }

    /// Spans that are not recorded keep their name and when they began, for `sampling.priority` to switch them on
    /// ([`Span::tag`]). It costs an allocation for each of them; off if not said.
    ///
    /// ```
    /// use tracewell::{InMemoryReporter, Tracer, sampler::ConstSampler};
    /// let reporter = InMemoryReporter::default();
    /// let builder = Tracer::builder("shop").sampler(ConstSampler::new(false)).late_sampling(true);
    /// let tracer = builder.build(reporter.clone());
    /// tracer.new_trace("GET /").tag("sampling.priority", 1);
    /// tracer.flush();
    /// assert_eq!(reporter.spans()[0].name, "GET /");
    /// ```
    ///
    /// [`Span::tag`]: crate::Span::tag
    #[must_use]
    pub const fn late_sampling(mut self, late: bool) -> Self {
        self.options.settings.late_sampling = late;
        self
    }

    /// Who allows debug spans; without one all are allowed.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tracewell::{DebugThrottler, InMemoryReporter, Tracer};
    /// let throttler = Arc::new(DebugThrottler::default());
    /// let tracer = Tracer::builder("shop").throttler(Arc::clone(&throttler)).build(InMemoryReporter::default());
    /// tracer.new_trace("GET /").tag("sampling.priority", 1);
    /// assert_eq!(tracer.stats().throttled_debug_spans, 1);
    /// ```
    #[must_use]
    pub fn throttler(mut self, throttler: Arc<DebugThrottler>) -> Self {
        self.options.settings.throttler = Some(throttler);
        self
    }

    /// Errors of which [`Span::error`] takes no notice: what is answered by a page "not found", say.
    ///
    /// ```
    /// use tracewell::{InMemoryReporter, Tracer};
    /// let builder = Tracer::builder("shop").ignore_errors(|error| error.is::<std::num::ParseIntError>());
    /// # let tracer = builder.build(InMemoryReporter::default());
    /// ```
    ///
    /// [`Span::error`]: crate::Span::error
    #[must_use]
    pub fn ignore_errors(mut self, ignore: impl Fn(&(dyn Error + 'static)) -> bool + Send + Sync + 'static) -> Self {
        self.options.settings.ignore_error = Some(Box::new(ignore));
        self
    }

    /// What [`Span::log_error`] writes of an error and its causes, bytes; 4,096 if not said, which is jaeger-client's
    /// `max_traceback_length`.
    ///
    /// ```
    /// use tracewell::{InMemoryReporter, Tracer, Value, sampler::ConstSampler};
    /// let reporter = InMemoryReporter::default();
    /// let builder = Tracer::builder("shop").sampler(ConstSampler::new(true)).error_chain_bytes_max(8);
    /// let tracer = builder.build(reporter.clone());
    /// tracer.new_trace("format").log_error(&std::fmt::Error);
    /// tracer.flush();
    /// let log = &reporter.spans()[0].annotations[0].details;
    /// assert_eq!(log.last(), Some(&("stack".to_owned(), Value::Str("an error".into()))));
    /// ```
    ///
    /// [`Span::log_error`]: crate::Span::log_error
    #[must_use]
    pub const fn error_chain_bytes_max(mut self, bytes: usize) -> Self {
        self.options.settings.error_chain_bytes_max = bytes;
        self
    }

    /// Whether the tracer's counts go to the crate `metrics`; true if not said. See [`Tracer::publish_metrics`].
    ///
    /// ```
    /// # use tracewell::{InMemoryReporter, Tracer};
    /// let tracer = Tracer::builder("probe").metrics(false).build(InMemoryReporter::default());
    /// ```
    #[cfg(feature = "metrics")]
    #[must_use]
    pub const fn metrics(mut self, metrics: bool) -> Self {
        self.options.metrics.enabled = metrics;
        self
    }

    /// How much each thread that ends spans may have waiting, 4 KiB at least; 1 MiB if not said. Spans beyond are
    /// dropped and counted.
    ///
    /// ```
    /// use tracewell::{InMemoryReporter, Tracer};
    /// let tracer = Tracer::builder("shop").queue_bytes(4 << 20).build(InMemoryReporter::default());
    /// ```
    #[must_use]
    pub const fn queue_bytes(mut self, bytes: usize) -> Self {
        self.options.queue_bytes = if bytes < 4096 { 4096 } else { bytes };
        self
    }

    /// How long a finished span waits at most before it is given to the reporter; a second if not said.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tracewell::{InMemoryReporter, Tracer};
    /// let tracer = Tracer::builder("shop").flush_interval(Duration::from_millis(200)).build(InMemoryReporter::default());
    /// ```
    #[must_use]
    pub const fn flush_interval(mut self, interval: Duration) -> Self {
        self.options.flush_interval = interval;
        self
    }

    /// The tracer. Its thread starts with the first span that ends.
    ///
    /// ```
    /// use tracewell::{InMemoryReporter, Tracer, sampler::ConstSampler};
    /// let reporter = InMemoryReporter::default();
    /// let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(reporter.clone());
    /// tracer.new_trace("GET /").finish();
    /// tracer.flush();
    /// assert_eq!(reporter.spans()[0].local.as_ref().unwrap().service, "shop");
    /// ```
    #[cfg_attr(not(all(feature = "metrics", feature = "jaeger")), expect(unused_mut, reason = "only metrics write"))]
    pub fn build(mut self, reporter: impl Reporter + 'static) -> Tracer {
        let default = || ProbabilisticSampler::new(DEFAULT_SAMPLING_RATE).map(AnySampler::from).ok();
        // The default rate is between 0.0 and 1.0, so there always is a sampler.
        let never = || AnySampler::from(crate::sampler::ConstSampler::new(false));
        let sampler = self.sampler.or_else(default).unwrap_or_else(never);
        #[cfg(all(feature = "metrics", feature = "jaeger"))]
        {
            self.options.sampler_polls = crate::sampler::Sampler::poll_counters(&sampler);
        }
        let shared = Shared::new(self.options, Box::new(reporter));
        Tracer::new(shared, sampler, self.ids, self.one_span_per_rpc)
    }
}
