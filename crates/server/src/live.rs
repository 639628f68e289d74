//! Who watches spans as they arrive: each with a filter, and room for a few spans until they are sent. What does not fit is
//! counted and forgotten. While nobody watches, a batch costs the reading of one number.

use serde::Serialize;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tracewell_model::{SpanBatch, SpanFilter, SpanRef};

/// More watchers are refused.
const WATCHERS_MAX: usize = 64;
/// Spans that wait for one watcher.
const SPANS_WAITING_MAX: usize = 100;
/// Between two messages a watcher's filter is asked about so many spans at most: what watching may cost the way in.
const SPANS_LOOKED_AT_MAX: u64 = 20_000;

/// All who watch.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// How many there are, so that nobody needs the lock to learn that there are none.
    count: AtomicUsize,
    watchers: Mutex<Watchers>,
    spans_lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Watchers {
    all: Vec<Arc<Watcher>>,
    closed: bool,
}

/// One who watches.
#[derive(Debug)]
struct Watcher {
    filter: SpanFilter,
    waiting: Mutex<Waiting>,
    looked_at: AtomicU64,
    closed: Notify,
}

/// What waits to be sent.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) spans: Vec<LiveSpan>,
    /// How many there was no room for.
    pub(crate) lost: u64,
}

/// A span as it is shown while it passes. Times are microseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LiveSpan {
    trace_id: String,
    span_id: String,
    parent_id: Option<String>,
    service: String,
    name: String,
    kind: &'static str,
    timestamp: u64,
    duration: u64,
    error: bool,
}

/// A watcher's end. Dropped, it watches no more.
pub(crate) struct Watch {
    live: Arc<Live>,
    watcher: Arc<Watcher>,
}

/// What the watchers will see of a batch once it is kept.
#[derive(Default)]
pub(crate) struct Watched<'l> {
    live: Option<&'l Live>,
    by_watcher: Vec<(Arc<Watcher>, Waiting)>,
}

impl Live {
    /// Begins to watch. `None` when too many do, or the server is being stopped.
    pub(crate) fn watch(self: &Arc<Self>, filter: SpanFilter) -> Option<Watch> {
        let mut watchers = lock(&self.watchers);
        if watchers.closed || watchers.all.len() >= WATCHERS_MAX {
            return None;
        }
        let (waiting, looked_at, closed) = (Mutex::default(), AtomicU64::new(0), Notify::new());
        let watcher = Arc::new(Watcher { filter, waiting, looked_at, closed });
        watchers.all.push(Arc::clone(&watcher));
        self.count.store(watchers.all.len(), Ordering::Release);
        drop(watchers);
        Some(Watch { live: Arc::clone(self), watcher })
    }

    /// What of a batch is to be shown.
    pub(crate) fn look_at(&self, batch: &SpanBatch) -> Watched<'_> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Watched::default();
        }
        let watchers = lock(&self.watchers).all.clone();
        let look = |watcher: Arc<Watcher>| {
            let seen = watcher.look_at(batch);
            (watcher, seen)
        };
        Watched { live: Some(self), by_watcher: watchers.into_iter().map(look).collect() }
    }

    /// How many watch.
    pub(crate) fn watchers(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// How many spans watchers did not see.
    pub(crate) fn spans_lost(&self) -> u64 {
        self.spans_lost.load(Ordering::Relaxed)
    }

    /// Ends all watching.
    pub(crate) fn close(&self) {
        let mut watchers = lock(&self.watchers);
        watchers.closed = true;
        watchers.all.drain(..).for_each(|watcher| watcher.closed.notify_one());
        self.count.store(0, Ordering::Release);
    }
}

impl Watched<'_> {
    /// Shows it.
    pub(crate) fn show(self) {
        let Some(live) = self.live else { return };
        for (watcher, seen) in self.by_watcher {
            let mut waiting = lock(&watcher.waiting);
            let room = SPANS_WAITING_MAX.saturating_sub(waiting.spans.len()).min(seen.spans.len());
            let lost = seen.lost + (seen.spans.len() - room) as u64;
            waiting.spans.extend(seen.spans.into_iter().take(room));
            waiting.lost += lost;
            live.spans_lost.fetch_add(lost, Ordering::Relaxed);
        }
    }
}

