//! What a tracer, the threads that record for it and its own thread have in common: who waits for what, and the counts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::record::SpanRecords;
use super::ring::{Reader, Writer, ring};
use super::worker;
use crate::reporter::{Completion, Reporter, ReporterCounters, ReporterStats};
use crate::resource::Resource;
use crate::settings::{Settings, tracer_id};

/// What became of the spans that were recorded. When the tracer is closed, `reported + failed + dropped` are all that
/// ended; until then some are still on their way.
///
/// ```
/// use tracewell::{InMemoryReporter, Tracer, sampler::ConstSampler};
/// let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(InMemoryReporter::default());
/// tracer.new_trace("GET /").finish();
/// let stats = tracer.close();
/// assert_eq!((stats.reported, stats.failed + stats.dropped), (1, 0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TracerStats {
    /// Taken by the reporter; of a reporter that sends them, those that arrived.
    pub reported: u64,
    /// Refused by the reporter or the server it sends to, or not sent when the tracer was closed.
    pub failed: u64,
    /// Lost because there was no room: a thread's queue or the reporter's was full. Or because they ended after the
    /// tracer was closed.
    pub dropped: u64,
    /// Requests that the reporter sent again.
    pub retries: u64,
    /// Spans that the reporter holds: not sent yet, or without an answer.
    pub queued: u64,
    /// The memory that these take, bytes.
    pub queued_bytes: u64,
    /// Requests whose headers could not all be read; see [`crate::Tracer::extract`].
    pub malformed_headers: u64,
    /// Spans that did not become debug spans because the throttler had no credit.
    pub throttled_debug_spans: u64,
}

/// Spans that ended after their tracer was gone, of all tracers of the process: the last clone of the tracer was dropped
/// before them. They count nowhere else.
///
/// ```
/// # use tracewell::{InMemoryReporter, Tracer, sampler::ConstSampler};
/// let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(InMemoryReporter::default());
/// let span = tracer.new_trace("too long");
/// drop(tracer);
/// drop(span);
/// assert_eq!(tracewell::spans_without_tracer(), 1);
/// ```
pub fn spans_without_tracer() -> u64 {
    WITHOUT_TRACER.load(Ordering::Relaxed)
}

static WITHOUT_TRACER: AtomicU64 = AtomicU64::new(0);

pub(crate) struct Options {
    pub(crate) resource: Resource,
    pub(crate) settings: Settings,
    /// Of each thread's queue.
    pub(crate) queue_bytes: usize,
    pub(crate) flush_interval: Duration,
    #[cfg(feature = "metrics")]
    pub(crate) metrics: crate::metrics::Metrics,
    /// How the sampler asks, if it asks.
    #[cfg(all(feature = "metrics", feature = "jaeger"))]
    pub(crate) sampler_polls: Option<crate::poll::PollCounters>,
}

pub(crate) struct Shared {
    pub(crate) id: u64,
    pub(crate) options: Options,
    reported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    /// Of a reporter that counts itself.
    counters: Option<ReporterCounters>,
    closed: AtomicBool,
    /// Whether the thread has been woken since it last looked.
    woken: AtomicBool,
    control: Mutex<Control>,
}

struct Control {
    readers: Vec<Reader>,
    /// Until the thread takes it.
    reporter: Option<Box<dyn Reporter>>,
    thread: Option<Thread>,
    flushes: Vec<Flush>,
    closing: Option<Closing>,
    /// Of those who wait for the thread to end.
    closers: Vec<Arc<Completion>>,
    gone: bool,
}

/// Somebody waits for what has ended by now.
pub(super) struct Flush {
    pub(super) completion: Arc<Completion>,
    pub(super) deadline: Option<Instant>,
}

/// How the last round is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closing {
    /// When what is left is given up.
    pub(crate) deadline: Option<Instant>,
    /// Whether a server that does not answer is asked again until then, not once.
    pub(crate) retry: bool,
}

/// Spans know their tracer by a number, so that none of them counts references.
static TRACERS: LazyLock<Mutex<HashMap<u64, Weak<Shared>>>> = LazyLock::new(Mutex::default);

