//! A search that stops: at a number of spans, after a time, when its answer has enough, or when nobody waits for it any more.

use super::asked::{Answered, Range};
use crate::answer::{self, JSON_UTF8};
use crate::zipkin::{Asked, ZipkinApi};
use serde::Serialize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tracewell_model::SpanRef;
use tracewell_store::{ReadError, SearchVisitor, Store};

/// How much an answer may look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) spans_max: u64,
    pub(super) time_max: Duration,
}

impl Limits {
    /// Of what a person waits for.
    pub(super) const ANSWER: Self = Self { spans_max: 500_000, time_max: Duration::from_secs(2) };
    /// Of what a person sees growing, and can end.
    pub(super) const STREAM: Self = Self { spans_max: 5_000_000, time_max: Duration::from_secs(8) };
    /// Of what is shown while a person types.
    pub(super) const GLANCE: Self = Self { spans_max: 100_000, time_max: Duration::from_millis(500) };
}

/// How far a search came. Times are microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Searched {
    pub(super) complete: bool,
    pub(super) spans: u64,
    pub(super) traces: u64,
    pub(super) back_to: u64,
    spans_max: u64,
    time_max_ms: u64,
    /// It came to the end of the range.
    #[serde(skip)]
    pub(super) to_the_end: bool,
}

/// Takes what is found.
pub(super) trait Taker {
    /// A trace of which a span meets the query, and the latest start of such a span.
    fn take(&mut self, spans: &[SpanRef<'_>], match_us: u64);

    /// Whether it has enough, now that all traces were shown whose latest match is behind this time.
    fn has_enough(&mut self, _back_to_us: u64) -> bool {
        false
    }

    /// How far it has come.
    fn tell(&mut self, _searched: &Searched) {}
}

/// Says that nobody waits any more, once the [`StopsAtEnd`] of it is dropped.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

/// See [`Stop`].
pub(super) struct StopsAtEnd(Stop);

impl Stop {
    pub(super) fn at_end(&self) -> StopsAtEnd {
        StopsAtEnd(self.clone())
    }

    pub(super) fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Drop for StopsAtEnd {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Shows a taker what is found in a range.
pub(super) fn scan(
    store: &dyn Store,
    range: &Range,
    limits: Limits,
    stop: &Stop,
    taker: &mut dyn Taker,
) -> Result<Searched, ReadError> {
    let searched = Searched {
        complete: true,
        spans: 0,
        traces: 0,
        back_to: range.window.end_us,
        spans_max: limits.spans_max,
        time_max_ms: limits.time_max.as_millis() as u64,
        to_the_end: true,
    };
    let mut visitor = Visitor { searched, limits, stop, started: Instant::now(), taker };
    store.search(&range.search(), &mut visitor)?;
    Ok(visitor.searched)
}

struct Visitor<'a> {
    searched: Searched,
    limits: Limits,
    stop: &'a Stop,
    started: Instant,
    taker: &'a mut dyn Taker,
}

impl SearchVisitor for Visitor<'_> {
    fn found(&mut self, spans: &[SpanRef<'_>], match_us: u64) -> ControlFlow<()> {
        self.taker.take(spans, match_us);
        ControlFlow::Continue(())
    }

    fn searched(&mut self, traces: u64, spans: u64, back_to_us: u64) -> ControlFlow<()> {
        let searched = &mut self.searched;
        searched.traces += traces;
        searched.spans += spans;
        searched.back_to = back_to_us;
        self.taker.tell(searched);
        let enough = self.taker.has_enough(back_to_us);
        // The last news, that all is done, comes without spans.
        let done = spans == 0 && traces == 0;
        let spent = !enough
            && !done
            && (searched.spans >= self.limits.spans_max
                || self.started.elapsed() >= self.limits.time_max
                || self.stop.0.load(Ordering::Relaxed));
        if enough || spent {
            searched.to_the_end = false;
            searched.complete = !spent;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// Runs a query on the threads for queries and answers what it returns as JSON. Stops when nobody waits for the answer.
pub(super) async fn run<T: Serialize>(
    api: &ZipkinApi,
    asked: &Asked<'_>,
    work: impl FnOnce(&dyn Store, &Stop) -> Result<T, ReadError> + Send + 'static,
) -> Answered {
    let stop = Stop::default();
    let stops = stop.at_end();
    let takes_gzip = asked.takes_gzip;
    let read = move |store: &dyn Store| {
        let body = serde_json::to_vec(&work(store, &stop)?).unwrap_or_default();
        Ok(answer::compressible(JSON_UTF8, body, takes_gzip))
    };
    let answered = api.queries().run(read).await;
    drop(stops);
    Ok(answered?)
}
