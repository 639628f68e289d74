//! Ports 4317 and 4318: OpenTelemetry's collector, over gRPC and over HTTP, as Jaeger 1.76 answers there.

mod http_answer;

use crate::answer::{self, Answer, TEXT};
use crate::answer_body::AnswerBody;
use crate::api::{Answering, Api};
use crate::app::App;
use crate::collect_grpc;
use crate::decompress::Coding;
use crate::format::Format;
use crate::grpc::{self, Code, Status};
use crate::ingest::Kind;
use crate::metrics::Transport;
use crate::web_origins::WebOrigins;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode};
use http_answer::Language;
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Instant;

/// Where spans are exported to over gRPC.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Where spans are exported to over HTTP.
const TRACES: &str = "/v1/traces";
/// `ExportTraceServiceResponse` with an empty `partial_success`, as Jaeger sends it: everything was taken.
const TAKEN: [u8; 2] = [0x0a, 0];

/// Port 4317.
pub(crate) struct OtlpGrpcCollector {
    app: Arc<App>,
}

/// Port 4318.
pub(crate) struct OtlpHttpCollector {
    app: Arc<App>,
    origins: WebOrigins,
}

/// A refusal over HTTP, in the language the sender speaks.
pub(crate) fn failed(headers: &HeaderMap, http_status: StatusCode, status: &Status) -> Answer {
    Language::of(headers).unwrap_or(Language::Json).failed(http_status, status)
}

impl OtlpGrpcCollector {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

impl Api for OtlpGrpcCollector {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answering {
        Box::pin(async move {
            let started = Instant::now();
            let (head, body) = request.into_parts();
            let (answer, route) = match head.uri.path() {
                EXPORT if grpc::is_call(&head.method, &head.headers) => {
                    let (transport, format) = (Transport::OtlpGrpc, Format::OtlpProtobuf);
                    let taken = collect_grpc::collect(&self.app, &head.headers, body, transport, format).await;
                    (grpc::unary(taken.map(|()| TAKEN.to_vec())), EXPORT)
                }
                _ => (grpc::not_there(&head), "NOT_FOUND"),
            };
            self.app.metrics.requests.observe(&head.method, route, answer.status(), started.elapsed());
            answer
        })
    }
}

impl OtlpHttpCollector {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { origins: WebOrigins::new(&app.options.allowed_origins), app }
    }

    async fn traces(&self, method: &Method, headers: &HeaderMap, body: Incoming) -> Answer {
        if method != Method::POST {
            return text(StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed, supported: [POST]");
        }
        let Some(language) = Language::of(headers) else {
            let supported = "415 unsupported media type, supported: [application/json, application/x-protobuf]";
            return text(StatusCode::UNSUPPORTED_MEDIA_TYPE, supported);
        };
        let coding = match coding(headers) {
            Ok(coding) => coding,
            Err(status) => return language.failed(StatusCode::BAD_REQUEST, &status),
        };
        let format = match language {
            Language::Json => Format::OtlpJson,
            Language::Protobuf => Format::OtlpProtobuf,
        };
        let kind = Kind { transport: Transport::OtlpHttp, format, coding };
        match self.app.ingest.take(body, kind).await {
            Ok(()) => language.taken(),
            Err(error) => language.refused(&error),
        }
    }
}

impl Api for OtlpHttpCollector {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answering {
        Box::pin(async move {
            let started = Instant::now();
            let (head, body) = request.into_parts();
            if let Some(preflight) = self.origins.preflight(&head.method, &head.headers) {
                return preflight;
            }
            let (mut answer, route) = match head.uri.path() {
                TRACES => (self.traces(&head.method, &head.headers, body).await, TRACES),
                _ => (answer::answer(StatusCode::NOT_FOUND, TEXT, "404 page not found\n"), "NOT_FOUND"),
            };
            self.origins.expose(&head.headers, answer.headers_mut());
            self.app.metrics.requests.observe(&head.method, route, answer.status(), started.elapsed());
            answer
        })
    }
}

/// How the body is compressed.
fn coding(headers: &HeaderMap) -> Result<Coding, Status> {
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"" | b"identity") => Ok(Coding::Plain),
        Some(b"gzip") => Ok(Coding::Gzip),
        Some(b"zstd") => Ok(Coding::Zstd),
        Some(b"deflate" | b"zlib") => Ok(Coding::Deflate),
        Some(other) => {
            let other = String::from_utf8_lossy(other);
            Err(Status::new(Code::InvalidArgument, format!("unsupported Content-Encoding: {other}")))
        }
    }
}

/// A text as Jaeger's collector labels it.
fn text(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = answer::empty(status);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    *answer.body_mut() = AnswerBody::whole(text);
    answer
}
