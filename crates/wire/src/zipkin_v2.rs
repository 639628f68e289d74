//! Zipkin v2 JSON: what `POST /api/v2/spans` takes and the query API answers.

mod decode;
mod encode;
mod error;
mod ip;
mod order;

pub use decode::decode_json;
pub use encode::{encode_span, encode_spans};
pub(crate) use encode::{push_hex, push_number, push_text};
pub use error::{DecodeError, IdFault};
