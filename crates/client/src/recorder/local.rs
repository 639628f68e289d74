//! What a thread keeps for itself: buffers for spans that have not ended, its rings, and the relation of two clocks.

use std::cell::RefCell;
use std::sync::Arc;

use super::open::Open;
use super::record::{HEAD_WORDS, Head};
use super::ring::Writer;
use super::shared::{self, Shared};
use super::stamp::{Anchor, Stamp};

/// What a thread keeps of spans that ended; spans that are open at the same time beyond that allocate.
const KEPT_MAX: usize = 64;
/// Larger buffers are given back to the allocator.
const BUFFER_BYTES_KEPT_MAX: usize = 4096;

thread_local! {
    static LOCAL: RefCell<Local> = const { RefCell::new(Local { kept: Vec::new(), outlets: Vec::new(), anchor: Anchor::NONE }) };
}

struct Local {
    #[expect(clippy::vec_box, reason = "they move from spans to here and back")]
    kept: Vec<Box<Open>>,
    outlets: Vec<Outlet>,
    anchor: Anchor,
}

/// This thread's ring to one tracer.
struct Outlet {
    tracer: u64,
    writer: Writer,
    shared: Arc<Shared>,
}

/// What another span was done with.
#[inline]
pub(super) fn take_kept() -> Option<Box<Open>> {
    // While the thread is being torn down nothing is kept.
    LOCAL.try_with(|local| local.borrow_mut().kept.pop()).ok().flatten()
}

/// Keeps what no span was finished with.
pub(crate) fn keep(open: Box<Open>) {
    LOCAL.try_with(|local| local.borrow_mut().keep(open)).ok();
}

/// The wall clock's time of a stamp.
pub(crate) fn unix_nanos(stamp: Stamp) -> u64 {
    LOCAL.try_with(|local| local.borrow_mut().unix_nanos(stamp)).unwrap_or_else(|_| Anchor::new().unix_nanos(stamp))
}

/// Hands a finished span over: `end` as a stamp or as nanoseconds of the wall clock.
#[inline]
pub(crate) fn finish(tracer: u64, mut head: Head, end: Result<u64, Stamp>, open: Box<Open>) {
    let handed_over = LOCAL.try_with(|local| {
        let local = &mut *local.borrow_mut();
        // Both by one anchor, the later one first: it decides whether the anchor is still believed.
        let end_nanos = end.unwrap_or_else(|stamp| local.unix_nanos(stamp));
        head.start_nanos = open.start.unwrap_or_else(|stamp| local.unix_nanos(stamp));
        head.duration_nanos = end_nanos.saturating_sub(head.start_nanos);
        if let Some(outlet) = local.outlet(tracer) {
            outlet.put(&head.to_words(&open.entries), open.entries.words());
        }
        local.keep(open);
    });
    if handed_over.is_err() {
        shared::count_dropped(tracer);
    }
}

impl Local {
    #[inline]
    fn keep(&mut self, mut open: Box<Open>) {
        if self.kept.len() < KEPT_MAX && open.entries.capacity_bytes() <= BUFFER_BYTES_KEPT_MAX {
            open.clear();
            self.kept.push(open);
        }
    }

    #[inline]
    fn unix_nanos(&mut self, stamp: Stamp) -> u64 {
        if !self.anchor.is_believed(stamp) {
            self.anchor_again();
        }
        self.anchor.unix_nanos(stamp)
    }

    #[cold]
    fn anchor_again(&mut self) {
        self.anchor = Anchor::new();
    }

    #[inline]
    fn outlet(&mut self, tracer: u64) -> Option<&mut Outlet> {
        match self.outlets.iter().position(|outlet| outlet.tracer == tracer) {
            Some(at) => self.outlets.get_mut(at),
            None => self.connect(tracer),
        }
    }

    #[cold]
    fn connect(&mut self, tracer: u64) -> Option<&mut Outlet> {
        self.outlets.retain(|outlet| !outlet.shared.is_closed());
        let shared = shared::find_for_ended(tracer)?;
        let writer = shared.connect()?;
        self.outlets.push(Outlet { tracer, writer, shared });
        self.outlets.last_mut()
    }
}

impl Outlet {
    #[inline]
    fn put(&mut self, head: &[u64; HEAD_WORDS], entries: &[u64]) {
        if self.shared.is_closed() || !self.writer.push(head, entries) {
            self.shared.dropped(1);
            return;
        }
        if self.writer.is_half_full() {
            // The true tail may be further on than the one last seen.
            self.writer.look();
            if self.writer.is_half_full() {
                self.shared.wake();
            }
        }
    }
}
