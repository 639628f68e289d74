//! What travels between services: ids, the sampling decision, and, on the heap only when there is any, baggage.

use std::sync::Arc;

use tracewell_model::{SpanId, TraceId};

use super::{BAGGAGE_BYTES_MAX, BAGGAGE_ITEMS_MAX};

/// The part of a span that its callees need to know: 48 bytes, and one shared allocation where baggage, a trace state
/// or a debug id travels along. Cloning never copies those.
///
/// ```
/// use tracewell_model::{SpanId, TraceId};
/// use tracewell_wire::propagation::TraceContext;
///
/// let root = TraceContext::new(TraceId::new(7), SpanId::new(1)).with_sampled(Some(true));
/// let child = root.child(SpanId::new(2));
/// assert_eq!(child.parent_id(), SpanId::new(1));
/// assert_eq!(child.sampled(), Some(true));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TraceContext {
    trace_id: TraceId,
    span_id: SpanId,
    parent_id: SpanId,
    flags: Flags,
    extra: Option<Arc<Extra>>,
}

/// All flags in one word, so that copying a context never waits for a byte just written: bits 0–7 our own, 8–15 the
/// W3C's as they came without sampled, 32–63 Jaeger's as they came without sampled and debug.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Flags(u64);

const SAMPLED: u64 = 1;
const DEBUG: u64 = 1 << 1;
const DECIDED: u64 = 1 << 2;
const WIDE_TRACE_ID: u64 = 1 << 3;
const W3C: u64 = 0xff << 8;
const JAEGER: u64 = 0xffff_ffff << 32;

impl Flags {
    const fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }

    const fn set(&mut self, flag: u64, on: bool) {
        self.put(flag, if on { flag } else { 0 });
    }

    const fn put(&mut self, place: u64, bits: u64) {
        self.0 = self.0 & !place | bits;
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Extra {
    baggage: Vec<BaggageItem>,
    trace_state: Option<Box<str>>,
    debug_id: Option<Box<str>>,
    oversized_ids: Option<OversizedIds>,
}

/// A key and a value that travel with the trace.
///
/// ```
/// use tracewell_model::{SpanId, TraceId};
/// use tracewell_wire::propagation::TraceContext;
/// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
/// let context = context.with_baggage_item("user", "7");
/// assert_eq!((&*context.baggage()[0].key, &*context.baggage()[0].value), ("user", "7"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaggageItem {
    /// The name. Jaeger's headers carry it in lower case.
    pub key: Box<str>,
    /// The value, decoded.
    pub value: Box<str>,
    /// What W3C Baggage allows after a `;`, as it came; mostly empty, and lost in Jaeger's headers.
    pub properties: Box<str>,
}

/// Ids with more digits than ids have: jaeger-client reads numbers of any size from `uber-trace-id`. They are kept so
/// that the header can be passed on as it came; the context's own ids are the lower bits, which is all that any wire
/// format of spans has room for.
///
/// ```
/// use tracewell_wire::propagation::Propagation;
/// let headers = [("uber-trace-id", "123456789abcdef0123456789abcdef0123:1:0:1")];
/// let context = Propagation::default().extract(&headers[..]).context;
/// assert_eq!(context.oversized_ids().unwrap().parts()[0], "123456789abcdef0123456789abcdef0123");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OversizedIds {
    /// `trace:span:parent:flags`, lower-case hexadecimal without leading zeros.
    pub(super) text: Box<str>,
}

impl OversizedIds {
    /// The digits of trace id, span id, parent id and flags.
    pub fn parts(&self) -> [&str; 4] {
        let mut parts = self.text.split(':');
        std::array::from_fn(|_| parts.next().unwrap_or_default())
    }
}

impl TraceContext {
    /// A context with ids, without parent or decision.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// assert_eq!((context.trace_id(), context.sampled()), (TraceId::new(7), None));
    /// ```
    pub const fn new(trace_id: TraceId, span_id: SpanId) -> Self {
        Self { trace_id, span_id, parent_id: SpanId::NONE, flags: Flags(0), extra: None }
    }

    /// The context of a new span under this one: same trace, decision, flags and baggage.
    #[must_use]
    #[inline]
    pub fn child(&self, span_id: SpanId) -> Self {
        let extra = self.extra.as_ref().map(Extra::for_child);
        Self { trace_id: self.trace_id, span_id, parent_id: self.span_id, flags: self.flags, extra }
    }

