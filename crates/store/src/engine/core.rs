//! The engine without its threads: every step (take a batch, write a group, seal, keep house) is a call, so that tests can
//! order the steps and a seed can tell what happened.

use super::jumps::Jumps;
use super::options::EmbeddedOptions;
use super::parts::Parts;
use super::write::GroupWriter;
use crate::catalog::{Catalog, CatalogValue};
use crate::clock::Clock;
use crate::disk::{Disk, DiskLock};
use crate::seams::{Blobs, Log, SeamError};
use crate::search::View;
use crate::segment::SegmentHandle;
use crate::store::{StoreHealth, StoreStats, WriteDone, WriteError};
use crate::write_queue::{TakenBy, Waiting, WriteQueue};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tracewell_model::SpanBatch;

/// So many reports of damage are kept for [`StoreHealth`]; all of them are logged.
const DAMAGE_REPORTS_MAX: usize = 100;

/// See the module's text.
pub(super) struct Engine {
    pub(super) options: EmbeddedOptions,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) log: Arc<dyn Log>,
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) queue: WriteQueue,
    /// Of who writes in the place of the store's thread.
    pub(super) writer: Mutex<GroupWriter>,
    /// How long the log takes to append a group, lately.
    pub(super) append_us: AtomicU64,
    pub(super) house: House,
    pub(super) counters: Counters,
    /// Held for moments only, never while anything is written.
    pub(super) parts: RwLock<Parts>,
    /// Held by who seals or removes segments.
    pub(super) catalog: Mutex<Catalog>,
    /// Segments that no catalog names any more, until nobody reads from them.
    pub(super) condemned: Mutex<Vec<Condemned>>,
    pub(super) refusals: Mutex<Refusals>,
    pub(super) damage: Mutex<Vec<String>>,
    pub(super) disk_lock: Mutex<Option<DiskLock>>,
    /// Memory of `parts`, as it was after the last change.
    pub(super) memory_bytes: AtomicUsize,
}

/// Why writes are refused, beyond a full queue.
#[derive(Default)]
pub(super) struct Refusals {
    /// For good.
    pub(super) failed: Option<String>,
    /// Until there is room.
    pub(super) disk: Option<String>,
    /// Why the last sealing failed. It refuses nothing, but memory that is spent then stays so.
    pub(super) sealing: Option<String>,
}

pub(super) struct Condemned {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) segment: Option<Arc<SegmentHandle>>,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) batches_written: AtomicU64,
    pub(super) spans_written: AtomicU64,
    pub(super) writes_refused: AtomicU64,
    pub(super) segments_sealed: AtomicU64,
    /// That became part of others.
    pub(super) segments_merged: AtomicU64,
    pub(super) segments_expired: AtomicU64,
    /// Those that could not even be opened.
    pub(super) segments_damaged: AtomicU64,
    /// Written by sealing.
    pub(super) sealed_bytes: AtomicU64,
    /// Written by merging.
    pub(super) merged_bytes: AtomicU64,
    pub(super) expired_bytes: AtomicU64,
    pub(super) catalog_written_bytes: AtomicU64,
    pub(super) sealing_us: AtomicU64,
    pub(super) merging_us: AtomicU64,
}

/// Wakes the thread that seals and keeps house.
#[derive(Default)]
pub(super) struct House {
    pub(super) called: Mutex<bool>,
    pub(super) call: Condvar,
    pub(super) closing: AtomicBool,
    /// Rounds without anything to seal.
    pub(super) idle_rounds: AtomicU32,
    pub(super) jumps: Mutex<Jumps>,
}

impl House {
    pub(super) fn wake(&self) {
        *lock(&self.called) = true;
        self.call.notify_all();
    }
}

impl Engine {
    /// Takes a batch to be written by the store's thread, or refuses it at once.
    #[cfg(test)]
    pub(super) fn submit(&self, batch: SpanBatch, done: WriteDone) {
        self.submit_to(batch, done, TakenBy::Thread);
    }

    /// Takes a batch to be written, or refuses it at once.
    pub(super) fn submit_to(&self, batch: SpanBatch, done: WriteDone, by: TakenBy) {
        let waiting = Waiting::new(batch, done);
        if let Err((waiting, error)) = self.enqueue(waiting, by) {
            self.counters.writes_refused.fetch_add(1, Relaxed);
            waiting.answer.give(Err(error));
        }
    }

