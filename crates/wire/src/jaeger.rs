//! Jaeger's formats: `jaeger.thrift` as agents and collectors take it, and `model.proto` as gRPC has it; and what
//! clients ask about sampling.
//!
//! How a span of Jaeger's is held so that it comes back out as it went in: `docs/mapping.md`.

mod agent;
mod error;
mod fill;
mod names;
mod proto_decode;
mod proto_encode;
mod query_proto;
mod repeated;
mod sampling;
mod thrift_decode;
mod thrift_encode;
mod ui;
mod view;

pub use agent::decode_agent_message;
pub use error::DecodeError;
pub use fill::Sanitizers;
pub use proto_decode::decode_proto_batch;
pub use proto_encode::{encode_proto_post_spans, encode_proto_span, encode_proto_spans_chunk};
pub use query_proto::{
    GetOperationsRequest, GetTraceRequest, GetTraceRequestV3, QueryRequestError, TimeWindow, TraceQueryParameters,
    encode_dependencies, encode_operations, encode_operations_v3, encode_services,
};
pub(crate) use repeated::{is_field_of_otlp, is_field_of_zipkin, is_from_jaeger};
pub use sampling::{
    OperationSampling, SamplingRule, SamplingStrategy, SamplingTypeForm, decode_sampling_parameters,
    decode_sampling_proto, encode_sampling_json, encode_sampling_parameters, encode_sampling_proto,
};
pub use thrift_decode::{ThriftProtocol, decode_thrift_batch};
pub use thrift_encode::{BatchEncoder, BatchForm, PushError, encode_thrift_batches};
pub use ui::{
    Adjuster, Adjustments, UiLog, UiProcess, UiReference, UiSpan, UiTag, UiTrace, adjusted_batch, go_duration_text,
    service_shown, span_has_tags,
};
