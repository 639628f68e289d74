//! A span before it begins: what it belongs to, and what is said about it from the start.

use std::time::SystemTime;

use tracewell_model::{Kind, OwnedEndpoint};

use crate::current::current;
use crate::propagation::TraceContext;
use crate::recorder::Open;
use crate::span::{SAMPLING_PRIORITY, Span, TagValue, nanos};
use crate::tracer::{Tracer, new_span_id};

/// From [`Tracer::span`]. Nothing begins before [`SpanBuilder::start`].
///
/// ```
/// use tracewell::Kind;
/// # let reporter = tracewell::InMemoryReporter::default();
/// # let sampler = tracewell::sampler::ConstSampler::new(true);
/// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
/// # let (request, earlier) = (tracer.new_trace("request"), tracer.new_trace("earlier"));
/// let began = std::time::UNIX_EPOCH;
/// let span = tracer
///     .span("charge")
///     .child_of(request.context())
///     .follows_from(earlier.context())
///     .kind(Kind::Client)
///     .start_at(began)
///     .tag("currency", "EUR")
///     .start();
/// assert_eq!(span.context().parent_id(), request.context().span_id());
/// # drop(span);
/// # tracer.flush();
/// # assert_eq!(reporter.spans()[0].links.len(), 1);
/// ```
#[must_use = "a span begins by start()"]
pub struct SpanBuilder<'a> {
    tracer: &'a Tracer,
    name: &'a str,
    parent: Option<TraceContext>,
    /// The parent is the first of the references, which a true parent may take the place of.
    parent_is_reference: bool,
    one_span_per_rpc: bool,
    priority: Option<i64>,
    kind: Kind,
    start: Option<u64>,
    /// What was written so far; none as long as nothing was.
    open: Option<Box<Open>>,
}

impl<'a> SpanBuilder<'a> {
    pub(crate) fn new(tracer: &'a Tracer, name: &'a str) -> Self {
        Self {
            tracer,
            name,
            parent: None,
            parent_is_reference: false,
            one_span_per_rpc: tracer.shares_span_ids(),
            priority: None,
            kind: Kind::Unset,
            start: None,
            open: None,
        }
    }

    /// Under this one, which may wait for it. Of several, the first is the parent, and the others are links. A context
    /// without usable ids begins a trace, as in [`Tracer::new_child`].
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let parent = tracer.new_trace("request");
    /// let child = tracer.span("query").child_of(parent.context()).start();
    /// assert_eq!(child.context().parent_id(), parent.context().span_id());
    /// ```
    pub fn child_of(mut self, context: &TraceContext) -> Self {
        if self.parent.is_none() || self.parent_is_reference {
            self.parent = Some(context.clone());
            self.parent_is_reference = false;
        } else {
            self.link(context, true);
        }
        self
    }

    /// Under the current span, if there is one; see [`current`].
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// tracer.new_trace("GET /cart").in_scope(|| {
    ///     let query = tracer.span("query").child_of_current().start();
    ///     assert_eq!(query.context().parent_id(), tracewell::current().context().unwrap().span_id());
    /// });
    /// ```
    pub fn child_of_current(self) -> Self {
        match current().context() {
            Some(context) => self.child_of(&context),
            None => self,
        }
    }

    /// Caused by this one, which does not wait for it: a link. The first is the parent, too, if there is no other.
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// let produce = tracer.new_trace("produce");
    /// tracer.span("consume").follows_from(produce.context()).start().finish();
    /// tracer.flush();
    /// assert_eq!(reporter.spans()[0].links[0].span_id, produce.context().span_id());
    /// ```
    pub fn follows_from(mut self, context: &TraceContext) -> Self {
        if self.parent.is_none() {
            self.parent = Some(context.clone());
            self.parent_is_reference = true;
        }
        self.link(context, false);
        self
    }

    /// Its role.
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// tracer.span("GET /").kind(tracewell::Kind::Client).start().finish();
    /// tracer.flush();
    /// assert_eq!(reporter.spans()[0].kind, tracewell::Kind::Client);
    /// ```
    pub const fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// When it began, if not now.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let span = tracer.span("import").start_at(SystemTime::now() - Duration::from_secs(3)).start();
    /// # drop(span);
    /// ```
    pub fn start_at(mut self, time: SystemTime) -> Self {
        self.start = Some(nanos(time));
        self
    }

