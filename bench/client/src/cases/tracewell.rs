//! Tracewell.

use std::net::{Ipv4Addr, UdpSocket};

use anyhow::{Result, bail};
use tracewell::sampler::ConstSampler;
use tracewell::{ReportError, Reporter, Resource, SpanRecords, Tracer};
use tracewell_model::{SpanView as _, ValueRef};

use tracewell_wire::jaeger::{BatchEncoder, BatchForm, PushError};
use tracewell_wire::otlp::RequestWriter;
use tracewell_wire::zipkin_v2;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

use crate::load::{CHILDREN, Figures, Library, Place, Sent, run as run_load};
use crate::sink::Post;

/// What Jaeger's agent takes.
const DATAGRAM_BYTES_MAX: usize = 65_000;

pub(crate) fn run(wire: &str, traces: usize, place: Place) -> Result<Figures> {
    let sent = Sent::default();
    let tracer = tracer(wire, place, &sent)?;
    run_load(&Explicit(tracer), traces, &sent, wire != "unsampled")
}

/// The same through the layer for `tracing`.
pub(crate) fn run_tracing(wire: &str, traces: usize, place: Place) -> Result<Figures> {
    let sent = Sent::default();
    let tracer = tracer(wire, place, &sent)?;
    tracing::subscriber::set_global_default(registry().with(tracewell::tracing_layer(tracer.clone())))?;
    run_load(&Tracing(tracer), traces, &sent, wire != "unsampled")
}

fn tracer(wire: &str, place: Place, sent: &Sent) -> Result<Tracer> {
    let sent = sent.clone();
    let post = || Post::new(place.http, sent.clone());
    let otlp = || RequestWriter::new([("service.name", ValueRef::Str("shop"))], "bench", "");
    let reporter: Box<dyn Reporter> = match wire {
        "counted" | "unsampled" => Box::new(Counted(sent.clone())),
        "otlp-encoded" => Box::new(Otlp { writer: otlp(), post: None, sent: sent.clone() }),
        "otlp-http" => Box::new(Otlp { writer: otlp(), post: Some(post()?), sent: sent.clone() }),
        "zipkin-encoded" => Box::new(Zipkin { body: Vec::new(), post: None, sent: sent.clone() }),
        "zipkin-http" => Box::new(Zipkin { body: Vec::new(), post: Some(post()?), sent: sent.clone() }),
        "jaeger-udp" => {
            let mut encoder = BatchEncoder::new(BatchForm::AgentCompact);
            encoder.set_process("shop", std::iter::empty());
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.connect(place.udp)?;
            Box::new(JaegerUdp { encoder, socket, sent: sent.clone() })
        }
        _ => bail!("no case {wire}"),
    };
    Ok(Tracer::builder("shop").sampler(ConstSampler::new(wire != "unsampled")).build(reporter))
}

/// Spans of `tracing`.
struct Tracing(Tracer);

impl Library for Tracing {
    fn trace(&self, path: &'static str) {
        super::tracing_opentelemetry::trace(path);
    }

    fn flush(&self) {
        self.0.flush();
    }
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

/// OTLP's protobuf, sent or thrown away.
struct Otlp {
    writer: RequestWriter,
    post: Option<Post>,
    sent: Sent,
}

impl Reporter for Otlp {
    fn report(&mut self, resource: &Resource, spans: &SpanRecords<'_>) -> Result<(), ReportError> {
        self.writer.clear();
        for span in spans.views(&resource.endpoint) {
            self.writer.push(span);
        }
        let body = self.writer.finish();
        match &mut self.post {
            Some(post) => post.send(spans.len(), body)?,
            None => self.sent.add(spans.len(), body.len()),
        }
        Ok(())
    }
}

/// Jaeger's compact thrift in datagrams.
struct JaegerUdp {
    encoder: BatchEncoder,
    socket: UdpSocket,
    sent: Sent,
}

impl JaegerUdp {
    fn send(&mut self) -> Result<(), ReportError> {
        let spans = self.encoder.spans_len();
        let bytes = self.socket.send(self.encoder.finish())?;
        self.encoder.clear();
        self.sent.add(spans, bytes);
        Ok(())
    }
}

impl Reporter for JaegerUdp {
    fn report(&mut self, resource: &Resource, spans: &SpanRecords<'_>) -> Result<(), ReportError> {
        for span in spans.views(&resource.endpoint) {
            if self.encoder.push(span, DATAGRAM_BYTES_MAX) == Err(PushError::Full) {
                self.send()?;
                self.encoder.push(span, DATAGRAM_BYTES_MAX)?;
            }
        }
        self.send()
    }
}
