//! The tracer: begins traces, joins and continues them, and owns what happens to their spans.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracewell_model::{SpanId, TraceId};

use crate::propagation::{Extracted, HeaderGetter, Propagation, TraceContext};
use crate::random::random;
use crate::recorder::{self, Closing, Finish, Open, Shared, Stamp, TracerStats};
use crate::reporter::ReporterStats;
use crate::resource::Resource;
use crate::sampler::{AnySampler, Sampler, SamplerParam, SamplerTags};
use crate::settings::Settings;
use crate::span::Span;
use crate::span_builder::SpanBuilder;
use crate::tracer_builder::TracerBuilder;

/// What that waits for its thread to count what is lost.
const DROP_GRACE: Duration = Duration::from_secs(1);
/// How long dropping the last clone of a tracer waits for its reporter.
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
    ids: TraceIds,
    one_span_per_rpc: bool,
}

impl Tracer {
    /// For a service of that name. By default one trace in a thousand is recorded
    /// ([`crate::sampler::DEFAULT_SAMPLING_RATE`]).
    ///
    /// ```
    /// use tracewell::{InMemoryReporter, Tracer};
    /// let tracer = Tracer::builder("shop").build(InMemoryReporter::default());
    /// assert_eq!(tracer.resource().endpoint.service, "shop");
    /// ```
    pub fn builder(service: &str) -> TracerBuilder {
        TracerBuilder::new(service)
    }

    pub(crate) fn new(shared: Arc<Shared>, sampler: AnySampler, ids: TraceIds, one_span_per_rpc: bool) -> Self {
        Self { inner: Arc::new(Inner { shared, sampler, ids, one_span_per_rpc }) }
    }

    /// A span of which more is to be said before it begins: its parent, links, start, tags.
    ///
    /// ```
    /// use tracewell::Kind;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let cause = tracer.new_trace("produce");
    /// let span = tracer.span("consume").follows_from(cause.context()).kind(Kind::Consumer).tag("queue", "orders").start();
    /// assert_eq!(span.context().trace_id(), cause.context().trace_id());
    /// ```
    pub fn span<'a>(&'a self, name: &'a str) -> SpanBuilder<'a> {
        SpanBuilder::new(self, name)
    }

    /// The root of a new trace. The sampler decides whether it is recorded.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let root = tracer.new_trace("GET /cart");
    /// assert!(root.context().parent_id().is_none());
    /// ```
    #[inline]
    pub fn new_trace(&self, name: &str) -> Span {
        self.new_root(name, &TraceContext::default())
    }

    /// A span under the one that sent this context. Where that left the decision open, the sampler decides. A context
    /// without usable ids begins a trace, for which its decision, its baggage and its debug id hold.
    ///
    /// ```
    /// use tracewell::{SpanId, TraceId, propagation::TraceContext};
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let caller = TraceContext::new(TraceId::new(7), SpanId::new(1)).with_sampled(Some(true));
    /// let span = tracer.new_child(&caller, "GET /cart");
    /// assert_eq!(span.context().parent_id(), SpanId::new(1));
    /// ```
    pub fn new_child(&self, parent: &TraceContext, name: &str) -> Span {
        if !parent.has_ids() {
            return self.new_root(name, parent);
        }
        let span = self.decided(parent.child(new_span_id()), name, None);
        self.count_joined(&span);
        span
    }

    /// The same span as the one that sent this context, seen from the other side: Zipkin's way, where a client and its
    /// server share a span id. It is marked as shared if the decision came with it. A context without usable ids begins
    /// a trace, as in [`Tracer::new_child`].
    ///
    /// ```
    /// use tracewell::{SpanId, TraceId, propagation::TraceContext};
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let caller = TraceContext::new(TraceId::new(7), SpanId::new(1)).with_sampled(Some(true));
    /// let span = tracer.join_span(&caller, "GET /cart");
    /// assert_eq!(span.context().span_id(), SpanId::new(1));
    /// ```
    pub fn join_span(&self, context: &TraceContext, name: &str) -> Span {
        if !context.has_ids() {
            return self.new_root(name, context);
        }
        let shared = context.sampled().is_some();
        let mut span = self.decided(context.clone(), name, None);
        span.set_shared(shared);
        self.count_joined(&span);
        span
    }

