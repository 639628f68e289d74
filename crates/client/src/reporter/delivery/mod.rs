//! Sending spans to a server that may be slow, down or full, without anybody waiting for it.
//!
//! The tracer's thread copies finished spans, as they were recorded, into a queue bounded in bytes ([`queue`]). A thread of
//! the reporter's own ([`sender`]), started with the first span, encodes a batch at a time into one buffer, sends it and
//! keeps what may be taken later ([`backoff`] says when). So a server that does not answer holds up neither the tracer's
//! thread nor another reporter, and what waits is cut anew for every attempt.

mod backoff;
mod options;
mod queue;
mod sender;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

pub use options::{BatchOptions, SendProblem};

use super::{Done, ReportError, ReporterCounters};
use crate::recorder::SpanRecords;
use crate::resource::Resource;
use queue::Queue;
use sender::Sender;

/// A format.
pub(crate) trait Encode: Send {
    /// Appends a body that holds these spans.
    fn encode(&mut self, resource: &Resource, spans: &SpanRecords<'_>, body: &mut Vec<u8>);
}

impl<F: FnMut(&Resource, &SpanRecords<'_>, &mut Vec<u8>) + Send> Encode for F {
    fn encode(&mut self, resource: &Resource, spans: &SpanRecords<'_>, body: &mut Vec<u8>) {
        self(resource, spans, body);
    }
}

/// A way to a server.
pub(crate) trait Transport: Send {
    /// Sends a body and waits for what the server makes of it, for a bounded time.
    fn send(&mut self, body: &[u8]) -> Answer;
}

/// What a server made of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It took the batch, but for so many spans.
    Taken { rejected: u64, why: String },
    /// It would take a smaller one.
    TooLarge(String),
    /// It will never take it.
    Refused(String),
    /// It may take it later; not before `after`.
    Later {
        after: Option<Duration>,
        /// It was there and failed at this very batch, so not every batch has to wait for ever.
        fails_at_this: bool,
        why: String,
    },
}

/// The tracer's end of it.
pub(crate) struct Delivery {
    queue: Arc<Queue>,
    /// Until the thread takes it.
    sender: Option<Sender>,
}

impl Delivery {
    pub(crate) fn new(
        name: &'static str,
        options: BatchOptions,
        encoder: Box<dyn Encode>,
        transport: Box<dyn Transport>,
    ) -> Self {
        let queue = Arc::new(Queue::new(name, &options));
        let sender = Some(Sender::new(name, Arc::clone(&queue), options, encoder, transport));
        Self { queue, sender }
    }

    pub(crate) fn report(&mut self, resource: &Resource, spans: &SpanRecords<'_>) -> Result<(), ReportError> {
        if let Some(sender) = self.sender.take() {
            let thread = thread::Builder::new().name(format!("tracewell-{}", sender.name()));
            thread.spawn(move || sender.run())?;
        }
        self.queue.push(resource, spans)
    }

    pub(crate) fn flush(&self, done: Done) {
        self.queue.flush(done);
    }

    pub(crate) fn give_up(&self) {
        self.queue.give_up();
    }

    pub(crate) fn counters(&self) -> ReporterCounters {
        self.queue.counters()
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// A reporter that is a [`Delivery`] in its field of that name.
macro_rules! report_by_delivery {
    ($reporter:ty) => {
        impl $crate::Reporter for $reporter {
            fn report(
                &mut self,
                resource: &$crate::Resource,
                spans: &$crate::SpanRecords<'_>,
            ) -> Result<(), $crate::ReportError> {
                self.delivery.report(resource, spans)
            }

            fn flush(&mut self, done: $crate::Done) {
                self.delivery.flush(done);
            }

            fn close(&mut self) {
                self.delivery.give_up();
            }

            fn counters(&self) -> Option<$crate::ReporterCounters> {
                Some(self.delivery.counters())
            }
        }
    };
}

pub(crate) use report_by_delivery;
