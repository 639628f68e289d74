//! Opens the store: catalog, segments, then the log, so that everything acknowledged is there again.

use super::core::{Counters, Engine, House, Refusals, lock};
use super::options::{EmbeddedOptions, OpenError};
use super::parts::Parts;
use super::write::GATHER_TIME_MAX;
use crate::blobs::FileBlobs;
use crate::catalog::{Catalog, CatalogValue, SegmentEntry};
use crate::clock::Clock;
use crate::disk::Disk;
use crate::log::FileLog;
use crate::meta::FileMeta;
use crate::seams::{Blobs, SeamError};
use crate::segment::SegmentHandle;
use crate::write_queue::WriteQueue;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;
use tracewell_model::read_image;

impl Engine {
    /// Opens the store of a disk; see the module's text.
    pub(super) fn open(
        options: EmbeddedOptions,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let started = Instant::now();
        options.check()?;
        let disk_lock = disk.lock()?;
        let blobs: Arc<dyn Blobs> = Arc::new(FileBlobs::open(disk.clone())?);
        let meta = Arc::new(FileMeta::new(disk.clone()));
        let (catalog, wrong) = Catalog::open(meta, blobs.as_ref(), clock.now_us())?;
        let log = Arc::new(FileLog::open(disk.clone(), options.durability, options.log_file_bytes())?);
        let parts = RwLock::new(Parts::new(options.tag_keys.clone().into()));
        let engine = Self {
            options,
            disk,
            log,
            blobs,
            clock,
            queue: WriteQueue::new(GATHER_TIME_MAX),
            writer: Mutex::default(),
            append_us: AtomicU64::new(0),
            house: House::default(),
            counters: Counters::default(),
            parts,
            catalog: Mutex::new(catalog),
            condemned: Mutex::default(),
            refusals: Mutex::new(Refusals::default()),
            damage: Mutex::default(),
            disk_lock: Mutex::new(Some(disk_lock)),
            memory_bytes: AtomicUsize::new(0),
        };
        wrong.into_iter().for_each(|what| engine.report_damage(what));
        engine.open_segments()?;
        engine.replay_log()?;
        engine.check_space();
        let stats = engine.stats();
        let elapsed_ms = started.elapsed().as_millis() as u64;
        tracing::info!(
            segments = stats.segments,
            segment_spans = stats.segment_spans,
            memory_spans = stats.memory_spans,
            elapsed_ms,
            "the store is open"
        );
        Ok(engine)
    }

    /// Opens what the catalog names and removes what it does not.
    fn open_segments(&self) -> Result<(), SeamError> {
        let mut catalog = lock(&self.catalog);
        let mut value: CatalogValue = catalog.value().clone();
        let mut parts = self.change_parts();
        for entry in &mut value.segments {
            match SegmentHandle::open(self.blobs.clone(), &entry.name()) {
                Ok(segment) => {
                    entry.spans = segment.summary().spans;
                    parts.segments.push((*entry, Arc::new(segment)));
                }
                Err(error) => {
                    self.counters.segments_damaged.fetch_add(1, Relaxed);
                    self.report_damage(error.to_string());
                }
            }
        }
        for name in self.blobs.list()? {
            let named = value.segments.iter().any(|entry| entry.name() == name);
            if !named && SegmentEntry::is_name(&name) {
                tracing::info!(segment = name, "removed a segment that the catalog does not name");
                self.blobs.delete(&name)?;
            }
        }
        // From the first start on there is a catalog, so that a missing one is noticed.
        if catalog.is_new() { catalog.set(value) } else { Ok(()) }
    }

    fn replay_log(&self) -> Result<(), SeamError> {
        let covered_below = lock(&self.catalog).value().covered_below;
        let now_us = self.clock.now_us();
        let mut sealing_works = true;
        let mut spans = 0;
        let report = self.log.replay(covered_below, &mut |sequence, image| match read_image(image) {
            Ok(batch) => {
                spans += batch.len();
                self.parts().insert(sequence, Arc::new(batch), now_us);
                if self.rotate_if_full() && sealing_works {
                    // Not trimming: the log is being read. What fails here is tried again later.
                    sealing_works = self.seal_next(false).is_none_or(|sealed| sealed.is_ok());
                }
            }
            Err(error) => self.report_damage(format!("record {sequence} of the log: {error}")),
        })?;
        let covered_below = lock(&self.catalog).value().covered_below;
        self.log.trim(covered_below)?;
        tracing::info!(
            records = report.records,
            spans,
            torn_tail_bytes = report.torn_tail_bytes,
            damaged = report.damage.len(),
            "replayed the log"
        );
        report.damage.into_iter().for_each(|what| self.report_damage(what));
        Ok(())
    }
}
