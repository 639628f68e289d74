//! The contract between the server and whatever keeps its spans.

use std::ops::ControlFlow;
use std::sync::Arc;
use tracewell_model::{
    DependencyLink, Kind, SpanBatch, SpanFilter, SpanId, SpanQuery, SpanRef, TraceGrouping, TraceId, TraceQuery,
};

/// Keeps spans and finds them.
///
/// **Writing.** [`Store::write`] takes a batch whole and answers through `done`, once, from any thread, possibly before it
/// returns. `Ok` is a promise: the spans are as durable as the store is configured to make them, and every read that begins
/// afterwards sees them, also after the process was killed and started again. `Err` promises nothing: spans of a refused
/// batch may not be seen later (`Overloaded`, `Closed`) or may or may not be (`Failed`, the sender has to repeat). A store
/// never blocks the caller of `write`; when it cannot keep up it refuses with [`WriteError::Overloaded`].
///
/// **Reading.** Reads block the calling thread, see a consistent set of whole batches, and may run at the same time from many
/// threads. A trace is answered as **all** its spans, exactly equal copies once ([`tracewell_model::SpanRef::same`]), in the
/// order they arrived, not merged. With [`TraceGrouping::LowBits`] spans whose ids agree in the lower 64 bits are one trace.
///
/// **Searching** follows Zipkin's rule, [`TraceQuery::matches`], over whole traces: no matter which batch, segment or machine
/// their spans lie in. Answers are ordered by [`tracewell_model::trace_timestamp_us`], newest first, then by id, and hold the
/// `limit` newest of all matches.
///
/// **Reads end early** where a [`crate::ReadWatch`] says so, with [`ReadError::Ended`].
///
/// **Retention** may remove old spans at any time, whole traces or parts of them, oldest first.
pub trait Store: Send + Sync + 'static {
    /// Keeps a batch. See the trait's text. An empty batch is answered `Ok`.
    fn write(&self, batch: SpanBatch, done: WriteDone);

    /// The same from a thread that brings batches all the time and can wait for the disk now and then: it calls
    /// [`Store::commit`] when it has brought what there was, so that nobody has to be woken. What nobody comes to commit is
    /// written with what comes next, or when the store closes.
    fn write_at_commit(&self, batch: SpanBatch, done: WriteDone) {
        self.write(batch, done);
    }

    /// Writes some of what was brought to [`Store::write_at_commit`], by whichever thread, and answers those who brought it.
    /// Blocks as long as the disk takes. When another thread is writing already it does nothing, and `call` is called when
    /// it is time to commit again, if it still is. Answers whether more waits to be written.
    fn commit(&self, _call: &WriterCall) -> bool {
        false
    }

    /// The traces with these ids that are there, one batch a trace, in the order of `ids`; an id given twice counts once.
    fn traces(&self, ids: &[TraceId], grouping: TraceGrouping) -> Result<Vec<SpanBatch>, ReadError>;

    /// About how many spans the trace with this id has, copies and traces with the same lower half of the id among them.
    fn trace_len(&self, id: TraceId) -> Result<u64, ReadError> {
        Ok(self.traces(&[id], TraceGrouping::LowBits)?.iter().map(|trace| trace.len() as u64).sum())
    }

    /// Shows `read` a part of the trace with this id, once, unless it has no such spans: those of [`Store::traces`], without
    /// copying them. Of outlines equal ones may be there several times.
    fn read_trace(
        &self,
        id: TraceId,
        grouping: TraceGrouping,
        part: TracePart,
        read: &mut dyn FnMut(&[SpanRef<'_>]),
    ) -> Result<(), ReadError> {
        for trace in self.traces(&[id], grouping)? {
            let spans: Vec<SpanRef<'_>> = trace.spans().filter(|span| part.has(*span)).collect();
            if !spans.is_empty() {
                read(&spans);
            }
        }
        Ok(())
    }

    /// The traces a query asks for, one batch a trace. See the trait's text.
    fn find(&self, query: &TraceQuery) -> Result<Vec<SpanBatch>, ReadError>;

    /// The traces of which one span meets a query and also `also`, one batch a trace: whole, exactly as [`Store::traces`] with
    /// [`TraceGrouping::Strict`] answers them. Ordered by the latest start of such a span, newest first, then by id; the
    /// `limit` newest of all matches. `also` is asked only about spans that meet the query.
    fn find_spans(&self, query: &SpanQuery, also: &dyn Fn(SpanRef<'_>) -> bool) -> Result<Vec<SpanBatch>, ReadError>;

    /// Shows a visitor the traces of which one span begins inside the window and meets the filter, and how far it has come:
    /// what is newer comes sooner, but the order is rough. Ends when the visitor breaks off. Holds a small part of the traces
    /// in memory.
    fn search(&self, search: &SpanSearch<'_>, visitor: &mut dyn SearchVisitor) -> Result<(), ReadError> {
        let mut ended = false;
        self.visit_traces(search.window, search.grouping, &mut |spans| {
            if !ended {
                let found = search.match_us(spans).map(|match_us| visitor.found(spans, match_us));
                ended = found.is_some_and(|flow| flow.is_break())
                    || visitor.searched(1, spans.len() as u64, search.window.end_us).is_break();
            }
        })?;
        if !ended {
            // Nothing follows; whether it is asked to end does not matter.
            let _ended = visitor.searched(0, 0, search.window.start_us);
        }
        Ok(())
    }

    /// All names of local services as they were sent, sorted, each once, without the empty one.
    fn service_names(&self) -> Result<Vec<String>, ReadError>;

    /// The names of spans recorded by a service as they were sent, sorted, each once, without the empty one. The service is
    /// asked for in lower case and found in any.
    fn span_names(&self, service: &str) -> Result<Vec<String>, ReadError>;

    /// The names of spans recorded by a service, the empty one too, each with the kinds such spans have; sorted, each pair
    /// once. The service is found as it was sent.
    fn operations(&self, service: &str) -> Result<Vec<(String, Kind)>, ReadError>;

    /// The remote services of spans recorded by a service as they were sent, sorted, each once, without the empty one. The
    /// service is asked for in lower case and found in any.
    fn remote_service_names(&self, service: &str) -> Result<Vec<String>, ReadError>;

    /// Values of a tag, sorted, each once; of those with many values some may be left out. Only for the keys that the store
    /// was configured to complete: others answer nothing.
    fn tag_values(&self, key: &str) -> Result<Vec<String>, ReadError>;

    /// The keys that [`Store::tag_values`] answers, as configured.
    fn tag_keys(&self) -> Vec<String>;

    /// Links between services, by Zipkin's rules ([`tracewell_model::DependencyLinker`]), of the traces which have a span
    /// with a start inside the window; all spans of such a trace count. Traces are told apart by their lower 64 bits, as
    /// Zipkin 3.5 does. Sorted by parent, then child.
    fn dependencies(&self, window: DependencyWindow) -> Result<Vec<DependencyLink>, ReadError>;

    /// Calls `visit` with every trace which has a span with a start inside the window: all its spans, in the order they
    /// arrived, equal copies once. In no particular order; holds a small part of them in memory.
    fn visit_traces(
        &self,
        window: DependencyWindow,
        grouping: TraceGrouping,
        visit: &mut dyn FnMut(&[SpanRef<'_>]),
    ) -> Result<(), ReadError>;

    /// Whether it works, for `/health`.
    fn health(&self) -> StoreHealth;

    /// Figures for the metrics. Cheap.
    fn stats(&self) -> StoreStats;

    /// What this store can do.
    fn capabilities(&self) -> Capabilities;

    /// Finishes what was accepted and frees what is held; writes are refused from now on. Blocks. Idempotent.
    fn close(&self);
}

/// What of a trace [`Store::read_trace`] shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TracePart {
    /// All spans, with what a drawing shows. They may lack tags but `error`, what annotations have beside time and text,
    /// resource and scope, and what is rare but an error status.
    Outline,
    /// The spans with this id, whole.
    Span(SpanId),
}

impl TracePart {
    /// Whether a span is of it.
    pub fn has(self, span: SpanRef<'_>) -> bool {
        match self {
            Self::Outline => true,
            Self::Span(id) => span.id() == id,
        }
    }
}

/// Takes the answer to a write.
pub type WriteDone = Box<dyn FnOnce(Result<(), WriteError>) + Send>;

/// Calls a thread that wants to write; from any thread, must not block.
pub type WriterCall = Arc<dyn Fn() + Send + Sync>;

/// Why a batch was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// More is waiting than the store can take; try again after a while.
    #[error("the store is overloaded, try again later")]
    Overloaded,
    /// The disk is full, or the limit on its use is reached; reads go on, writes are taken again when there is room.
    #[error("the disk is full: {0}")]
    DiskFull(String),
    /// Writing failed. The store takes no more writes until it is started anew, because what a failed sync left on the disk
    /// is unknown.
    #[error("writing failed, the store takes no more spans until it is started again: {0}")]
    Failed(String),
    /// The store is being closed.
    #[error("the store is closing")]
    Closed,
    /// The batch is larger than the store takes at once.
    #[error("the batch is too large: {bytes} bytes, at most {bytes_max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// What is taken.
        bytes_max: usize,
    },
}

/// Why a read was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Reading failed; the text names file and offset.
    #[error("reading failed: {0}")]
    Failed(String),
    /// The store was configured not to be searched (`SEARCH_ENABLED=false`).
    #[error("search is disabled")]
    SearchDisabled,
    /// A [`crate::ReadWatch`] ended it: its time was up, or nobody waits for it.
    #[error("the read was ended before it was through")]
    Ended,
    /// What it holds, together with what others hold, is more than a [`crate::ReadMemory`] has.
    #[error(
        "the read needs more memory than is left of {bytes_max} bytes for all reads: ask for less, or try again later"
    )]
    MemorySpent {
        /// What all reads may hold.
        bytes_max: usize,
    },
}

