//! A span being recorded, or one that only carries its context on.

mod error;
mod handle;
mod recording;
mod tag_value;

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use tracewell_model::{Kind, OwnedEndpoint, ValueRef};

use crate::propagation::{HeaderSetter, Propagation, TraceContext};
use crate::recorder::{self, Open, Stamp};
use crate::tracer::new_span_id;

pub(crate) use error::Failure;
pub use handle::SpanHandle;
use recording::Recording;
pub use tag_value::TagValue;

/// Jaeger's tag that decides about a trace after it began.
pub(crate) const SAMPLING_PRIORITY: &str = "sampling.priority";

/// One operation of a trace. Ends when it is finished or dropped.
///
/// Where the trace is not sampled all methods do nothing, at no cost beyond asking.
///
/// ```
/// # use tracewell::{InMemoryReporter, Tracer, sampler::ConstSampler};
/// # let reporter = InMemoryReporter::default();
/// # let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(reporter.clone());
/// let mut span = tracer.new_trace("charge");
/// span.tag("amount", 9.95).tag("currency", "EUR").annotate("authorized");
/// span.log(&[("event", "retry".into()), ("attempt", 2.into())]);
/// drop(span);
/// # tracer.flush();
/// # assert_eq!(reporter.spans()[0].annotations.len(), 2);
/// ```
pub struct Span {
    context: TraceContext,
    tracer: u64,
    recording: Recording,
}

impl Span {
    #[inline]
    pub(crate) fn begin(tracer: u64, context: TraceContext, name: &str, recorded: bool) -> Self {
        Self { context, tracer, recording: Recording::begin(tracer, name, recorded) }
    }

    /// With entries that were written before it was known whether it is recorded.
    pub(crate) const fn begin_with(tracer: u64, context: TraceContext, open: Box<Open>) -> Self {
        Self { context, tracer, recording: Recording::own(open) }
    }

    /// A span of no trace: records nothing, and what travels from it to a callee is nothing. It is what
    /// [`crate::current`] answers children from where nothing is current.
    ///
    /// ```
    /// use tracewell::Span;
    /// let mut span = Span::none();
    /// span.tag("goes", "nowhere");
    /// assert!(!span.context().has_ids());
    /// ```
    #[inline]
    pub const fn none() -> Self {
        let context = TraceContext::new(tracewell_model::TraceId::new(0), tracewell_model::SpanId::NONE);
        Self { context, tracer: 0, recording: Recording::OFF }
    }

    /// A span under this one.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let request = tracer.new_trace("GET /cart");
    /// let query = request.new_child("SELECT");
    /// assert_eq!(query.context().parent_id(), request.context().span_id());
    /// ```
    #[inline]
    pub fn new_child(&self, name: &str) -> Self {
        child(self.tracer, &self.context, name, self.is_recorded())
    }

    /// What is to travel to a callee.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let request = tracer.new_trace("GET /cart");
    /// assert!(request.context().has_ids());
    /// ```
    pub const fn context(&self) -> &TraceContext {
        &self.context
    }

    /// Writes what is to travel to a callee into a request's headers.
    ///
    /// ```
    /// use tracewell::propagation::{Format, Propagation};
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let span = tracer.new_trace("call");
    /// let mut headers = Vec::new();
    /// span.inject(&Propagation::new(&[Format::B3Single]), &mut headers);
    /// assert_eq!(headers[0].0, "b3");
    /// ```
    pub fn inject<H: HeaderSetter + ?Sized>(&self, propagation: &Propagation, headers: &mut H) {
        propagation.inject(&self.context, headers);
    }

    /// Whether it is recorded.
    ///
    /// ```
    /// use tracewell::{InMemoryReporter, Tracer, sampler::ConstSampler};
    /// let tracer = Tracer::builder("shop").sampler(ConstSampler::new(false)).build(InMemoryReporter::default());
    /// assert!(!tracer.new_trace("GET /cart").is_recorded());
    /// ```
    #[inline]
    pub const fn is_recorded(&self) -> bool {
        self.recording.is_on()
    }