    /// Has all spans reported that have ended by now, and blocks until they are. A reporter whose server does not take
    /// them tries once, and keeps them; [`Tracer::flush_async`] can be given more time.
    ///
    /// ```
    /// use tracewell::{InMemoryReporter, Tracer, sampler::ConstSampler};
    /// let reporter = InMemoryReporter::default();
    /// let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(reporter.clone());
    /// tracer.new_trace("GET /").finish();
    /// tracer.flush();
    /// assert_eq!(reporter.spans().len(), 1);
    /// ```
    pub fn flush(&self) {
        self.flush_async().wait();
    }

    /// The same in a task: `tracer.flush_async().await`, or with a limit, see [`Finish::within`].
    ///
    /// ```
    /// use std::time::Duration;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// # let work = async move {
    /// tracer.flush_async().within(Duration::from_secs(2)).await;
    /// # };
    /// # tokio::runtime::Builder::new_current_thread().build().map(|runtime| runtime.block_on(work)).unwrap();
    /// ```
    pub fn flush_async(&self) -> Finish {
        Finish::new(Arc::clone(&self.inner.shared), false)
    }

    /// Reports what has ended, takes nothing more, blocks until that is done and says what became of all spans. A reporter
    /// whose server does not take them tries once, and what is lost is counted; [`Tracer::close_async`] can be given more
    /// time. Spans that end later are dropped.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let stats = tracer.close();
    /// assert_eq!(stats.failed + stats.dropped, 0);
    /// ```
    pub fn close(&self) -> TracerStats {
        self.close_async().wait()
    }

    /// The same in a task: `tracer.close_async().await`, or with a limit, see [`Finish::within`].
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// # let work = async move {
    /// let stats = tracer.close_async().await;
    /// assert_eq!(stats.dropped, 0);
    /// # };
    /// # tokio::runtime::Builder::new_current_thread().build().map(|runtime| runtime.block_on(work)).unwrap();
    /// ```
    pub fn close_async(&self) -> Finish {
        self.inner.stop_asking();
        Finish::new(Arc::clone(&self.inner.shared), true)
    }

    /// Who records.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// assert_eq!(tracer.resource().endpoint.service, "shop");
    /// ```
    pub fn resource(&self) -> &Resource {
        &self.inner.shared.options.resource
    }

    /// What became of the spans so far.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// assert_eq!(tracer.stats().malformed_headers, 0);
    /// ```
    pub fn stats(&self) -> TracerStats {
        self.inner.shared.stats()
    }

    /// What each reporter made of them that counts itself: one that sends spans, each of a composite.
    ///
    /// ```
    /// use tracewell::{CompositeReporter, InMemoryReporter, NullReporter, Tracer};
    /// let tracer = Tracer::builder("shop").build(CompositeReporter::default().with(NullReporter).with(NullReporter));
    /// assert_eq!(tracer.reporter_stats().len(), 2);
    /// // One that takes all it is given leaves the counting to the tracer.
    /// assert!(Tracer::builder("shop").build(InMemoryReporter::default()).reporter_stats().is_empty());
    /// ```
    pub fn reporter_stats(&self) -> Vec<ReporterStats> {
        self.inner.shared.reporter_stats()
    }

