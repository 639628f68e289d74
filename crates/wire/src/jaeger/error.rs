//! Why spans in Jaeger's formats were refused.

use crate::zipkin_v1::AgentMessageError;
use crate::{ProtobufError, ThriftError};
use tracewell_model::BatchFull;

/// Why a body or a datagram was refused. Jaeger's own texts where they are not a parser's internals.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are no Thrift.
    #[error(transparent)]
    Thrift(#[from] ThriftError),
    /// The bytes are no protobuf.
    #[error(transparent)]
    Protobuf(#[from] ProtobufError),
    /// A struct lacks a field that `jaeger.thrift` requires.
    #[error("Required field {field} of {structure} is not set")]
    #[expect(missing_docs, reason = "the text says it")]
    Missing { structure: &'static str, field: &'static str },
    /// A trace id in `model.proto` has 8 or 16 bytes, a span id 8.
    #[error("invalid length for {what}: {bytes} bytes")]
    #[expect(missing_docs, reason = "the text says it")]
    IdLength { what: &'static str, bytes: usize },
    /// An agent's message calls something that an agent does not have.
    #[error("unknown function {0}")]
    UnknownFunction(String),
    /// A datagram of Zipkin's spans, of which one is none.
    #[error(transparent)]
    Zipkin(#[from] AgentMessageError),
    /// More than [`Limits`](crate::Limits) allow.
    #[error("more than {max} {what}")]
    #[expect(missing_docs, reason = "the text says it")]
    TooMany { what: &'static str, max: usize },
    /// The batch can take no more.
    #[error(transparent)]
    BatchFull(#[from] BatchFull),
}

// Boxed while it is handed up: the results of the hot path stay small.
impl From<ThriftError> for Box<DecodeError> {
    fn from(error: ThriftError) -> Self {
        Self::new(error.into())
    }
}

impl From<ProtobufError> for Box<DecodeError> {
    fn from(error: ProtobufError) -> Self {
        Self::new(error.into())
    }
}
