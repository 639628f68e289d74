//! opentelemetry_sdk with its batch processor, encoded to OTLP by opentelemetry-proto and posted.

use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Result, bail};
use opentelemetry::trace::{Span as _, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanData, SpanExporter,
};
use prost::Message as _;

use crate::load::{CHILDREN, Figures, Library, Place, Sent, run as run_load};
use crate::sink::Post;

pub(crate) fn run(wire: &str, traces: usize, place: Place) -> Result<Figures> {
    let sent = Sent::default();
    let sampled = wire != "unsampled";
    let provider = provider(sampled, place, &sent)?;
    let tracer = provider.tracer("bench");
    run_load(&OpenTelemetry { provider, tracer }, traces, &sent, sampled)
}

pub(super) fn provider(sampled: bool, place: Place, sent: &Sent) -> Result<SdkTracerProvider> {
    let exporter = Otlp {
        post: Mutex::new(Post::new(place.http, sent.clone())?),
        resource: ResourceAttributesWithSchema::default(),
    };
    // The queue holds a burst; batches are as large as by default.
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(8192)
        .with_max_export_batch_size(512)
        .with_scheduled_delay(Duration::from_secs(1))
        .build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
    let sampler = if sampled { Sampler::AlwaysOn } else { Sampler::AlwaysOff };
    let resource = Resource::builder_empty().with_service_name("shop").build();
    Ok(SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_sampler(sampler)
        .with_resource(resource)
        .build())
}

struct OpenTelemetry {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Library for OpenTelemetry {
    fn trace(&self, path: &'static str) {
        let mut root = self.tracer.start_with_context("GET /cart", &Context::new());
        root.set_attribute(KeyValue::new("http.method", "GET"));
        root.set_attribute(KeyValue::new("http.path", path));
        let context = Context::new().with_span(root);
        for _ in 0..CHILDREN {
            let mut span = self.tracer.start_with_context("query", &context);
            span.set_attribute(KeyValue::new("http.method", "GET"));
            span.set_attribute(KeyValue::new("http.path", path));
            span.end();
        }
        context.span().end();
    }

    fn flush(&self) {
        if let Err(error) = self.provider.force_flush() {
            eprintln!("{error}");
        }
    }
}

struct Otlp {
    post: Mutex<Post>,
    resource: ResourceAttributesWithSchema,
}

impl std::fmt::Debug for Otlp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Otlp")
    }
}

impl Otlp {
    fn send(&self, batch: Vec<SpanData>) -> Result<()> {
        let spans = batch.len();
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let Ok(mut post) = self.post.lock() else { bail!("an export panicked") };
        post.send(spans, &body)
    }
}

impl SpanExporter for Otlp {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.send(batch).map_err(|error| OTelSdkError::InternalFailure(error.to_string()))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}
