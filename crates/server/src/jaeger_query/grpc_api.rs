//! Port 16685: `jaeger.api_v2.QueryService`, and `jaeger.api_v3.QueryService` ([`super::grpc_v3`]). Traces are sent in
//! chunks as they are encoded; when the client goes away, encoding stops.

use super::archive::{NotArchived, archive_trace, traces_by_id};
use super::dependencies::calls;
use super::now_us;
use super::parameters::{LIMIT_MAX, Search, bound};
use super::traces::{find, kind_text};
use super::v3_parameters::nanos;
use crate::answer::Answer;
use crate::api::{Answering, Api};
use crate::app::App;
use crate::grpc::{self, Code, Encoding, Status};
use crate::metrics::Transport;
use crate::queries::QueryError;
use http::Request;
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;
use tracewell_model::{SpanBatch, SpanQuery, TraceId};
use tracewell_store::{DependencyWindow, ReadError, Store};
use tracewell_wire::jaeger::{
    Adjustments, GetOperationsRequest, GetTraceRequest, QueryRequestError, TimeWindow, TraceQueryParameters, UiTrace,
    encode_dependencies, encode_operations, encode_proto_spans_chunk, encode_services,
};
use tracewell_wire::{GunzipError, gunzip};

/// The services, as they stand in paths and in the metrics.
const ROUTES: [(&str, Version); 2] =
    [("/jaeger.api_v2.QueryService", Version::V2), ("/jaeger.api_v3.QueryService", Version::V3)];
/// A call's message is this long at most when it is unpacked.
const CALL_BYTES_MAX: usize = 1 << 20;
/// Spans of a chunk, as Jaeger sends them.
const CHUNK_SPANS: usize = 10;
/// Chunks that wait for the client.
const CHUNKS_WAITING: usize = 64;

pub(super) type Result<T> = std::result::Result<T, Status>;

#[derive(Debug, Clone, Copy)]
enum Version {
    V2,
    V3,
}

/// Port 16685.
pub(crate) struct JaegerQueryGrpcApi {
    pub(super) app: Arc<App>,
}

