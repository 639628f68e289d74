//! One trace: laid out for drawing, and one of its spans with everything it has.

use super::drawn::{DrawnRows, DrawnTraces};
use super::layout::layout;
use super::{bad_request, failed, problem};
use crate::answer::{self, Answer, JSON_UTF8, Takes};
use crate::queries::QueryError;
use crate::zipkin::{Asked, ZipkinApi, trace_id_of_path};
use http::{HeaderName, HeaderValue, StatusCode};
use std::sync::Arc;
use tokio::time::timeout;
use tracewell_model::{SpanId, SpanRef, TraceGrouping, TraceId, TraceTree, merge_spans_of};
use tracewell_store::{ReadError, Store, TracePart};
use tracewell_wire::zipkin_v2::encode_span;

/// Which row the span stands in, for who asked by its id.
const ROW: HeaderName = HeaderName::from_static("tracewell-row");
const TRACE_LAYOUT: HeaderValue = HeaderValue::from_static("application/vnd.tracewell.trace");

/// A trace of this many spans takes some 300 MB while it is laid out; a longer one is not drawn.
const SPANS_MAX: u64 = 2_000_000;
/// Traces of more spans are laid out one after the other, and hold more than other queries may.
const SPANS_OF_LARGE: u64 = 100_000;

/// `GET trace/{traceId}`: one trace as columns.
pub(crate) async fn trace(api: &ZipkinApi, id: &str, asked: &Asked<'_>) -> Answer {
    let id = match trace_id_of_path(id) {
        Ok(id) => id,
        Err(bad) => return bad_request(&bad),
    };
    let trace = OneTrace::of(api, id);
    let takes = Takes::of(asked.headers);
    let laid_out = trace.clone().outlined(api, move |store| {
        let mut body = vec![];
        trace.draw(store, |_, tree, order| body = layout(id, tree, order))?;
        Ok(match body.is_empty() {
            true => no_trace(id),
            false => answer::compressible_large(TRACE_LAYOUT, body, takes),
        })
    });
    laid_out.await.unwrap_or_else(|error| failed(&error))
}

/// `GET trace/{traceId}/span/{row}`: a merged span as Zipkin's JSON. In place of the row a span id may stand.
pub(crate) async fn span(api: &ZipkinApi, id: &str, row: &str) -> Answer {
    let Some(wanted) = Wanted::parse(row) else {
        return problem(StatusCode::BAD_REQUEST, "expected a row, or a span id of 16 lower-hex digits");
    };
    let id = match trace_id_of_path(id) {
        Ok(id) => id,
        Err(bad) => return bad_request(&bad),
    };
    let trace = OneTrace::of(api, id);
    let answered = async {
        if let Some(rows) = trace.drawn.get(trace.id) {
            let known = trace.clone();
            if let Some(answer) = api.queries().run(move |store| known.span(store, &rows, wanted)).await? {
                return Ok(answer);
            }
        }
        let read = trace.clone().outlined(api, move |store| {
            let Some(rows) = trace.draw(store, |_, _, _| ())? else { return Ok(no_trace(id)) };
            let no_span = || problem(StatusCode::NOT_FOUND, "the trace has no such span");
            Ok(trace.span(store, &rows, wanted)?.unwrap_or_else(no_span))
        });
        read.await
    };
    answered.await.unwrap_or_else(|error| failed(&error))
}

fn no_trace(id: TraceId) -> Answer {
    problem(StatusCode::NOT_FOUND, &format!("there is no trace {id}"))
}

/// Which span of a trace is asked for. A row never has as many digits as an id.
#[derive(Clone, Copy)]
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

/// How a trace is read.
#[derive(Clone)]
struct OneTrace {
    id: TraceId,
    grouping: TraceGrouping,
    drawn: Arc<DrawnTraces>,
}

impl OneTrace {
    fn of(api: &ZipkinApi, id: TraceId) -> Self {
        let grouping = api.grouping();
        let id = match grouping {
            TraceGrouping::Strict => id,
            TraceGrouping::LowBits => TraceId::from_halves(0, id.low()),
        };
        Self { id, grouping, drawn: Arc::clone(&api.app().drawn) }
    }

    /// Runs what draws the trace, when it is its turn.
    async fn outlined(
        self,
        api: &ZipkinApi,
        read: impl FnOnce(&dyn Store) -> Result<Answer, ReadError> + Send + 'static,
    ) -> Result<Answer, QueryError> {
        let id = self.id;
        let spans = api.queries().run(move |store| store.trace_len(id)).await?;
        if spans > SPANS_MAX {
            let text =
                format!("the trace has {spans} spans; at most {SPANS_MAX} are drawn: GET /api/v2/trace/{id} has all");
            return Ok(problem(StatusCode::PAYLOAD_TOO_LARGE, &text));
        }
        if spans <= SPANS_OF_LARGE {
            return api.queries().run(read).await;
        }
        let time_max = api.options().query_timeout;
        let turn = timeout(time_max, self.drawn.large.acquire()).await;
        let _turn = turn.map_err(|_| QueryError::TimedOut(time_max))?;
        api.queries().run_large(read).await
    }

    /// Builds the trace's tree for `draw`, and remembers which span stands in which row of it.
    fn draw(
        &self,
        store: &dyn Store,
        mut draw: impl FnMut(&[SpanRef<'_>], &TraceTree<'_>, &[(u32, u32)]),
    ) -> Result<Option<Arc<DrawnRows>>, ReadError> {
        let mut drawn = None;
        store.read_trace(self.id, self.grouping, TracePart::Outline, &mut |spans| {
            let tree = TraceTree::build(spans);
            let order = tree.depth_first();
            draw(spans, &tree, &order);
            let rows = Arc::new(DrawnRows::of(spans, &tree, &order));
            self.drawn.remember(self.id, &rows);
            drawn = Some(rows);
        })?;
        Ok(drawn)
    }

    /// Nothing where the rows do not have it, or the store no longer does.
    fn span(&self, store: &dyn Store, rows: &DrawnRows, wanted: Wanted) -> Result<Option<Answer>, ReadError> {
        let row = match wanted {
            Wanted::Row(row) => Some(row),
            Wanted::Span(id) => rows.row_of(id),
        };
        let Some((row, (id, nth))) = row.and_then(|row| Some((row, rows.span(row)?))) else { return Ok(None) };
        let mut found = None;
        store.read_trace(self.id, self.grouping, TracePart::Span(id), &mut |pieces| {
            let merged = merge_spans_of(rows.long_id, pieces);
            found = (nth < merged.len()).then(|| {
                let mut body = Vec::new();
                encode_span(merged.span(nth), &mut body);
                let mut answer = answer::answer(StatusCode::OK, JSON_UTF8, body);
                answer.headers_mut().insert(ROW, HeaderValue::from(row));
                answer
            });
        })?;
        Ok(found)
    }
}
