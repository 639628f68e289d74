//! Jaeger's API version 3 over HTTP: services, operations, traces in OTLP's JSON, summaries of traces. Answers are those of
//! the newest Jaeger, whose page asks for them.

use super::answers::{Refused, Result};
use super::archive::traces_by_id;
use super::summaries::summaries_json;
use super::traces::find;
use super::{Asked, Form, JaegerQueryApi, v3_parameters};
use crate::answer::Answer;
use http::StatusCode;
use serde_json::json;
use tracewell_model::SpanBatch;
use tracewell_store::{ReadError, Store};
use tracewell_wire::jaeger::{Adjustments, adjusted_batch};
use tracewell_wire::otlp;

impl JaegerQueryApi {
    pub(super) async fn v3_services(&self, form: Form) -> Result<Answer> {
        let services = self.app.queries.run(|store| store.service_names()).await?;
        Ok(form.json(json!({"services": services}).to_string().into_bytes()))
    }

    pub(super) async fn v3_operations(&self, asked: Asked) -> Result<Answer> {
        let service = asked.parameters.get("service").unwrap_or_default();
        let kind = v3_parameters::span_kind(&asked.parameters);
        let operations = self.operations_json(service, kind).await?;
        Ok(asked.form.json(json!({"operations": operations}).to_string().into_bytes()))
    }

    pub(super) async fn v3_traces(&self, asked: Asked) -> Result<Answer> {
        let search = v3_parameters::search(&asked.parameters)?;
        let adjustments = (!search.raw).then(|| self.adjustments());
        let form = asked.form;
        let read = move |store: &dyn Store| traces_answer(&find(store, &search)?, adjustments, form);
        self.app.queries.run(read).await?.ok_or_else(no_traces)
    }

    pub(super) async fn v3_trace(&self, id: &str, asked: Asked) -> Result<Answer> {
        let malformed = || Refused::bad_request("malformed parameter trace_id: invalid length for TraceID");
        let id = v3_parameters::trace_id(id).ok_or_else(malformed)?;
        let adjustments = (!v3_parameters::trace(&asked.parameters)?).then(|| self.adjustments());
        let form = asked.form;
        let archive = self.app.archive.clone();
        let read =
            move |store: &dyn Store| traces_answer(&traces_by_id(store, archive.as_ref(), &[id])?, adjustments, form);
        self.app.queries.run(read).await?.ok_or_else(no_traces)
    }

    pub(super) async fn v3_summaries(&self, asked: Asked) -> Result<Answer> {
        let search = v3_parameters::search(&asked.parameters)?;
        let form = asked.form;
        let read = move |store: &dyn Store| Ok(form.json(summaries_json(&find(store, &search)?)));
        Ok(self.app.queries.run(read).await?)
    }
}

fn no_traces() -> Refused {
    Refused::new(StatusCode::NOT_FOUND, "No traces found")
}

/// `{"result":{"resourceSpans":[…]}}`, or nothing where there are none.
fn traces_answer(
    traces: &[SpanBatch],
    adjustments: Option<Adjustments>,
    form: Form,
) -> std::result::Result<Option<Answer>, ReadError> {
    if traces.is_empty() {
        return Ok(None);
    }
    let mut body = b"{\"result\":".to_vec();
    match adjustments {
        None => otlp::encode_json_traces(traces.iter().map(SpanBatch::spans), &mut body),
        Some(adjustments) => {
            let adjusted = traces.iter().map(|trace| adjusted_batch(trace.spans(), &adjustments));
            let adjusted: std::result::Result<Vec<SpanBatch>, _> = adjusted.collect();
            let adjusted = adjusted.map_err(|full| ReadError::Failed(full.to_string()))?;
            otlp::encode_json_traces(adjusted.iter().map(SpanBatch::spans), &mut body);
        }
    }
    body.push(b'}');
    Ok(Some(form.json(body)))
}
