//! What the server counts: numbers that the way of a span adds to without a lock, and the ways they are read.

mod list;
mod requests;
mod text;

pub use list::metrics_markdown;
pub(crate) use list::{Sources, zipkin_json};
#[cfg(test)]
pub(crate) use requests::ROUTES;
pub(crate) use requests::RequestTimes;
pub(crate) use text::{TextFormat, metrics_text};

use crate::clock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use tracewell_store::WriteError;

/// A number that many threads add to.
#[derive(Debug, Default)]
pub(crate) struct Number(pub(crate) AtomicU64);

impl Number {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How spans come, by Zipkin's names. gRPC is counted as Zipkin counts it, from the start, because its dashboards ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Http = 0,
    Grpc = 1,
}

impl Transport {
    pub(crate) const ALL: [Self; 2] = [Self::Http, Self::Grpc];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
        }
    }
}

/// What Zipkin counts of a way in.
#[derive(Debug, Default)]
pub(crate) struct CollectorMetrics {
    pub(crate) messages: Number,
    pub(crate) messages_dropped: Number,
    pub(crate) bytes: Number,
    pub(crate) spans: Number,
    pub(crate) spans_dropped: Number,
    pub(crate) message_bytes: Number,
    pub(crate) message_spans: Number,
}

/// Everything the server itself counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) collector: [CollectorMetrics; 2],
    pub(crate) requests: RequestTimes,
    pub(crate) refused_body_too_large: Number,
    pub(crate) refused_body_too_slow: Number,
    pub(crate) refused_memory_spent: Number,
    pub(crate) refused_store_overloaded: Number,
    pub(crate) refused_store_disk_full: Number,
    pub(crate) refused_store_failed: Number,
    pub(crate) queries_waiting: Number,
    pub(crate) queries_refused: Number,
    pub(crate) queries_timed_out: Number,
    pub(crate) connections_open: Number,
    pub(crate) connections_accepted: Number,
    pub(crate) connections_timed_out: Number,
    pub(crate) started: SystemTime,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            collector: Default::default(),
            requests: RequestTimes::default(),
            refused_body_too_large: Number::default(),
            refused_body_too_slow: Number::default(),
            refused_memory_spent: Number::default(),
            refused_store_overloaded: Number::default(),
            refused_store_disk_full: Number::default(),
            refused_store_failed: Number::default(),
            queries_waiting: Number::default(),
            queries_refused: Number::default(),
            queries_timed_out: Number::default(),
            connections_open: Number::default(),
            connections_accepted: Number::default(),
            connections_timed_out: Number::default(),
            started: clock::now(),
        }
    }

    pub(crate) fn refused_by_store(&self, error: &WriteError) {
        match error {
            WriteError::Overloaded => self.refused_store_overloaded.add(1),
            WriteError::DiskFull(_) => self.refused_store_disk_full.add(1),
            WriteError::TooLarge { .. } => self.refused_body_too_large.add(1),
            WriteError::Failed(_) | WriteError::Closed => self.refused_store_failed.add(1),
        }
    }
}
