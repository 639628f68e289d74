//! OTLP: `ExportTraceServiceRequest` (and `TracesData`, which has the same bytes) in protobuf and JSON, and what answers it.
//!
//! What the model has no field for: an event's count of dropped attributes is kept as its last detail,
//! [`DROPPED_ATTRIBUTES`], the name that the OpenTelemetry specification gives it in formats without such a field. Jaeger's
//! warnings go out, and come in, as the attribute that Jaeger has for them.

mod any_value;
mod decode_json;
mod decode_protobuf;
mod encode_json;
mod encode_protobuf;
mod error;
mod group;
mod json_value;
mod names;
mod peer;
mod plain;
mod request;
mod response;
mod retry_info;
mod shared;
mod time_text;

pub use decode_json::decode_json;
pub use decode_protobuf::decode_protobuf;
pub use encode_json::{encode_json, encode_json_traces, encode_span_json};
pub use encode_protobuf::{encode_protobuf, encode_span};
pub use error::OtlpError;
pub(crate) use names::REF_TYPE;
pub use names::{
    DROPPED_ATTRIBUTES, EMPTY_SERVICE_NAME, JAEGER_WARNINGS, MISSING_SERVICE_NAME, SERVICE_NAME,
    WRONG_TYPE_SERVICE_NAME,
};
pub use request::RequestWriter;
pub use response::{
    PartialSuccess, RpcStatus, decode_response_json, decode_response_protobuf, decode_status_json,
    decode_status_protobuf, encode_response_json, encode_response_protobuf, encode_status_json, encode_status_protobuf,
};
pub use retry_info::retry_delay;
pub use time_text::negative_duration_warning;

#[cfg(test)]
mod tests;
