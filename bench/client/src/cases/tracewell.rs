//! Tracewell.

use anyhow::{Result, bail};
use tracewell::sampler::ConstSampler;
use tracewell::{ReportError, Reporter, Resource, SpanRecords, Tracer};
use tracewell_model::{SpanView as _, ValueRef};

use tracewell_wire::zipkin_v2;

use crate::load::{CHILDREN, Figures, Library, Place, Sent, run as run_load};
use crate::sink::Post;

pub(crate) fn run(wire: &str, traces: usize, place: Place) -> Result<Figures> {
    let sent = Sent::default();
    let sampled = wire != "unsampled";
    let post = || Post::new(place.http, sent.clone());
    let reporter: Box<dyn Reporter> = match wire {
        "counted" | "unsampled" => Box::new(Counted(sent.clone())),
        "zipkin-encoded" => Box::new(Zipkin { body: Vec::new(), post: None, sent: sent.clone() }),
        "zipkin-http" => Box::new(Zipkin { body: Vec::new(), post: Some(post()?), sent: sent.clone() }),
        _ => bail!("no case {wire}"),
    };
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
    fn report(&mut self, resource: &Resource, spans: &SpanRecords<'_>) -> Result<(), ReportError> {
        let mut bytes = 0;
        for span in spans.views(&resource.endpoint) {
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

/// Zipkin's JSON, sent or thrown away.
struct Zipkin {
    body: Vec<u8>,
    post: Option<Post>,
    sent: Sent,
}

impl Reporter for Zipkin {
    fn report(&mut self, resource: &Resource, spans: &SpanRecords<'_>) -> Result<(), ReportError> {
        self.body.clear();
        zipkin_v2::encode_spans(spans.views(&resource.endpoint), &mut self.body);
        match &mut self.post {
            Some(post) => post.send(spans.len(), &self.body)?,
            None => self.sent.add(spans.len(), self.body.len()),
        }
        Ok(())
    }
}
