//! The way of a batch: out of the queue with others as one group, into the log, into memory where reads see it, then its
//! sender is told.

use super::core::{Engine, lock};
use crate::seams::SeamError;
use crate::store::{WriteError, WriterCall};
use crate::write_queue::Waiting;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tracewell_model::write_image;

/// Memory that groups are encoded in, kept from group to group.
#[derive(Default)]
pub(super) struct GroupWriter {
    images: Vec<u8>,
}

/// The thread that writes waits so long for the batches of senders that are about to send: a write costs about as much
/// processor time whether it holds one batch or ten.
pub(super) const GATHER_TIME_MAX: Duration = Duration::from_millis(2);

/// While the log takes longer than this to append a group, it is left to the store's own thread.
const SLOW_APPEND_US: u64 = 10_000;

/// Images of a group that were larger than this give their memory back.
const KEEP_BYTES_MAX: usize = 4 << 20;

impl GroupWriter {
    /// Writes one group if any batch is waiting, or waits for one. Answers whether there was one.
    pub(super) fn write_group(&mut self, engine: &Engine, wait: bool) -> bool {
        let bytes_max = engine.options.write_group_bytes_max;
        let group = if wait { engine.queue.take_wait(bytes_max) } else { engine.queue.take(bytes_max, None) };
        let there_was = !group.is_empty();
        self.write(engine, group);
        there_was
    }

    /// Writes a group that was taken, and says so to the queue, whatever happens.
    fn write(&mut self, engine: &Engine, group: Vec<Waiting>) {
        if group.is_empty() {
            return;
        }
        let _taken = Taken(engine);
        let images = self.encode(&group);
        let records: Vec<&[u8]> = images.iter().map(|range| &self.images[range.clone()]).collect();
        if engine.log.group_bytes(&records) <= engine.log.append_bytes_max() {
            engine.write(group, &records);
        } else {
            for (waiting, record) in group.into_iter().zip(records) {
                engine.write_alone(waiting, record);
            }
        }
    }

    fn encode(&mut self, group: &[Waiting]) -> Vec<Range<usize>> {
        self.images.clear();
        self.images.shrink_to(KEEP_BYTES_MAX);
        let ranges = group.iter().map(|waiting| {
            let start = self.images.len();
            write_image(&waiting.batch, &mut self.images);
            start..self.images.len()
        });
        ranges.collect()
    }
}

/// A group that was taken from the queue: when this is dropped the next can be.
struct Taken<'a>(&'a Engine);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("writing panicked");
        }
        self.0.queue.written();
    }
}

impl Engine {
    /// Writes one group on the calling thread, unless another thread is writing; see [`crate::Store::commit`].
    pub(super) fn commit(&self, call: Option<&WriterCall>) -> bool {
        if call.is_some() && self.log_is_slow() {
            self.queue.leave_to_thread();
            return false;
        }
        let group = self.queue.take(self.options.write_group_bytes_max, call);
        if group.is_empty() {
            return false;
        }
        // Who is told of a panic is who waits for the batches: each answers by itself when it is dropped.
        let written = catch_unwind(AssertUnwindSafe(|| lock(&self.writer).write(self, group)));
        written.unwrap_or_else(|_| tracing::error!("writing a group panicked"));
        self.queue.has_waiting()
    }

    /// Whether a write takes so long that threads which have other things to do should not wait for it.
    fn log_is_slow(&self) -> bool {
        self.append_us.load(Relaxed) > SLOW_APPEND_US
    }

    /// Appends to the log; how long that takes is remembered, each time counting an eighth.
    fn append(&self, records: &[&[u8]]) -> Result<u64, SeamError> {
        let started = Instant::now();
        let appended = self.log.append(records);
        let took_us = started.elapsed().as_micros() as u64;
        self.append_us.store((self.append_us.load(Relaxed) * 7 + took_us) / 8, Relaxed);
        appended
    }

    fn write_alone(&self, waiting: Waiting, record: &[u8]) {
        let bytes = record.len();
        if self.log.group_bytes(&[record]) <= self.log.append_bytes_max() {
            return self.write(vec![waiting], &[record]);
        }
        let bytes_max = usize::try_from(self.log.append_bytes_max()).unwrap_or(usize::MAX);
        self.refuse(vec![waiting], &WriteError::TooLarge { bytes, bytes_max });
    }

    fn write(&self, group: Vec<Waiting>, records: &[&[u8]]) {
        if let Some(failed) = lock(&self.refusals).failed.clone() {
            return self.refuse(group, &WriteError::Failed(failed));
        }
        match self.append(records) {
            Ok(sequence) => self.insert(group, sequence),
            Err(SeamError::Full(what)) => {
                tracing::warn!(error = what, "the disk is full; spans are refused until there is room");
                lock(&self.refusals).disk = Some(what.clone());
                self.house.wake();
                self.refuse(group, &WriteError::DiskFull(what));
            }
            Err(error) => {
                let why = error.to_string();
                self.fail(&why);
                self.refuse(group, &WriteError::Failed(why));
            }
        }
    }

    fn insert(&self, group: Vec<Waiting>, sequence: u64) {
        let now_us = self.clock.now_us();
        let (bytes, batches) = (group.iter().map(|waiting| waiting.bytes).sum(), group.len() as u64);
        let spans: usize = group.iter().map(|waiting| waiting.batch.len()).sum();
        let mut answers = Vec::with_capacity(group.len());
        let parts = self.parts();
        for (sequence, waiting) in (sequence..).zip(group) {
            parts.insert(sequence, waiting.batch, now_us);
            answers.push(waiting.answer);
        }
        drop(parts);
        let full = self.rotate_if_full();
        self.queue.release(bytes);
        self.counters.batches_written.fetch_add(batches, Relaxed);
        self.counters.spans_written.fetch_add(spans as u64, Relaxed);
        if full {
            self.house.wake();
        }
        answers.into_iter().for_each(|answer| answer.give(Ok(())));
    }

    /// Makes the recent batches ready to be sealed if they take their share of memory; counts the memory.
    pub(super) fn rotate_if_full(&self) -> bool {
        let parts = self.parts();
        let full = parts.active_memory_bytes() >= self.options.seal_bytes();
        self.memory_bytes.store(parts.memory_bytes(), Relaxed);
        drop(parts);
        full && self.change_parts().rotate()
    }

    fn refuse(&self, group: Vec<Waiting>, error: &WriteError) {
        self.counters.writes_refused.fetch_add(group.len() as u64, Relaxed);
        for waiting in group {
            self.queue.release(waiting.bytes);
            waiting.answer.give(Err(error.clone()));
        }
    }
}
