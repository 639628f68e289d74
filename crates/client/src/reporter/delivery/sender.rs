//! The thread that sends: a batch after the other, cut to what the server takes, again where that may help.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::options::{OnProblem, SendProblem};
use super::queue::{Chunk, Queue};
use super::{Answer, BatchOptions, Encode, Transport};
use crate::recorder::SpanRecords;
use crate::resource::Resource;

/// How often a batch is sent at which the server fails though it is there (500): it may be the batch's fault, and others
/// wait behind it.
const FAILURES_MAX: u32 = 10;
/// Of the time that somebody who waits still has, what a pause takes at most.
const PATIENCE_SHARE: u32 = 8;
const PATIENT_PAUSE_MIN: Duration = Duration::from_millis(5);

pub(super) struct Sender {
    name: &'static str,
    queue: Arc<Queue>,
    encoder: Box<dyn Encode>,
    transport: Box<dyn Transport>,
    backoff: Backoff,
    on_problem: Option<Box<OnProblem>>,
    spans_max: usize,
    /// Smaller once the server found a body too large.
    body_bytes_max: usize,
    body: Vec<u8>,
    #[cfg(feature = "log")]
    logged: Option<Instant>,
}

/// What is to be done with the rest of a chunk.
enum Step {
    GoOn,
    /// With so many spans at once.
    Smaller(usize),
    PutBack(Option<Duration>),
}

impl Sender {
    pub(super) fn new(
        name: &'static str,
        queue: Arc<Queue>,
        options: BatchOptions,
        encoder: Box<dyn Encode>,
        transport: Box<dyn Transport>,
    ) -> Self {
        Self {
            name,
            queue,
            encoder,
            transport,
            backoff: Backoff::new(options.backoff_min, options.backoff_max),
            on_problem: options.on_problem,
            spans_max: options.spans_max,
            body_bytes_max: options.body_bytes_max,
            body: Vec::new(),
            #[cfg(feature = "log")]
            logged: None,
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        self.name
    }

    /// Until the queue is given up.
    pub(super) fn run(mut self) {
        // Should this thread panic, nobody waits for it and nothing is taken any more.
        let _give_up = GiveUp(Arc::clone(&self.queue));
        let mut not_before = None;
        while let Some((chunk, resource)) = self.queue.next(not_before) {
            not_before = self.deliver(chunk, &resource);
        }
    }

    /// Answers when the next attempt may be made.
    fn deliver(&mut self, mut chunk: Chunk, resource: &Resource) -> Option<Instant> {
        let mut spans_at_once = self.spans_max;
        loop {
            let unsettled = chunk.bytes.len() - chunk.settled_bytes;
            let (spans, behind) = SpanRecords::split(&chunk.bytes[chunk.settled_bytes..], spans_at_once);
            if spans.is_empty() {
                self.queue.finished(chunk);
                return None;
            }
            self.body.clear();
            self.encoder.encode(resource, &spans, &mut self.body);
            let (count, bytes) = (spans.len(), unsettled - behind.len());
            match self.send(count, bytes, &mut chunk.failures, &mut chunk.was_tried) {
                Step::GoOn => {
                    chunk.settled_bytes += bytes;
                    chunk.was_tried = false;
                    chunk.failures = 0;
                }
                Step::Smaller(spans) => spans_at_once = spans,
                Step::PutBack(after) => return Some(self.put_back(chunk, after)),
            }
        }
    }

    fn send(&mut self, spans: usize, bytes: usize, failures: &mut u32, was_tried: &mut bool) -> Step {
        let count = spans as u64;
        let too_large = self.body.len() > self.body_bytes_max;
        if too_large && spans > 1 {
            // A little less than what should fit: spans differ.
            let fitting = spans * self.body_bytes_max / self.body.len();
            return Step::Smaller((fitting - fitting / 10).clamp(1, spans - 1));
        }
        if !too_large && *was_tried {
            self.queue.counters().retried();
        }
        *was_tried = true;
        let answer = match too_large {
            true => Answer::Refused(format!("one span has {} bytes, which is more than the limit", self.body.len())),
            false => self.transport.send(&self.body),
        };
        match answer {
            Answer::Taken { rejected, why } => {
                self.backoff.reset();
                let rejected = rejected.min(count);
                self.queue.settle(bytes, count - rejected, rejected);
                if rejected > 0 {
                    self.problem(rejected, false, &why);
                }
                Step::GoOn
            }
            Answer::TooLarge(_) if spans > 1 => {
                self.body_bytes_max = self.body.len() - 1;
                *was_tried = false;
                Step::Smaller(spans / 2)
            }
            Answer::Later { fails_at_this, after, why } if !fails_at_this || *failures + 1 < FAILURES_MAX => {
                *failures += u32::from(fails_at_this);
                self.problem(count, true, &why);
                Step::PutBack(after)
            }
            Answer::TooLarge(why) | Answer::Refused(why) | Answer::Later { why, .. } => {
                self.queue.settle(bytes, 0, count);
                self.problem(count, false, &why);
                Step::GoOn
            }
        }
    }

    fn put_back(&mut self, chunk: Chunk, after: Option<Duration>) -> Instant {
        let mut pause = self.backoff.next(after, fastrand::f64());
        let patient_until = self.queue.put_back(chunk);
        let now = Instant::now();
        if let Some(end) = patient_until {
            let left = end.saturating_duration_since(now) / PATIENCE_SHARE;
            pause = pause.min(left.max(PATIENT_PAUSE_MIN));
        }
        now + pause
    }

    fn problem(&mut self, spans: u64, kept: bool, why: &str) {
        let problem = SendProblem { reporter: self.name, spans, kept, why };
        #[cfg_attr(not(feature = "log"), expect(clippy::single_match, reason = "the other arm logs"))]
        match &mut self.on_problem {
            Some(on_problem) => on_problem(&problem),
            None => {
                #[cfg(feature = "log")]
                self.log(&problem);
            }
        }
    }

    #[cfg(feature = "log")]
    fn log(&mut self, problem: &SendProblem<'_>) {
        const LOG_INTERVAL: Duration = Duration::from_secs(60);
        if self.logged.is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL) {
            self.logged = Some(Instant::now());
            log::warn!("{problem}");
        }
    }
}

struct GiveUp(Arc<Queue>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.give_up();
    }
}
