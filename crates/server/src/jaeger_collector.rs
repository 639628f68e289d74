//! Ports 14250 and 14268: Jaeger's collector, over gRPC and over HTTP, as Jaeger 1.76 answers there.

use crate::answer::{self, Answer, TEXT};
use crate::api::{Answering, Api};
use crate::app::App;
use crate::collect_grpc;
use crate::decompress::Coding;
use crate::format::Format;
use crate::grpc;
use crate::ingest::{IngestError, Kind};
use crate::metrics::Transport;
use crate::sampling::{self, JaegerVersion};
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Instant;
use tracewell_store::WriteError;
use tracewell_wire::jaeger::SamplingTypeForm;

/// Where spans are posted to over gRPC.
const POST_SPANS: &str = "/jaeger.api_v2.CollectorService/PostSpans";
/// Where spans are posted to over HTTP.
const TRACES: &str = "/api/traces";
/// Where services ask what to sample, over gRPC and over HTTP.
const GET_SAMPLING_STRATEGY: &str = "/jaeger.api_v2.SamplingManager/GetSamplingStrategy";
const SAMPLING: &str = "/api/sampling";

/// Port 14250.
pub(crate) struct JaegerGrpcCollector {
    app: Arc<App>,
}

/// Port 14268.
pub(crate) struct JaegerHttpCollector {
    app: Arc<App>,
}

impl JaegerGrpcCollector {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

impl Api for JaegerGrpcCollector {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answering {
        Box::pin(async move {
            let started = Instant::now();
            let (head, body) = request.into_parts();
            let (answer, route) = match head.uri.path() {
                POST_SPANS if grpc::is_call(&head.method, &head.headers) => {
                    let (transport, format) = (Transport::JaegerGrpc, Format::JaegerProto);
                    let taken = collect_grpc::collect(&self.app, &head.headers, body, transport, format).await;
                    (grpc::unary(taken.map(|()| vec![])), POST_SPANS)
                }
                GET_SAMPLING_STRATEGY if grpc::is_call(&head.method, &head.headers) => {
                    let strategy = sampling::grpc_answer(&self.app, &head.headers, body).await;
                    (grpc::unary(strategy), GET_SAMPLING_STRATEGY)
                }
                _ => (grpc::not_there(&head), "NOT_FOUND"),
            };
            self.app.metrics.requests.observe(&head.method, route, answer.status(), started.elapsed());
            answer
        })
    }
}

impl JaegerHttpCollector {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    async fn traces(&self, headers: &HeaderMap, body: Incoming) -> Answer {
        let received = match self.app.ingest.receive(body, Transport::JaegerHttp).await {
            Ok(received) => received,
            Err(error) => return refused(&error),
        };
        let content_type = match media_type(headers) {
            Ok(media_type) => media_type,
            Err(problem) => return text(StatusCode::BAD_REQUEST, format!("Cannot parse content type: {problem}\n")),
        };
        if !matches!(content_type.as_str(), "application/x-thrift" | "application/vnd.apache.thrift.binary") {
            return text(StatusCode::BAD_REQUEST, format!("Unsupported content type: {content_type}\n"));
        }
        let kind = Kind { transport: Transport::JaegerHttp, format: Format::JaegerThriftBinary, coding: Coding::Plain };
        match self.app.ingest.accept(received, kind).await {
            Ok(()) => answer::empty(StatusCode::ACCEPTED),
            Err(error) => refused(&error),
        }
    }
}

impl Api for JaegerHttpCollector {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answering {
        Box::pin(async move {
            let started = Instant::now();
            let (head, body) = request.into_parts();
            let (answer, route) = match (&head.method, head.uri.path()) {
                (&Method::POST, TRACES) => (self.traces(&head.headers, body).await, TRACES),
                (&Method::GET, SAMPLING) => {
                    let (version, form) = (JaegerVersion::V1_76, SamplingTypeForm::Names);
                    (sampling::http_answer(&self.app, head.uri.query(), version, form), SAMPLING)
                }
                (_, SAMPLING) => (answer::empty(StatusCode::METHOD_NOT_ALLOWED), SAMPLING),
                (_, TRACES) => (answer::empty(StatusCode::METHOD_NOT_ALLOWED), TRACES),
                _ => (text(StatusCode::NOT_FOUND, "404 page not found\n".to_owned()), "NOT_FOUND"),
            };
            self.app.metrics.requests.observe(&head.method, route, answer.status(), started.elapsed());
            answer
        })
    }
}

/// A refusal in the words of Jaeger's collector; where Jaeger would drop, the sender is asked to try again.
fn refused(error: &IngestError) -> Answer {
    let unread = |status| text(status, format!("Unable to process request body: {error}\n"));
    let unsent = |status| text(status, format!("Cannot submit Jaeger batch: {error}\n"));
    match error {
        IngestError::Malformed(_)
        | IngestError::Gunzip(_)
        | IngestError::Decompress(_)
        | IngestError::BodyBroken(_) => unread(StatusCode::BAD_REQUEST),
        IngestError::BodyTooLarge { .. } => answer::closing(unread(StatusCode::PAYLOAD_TOO_LARGE)),
        IngestError::BodyTooSlow(_) => answer::closing(unread(StatusCode::REQUEST_TIMEOUT)),
        IngestError::MemorySpent => answer::closing(answer::retry_after(unsent(StatusCode::SERVICE_UNAVAILABLE))),
        IngestError::Write(WriteError::TooLarge { .. }) => unsent(StatusCode::PAYLOAD_TOO_LARGE),
        IngestError::Write(WriteError::Overloaded | WriteError::DiskFull(_) | WriteError::Closed) => {
            answer::retry_after(unsent(StatusCode::SERVICE_UNAVAILABLE))
        }
        IngestError::Write(WriteError::Failed(_)) | IngestError::DecoderPanicked => {
            tracing::error!(%error, "spans were not kept");
            unsent(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// The media type in lower case, without its parameters; the error in the words of Go's package `mime`.
fn media_type(headers: &HeaderMap) -> Result<String, &'static str> {
    let content_type = headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or_default());
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let token = |text: &str| {
        let special = |c: char| "()<>@,;:\\\"/[]?=".contains(c);
        !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !special(c))
    };
    let (kind, subtype) = media_type.split_once('/').unwrap_or((&media_type, "none"));
    match () {
        () if kind.is_empty() => Err("mime: no media type"),
        () if !token(kind) => Err("mime: expected slash after first token"),
        () if subtype.is_empty() => Err("mime: expected token after slash"),
        () if !token(subtype) => Err("mime: unexpected content after media subtype"),
        () => Ok(media_type),
    }
}

fn text(status: StatusCode, text: String) -> Answer {
    answer::answer(status, TEXT, text)
}
