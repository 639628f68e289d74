//! `POST /api/archive/{id}` and `ArchiveTrace`: a trace is kept past retention; and traces by id, which may be archived.

use super::answers::{Form, Refused, Result};
use super::{Asked, GROUPING, JaegerQueryApi, parameters};
use crate::answer::Answer;
use crate::app::App;
use crate::archive::{Archive, ArchiveError, united};
use crate::queries::QueryError;
use http::StatusCode;
use std::sync::Arc;
use tracewell_model::{SpanBatch, TraceId};
use tracewell_store::{ReadError, Store, WriteError};

/// Why a trace was not archived.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotArchived {
    #[error("archive span storage was not configured")]
    Off,
    #[error("trace not found")]
    NotFound,
    #[error(transparent)]
    Archive(ArchiveError),
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl JaegerQueryApi {
    pub(super) async fn archive(&self, id: &str, asked: Asked) -> Result<Answer> {
        let id = parameters::trace_id(id)?;
        parameters::raw(&asked.parameters)?;
        archive_trace(&self.app, id).await.map_err(refused)?;
        Ok(archived(asked.form))
    }
}

fn archived(form: Form) -> Answer {
    form.json(br#"{"data":[],"total":0,"limit":0,"offset":0,"errors":[]}"#.to_vec())
}

fn refused(error: NotArchived) -> Refused {
    match error {
        NotArchived::NotFound => Refused::new(StatusCode::NOT_FOUND, error.to_string()),
        NotArchived::Query(error) => error.into(),
        NotArchived::Off => Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        NotArchived::Archive(ArchiveError::Write(WriteError::Overloaded)) => {
            Refused::try_again(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
        }
        NotArchived::Archive(_) => {
            tracing::error!(%error, "a trace was not archived");
            Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
        }
    }
}

/// Keeps a trace in the archive.
pub(super) async fn archive_trace(app: &App, id: TraceId) -> std::result::Result<(), NotArchived> {
    let archive = app.archive.clone().ok_or(NotArchived::Off)?;
    let keep = move |store: &dyn Store| {
        let found = traces_by_id(store, Some(&archive), &[id])?;
        Ok(match found.first() {
            Some(trace) => archive.keep(trace, GROUPING).map_err(NotArchived::Archive),
            None => Err(NotArchived::NotFound),
        })
    };
    app.queries.run(keep).await?
}

/// The traces with these ids, wherever they are kept: what retention took from the store is still in the archive.
pub(super) fn traces_by_id(
    store: &dyn Store,
    archive: Option<&Arc<Archive>>,
    ids: &[TraceId],
) -> std::result::Result<Vec<SpanBatch>, ReadError> {
    let mut found = store.traces(ids, GROUPING)?;
    let Some(archive) = archive else { return Ok(found) };
    for kept in archive.traces(ids, GROUPING)? {
        let id = |trace: &SpanBatch| trace.spans().next().map(|span| span.trace_id());
        match found.iter_mut().find(|trace| id(trace) == id(&kept)) {
            Some(trace) => united(trace, &kept).map_err(|full| ReadError::Failed(full.to_string()))?,
            None => found.push(kept),
        }
    }
    Ok(found)
}
