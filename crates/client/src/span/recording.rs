//! Where a span's entries are: nowhere, in the span, or in a place that handles share.
//!
//! A span writes to its own entries without a lock. With the first handle they move to a place of their own behind a
//! mutex, which nobody else's spans share; such places are pooled by thread.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracewell_model::SpanFlags;

use crate::propagation::TraceContext;
use crate::recorder::{self, Head, Open, Stamp};
use crate::settings::keeps_late;
use crate::span::TagValue;

/// Places a thread keeps for spans to come.
const PLACES_MAX: usize = 64;

/// Two pointers rather than an enum of them: a span that has neither is seen to have nothing to end or to free where it is
/// dropped, without a call.
pub(crate) struct Recording {
    own: Option<Box<Open>>,
    /// Instead.
    place: Option<Arc<SharedOpen>>,
    /// What that place is to this span.
    role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Others write there, too.
    Shared,
    /// Shared, and ended by somebody else.
    Guest,
    /// Nothing is recorded, but may be from some time on.
    Late,
}

/// What a span that is not recorded needs to begin to be.
pub(crate) struct Late {
    pub(super) name: String,
    pub(super) start: Result<u64, Stamp>,
}

#[derive(Default)]
pub(crate) struct SharedOpen {
    /// `None`: it has ended.
    open: Mutex<Option<Box<Open>>>,
    /// Of one that may begin to be recorded.
    late: Option<Late>,
}

thread_local! {
    static PLACES: RefCell<Vec<Arc<SharedOpen>>> = const { RefCell::new(Vec::new()) };
}

impl Recording {
    pub(super) const OFF: Self = Self { own: None, place: None, role: Role::Shared };

    pub(super) const fn own(open: Box<Open>) -> Self {
        Self { own: Some(open), ..Self::OFF }
    }

    pub(super) const fn guest(place: Option<Arc<SharedOpen>>) -> Self {
        Self { own: None, place, role: Role::Guest }
    }

    #[inline]
    pub(super) fn begin(tracer: u64, name: &str, recorded: bool) -> Self {
        if recorded { Self::own(Open::new(name)) } else { Self::off(tracer, name) }
    }

    #[inline]
    fn off(tracer: u64, name: &str) -> Self {
        if keeps_late(tracer) { Self::late(name) } else { Self::OFF }
    }

    #[cold]
    fn late(name: &str) -> Self {
        let late = Late { name: name.to_owned(), start: Err(Stamp::now()) };
        let place = Arc::new(SharedOpen { late: Some(late), ..SharedOpen::default() });
        Self { own: None, place: Some(place), role: Role::Late }
    }

    #[inline]
    pub(super) const fn is_on(&self) -> bool {
        self.own.is_some() || self.place.is_some() && !matches!(self.role, Role::Late)
    }

    /// Whether there is anything to do when the span ends.
    #[inline]
    pub(super) const fn ends(&self) -> bool {
        self.own.is_some() || self.place.is_some() && matches!(self.role, Role::Shared)
    }

    /// The entries, where nobody else writes.
    #[inline]
    pub(super) fn own_mut(&mut self) -> Option<&mut Open> {
        self.own.as_deref_mut()
    }

    /// Whether there is another place than that for them.
    #[inline]
    pub(super) const fn has_place(&self) -> bool {
        self.place.is_some()
    }

