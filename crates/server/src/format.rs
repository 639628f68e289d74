//! The formats spans come in, each with its decoder: the one place where the server names them.

use tracewell_model::SpanBatch;
use tracewell_wire::jaeger::{self, Sanitizers, ThriftProtocol};
use tracewell_wire::zipkin_v2::DecodeError;
use tracewell_wire::{Limits, SpanEncoding, encoding_of_labelled_thrift, otlp, zipkin_v1, zipkin_v2};

/// A format of a body, a message or a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    ZipkinV2Json,
    ZipkinV1Json,
    /// A list of spans in thrift's binary protocol; some senders put JSON under its label.
    ZipkinV1Thrift,
    OtlpProtobuf,
    OtlpJson,
    /// `jaeger.api_v2.PostSpansRequest`.
    JaegerProto,
    /// `jaeger.thrift`'s `Batch`, binary.
    JaegerThriftBinary,
    /// A packet for Jaeger's agent, compact: `emitBatch` or `emitZipkinBatch`.
    AgentCompact,
    /// A packet for Jaeger's agent, binary: `emitBatch`.
    AgentBinary,
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
    #[expect(clippy::needless_pass_by_value, reason = "what map_err takes")]
    pub(crate) fn new(error: impl ToString) -> Self {
        Self { text: error.to_string(), is_wrong_encoding: false }
    }
}

/// Appends the spans of some bytes to a batch, which stays as it was where they are malformed.
pub(crate) fn decode(format: Format, bytes: &[u8], limits: &Limits, batch: &mut SpanBatch) -> Result<(), Malformed> {
    let zipkin = |decoded: Result<usize, DecodeError>| {
        decoded.map_err(|error| Malformed { is_wrong_encoding: error.is_wrong_encoding(), ..Malformed::new(error) })
    };
    let decoded = match format {
        Format::ZipkinV2Json => zipkin(zipkin_v2::decode_json(bytes, limits, batch)),
        Format::ZipkinV1Json => zipkin(zipkin_v1::decode_json(bytes, limits, batch)),
        Format::ZipkinV1Thrift => zipkin(match encoding_of_labelled_thrift(bytes) {
            SpanEncoding::JsonV2 => zipkin_v2::decode_json(bytes, limits, batch),
            SpanEncoding::JsonV1 => zipkin_v1::decode_json(bytes, limits, batch),
            SpanEncoding::Thrift | SpanEncoding::Proto3 => zipkin_v1::decode_thrift(bytes, limits, batch),
        }),
        Format::ZipkinProto3 => zipkin(zipkin_v2::decode_proto3(bytes, limits, batch)),
        Format::OtlpProtobuf => otlp::decode_protobuf(bytes, limits, batch).map_err(Malformed::new),
        Format::OtlpJson => otlp::decode_json(bytes, limits, batch).map_err(Malformed::new),
        Format::JaegerProto => {
            jaeger::decode_proto_batch(bytes, Sanitizers::ServiceNameAndDuration, limits, batch).map_err(Malformed::new)
        }
        Format::JaegerThriftBinary => {
            let (protocol, sanitizers) = (ThriftProtocol::Binary, Sanitizers::ServiceNameAndDuration);
            jaeger::decode_thrift_batch(protocol, bytes, sanitizers, limits, batch).map_err(Malformed::new)
        }
        Format::AgentCompact => match agent_message(ThriftProtocol::Compact, bytes, limits, batch) {
            // The other function of Jaeger's agent. Each has its port, but agents take both on either.
            Err(jaeger::DecodeError::UnknownFunction(_)) => {
                zipkin_v1::decode_agent_message(bytes, limits, batch).map_err(Malformed::new)
            }
            decoded => decoded.map_err(Malformed::new),
        },
        Format::AgentBinary => agent_message(ThriftProtocol::Binary, bytes, limits, batch).map_err(Malformed::new),
    };
    decoded.map(|_| ())
}

/// A packet is put right as Jaeger 1.62 does, the last that has an agent.
fn agent_message(
    protocol: ThriftProtocol,
    packet: &[u8],
    limits: &Limits,
    batch: &mut SpanBatch,
) -> Result<usize, jaeger::DecodeError> {
    jaeger::decode_agent_message(protocol, packet, Sanitizers::ServiceName, limits, batch)
}