    /// Hands what was counted since the last time to the crate `metrics`, by jaeger-client's names. The tracer's thread
    /// does so after each round, once a span has ended; a program that records nothing for long may do it itself, before
    /// its counts are read. The recorder of `metrics` is to be installed before: what was handed over without one is gone.
    ///
    /// | name | labels | |
    /// |---|---|---|
    /// | `jaeger:traces` | `state` = `started`, `joined`; `sampled` = `y`, `n` | traces that began here, or came with a request |
    /// | `jaeger:started_spans` | `sampled` = `y`, `n` | spans that began |
    /// | `jaeger:finished_spans` | | recorded spans that have ended |
    /// | `jaeger:reporter_spans` | `result` = `ok`, `err`, `dropped` | what became of them |
    /// | `jaeger:reporter_queue_length` | | a gauge: spans that wait |
    /// | `jaeger:sampler_queries` | `result` = `ok`, `err` | how often the remote sampler asked |
    /// | `jaeger:sampler_updates` | `result` = `ok`, `err` | answers that changed something, or could not be used |
    /// | `jaeger:throttled_debug_spans` | | spans without credit |
    /// | `jaeger:throttler_update` | `result` = `ok`, `err` | answers about credits |
    ///
    /// ```
    /// use tracewell::{InMemoryReporter, Tracer, sampler::ConstSampler};
    /// // Any recorder of the crate `metrics`, installed first: metrics-exporter-prometheus, say.
    /// let tracer = Tracer::builder("shop").sampler(ConstSampler::new(false)).build(InMemoryReporter::default());
    /// tracer.new_trace("GET /").finish();
    /// tracer.publish_metrics();
    /// ```
    #[cfg(feature = "metrics")]
    pub fn publish_metrics(&self) {
        self.inner.shared.publish_metrics();
    }

    /// Reads what came with a request, and counts requests of which not all could be read
    /// ([`TracerStats::malformed_headers`]): they fail nobody.
    ///
    /// ```
    /// use tracewell::propagation::Propagation;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let headers = [("traceparent", "nonsense")];
    /// let extracted = tracer.extract(&Propagation::default(), &headers[..]);
    /// let span = tracer.new_child(&extracted.context, "GET /cart");
    /// assert!(span.context().has_ids());
    /// assert_eq!(tracer.stats().malformed_headers, 1);
    /// ```
    pub fn extract<H: HeaderGetter + ?Sized>(&self, propagation: &Propagation, headers: &H) -> Extracted {
        let extracted = propagation.extract(headers);
        self.settings().count(extracted.problems);
        extracted
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.shared.options.settings
    }

    pub(crate) fn id(&self) -> u64 {
        self.inner.shared.id
    }

    pub(crate) fn shares_span_ids(&self) -> bool {
        self.inner.one_span_per_rpc
    }

    #[inline]
    fn new_root(&self, name: &str, hints: &TraceContext) -> Span {
        let span = self.decided(self.root_context(hints, name), name, None);
        self.count_started(&span);
        span
    }

    /// A trace that began here.
    #[inline]
    pub(crate) fn count_started(&self, span: &Span) {
        #[cfg(feature = "metrics")]
        self.count_trace(crate::metrics::TraceState::Started, span);
        #[cfg(not(feature = "metrics"))]
        let _ = span;
    }

    /// A trace that came with a request.
    #[inline]
    pub(crate) fn count_joined(&self, span: &Span) {
        #[cfg(feature = "metrics")]
        self.count_trace(crate::metrics::TraceState::Joined, span);
        #[cfg(not(feature = "metrics"))]
        let _ = span;
    }

    #[cfg(feature = "metrics")]
    fn count_trace(&self, state: crate::metrics::TraceState, span: &Span) {
        let sampled = span.context().sampled() == Some(true);
        self.inner.shared.options.metrics.count_trace(state, sampled);
    }

    /// New ids, and what else came with the hints.
    #[inline]
    pub(crate) fn root_context(&self, hints: &TraceContext, name: &str) -> TraceContext {
        let trace_id = self.inner.ids.new_id();
        let context = hints.clone().with_ids(trace_id, new_span_id(), SpanId::NONE);
        let is_forced = hints.debug_id().is_some() && hints.sampled().is_none();
        if is_forced && self.settings().allows_debug(name) { context.with_debug(true) } else { context }
    }

