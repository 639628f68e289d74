//! What the library counts, handed to the crate `metrics` by jaeger-client's names.
//!
//! What became of spans is counted anyway and handed over as differences, by the tracer's thread after each round.
//! Beginning traces and spans are counted for this alone: traces in places that a thread shares with few others, spans,
//! of which there are more, in one of the thread's own.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::recorder::{self, TracerStats};

/// Places to count in.
const STRIPES: usize = 16;
/// Tracers whose spans a thread counts without looking them up.
const TRACERS_AT_HAND: usize = 8;

/// How a trace came to this tracer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TraceState {
    Started,
    Joined,
}

pub(crate) struct Metrics {
    pub(crate) enabled: bool,
    traces: [Stripe; STRIPES],
    started: Mutex<Started>,
    /// What was handed over; `None`: nothing yet.
    published: Mutex<Option<Totals>>,
}

/// A cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Stripe([AtomicU64; 4]);

/// Spans that one thread began: not recorded, recorded.
type StartedByThread = Arc<[AtomicU64; 2]>;

/// Spans that began, by thread.
#[derive(Default)]
struct Started {
    threads: Vec<StartedByThread>,
    /// Of threads that have ended, or had too many tracers at hand.
    gone: [u64; 2],
}

/// Everything that is counted, since the tracer was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Totals {
    stats: TracerStats,
    sampler: Polls,
    throttler: Polls,
    /// By [`slot`].
    traces: [u64; 4],
    /// Not recorded, recorded.
    started: [u64; 2],
    finished: u64,
}

/// How a server was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Polls {
    pub(crate) answers: u64,
    pub(crate) failures: u64,
    pub(crate) updates: u64,
    pub(crate) bad_answers: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        let (traces, started) = Default::default();
        Self { enabled: true, traces, started, published: Mutex::new(None) }
    }
}

impl Metrics {
    /// A trace began here, or came by.
    #[inline]
    pub(crate) fn count_trace(&self, state: TraceState, sampled: bool) {
        if self.enabled {
            self.traces[stripe()].0[slot(state, sampled)].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Where the calling thread counts the spans that it begins.
    fn counted_by_thread(&self) -> StartedByThread {
        let counts = StartedByThread::default();
        if self.enabled {
            let mut started = self.started();
            if started.threads.len() == started.threads.capacity() {
                // Before there is more room for them: threads that came and went take none.
                started.sum();
            }
            started.threads.push(Arc::clone(&counts));
        }
        counts
    }

    fn started(&self) -> MutexGuard<'_, Started> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over what came since the last time.
    pub(crate) fn publish(&self, stats: TracerStats, (sampler, throttler): (Polls, Polls)) {
        if !self.enabled {
            return;
        }
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let before = published.unwrap_or_default();
        let traces = std::array::from_fn(|slot| self.traces.iter().map(|stripe| read(&stripe.0[slot])).sum());
        // Read one by one while others count: never less than was handed over.
        let finished = (stats.reported + stats.failed + stats.dropped + stats.queued).max(before.finished);
        let started = self.started().sum();
        let now = Totals { stats, sampler, throttler, traces, started, finished };
        if published.is_none() {
            describe();
        } else if *published == Some(now) {
            return;
        }
        emit(&before, &now);
        *published = Some(now);
    }
}

impl Started {
    fn sum(&mut self) -> [u64; 2] {
        let Self { threads, gone } = self;
        // Nobody else has it: nobody counts there any more.
        threads.retain_mut(|counts| match Arc::get_mut(counts) {
            None => true,
            Some(counts) => {
                gone.iter_mut().zip(counts).for_each(|(sum, count)| *sum += *count.get_mut());
                false
            }
        });
        std::array::from_fn(|at| gone[at] + threads.iter().map(|counts| read(&counts[at])).sum::<u64>())
    }
}

/// A span of this tracer began.
pub(crate) fn count_span(tracer: u64, sampled: bool) {
    thread_local!(static AT_HAND: RefCell<Vec<(u64, StartedByThread)>> = const { RefCell::new(Vec::new()) });
    let count = |counts: &StartedByThread| {
        // Only this thread writes.
        let count = &counts[usize::from(sampled)];
        count.store(read(count) + 1, Ordering::Relaxed);
    };
    // A thread that ends counts no more; nothing that is called here begins a span.
    AT_HAND
        .try_with(|at_hand| {
            let Ok(mut at_hand) = at_hand.try_borrow_mut() else { return };
            if let Some((_, counts)) = at_hand.iter().find(|(id, _)| *id == tracer) {
                return count(counts);
            }
            let counts = recorder::find(tracer).map(|shared| shared.options.metrics.counted_by_thread());
            let counts = counts.unwrap_or_default();
            count(&counts);
            at_hand.truncate(TRACERS_AT_HAND - 1);
            at_hand.insert(0, (tracer, counts));
        })
        .ok();
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

const fn slot(state: TraceState, sampled: bool) -> usize {
    (state as usize) << 1 | sampled as usize
}

/// This thread's.
fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: Cell<usize> = const { Cell::new(usize::MAX) });
    MINE.with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        mine.get()
    })
}

