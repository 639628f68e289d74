//! A store in memory alone, for so many spans: for trying out and for tests of services. What is stored dies with the process;
//! when there are more spans than allowed, the oldest traces go, whole and with their names, as in Zipkin's in-memory
//! storage.
//!
//! Spans lie in [`Memtable`]s, so searches are the embedded store's. One thread writes; readers take the list of tables as
//! it is.

mod make_room;
#[cfg(test)]
mod tests;

use crate::memtable::Memtable;
use crate::search::View;
use crate::store::{
    Capabilities, DependencyWindow, ReadError, SearchVisitor, SpanSearch, Store, StoreHealth, StoreStats, TracePart,
    WriteDone, WriteError, WriterCall,
};
use crate::write_queue::{TakenBy, Waiting, WriteQueue};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tracewell_model::{DependencyLink, Kind, SpanBatch, SpanQuery, SpanRef, TraceGrouping, TraceId, TraceQuery};

/// How the store in memory works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryOptions {
    /// So many spans are kept, or those of one batch if it has more. Default: 500,000, as Zipkin.
    pub spans_max: usize,
    /// Memory for batches that wait to be written; when it is spent, writes are refused as [`WriteError::Overloaded`].
    /// Default: 32 MiB.
    pub write_queue_bytes_max: usize,
    /// The tags whose values [`Store::tag_values`] completes. Default: none.
    pub tag_keys: Vec<String>,
    /// Whether anything but traces by id and dependencies can be asked for. Default: yes.
    pub search_enabled: bool,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self { spans_max: 500_000, write_queue_bytes_max: 32 << 20, tag_keys: vec![], search_enabled: true }
    }
}

/// Batches are taken together up to about this much.
const GROUP_BYTES_MAX: usize = 1 << 20;
/// Tables are not smaller than this, however few spans are kept.
const TABLE_SPANS_MIN: usize = 1024;
/// Of the spans that are kept each table has about one part in so many: only few tables are made anew to drop traces.
const TABLES: usize = 16;

/// See the module's text.
pub struct MemoryStore {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    options: MemoryOptions,
    tag_keys: Arc<[String]>,
    /// A table that has so many spans is followed by the next.
    table_spans: usize,
    queue: WriteQueue,
    /// Oldest first; only the last one grows.
    tables: RwLock<Vec<Arc<Memtable>>>,
    batches_written: AtomicU64,
    spans_written: AtomicU64,
    writes_refused: AtomicU64,
}

impl MemoryStore {
    /// An empty store, and its thread.
    pub fn open(options: MemoryOptions) -> std::io::Result<Self> {
        let table_spans = (options.spans_max / TABLES).max(TABLE_SPANS_MIN);
        Self::with_tables(options, table_spans)
    }

