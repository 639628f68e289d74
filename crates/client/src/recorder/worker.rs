//! The tracer's own thread: empties the rings into the reporter, when asked, when one is half full, and in intervals.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::Duration;

use super::record::SpanRecords;
use super::ring::{Reader, Writer, ring};
use crate::reporter::Reporter;
use crate::resource::Resource;
use crate::settings::{Settings, tracer_id};

/// Spans given to a reporter at once.
pub const REPORT_SPANS_MAX: usize = 512;

/// What became of the spans that were recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TracerStats {
    /// Taken by the reporter.
    pub reported: u64,
    /// Refused by the reporter.
    pub failed: u64,
    /// Lost because a thread's queue was full, or because they ended after the tracer was closed.
    pub dropped: u64,
    /// Requests whose headers could not all be read; see [`crate::Tracer::extract`].
    pub malformed_headers: u64,
    /// Spans that did not become debug spans because the throttler had no credit.
    pub throttled_debug_spans: u64,
}

pub(crate) struct Options {
    pub(crate) resource: Resource,
    pub(crate) settings: Settings,
    /// Of each thread's queue.
    pub(crate) queue_bytes: usize,
    pub(crate) flush_interval: Duration,
}

/// What a tracer, the threads that record for it and its own thread have in common.
pub(crate) struct Shared {
    pub(crate) id: u64,
    pub(crate) options: Options,
    reported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    closed: AtomicBool,
    /// Whether the thread has been woken since it last looked.
    woken: AtomicBool,
    control: Mutex<Control>,
    /// Told when a round was made, and when the thread is gone.
    progress: Condvar,
}

struct Control {
    readers: Vec<Reader>,
    /// Until the thread takes it.
    reporter: Option<Box<dyn Reporter>>,
    thread: Option<Thread>,
    rounds_wanted: u64,
    rounds_made: u64,
    gone: bool,
}

/// Spans know their tracer by a number, so that none of them counts references.
static TRACERS: LazyLock<Mutex<HashMap<u64, Weak<Shared>>>> = LazyLock::new(Mutex::default);

pub(crate) fn find(id: u64) -> Option<Arc<Shared>> {
    TRACERS.lock().unwrap_or_else(PoisonError::into_inner).get(&id)?.upgrade()
}

pub(crate) fn count_dropped(id: u64) {
    if let Some(shared) = find(id) {
        shared.dropped(1);
    }
}

impl Shared {
    pub(crate) fn new(options: Options, reporter: Box<dyn Reporter>) -> Arc<Self> {
        static NUMBERS: AtomicU32 = AtomicU32::new(1);
        let control = Control {
            readers: Vec::new(),
            reporter: Some(reporter),
            thread: None,
            rounds_wanted: 0,
            rounds_made: 0,
            gone: false,
        };
        let shared = Arc::new(Self {
            id: tracer_id(NUMBERS.fetch_add(1, Ordering::Relaxed), &options.settings),
            options,
            reported: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            woken: AtomicBool::new(false),
            control: Mutex::new(control),
            progress: Condvar::new(),
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
        let started = thread::Builder::new().name("tracewell".to_owned()).spawn(move || run(&shared));
        control.thread = started.ok().map(|handle| handle.thread().clone());
        control.thread.is_some()
    }

    /// Has what is finished by now reported, and waits for it.
    pub(crate) fn flush(&self) {
        let mut control = self.lock();
        // A reporter that flushes its own tracer would wait for itself.
        let others = |thread: &&Thread| thread.id() != thread::current().id();
        let Some(thread) = control.thread.as_ref().filter(others).cloned() else { return };
        control.rounds_wanted += 1;
        let wanted = control.rounds_wanted;
        thread.unpark();
        while control.rounds_made < wanted && !control.gone {
            control = self.progress.wait(control).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// No span is taken any more; the thread makes a last round and ends.
    pub(crate) fn close(&self) {
        let mut control = self.lock();
        self.closed.store(true, Ordering::Release);
        match &control.thread {
            Some(thread) => thread.unpark(),
            // No thread was ever needed.
            None => {
                if let Some(mut reporter) = control.reporter.take() {
                    drop(control);
                    reporter.close();
                }
            }
        }
    }

    /// Waits for the thread to end, at most so long.
    pub(crate) fn wait(&self, at_most: Duration) {
        let control = self.lock();
        let running = |control: &mut Control| {
            let other = control.thread.as_ref().is_some_and(|thread| thread.id() != thread::current().id());
            other && !control.gone
        };
        drop(self.progress.wait_timeout_while(control, at_most, running).unwrap_or_else(PoisonError::into_inner));
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
        TracerStats {
            reported: self.reported.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            malformed_headers: self.options.settings.malformed_headers.load(Ordering::Relaxed),
            throttled_debug_spans: self.options.settings.throttled_debug_spans.load(Ordering::Relaxed),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Control> {
        // Each change is one step, so a panic elsewhere left it whole.
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that the thread is gone, also when the reporter panicked: nobody waits for ever.
struct Gone<'a>(&'a Shared);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::Release);
        let mut control = self.0.lock();
        control.gone = true;
        control.readers.clear();
        self.0.progress.notify_all();
    }
}

fn run(shared: &Shared) {
    let _gone = Gone(shared);
    let Some(mut reporter) = shared.lock().reporter.take() else { return };
    let mut waiting = Vec::new();
    loop {
        // Read before the rings are: what was finished before either was set is then seen in this round.
        let closed = shared.is_closed();
        shared.woken.store(false, Ordering::Release);
        let mut control = shared.lock();
        let wanted = control.rounds_wanted;
        control.readers.retain(|reader| {
            let writer_gone = reader.is_closed();
            reader.drain(&mut waiting);
            !writer_gone
        });
        drop(control);
        report(shared, &mut *reporter, &waiting);
        waiting.clear();
        if closed {
            reporter.close();
            return;
        }
        shared.lock().rounds_made = wanted;
        shared.progress.notify_all();
        thread::park_timeout(shared.options.flush_interval);
    }
}

fn report(shared: &Shared, reporter: &mut dyn Reporter, mut waiting: &[u8]) {
    while !waiting.is_empty() {
        let (spans, rest) = SpanRecords::split(waiting, REPORT_SPANS_MAX);
        if spans.is_empty() {
            return;
        }
        let counter = match reporter.report(&shared.options.resource, &spans) {
            Ok(()) => &shared.reported,
            Err(_) => &shared.failed,
        };
        counter.fetch_add(spans.len() as u64, Ordering::Relaxed);
        waiting = rest;
    }
}
