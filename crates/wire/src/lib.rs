//! Bytes to span batches and back: the formats Tracewell reads and writes, as pure functions.
//!
//! A decoder fills a [`SpanBatch`](tracewell_model::SpanBatch) straight from the bytes of a body, or leaves it as it was and
//! says why. An encoder appends the bytes of spans. Nothing here does I/O, waits or panics on what was sent.

mod attribute_text;
mod base64;
mod detect;
mod gunzip;
pub mod jaeger;
mod java_number;
mod java_text;
mod json;
mod json_scan;
mod limits;
mod names;
pub mod otlp;
pub mod propagation;
mod protobuf;
mod seen_keys;
mod stage;
mod thrift;
mod zipkin_bytes;
pub mod zipkin_v1;
pub mod zipkin_v2;

pub use detect::{SpanEncoding, encoding_of_labelled_thrift};
pub use gunzip::{GunzipError, gunzip};
pub use java_number::NotANumber;
pub use json::{JsonError, Place};
pub use limits::Limits;
pub use protobuf::{ProtobufError, ProtobufFault};
pub use thrift::{ThriftError, ThriftFault};
