//! The page's own API (docs/page-api.md): summaries of traces, a trace laid out for drawing, and one of its spans; and what
//! is found and counted by the query language.

mod asked;
mod compare;
mod complete;
mod facets;
mod figures;
mod histogram;
mod layout;
mod live;
mod map;
mod old_links;
mod page_query;
mod parse;
mod percentile;
mod red;
mod scan;
mod search;
mod status;
mod summary;
mod value_text;

pub(crate) use page_query::{PageQuery, query};

use crate::answer::{self, Answer, JSON_UTF8};
use crate::queries::QueryError;
use crate::zipkin::{Asked, BadParameter, ZipkinApi, trace_id_of_path, trace_query};
use http::{HeaderName, HeaderValue, StatusCode};
use tracewell_model::{SpanBatch, SpanId, SpanRef, TraceId, TraceTree, merge_spans};
use tracewell_store::Store;
use tracewell_wire::zipkin_v2::encode_span;

/// Which row the span stands in, for who asked by its id.
const ROW: HeaderName = HeaderName::from_static("tracewell-row");
const TRACE_LAYOUT: HeaderValue = HeaderValue::from_static("application/vnd.tracewell.trace");

/// `GET traces`: the traces a search finds, a line each.
pub(crate) async fn traces(api: &ZipkinApi, asked: &Asked<'_>) -> Answer {
    let query = match trace_query(&asked.parameters, api.defaults()) {
        Ok(query) => query,
        Err(bad) => return bad_request(&bad),
    };
    if !api.options().search_enabled {
        return search_is_off();
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
        answer::compressible(TRACE_LAYOUT, layout::layout(id, &outline(trace)), takes_gzip)
    })
    .await
}

/// `GET trace/{traceId}/span/{row}`: a merged span as Zipkin's JSON. In place of the row a span id may stand.
pub(crate) async fn span(api: &ZipkinApi, id: &str, row: &str) -> Answer {
    let Some(wanted) = Wanted::parse(row) else {
        return problem(StatusCode::BAD_REQUEST, "expected a row, or a span id of 16 lower-hex digits");
    };
    read_trace(api, id, move |_, trace| {
        let tree = outline(trace);
        let rows = tree.depth_first();
        let row = match wanted {
            Wanted::Row(row) => Some(row).filter(|&row| row < rows.len()),
            Wanted::Span(id) => rows.iter().position(|&(node, _)| tree.spans.span(node).id() == id),
        };
        let Some(row) = row else {
            return problem(StatusCode::NOT_FOUND, "the trace has no such span");
        };
        let mut body = Vec::new();
        let whole = WholeSpan::of(trace, &tree, rows[row].0);
        encode_span(whole.span(), &mut body);
        let mut answer = answer::answer(StatusCode::OK, JSON_UTF8, body);
        answer.headers_mut().insert(ROW, HeaderValue::from(row));
        answer
    })
    .await
}

/// Which span of a trace is asked for. A row never has as many digits as an id.
enum Wanted {
    Row(usize),
    Span(SpanId),
}

impl Wanted {
    fn parse(text: &str) -> Option<Self> {
        if text.len() == 16 {
            return SpanId::parse_lower_hex(text).ok().map(Self::Span);
        }
        text.parse().ok().map(Self::Row)
    }
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

/// The tree of a trace, without the tags of its spans.
fn outline(trace: &SpanBatch) -> TraceTree {
    let spans: Vec<SpanRef<'_>> = trace.spans().collect();
    TraceTree::outline(&spans)
}

/// A merged span with everything it has, put together without merging the rest of its trace.
struct WholeSpan {
    merged: SpanBatch,
    at: usize,
}

impl WholeSpan {
    fn of(trace: &SpanBatch, outline: &TraceTree, node: usize) -> Self {
        let id = outline.spans.span(node).id();
        // What merges spans looks at all pieces of an id, and for the long form of the trace's id.
        let long = trace.spans().find(|span| span.trace_id().high() != 0 && span.id() != id);
        let pieces: Vec<SpanRef<'_>> = trace.spans().filter(|span| span.id() == id).chain(long).collect();
        let merged = merge_spans(&pieces);
        // Merged spans come by id, those of one id always in the same order.
        let before = (0..node).rev().take_while(|&other| outline.spans.span(other).id() == id).count();
        let first = merged.spans().position(|span| span.id() == id).unwrap_or_default();
        Self { merged, at: first + before }
    }

    fn span(&self) -> SpanRef<'_> {
        self.merged.span(self.at)
    }
}

fn bad_request(bad: &BadParameter) -> Answer {
    problem(StatusCode::BAD_REQUEST, &bad.to_string())
}

fn failed(error: &QueryError) -> Answer {
    match error {
        QueryError::Overloaded | QueryError::TimedOut(_) | QueryError::MemorySpent(_) => {
            answer::retry_after(problem(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()))
        }
        QueryError::Read(_) | QueryError::Panicked => {
            tracing::error!(%error, "a query failed");
            problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
        }
    }
}

fn search_is_off() -> Answer {
    problem(StatusCode::NOT_FOUND, "search is switched off on this server (search-enabled): open a trace by its id")
}

fn problem(status: StatusCode, text: &str) -> Answer {
    answer::answer(status, JSON_UTF8, serde_json::json!({ "error": text }).to_string())
}