    /// The span of this context, with what was already written about it.
    #[inline]
    pub(crate) fn decided(&self, context: TraceContext, name: &str, open: Option<Box<Open>>) -> Span {
        let (context, tags) = self.decide(context, name);
        let (id, sampled) = (self.inner.shared.id, context.sampled() == Some(true));
        #[cfg(feature = "metrics")]
        crate::metrics::count_span(id, sampled);
        let mut span = match open {
            None => Span::begin(id, context, name, sampled),
            Some(open) if sampled => Span::begin_with(id, context, open),
            Some(open) => {
                recorder::keep(open);
                Span::begin(id, context, name, false)
            }
        };
        if sampled && span.context().parent_id().is_none() {
            tag_root(&mut span, tags.as_ref());
        }
        span
    }

    /// If the context leaves open whether to record it, the sampler decides.
    #[inline]
    pub(crate) fn decide(&self, context: TraceContext, name: &str) -> (TraceContext, Option<SamplerTags>) {
        if context.sampled().is_some() {
            return (context, None);
        }
        let decision = self.inner.sampler.sample(context.trace_id(), name);
        // Tags are for what is recorded; the others do not wait for them to be moved.
        let tags = if decision.sampled { Some(decision.tags) } else { None };
        (context.with_sampled(Some(decision.sampled)), tags)
    }

    /// Gives a span another parent after it began. If it is recorded only from now on, `late` is what was said about it.
    #[cfg(feature = "tracing")]
    pub(crate) fn adopt(&self, span: &mut Span, name: &str, parent: &TraceContext, late: impl FnOnce() -> Box<Open>) {
        let context = match parent.has_ids() {
            true => parent.child(span.context().span_id()),
            false => self.root_context(parent, name),
        };
        span.become_part_of(self.decide(context, name).0, late);
    }
}

/// How it came that a trace is recorded: the sampler's tags, or the word by which somebody forced it in a header.
pub(crate) fn tag_root(span: &mut Span, tags: Option<&SamplerTags>) {
    if let Some(tags) = tags {
        span.tag(SamplerTags::TYPE_KEY, tags.sampler_type.name());
        match tags.param {
            SamplerParam::Bool(value) => span.tag(SamplerTags::PARAM_KEY, value),
            SamplerParam::Number(value) => span.tag(SamplerTags::PARAM_KEY, value),
        };
    } else if span.context().debug()
        && let Some(debug_id) = span.context().debug_id().map(str::to_owned)
    {
        span.tag("jaeger-debug-id", &debug_id);
    }
}

/// How trace ids are made.
///
/// ```
/// use tracewell::{InMemoryReporter, TraceIds, Tracer};
/// let tracer = Tracer::builder("shop").trace_ids(TraceIds::Random64).build(InMemoryReporter::default());
/// assert_eq!(tracer.new_trace("GET /cart").context().trace_id().high(), 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TraceIds {
    /// 128 random bits.
    #[default]
    Random128,
    /// 64 random bits.
    Random64,
    /// 32 bits of seconds since 1970, then 96 random bits, as aiozipkin and py_zipkin make them: AWS's X-Ray wants it so.
    EpochPrefixed128,
}

impl TraceIds {
    #[inline]
    fn new_id(self) -> TraceId {
        let high = match self {
            Self::Random128 => random(),
            Self::Random64 => 0,
            Self::EpochPrefixed128 => {
                let seconds = recorder::unix_nanos(Stamp::now()) / 1_000_000_000;
                seconds << 32 | random() >> 32
            }
        };
        TraceId::from_halves(high, random_not_zero())
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

impl Inner {
    /// What asks servers by itself ends.
    fn stop_asking(&self) {
        self.sampler.close();
        self.shared.options.settings.throttler.iter().for_each(|throttler| throttler.close());
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop_asking();
        let deadline = Instant::now() + DROP_WAIT_MAX;
        if let Some(closed) = self.shared.close(Closing { deadline: Some(deadline), retry: false }) {
            closed.wait_until(Some(deadline + DROP_GRACE));
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("sampler", &self.inner.sampler).field("stats", &self.stats()).finish()
    }
}