    fn enqueue(&self, waiting: Waiting, by: TakenBy) -> Result<(), (Waiting, WriteError)> {
        let bytes = waiting.bytes;
        let queue_bytes_max = self.options.write_queue_bytes_max;
        if bytes > queue_bytes_max {
            return Err((waiting, WriteError::TooLarge { bytes, bytes_max: queue_bytes_max }));
        }
        let refusals = lock(&self.refusals);
        if let Some(failed) = &refusals.failed {
            return Err((waiting, WriteError::Failed(failed.clone())));
        }
        if let Some(disk) = &refusals.disk {
            return Err((waiting, WriteError::DiskFull(disk.clone())));
        }
        drop(refusals);
        let memory_left = self.options.memory_bytes_max.saturating_sub(self.memory_bytes.load(Relaxed));
        self.queue.push(waiting, queue_bytes_max.min(memory_left), by)
    }

    pub(super) fn parts(&self) -> RwLockReadGuard<'_, Parts> {
        self.parts.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change_parts(&self) -> RwLockWriteGuard<'_, Parts> {
        self.parts.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What can be read now.
    pub(super) fn view(&self) -> View {
        self.parts().view()
    }

    /// Takes no more writes until the store is opened anew.
    pub(super) fn fail(&self, why: &str) {
        tracing::error!(error = why, "writing failed; no more spans are taken until the store is opened anew");
        lock(&self.refusals).failed.get_or_insert_with(|| why.to_owned());
    }

    /// Replaces what the catalog says; see [`Catalog::set`].
    pub(super) fn set_catalog(&self, catalog: &mut Catalog, value: CatalogValue) -> Result<(), SeamError> {
        catalog.set(value)?;
        self.counters.catalog_written_bytes.fetch_add(catalog.bytes(), Relaxed);
        Ok(())
    }

    pub(super) fn report_damage(&self, what: String) {
        tracing::error!(damage = what, "damaged data");
        let mut damage = lock(&self.damage);
        if damage.len() < DAMAGE_REPORTS_MAX {
            damage.push(what);
        }
    }

    pub(super) fn health(&self) -> StoreHealth {
        let refusals = lock(&self.refusals);
        let failed = refusals.failed.clone().or_else(|| refusals.disk.clone());
        let memory_spent = self.memory_bytes.load(Relaxed) >= self.options.memory_bytes_max;
        let sealing = refusals.sealing.clone().filter(|_| memory_spent);
        drop(refusals);
        let mut damage = lock(&self.damage).clone();
        damage.extend(self.parts().segments.iter().flat_map(|(_, segment)| segment.damage()));
        StoreHealth { writes_refused: failed.or(sealing), damage }
    }

    pub(super) fn stats(&self) -> StoreStats {
        let log = self.log.stats();
        let parts = self.parts();
        let memory_spans = parts.memory_spans() as u64;
        let segment_spans: u64 = parts.segments.iter().map(|(entry, _)| entry.spans).sum();
        let segment_bytes = parts.segments.iter().map(|(entry, _)| entry.bytes).sum();
        let segments = parts.segments.len() as u64;
        let damaged = parts.segments.iter().filter(|(_, segment)| !segment.damage().is_empty()).count() as u64;
        drop(parts);
        let Counters { batches_written, spans_written, writes_refused, .. } = &self.counters;
        let Counters { segments_sealed, segments_merged, segments_expired, segments_damaged, .. } = &self.counters;
        let Counters { sealed_bytes, merged_bytes, expired_bytes, catalog_written_bytes, .. } = &self.counters;
        let Counters { sealing_us, merging_us, .. } = &self.counters;
        StoreStats {
            spans_stored: segment_spans + memory_spans,
            batches_written: batches_written.load(Relaxed),
            spans_written: spans_written.load(Relaxed),
            writes_refused: writes_refused.load(Relaxed),
            write_queue_bytes: self.queue.bytes() as u64,
            log_syncs: log.syncs,
            log_written_bytes: log.written_bytes,
            log_bytes: log.used_bytes,
            memory_bytes: self.memory_bytes.load(Relaxed) as u64,
            memory_spans,
            segments,
            segment_bytes,
            segment_spans,
            segments_sealed: segments_sealed.load(Relaxed),
            segments_merged: segments_merged.load(Relaxed),
            segments_expired: segments_expired.load(Relaxed),
            segments_damaged: segments_damaged.load(Relaxed) + damaged,
            sealed_bytes: sealed_bytes.load(Relaxed),
            merged_bytes: merged_bytes.load(Relaxed),
            expired_bytes: expired_bytes.load(Relaxed),
            catalog_written_bytes: catalog_written_bytes.load(Relaxed),
            sealing_us: sealing_us.load(Relaxed),
            merging_us: merging_us.load(Relaxed),
        }
    }
}

/// Locks what is whole between any two steps, so that a panic elsewhere leaves nothing half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