    /// With other ids, keeping the decision, the flags and what travels along.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// let other = context.with_sampled(Some(true)).with_ids(TraceId::new(8), SpanId::new(2), SpanId::NONE);
    /// assert_eq!((other.trace_id(), other.sampled()), (TraceId::new(8), Some(true)));
    /// ```
    #[must_use]
    pub fn with_ids(mut self, trace_id: TraceId, span_id: SpanId, parent_id: SpanId) -> Self {
        self.set_ids(trace_id, span_id, parent_id);
        self.without_oversized_ids()
    }

    /// With a parent ([`SpanId::NONE`] takes it away).
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// assert_eq!(context.with_parent_id(SpanId::new(9)).parent_id(), SpanId::new(9));
    /// ```
    #[must_use]
    pub const fn with_parent_id(mut self, parent_id: SpanId) -> Self {
        self.parent_id = parent_id;
        self
    }

    /// With a decision, or with none (`None`: it is the receiver's).
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// assert_eq!(context.with_sampled(Some(false)).sampled(), Some(false));
    /// ```
    #[must_use]
    pub const fn with_sampled(mut self, sampled: Option<bool>) -> Self {
        let bits = match sampled {
            Some(true) => SAMPLED | DECIDED,
            Some(false) => DECIDED,
            None => 0,
        };
        self.flags.put(SAMPLED | DECIDED, bits);
        self
    }

    /// As a debug trace: to be kept whatever any sampler says. Sets the decision, too, except when taken away.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// let debug = context.with_debug(true);
    /// assert!(debug.debug() && debug.sampled() == Some(true));
    /// ```
    #[must_use]
    pub const fn with_debug(self, debug: bool) -> Self {
        if debug { self.with_debug_bit(true).with_sampled(Some(true)) } else { self.with_debug_bit(false) }
    }

    /// Printed with 32 digits in B3 even if the upper half of the trace id is zero.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// assert!(context.with_wide_trace_id(true).has_wide_trace_id());
    /// ```
    #[must_use]
    pub const fn with_wide_trace_id(mut self, wide: bool) -> Self {
        self.flags.set(WIDE_TRACE_ID, wide);
        self
    }

    /// With Jaeger's flags: 1 sampled, 2 debug (which does not imply sampled there), others passed on as they are.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// let context = context.with_jaeger_flags(3);
    /// assert!(context.debug() && context.sampled() == Some(true));
    /// ```
    #[must_use]
    pub const fn with_jaeger_flags(mut self, flags: u32) -> Self {
        self.flags.put(JAEGER, ((flags & !3) as u64) << 32);
        self.with_sampled(Some(flags & 1 != 0)).with_debug_bit(flags & 2 != 0)
    }

    /// With the W3C's trace flags: 1 sampled, 2 random trace id, others kept but not passed on.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// assert_eq!(context.with_w3c_flags(1).sampled(), Some(true));
    /// ```
    #[must_use]
    pub const fn with_w3c_flags(mut self, flags: u8) -> Self {
        self.flags.put(W3C, ((flags & !1) as u64) << 8);
        self.with_sampled(Some(flags & 1 != 0))
    }

    /// With a baggage item, in place of the one with the same key. Beyond [`BAGGAGE_ITEMS_MAX`] or
    /// [`BAGGAGE_BYTES_MAX`] it is left out; [`TraceContext::set_baggage_item`] says so.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// assert_eq!(context.with_baggage_item("user", "7").baggage_item("user"), Some("7"));
    /// ```
    #[must_use]
    pub fn with_baggage_item(mut self, key: &str, value: &str) -> Self {
        self.set_baggage_item(key, value);
        self
    }

    /// With a W3C trace state, as the header has it. Not checked here: [`super::Propagation::extract`] does.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// assert_eq!(context.with_trace_state("congo=t61rcWkgMzE").trace_state(), Some("congo=t61rcWkgMzE"));
    /// ```
    #[must_use]
    pub fn with_trace_state(mut self, trace_state: &str) -> Self {
        self.extra_mut().trace_state = Some(trace_state.into());
        self
    }

