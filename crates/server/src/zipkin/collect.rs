//! `POST /api/v2/spans`: a body of spans in, 202 or the reason out.

use super::{Asked, ZipkinApi};
use crate::answer::{self, Answer};
use crate::ingest::IngestError;
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use hyper::body::Incoming;
use tracewell_store::WriteError;

impl ZipkinApi {
    pub(super) async fn collect_v2(&self, asked: &Asked<'_>, body: Incoming) -> Answer {
        if header(asked.headers, CONTENT_TYPE.as_str()).starts_with("application/x-protobuf") {
            let text = "Spans as protobuf are not taken yet: send JSON with Content-Type: application/json\n";
            return answer::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
        }
        // As Zipkin looks for it: any mention, in lower case.
        let gzipped = header(asked.headers, CONTENT_ENCODING.as_str()).contains("gzip");
        match self.ingest.take_json(body, gzipped).await {
            Ok(()) => answer::empty(StatusCode::ACCEPTED),
            Err(error) => self.refused(&error),
        }
    }

    pub(super) fn collect_v1(&self) -> Answer {
        let text = "Spans in Zipkin's format 1 are not taken yet: send format 2 to /api/v2/spans\n";
        answer::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
    }

    fn refused(&self, error: &IngestError) -> Answer {
        let metrics = &self.metrics;
        let text = error.to_string();
        match error {
            IngestError::Decode(_) | IngestError::Gunzip(_) | IngestError::BodyBroken(_) => {
                answer::error(StatusCode::BAD_REQUEST, text)
            }
            IngestError::BodyTooLarge { .. } => {
                metrics.refused_body_too_large.add(1);
                answer::closing(answer::error(StatusCode::PAYLOAD_TOO_LARGE, text))
            }
            IngestError::BodyTooSlow(_) => {
                metrics.refused_body_too_slow.add(1);
                answer::closing(answer::error(StatusCode::REQUEST_TIMEOUT, text))
            }
            IngestError::MemorySpent => {
                metrics.refused_memory_spent.add(1);
                answer::closing(answer::try_again(text))
            }
            IngestError::Write(WriteError::TooLarge { .. }) => answer::error(StatusCode::PAYLOAD_TOO_LARGE, text),
            IngestError::Write(WriteError::Overloaded | WriteError::DiskFull(_) | WriteError::Closed) => {
                answer::try_again(text)
            }
            IngestError::Write(WriteError::Failed(_)) | IngestError::DecoderPanicked => {
                tracing::error!(%error, "spans were not kept");
                answer::error(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
