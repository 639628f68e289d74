//! The tracer: begins traces, joins and continues them, and owns what happens to their spans.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tracewell_model::{OwnedEndpoint, SpanId, TraceId};

use crate::propagation::TraceContext;
use crate::random::random;
use crate::recorder::{Options, Shared, TracerStats};
use crate::reporter::Reporter;
use crate::resource::Resource;
use crate::sampler::{AnySampler, DEFAULT_SAMPLING_RATE, ProbabilisticSampler, Sampler, SamplerParam, SamplerTags};
use crate::settings::Settings;
use crate::span::{Span, TagValue};

/// How long dropping the last clone of a tracer waits for its reporter; [`Tracer::close`] waits without end.
const DROP_WAIT_MAX: Duration = Duration::from_secs(5);

/// Makes spans for one service. Cheap to clone; dropping the last clone closes it, and waits up to 5 seconds for what
/// has ended to be reported.
///
/// ```
/// use tracewell::sampler::ConstSampler;
/// use tracewell::{InMemoryReporter, Kind, Tracer};
///
/// let reporter = InMemoryReporter::default();
/// let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(reporter.clone());
/// let mut request = tracer.new_trace("GET /cart");
/// request.kind(Kind::Server).tag("http.path", "/cart");
/// request.new_child("query").tag("db.rows", 3).finish();
/// request.finish();
/// assert_eq!(tracer.close().reported, 2);
/// let spans = reporter.spans();
/// assert_eq!(spans[0].parent, Some(spans[1].id));
/// ```
#[derive(Clone)]
pub struct Tracer {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    sampler: AnySampler,
    wide_trace_ids: bool,
}

/// Settings of a [`Tracer`].
pub struct TracerBuilder {
    options: Options,
    sampler: Option<AnySampler>,
    wide_trace_ids: bool,
}

impl Tracer {
    /// For a service of that name. By default one trace in a thousand is recorded ([`DEFAULT_SAMPLING_RATE`]).
    pub fn builder(service: &str) -> TracerBuilder {
        let endpoint = OwnedEndpoint { service: service.to_owned(), ..OwnedEndpoint::default() };
        let options = Options {
            resource: Resource { endpoint, tags: Vec::new() },
            settings: Settings::default(),
            queue_bytes: 1 << 20,
            flush_interval: Duration::from_secs(1),
        };
        TracerBuilder { options, sampler: None, wide_trace_ids: true }
    }

    /// The root of a new trace. The sampler decides whether it is recorded.
    #[inline]
    pub fn new_trace(&self, name: &str) -> Span {
        self.new_root(name, &TraceContext::default())
    }

    /// A span under the one that sent this context. Where that left the decision open, the sampler decides. A context
    /// without usable ids begins a trace, for which its decision, its baggage and its debug id hold.
    pub fn new_child(&self, parent: &TraceContext, name: &str) -> Span {
        if !parent.has_ids() {
            return self.new_root(name, parent);
        }
        self.decided(parent.child(new_span_id()), name)
    }

    /// The same span as the one that sent this context, seen from the other side: Zipkin's way, where a client and its
    /// server share a span id. It is marked as shared if the decision came with it. A context without usable ids begins
    /// a trace, as in [`Tracer::new_child`].
    pub fn join_span(&self, context: &TraceContext, name: &str) -> Span {
        if !context.has_ids() {
            return self.new_root(name, context);
        }
        let shared = context.sampled().is_some();
        let mut span = self.decided(context.clone(), name);
        span.set_shared(shared);
        span
    }

    /// Has all spans reported that have ended by now, and waits until they are.
    pub fn flush(&self) {
        self.inner.shared.flush();
    }

    /// Reports what has ended, takes nothing more, and says what became of all spans. Spans that end later are dropped.
    pub fn close(&self) -> TracerStats {
        self.inner.shared.close();
        self.inner.shared.wait(Duration::MAX);
        self.stats()
    }

    /// Who records.
    pub fn resource(&self) -> &Resource {
        &self.inner.shared.options.resource
    }

    /// What became of the spans so far.
    pub fn stats(&self) -> TracerStats {
        self.inner.shared.stats()
    }

