//! The tracer's own thread: empties the rings into the reporter, when asked, when one is half full, and in intervals.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::record::SpanRecords;
use super::shared::{Closing, Flush, Shared};
use crate::reporter::{Completion, Done, Reporter};

/// Spans given to a reporter at once.
///
/// ```
/// use tracewell::{FnReporter, REPORT_SPANS_MAX};
/// let reporter = FnReporter::new(|_, spans| {
///     assert!(spans.len() <= REPORT_SPANS_MAX);
///     Ok(())
/// });
/// # drop(reporter);
/// ```
pub const REPORT_SPANS_MAX: usize = 512;

/// Until the tracer is closed.
pub(super) fn run(shared: &Shared) {
    let _gone = Gone(shared);
    let Some(reporter) = shared.take_reporter() else { return };
    // Dropped before `_gone`, so that everything is counted when the thread says that it is gone.
    let mut worker =
        Worker { shared, reporter, waiting: Vec::new(), waiting_bytes: 0, reported_bytes: 0, flushes: Vec::new() };
    loop {
        let closing = worker.round();
        if let Some(closing) = closing {
            return worker.close(&closing);
        }
        thread::park_timeout(worker.rest());
    }
}

struct Worker<'a> {
    shared: &'a Shared,
    reporter: Box<dyn Reporter>,
    /// What was taken from the rings in this round, and behind it what is left of others.
    waiting: Vec<u8>,
    waiting_bytes: usize,
    /// How much of it the reporter was given.
    reported_bytes: usize,
    /// Flushes under way that have a deadline.
    flushes: Vec<(Instant, Arc<Completion>)>,
}

impl Worker<'_> {
    /// Reports what has ended by now, and begins what was asked for.
    fn round(&mut self) -> Option<Closing> {
        (self.waiting_bytes, self.reported_bytes) = (0, 0);
        let (taken_bytes, flushes, closing) = self.shared.take_round(&mut self.waiting);
        self.waiting_bytes = taken_bytes;
        // From here on they end with this thread if with nothing else.
        let flushes: Vec<Done> = flushes.into_iter().map(|flush| self.begin(flush)).collect();
        self.report();
        for done in flushes {
            self.reporter.flush(done);
        }
        #[cfg(feature = "metrics")]
        self.shared.publish_metrics();
        closing
    }

    fn begin(&mut self, Flush { completion, deadline }: Flush) -> Done {
        if let Some(deadline) = deadline {
            self.flushes.push((deadline, Arc::clone(&completion)));
        }
        Done::new(completion, deadline, thread::current())
    }

    fn report(&mut self) {
        while self.reported_bytes < self.waiting_bytes {
            let waiting = &self.waiting[self.reported_bytes..self.waiting_bytes];
            let (spans, rest) = SpanRecords::split(waiting, REPORT_SPANS_MAX);
            if spans.is_empty() {
                return;
            }
            let result = self.reporter.report(&self.shared.options.resource, &spans);
            self.shared.count(spans.len() as u64, result.is_ok());
            self.reported_bytes = self.waiting_bytes - rest.len();
        }
    }

    /// How long there is nothing to do.
    fn rest(&mut self) -> Duration {
        let now = Instant::now();
        self.flushes.retain(|(deadline, completion)| {
            let over = completion.is_complete() || *deadline <= now;
            if over {
                completion.complete();
            }
            !over
        });
        let due = self.reporter.poll(now);
        let deadlines = self.flushes.iter().map(|(deadline, _)| *deadline);
        let next = due.into_iter().chain(deadlines).min().map(|next| next.saturating_duration_since(now));
        next.map_or(self.shared.options.flush_interval, |next| next.min(self.shared.options.flush_interval))
    }

    /// Has everything sent that the reporter holds, as long as there is time.
    fn close(mut self, closing: &Closing) {
        let flushed = Arc::new(Completion::default());
        let retry_until = closing.deadline.filter(|_| closing.retry);
        self.reporter.flush(Done::new(Arc::clone(&flushed), retry_until, thread::current()));
        loop {
            let rest = self.rest();
            let left = closing.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if flushed.is_complete() || left.is_some_and(|left| left.is_zero()) {
                break;
            }
            thread::park_timeout(left.map_or(rest, |left| left.min(rest)));
        }
        self.reporter.close();
        #[cfg(feature = "metrics")]
        self.shared.publish_metrics();
    }
}

impl Drop for Worker<'_> {
    /// What a reporter that panicked was given, and what it would have been given next, is lost.
    fn drop(&mut self) {
        let (lost, _) = SpanRecords::split(&self.waiting[self.reported_bytes..self.waiting_bytes], usize::MAX);
        self.shared.count_failed(lost.len() as u64);
    }
}

/// Says that the thread is gone, also when the reporter panicked: nobody waits for ever.
struct Gone<'a>(&'a Shared);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.gone();
    }
}