/// `None`: there is no such tracer any more.
pub(crate) fn find(id: u64) -> Option<Arc<Shared>> {
    TRACERS.lock().unwrap_or_else(PoisonError::into_inner).get(&id)?.upgrade()
}

/// The same for a span that ended, which is counted if there is no tracer.
pub(crate) fn find_for_ended(id: u64) -> Option<Arc<Shared>> {
    let found = find(id);
    if found.is_none() {
        WITHOUT_TRACER.fetch_add(1, Ordering::Relaxed);
    }
    found
}

pub(crate) fn count_dropped(id: u64) {
    if let Some(shared) = find_for_ended(id) {
        shared.dropped(1);
    }
}

impl Shared {
    pub(crate) fn new(options: Options, reporter: Box<dyn Reporter>) -> Arc<Self> {
        static NUMBERS: AtomicU32 = AtomicU32::new(1);
        let counters = reporter.counters();
        let control = Control {
            readers: Vec::new(),
            reporter: Some(reporter),
            thread: None,
            flushes: Vec::new(),
            closing: None,
            closers: Vec::new(),
            gone: false,
        };
        let shared = Arc::new(Self {
            id: tracer_id(NUMBERS.fetch_add(1, Ordering::Relaxed), &options.settings),
            options,
            reported: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            counters,
            closed: AtomicBool::new(false),
            woken: AtomicBool::new(false),
            control: Mutex::new(control),
        });
        let mut tracers = TRACERS.lock().unwrap_or_else(PoisonError::into_inner);
        tracers.retain(|_, tracer| tracer.strong_count() > 0);
        tracers.insert(shared.id, Arc::downgrade(&shared));
        drop(tracers);
        shared
    }

    /// A queue for the calling thread. `None`: closed, or no thread could be started; the span is counted as dropped.
    pub(crate) fn connect(self: &Arc<Self>) -> Option<Writer> {
        let mut control = self.lock();
        if self.is_closed() || control.gone || !self.start(&mut control) {
            self.dropped(1);
            return None;
        }
        let (writer, reader) = ring(self.options.queue_bytes / 8);
        control.readers.push(reader);
        Some(writer)
    }

    fn start(self: &Arc<Self>, control: &mut Control) -> bool {
        if control.thread.is_some() {
            return true;
        }
        let shared = Arc::clone(self);
        let started = thread::Builder::new().name("tracewell".to_owned()).spawn(move || worker::run(&shared));
        control.thread = started.ok().map(|handle| handle.thread().clone());
        control.thread.is_some()
    }

    /// Has what is finished by now reported. `None`: there is nothing to wait for.
    pub(crate) fn flush(&self, deadline: Option<Instant>) -> Option<Arc<Completion>> {
        let mut control = self.lock();
        let thread = control.waitable_thread()?;
        let completion = Arc::new(Completion::default());
        control.flushes.push(Flush { completion: Arc::clone(&completion), deadline });
        thread.unpark();
        Some(completion)
    }

    /// No span is taken any more; the thread makes a last round and ends. `None`: there is nothing to wait for.
    pub(crate) fn close(&self, closing: Closing) -> Option<Arc<Completion>> {
        let mut control = self.lock();
        control.closing.get_or_insert(closing);
        self.closed.store(true, Ordering::Release);
        if control.thread.is_none() {
            // No thread was ever needed.
            let reporter = control.reporter.take();
            drop(control);
            reporter.into_iter().for_each(|mut reporter| reporter.close());
            #[cfg(feature = "metrics")]
            self.publish_metrics();
            return None;
        }
        let thread = control.waitable_thread()?;
        let completion = Arc::new(Completion::default());
        control.closers.push(Arc::clone(&completion));
        thread.unpark();
        Some(completion)
    }