/// Which traces to count links of. Microseconds since the epoch, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DependencyWindow {
    /// The earliest start.
    pub start_us: u64,
    /// The latest start.
    pub end_us: u64,
}

/// A search for [`Store::search`].
#[derive(Debug, Clone, Copy)]
pub struct SpanSearch<'a> {
    /// What one span of a trace has to meet.
    pub filter: &'a SpanFilter,
    /// When that span begins.
    pub window: DependencyWindow,
    /// Which spans make one trace.
    pub grouping: TraceGrouping,
}

/// Is shown what [`Store::search`] finds.
pub trait SearchVisitor {
    /// A trace that was found: all its spans, in the order they arrived, equal copies once; and the latest start of one that
    /// begins inside the window and meets the filter, microseconds.
    fn found(&mut self, spans: &[SpanRef<'_>], match_us: u64) -> ControlFlow<()>;

    /// So many more traces and spans were looked at; every trace was shown whose latest such start is behind `back_to_us`.
    fn searched(&mut self, traces: u64, spans: u64, back_to_us: u64) -> ControlFlow<()>;
}

impl SpanSearch<'_> {
    /// Whether a span begins inside the window and meets the filter.
    pub fn matches(&self, span: SpanRef<'_>) -> bool {
        self.window.contains(span.timestamp_us()) && self.filter.matches(span)
    }

    /// The latest start of a span that [matches](SpanSearch::matches).
    pub fn match_us(&self, spans: &[SpanRef<'_>]) -> Option<u64> {
        spans.iter().filter(|span| self.matches(**span)).map(|span| span.timestamp_us()).max()
    }
}

impl DependencyWindow {
    /// Whether a start is inside; zero is none.
    pub fn contains(&self, start_us: u64) -> bool {
        start_us != 0 && start_us >= self.start_us && start_us <= self.end_us
    }
}

/// Whether a store works.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreHealth {
    /// Why writes are refused, if they are.
    pub writes_refused: Option<String>,
    /// Damage that was found: what and where. Reads go on without what is damaged.
    pub damage: Vec<String>,
}

/// Figures of a store. Counters start at zero when the process starts; the others tell what is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each name says what it counts, with its unit last")]
pub struct StoreStats {
    pub spans_stored: u64,
    pub batches_written: u64,
    pub spans_written: u64,
    pub writes_refused: u64,
    pub write_queue_bytes: u64,
    pub log_syncs: u64,
    pub log_written_bytes: u64,
    pub log_bytes: u64,
    pub memory_bytes: u64,
    pub memory_spans: u64,
    pub segments: u64,
    pub segment_bytes: u64,
    pub segment_spans: u64,
    pub segments_sealed: u64,
    pub segments_merged: u64,
    pub segments_expired: u64,
    pub segments_damaged: u64,
    pub sealed_bytes: u64,
    pub merged_bytes: u64,
    pub expired_bytes: u64,
    pub catalog_written_bytes: u64,
    pub sealing_us: u64,
    pub merging_us: u64,
}

/// What a store can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// What was acknowledged survives the process and, if the store is so configured, the machine's power.
    pub durable: bool,
    /// Old spans are removed by themselves.
    pub retention: bool,
}
