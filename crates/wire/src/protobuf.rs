//! Protobuf without generated types: a reader that walks a message's fields where they lie, and functions that append
//! fields. Which field means what is the affair of the formats (OTLP, Zipkin proto3, Jaeger's model).

mod error;
mod read;
mod write;

pub use error::{ProtobufError, ProtobufFault};
pub(crate) use read::{Reader, fields};
pub(crate) use write::{
    push_bool_field, push_bytes_field, push_double_field, push_fixed32_field, push_fixed64_field, push_message,
    push_staged_message, push_text_field, push_varint, push_varint_field, varint_len,
};

/// How a field's value is laid out; the lower three bits of its key.
pub(crate) const VARINT: u32 = 0;
/// Eight bytes, little-endian.
pub(crate) const FIXED64: u32 = 1;
/// A varint, then as many bytes: text, bytes or another message.
pub(crate) const BYTES: u32 = 2;
/// Four bytes, little-endian.
pub(crate) const FIXED32: u32 = 5;
/// Fields up to the matching end: protobuf's first way to nest, which proto3 does not have.
const GROUP_BEGIN: u32 = 3;
const GROUP_END: u32 = 4;

/// The key of a field: its number and how its value is laid out. For `match`es against [`Reader::key`].
pub(crate) const fn key(number: u32, wire_type: u32) -> u32 {
    number << 3 | wire_type
}
