//! OTLP's request: the resource once, written as long as it stays the same, and the spans.

use tracewell_model::ValueRef;
use tracewell_wire::otlp;

use super::delivery::Encode;
use crate::recorder::SpanRecords;
use crate::resource::Resource;

/// What the OpenTelemetry specification wants to know of the library: SDKs name themselves in the resource.
const SDK: [(&str, &str); 3] =
    [("telemetry.sdk.language", "rust"), ("telemetry.sdk.name", "tracewell"), ("telemetry.sdk.version", VERSION)];
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Requests of one process.
pub(super) struct OtlpEncoder {
    request: Option<(Resource, otlp::RequestWriter)>,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    #[cfg(feature = "otlp")]
    Protobuf,
    #[cfg(feature = "otlp")]
    Json,
    /// With gRPC's prefix.
    #[cfg(feature = "otlp-grpc")]
    Grpc,
}

impl OtlpEncoder {
    pub(super) fn new(form: Form) -> Self {
        Self { request: None, form }
    }
}

impl Encode for OtlpEncoder {
    fn encode(&mut self, resource: &Resource, spans: &SpanRecords<'_>, body: &mut Vec<u8>) {
        if self.request.as_ref().is_some_and(|(known, _)| known != resource) {
            self.request = None;
        }
        let (_, request) = self.request.get_or_insert_with(|| (resource.clone(), begin(resource)));
        request.clear();
        spans.views(&resource.endpoint).for_each(|span| request.push(span));
        match self.form {
            #[cfg(feature = "otlp")]
            Form::Protobuf => body.extend_from_slice(request.finish()),
            #[cfg(feature = "otlp")]
            Form::Json => push_json(request.finish(), body),
            #[cfg(feature = "otlp-grpc")]
            Form::Grpc => body.extend_from_slice(request.finish_grpc()),
        }
    }
}

fn begin(resource: &Resource) -> otlp::RequestWriter {
    let service = (otlp::SERVICE_NAME, ValueRef::Str(&resource.endpoint.service));
    let tags = resource.tags.iter().map(|(key, value)| (key.as_str(), value.as_ref()));
    let sdk = SDK.iter().filter(|(key, _)| resource.tags.iter().all(|(tag, _)| tag != key));
    let sdk = sdk.map(|(key, value)| (*key, ValueRef::Str(value)));
    otlp::RequestWriter::new(std::iter::once(service).chain(tags).chain(sdk), "tracewell", VERSION)
}

/// By way of a batch, for JSON is for eyes and for servers that know nothing else.
#[cfg(feature = "otlp")]
fn push_json(request: &[u8], body: &mut Vec<u8>) {
    let mut batch = tracewell_model::SpanBatch::new();
    // It was written just now, and spans are smaller than any limit.
    if otlp::decode_protobuf(request, &tracewell_wire::Limits::default(), &mut batch).is_ok() {
        otlp::encode_json((0..batch.len()).map(|at| batch.span(at)), body);
    }
}
