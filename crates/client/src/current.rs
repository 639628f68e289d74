//! The current span of a thread, for those who want one: a stack that spans are entered into and left from.
//!
//! A span that is entered moves into the stack of the calling thread, and back out when it is left: no lock, no
//! allocation, nothing that others share. `future.in_span(span)` does so around each poll, so that a span is current
//! for a task wherever the task runs. Who enters nothing pays nothing.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

use tracewell_model::{Kind, OwnedEndpoint};

use crate::propagation::{HeaderSetter, Propagation, TraceContext};
use crate::span::{Span, SpanHandle, TagValue};

/// Stands for whatever span is current on this thread when it is asked, and does nothing where none is.
///
/// ```
/// # let reporter = tracewell::InMemoryReporter::default();
/// # let sampler = tracewell::sampler::ConstSampler::new(true);
/// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
/// fn price(article: u32) -> u32 {
///     tracewell::current().tag("article", article);
///     let _lookup = tracewell::current().new_child("lookup");
///     article * 2
/// }
/// tracer.new_trace("GET /price").in_scope(|| price(7));
/// tracer.flush();
/// let [lookup, request] = &reporter.spans()[..] else { panic!() };
/// assert_eq!(lookup.parent, Some(request.id));
/// assert_eq!(request.tags.last().unwrap().0, "article");
/// ```
pub const fn current() -> CurrentSpan {
    CurrentSpan { stays_here: PhantomData }
}

/// See [`current`]. Not to be sent elsewhere: there another span is current. [`CurrentSpan::handle`] is.
///
/// ```
/// # let reporter = tracewell::InMemoryReporter::default();
/// # let sampler = tracewell::sampler::ConstSampler::new(true);
/// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
/// tracer.new_trace("GET /cart").in_scope(|| {
///     let current: tracewell::CurrentSpan = tracewell::current();
///     current.tag("user", 7).annotate("found");
/// });
/// tracer.flush();
/// assert_eq!(reporter.spans()[0].annotations[0].value, "found");
/// ```
#[derive(Clone, Copy)]
pub struct CurrentSpan {
    stays_here: PhantomData<*const ()>,
}

impl CurrentSpan {
    /// Whether there is one.
    ///
    /// ```
    /// assert!(tracewell::current().is_none());
    /// ```
    pub fn is_none(self) -> bool {
        top(|_| ()).is_none()
    }

    /// Whether there is one, and it is recorded.
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// assert!(!tracewell::current().is_recorded());
    /// tracer.new_trace("GET /cart").in_scope(|| assert!(tracewell::current().is_recorded()));
    /// ```
    pub fn is_recorded(self) -> bool {
        top(|span| span.is_recorded()).unwrap_or(false)
    }

    /// What is to travel to a callee; `None` where nothing is current.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let mut request = tracer.new_trace("GET /cart");
    /// let trace_id = request.context().trace_id();
    /// assert_eq!(request.in_scope(|| tracewell::current().context()).unwrap().trace_id(), trace_id);
    /// ```
    pub fn context(self) -> Option<TraceContext> {
        top(|span| span.context().clone())
    }

    /// A span under it; where nothing is current, [`Span::none`].
    ///
    /// ```
    /// let mut query = tracewell::current().new_child("SELECT");
    /// query.tag("db.rows", 3);
    /// ```
    pub fn new_child(self, name: &str) -> Span {
        top(|span| span.new_child(name)).unwrap_or_else(Span::none)
    }

    /// Writes what is to travel to a callee into a request's headers, if anything.
    ///
    /// ```
    /// use tracewell::propagation::Propagation;
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let _request = tracer.new_trace("GET /cart").entered();
    /// let mut headers = Vec::new();
    /// tracewell::current().inject(&Propagation::default(), &mut headers);
    /// assert_eq!(headers[0].0, "traceparent");
    /// ```
    pub fn inject<H: HeaderSetter + ?Sized>(self, propagation: &Propagation, headers: &mut H) {
        if let Some(context) = self.context() {
            propagation.inject(&context, headers);
        }
    }

