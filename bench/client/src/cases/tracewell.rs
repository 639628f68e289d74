//! Tracewell.

use anyhow::Result;
use tracewell::sampler::ConstSampler;
use tracewell::{OwnedEndpoint, ReportError, Reporter, SpanRecords, Tracer};
use tracewell_model::{SpanView as _, ValueRef};

use crate::load::{CHILDREN, Figures, Library, Place, Sent, run as run_load};

pub(crate) fn run(wire: &str, traces: usize, _place: Place) -> Result<Figures> {
    let sent = Sent::default();
    let sampled = wire != "unsampled";
    let reporter = Counted(sent.clone());
    let tracer = Tracer::builder("shop").sampler(ConstSampler::new(sampled)).build(reporter);
    run_load(&Explicit(tracer), traces, &sent, sampled)
}

/// Spans with explicit parents.
struct Explicit(Tracer);

impl Library for Explicit {
    fn trace(&self, path: &'static str) {
        let mut root = self.0.new_trace("GET /cart");
        root.tag("http.method", "GET").tag("http.path", path);
        for _ in 0..CHILDREN {
            root.new_child("query").tag("http.method", "GET").tag("http.path", path).finish();
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// Reads each span as an encoder does, and sends nothing.
struct Counted(Sent);

impl Reporter for Counted {
    fn report(&mut self, local: &OwnedEndpoint, spans: &SpanRecords<'_>) -> Result<(), ReportError> {
        let mut bytes = 0;
        for span in spans.views(local.as_ref()) {
            bytes += 40 + span.name().len() + span.trace_state().len() + span.status_message().len();
            bytes += span.remote().map_or(0, |endpoint| endpoint.service.len());
            bytes += span.annotations().count() + span.links().count();
            for (key, value) in span.tags() {
                bytes += key.len() + if let ValueRef::Str(text) = value { text.len() } else { 8 };
            }
        }
        self.0.add(spans.len(), bytes);
        Ok(())
    }
}