    fn new_root(&self, name: &str, hints: &TraceContext) -> Span {
        let high = if self.inner.wide_trace_ids { random() } else { 0 };
        let trace_id = TraceId::from_halves(high, random_not_zero());
        let mut context = hints.clone().with_ids(trace_id, new_span_id(), SpanId::NONE);
        if let (Some(debug_id), None) = (hints.debug_id(), hints.sampled()) {
            context = context.with_debug(true);
            let mut span = Span::begin(self.inner.shared.id, context, name, true);
            span.tag("jaeger-debug-id", debug_id);
            return span;
        }
        self.decided(context, name)
    }

    fn decided(&self, context: TraceContext, name: &str) -> Span {
        if let Some(sampled) = context.sampled() {
            return Span::begin(self.inner.shared.id, context, name, sampled);
        }
        let decision = self.inner.sampler.sample(context.trace_id(), name);
        let is_root = context.parent_id().is_none();
        let context = context.with_sampled(Some(decision.sampled));
        let mut span = Span::begin(self.inner.shared.id, context, name, decision.sampled);
        if decision.sampled && is_root {
            span.tag(SamplerTags::TYPE_KEY, decision.tags.sampler_type.name());
            match decision.tags.param {
                SamplerParam::Bool(value) => span.tag(SamplerTags::PARAM_KEY, value),
                SamplerParam::Number(value) => span.tag(SamplerTags::PARAM_KEY, value),
            };
        }
        span
    }
}

#[inline]
pub(crate) fn new_span_id() -> SpanId {
    SpanId::new(random_not_zero())
}

/// Zero, which stands for "no id", becomes one.
#[inline]
fn random_not_zero() -> u64 {
    random().max(1)
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.close();
        self.shared.wait(DROP_WAIT_MAX);
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("sampler", &self.inner.sampler).field("stats", &self.stats()).finish()
    }
}

impl TracerBuilder {
    /// Who decides about new traces.
    #[must_use]
    pub fn sampler(mut self, sampler: impl Into<AnySampler>) -> Self {
        self.sampler = Some(sampler.into());
        self
    }

    /// The service's name and address.
    #[must_use]
    pub fn local_endpoint(mut self, endpoint: OwnedEndpoint) -> Self {
        self.options.resource.endpoint = endpoint;
        self
    }

    /// A tag that holds for all spans and is sent once beside them: see [`Resource`].
    #[must_use]
    pub fn resource_tag<'v>(mut self, key: &str, value: impl Into<TagValue<'v>>) -> Self {
        self.options.resource.tags.push((key.to_owned(), value.into().0.to_value()));
        self
    }

    /// New trace ids with 128 bits (the default) or with 64.
    #[must_use]
    pub const fn wide_trace_ids(mut self, wide: bool) -> Self {
        self.wide_trace_ids = wide;
        self
    }

    /// How much each thread that ends spans may have waiting, 4 KiB at least; 1 MiB if not said. Spans beyond are
    /// dropped and counted.
    #[must_use]
    pub const fn queue_bytes(mut self, bytes: usize) -> Self {
        self.options.queue_bytes = if bytes < 4096 { 4096 } else { bytes };
        self
    }

    /// How long a finished span waits at most before it is given to the reporter; a second if not said.
    #[must_use]
    pub const fn flush_interval(mut self, interval: Duration) -> Self {
        self.options.flush_interval = interval;
        self
    }

    /// The tracer. Its thread starts with the first span that ends.
    pub fn build(self, reporter: impl Reporter + 'static) -> Tracer {
        let default = || ProbabilisticSampler::new(DEFAULT_SAMPLING_RATE).map(AnySampler::from).ok();
        // The default rate is between 0.0 and 1.0, so there always is a sampler.
        let never = || AnySampler::from(crate::sampler::ConstSampler::new(false));
        let sampler = self.sampler.or_else(default).unwrap_or_else(never);
        let shared = Shared::new(self.options, Box::new(reporter));
        Tracer { inner: Arc::new(Inner { shared, sampler, wide_trace_ids: self.wide_trace_ids }) }
    }
}
