//! The formats spans come in, each with its decoder: the one place where the server names them.

use tracewell_model::SpanBatch;
use tracewell_wire::{Limits, zipkin_v2};

/// A format of a body, a message or a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    ZipkinV2Json,
    OtlpProtobuf,
    OtlpJson,
    /// `jaeger.api_v2.PostSpansRequest`.
    JaegerProto,
    /// `jaeger.thrift`'s `Batch`, binary.
    JaegerThriftBinary,
    /// A packet of `Agent.emitBatch`, compact.
    JaegerPacketCompact,
    /// A packet of `Agent.emitBatch`, binary.
    JaegerPacketBinary,
    /// A packet of `Agent.emitZipkinBatch`, compact.
    ZipkinPacketCompact,
    /// `zipkin.proto3.ListOfSpans`.
    ZipkinProto3,
}

/// Why a decoder took nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Malformed {
    pub(crate) text: String,
    /// The bytes do not even look like this format: Zipkin counts such a message once and others twice.
    pub(crate) is_wrong_encoding: bool,
}

impl Malformed {
    /// A decoder's own words.
    pub(crate) fn new(error: impl ToString) -> Self {
        Self { text: error.to_string(), is_wrong_encoding: false }
    }
}

/// Appends the spans of some bytes to a batch, which stays as it was where they are malformed.
pub(crate) fn decode(format: Format, bytes: &[u8], limits: &Limits, batch: &mut SpanBatch) -> Result<(), Malformed> {
    let decoded = match format {
        Format::ZipkinV2Json => zipkin_v2::decode_json(bytes, limits, batch)
            .map_err(|error| Malformed { is_wrong_encoding: error.is_wrong_encoding(), ..Malformed::new(error) }),
        _ => Err(Malformed::new("spans in this format are not taken yet")),
    };
    decoded.map(|_| ())
}
