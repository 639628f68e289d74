//! fastrace with its Jaeger reporter over UDP: a root, and local spans under it, its cheapest way.

use anyhow::{Result, anyhow};
use fastrace::collector::{Config, Reporter, SpanRecord};
use fastrace::prelude::*;
use fastrace_jaeger::JaegerReporter;

use crate::load::{CHILDREN, Figures, Library, Place, Sent, run as run_load};

pub(crate) fn run(wire: &str, traces: usize, place: Place) -> Result<Figures> {
    let sent = Sent::default();
    let sampled = wire != "unsampled";
    let jaeger = JaegerReporter::new(place.udp, "shop").map_err(|error| anyhow!("{error}"))?;
    fastrace::set_reporter(Counted { jaeger, sent: sent.clone() }, Config::default());
    run_load(&Fastrace { sampled }, traces, &sent, sampled)
}

struct Fastrace {
    sampled: bool,
}

impl Library for Fastrace {
    fn trace(&self, path: &'static str) {
        let tags = || [("http.method", "GET"), ("http.path", path)];
        let root = Span::root("GET /cart", SpanContext::random().sampled(self.sampled)).with_properties(tags);
        let _current = root.set_local_parent();
        for _ in 0..CHILDREN {
            let _span = LocalSpan::enter_with_local_parent("query").with_properties(tags);
        }
    }

    fn flush(&self) {
        fastrace::flush();
    }
}

struct Counted {
    jaeger: JaegerReporter,
    sent: Sent,
}

impl Reporter for Counted {
    fn report(&mut self, spans: Vec<SpanRecord>) {
        let count = spans.len();
        self.jaeger.report(spans);
        // It does not say how many bytes it sends.
        self.sent.add(count, 0);
    }
}
