//! What only a recorded span has: boxed, so that spans are cheap to move, and kept by its thread for spans to come.

use tracewell_model::Kind;

use super::entries::Entries;
use super::local;
use super::stamp::Stamp;

pub(crate) struct Open {
    /// Given, as nanoseconds of the wall clock, or read from the fast clock.
    pub(crate) start: Result<u64, Stamp>,
    pub(crate) entries: Entries,
    pub(crate) kind: Kind,
    pub(crate) shared: bool,
    pub(crate) debug: bool,
}

impl Open {
    /// Kept out of the way of spans that are not recorded.
    #[inline(never)]
    pub(crate) fn new(name: &str) -> Box<Self> {
        let mut open = Self::nameless();
        open.entries.name(name);
        open
    }

    /// With no entry yet.
    #[expect(clippy::inline_always, reason = "half of it is in registers in `new` already")]
    #[inline(always)]
    pub(crate) fn nameless() -> Box<Self> {
        let start = Err(Stamp::now());
        match local::take_kept() {
            Some(mut kept) => {
                kept.start = start;
                kept
            }
            None => {
                Box::new(Self { start, entries: Entries::default(), kind: Kind::Unset, shared: false, debug: false })
            }
        }
    }

    /// For another span; what was written is forgotten.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        (self.kind, self.shared, self.debug) = (Kind::Unset, false, false);
    }
}
