//! The spans that wait to be sent: chunks of records as they were recorded, bounded in bytes, and the counts.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::BatchOptions;
use crate::recorder::SpanRecords;
use crate::reporter::{Done, ReportError, ReporterCounters};
use crate::resource::Resource;

/// Bytes of records in a chunk, unless one record alone has more.
const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Chunks whose memory is kept for the next spans.
const FREE_MAX: usize = 3;

pub(super) struct Queue {
    state: Mutex<State>,
    /// Told when there is something to do before the time that was waited for.
    changed: Condvar,
    counters: ReporterCounters,
    spans_max: usize,
    bytes_max: usize,
    interval: Duration,
}

struct State {
    resource: Option<Arc<Resource>>,
    /// The oldest first. The last one may still grow.
    chunks: VecDeque<Chunk>,
    free: Vec<Vec<u8>>,
    /// Of all that waits or is being sent.
    bytes: usize,
    spans: u64,
    /// Number of the next chunk.
    next_number: u64,
    /// Up to which number chunks are sent without waiting for more or for a pause to pass.
    hurry_before: u64,
    flushes: Vec<Flush>,
    given_up: bool,
}

/// What is sent as one batch if the server takes it.
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    /// How much of it is settled.
    pub(super) settled_bytes: usize,
    spans: usize,
    began: Instant,
    number: u64,
    /// How often the server was there and failed at it.
    pub(super) failures: u32,
    pub(super) was_tried: bool,
}

/// Somebody waits for the chunks before this number.
struct Flush {
    done: Done,
    before: u64,
}

impl Queue {
    pub(super) fn new(name: &'static str, options: &BatchOptions) -> Self {
        let state = State {
            resource: None,
            chunks: VecDeque::new(),
            free: Vec::new(),
            bytes: 0,
            spans: 0,
            next_number: 0,
            hurry_before: 0,
            flushes: Vec::new(),
            given_up: false,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            counters: ReporterCounters::new(name),
            spans_max: options.spans_max,
            bytes_max: options.queue_bytes_max,
            interval: options.interval,
        }
    }

    pub(super) fn counters(&self) -> ReporterCounters {
        self.counters.clone()
    }

