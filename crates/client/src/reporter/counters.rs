//! What became of the spans that a reporter took: counted by it, read by anyone at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a reporter counts that keeps spans back or sends them from elsewhere. A clone counts into the same place.
///
/// ```
/// let counters = tracewell::ReporterCounters::new("mine");
/// counters.queued(3);
/// counters.settled(2, 1);
/// let stats = counters.stats();
/// assert_eq!((stats.reported, stats.failed, stats.queued), (2, 1, 0));
/// ```
#[derive(Debug, Clone, Default)]
pub struct ReporterCounters {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    name: &'static str,
    reported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    retries: AtomicU64,
    queued: AtomicU64,
    queued_bytes: AtomicU64,
    /// Of a composite, which counts nothing itself.
    members: Vec<ReporterCounters>,
}

/// What became of the spans that a reporter took. Those taken are `reported + failed + dropped + queued`.
///
/// ```
/// use tracewell::{CompositeReporter, InMemoryReporter, Tracer};
/// let both = CompositeReporter::default().with(InMemoryReporter::default()).with(InMemoryReporter::default());
/// let tracer = Tracer::builder("shop").build(both);
/// assert!(tracer.reporter_stats().iter().all(|stats| stats.reported == 0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ReporterStats {
    /// What kind of reporter it is.
    pub name: &'static str,
    /// Spans that arrived: the server said so, or there is nobody to say it (UDP).
    pub reported: u64,
    /// Spans that were refused, or lost when their time was up.
    pub failed: u64,
    /// Spans that there was no room for.
    pub dropped: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// Spans that wait to be sent, or for an answer.
    pub queued: u64,
    /// The memory that these take, bytes.
    pub queued_bytes: u64,
}

impl ReporterCounters {
    /// All zero.
    ///
    /// ```
    /// let counters = tracewell::ReporterCounters::new("mine");
    /// assert_eq!((counters.stats().name, counters.stats().queued), ("mine", 0));
    /// ```
    pub fn new(name: &'static str) -> Self {
        Self { inner: Arc::new(Inner { name, ..Inner::default() }) }
    }

    /// Of several reporters that each take every span.
    pub(crate) fn of_all(members: Vec<Self>) -> Self {
        Self { inner: Arc::new(Inner { name: "composite", members, ..Inner::default() }) }
    }

    /// So many spans were taken and wait.
    ///
    /// ```
    /// let counters = tracewell::ReporterCounters::new("mine");
    /// counters.queued(3);
    /// assert_eq!(counters.stats().queued, 3);
    /// ```
    pub fn queued(&self, spans: u64) {
        self.inner.queued.fetch_add(spans, Ordering::Relaxed);
    }

    /// So many of those that waited arrived, and so many are lost.
    ///
    /// ```
    /// let counters = tracewell::ReporterCounters::new("mine");
    /// counters.queued(3);
    /// counters.settled(2, 1);
    /// assert_eq!((counters.stats().reported, counters.stats().failed), (2, 1));
    /// ```
    pub fn settled(&self, reported: u64, failed: u64) {
        self.inner.reported.fetch_add(reported, Ordering::Relaxed);
        self.inner.failed.fetch_add(failed, Ordering::Relaxed);
        self.inner.queued.fetch_sub(reported + failed, Ordering::Relaxed);
    }

    /// So many spans found no room.
    ///
    /// ```
    /// let counters = tracewell::ReporterCounters::new("mine");
    /// counters.dropped(5);
    /// assert_eq!(counters.stats().dropped, 5);
    /// ```
    pub fn dropped(&self, spans: u64) {
        self.inner.dropped.fetch_add(spans, Ordering::Relaxed);
    }

    /// A request was sent again.
    ///
    /// ```
    /// let counters = tracewell::ReporterCounters::new("mine");
    /// counters.retried();
    /// assert_eq!(counters.stats().retries, 1);
    /// ```
    pub fn retried(&self) {
        self.inner.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// What those that wait take, bytes.
    ///
    /// ```
    /// let counters = tracewell::ReporterCounters::new("mine");
    /// counters.set_queued_bytes(700);
    /// assert_eq!(counters.stats().queued_bytes, 700);
    /// ```
    pub fn set_queued_bytes(&self, bytes: u64) {
        self.inner.queued_bytes.store(bytes, Ordering::Relaxed);
    }

    /// The numbers now. Of a composite: its member's to which the fewest arrived, so that they say what is missing.
    ///
    /// ```
    /// let counters = tracewell::ReporterCounters::new("mine");
    /// assert_eq!(counters.stats().reported, 0);
    /// ```
    pub fn stats(&self) -> ReporterStats {
        let members = self.inner.members.iter().map(Self::stats);
        if let Some(least) = members.min_by_key(|stats| stats.reported) {
            return least;
        }
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ReporterStats {
            name: self.inner.name,
            reported: read(&self.inner.reported),
            failed: read(&self.inner.failed),
            dropped: read(&self.inner.dropped),
            retries: read(&self.inner.retries),
            queued: read(&self.inner.queued),
            queued_bytes: read(&self.inner.queued_bytes),
        }
    }

    /// The numbers of each reporter: one, or a composite's members.
    ///
    /// ```
    /// let counters = tracewell::ReporterCounters::new("mine");
    /// assert_eq!(counters.each(), [counters.stats()]);
    /// ```
    pub fn each(&self) -> Vec<ReporterStats> {
        if self.inner.members.is_empty() {
            return vec![self.stats()];
        }
        self.inner.members.iter().flat_map(Self::each).collect()
    }
}
