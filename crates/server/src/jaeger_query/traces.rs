//! `GET /api/traces/{id}`, `GET /api/traces`, `/api/services` and `/api/operations`: reading, adjusting, encoding and
//! compressing happen on the threads of the queries.

use super::answers::{Form, Refused, Result};
use super::archive::traces_by_id;
use super::parameters::{self, Search, Traces};
use super::{Asked, JaegerQueryApi, now_us};
use crate::answer::Answer;
use http::StatusCode;
use serde_json::{json, to_vec};
use std::collections::BTreeSet;
use tracewell_model::{Kind, SpanBatch, TraceId};
use tracewell_store::{ReadError, Store};
use tracewell_wire::jaeger::{Adjustments, UiTrace, span_has_tags};

impl JaegerQueryApi {
    pub(super) async fn trace(&self, id: &str, asked: Asked) -> Result<Answer> {
        let id = parameters::trace_id(id)?;
        let adjustments = (!parameters::raw(&asked.parameters)?).then(|| self.adjustments());
        let form = asked.form;
        let archive = self.app.archive.clone();
        let read = move |store: &dyn Store| {
            let found = traces_by_id(store, archive.as_ref(), &[id])?;
            Ok((!found.is_empty()).then(|| traces_answer(&found, adjustments, form, &[])))
        };
        let answer = self.app.queries.run(read).await?;
        answer.ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, "trace not found"))
    }

    pub(super) async fn search(&self, asked: Asked) -> Result<Answer> {
        let form = asked.form;
        let adjustments = self.adjustments();
        match parameters::traces(&asked.parameters, now_us())? {
            Traces::ById { ids, raw } => {
                let adjustments = (!raw).then_some(adjustments);
                let archive = self.app.archive.clone();
                let read = move |store: &dyn Store| {
                    Ok(by_ids(&traces_by_id(store, archive.as_ref(), &ids)?, &ids, adjustments, form))
                };
                Ok(self.app.queries.run(read).await?)
            }
            Traces::Found(search) => {
                let adjustments = (!search.raw).then_some(adjustments);
                let read = move |store: &dyn Store| Ok(traces_answer(&find(store, &search)?, adjustments, form, &[]));
                Ok(self.app.queries.run(read).await?)
            }
        }
    }

    pub(super) async fn services(&self, asked: Asked) -> Result<Answer> {
        let names = self.app.queries.run(|store| store.service_names()).await?;
        Ok(asked.form.data(&list_or_null(&names), names.len(), &[]))
    }

    pub(super) async fn service_operations(&self, service: &str, asked: Asked) -> Result<Answer> {
        // Jaeger decodes what is between the slashes twice.
        let spaces = service.replace('+', " ");
        let service = percent_encoding::percent_decode_str(&spaces).decode_utf8_lossy().into_owned();
        let operations = self.app.queries.run(move |store| store.operations(&service)).await?;
        let names: BTreeSet<&str> = operations.iter().map(|(name, _)| name.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        Ok(asked.form.data(&list_or_null(&names), names.len(), &[]))
    }

    pub(super) async fn operations(&self, asked: Asked) -> Result<Answer> {
        let Some(service) = asked.parameters.get("service").filter(|service| !service.is_empty()) else {
            return Err(Refused::bad_request("parameter 'service' is required"));
        };
        let kind = asked.parameters.get("spanKind").unwrap_or_default();
        let operations = self.operations_json(service, kind).await?;
        Ok(asked.form.data(&to_vec(&operations).unwrap_or_default(), operations.len(), &[]))
    }

    /// `[{"name":…,"spanKind":…}]`, of one kind where one is asked for.
    pub(super) async fn operations_json(&self, service: &str, kind: &str) -> Result<Vec<serde_json::Value>> {
        let service = service.to_owned();
        let operations = self.app.queries.run(move |store| store.operations(&service)).await?;
        let wanted = operations.iter().filter(|(_, of)| kind.is_empty() || kind_text(*of) == kind);
        Ok(wanted.map(|(name, kind)| json!({"name": name, "spanKind": kind_text(*kind)})).collect())
    }
}

/// The traces of a search.
pub(super) fn find(store: &dyn Store, search: &Search) -> std::result::Result<Vec<SpanBatch>, ReadError> {
    store.find_spans(&search.query, &|span| span_has_tags(span, &search.tags))
}

/// Each as often as it was asked for.
fn by_ids(found: &[SpanBatch], ids: &[TraceId], adjustments: Option<Adjustments>, form: Form) -> Answer {
    let of =
        |id: &TraceId| found.iter().position(|trace| trace.spans().next().map(|span| span.trace_id()) == Some(*id));
    let not_found: Vec<TraceId> = ids.iter().filter(|id| of(id).is_none()).copied().collect();
    let traces: Vec<&SpanBatch> = ids.iter().filter_map(|id| of(id).map(|at| &found[at])).collect();
    traces_answer(traces, adjustments, form, &not_found)
}

fn traces_answer<'a>(
    traces: impl IntoIterator<Item = &'a SpanBatch>,
    adjustments: Option<Adjustments>,
    form: Form,
    not_found: &[TraceId],
) -> Answer {
    form.data(&traces_json(traces, adjustments), 0, not_found)
}

/// A list of traces.
pub(super) fn traces_json<'a>(
    traces: impl IntoIterator<Item = &'a SpanBatch>,
    adjustments: Option<Adjustments>,
) -> Vec<u8> {
    let mut body = vec![b'['];
    for (at, trace) in traces.into_iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        let mut trace = UiTrace::of(trace.spans());
        if let Some(adjustments) = adjustments {
            adjustments.adjust(&mut trace);
        }
        trace.encode(&mut body);
    }
    body.push(b']');
    body
}

fn list_or_null<T: serde::Serialize>(names: &[T]) -> Vec<u8> {
    if names.is_empty() { b"null".to_vec() } else { to_vec(names).unwrap_or_default() }
}

/// Jaeger's word for a kind.
pub(super) fn kind_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Unset => "",
        Kind::Internal => "internal",
        Kind::Client => "client",
        Kind::Server => "server",
        Kind::Producer => "producer",
        Kind::Consumer => "consumer",
    }
}