    /// To write to it from elsewhere: another task, another thread. See [`Span::handle`].
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let mut request = tracer.new_trace("GET /cart");
    /// let handle = request.in_scope(|| tracewell::current().handle());
    /// # drop(handle);
    /// ```
    pub fn handle(self) -> Option<SpanHandle> {
        top(Span::handle)
    }

    /// See [`Span::name`].
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// tracer.new_trace("GET").in_scope(|| tracewell::current().name("GET /cart/{id}"));
    /// tracer.flush();
    /// assert_eq!(reporter.spans()[0].name, "GET /cart/{id}");
    /// ```
    pub fn name(self, name: &str) -> Self {
        self.write(|span| span.name(name))
    }

    /// See [`Span::kind`].
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// tracer.new_trace("GET /cart").in_scope(|| tracewell::current().kind(tracewell::Kind::Server));
    /// tracer.flush();
    /// assert_eq!(reporter.spans()[0].kind, tracewell::Kind::Server);
    /// ```
    pub fn kind(self, kind: Kind) -> Self {
        self.write(|span| span.kind(kind))
    }

    /// See [`Span::tag`].
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let mut request = tracer.new_trace("GET /cart");
    /// request.in_scope(|| tracewell::current().tag("user", 7).annotate("found"));
    /// ```
    pub fn tag<'v>(self, key: &str, value: impl Into<TagValue<'v>>) -> Self {
        let value = value.into();
        self.write(|span| span.tag(key, value))
    }

    /// See [`Span::annotate`].
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// tracer.new_trace("GET /cart").in_scope(|| tracewell::current().annotate("cache miss"));
    /// tracer.flush();
    /// assert_eq!(reporter.spans()[0].annotations[0].value, "cache miss");
    /// ```
    pub fn annotate(self, value: &str) -> Self {
        self.write(|span| span.annotate(value))
    }

    /// See [`Span::log`].
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// tracer.new_trace("charge").in_scope(|| tracewell::current().log(&[("event", "retry".into()), ("attempt", 2.into())]));
    /// tracer.flush();
    /// assert_eq!(reporter.spans()[0].annotations.len(), 1);
    /// ```
    pub fn log(self, fields: &[(&str, TagValue<'_>)]) -> Self {
        self.write(|span| span.log(fields))
    }

    /// See [`Span::remote_endpoint`].
    ///
    /// ```
    /// use tracewell::OwnedEndpoint;
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// let db = OwnedEndpoint { service: "db".into(), ..OwnedEndpoint::default() };
    /// tracer.new_trace("query").in_scope(|| tracewell::current().remote_endpoint(&db));
    /// tracer.flush();
    /// assert_eq!(reporter.spans()[0].remote.as_ref().unwrap().service, "db");
    /// ```
    pub fn remote_endpoint(self, endpoint: &OwnedEndpoint) -> Self {
        self.write(|span| span.remote_endpoint(endpoint))
    }

    /// See [`Span::error`].
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// tracer.new_trace("parse").in_scope(|| {
    ///     if let Err(error) = "x".parse::<u32>() {
    ///         tracewell::current().error(&error);
    ///     }
    /// });
    /// tracer.flush();
    /// assert_eq!(reporter.spans()[0].tags.last().unwrap().0, "error");
    /// ```
    pub fn error(self, error: &(dyn Error + 'static)) -> Self {
        // By way of a handle's copy: reading the error's text is its author's code, which may ask for the current span.
        if let Some(tracer) = top(|span| span.is_recorded().then(|| span.tracer())).flatten()
            && let Some(failure) = crate::span::Failure::of(tracer, error)
        {
            self.write(|span| span.fail(&failure));
        }
        self
    }

    /// See [`Span::error_message`].
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// tracer.new_trace("charge").in_scope(|| tracewell::current().error_message("no credit"));
    /// tracer.flush();
    /// assert_eq!(reporter.spans()[0].tags.last().unwrap().0, "error");
    /// ```
    pub fn error_message(self, message: &str) -> Self {
        self.write(|span| span.error_message(message))
    }

    /// See [`Span::set_baggage_item`]. False also where nothing is current.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// assert!(!tracewell::current().set_baggage_item("user", "7"));
    /// tracer.new_trace("GET /cart").in_scope(|| assert!(tracewell::current().set_baggage_item("user", "7")));
    /// ```
    pub fn set_baggage_item(self, key: &str, value: &str) -> bool {
        top(|span| span.set_baggage_item(key, value)).unwrap_or(false)
    }

    /// A word that came with the trace, or was set since.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let mut request = tracer.new_trace("GET /cart");
    /// request.set_baggage_item("user", "7");
    /// assert_eq!(request.in_scope(|| tracewell::current().baggage_item("user")).as_deref(), Some("7"));
    /// ```
    pub fn baggage_item(self, key: &str) -> Option<String> {
        top(|span| span.baggage_item(key).map(str::to_owned)).flatten()
    }

    fn write(self, write: impl FnOnce(&mut Span) -> &mut Span) -> Self {
        top(|span| {
            write(span);
        });
        self
    }
}

impl fmt::Debug for CurrentSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CurrentSpan").field(&self.context()).finish()
    }
}

