//! The formats spans come in, each with its decoder: the one place where the server names them.

use tracewell_model::SpanBatch;
use tracewell_wire::jaeger::{self, Sanitizers, ThriftProtocol};
use tracewell_wire::{Limits, otlp, zipkin_v2};

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
        Format::OtlpProtobuf => otlp::decode_protobuf(bytes, limits, batch).map_err(Malformed::new),
        Format::OtlpJson => otlp::decode_json(bytes, limits, batch).map_err(Malformed::new),
        Format::JaegerProto => {
            jaeger::decode_proto_batch(bytes, Sanitizers::ServiceNameAndDuration, limits, batch).map_err(Malformed::new)
        }
        Format::JaegerThriftBinary => {
            let (protocol, sanitizers) = (ThriftProtocol::Binary, Sanitizers::ServiceNameAndDuration);
            jaeger::decode_thrift_batch(protocol, bytes, sanitizers, limits, batch).map_err(Malformed::new)
        }
        Format::JaegerPacketCompact => agent_message(ThriftProtocol::Compact, bytes, limits, batch),
        Format::JaegerPacketBinary => agent_message(ThriftProtocol::Binary, bytes, limits, batch),
        _ => Err(Malformed::new("spans in this format are not taken yet")),
    };
    decoded.map(|_| ())
}

/// A packet is put right as Jaeger 1.62 does, the last that has an agent.
fn agent_message(
    protocol: ThriftProtocol,
    packet: &[u8],
    limits: &Limits,
    batch: &mut SpanBatch,
) -> Result<usize, Malformed> {
    jaeger::decode_agent_message(protocol, packet, Sanitizers::ServiceName, limits, batch).map_err(Malformed::new)
}