impl JaegerQueryGrpcApi {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let started = Instant::now();
        let (head, body) = request.into_parts();
        let service = |(route, version)| {
            let method = head.uri.path().strip_prefix(route)?.strip_prefix('/')?;
            Some((route, version, method))
        };
        let called = ROUTES.into_iter().find_map(service).filter(|_| grpc::is_call(&head.method, &head.headers));
        let (answer, route) = match called {
            Some((route, version, method)) if self.app.options.query_enabled => {
                let called = async {
                    let encoding = grpc::encoding(&head.headers)?;
                    let received = self.app.ingest.receive(body, Transport::JaegerGrpc).await;
                    let received = received.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
                    let message = grpc::message(&received.bytes, encoding)?;
                    let unpacked = match message.encoding {
                        Encoding::Identity => message.bytes,
                        Encoding::Gzip => {
                            let broken = |error: GunzipError| Status::new(Code::Internal, error.to_string());
                            gunzip(&message.bytes, CALL_BYTES_MAX).map_err(broken)?.into()
                        }
                    };
                    match version {
                        Version::V2 => self.call(method, &unpacked).await,
                        Version::V3 => self.call_v3(method, &unpacked).await,
                    }
                };
                (called.await.unwrap_or_else(|status| grpc::failed(&status)), route)
            }
            _ => (grpc::not_there(&head), "NOT_FOUND"),
        };
        self.app.metrics.requests.observe(&head.method, route, answer.status(), started.elapsed());
        answer
    }

    async fn call(&self, method: &str, message: &[u8]) -> Result<Answer> {
        match method {
            "GetTrace" => self.trace(GetTraceRequest::decode(message).map_err(unreadable)?).await,
            "FindTraces" => self.find(TraceQueryParameters::decode(message).map_err(unreadable)?).await,
            "GetServices" => {
                let names = self.app.queries.run(|store| store.service_names()).await.map_err(failed)?;
                Ok(one(|out| encode_services(&names, out)))
            }
            "GetOperations" => self.operations(GetOperationsRequest::decode(message).map_err(unreadable)?).await,
            "GetDependencies" => self.dependencies(TimeWindow::decode(message).map_err(unreadable)?).await,
            "ArchiveTrace" => self.archive(GetTraceRequest::decode(message).map_err(unreadable)?).await,
            _ => Err(unknown_method(method, "jaeger.api_v2.QueryService")),
        }
    }

    async fn trace(&self, request: GetTraceRequest) -> Result<Answer> {
        let id = trace_id(&request)?;
        let found = self.by_id(id).await?;
        if found.is_empty() {
            return Err(Status::new(Code::NotFound, "trace not found"));
        }
        Ok(self.stream(found, request.raw_traces))
    }

    pub(super) async fn by_id(&self, id: TraceId) -> Result<Vec<SpanBatch>> {
        let archive = self.app.archive.clone();
        let read = move |store: &dyn Store| traces_by_id(store, archive.as_ref(), &[id]);
        self.app.queries.run(read).await.map_err(failed)
    }

    async fn archive(&self, request: GetTraceRequest) -> Result<Answer> {
        let id = trace_id(&request)?;
        let refused = |error| match error {
            NotArchived::NotFound => Status::new(Code::NotFound, "trace not found: trace not found"),
            NotArchived::Query(error) => failed(error),
            other => {
                tracing::error!(error = %other, "a trace was not archived");
                Status::new(Code::Internal, format!("failed to archive trace: {other}"))
            }
        };
        archive_trace(&self.app, id).await.map_err(refused)?;
        Ok(one(|_| ()))
    }

    async fn find(&self, asked: Option<TraceQueryParameters>) -> Result<Answer> {
        let asked = asked.ok_or_else(missing_query)?;
        let raw = asked.raw_traces;
        let found = self.found(asked).await?;
        Ok(self.stream(found, raw))
    }

    pub(super) async fn found(&self, asked: TraceQueryParameters) -> Result<Vec<SpanBatch>> {
        let duration = |nanos: Option<i128>| bound(i64::try_from(nanos.unwrap_or(0)).unwrap_or(i64::MAX));
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        let query = SpanQuery {
            service_name: text(asked.service_name),
            span_name: text(asked.operation_name),
            min_duration: duration(asked.duration_min_ns),
            max_duration: duration(asked.duration_max_ns),
            start_min: nanos(asked.start_time_min_ns.unwrap_or(0)),
            start_max: nanos(asked.start_time_max_ns.unwrap_or(i128::MAX)),
            limit: usize::try_from(asked.search_depth).ok().filter(|&depth| depth > 0).unwrap_or(LIMIT_MAX),
        };
        let search = Search { query, tags: asked.tags, raw: asked.raw_traces };
        self.app.queries.run(move |store: &dyn Store| find(store, &search)).await.map_err(failed)
    }

    /// How traces are adjusted, unless they are wanted as they came.
    pub(super) fn adjustments(&self, raw: bool) -> Option<Adjustments> {
        (!raw).then_some(Adjustments { clock_skew_max: self.app.options.jaeger_max_clock_skew_adjustment })
    }

    /// Encodes on a thread of its own: as far as the client takes it.
    fn stream(&self, traces: Vec<SpanBatch>, raw: bool) -> Answer {
        let adjustments = self.adjustments(raw);
        streamed(move |chunks| send_traces(&traces, adjustments, chunks))
    }

    async fn operations(&self, asked: GetOperationsRequest) -> Result<Answer> {
        let GetOperationsRequest { service, span_kind } = asked;
        let operations = self.app.queries.run(move |store| store.operations(&service)).await.map_err(failed)?;
        let operations = operations.iter().map(|(name, kind)| (name.as_str(), kind_text(*kind)));
        let wanted = operations.filter(|(_, kind)| span_kind.is_empty() || *kind == span_kind);
        Ok(one(|out| encode_operations(wanted, out)))
    }

    async fn dependencies(&self, asked: TimeWindow) -> Result<Answer> {
        let micros = |nanos: Option<i128>, unsaid: i128| nanos.unwrap_or(unsaid).max(0) / 1000;
        let bounded = |micros: i128| u64::try_from(micros).unwrap_or(u64::MAX);
        let window = DependencyWindow {
            start_us: bounded(micros(asked.start_ns, 0) + 1),
            end_us: bounded((micros(asked.end_ns, i128::from(now_us()) * 1000) - 1).max(0)),
        };
        let read = move |store: &dyn Store| -> std::result::Result<_, ReadError> { calls(store, window) };
        let calls = self.app.queries.run(read).await.map_err(failed)?;
        let links = calls.iter().map(|((parent, child), calls)| (parent.as_str(), child.as_str(), *calls));
        Ok(one(|out| encode_dependencies(links, out)))
    }
}

