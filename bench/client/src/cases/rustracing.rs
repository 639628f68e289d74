//! rustracing_jaeger with its reporter of compact thrift over UDP, in a thread, as its documentation shows.

use std::sync::mpsc;
use std::thread;

use anyhow::{Result, anyhow};
use rustracing::sampler::{AllSampler, NullSampler};
use rustracing::tag::Tag;
use rustracing_jaeger::Tracer;
use rustracing_jaeger::reporter::JaegerCompactReporter;
use rustracing_jaeger::span::{FinishedSpan, SpanReceiver};

use crate::load::{CHILDREN, Figures, Library, Place, Sent, run as run_load};

/// So that a packet is less than 65,000 bytes.
const PACKET_SPANS_MAX: usize = 200;

pub(crate) fn run(wire: &str, traces: usize, place: Place) -> Result<Figures> {
    let sent = Sent::default();
    let sampled = wire != "unsampled";
    let mut reporter = JaegerCompactReporter::new("shop").map_err(|error| anyhow!("{error}"))?;
    reporter.set_agent_addr(place.udp);
    let (tracer, spans) = if sampled { Tracer::new(AllSampler) } else { Tracer::new(NullSampler) };
    let flush = start(spans, reporter, sent.clone());
    run_load(&Rustracing { tracer, flush }, traces, &sent, sampled)
}

struct Rustracing {
    tracer: Tracer,
    /// Asks the reporting thread to send all that waits, and to answer then.
    flush: mpsc::Sender<mpsc::Sender<()>>,
}

impl Library for Rustracing {
    fn trace(&self, path: &'static str) {
        let tag = Tag::new::<&'static str, &'static str>;
        let root = self.tracer.span("GET /cart").tag(tag("http.method", "GET")).tag(tag("http.path", path)).start();
        for _ in 0..CHILDREN {
            let _span = root
                .child("query", |options| options.tag(tag("http.method", "GET")).tag(tag("http.path", path)).start());
        }
    }

    fn flush(&self) {
        let (done, wait) = mpsc::channel();
        if self.flush.send(done).is_ok() {
            wait.recv().ok();
        }
    }
}

fn start(spans: SpanReceiver, reporter: JaegerCompactReporter, sent: Sent) -> mpsc::Sender<mpsc::Sender<()>> {
    let (flush, asked) = mpsc::channel::<mpsc::Sender<()>>();
    thread::spawn(move || {
        let mut batch = Vec::new();
        for done in asked {
            while let Ok(span) = spans.try_recv() {
                batch.push(span);
                if batch.len() == PACKET_SPANS_MAX {
                    report(&reporter, &mut batch, &sent);
                }
            }
            report(&reporter, &mut batch, &sent);
            done.send(()).ok();
        }
    });
    flush
}

fn report(reporter: &JaegerCompactReporter, batch: &mut Vec<FinishedSpan>, sent: &Sent) {
    match reporter.report(batch) {
        Ok(()) => sent.add(batch.len(), 0),
        Err(error) => eprintln!("{error}"),
    }
    batch.clear();
}
