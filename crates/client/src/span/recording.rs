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

/// A word and a pointer: they are moved in registers.
pub(crate) enum Recording {
    Off,
    /// Off, but may be switched on.
    Late(Box<Late>),
    Own(Box<Open>),
    Shared(Arc<SharedOpen>),
    /// Shared, and ended by somebody else.
    Guest(Arc<SharedOpen>),
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
}

thread_local! {
    static PLACES: RefCell<Vec<Arc<SharedOpen>>> = const { RefCell::new(Vec::new()) };
}

impl Recording {
    #[inline]
    pub(super) fn begin(tracer: u64, name: &str, recorded: bool) -> Self {
        if recorded { Self::Own(Open::new(name)) } else { Self::off(tracer, name) }
    }

    #[inline]
    fn off(tracer: u64, name: &str) -> Self {
        if keeps_late(tracer) { Self::late(name) } else { Self::Off }
    }

    #[cold]
    fn late(name: &str) -> Self {
        Self::Late(Box::new(Late { name: name.to_owned(), start: Err(Stamp::now()) }))
    }

    /// Switches on what is off.
    pub(super) fn begin_late(&mut self) {
        match self {
            Self::Off => *self = Self::Own(Open::new("")),
            Self::Late(late) => {
                let mut open = Open::new(&late.name);
                open.start = late.start;
                *self = Self::Own(open);
            }
            Self::Own(_) | Self::Shared(_) | Self::Guest(_) => {}
        }
    }

    /// Where others can write, too; `None` where nothing is recorded.
    pub(super) fn share(&mut self) -> Option<Arc<SharedOpen>> {
        match std::mem::replace(self, Self::Off) {
            Self::Own(open) => {
                let place = SharedOpen::place();
                *place.lock() = Some(open);
                *self = Self::Shared(Arc::clone(&place));
                Some(place)
            }
            Self::Shared(place) => {
                *self = Self::Shared(Arc::clone(&place));
                Some(place)
            }
            Self::Guest(place) => {
                *self = Self::Guest(Arc::clone(&place));
                Some(place)
            }
            off => {
                *self = off;
                None
            }
        }
    }

    /// Takes the entries away, wherever they are.
    pub(super) fn take(&mut self) -> Option<Box<Open>> {
        match std::mem::replace(self, Self::Off) {
            Self::Off | Self::Late(_) => None,
            Self::Own(open) => Some(open),
            Self::Shared(place) | Self::Guest(place) => place.take(),
        }
    }

    /// Whether the tracer's throttler, if it has one, lets the span become a debug span.
    pub(super) fn allows_debug(&self, tracer: u64) -> bool {
        let Some(tracer) = recorder::find(tracer) else { return false };
        match self {
            Self::Off => tracer.options.settings.allows_debug(""),
            Self::Late(late) => tracer.options.settings.allows_debug(&late.name),
            Self::Own(open) => tracer.options.settings.allows_debug(&open.entries.last_name()),
            Self::Shared(place) | Self::Guest(place) => place
                .lock()
                .as_ref()
                .is_some_and(|open| tracer.options.settings.allows_debug(&open.entries.last_name())),
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
