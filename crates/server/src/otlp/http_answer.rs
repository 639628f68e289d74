//! What OpenTelemetry's senders are told over HTTP: an `ExportTraceServiceResponse` or a `google.rpc.Status`, in the language
//! they sent in.

use super::TAKEN;
use crate::answer::{self, Answer};
use crate::collect_grpc;
use crate::grpc::{Code, Status};
use crate::ingest::IngestError;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// What the body is written in, and so the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Json,
    Protobuf,
}

impl Language {
    /// As the content type has it; `None` for any other.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let media_type = content_type.split(';').next()?.trim();
        match () {
            () if media_type.eq_ignore_ascii_case("application/json") => Some(Self::Json),
            () if media_type.eq_ignore_ascii_case("application/x-protobuf") => Some(Self::Protobuf),
            () => None,
        }
    }

    pub(super) fn taken(self) -> Answer {
        match self {
            Self::Json => answer::answer(StatusCode::OK, JSON, &br#"{"partialSuccess":{}}"#[..]),
            Self::Protobuf => answer::answer(StatusCode::OK, PROTOBUF, &TAKEN[..]),
        }
    }

    /// A refusal with the status that tells a sender whether to try again.
    pub(super) fn refused(self, error: &IngestError) -> Answer {
        let status = match error {
            // What is read here is no message of gRPC, and what is wrong with it is the sender's mistake.
            IngestError::Malformed(_)
            | IngestError::Gunzip(_)
            | IngestError::Decompress(_)
            | IngestError::BodyBroken(_) => Status::new(Code::InvalidArgument, error.to_string()),
            error => collect_grpc::status(error),
        };
        let http_status = match error {
            IngestError::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            IngestError::BodyTooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            _ if status.try_again => StatusCode::SERVICE_UNAVAILABLE,
            _ => match status.code {
                Code::InvalidArgument => StatusCode::BAD_REQUEST,
                Code::ResourceExhausted => StatusCode::PAYLOAD_TOO_LARGE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            },
        };
        let answer = self.failed(http_status, &status);
        let answer = if status.try_again { answer::retry_after(answer) } else { answer };
        // Where the body was not read to its end, nothing else can follow on this connection.
        match error {
            IngestError::BodyTooLarge { .. } | IngestError::BodyTooSlow(_) | IngestError::MemorySpent => {
                answer::closing(answer)
            }
            _ => answer,
        }
    }

    pub(super) fn failed(self, http_status: StatusCode, status: &Status) -> Answer {
        match self {
            Self::Json => {
                let body = serde_json::json!({ "code": status.code as u8, "message": status.message });
                answer::answer(http_status, JSON, body.to_string())
            }
            Self::Protobuf => answer::answer(http_status, PROTOBUF, status.to_protobuf()),
        }
    }
}
