//! `POST /api/v2/spans`: a body of spans in, 202 or the reason out.

use super::{Asked, ZipkinApi};
use crate::answer::{self, Answer};
use crate::collect_grpc;
use crate::decompress::Coding;
use crate::format::Format;
use crate::grpc;
use crate::ingest::{IngestError, Kind};
use crate::metrics::Transport;
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
        let coding = if gzipped { Coding::ZipkinGzip } else { Coding::Plain };
        let kind = Kind { transport: Transport::Http, format: Format::ZipkinV2Json, coding };
        match self.app.ingest.take(body, kind).await {
            Ok(()) => answer::empty(StatusCode::ACCEPTED),
            Err(error) => refused(&error),
        }
    }

    /// `SpanService/Report` of gRPC.
    pub(super) async fn report(&self, headers: &HeaderMap, body: Incoming) -> Answer {
        let (transport, format) = (Transport::Grpc, Format::ZipkinProto3);
        let taken = collect_grpc::collect(&self.app, headers, body, transport, format).await;
        grpc::unary(taken.map(|()| vec![]))
    }

    pub(super) fn collect_v1(&self) -> Answer {
        let text = "Spans in Zipkin's format 1 are not taken yet: send format 2 to /api/v2/spans\n";
        answer::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
    }
}

fn refused(error: &IngestError) -> Answer {
    let text = error.to_string();
    match error {
        IngestError::Malformed(_)
        | IngestError::Gunzip(_)
        | IngestError::Decompress(_)
        | IngestError::BodyBroken(_) => answer::error(StatusCode::BAD_REQUEST, text),
        IngestError::BodyTooLarge { .. } => answer::closing(answer::error(StatusCode::PAYLOAD_TOO_LARGE, text)),
        IngestError::BodyTooSlow(_) => answer::closing(answer::error(StatusCode::REQUEST_TIMEOUT, text)),
        IngestError::MemorySpent => answer::closing(answer::try_again(text)),
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

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
