//! The page's own API (docs/page-api.md): summaries of traces, a trace laid out for drawing, and one of its spans.

mod layout;
mod summary;

use crate::answer::{self, Answer, JSON_UTF8};
use crate::queries::QueryError;
use crate::zipkin::{Asked, BadParameter, ZipkinApi, trace_id_of_path, trace_query};
use http::{HeaderValue, StatusCode};
use tracewell_model::{SpanBatch, SpanRef, TraceId, TraceTree};
use tracewell_store::Store;
use tracewell_wire::zipkin_v2::encode_span;

const TRACE_LAYOUT: HeaderValue = HeaderValue::from_static("application/vnd.tracewell.trace");

/// `GET traces`: the traces a search finds, a line each.
pub(crate) async fn traces(api: &ZipkinApi, asked: &Asked<'_>) -> Answer {
    let query = match trace_query(&asked.parameters, api.defaults()) {
        Ok(query) => query,
        Err(bad) => return bad_request(&bad),
    };
    if !api.options().search_enabled {
        return problem(
            StatusCode::NOT_FOUND,
            "search is switched off on this server (search-enabled): open a trace by its id",
        );
    }
    let Some(query) = query else {
        return answer::answer(StatusCode::OK, JSON_UTF8, summary::summaries_json(std::iter::empty()));
    };
    let takes_gzip = asked.takes_gzip;
    let read = move |store: &dyn Store| {
        let traces = store.find(&query)?;
        let body = summary::summaries_json(traces.iter().filter(|trace| !trace.is_empty()));
        Ok(answer::compressible(JSON_UTF8, body, takes_gzip))
    };
    api.queries().run(read).await.unwrap_or_else(|error| failed(&error))
}

/// `GET trace/{traceId}`: one trace as columns.
pub(crate) async fn trace(api: &ZipkinApi, id: &str, asked: &Asked<'_>) -> Answer {
    let takes_gzip = asked.takes_gzip;
    read_trace(api, id, move |id, trace| {
        answer::compressible(TRACE_LAYOUT, layout::layout(id, &tree(trace)), takes_gzip)
    })
    .await
}

/// `GET trace/{traceId}/span/{row}`: a merged span as Zipkin's JSON.
pub(crate) async fn span(api: &ZipkinApi, id: &str, row: &str) -> Answer {
    let Ok(row) = row.parse::<usize>() else {
        return problem(StatusCode::BAD_REQUEST, "the row is not a number");
    };
    read_trace(api, id, move |_, trace| {
        let tree = tree(trace);
        let Some(&(node, _)) = tree.depth_first().get(row) else {
            return problem(StatusCode::NOT_FOUND, "the trace has no such row");
        };
        let mut body = Vec::new();
        encode_span(tree.spans.span(node), &mut body);
        answer::answer(StatusCode::OK, JSON_UTF8, body)
    })
    .await
}

async fn read_trace(
    api: &ZipkinApi,
    id: &str,
    answer: impl FnOnce(TraceId, &SpanBatch) -> Answer + Send + 'static,
) -> Answer {
    let id = match trace_id_of_path(id) {
        Ok(id) => id,
        Err(bad) => return bad_request(&bad),
    };
    let grouping = api.grouping();
    let read = move |store: &dyn Store| {
        let traces = store.traces(&[id], grouping)?;
        Ok(match traces.first().filter(|trace| !trace.is_empty()) {
            Some(trace) => answer(id, trace),
            None => problem(StatusCode::NOT_FOUND, &format!("there is no trace {id}")),
        })
    };
    api.queries().run(read).await.unwrap_or_else(|error| failed(&error))
}

fn tree(trace: &SpanBatch) -> TraceTree {
    let spans: Vec<SpanRef<'_>> = trace.spans().collect();
    TraceTree::build(&spans)
}

fn bad_request(bad: &BadParameter) -> Answer {
    problem(StatusCode::BAD_REQUEST, &bad.to_string())
}

fn failed(error: &QueryError) -> Answer {
    match error {
        QueryError::Overloaded | QueryError::TimedOut(_) => {
            answer::retry_after(problem(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()))
        }
        QueryError::Read(_) | QueryError::Panicked => {
            tracing::error!(%error, "a query failed");
            problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
        }
    }
}

fn problem(status: StatusCode, text: &str) -> Answer {
    answer::answer(status, JSON_UTF8, serde_json::json!({ "error": text }).to_string())
}
