//! What the server counts: numbers that the way of a span adds to without a lock, and the ways they are read.

mod answer;
mod list;
mod requests;
mod text;

pub(crate) use answer::prometheus_text;
use list::Sources;
pub use list::metrics_markdown;
pub(crate) use list::zipkin_json;
#[cfg(test)]
pub(crate) use requests::ROUTES;
pub(crate) use requests::RequestTimes;
use text::{TextFormat, metrics_text};

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

/// How spans come. The first two are Zipkin's own, by its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Http,
    Grpc,
    OtlpHttp,
    OtlpGrpc,
    JaegerHttp,
    JaegerGrpc,
    JaegerUdpCompact,
    JaegerUdpBinary,
    ZipkinUdp,
}

impl Transport {
    pub(crate) const ALL: [Self; 9] = [
        Self::Http,
        Self::Grpc,
        Self::OtlpHttp,
        Self::OtlpGrpc,
        Self::JaegerHttp,
        Self::JaegerGrpc,
        Self::JaegerUdpCompact,
        Self::JaegerUdpBinary,
        Self::ZipkinUdp,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::OtlpHttp => "otlp_http",
            Self::OtlpGrpc => "otlp_grpc",
            Self::JaegerHttp => "jaeger_http",
            Self::JaegerGrpc => "jaeger_grpc",
            Self::JaegerUdpCompact => "jaeger_udp_compact",
            Self::JaegerUdpBinary => "jaeger_udp_binary",
            Self::ZipkinUdp => "zipkin_udp",
        }
    }

    /// Whether Zipkin's server has it too: what `/metrics` tells of.
    pub(crate) const fn is_zipkins(self) -> bool {
        matches!(self, Self::Http | Self::Grpc)
    }
}

/// Why a message was refused or dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Malformed,
    TooLarge,
    TooSlow,
    Broken,
    MemorySpent,
    StoreOverloaded,
    StoreDiskFull,
    StoreFailed,
    Failed,
}

impl Refusal {
    pub(crate) const ALL: [Self; 9] = [
        Self::Malformed,
        Self::TooLarge,
        Self::TooSlow,
        Self::Broken,
        Self::MemorySpent,
        Self::StoreOverloaded,
        Self::StoreDiskFull,
        Self::StoreFailed,
        Self::Failed,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "body_too_large",
            Self::TooSlow => "body_too_slow",
            Self::Broken => "body_broken",
            Self::MemorySpent => "memory_spent",
            Self::StoreOverloaded => "store_overloaded",
            Self::StoreDiskFull => "store_disk_full",
            Self::StoreFailed => "store_failed",
            Self::Failed => "decoder_failed",
        }
    }

    pub(crate) fn by_store(error: &WriteError) -> Self {
        match error {
            WriteError::Overloaded => Self::StoreOverloaded,
            WriteError::DiskFull(_) => Self::StoreDiskFull,
            WriteError::TooLarge { .. } => Self::TooLarge,
            WriteError::Failed(_) | WriteError::Closed => Self::StoreFailed,
        }
    }
}

/// What is counted of a way in; the first as Zipkin counts.
#[derive(Debug, Default)]
pub(crate) struct CollectorMetrics {
    pub(crate) messages: Number,
    pub(crate) messages_dropped: Number,
    pub(crate) bytes: Number,
    pub(crate) spans: Number,
    pub(crate) spans_dropped: Number,
    pub(crate) message_bytes: Number,
    pub(crate) message_spans: Number,
    refusals: [Number; Refusal::ALL.len()],
    /// The number of its socket in the system's list, where it takes packets; else 0.
    pub(crate) udp_inode: Number,
}

impl CollectorMetrics {
    pub(crate) fn refused(&self, refusal: Refusal) {
        self.refused_many(refusal, 1);
    }

    pub(crate) fn refused_many(&self, refusal: Refusal, messages: u64) {
        self.refusals[refusal as usize].add(messages);
    }

    pub(crate) fn refusals(&self, refusal: Refusal) -> &Number {
        &self.refusals[refusal as usize]
    }
}

/// Everything the server itself counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) collector: [CollectorMetrics; Transport::ALL.len()],
    pub(crate) requests: RequestTimes,
    pub(crate) queries_waiting: Number,
    pub(crate) queries_refused: Number,
    pub(crate) queries_timed_out: Number,
    pub(crate) connections_open: Number,
    pub(crate) connections_accepted: Number,
    pub(crate) connections_timed_out: Number,
    pub(crate) traces_archived: Number,
    pub(crate) sampling_strategies_loaded: Number,
    pub(crate) sampling_strategies_refused: Number,
    pub(crate) sampling_strategies_broken: Number,
    pub(crate) sampling_operations: Number,
    pub(crate) sampling_operations_dropped: Number,
    pub(crate) started: SystemTime,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            collector: Default::default(),
            requests: RequestTimes::default(),
            queries_waiting: Number::default(),
            queries_refused: Number::default(),
            queries_timed_out: Number::default(),
            connections_open: Number::default(),
            connections_accepted: Number::default(),
            connections_timed_out: Number::default(),
            traces_archived: Number::default(),
            sampling_strategies_loaded: Number::default(),
            sampling_strategies_refused: Number::default(),
            sampling_strategies_broken: Number::default(),
            sampling_operations: Number::default(),
            sampling_operations_dropped: Number::default(),
            started: clock::now(),
        }
    }
}