impl Api for JaegerQueryGrpcApi {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answering {
        Box::pin(async move { Self::answer(&self, request).await })
    }
}

pub(super) type Chunks = mpsc::Sender<Result<Vec<u8>>>;
/// An error says that the client is gone.
pub(super) type Sent = std::result::Result<(), mpsc::error::SendError<Result<Vec<u8>>>>;

/// An answer of many messages, made on a thread of its own, as far as the client takes them.
pub(super) fn streamed(send: impl FnOnce(&Chunks) -> Sent + Send + 'static) -> Answer {
    let (sender, receiver) = mpsc::channel(CHUNKS_WAITING);
    tokio::task::spawn_blocking(move || send(&sender).ok());
    grpc::streaming(receiver)
}

fn send_traces(traces: &[SpanBatch], adjustments: Option<Adjustments>, chunks: &Chunks) -> Sent {
    for trace in traces {
        let mut shown = UiTrace::of(trace.spans());
        if let Some(adjustments) = adjustments {
            adjustments.adjust(&mut shown);
        }
        let shown = match shown.to_batch() {
            Ok(shown) => shown,
            Err(full) => return chunks.blocking_send(Err(Status::new(Code::Internal, full.to_string()))),
        };
        for from in (0..shown.len()).step_by(CHUNK_SPANS) {
            let to = (from + CHUNK_SPANS).min(shown.len());
            let mut chunk = vec![];
            encode_proto_spans_chunk((from..to).map(|row| shown.span(row)), &mut chunk);
            chunks.blocking_send(Ok(chunk))?;
        }
    }
    Ok(())
}

pub(super) fn one(encode: impl FnOnce(&mut Vec<u8>)) -> Answer {
    let mut message = vec![];
    encode(&mut message);
    grpc::unary(Ok(message))
}

fn trace_id(request: &GetTraceRequest) -> Result<TraceId> {
    let id = request.trace_id.filter(|id| id.value() != 0);
    id.ok_or_else(|| Status::new(Code::InvalidArgument, "uninitialized TraceID is not allowed"))
}

pub(super) fn missing_query() -> Status {
    Status::new(Code::InvalidArgument, "missing query")
}

pub(super) fn unknown_method(method: &str, service: &str) -> Status {
    Status::new(Code::Unimplemented, format!("unknown method {method} for service {service}"))
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err hands over")]
pub(super) fn unreadable(error: QueryRequestError) -> Status {
    Status::new(Code::Internal, format!("grpc: error unmarshalling request: {error}"))
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err hands over")]
pub(super) fn failed(error: QueryError) -> Status {
    let text = error.to_string();
    match error {
        QueryError::Overloaded | QueryError::MemorySpent(_) => Status::try_again(Code::ResourceExhausted, text),
        QueryError::TimedOut(_) => Status::new(Code::DeadlineExceeded, text),
        QueryError::Read(_) | QueryError::Panicked => {
            tracing::error!(%error, "a query failed");
            Status::new(Code::Internal, text)
        }
    }
}
