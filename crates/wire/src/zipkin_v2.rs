//! Zipkin v2, JSON and protobuf: what `POST /api/v2/spans` takes and the query API answers.

mod decode;
mod encode;
mod endpoint;
mod error;
mod ip;
mod order;
mod plain;
mod proto3_decode;
mod proto3_encode;
mod span_field;

pub use decode::decode_json;
pub use encode::{encode_span, encode_spans};
pub use error::{DecodeError, DecodeFault, IdFault};
pub use proto3_decode::decode_proto3;
pub use proto3_encode::encode_proto3;

pub(crate) use decode::{commit, decode_as, hex_word, positive_micros};
pub(crate) use encode::{
    push_annotation_text, push_endpoint_addresses, push_hex, push_number, push_text, push_trace_id, push_value_text,
    write_annotation,
};
pub(crate) use endpoint::{SeenEndpoints, read_json_endpoint, set_ip};
pub(crate) use order::{each_tag, in_order};