/// A span that is current until this is dropped: from [`Span::enter`].
///
/// ```
/// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
/// let mut job = tracer.new_trace("job");
/// let entered: tracewell::Entered<'_> = job.enter();
/// assert!(!tracewell::current().is_none());
/// drop(entered);
/// assert!(tracewell::current().is_none());
/// ```
#[must_use = "the span is current until this is dropped"]
#[derive(Debug)]
pub struct Entered<'s> {
    span: &'s mut Span,
    ticket: Option<Ticket>,
}

/// A span that is current until this is dropped, and then ends: from [`Span::entered`].
///
/// ```
/// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
/// let entered = tracer.new_trace("job").entered();
/// tracewell::current().tag("step", 1);
/// let mut span = entered.exit();
/// span.tag("steps", 1).finish();
/// ```
#[must_use = "the span ends when this is dropped"]
#[derive(Debug)]
pub struct EnteredSpan {
    /// Where it is not in the stack.
    span: Option<Span>,
    ticket: Option<Ticket>,
}

impl Span {
    /// Makes it current on this thread until the guard is dropped; spans entered before are then current again. Guards
    /// may be dropped in any order.
    ///
    /// Not across `.await`, where other tasks run on this thread: the compiler refuses that for futures that are to be
    /// `Send`. [`crate::InSpanExt::in_span`] is for futures.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let mut span = tracer.new_trace("job");
    /// {
    ///     let _entered = span.enter();
    ///     assert!(!tracewell::current().is_none());
    /// }
    /// span.finish();
    /// ```
    pub fn enter(&mut self) -> Entered<'_> {
        let ticket = with_stack(|stack| stack.push(std::mem::replace(self, Self::none())));
        Entered { span: self, ticket }
    }

    /// As [`Span::enter`], and ends it with the guard.
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// {
    ///     let _job = tracer.new_trace("job").entered();
    ///     tracewell::current().new_child("step").finish();
    /// }
    /// tracer.flush();
    /// assert_eq!(reporter.spans().len(), 2);
    /// ```
    pub fn entered(self) -> EnteredSpan {
        let mut span = Some(self);
        let ticket = push(&mut span);
        EnteredSpan { span, ticket }
    }

    /// Makes it current while `work` runs.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let sum = tracer.new_trace("sum").in_scope(|| 1 + 2);
    /// assert_eq!(sum, 3);
    /// ```
    pub fn in_scope<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let _entered = self.enter();
        work()
    }
}

impl EnteredSpan {
    /// Leaves it without ending it.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let entered = tracer.new_trace("GET /cart").entered();
    /// let mut span = entered.exit();
    /// span.finish();
    /// ```
    pub fn exit(mut self) -> Span {
        self.leave()
    }

    fn leave(&mut self) -> Span {
        let left = self.ticket.take().and_then(remove);
        left.or_else(|| self.span.take()).unwrap_or_else(Span::none)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = &self.ticket {
            with_stack(|stack| {
                if let Some((_, span)) = stack.remove(ticket.number) {
                    *self.span = span;
                }
            });
        }
    }
}

impl Drop for EnteredSpan {
    fn drop(&mut self) {
        drop(self.leave());
    }
}