    #[inline]
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Open)) {
        if let Some(open) = &mut self.own {
            write(open);
        } else if let (Some(place), Role::Shared | Role::Guest) = (&self.place, self.role) {
            place.write(write);
        }
    }

    /// What is kept of a span that may begin to be recorded.
    pub(super) fn late_mut(&mut self) -> Option<&mut Late> {
        // Nobody else has such a place.
        Arc::get_mut(self.place.as_mut().filter(|_| self.role == Role::Late)?)?.late.as_mut()
    }

    /// Switches on what is off.
    pub(super) fn begin_late(&mut self) {
        if self.is_on() {
            return;
        }
        let open = match self.late_mut() {
            None => Open::new(""),
            Some(late) => {
                let mut open = Open::new(&late.name);
                open.start = late.start;
                open
            }
        };
        *self = Self::own(open);
    }

    /// Where others can write, too; `None` where nothing is recorded.
    pub(super) fn share(&mut self) -> Option<Arc<SharedOpen>> {
        if let Some(open) = self.own.take() {
            let place = SharedOpen::place();
            *place.lock() = Some(open);
            *self = Self { own: None, place: Some(place), role: Role::Shared };
        }
        if self.is_on() { self.place.clone() } else { None }
    }

    /// Takes the entries away, wherever they are.
    pub(super) fn take(&mut self) -> Option<Box<Open>> {
        match std::mem::replace(self, Self::OFF) {
            Self { own: Some(open), .. } => Some(open),
            Self { place: Some(place), role: Role::Shared | Role::Guest, .. } => place.take(),
            _ => None,
        }
    }

    /// The same for one who may only be a guest: the entries are then somebody else's to take.
    #[inline]
    pub(super) fn take_to_end(&mut self) -> Option<Box<Open>> {
        if self.own.is_some() {
            return self.own.take();
        }
        let is_shared = self.role == Role::Shared;
        self.place.take().filter(|_| is_shared).and_then(SharedOpen::take)
    }

    /// Whether somebody else ends it, or nobody.
    #[cfg(feature = "tracing")]
    pub(super) const fn ends_elsewhere(&self) -> bool {
        self.own.is_none() && (self.place.is_none() || matches!(self.role, Role::Guest))
    }

    /// Whether the tracer's throttler, if it has one, lets the span become a debug span.
    pub(super) fn allows_debug(&mut self, tracer: u64) -> bool {
        let Some(tracer) = recorder::find(tracer) else { return false };
        let allows = |name: &str| tracer.options.settings.allows_debug(name);
        if let Some(late) = self.late_mut() {
            return allows(&late.name);
        }
        match self {
            Self { own: Some(open), .. } => allows(&open.entries.last_name()),
            Self { place: Some(place), .. } => {
                place.lock().as_ref().is_some_and(|open| allows(&open.entries.last_name()))
            }
            _ => allows(""),
        }
    }
}

impl SharedOpen {
    /// A free one.
    fn place() -> Arc<Self> {
        PLACES.try_with(|places| places.borrow_mut().pop()).ok().flatten().unwrap_or_default()
    }

    /// Writes, if it has not ended. `write` must not call what users wrote: it could come back here.
    #[inline(never)]
    pub(super) fn write(&self, write: impl FnOnce(&mut Open)) {
        if let Some(open) = &mut *self.lock() {
            write(open);
        }
    }

    /// Takes the entries and gives the place back.
    pub(super) fn take(self: Arc<Self>) -> Option<Box<Open>> {
        let open = self.lock().take();
        if Arc::strong_count(&self) == 1 {
            let keep = |places: &RefCell<Vec<_>>| {
                let mut places = places.borrow_mut();
                if places.len() < PLACES_MAX {
                    places.push(self);
                }
            };
            PLACES.try_with(keep).ok();
        }
        open
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<Open>>> {
        // Entries are appended whole, so a panic elsewhere left them so.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    pub(super) fn log(&mut self, tracer: u64, at: Option<u64>, fields: &[(&str, TagValue<'_>)]) {
        self.entries.annotation(at.unwrap_or_else(|| recorder::unix_nanos(Stamp::now())), "");
        for (key, value) in fields {
            self.entries.field(key, value.cut(tracer));
        }
    }

    /// Hands it over.
    #[inline]
    pub(super) fn end(self: Box<Self>, tracer: u64, context: &TraceContext, end: Result<u64, Stamp>) {
        let mut open = self;
        if let Some(state) = context.trace_state() {
            open.entries.trace_state(state);
        }
        let mut flags = SpanFlags::SAMPLED;
        let debug = open.debug || context.debug();
        for (is_set, flag) in [(debug, SpanFlags::DEBUG), (open.shared, SpanFlags::SHARED)] {
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
        recorder::finish(tracer, head, end, open);
    }
}