fn emit(before: &Totals, now: &Totals) {
    let more = |read: fn(&Totals) -> u64| read(now).saturating_sub(read(before));
    let states = [(TraceState::Started, "started"), (TraceState::Joined, "joined")];
    for (state, state_name) in states {
        for (sampled, sampled_name) in [(false, "n"), (true, "y")] {
            let slot = slot(state, sampled);
            counter!("jaeger:traces", "state" => state_name, "sampled" => sampled_name)
                .increment(now.traces[slot].saturating_sub(before.traces[slot]));
        }
    }
    let finished = more(|totals| totals.finished);
    for (at, sampled) in ["n", "y"].into_iter().enumerate() {
        counter!("jaeger:started_spans", "sampled" => sampled).increment(now.started[at] - before.started[at]);
    }
    counter!("jaeger:finished_spans").increment(finished);
    let spans = |result| counter!("jaeger:reporter_spans", "result" => result);
    spans("ok").increment(more(|totals| totals.stats.reported));
    spans("err").increment(more(|totals| totals.stats.failed));
    spans("dropped").increment(more(|totals| totals.stats.dropped));
    gauge!("jaeger:reporter_queue_length").set(now.stats.queued as f64);
    let queries = |result| counter!("jaeger:sampler_queries", "result" => result);
    queries("ok").increment(more(|totals| totals.sampler.answers));
    queries("err").increment(more(|totals| totals.sampler.failures));
    let updates = |result| counter!("jaeger:sampler_updates", "result" => result);
    updates("ok").increment(more(|totals| totals.sampler.updates));
    updates("err").increment(more(|totals| totals.sampler.bad_answers));
    counter!("jaeger:throttled_debug_spans").increment(more(|totals| totals.stats.throttled_debug_spans));
    let credits = |result| counter!("jaeger:throttler_update", "result" => result);
    credits("ok").increment(more(|totals| totals.throttler.updates));
    credits("err").increment(more(|totals| totals.throttler.failures + totals.throttler.bad_answers));
}

fn describe() {
    describe_counter!("jaeger:traces", "Traces that began here (started) or came with a request (joined)");
    describe_counter!("jaeger:started_spans", "Spans that began, by whether they are recorded");
    describe_counter!("jaeger:finished_spans", "Recorded spans that have ended");
    describe_counter!("jaeger:reporter_spans", "Spans by what became of them");
    describe_gauge!("jaeger:reporter_queue_length", "Spans that wait to be sent or for an answer");
    describe_counter!("jaeger:sampler_queries", "How often a server was asked who samples, by whether it answered");
    describe_counter!("jaeger:sampler_updates", "Answers that changed the sampler, or could not be used");
    describe_counter!("jaeger:throttled_debug_spans", "Spans that did not become debug spans for want of credit");
    describe_counter!("jaeger:throttler_update", "Answers about credits, by whether they could be used");
}
