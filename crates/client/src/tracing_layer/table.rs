//! Our spans by the ids of `tracing`'s: a few small maps, so that threads seldom meet. They grow to as many spans as were
//! open at the same time, and allocate no more.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::span::Id;

use crate::recorder::{self, Open};
use crate::span::Span;

const SHARDS: usize = 32;

#[derive(Default)]
pub(super) struct Table {
    shards: [Shard; SHARDS],
}

/// Apart from its neighbours: two lines of the processor's cache.
#[derive(Default)]
#[repr(align(128))]
struct Shard(Mutex<HashMap<u64, Kept, BuildHasherDefault<Spread>>>);

pub(super) struct Kept {
    pub(super) span: Span,
    /// What was said about a root that is not recorded, as long as that may change.
    pub(super) late: Option<Box<Open>>,
}

impl Kept {
    pub(super) fn forget_late(&mut self) {
        if let Some(open) = self.late.take() {
            recorder::keep(open);
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.forget_late();
    }
}

impl Table {
    pub(super) fn insert(&self, id: &Id, kept: Kept) {
        let before = self.shard(id).insert(id.into_u64(), kept);
        // Outside the lock; ids are not given twice at a time.
        drop(before);
    }

    pub(super) fn remove(&self, id: &Id) -> Option<Kept> {
        self.shard(id).remove(&id.into_u64())
    }

    /// `read` must not call what users wrote: it could come back here.
    pub(super) fn read<R>(&self, id: &Id, read: impl FnOnce(&mut Kept) -> R) -> Option<R> {
        self.shard(id).get_mut(&id.into_u64()).map(read)
    }

    fn shard(&self, id: &Id) -> MutexGuard<'_, HashMap<u64, Kept, BuildHasherDefault<Spread>>> {
        let shard = &self.shards[(spread(id.into_u64()) >> 32) as usize % SHARDS];
        // A map is whole also where a panic cut short what was done with an entry.
        shard.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ids are numbers that differ in a few bits here and there.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = spread(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = spread(id);
    }
}

const fn spread(id: u64) -> u64 {
    let product = (id as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (product >> 64) as u64 ^ product as u64
}
