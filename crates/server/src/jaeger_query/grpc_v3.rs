//! `jaeger.api_v3.QueryService`: traces as OpenTelemetry's `TracesData`, streamed.

use super::go_text;
use super::grpc_api::{
    Chunks, JaegerQueryGrpcApi, Result, Sent, failed, missing_query, one, streamed, unknown_method, unreadable,
};
use super::traces::kind_text;
use crate::answer::Answer;
use crate::grpc::{Code, Status};
use tracewell_model::SpanBatch;
use tracewell_wire::jaeger::{
    Adjustments, GetOperationsRequest, GetTraceRequestV3, TraceQueryParameters, adjusted_batch, encode_operations_v3,
    encode_services,
};
use tracewell_wire::otlp;

/// Spans of a message: a long trace comes in several, so that none is longer than what clients take.
const CHUNK_SPANS: usize = 1000;

impl JaegerQueryGrpcApi {
    pub(super) async fn call_v3(&self, method: &str, message: &[u8]) -> Result<Answer> {
        match method {
            "GetTrace" => self.trace_v3(GetTraceRequestV3::decode(message).map_err(unreadable)?).await,
            "FindTraces" => self.find_v3(TraceQueryParameters::decode(message).map_err(unreadable)?).await,
            "GetServices" => {
                let names = self.app.queries.run(|store| store.service_names()).await.map_err(failed)?;
                Ok(one(|out| encode_services(&names, out)))
            }
            "GetOperations" => self.operations_v3(GetOperationsRequest::decode(message).map_err(unreadable)?).await,
            _ => Err(unknown_method(method, "jaeger.api_v3.QueryService")),
        }
    }

    /// A trace that is not there is a stream of nothing.
    async fn trace_v3(&self, request: GetTraceRequestV3) -> Result<Answer> {
        let malformed = |error| Status::new(Code::Unknown, format!("malform trace ID: {error}"));
        let id = go_text::parse_trace_id(&request.trace_id).map_err(malformed)?;
        let found = self.by_id(id).await?;
        Ok(self.stream_v3(found, request.raw_traces))
    }

    async fn find_v3(&self, asked: Option<TraceQueryParameters>) -> Result<Answer> {
        let asked = asked.ok_or_else(missing_query)?;
        if asked.start_time_min_ns.is_none() || asked.start_time_max_ns.is_none() {
            return Err(Status::new(Code::Unknown, "start time min and max are required parameters"));
        }
        let raw = asked.raw_traces;
        let found = self.found(asked).await?;
        Ok(self.stream_v3(found, raw))
    }

    async fn operations_v3(&self, asked: GetOperationsRequest) -> Result<Answer> {
        let GetOperationsRequest { service, span_kind } = asked;
        let operations = self.app.queries.run(move |store| store.operations(&service)).await.map_err(failed)?;
        let operations = operations.iter().map(|(name, kind)| (name.as_str(), kind_text(*kind)));
        let wanted = operations.filter(|(_, kind)| span_kind.is_empty() || *kind == span_kind);
        Ok(one(|out| encode_operations_v3(wanted, out)))
    }

    fn stream_v3(&self, traces: Vec<SpanBatch>, raw: bool) -> Answer {
        let adjustments = self.adjustments(raw);
        streamed(move |chunks| send_traces(&traces, adjustments, chunks))
    }
}

fn send_traces(traces: &[SpanBatch], adjustments: Option<Adjustments>, chunks: &Chunks) -> Sent {
    for trace in traces {
        let adjusted = match adjustments.map(|adjustments| adjusted_batch(trace.spans(), &adjustments)).transpose() {
            Ok(adjusted) => adjusted,
            Err(full) => return chunks.blocking_send(Err(Status::new(Code::Internal, full.to_string()))),
        };
        let shown = adjusted.as_ref().unwrap_or(trace);
        for from in (0..shown.len()).step_by(CHUNK_SPANS) {
            let to = (from + CHUNK_SPANS).min(shown.len());
            let mut chunk = vec![];
            otlp::encode_protobuf((from..to).map(|row| shown.span(row)), &mut chunk);
            chunks.blocking_send(Ok(chunk))?;
        }
    }
    Ok(())
}
