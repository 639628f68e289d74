//! The embedded store: a directory that keeps spans durably and finds them. A writer thread takes what waits, a second thread
//! seals segments and removes old ones; reads run on the threads of who asks.

#[cfg(test)]
mod check_tests;
mod core;
#[cfg(test)]
mod crash_tests;
mod jumps;
mod merge;
mod options;
mod parts;
#[cfg(test)]
mod query_tests;
mod recover;
mod retain;
mod seal;
#[cfg(test)]
mod tests;
mod write;

pub use options::{EmbeddedOptions, OpenError};

use crate::clock::{Clock, SystemClock};
use crate::disk::Disk;
use crate::store::{
    Capabilities, DependencyWindow, ReadError, SearchVisitor, SpanSearch, Store, StoreHealth, StoreStats, TracePart,
    WriteDone, WriteError, WriterCall,
};
use crate::write_queue::{Answer, TakenBy};
use core::{Engine, lock};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tracewell_model::{DependencyLink, Kind, SpanBatch, SpanQuery, SpanRef, TraceGrouping, TraceId, TraceQuery};
use write::GroupWriter;

/// How often the thread that seals looks around by itself: for age, and for room on the disk.
const HOUSE_INTERVAL: Duration = Duration::from_secs(1);

/// See the module's text. Dropping it closes it.
pub struct EmbeddedStore {
    engine: Arc<Engine>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl EmbeddedStore {
    /// Opens the store of a directory ([`crate::RealDisk`]) and starts its threads. Everything acknowledged before is there
    /// when this returns. The directory is this process's until the store is closed.
    pub fn open(options: EmbeddedOptions, disk: Arc<dyn Disk>) -> Result<Self, OpenError> {
        Self::open_with_clock(options, disk, Arc::new(SystemClock))
    }

    /// The same, with another clock.
    pub fn open_with_clock(
        options: EmbeddedOptions,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let engine = Arc::new(Engine::open(options, disk, clock)?);
        let store = Self { engine, threads: Mutex::default() };
        store.start("tracewell-write", write_until_closed)?;
        store.start("tracewell-seal", keep_house_until_closed)?;
        Ok(store)
    }

    fn start(&self, name: &str, run: fn(&Engine)) -> Result<(), OpenError> {
        let engine = self.engine.clone();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || run(&engine));
        lock(&self.threads).push(thread.map_err(|error| OpenError::Thread(error.to_string()))?);
        Ok(())
    }

    fn searchable(&self) -> Result<(), ReadError> {
        if self.engine.options.search_enabled { Ok(()) } else { Err(ReadError::SearchDisabled) }
    }
}

fn write_until_closed(engine: &Engine) {
    let mut writer = GroupWriter::default();
    while catch_unwind(AssertUnwindSafe(|| writer.write_group(engine, true))).unwrap_or_else(|_| {
        // Whoever waits is told by the next round, which finds the engine failed.
        engine.fail("the thread that writes panicked");
        true
    }) {}
}

/// How much less of a processor that everybody wants the thread has that seals: who brings spans waits for others, not for it.
const SEALING_NICE: i32 = 5;