    /// Another name.
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// tracer.new_trace("GET").name("GET /cart/{id}");
    /// tracer.flush();
    /// assert_eq!(reporter.spans()[0].name, "GET /cart/{id}");
    /// ```
    pub fn name(&mut self, name: &str) -> &mut Self {
        if let Some(late) = self.recording.late_mut() {
            name.clone_into(&mut late.name);
        }
        self.write(|open| open.entries.name(name))
    }

    /// Its role.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// tracer.new_trace("GET /cart").kind(tracewell::Kind::Server);
    /// ```
    pub fn kind(&mut self, kind: Kind) -> &mut Self {
        self.write(|open| open.kind = kind)
    }

    /// A tag: text, number, true or false, bytes.
    ///
    /// Jaeger's `sampling.priority` decides about the trace from here on: 0 forgets the span and records none of its
    /// later children; more makes it a debug span, if the throttler has credit for it
    /// ([`crate::TracerBuilder::throttler`]). A span that was not recorded then begins to be; its name and start are
    /// known if the tracer was told to keep them ([`crate::TracerBuilder::late_sampling`]).
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let mut span = tracer.new_trace("GET /cart");
    /// span.tag("http.path", "/cart").tag("items", 3).tag("cached", false);
    /// span.tag("sampling.priority", 1);
    /// assert!(span.is_recorded() && span.context().debug());
    /// ```
    #[expect(clippy::inline_always, reason = "a key that the compiler knows is a few constants")]
    #[inline(always)]
    pub fn tag<'v>(&mut self, key: &str, value: impl Into<TagValue<'v>>) -> &mut Self {
        let value = value.into();
        if key == SAMPLING_PRIORITY && !self.prioritize(value) {
            return self;
        }
        let tracer = self.tracer;
        // Not by `write`: written down twice, for entries here and elsewhere, it would be a call.
        if let Some(open) = self.recording.own_mut() {
            open.entries.tag(key, value.cut(tracer));
        } else if self.recording.has_place() {
            self.tag_elsewhere(key, value);
        }
        self
    }

    #[inline(never)]
    fn tag_elsewhere(&mut self, key: &str, value: TagValue<'_>) {
        let tracer = self.tracer;
        self.recording.write(|open| open.entries.tag(key, value.cut(tracer)));
    }

    /// Something that happens now.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// tracer.new_trace("GET /cart").annotate("cache miss");
    /// ```
    pub fn annotate(&mut self, value: &str) -> &mut Self {
        self.write(|open| open.entries.annotation(recorder::unix_nanos(Stamp::now()), value))
    }

    /// Something that happened then.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// tracer.new_trace("GET /cart").annotate_at(std::time::UNIX_EPOCH, "long ago");
    /// ```
    pub fn annotate_at(&mut self, time: SystemTime, value: &str) -> &mut Self {
        self.write(|open| open.entries.annotation(nanos(time), value))
    }

    /// Fields of something that happens now: Jaeger's log.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// tracer.new_trace("charge").log(&[("event", "retry".into()), ("attempt", 2.into())]);
    /// ```
    pub fn log(&mut self, fields: &[(&str, TagValue<'_>)]) -> &mut Self {
        self.log_nanos(None, fields)
    }

    /// Fields of something that happened then.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// tracer.new_trace("charge").log_at(std::time::UNIX_EPOCH, &[("event", "retry".into())]);
    /// ```
    pub fn log_at(&mut self, time: SystemTime, fields: &[(&str, TagValue<'_>)]) -> &mut Self {
        self.log_nanos(Some(nanos(time)), fields)
    }

    fn log_nanos(&mut self, at: Option<u64>, fields: &[(&str, TagValue<'_>)]) -> &mut Self {
        let tracer = self.tracer;
        self.write(|open| open.log(tracer, at, fields))
    }

    /// Who it speaks to.
    ///
    /// ```
    /// use tracewell::OwnedEndpoint;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let db = OwnedEndpoint { service: "db".into(), port: 5432, ..OwnedEndpoint::default() };
    /// tracer.new_trace("query").remote_endpoint(&db);
    /// ```
    pub fn remote_endpoint(&mut self, endpoint: &OwnedEndpoint) -> &mut Self {
        self.write(|open| open.entries.remote_endpoint(endpoint))
    }

    /// When it began, if not when it was made.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// tracer.new_trace("imported").start_at(std::time::UNIX_EPOCH);
    /// ```
    pub fn start_at(&mut self, time: SystemTime) -> &mut Self {
        if let Some(late) = self.recording.late_mut() {
            late.start = Ok(nanos(time));
        }
        self.write(|open| open.start = Ok(nanos(time)))
    }

    /// A word that travels to all callees. A recorded span logs it, as Jaeger's clients do: `event=baggage` with key,
    /// value, and whether there was another value before. False: there is too much already
    /// ([`crate::propagation::BAGGAGE_BYTES_MAX`]).
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let mut span = tracer.new_trace("GET /cart");
    /// assert!(span.set_baggage_item("user", "7"));
    /// assert_eq!(span.new_child("query").baggage_item("user"), Some("7"));
    /// ```
    pub fn set_baggage_item(&mut self, key: &str, value: &str) -> bool {
        let overrides = self.baggage_item(key).is_some_and(|before| !before.is_empty());
        let is_set = self.context.set_baggage_item(key, value);
        if is_set && self.is_recorded() {
            let fields = [("event", "baggage".into()), ("key", key.into()), ("value", value.into())];
            match overrides {
                false => self.log(&fields),
                true => self.log(&[fields[0], fields[1], fields[2], ("override", true.into())]),
            };
        }
        is_set
    }

    /// Takes a word away, so that callees do not see it.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let mut span = tracer.new_trace("GET /cart");
    /// span.set_baggage_item("user", "7");
    /// span.remove_baggage_item("user");
    /// assert_eq!(span.baggage_item("user"), None);
    /// ```
    pub fn remove_baggage_item(&mut self, key: &str) {
        if self.baggage_item(key).is_some() {
            self.context.remove_baggage_item(key);
            self.log(&[("event", "baggage".into()), ("key", key.into()), ("override", true.into())]);
        }
    }

    /// A word that came with the trace, or was set here.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let mut span = tracer.new_trace("GET /cart");
    /// span.set_baggage_item("user", "7");
    /// assert_eq!((span.baggage_item("user"), span.baggage_item("other")), (Some("7"), None));
    /// ```
    pub fn baggage_item(&self, key: &str) -> Option<&str> {
        self.context.baggage_item(key)
    }

    /// Ends it now. A second time nothing happens.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// tracer.new_trace("GET /cart").finish();
    /// ```
    #[inline]
    pub fn finish(&mut self) {
        if self.recording.ends() {
            self.end_now();
        }
    }

    /// Kept out of the way of spans that are not recorded.
    #[inline(never)]
    fn end_now(&mut self) {
        self.end(Err(Stamp::now()));
    }

    /// Ends it then.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let second = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1);
    /// tracer.new_trace("imported").start_at(std::time::UNIX_EPOCH).finish_at(second);
    /// ```
    pub fn finish_at(&mut self, time: SystemTime) {
        self.end(Ok(nanos(time)));
    }

    /// Forgets it: nothing is reported, and its children have no parent.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// tracer.new_trace("was nothing").abandon();
    /// assert_eq!(tracer.close().reported, 0);
    /// ```
    pub fn abandon(mut self) {
        self.forget();
    }

    /// A handle to this span, for others who write to it: other tasks, other threads. The span ends when this `Span`
    /// ends; what handles write later is lost. From the first handle on, writing to the span takes a lock that is its
    /// own.
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// let mut request = tracer.new_trace("GET /cart");
    /// let handle = request.handle();
    /// std::thread::spawn(move || _ = handle.tag("user", 7)).join().unwrap();
    /// request.finish();
    /// tracer.flush();
    /// assert_eq!(reporter.spans()[0].tags.last().unwrap().0, "user");
    /// ```
    pub fn handle(&mut self) -> SpanHandle {
        SpanHandle::new(self.context.clone(), self.tracer, self.recording.share())
    }

    /// Whether nothing happens when it is dropped.
    #[cfg(feature = "tracing")]
    pub(crate) const fn ends_elsewhere(&self) -> bool {
        self.recording.ends_elsewhere()
    }

    /// The same span, for one who does not end it.
    #[cfg(feature = "tracing")]
    pub(crate) fn guest(&mut self) -> Self {
        let recording = Recording::guest(self.recording.share());
        Self { context: self.context.clone(), tracer: self.tracer, recording }
    }

    /// Another span that caused this one, and does not wait for it: a link.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let order = tracer.new_trace("order");
    /// let mut batch = tracer.new_trace("send all");
    /// batch.follows_from(order.context());
    /// ```
    pub fn follows_from(&mut self, context: &TraceContext) -> &mut Self {
        let state = context.trace_state().unwrap_or_default();
        self.write(|open| open.entries.link(context.trace_id(), context.span_id(), false, state))
    }

    #[inline]
    pub(crate) const fn tracer(&self) -> u64 {
        self.tracer
    }

    /// Of another trace, whose decision holds from now on.
    #[cfg(feature = "tracing")]
    pub(crate) fn become_part_of(&mut self, context: TraceContext, late: impl FnOnce() -> Box<Open>) {
        match context.sampled() {
            Some(true) if !self.is_recorded() => self.recording = Recording::own(late()),
            Some(true) => {}
            _ => self.forget(),
        }
        self.context = context;
    }

    /// What was written, without the span.
    #[cfg(feature = "tracing")]
    pub(crate) fn into_open(mut self) -> Option<Box<Open>> {
        self.recording.take()
    }

    /// Writes what was written apart, in one go.
    #[cfg(feature = "tracing")]
    pub(crate) fn append(&mut self, annotation: &recorder::Entries) {
        self.write(|open| open.entries.append(annotation));
    }

    /// The tag that made it a debug span.
    pub(crate) fn keep_priority(&mut self, priority: i64) {
        self.write(|open| open.entries.tag(SAMPLING_PRIORITY, ValueRef::I64(priority)));
    }

    pub(crate) fn set_start(&mut self, start: Option<u64>) {
        if let Some(start) = start {
            self.write(|open| open.start = Ok(start));
        }
    }

    pub(crate) fn set_shared(&mut self, shared: bool) {
        self.write(|open| open.shared = shared);
    }

    #[inline]
    fn write(&mut self, write: impl FnOnce(&mut Open)) -> &mut Self {
        self.recording.write(write);
        self
    }

    pub(crate) fn forget(&mut self) {
        self.recording.take().into_iter().for_each(recorder::keep);
    }

    #[inline]
    fn end(&mut self, end: Result<u64, Stamp>) {
        if let Some(open) = self.recording.take_to_end() {
            open.end(self.tracer, &self.context, end);
        }
    }

    /// Jaeger's `sampling.priority`. True: the tag is to be kept.
    #[cold]
    fn prioritize(&mut self, value: TagValue<'_>) -> bool {
        let Some(priority) = value.as_whole_number() else { return false };
        if priority == 0 {
            self.forget();
            self.context = std::mem::take(&mut self.context).with_debug(false).with_sampled(Some(false));
            return false;
        }
        if self.context.debug() || !self.context.has_ids() || !self.recording.allows_debug(self.tracer) {
            return false;
        }
        self.context = std::mem::take(&mut self.context).with_debug(true);
        self.recording.begin_late();
        self.write(|open| open.debug = true);
        true
    }
}

/// A span under the one with this context.
#[inline]
fn child(tracer: u64, parent: &TraceContext, name: &str, recorded: bool) -> Span {
    if !parent.has_ids() {
        return Span::none();
    }
    #[cfg(feature = "metrics")]
    crate::metrics::count_span(tracer, recorded);
    let span_id = new_span_id();
    // Before the context: while that waited for this it would be put aside, and moving what was just written in pieces
    // waits for all of them, which is longer than all else in a span that is not recorded.
    let recording = Recording::begin(tracer, name, recorded);
    Span { context: parent.child(span_id), tracer, recording }
}

impl Drop for Span {
    #[inline]
    fn drop(&mut self) {
        self.finish();
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Span").field("context", &self.context).field("recorded", &self.is_recorded()).finish()
    }
}

pub(crate) fn nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