    /// Takes spans; drops those that there is no room for.
    pub(super) fn push(&self, resource: &Resource, spans: &SpanRecords<'_>) -> Result<(), ReportError> {
        let mut state = self.lock();
        if state.given_up {
            return Err("the reporter is closed".into());
        }
        if state.resource.as_deref() != Some(resource) {
            // A reporter has one tracer, and a tracer one resource.
            state.resource = Some(Arc::new(resource.clone()));
        }
        let idle = state.chunks.is_empty();
        let mut rest = *spans;
        while !rest.is_empty() {
            let room = self.bytes_max.saturating_sub(state.bytes);
            let chunk = state.open_chunk(self.spans_max);
            let (fit, behind) = rest.split_within(self.spans_max - chunk.spans, room.min(chunk.room()));
            if fit.is_empty() {
                let first = rest.split_within(1, room).0;
                if chunk.spans == 0 || first.is_empty() {
                    break;
                }
                state.begin_chunk();
                continue;
            }
            chunk.bytes.extend_from_slice(fit.as_bytes());
            chunk.spans += fit.len();
            state.bytes += fit.as_bytes().len();
            state.spans += fit.len() as u64;
            rest = behind;
        }
        state.drop_empty_chunk();
        self.counters.queued((spans.len() - rest.len()) as u64);
        self.counters.dropped(rest.len() as u64);
        self.counters.set_queued_bytes(state.bytes as u64);
        let wakes = idle || state.chunks.front().is_some_and(|chunk| self.is_full(chunk));
        drop(state);
        if wakes {
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Has all that waits sent at once.
    pub(super) fn flush(&self, done: Done) {
        let mut state = self.lock();
        // Nothing waits, or nobody sends any more.
        if state.given_up || state.spans == 0 {
            drop(state);
            return drop(done);
        }
        let before = state.next_number;
        state.hurry_before = before;
        state.flushes.push(Flush { done, before });
        drop(state);
        self.changed.notify_all();
    }

    /// What has not been sent by now is lost.
    pub(super) fn give_up(&self) {
        let mut state = self.lock();
        state.given_up = true;
        self.counters.settled(0, state.spans);
        self.counters.set_queued_bytes(0);
        (state.spans, state.bytes) = (0, 0);
        state.chunks.clear();
        let flushes = std::mem::take(&mut state.flushes);
        drop(state);
        self.changed.notify_all();
        drop(flushes);
    }

    /// Waits for the next chunk to send: full, old enough or hurried, and unless hurried not before a pause is over.
    /// `None`: there will be no more.
    pub(super) fn next(&self, not_before: Option<Instant>) -> Option<(Chunk, Arc<Resource>)> {
        let mut state = self.lock();
        loop {
            if state.given_up {
                return None;
            }
            let now = Instant::now();
            let due = state.chunks.front().map(|chunk| self.due(chunk, &state, not_before));
            let Some(due) = due else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if due.is_none_or(|due| due <= now)
                && let (Some(chunk), Some(resource)) = (state.chunks.pop_front(), state.resource.clone())
            {
                return Some((chunk, resource));
            }
            let rest = due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now));
            state = self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// `None`: at once.
    fn due(&self, chunk: &Chunk, state: &State, not_before: Option<Instant>) -> Option<Instant> {
        if chunk.number < state.hurry_before {
            return None;
        }
        let old_enough = (!self.is_full(chunk)).then_some(chunk.began + self.interval);
        old_enough.max(not_before)
    }

    fn is_full(&self, chunk: &Chunk) -> bool {
        chunk.was_tried || chunk.spans >= self.spans_max || chunk.room() == 0
    }

    /// So many bytes of records were sent or are lost. False: they had been given up.
    pub(super) fn settle(&self, bytes: usize, reported: u64, failed: u64) -> bool {
        let mut state = self.lock();
        if state.given_up {
            return false;
        }
        state.bytes -= bytes;
        state.spans -= reported + failed;
        self.counters.settled(reported, failed);
        self.counters.set_queued_bytes(state.bytes as u64);
        true
    }

    /// All of the chunk is settled.
    pub(super) fn finished(&self, mut chunk: Chunk) {
        let mut state = self.lock();
        if state.free.len() < FREE_MAX {
            chunk.bytes.clear();
            state.free.push(chunk.bytes);
        }
        let next = state.chunks.front().map_or(u64::MAX, |chunk| chunk.number);
        let over = state.flushes.extract_if(.., |flush| flush.before <= next).collect::<Vec<_>>();
        drop(state);
        drop(over);
    }

    /// The server does not take it now. Answers until when somebody is patient all the same.
    pub(super) fn put_back(&self, chunk: Chunk) -> Option<Instant> {
        let mut state = self.lock();
        if state.given_up {
            return None;
        }
        state.chunks.push_front(chunk);
        state.hurry_before = 0;
        let now = Instant::now();
        let impatient = |flush: &mut Flush| flush.done.retry_until().is_none_or(|end| end <= now);
        let over = state.flushes.extract_if(.., impatient).collect::<Vec<_>>();
        let patient = state.flushes.iter().filter_map(|flush| flush.done.retry_until()).min();
        drop(state);
        drop(over);
        patient
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one step, so a panic elsewhere left it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The last chunk, or a new one where that is full or was tried already.
    fn open_chunk(&mut self, spans_max: usize) -> &mut Chunk {
        if self.chunks.back().is_none_or(|last| last.spans >= spans_max || last.was_tried || last.room() == 0) {
            self.begin_chunk();
        }
        let last = self.chunks.len() - 1;
        &mut self.chunks[last]
    }

    fn begin_chunk(&mut self) {
        let bytes = self.free.pop().unwrap_or_default();
        let number = self.next_number;
        self.next_number += 1;
        let began = Instant::now();
        let (settled_bytes, spans, failures) = (0, 0, 0);
        self.chunks.push_back(Chunk { bytes, settled_bytes, spans, began, number, failures, was_tried: false });
    }

    fn drop_empty_chunk(&mut self) {
        if self.chunks.back().is_some_and(|last| last.spans == 0) {
            let empty = self.chunks.pop_back();
            self.free.extend(empty.map(|chunk| chunk.bytes).filter(|_| self.free.len() < FREE_MAX));
        }
    }
}

impl Chunk {
    /// A chunk without spans takes any.
    fn room(&self) -> usize {
        if self.spans == 0 { usize::MAX } else { CHUNK_BYTES_MAX.saturating_sub(self.bytes.len()) }
    }
}