    fn with_tables(options: MemoryOptions, table_spans: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            tag_keys: options.tag_keys.clone().into(),
            table_spans,
            queue: WriteQueue::new(Duration::ZERO),
            tables: RwLock::default(),
            batches_written: AtomicU64::new(0),
            spans_written: AtomicU64::new(0),
            writes_refused: AtomicU64::new(0),
            options,
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("tracewell-write".to_owned());
        let thread = thread.spawn(move || of_thread.write_until_closed())?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    fn view(&self) -> View {
        View { segments: vec![], memtables: self.shared.tables() }
    }

    fn searchable(&self) -> Result<View, ReadError> {
        if self.shared.options.search_enabled { Ok(self.view()) } else { Err(ReadError::SearchDisabled) }
    }
}

impl Shared {
    fn tables(&self) -> Vec<Arc<Memtable>> {
        // The list is changed in one step.
        self.tables.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change_tables(&self, change: impl FnOnce(&mut Vec<Arc<Memtable>>)) {
        change(&mut self.tables.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn write_until_closed(&self) {
        loop {
            let group = self.queue.take_wait(GROUP_BYTES_MAX);
            if group.is_empty() {
                return;
            }
            self.write(group);
        }
    }

    /// Takes a batch to be written, or refuses it at once.
    fn submit(&self, mut batch: SpanBatch, done: WriteDone, by: TakenBy) {
        batch.shrink_to_fit();
        let waiting = Waiting::new(batch, done);
        let (bytes, bytes_max) = (waiting.bytes, self.options.write_queue_bytes_max);
        let pushed = match bytes > bytes_max && !self.queue.is_closed() {
            true => Err((waiting, WriteError::TooLarge { bytes, bytes_max })),
            false => self.queue.push(waiting, bytes_max, by),
        };
        if let Err((waiting, error)) = pushed {
            self.writes_refused.fetch_add(1, Relaxed);
            waiting.answer.give(Err(error));
        }
    }

    /// Writes a group that was taken, and says so to the queue.
    fn write(&self, group: Vec<Waiting>) {
        for Waiting { batch, answer, bytes } in group {
            let kept = catch_unwind(AssertUnwindSafe(|| self.keep(batch)));
            self.queue.release(bytes);
            answer.give(kept.map_err(|_| WriteError::Failed("writing panicked; see the log".to_owned())));
        }
        self.queue.written();
    }

    fn keep(&self, batch: Arc<SpanBatch>) {
        let spans = batch.len();
        if let Some(tables) = make_room::tables_with_room(self, spans) {
            self.change_tables(|current| *current = tables);
        }
        let last = self.tables().pop().filter(|table| table.spans() < self.table_spans);
        let table = last.unwrap_or_else(|| {
            let new = Arc::new(Memtable::new(Arc::clone(&self.tag_keys)));
            self.change_tables(|tables| tables.push(Arc::clone(&new)));
            new
        });
        table.insert(batch);
        self.batches_written.fetch_add(1, Relaxed);
        self.spans_written.fetch_add(spans as u64, Relaxed);
    }
}

impl Store for MemoryStore {
    fn write(&self, batch: SpanBatch, done: WriteDone) {
        self.shared.submit(batch, done, TakenBy::Thread);
    }

    fn write_at_commit(&self, batch: SpanBatch, done: WriteDone) {
        self.shared.submit(batch, done, TakenBy::Caller);
    }

    fn commit(&self, call: &WriterCall) -> bool {
        let group = self.shared.queue.take(GROUP_BYTES_MAX, Some(call));
        if group.is_empty() {
            return false;
        }
        self.shared.write(group);
        self.shared.queue.has_waiting()
    }

    fn traces(&self, ids: &[TraceId], grouping: TraceGrouping) -> Result<Vec<SpanBatch>, ReadError> {
        self.view().traces(ids, grouping)
    }

    fn trace_len(&self, id: TraceId) -> Result<u64, ReadError> {
        self.view().trace_len(id)
    }

    fn read_trace(
        &self,
        id: TraceId,
        grouping: TraceGrouping,
        part: TracePart,
        read: &mut dyn FnMut(&[SpanRef<'_>]),
    ) -> Result<(), ReadError> {
        self.view().read_trace(id, grouping, part, read)
    }

    fn find(&self, query: &TraceQuery) -> Result<Vec<SpanBatch>, ReadError> {
        self.searchable()?.find(query)
    }

    fn find_spans(&self, query: &SpanQuery, also: &dyn Fn(SpanRef<'_>) -> bool) -> Result<Vec<SpanBatch>, ReadError> {
        self.searchable()?.find_spans(query, also)
    }

    fn search(&self, search: &SpanSearch<'_>, visitor: &mut dyn SearchVisitor) -> Result<(), ReadError> {
        self.searchable()?.search(search, visitor)
    }

    fn service_names(&self) -> Result<Vec<String>, ReadError> {
        self.searchable()?.service_names()
    }

    fn span_names(&self, service: &str) -> Result<Vec<String>, ReadError> {
        self.searchable()?.span_names(service)
    }

    fn operations(&self, service: &str) -> Result<Vec<(String, Kind)>, ReadError> {
        self.searchable()?.operations(service)
    }

    fn remote_service_names(&self, service: &str) -> Result<Vec<String>, ReadError> {
        self.searchable()?.remote_service_names(service)
    }

    fn tag_values(&self, key: &str) -> Result<Vec<String>, ReadError> {
        let view = self.searchable()?;
        if self.shared.tag_keys.iter().any(|known| known == key) { view.tag_values(key) } else { Ok(vec![]) }
    }

    fn tag_keys(&self) -> Vec<String> {
        self.shared.options.tag_keys.clone()
    }

    fn dependencies(&self, window: DependencyWindow) -> Result<Vec<DependencyLink>, ReadError> {
        self.view().dependencies(window)
    }

    fn visit_traces(
        &self,
        window: DependencyWindow,
        grouping: TraceGrouping,
        visit: &mut dyn FnMut(&[SpanRef<'_>]),
    ) -> Result<(), ReadError> {
        self.view().visit_traces(window, grouping, visit)
    }

    fn health(&self) -> StoreHealth {
        StoreHealth::default()
    }

    fn stats(&self) -> StoreStats {
        let tables = self.shared.tables();
        let spans = tables.iter().map(|table| table.spans() as u64).sum();
        StoreStats {
            spans_stored: spans,
            batches_written: self.shared.batches_written.load(Relaxed),
            spans_written: self.shared.spans_written.load(Relaxed),
            writes_refused: self.shared.writes_refused.load(Relaxed),
            write_queue_bytes: self.shared.queue.bytes() as u64,
            memory_bytes: tables.iter().map(|table| table.memory_bytes() as u64).sum(),
            memory_spans: spans,
            ..StoreStats::default()
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { durable: false, retention: true }
    }

    fn close(&self) {
        self.shared.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes panicked");
        }
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.close();
    }
}
