//! The same work for every library: traces of a root and ten children with two tags each, in bursts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::{allocations, cpu};

pub(crate) const CHILDREN: usize = 10;
pub(crate) const SPANS: usize = CHILDREN + 1;
/// Between two bursts everything is sent: 2,002 spans, which is less than any library's queue.
const BURST_TRACES: usize = 182;
/// Values of the second tag: not known to the compiler, and free of charge for libraries that want `&'static str`.
const PATHS: [&str; 4] = ["/cart/9", "/orders/latest", "/products/1248/reviews", "/login"];

/// A library that records.
pub(crate) trait Library {
    /// One trace: a root, and under it [`CHILDREN`] one after the other, each with `http.method` and `http.path`.
    fn trace(&self, path: &'static str);
    /// Everything that was recorded is encoded and sent when this returns.
    fn flush(&self);
}

/// Where to send.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) http: SocketAddr,
    pub(crate) udp: SocketAddr,
}

/// What reporters have sent.
#[derive(Clone, Default)]
pub(crate) struct Sent(Arc<(AtomicU64, AtomicU64)>);

impl Sent {
    pub(crate) fn add(&self, spans: usize, bytes: usize) {
        self.0.0.fetch_add(spans as u64, Ordering::Relaxed);
        self.0.1.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn spans(&self) -> u64 {
        self.0.0.load(Ordering::Relaxed)
    }

    fn bytes(&self) -> u64 {
        self.0.1.load(Ordering::Relaxed)
    }
}

/// What a case costs, per span.
#[derive(Clone, Copy, Default)]
pub(crate) struct Figures {
    pub(crate) caller_ns: f64,
    pub(crate) process_ns: f64,
    pub(crate) allocs_per_span: f64,
    pub(crate) bytes_per_span: f64,
}

/// Runs the load, and checks that every span was sent (or none, where nothing is sampled).
pub(crate) fn run(library: &impl Library, traces: usize, sent: &Sent, sampled: bool) -> Result<Figures> {
    let bursts = traces.div_ceil(BURST_TRACES);
    let spans = (bursts * BURST_TRACES * SPANS) as f64;
    for _ in 0..bursts.div_ceil(10).max(5) {
        burst(library);
    }
    let (sent_spans, sent_bytes) = (sent.spans(), sent.bytes());
    let before = cpu::process_ns();
    let caller: u64 = (0..bursts).map(|_| burst(library)).sum();
    let process = cpu::process_ns() - before;
    let expected = if sampled { spans as u64 } else { 0 };
    ensure!(sent.spans() - sent_spans == expected, "{} spans were sent, not {spans}", sent.spans() - sent_spans);
    let bytes = sent.bytes() - sent_bytes;
    let counted_bursts = bursts.div_ceil(4);
    let allocations = allocations::count(|| {
        for _ in 0..counted_bursts {
            burst(library);
        }
    });
    Ok(Figures {
        caller_ns: caller as f64 / spans,
        process_ns: process as f64 / spans,
        allocs_per_span: allocations as f64 / (counted_bursts * BURST_TRACES * SPANS) as f64,
        bytes_per_span: bytes as f64 / spans,
    })
}

/// CPU time of this thread while it recorded.
fn burst(library: &impl Library) -> u64 {
    let before = cpu::thread_ns();
    for number in 0..BURST_TRACES {
        library.trace(PATHS[number % PATHS.len()]);
    }
    let recorded = cpu::thread_ns() - before;
    library.flush();
    recorded
}

impl Figures {
    pub(crate) fn to_line(self) -> String {
        let Self { caller_ns, process_ns, allocs_per_span, bytes_per_span } = self;
        serde_json::json!([caller_ns, process_ns, allocs_per_span, bytes_per_span]).to_string()
    }

    pub(crate) fn from_line(line: &str) -> Result<Self> {
        let values: Vec<Value> = serde_json::from_str(line)?;
        let value = |at: usize| values.get(at).and_then(Value::as_f64).unwrap_or(f64::NAN);
        Ok(Self { caller_ns: value(0), process_ns: value(1), allocs_per_span: value(2), bytes_per_span: value(3) })
    }

    pub(crate) fn median(all: &[Self]) -> Self {
        let of = |field: fn(&Self) -> f64| {
            let mut values: Vec<f64> = all.iter().map(field).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Self {
            caller_ns: of(|figures| figures.caller_ns),
            process_ns: of(|figures| figures.process_ns),
            allocs_per_span: of(|figures| figures.allocs_per_span),
            bytes_per_span: of(|figures| figures.bytes_per_span),
        }
    }
}
