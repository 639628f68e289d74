//! Runs what blocks, store reads and encoding, on a bounded number of threads and within a time.

use crate::metrics::Metrics;
use crate::options::Options;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracewell_store::{ReadError, ReadMemory, ReadWatch, Store};

/// More queries than this do not wait but are refused.
const WAITING_MAX: u64 = 1024;

/// The way to the store's reads.
pub(crate) struct Queries {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    running: Arc<Semaphore>,
    memory: Arc<ReadMemory>,
    time_max: Duration,
}

/// Why a query was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryError {
    #[error("too many queries are waiting, try again later")]
    Overloaded,
    #[error("the query took longer than {0:?}; ask for less, or raise --query-timeout")]
    TimedOut(Duration),
    #[error("{0}")]
    MemorySpent(ReadError),
    #[error("{0}")]
    Read(ReadError),
    #[error("the query failed: this is a mistake in the server")]
    Panicked,
}

impl From<ReadError> for QueryError {
    fn from(error: ReadError) -> Self {
        if matches!(error, ReadError::MemorySpent { .. }) { Self::MemorySpent(error) } else { Self::Read(error) }
    }
}

impl Queries {
    pub(crate) fn new(options: &Options, store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        let running = match options.queries_max {
            0 => 2 * std::thread::available_parallelism().map_or(1, usize::from),
            most => most,
        };
        let memory = ReadMemory::new(options.queries_memory_bytes_max());
        Self { store, metrics, running: Arc::new(Semaphore::new(running)), memory, time_max: options.query_timeout }
    }

    /// Bytes that running queries hold, and answers that are still sent.
    pub(crate) fn held_bytes(&self) -> usize {
        self.memory.held_bytes()
    }

    /// Runs a query. When the client goes away, or time is up, it is ended; it keeps its place among the running ones until it
    /// is.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&dyn Store) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, QueryError> {
        self.run_watched(ReadWatch::with_memory(Arc::clone(&self.memory)), query).await
    }

    /// As [`Self::run`] for one that may hold more than the memory of all queries: who calls bounds it otherwise.
    pub(crate) async fn run_large<T: Send + 'static>(
        &self,
        query: impl FnOnce(&dyn Store) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, QueryError> {
        self.run_watched(ReadWatch::default(), query).await
    }

    async fn run_watched<T: Send + 'static>(
        &self,
        watch: ReadWatch,
        query: impl FnOnce(&dyn Store) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let waiting = Waiting::new(Arc::clone(&self.metrics));
        if waiting.count > WAITING_MAX {
            self.metrics.queries_refused.add(1);
            return Err(QueryError::Overloaded);
        }
        let store = Arc::clone(&self.store);
        let _ends_with_this = CancelOnDrop(watch.clone());
        let answered = async {
            let place = Arc::clone(&self.running).acquire_owned().await.map_err(|_| QueryError::Overloaded)?;
            drop(waiting);
            let work = move || {
                let answer = watch.over(|| query(store.as_ref()));
                drop(place);
                answer
            };
            tokio::task::spawn_blocking(work).await.map_err(|_| QueryError::Panicked)?.map_err(QueryError::from)
        };
        timeout(self.time_max, answered).await.unwrap_or_else(|_| {
            self.metrics.queries_timed_out.add(1);
            Err(QueryError::TimedOut(self.time_max))
        })
    }
}

/// Ends a query when nobody waits for it any more.
struct CancelOnDrop(ReadWatch);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Counts the queries that wait, also when their client goes away.
struct Waiting {
    metrics: Arc<Metrics>,
    count: u64,
}

impl Waiting {
    fn new(metrics: Arc<Metrics>) -> Self {
        let count = metrics.queries_waiting.0.fetch_add(1, Ordering::Relaxed) + 1;
        Self { metrics, count }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.metrics.queries_waiting.0.fetch_sub(1, Ordering::Relaxed);
    }
}
