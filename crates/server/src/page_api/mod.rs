//! The page's own API (docs/page-api.md): summaries of traces, a trace laid out for drawing, and one of its spans; and what
//! is found and counted by the query language.

mod asked;
mod compare;
mod complete;
mod drawn;
mod facets;
mod figures;
mod histogram;
mod layout;
mod live;
mod map;
mod old_links;
mod one_trace;
mod page_query;
mod parse;
mod percentile;
mod red;
mod scan;
mod search;
mod status;
mod summary;
mod value_text;

pub(crate) use drawn::DrawnTraces;
pub(crate) use one_trace::{span, trace};
pub(crate) use page_query::{PageQuery, query};

use crate::answer::{self, Answer, JSON_UTF8};
use crate::queries::QueryError;
use crate::zipkin::{Asked, BadParameter, ZipkinApi, trace_query};
use http::StatusCode;
use tracewell_store::Store;

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