impl Watcher {
    fn look_at(&self, batch: &SpanBatch) -> Waiting {
        let spans = batch.len() as u64;
        let before = self.looked_at.fetch_add(spans, Ordering::Relaxed);
        let looks_at = SPANS_LOOKED_AT_MAX.saturating_sub(before).min(spans);
        // Whether those that are not looked at would be shown is not known; that they are missing is said.
        let mut seen = Waiting { spans: vec![], lost: spans - looks_at };
        for span in batch.spans().take(looks_at as usize).filter(|span| self.filter.matches(*span)) {
            if seen.spans.len() < SPANS_WAITING_MAX {
                seen.spans.push(LiveSpan::of(span));
            } else {
                seen.lost += 1;
            }
        }
        seen
    }
}

impl Watch {
    /// What waits; nothing does then.
    pub(crate) fn take(&self) -> Waiting {
        self.watcher.looked_at.store(0, Ordering::Relaxed);
        std::mem::take(&mut *lock(&self.watcher.waiting))
    }

    /// Comes back when the server is being stopped.
    pub(crate) async fn closed(&self) {
        self.watcher.closed.notified().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watchers = lock(&self.live.watchers);
        watchers.all.retain(|watcher| !Arc::ptr_eq(watcher, &self.watcher));
        self.live.count.store(watchers.all.len(), Ordering::Release);
    }
}

impl LiveSpan {
    fn of(span: SpanRef<'_>) -> Self {
        Self {
            trace_id: span.trace_id().to_string(),
            span_id: span.id().to_string(),
            parent_id: span.parent().map(|parent| parent.to_string()),
            service: span.service_name().to_owned(),
            name: span.name().to_owned(),
            kind: span.kind().word(),
            timestamp: span.timestamp_us(),
            duration: span.duration_us(),
            error: span.is_error(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracewell_model::{Span, SpanId, TraceId};

    fn batch(spans: u64) -> SpanBatch {
        let mut batch = SpanBatch::new();
        for at in 1..=spans {
            let name = if at.is_multiple_of(2) { "even" } else { "odd" }.to_owned();
            batch.push_span(&Span { trace_id: TraceId::new(1), id: SpanId::new(at), name, ..Span::default() }).unwrap();
        }
        batch
    }

    #[test]
    fn watchers_see_what_they_ask_for_and_are_told_what_they_miss() {
        let live = Arc::new(Live::default());
        live.look_at(&batch(3)).show();
        let watch = live.watch(SpanFilter::parse("name:even").unwrap()).unwrap();
        live.look_at(&batch(5)).show();
        drop(live.look_at(&batch(5))); // the store refused it
        let seen = watch.take();
        assert_eq!((seen.spans.len(), seen.lost), (2, 0));
        live.look_at(&batch(150)).show();
        live.look_at(&batch(100)).show();
        let seen = watch.take();
        assert_eq!((seen.spans.len(), seen.lost), (100, 25), "they wait for a slow one up to a number");
        live.look_at(&batch(SPANS_LOOKED_AT_MAX)).show();
        live.look_at(&batch(7)).show();
        assert_eq!(watch.take().lost, SPANS_LOOKED_AT_MAX / 2 - 100 + 7, "and are looked at up to a number");
        assert_eq!((live.watchers(), live.spans_lost()), (1, 25 + SPANS_LOOKED_AT_MAX / 2 - 100 + 7));
        drop(watch);
        assert_eq!(live.watchers(), 0);
        let all: Vec<_> = (0..WATCHERS_MAX).map(|_| live.watch(SpanFilter::all()).unwrap()).collect();
        assert!(live.watch(SpanFilter::all()).is_none());
        drop(all);
        live.close();
        assert!(live.watch(SpanFilter::all()).is_none());
    }
}
