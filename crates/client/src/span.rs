//! A span being recorded, or one that only carries its context on.

use std::error::Error;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use tracewell_model::{Kind, OwnedEndpoint, SpanFlags, StatusCode, ValueRef};

use crate::propagation::TraceContext;
use crate::recorder::{self, Entries, Head, Stamp};
use crate::tracer::new_span_id;

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
    open: Option<Open>,
}

/// What only a recorded span has.
struct Open {
    /// Given, as nanoseconds of the wall clock, or read from the fast clock.
    start: Result<u64, Stamp>,
    entries: Entries,
    kind: Kind,
    shared: bool,
}

impl Span {
    #[inline]
    pub(crate) fn begin(tracer: u64, context: TraceContext, name: &str, recorded: bool) -> Self {
        let open = recorded.then(|| Open::new(name));
        Self { context, tracer, open }
    }

    /// A span under this one.
    #[inline]
    pub fn new_child(&self, name: &str) -> Self {
        Self::begin(self.tracer, self.context.child(new_span_id()), name, self.open.is_some())
    }

    /// What is to travel to a callee.
    pub const fn context(&self) -> &TraceContext {
        &self.context
    }

    /// Whether it is recorded.
    pub const fn is_recorded(&self) -> bool {
        self.open.is_some()
    }

    /// Another name.
    pub fn name(&mut self, name: &str) -> &mut Self {
        self.with_entries(|entries| entries.name(name))
    }

    /// Its role.
    pub const fn kind(&mut self, kind: Kind) -> &mut Self {
        if let Some(open) = &mut self.open {
            open.kind = kind;
        }
        self
    }

    /// A tag: text, number, true or false, bytes.
    #[expect(clippy::inline_always, reason = "a key that the compiler knows is a few constants")]
    #[inline(always)]
    pub fn tag<'v>(&mut self, key: &str, value: impl Into<TagValue<'v>>) -> &mut Self {
        if let Some(open) = &mut self.open {
            open.entries.tag(key, value.into().0);
        }
        self
    }

    /// Something that happens now.
    pub fn annotate(&mut self, value: &str) -> &mut Self {
        self.with_entries(|entries| entries.annotation(recorder::unix_nanos(Stamp::now()), value))
    }

    /// Something that happened then.
    pub fn annotate_at(&mut self, time: SystemTime, value: &str) -> &mut Self {
        self.with_entries(|entries| entries.annotation(nanos(time), value))
    }

    /// Fields of something that happens now: Jaeger's log.
    pub fn log(&mut self, fields: &[(&str, TagValue<'_>)]) -> &mut Self {
        self.with_entries(|entries| {
            entries.annotation(recorder::unix_nanos(Stamp::now()), "");
            for (key, value) in fields {
                entries.field(key, value.0);
            }
        })
    }

    /// Who it speaks to.
    pub fn remote_endpoint(&mut self, endpoint: &OwnedEndpoint) -> &mut Self {
        self.with_entries(|entries| entries.remote_endpoint(endpoint))
    }

    /// That it failed: the status, and Zipkin's tag `error` with the text of the error.
    pub fn error(&mut self, error: &dyn Error) -> &mut Self {
        self.with_entries(|entries| {
            let text = error.to_string();
            entries.status(StatusCode::Error, &text);
            entries.tag("error", ValueRef::Str(&text));
        })
    }

    /// When it began, if not when it was made.
    pub fn start_at(&mut self, time: SystemTime) -> &mut Self {
        if let Some(open) = &mut self.open {
            open.start = Ok(nanos(time));
        }
        self
    }

    /// A word that travels to all callees. False: there is too much already ([`crate::propagation::BAGGAGE_BYTES_MAX`]).
    pub fn set_baggage_item(&mut self, key: &str, value: &str) -> bool {
        self.context.set_baggage_item(key, value)
    }

    /// A word that came with the trace, or was set here.
    pub fn baggage_item(&self, key: &str) -> Option<&str> {
        self.context.baggage_item(key)
    }

    /// Ends it now. A second time nothing happens.
    pub fn finish(&mut self) {
        if self.open.is_some() {
            self.end(Err(Stamp::now()));
        }
    }

    /// Ends it then.
    pub fn finish_at(&mut self, time: SystemTime) {
        self.end(Ok(nanos(time)));
    }

    /// Forgets it: nothing is reported, and its children have no parent.
    pub fn abandon(mut self) {
        if let Some(mut open) = self.open.take() {
            recorder::return_buffer(&mut open.entries);
        }
    }

    pub(crate) const fn set_shared(&mut self, shared: bool) {
        if let Some(open) = &mut self.open {
            open.shared = shared;
        }
    }

    fn with_entries(&mut self, write: impl FnOnce(&mut Entries)) -> &mut Self {
        if let Some(open) = &mut self.open {
            write(&mut open.entries);
        }
        self
    }

    fn end(&mut self, end: Result<u64, Stamp>) {
        // By reference: copying what was just written piece by piece would wait for it.
        let Some(open) = &mut self.open else { return };
        let context = &self.context;
        if let Some(state) = context.trace_state() {
            open.entries.trace_state(state);
        }
        let mut flags = SpanFlags::SAMPLED;
        for (is_set, flag) in [(context.debug(), SpanFlags::DEBUG), (open.shared, SpanFlags::SHARED)] {
            flags = if is_set { flags.with(flag) } else { flags };
        }
        let head = Head {
            trace_id: context.trace_id(),
            span_id: context.span_id(),
            parent_id: context.parent_id(),
            start_nanos: 0,
            duration_nanos: 0,
            kind: open.kind,
            flags,
        };
        recorder::finish(self.tracer, head, open.start, end, &mut open.entries);
        self.open = None;
    }
}

impl Open {
    /// Kept out of the way of spans that are not recorded.
    #[inline(never)]
    fn new(name: &str) -> Self {
        let mut entries = Entries::in_buffer(recorder::take_buffer());
        entries.name(name);
        Self { start: Err(Stamp::now()), entries, kind: Kind::Unset, shared: false }
    }
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

fn nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// A tag's value, from what Rust has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TagValue<'a>(pub ValueRef<'a>);

macro_rules! tag_value {
    ($($from:ty => $value:ident as $to:ty),*) => {$(
        impl From<$from> for TagValue<'_> {
            fn from(value: $from) -> Self {
                Self(ValueRef::$value(<$to>::from(value)))
            }
        }
    )*};
}

tag_value!(
    bool => Bool as bool,
    i64 => I64 as i64, i32 => I64 as i64, i16 => I64 as i64, i8 => I64 as i64,
    u32 => I64 as i64, u16 => I64 as i64, u8 => I64 as i64,
    f64 => F64 as f64, f32 => F64 as f64
);

impl<'a> From<&'a str> for TagValue<'a> {
    fn from(value: &'a str) -> Self {
        Self(ValueRef::Str(value))
    }
}

impl<'a> From<&'a String> for TagValue<'a> {
    fn from(value: &'a String) -> Self {
        Self(ValueRef::Str(value))
    }
}

impl<'a> From<&'a [u8]> for TagValue<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self(ValueRef::Bytes(value))
    }
}