    /// A tag. `sampling.priority` decides about the trace, see [`Span::tag`].
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let span = tracer.span("GET /").tag("http.method", "GET").tag("sampling.priority", 1).start();
    /// assert!(span.is_recorded());
    /// ```
    pub fn tag<'v>(mut self, key: &str, value: impl Into<TagValue<'v>>) -> Self {
        let value = value.into();
        if key == SAMPLING_PRIORITY {
            self.priority = value.as_whole_number();
        } else {
            let value = value.cut(self.tracer.id());
            self.open().entries.tag(key, value);
        }
        self
    }

    /// Who it speaks to.
    ///
    /// ```
    /// use tracewell::OwnedEndpoint;
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// let db = OwnedEndpoint { service: "db".into(), ..OwnedEndpoint::default() };
    /// tracer.span("query").remote_endpoint(&db).start().finish();
    /// tracer.flush();
    /// assert_eq!(reporter.spans()[0].remote.as_ref().unwrap().service, "db");
    /// ```
    pub fn remote_endpoint(mut self, endpoint: &OwnedEndpoint) -> Self {
        self.open().entries.remote_endpoint(endpoint);
        self
    }

    /// Where it is of kind server and has a parent, it shares the parent's span id;
    /// see [`crate::TracerBuilder::one_span_per_rpc`].
    ///
    /// ```
    /// use tracewell::{Kind, SpanId, TraceId, propagation::TraceContext};
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let caller = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// let span = tracer.span("GET /").child_of(&caller).kind(Kind::Server).one_span_per_rpc(true).start();
    /// assert_eq!(span.context().span_id(), SpanId::new(1));
    /// ```
    pub const fn one_span_per_rpc(mut self, shared: bool) -> Self {
        self.one_span_per_rpc = shared;
        self
    }

    /// Begins it.
    ///
    /// ```
    /// use tracewell::Kind;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let mut span = tracer.span("GET /").kind(Kind::Client).tag("http.method", "GET").start();
    /// span.finish();
    /// ```
    pub fn start(mut self) -> Span {
        let parent = self.parent.take().unwrap_or_default();
        let shared = self.one_span_per_rpc && matches!(self.kind, Kind::Server) && parent.has_ids();
        let has_parent = parent.has_ids();
        let mut context = match (has_parent, shared) {
            (false, _) => self.tracer.root_context(&parent, self.name),
            (true, true) => parent,
            (true, false) => parent.child(new_span_id()),
        };
        let came_decided = context.sampled().is_some();
        let mut prioritized = None;
        match self.priority {
            Some(0) => context = context.with_debug(false).with_sampled(Some(false)),
            Some(priority) if !context.debug() && self.tracer.settings().allows_debug(self.name) => {
                context = context.with_debug(true);
                prioritized = Some(priority);
            }
            _ => {}
        }
        let mut span = self.tracer.decided(context, self.name, self.open.take());
        if !has_parent {
            self.tracer.count_started(&span);
        } else if matches!(self.kind, Kind::Server) {
            self.tracer.count_joined(&span);
        }
        if let Some(priority) = prioritized {
            span.keep_priority(priority);
        }
        span.kind(self.kind);
        span.set_shared(shared && came_decided);
        span.set_start(self.start);
        span
    }

    /// And makes it current: see [`Span::entered`].
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let _job = tracer.span("job").tag("queue", "orders").entered();
    /// assert!(!tracewell::current().is_none());
    /// ```
    pub fn entered(self) -> crate::current::EnteredSpan {
        self.start().entered()
    }

    fn link(&mut self, context: &TraceContext, child_of: bool) {
        if context.has_ids() {
            let state = context.trace_state().unwrap_or_default();
            self.open().entries.link(context.trace_id(), context.span_id(), child_of, state);
        }
    }

    fn open(&mut self) -> &mut Open {
        self.open.get_or_insert_with(|| Open::new(self.name))
    }
}
