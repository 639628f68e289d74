//! Recent batches become a segment: encoded, stored, entered in the catalog, shown to reads instead of the batches; then the
//! log is trimmed. A crash between any two of these steps loses nothing and shows nothing twice, because the catalog alone
//! says which segments count and from where on the log does.

use super::core::{Engine, lock};
use crate::catalog::SegmentEntry;
use crate::seams::SeamError;
use crate::segment::{SegmentHandle, write_segment};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// A log of more files than this is sealed, so that the next start does not read more.
const LOG_FILES_MAX: u64 = 8;

/// Fewer spans than this are replayed within some ten milliseconds: they are left in the log when the store closes.
const SEAL_AT_CLOSE_SPANS_MIN: usize = 5_000;

impl Engine {
    /// Makes the recent batches ready to be sealed if they have waited long enough.
    pub(super) fn rotate_by_age(&self) {
        let options = &self.options;
        let now_us = self.clock.now_us();
        let log = self.log.stats();
        let log_is_large = log.files > LOG_FILES_MAX
            || options.retention_bytes_max.is_some_and(|bytes_max| log.used_bytes > bytes_max / 4);
        let mut parts = self.change_parts();
        let age_us = parts.active_age_us(now_us);
        let many_and_old = age_us >= options.seal_age_us && parts.active_spans() >= options.seal_spans_min;
        if many_and_old || age_us >= options.seal_age_max_us || log_is_large {
            parts.rotate();
        }
    }

    /// Seals the recent batches when the store closes, unless they are few or what is on the disk is unknown.
    pub(super) fn seal_before_closing(&self) {
        if self.parts().active_spans() < SEAL_AT_CLOSE_SPANS_MIN || lock(&self.refusals).failed.is_some() {
            return;
        }
        self.change_parts().rotate();
        self.seal_all();
    }

    /// Seals what is ready, oldest first, until nothing is left or something fails. Trying again is always right: what was
    /// written is either not named by the catalog or replaced by the same. Answers whether anything was sealed.
    pub(super) fn seal_all(&self) -> bool {
        let mut sealed = false;
        loop {
            if self.options.retention_bytes_max.is_some() {
                // Each segment finds its room.
                self.retain();
                self.remove_condemned();
            }
            let Some(result) = self.seal_next(true) else { return sealed };
            if let Err(error) = result {
                tracing::warn!(%error, "sealing failed, it is tried again");
                let mut refusals = lock(&self.refusals);
                if let SeamError::Full(what) = &error {
                    refusals.disk = Some(what.clone());
                }
                refusals.sealing = Some(format!("sealing failed: {error}"));
                return sealed;
            }
            sealed = true;
            lock(&self.refusals).sealing = None;
        }
    }

    /// Seals the oldest batches that are ready; nothing when none are.
    pub(super) fn seal_next(&self, trim: bool) -> Option<Result<(), SeamError>> {
        let mut catalog = lock(&self.catalog);
        let sealing = self.parts().sealing.front()?.clone();
        let started = Instant::now();
        let sealed = (|| {
            let written = write_segment(&sealing.memtable);
            let written = written.map_err(|error| SeamError::Failed(error.to_string()))?;
            let entry = SegmentEntry {
                sequence_start: sealing.sequence_start,
                sequence_end: sealing.sequence_end,
                arrived_us: sealing.arrived_us,
                bytes: written.bytes.len() as u64,
                spans: written.summary.spans,
            };
            self.blobs.put(&entry.name(), &written.bytes)?;
            // Read back from where it lies: the log may go only when this works.
            let segment = SegmentHandle::open(self.blobs.clone(), &entry.name())
                .map_err(|error| SeamError::Failed(error.to_string()))?;
            let mut value = catalog.value().clone();
            value.covered_below = entry.sequence_end;
            value.segments.push(entry);
            self.set_catalog(&mut catalog, value)?;
            Ok((entry, Arc::new(segment)))
        })();
        self.counters.sealing_us.fetch_add(started.elapsed().as_micros() as u64, Relaxed);
        let (entry, segment) = match sealed {
            Ok(sealed) => sealed,
            Err(error) => return Some(Err(error)),
        };
        let mut parts = self.change_parts();
        parts.segments.push((entry, segment));
        parts.sealing.pop_front();
        self.memory_bytes.store(parts.memory_bytes(), Relaxed);
        drop(parts);
        self.counters.segments_sealed.fetch_add(1, Relaxed);
        self.counters.sealed_bytes.fetch_add(entry.bytes, Relaxed);
        tracing::debug!(segment = entry.name(), spans = entry.spans, bytes = entry.bytes, "sealed");
        if trim && let Err(error) = self.log.trim(entry.sequence_end) {
            tracing::warn!(%error, "the log was not trimmed");
        }
        Some(Ok(()))
    }
}
