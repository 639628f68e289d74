//! Why a body of OTLP was refused.

use crate::{JsonError, ProtobufError};
use tracewell_model::BatchFull;

/// Why a body was refused. Nothing of it is in the batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtlpError {
    /// It is no protobuf, or another message.
    #[error(transparent)]
    Protobuf(#[from] ProtobufError),
    /// It is no JSON, or something else stands where a value is asked for.
    #[error("{}", first_line(.0))]
    Json(Box<JsonError>),
    /// Behind the JSON comes more.
    #[error("malformed JSON: more than one value")]
    Trailing,
    /// A JSON value is not of its field's type.
    #[error("{path} should be {expected}")]
    #[expect(missing_docs, reason = "the text says it")]
    JsonValue { path: String, expected: &'static str },
    /// An id has neither its length nor none.
    #[error("length mismatch: {field} has {found} {unit} instead of {expected}")]
    #[expect(missing_docs, reason = "the text says it")]
    IdLength { field: &'static str, unit: &'static str, expected: usize, found: usize },
    /// More of something than the limits allow.
    #[error("more than {max} {what}")]
    #[expect(missing_docs, reason = "the text says it")]
    TooMany { what: &'static str, max: usize },
    /// A text is longer than the limit.
    #[error("a text of {bytes} bytes is longer than {bytes_max} bytes")]
    #[expect(missing_docs, reason = "the text says it")]
    TextTooLong { bytes: usize, bytes_max: usize },
    /// The batch can take no more.
    #[error(transparent)]
    BatchFull(#[from] BatchFull),
}

impl OtlpError {
    /// The gRPC code that says so: 3 (INVALID_ARGUMENT) for what a sender must not repeat, 8 (RESOURCE_EXHAUSTED) where it may.
    pub fn rpc_code(&self) -> u32 {
        match self {
            Self::BatchFull(_) => 8,
            _ => 3,
        }
    }
}

impl From<Box<JsonError>> for OtlpError {
    fn from(error: Box<JsonError>) -> Self {
        Self::Json(error)
    }
}

/// The reader's texts are Zipkin's, whose second line is advice for Java programmers.
fn first_line(error: &JsonError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

pub(super) type Result<T> = std::result::Result<T, OtlpError>;