    /// With Jaeger's debug id: a word to find the trace by.
    ///
    /// ```
    /// use tracewell_wire::propagation::TraceContext;
    /// assert_eq!(TraceContext::default().with_debug_id("order 7").debug_id(), Some("order 7"));
    /// ```
    #[must_use]
    pub fn with_debug_id(mut self, debug_id: &str) -> Self {
        self.extra_mut().debug_id = Some(debug_id.into());
        self
    }

    /// Sets a baggage item. False: not set, there is too much already.
    ///
    /// ```
    /// use tracewell_wire::propagation::{BAGGAGE_BYTES_MAX, TraceContext};
    /// let mut context = TraceContext::default();
    /// assert!(context.set_baggage_item("user", "7"));
    /// assert!(!context.set_baggage_item("novel", &"x".repeat(BAGGAGE_BYTES_MAX)));
    /// ```
    pub fn set_baggage_item(&mut self, key: &str, value: &str) -> bool {
        self.put_baggage(BaggageItem { key: key.into(), value: value.into(), properties: Box::default() })
    }

    /// Takes a baggage item away.
    ///
    /// ```
    /// use tracewell_wire::propagation::TraceContext;
    /// let mut context = TraceContext::default().with_baggage_item("user", "7");
    /// context.remove_baggage_item("user");
    /// assert!(context.baggage().is_empty());
    /// ```
    pub fn remove_baggage_item(&mut self, key: &str) {
        if self.baggage_item(key).is_some() {
            self.extra_mut().baggage.retain(|item| *item.key != *key);
        }
    }

    /// Whether trace id and span id are there, which is what makes it possible to continue the trace.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// assert!(context.has_ids() && !TraceContext::default().has_ids());
    /// ```
    pub const fn has_ids(&self) -> bool {
        self.trace_id.value() != 0 && self.span_id.value() != 0
    }

    /// The trace.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// assert_eq!(context.trace_id(), TraceId::new(7));
    /// ```
    pub const fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The span.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// assert_eq!(context.span_id(), SpanId::new(1));
    /// ```
    pub const fn span_id(&self) -> SpanId {
        self.span_id
    }

    /// Its parent, or [`SpanId::NONE`].
    pub const fn parent_id(&self) -> SpanId {
        self.parent_id
    }

    /// The decision; `None` leaves it to the receiver.
    pub const fn sampled(&self) -> Option<bool> {
        if self.flags.has(DECIDED) { Some(self.flags.has(SAMPLED)) } else { None }
    }

    /// Whether it is a debug trace.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// assert!(!context.debug());
    /// ```
    pub const fn debug(&self) -> bool {
        self.flags.has(DEBUG)
    }

    /// Whether the trace id is printed with 32 digits.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// assert!(!context.has_wide_trace_id());
    /// assert!(TraceContext::new(TraceId::from_halves(1, 7), SpanId::new(1)).has_wide_trace_id());
    /// ```
    pub const fn has_wide_trace_id(&self) -> bool {
        self.flags.has(WIDE_TRACE_ID) || self.trace_id.high() != 0
    }

    /// Jaeger's flags.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// assert_eq!(context.with_debug(true).jaeger_flags(), 3);
    /// ```
    pub const fn jaeger_flags(&self) -> u32 {
        (self.flags.0 >> 32) as u32 | (self.flags.0 & (SAMPLED | DEBUG)) as u32
    }

    /// The W3C's trace flags, as they came.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// assert_eq!(context.with_w3c_flags(3).w3c_flags(), 3);
    /// ```
    pub const fn w3c_flags(&self) -> u8 {
        (self.flags.0 >> 8) as u8 | (self.flags.0 & SAMPLED) as u8
    }

    /// The W3C's trace state.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// assert_eq!(context.trace_state(), None);
    /// ```
    pub fn trace_state(&self) -> Option<&str> {
        self.extra.as_ref()?.trace_state.as_deref()
    }

    /// Jaeger's debug id.
    ///
    /// ```
    /// use tracewell_wire::propagation::Propagation;
    /// let headers = [("jaeger-debug-id", "order 7")];
    /// assert_eq!(Propagation::default().extract(&headers[..]).context.debug_id(), Some("order 7"));
    /// ```
    pub fn debug_id(&self) -> Option<&str> {
        self.extra.as_ref()?.debug_id.as_deref()
    }

