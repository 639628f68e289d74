//! The same work for every library: traces of a root and ten children with two tags each, in bursts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};

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
    /// Of the quietest tenth of the bursts: what it is when nobody else has the processor's caches.
    pub(crate) caller_quiet_ns: f64,
    pub(crate) process_ns: f64,
    pub(crate) process_quiet_ns: f64,
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
    let (mut callers, mut processes) = (Vec::with_capacity(bursts), Vec::with_capacity(bursts));
    for _ in 0..bursts {
        let before = cpu::process_ns();
        callers.push(burst(library));
        processes.push(cpu::process_ns() - before);
    }
    let expected = if sampled { spans as u64 } else { 0 };
    ensure!(sent.spans() - sent_spans == expected, "{} spans were sent, not {spans}", sent.spans() - sent_spans);
    let bytes = sent.bytes() - sent_bytes;
    let counted_bursts = bursts.div_ceil(4);
    let allocations = allocations::count(|| {
        for _ in 0..counted_bursts {
            burst(library);
        }
    });
    let (caller_ns, caller_quiet_ns) = median_and_quiet(callers);
    let (process_ns, process_quiet_ns) = median_and_quiet(processes);
    Ok(Figures {
        caller_ns,
        caller_quiet_ns,
        process_ns,
        process_quiet_ns,
        allocs_per_span: allocations as f64 / (counted_bursts * BURST_TRACES * SPANS) as f64,
        bytes_per_span: bytes as f64 / spans,
    })
}

/// Of bursts, per span.
fn median_and_quiet(mut bursts: Vec<u64>) -> (f64, f64) {
    bursts.sort_unstable();
    let per_span = |at: usize| bursts[at] as f64 / (BURST_TRACES * SPANS) as f64;
    (per_span(bursts.len() / 2), per_span(bursts.len() / 10))
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
        serde_json::json!(self.values()).to_string()
    }

    pub(crate) fn from_line(line: &str) -> Result<Self> {
        Ok(Self::from_values(serde_json::from_str(line)?))
    }

    /// Each figure's.
    pub(crate) fn median(all: &[Self]) -> Self {
        Self::from_values(std::array::from_fn(|at| {
            let mut values: Vec<f64> = all.iter().map(|figures| figures.values()[at]).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        }))
    }

    fn values(&self) -> [f64; 6] {
        let Self { caller_ns, caller_quiet_ns, process_ns, process_quiet_ns, allocs_per_span, bytes_per_span } = *self;
        [caller_ns, caller_quiet_ns, process_ns, process_quiet_ns, allocs_per_span, bytes_per_span]
    }

    fn from_values(values: [f64; 6]) -> Self {
        let [caller_ns, caller_quiet_ns, process_ns, process_quiet_ns, allocs_per_span, bytes_per_span] = values;
        Self { caller_ns, caller_quiet_ns, process_ns, process_quiet_ns, allocs_per_span, bytes_per_span }
    }
}
