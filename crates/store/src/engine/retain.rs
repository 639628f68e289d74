//! What is too old or too much goes: whole segments, the oldest first, never on the way of a write.

use super::core::{Condemned, Engine, lock};
use crate::catalog::SegmentEntry;
use crate::segment::forget_scratch;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Unless configured, so much of the disk is kept free, or a tenth of a smaller disk.
const FREE_BYTES_MIN_DEFAULT: u64 = 1 << 30;

/// After so many rounds, a second each, without anything to seal, the memory kept for the next segment is given back.
const IDLE_ROUNDS_MAX: u32 = 10;

impl Engine {
    /// One round of everything that is done beside the writes.
    pub(super) fn keep_house(&self) {
        self.rotate_by_age();
        if self.seal_all() {
            self.house.idle_rounds.store(0, Relaxed);
            self.merge_all();
        } else if self.house.idle_rounds.fetch_add(1, Relaxed) == IDLE_ROUNDS_MAX {
            forget_scratch();
        }
        self.retain();
        self.remove_condemned();
        self.check_space();
    }

    /// Removes segments by age and by size.
    pub(super) fn retain(&self) {
        let mut catalog = lock(&self.catalog);
        let segments = &catalog.value().segments;
        let expired = self.expired(segments).max(self.excess(segments));
        if expired == 0 {
            return;
        }
        let mut value = catalog.value().clone();
        let gone: Vec<_> = value.segments.drain(..expired).collect();
        if let Err(error) = self.set_catalog(&mut catalog, value) {
            tracing::warn!(%error, "retention failed, it is tried again");
            return;
        }
        let expired_bytes: u64 = gone.iter().map(|entry| entry.bytes).sum();
        let mut parts = self.change_parts();
        let mut condemned = lock(&self.condemned);
        for entry in gone {
            let at = parts.segments.iter().position(|(known, _)| known.sequence_start == entry.sequence_start);
            let segment = at.map(|at| parts.segments.remove(at).1);
            tracing::debug!(segment = entry.name(), spans = entry.spans, bytes = entry.bytes, "expired");
            condemned.push(Condemned { name: entry.name(), bytes: entry.bytes, segment });
        }
        self.counters.segments_expired.fetch_add(expired as u64, Relaxed);
        self.counters.expired_bytes.fetch_add(expired_bytes, Relaxed);
    }

    /// How many of the oldest are older than is kept. The time of a segment is at most that of any later one and at most
    /// now, so that a clock that once was wrong keeps nothing for ever.
    fn expired(&self, segments: &[SegmentEntry]) -> usize {
        let now_us = self.clock.now_us();
        if !lock(&self.house.jumps).is_believed(now_us, self.clock.steady_us()) {
            return 0;
        }
        let oldest_us = now_us.saturating_sub(self.options.retention_age_us);
        let mut newer_us = now_us;
        let mut expired = 0;
        for (at, entry) in segments.iter().enumerate().rev() {
            newer_us = newer_us.min(entry.arrived_us);
            if newer_us < oldest_us {
                expired = at + 1;
                break;
            }
        }
        expired
    }

    /// How many of the oldest have to go so that the others are within the limits.
    fn excess(&self, segments: &[SegmentEntry]) -> usize {
        let mut bytes_to_free = self.missing_free_bytes();
        if let Some(bytes_max) = self.options.retention_bytes_max {
            let taken = segments.iter().map(|entry| entry.bytes).sum::<u64>() + self.log_bytes();
            // The next segment is written before the oldest goes, and the one after it while somebody still reads that.
            let next = segments.last().map_or(0, |entry| 2 * entry.bytes).min(bytes_max / 8);
            bytes_to_free = bytes_to_free.max((taken + next).saturating_sub(bytes_max));
        }
        let mut excess = 0;
        let mut freed = 0;
        while freed < bytes_to_free && excess < segments.len() {
            freed += segments[excess].bytes;
            excess += 1;
        }
        excess
    }

    /// What the log takes of the disk, with the room that it takes ahead, and with the file that it will take next: when it
    /// does, nobody has time to make room.
    fn log_bytes(&self) -> u64 {
        let (log, file_bytes) = (self.log.stats(), self.options.log_file_bytes());
        let has_spare = log.allocated_bytes > log.files * file_bytes;
        log.allocated_bytes + if has_spare { 0 } else { file_bytes }
    }

    /// How much less of the disk is free than should be, counting as free what is about to be.
    fn missing_free_bytes(&self) -> u64 {
        let Some((free_bytes, free_bytes_min)) = self.free_bytes() else { return 0 };
        free_bytes_min.saturating_sub(free_bytes)
    }

    fn free_bytes(&self) -> Option<(u64, u64)> {
        let space = self.disk.space().inspect_err(|error| tracing::warn!(%error, "the free space is unknown")).ok()?;
        let default = FREE_BYTES_MIN_DEFAULT.min(space.total_bytes / 10);
        let about_to_be: u64 = lock(&self.condemned).iter().map(|condemned| condemned.bytes).sum();
        let free_bytes_min = self.options.disk_free_bytes_min.unwrap_or(default);
        Some((space.free_bytes.saturating_add(about_to_be), free_bytes_min))
    }

    /// Refuses writes while there is too little room, and takes them again when there is enough.
    pub(super) fn check_space(&self) {
        let Some((free_bytes, free_bytes_min)) = self.free_bytes() else { return };
        let mut refusals = lock(&self.refusals);
        let sealing_waits = refusals.sealing.is_some() && refusals.disk.is_some() && !self.parts().sealing.is_empty();
        if free_bytes < free_bytes_min / 2 {
            let limit = free_bytes_min / 2;
            let what = format!("{free_bytes} bytes are free, writes are taken from {limit} on");
            if refusals.disk.replace(what.clone()).is_none() {
                tracing::warn!(reason = what, "spans are refused until there is room");
            }
        } else if !sealing_waits && refusals.disk.take().is_some() {
            tracing::info!(free_bytes, "there is room, spans are taken again");
        }
    }

    /// Removes the files of segments that nobody reads any more.
    pub(super) fn remove_condemned(&self) {
        lock(&self.condemned).retain_mut(|condemned| {
            if condemned.segment.as_ref().is_some_and(|segment| Arc::strong_count(segment) > 1) {
                return true;
            }
            let removed = self.blobs.delete(&condemned.name);
            removed.inspect_err(|error| tracing::warn!(%error, "an expired segment was not removed")).is_err()
        });
    }
}