    pub(crate) fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel)
            && let Some(thread) = &self.lock().thread
        {
            thread.unpark();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn dropped(&self, spans: u64) {
        self.dropped.fetch_add(spans, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> TracerStats {
        if self.is_closed() {
            self.lock().count_left_over(self);
        }
        let theirs = self.counters.as_ref().map(ReporterCounters::stats).unwrap_or_default();
        TracerStats {
            reported: self.reported.load(Ordering::Relaxed) + theirs.reported,
            failed: self.failed.load(Ordering::Relaxed) + theirs.failed,
            dropped: self.dropped.load(Ordering::Relaxed) + theirs.dropped,
            retries: theirs.retries,
            queued: theirs.queued,
            queued_bytes: theirs.queued_bytes,
            malformed_headers: self.options.settings.malformed_headers.load(Ordering::Relaxed),
            throttled_debug_spans: self.options.settings.throttled_debug_spans.load(Ordering::Relaxed),
        }
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn publish_metrics(&self) {
        #[cfg(feature = "jaeger")]
        let polls = |counters: Option<crate::poll::PollCounters>| {
            counters.map_or_else(Default::default, |counters| crate::metrics::Polls {
                answers: counters.answers(),
                failures: counters.failures(),
                updates: counters.updates(),
                bad_answers: counters.bad_answers(),
            })
        };
        #[cfg(feature = "jaeger")]
        let polls = (
            polls(self.options.sampler_polls.clone()),
            polls(self.options.settings.throttler.as_ref().and_then(|throttler| throttler.counters())),
        );
        #[cfg(not(feature = "jaeger"))]
        let polls = Default::default();
        self.options.metrics.publish(self.stats(), polls);
    }

    pub(crate) fn reporter_stats(&self) -> Vec<ReporterStats> {
        self.counters.as_ref().map(ReporterCounters::each).unwrap_or_default()
    }

    pub(super) fn take_reporter(&self) -> Option<Box<dyn Reporter>> {
        self.lock().reporter.take()
    }

    /// Writes all that is finished to the beginning of `waiting`; says how many bytes that is, who asked for it, and
    /// whether it was the last time.
    pub(super) fn take_round(&self, waiting: &mut Vec<u8>) -> (usize, Vec<Flush>, Option<Closing>) {
        self.woken.store(false, Ordering::Release);
        let mut control = self.lock();
        // What was finished before either was asked for is in the rings by now.
        let (flushes, closing) = (std::mem::take(&mut control.flushes), control.closing);
        let mut filled = 0;
        control.readers.retain(|reader| {
            let writer_gone = reader.is_closed();
            filled = reader.drain(waiting, filled);
            !writer_gone
        });
        (filled, flushes, closing)
    }

    pub(super) fn count(&self, spans: u64, taken: bool) {
        match (taken, &self.counters) {
            (true, None) => {
                self.reported.fetch_add(spans, Ordering::Relaxed);
            }
            (true, Some(_)) => {}
            (false, _) => self.count_failed(spans),
        }
    }

    pub(super) fn count_failed(&self, spans: u64) {
        self.failed.fetch_add(spans, Ordering::Relaxed);
    }

    /// The thread ends.
    pub(super) fn gone(&self) {
        self.closed.store(true, Ordering::Release);
        let mut control = self.lock();
        control.gone = true;
        let waiting: Vec<_> = control.flushes.drain(..).map(|flush| flush.completion).collect();
        let waiting: Vec<_> = waiting.into_iter().chain(control.closers.drain(..)).collect();
        drop(control);
        waiting.iter().for_each(|completion| completion.complete());
    }

    fn lock(&self) -> MutexGuard<'_, Control> {
        // Each change is one step, so a panic elsewhere left it whole.
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Control {
    /// The tracer's thread, if it runs and is not the one that asks: a reporter that flushes its own tracer would wait
    /// for itself.
    fn waitable_thread(&self) -> Option<Thread> {
        let thread = self.thread.as_ref().filter(|thread| !self.gone && thread.id() != thread::current().id());
        thread.cloned()
    }

    /// A span that ends while the tracer closes may get into a ring behind the last look. Nobody else empties the rings
    /// now, so what is in them is counted.
    fn count_left_over(&mut self, shared: &Shared) {
        if !self.gone {
            return;
        }
        let (mut left_over, mut filled) = (Vec::new(), 0);
        self.readers.retain(|reader| {
            let writer_gone = reader.is_closed();
            filled = reader.drain(&mut left_over, filled);
            !writer_gone
        });
        shared.dropped(SpanRecords::split(&left_over[..filled], usize::MAX).0.len() as u64);
    }
}