    /// The baggage, in the order it came.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// let context = context.with_baggage_item("b", "2").with_baggage_item("a", "1");
    /// let keys: Vec<&str> = context.baggage().iter().map(|item| &*item.key).collect();
    /// assert_eq!(keys, ["b", "a"]);
    /// ```
    pub fn baggage(&self) -> &[BaggageItem] {
        self.extra.as_ref().map_or(&[], |extra| &extra.baggage)
    }

    /// The value of one baggage item.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// assert_eq!(context.baggage_item("user"), None);
    /// ```
    pub fn baggage_item(&self, key: &str) -> Option<&str> {
        self.baggage().iter().find(|item| *item.key == *key).map(|item| &*item.value)
    }

    /// The ids as they came, where they are larger than ids.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::TraceContext;
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    /// assert!(context.oversized_ids().is_none());
    /// ```
    pub fn oversized_ids(&self) -> Option<&OversizedIds> {
        self.extra.as_ref()?.oversized_ids.as_ref()
    }
}

impl TraceContext {
    pub(super) const fn set_ids(&mut self, trace_id: TraceId, span_id: SpanId, parent_id: SpanId) {
        self.trace_id = trace_id;
        self.span_id = span_id;
        self.parent_id = parent_id;
    }

    /// No ids and no decision, as if none had come. What travels beside them stays.
    pub(super) fn forget_ids(&mut self) {
        let kept = std::mem::take(self).without_oversized_ids();
        *self = Self { extra: kept.extra, ..Self::default() };
    }

    pub(super) fn set_oversized_ids(&mut self, text: Box<str>) {
        self.extra_mut().oversized_ids = Some(OversizedIds { text });
    }

    /// False: too much.
    pub(super) fn put_baggage(&mut self, item: BaggageItem) -> bool {
        let others = || self.baggage().iter().filter(|other| other.key != item.key);
        let bytes: usize = others().chain([&item]).map(BaggageItem::bytes).sum();
        if others().count() >= BAGGAGE_ITEMS_MAX || bytes > BAGGAGE_BYTES_MAX {
            return false;
        }
        let baggage = &mut self.extra_mut().baggage;
        match baggage.iter_mut().find(|other| other.key == item.key) {
            Some(other) => *other = item,
            None => baggage.push(item),
        }
        true
    }

    /// Adds what another format found to what was found before.
    pub(super) fn absorb(&mut self, found: Self) {
        if self == &Self::default() {
            *self = found;
            return;
        }
        let mut other = found;
        if !self.has_ids() && (other.has_ids() || !self.flags.has(DECIDED | DEBUG)) {
            std::mem::swap(self, &mut other);
        }
        let same_trace = self.trace_id == other.trace_id;
        let Some(extra) = other.extra.take() else { return };
        for item in &extra.baggage {
            if self.baggage_item(&item.key).is_none() {
                self.put_baggage(item.clone());
            }
        }
        if self.debug_id().is_none() && extra.debug_id.is_some() {
            self.extra_mut().debug_id.clone_from(&extra.debug_id);
        }
        if same_trace && self.trace_state().is_none() && extra.trace_state.is_some() {
            self.extra_mut().trace_state.clone_from(&extra.trace_state);
        }
    }

    const fn with_debug_bit(mut self, debug: bool) -> Self {
        self.flags.set(DEBUG, debug);
        self
    }

    fn without_oversized_ids(mut self) -> Self {
        self.extra = self.extra.as_ref().map(Extra::for_child);
        self
    }

    fn extra_mut(&mut self) -> &mut Extra {
        Arc::make_mut(self.extra.get_or_insert_default())
    }
}

impl Extra {
    /// What holds for other ids of the trace, too. Out of the way of the contexts that have nothing of it.
    #[inline(never)]
    fn for_child(self: &Arc<Self>) -> Arc<Self> {
        if self.oversized_ids.is_none() {
            return Arc::clone(self);
        }
        Arc::new(Self { oversized_ids: None, ..Self::clone(self) })
    }
}

impl BaggageItem {
    fn bytes(&self) -> usize {
        self.key.len() + self.value.len() + self.properties.len()
    }
}
