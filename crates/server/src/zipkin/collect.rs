//! `POST /api/v2/spans` and `/api/v1/spans`: a body of spans in, 202 or the reason out.

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
        let proto3 = is_labelled(asked, "application/x-protobuf");
        self.collect(asked, body, if proto3 { Format::ZipkinProto3 } else { Format::ZipkinV2Json }).await
    }

    pub(super) async fn collect_v1(&self, asked: &Asked<'_>, body: Incoming) -> Answer {
        let thrift = is_labelled(asked, "application/x-thrift");
        self.collect(asked, body, if thrift { Format::ZipkinV1Thrift } else { Format::ZipkinV1Json }).await
    }

    async fn collect(&self, asked: &Asked<'_>, body: Incoming, format: Format) -> Answer {
        // As Zipkin looks for it: any mention, in lower case.
        let gzipped = header(asked.headers, CONTENT_ENCODING.as_str()).contains("gzip");
        let coding = if gzipped { Coding::ZipkinGzip } else { Coding::Plain };
        let kind = Kind { transport: Transport::Http, format, coding };
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
}

/// Whether a body is said to be of a media type. Whatever is not said to be binary is read as JSON, as by Zipkin.
fn is_labelled(asked: &Asked<'_>, media_type: &str) -> bool {
    let label = header(asked.headers, CONTENT_TYPE.as_str());
    label.split(';').next().is_some_and(|label| label.trim().eq_ignore_ascii_case(media_type))
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