fn keep_house_until_closed(engine: &Engine) {
    // Of this thread alone; where the system does it otherwise, or not at all, sealing is as before.
    #[cfg(target_os = "linux")]
    let _unless_refused = rustix::process::setpriority_process(None, SEALING_NICE);
    while !engine.house.closing.load(SeqCst) {
        // What a thread brought that then did not come to write it.
        engine.commit(None);
        if catch_unwind(AssertUnwindSafe(|| engine.keep_house())).is_err() {
            // The steps are repeatable. If the cause stays, memory fills up and writes are refused.
            lock(&engine.refusals).sealing = Some("the thread that seals panicked; see the log".to_owned());
            tracing::error!("the thread that seals panicked, it goes on");
        }
        let called = lock(&engine.house.called);
        let waits = |called: &mut bool| !*called && !engine.house.closing.load(SeqCst);
        let waited = engine.house.call.wait_timeout_while(called, HOUSE_INTERVAL, waits);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

impl EmbeddedStore {
    fn take(&self, batch: SpanBatch, done: WriteDone, by: TakenBy) {
        if batch.is_empty() {
            let closed = self.engine.house.closing.load(SeqCst);
            return Answer::to(done).give(if closed { Err(WriteError::Closed) } else { Ok(()) });
        }
        self.engine.submit_to(batch, done, by);
    }
}

impl Store for EmbeddedStore {
    fn write(&self, batch: SpanBatch, done: WriteDone) {
        self.take(batch, done, TakenBy::Thread);
    }

    fn write_at_commit(&self, batch: SpanBatch, done: WriteDone) {
        self.take(batch, done, TakenBy::Caller);
    }

    fn commit(&self, call: &WriterCall) -> bool {
        self.engine.commit(Some(call))
    }

    fn traces(&self, ids: &[TraceId], grouping: TraceGrouping) -> Result<Vec<SpanBatch>, ReadError> {
        self.engine.view().traces(ids, grouping)
    }

    fn trace_len(&self, id: TraceId) -> Result<u64, ReadError> {
        self.engine.view().trace_len(id)
    }

    fn read_trace(
        &self,
        id: TraceId,
        grouping: TraceGrouping,
        part: TracePart,
        read: &mut dyn FnMut(&[SpanRef<'_>]),
    ) -> Result<(), ReadError> {
        self.engine.view().read_trace(id, grouping, part, read)
    }

    fn find(&self, query: &TraceQuery) -> Result<Vec<SpanBatch>, ReadError> {
        self.searchable()?;
        self.engine.view().find(query)
    }

    fn find_spans(&self, query: &SpanQuery, also: &dyn Fn(SpanRef<'_>) -> bool) -> Result<Vec<SpanBatch>, ReadError> {
        self.searchable()?;
        self.engine.view().find_spans(query, also)
    }

    fn search(&self, search: &SpanSearch<'_>, visitor: &mut dyn SearchVisitor) -> Result<(), ReadError> {
        self.searchable()?;
        self.engine.view().search(search, visitor)
    }

    fn service_names(&self) -> Result<Vec<String>, ReadError> {
        self.searchable()?;
        self.engine.view().service_names()
    }

    fn span_names(&self, service: &str) -> Result<Vec<String>, ReadError> {
        self.searchable()?;
        self.engine.view().span_names(service)
    }

    fn operations(&self, service: &str) -> Result<Vec<(String, Kind)>, ReadError> {
        self.searchable()?;
        self.engine.view().operations(service)
    }

    fn remote_service_names(&self, service: &str) -> Result<Vec<String>, ReadError> {
        self.searchable()?;
        self.engine.view().remote_service_names(service)
    }

    fn tag_values(&self, key: &str) -> Result<Vec<String>, ReadError> {
        self.searchable()?;
        if !self.engine.options.tag_keys.iter().any(|known| known == key) {
            return Ok(vec![]);
        }
        self.engine.view().tag_values(key)
    }

    fn tag_keys(&self) -> Vec<String> {
        self.engine.options.tag_keys.clone()
    }

    fn dependencies(&self, window: DependencyWindow) -> Result<Vec<DependencyLink>, ReadError> {
        self.engine.view().dependencies(window)
    }

    fn visit_traces(
        &self,
        window: DependencyWindow,
        grouping: TraceGrouping,
        visit: &mut dyn FnMut(&[SpanRef<'_>]),
    ) -> Result<(), ReadError> {
        self.engine.view().visit_traces(window, grouping, visit)
    }

    fn health(&self) -> StoreHealth {
        self.engine.health()
    }

    fn stats(&self) -> StoreStats {
        self.engine.stats()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { durable: true, retention: true }
    }

    /// What was accepted is written and answered, a segment being sealed is finished. Many recent spans are sealed, so that
    /// the next start need not replay them; few stay in the log, so that many starts do not make many small segments.
    fn close(&self) {
        let engine = &self.engine;
        engine.house.closing.store(true, SeqCst);
        engine.queue.close();
        engine.house.wake();
        let mut threads = lock(&self.threads);
        for thread in threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
        let Some(disk_lock) = lock(&engine.disk_lock).take() else { return };
        engine.seal_before_closing();
        if let Err(error) = engine.log.close() {
            tracing::warn!(%error, "the log was not closed cleanly; the next start reads all of it");
        }
        drop(disk_lock);
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.close();
    }
}