/// Takes the current span along to where the closure runs, most likely another thread.
///
/// ```
/// # let reporter = tracewell::InMemoryReporter::default();
/// # let sampler = tracewell::sampler::ConstSampler::new(true);
/// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
/// tracer.new_trace("GET /cart").in_scope(|| {
///     let work = tracewell::in_current(|| drop(tracewell::current().tag("worker", 1).new_child("part")));
///     std::thread::spawn(work).join().unwrap();
/// });
/// # tracer.flush();
/// # assert_eq!(reporter.spans()[1].tags.last().unwrap().0, "worker");
/// ```
pub fn in_current<R>(work: impl FnOnce() -> R) -> impl FnOnce() -> R {
    let handle = current().handle();
    move || {
        let _entered = handle.map(SpanHandle::entered);
        work()
    }
}

thread_local! {
    static STACK: RefCell<Stack> = const { RefCell::new(Stack { entries: Vec::new(), tickets: 0 }) };
}

struct Stack {
    entries: Vec<(u64, Span)>,
    tickets: u64,
}

/// What a span is taken out with again; of this thread only.
#[derive(Debug)]
pub(crate) struct Ticket {
    number: u64,
    stays_here: PhantomData<*const ()>,
}

/// Above it are the numbers that others chose.
#[cfg(feature = "tracing")]
pub(crate) const CHOSEN: u64 = 1 << 63;

/// Puts a span on top under a number of one's own choice, from [`CHOSEN`] on.
#[cfg(feature = "tracing")]
#[inline]
pub(crate) fn push_as(number: u64, span: Span) {
    STACK.try_with(|stack| stack.borrow_mut().entries.push((number, span))).ok();
}

/// Drops what was put in last under this number.
#[cfg(feature = "tracing")]
pub(crate) fn remove_as(number: u64) {
    let drop_top = |stack: &RefCell<Stack>| {
        let entries = &mut stack.borrow_mut().entries;
        let is_top = entries.last().is_some_and(|(top, span)| *top == number && span.ends_elsewhere());
        if is_top {
            // Where it is: a guest's end calls nobody.
            entries.truncate(entries.len() - 1);
        }
        is_top
    };
    if !STACK.try_with(drop_top).unwrap_or(false) {
        drop(remove(Ticket { number, stays_here: PhantomData }));
    }
}

/// Puts a span on top, and takes it from where it was. It stays there where the thread is being torn down and has no
/// stack any more.
pub(crate) fn push(span: &mut Option<Span>) -> Option<Ticket> {
    with_stack(|stack| Some(stack.push(span.take()?))).flatten()
}

/// `None`: the thread is being torn down and has no stack any more.
#[inline]
fn with_stack<R>(work: impl FnOnce(&mut Stack) -> R) -> Option<R> {
    STACK.try_with(|stack| work(&mut stack.borrow_mut())).ok()
}

impl Stack {
    #[inline]
    fn push(&mut self, span: Span) -> Ticket {
        self.tickets += 1;
        self.entries.push((self.tickets, span));
        Ticket { number: self.tickets, stays_here: PhantomData }
    }

    #[inline]
    fn remove(&mut self, number: u64) -> Option<(u64, Span)> {
        match self.entries.last() {
            Some((last, _)) if *last == number => self.entries.pop(),
            _ => self.remove_below(number),
        }
    }

    #[cold]
    fn remove_below(&mut self, number: u64) -> Option<(u64, Span)> {
        let at = self.entries.iter().rposition(|(other, _)| *other == number)?;
        Some(self.entries.remove(at))
    }
}

/// Takes it out, wherever in the stack it is.
#[expect(clippy::needless_pass_by_value, reason = "a ticket is good for one span")]
pub(crate) fn remove(ticket: Ticket) -> Option<Span> {
    with_stack(|stack| stack.remove(ticket.number)).flatten().map(|(_, span)| span)
}

/// Asks or tells the span on top. `work` must not call what users wrote: it could come back here.
pub(crate) fn top<R>(work: impl FnOnce(&mut Span) -> R) -> Option<R> {
    STACK.try_with(|stack| stack.borrow_mut().entries.last_mut().map(|(_, span)| work(span))).ok().flatten()
}
