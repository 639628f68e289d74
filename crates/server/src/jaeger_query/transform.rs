//! `POST /api/transform`: a file of OTLP JSON, which the page was given, as Jaeger's JSON.

use super::answers::{Refused, Result};
use super::traces::traces_json;
use super::{Asked, JaegerQueryApi};
use crate::answer::Answer;
use crate::ingest::IngestError;
use crate::metrics::Transport;
use http::StatusCode;
use hyper::body::Incoming;
use std::collections::HashMap;
use tracewell_model::{SpanBatch, TraceId};
use tracewell_wire::{Limits, otlp};

impl JaegerQueryApi {
    pub(super) async fn transform(&self, asked: Asked, body: Incoming) -> Result<Answer> {
        let received = self.app.ingest.receive(body, Transport::OtlpHttp).await.map_err(|error| refused(&error))?;
        let form = asked.form;
        let work = move |_: &dyn tracewell_store::Store| {
            let mut batch = SpanBatch::new();
            if let Err(error) = otlp::decode_json(&received.bytes, &Limits::default(), &mut batch) {
                return Ok(Err(Refused::bad_request(format!("cannot unmarshal OTLP : {error}"))));
            }
            Ok(by_trace(&batch).map(|traces| form.data(&traces_json(&traces, None), 0, &[])))
        };
        self.app.queries.run(work).await?
    }
}

/// A batch a trace, in the order they are first met.
fn by_trace(batch: &SpanBatch) -> Result<Vec<SpanBatch>> {
    let mut traces: Vec<SpanBatch> = vec![];
    let mut places: HashMap<TraceId, usize> = HashMap::new();
    for span in batch.spans() {
        let place = *places.entry(span.trace_id()).or_insert_with(|| {
            traces.push(SpanBatch::new());
            traces.len() - 1
        });
        let pushed = traces[place].push_copy(span);
        pushed.map_err(|full| Refused::new(StatusCode::PAYLOAD_TOO_LARGE, full.to_string()))?;
    }
    Ok(traces)
}

fn refused(error: &IngestError) -> Refused {
    let status = match error {
        IngestError::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        IngestError::BodyTooSlow(_) => StatusCode::REQUEST_TIMEOUT,
        IngestError::MemorySpent => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    };
    Refused::new(status, error.to_string())
}
