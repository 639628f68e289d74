//! The archive: traces that are kept whatever the retention says, in a store of their own inside the data directory. It is
//! opened by the first who needs it, so that a server nobody archives with pays nothing for it.

use crate::metrics::Metrics;
use crate::options::Options;
use crate::storage::embedded_options;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use tracewell_model::{BatchFull, SpanBatch, SpanId, SpanRef, TraceGrouping, TraceId};
use tracewell_store::{EmbeddedOptions, EmbeddedStore, ReadError, RealDisk, Store, WriteError};

/// Its folder in the data directory.
pub(crate) const FOLDER: &str = "archive";
/// A larger trace is written in pieces, so that each fits the store's queue.
const WRITTEN_SPANS_MAX: usize = 10_000;

/// Keeps traces past retention.
pub(crate) struct Archive {
    folder: PathBuf,
    options: EmbeddedOptions,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

enum State {
    NotOpened,
    Open(Arc<dyn Store>),
    Closed,
}

/// Why a trace was not archived.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("the archive does not open: {0}")]
    Open(String),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("{0}")]
    Full(#[from] BatchFull),
}

impl Archive {
    /// The archive of these options; `None` when it is off. Touches no file.
    pub(crate) fn new(options: &Options, metrics: Arc<Metrics>) -> Option<Self> {
        let folder = options.data_dir.join(FOLDER);
        // What is archived goes only by hand: neither age nor room take it away.
        let options_kept = EmbeddedOptions {
            retention_age_us: u64::MAX,
            retention_bytes_max: None,
            disk_free_bytes_min: Some(0),
            tag_keys: vec![],
            search_enabled: false,
            ..embedded_options(options)
        };
        let state = Mutex::new(State::NotOpened);
        options.jaeger_archive.then_some(Self { folder, options: options_kept, metrics, state })
    }

    /// The archived spans of these traces, a batch a trace. Blocks.
    pub(crate) fn traces(&self, ids: &[TraceId], grouping: TraceGrouping) -> Result<Vec<SpanBatch>, ReadError> {
        // Reading makes no folder.
        if matches!(*self.state(), State::NotOpened) && !self.folder.is_dir() {
            return Ok(vec![]);
        }
        match self.store() {
            Ok(store) => store.traces(ids, grouping),
            Err(error) => Err(ReadError::Failed(error.to_string())),
        }
    }

    /// Keeps a trace; what is there already is not written again. Blocks until it is durable.
    pub(crate) fn keep(&self, trace: &SpanBatch, grouping: TraceGrouping) -> Result<(), ArchiveError> {
        let store = self.store()?;
        let ids: Vec<TraceId> = trace.spans().next().map(|span| span.trace_id()).into_iter().collect();
        let kept = store.traces(&ids, grouping)?;
        let missing = missing(trace, kept.first());
        for spans in missing.chunks(WRITTEN_SPANS_MAX) {
            let mut batch = SpanBatch::new();
            spans.iter().try_for_each(|span| batch.push_copy(*span))?;
            write(store.as_ref(), batch)?;
        }
        if !missing.is_empty() {
            self.metrics.traces_archived.add(1);
        }
        Ok(())
    }

    /// Closes it for good. Blocks.
    pub(crate) fn close(&self) {
        if let State::Open(store) = std::mem::replace(&mut *self.state(), State::Closed) {
            store.close();
        }
    }

    fn store(&self) -> Result<Arc<dyn Store>, ArchiveError> {
        let mut state = self.state();
        match &*state {
            State::Open(store) => return Ok(Arc::clone(store)),
            State::Closed => return Err(ArchiveError::Write(WriteError::Closed)),
            State::NotOpened => {}
        }
        let failed = |error: &dyn std::fmt::Display| ArchiveError::Open(error.to_string());
        let disk = RealDisk::open(&self.folder).map_err(|error| failed(&error))?;
        let store = EmbeddedStore::open(self.options.clone(), Arc::new(disk)).map_err(|error| failed(&error))?;
        tracing::info!(folder = %self.folder.display(), "the archive is open");
        let store: Arc<dyn Store> = Arc::new(store);
        *state = State::Open(Arc::clone(&store));
        Ok(store)
    }

    /// A panic elsewhere left nothing half done: every change is one step.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A trace as all of its spans: those of `trace`, and those that only `kept` has.
pub(crate) fn united(trace: &mut SpanBatch, kept: &SpanBatch) -> Result<(), BatchFull> {
    missing(kept, Some(trace)).into_iter().try_for_each(|span| trace.push_copy(span))
}

/// The spans of `trace` that `known` has not.
fn missing<'a>(trace: &'a SpanBatch, known: Option<&SpanBatch>) -> Vec<SpanRef<'a>> {
    let mut by_id: HashMap<SpanId, Vec<SpanRef<'_>>> = HashMap::new();
    for span in known.iter().flat_map(|known| known.spans()) {
        by_id.entry(span.id()).or_default().push(span);
    }
    let is_known =
        |span: &SpanRef<'_>| by_id.get(&span.id()).is_some_and(|spans| spans.iter().any(|known| span.same(*known)));
    trace.spans().filter(|span| !is_known(span)).collect()
}

fn write(store: &dyn Store, batch: SpanBatch) -> Result<(), WriteError> {
    let (answer, answered) = mpsc::sync_channel(1);
    let done = move |result| {
        // Whoever waited may be gone.
        answer.send(result).ok();
    };
    store.write(batch, Box::new(done));
    answered.recv().unwrap_or(Err(WriteError::Closed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracewell_model::Span;

    const GROUPING: TraceGrouping = TraceGrouping::Strict;

    fn trace(names: &[&str]) -> SpanBatch {
        let mut batch = SpanBatch::new();
        for (at, name) in names.iter().enumerate() {
            let (trace_id, id) = (TraceId::new(7), SpanId::new(at as u64 + 1));
            batch.push_span(&Span { trace_id, id, name: (*name).to_owned(), ..Span::default() }).unwrap();
        }
        batch
    }

    fn archive(folder: &std::path::Path) -> (Archive, Arc<Metrics>) {
        let options = Options { data_dir: folder.to_owned(), jaeger_archive: true, ..Options::default() };
        let metrics = Arc::new(Metrics::new());
        (Archive::new(&options, Arc::clone(&metrics)).unwrap(), metrics)
    }

    fn names(archive: &Archive) -> Vec<String> {
        let traces = archive.traces(&[TraceId::new(7)], GROUPING).unwrap();
        traces.iter().flat_map(|trace| trace.spans()).map(|span| span.name().to_owned()).collect()
    }

    #[test]
    fn what_is_kept_is_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let (first, metrics) = archive(directory.path());
        assert!(names(&first).is_empty() && !directory.path().join(FOLDER).exists(), "reading makes no folder");
        first.keep(&trace(&["a", "b"]), GROUPING).unwrap();
        first.keep(&trace(&["a", "b"]), GROUPING).unwrap();
        assert_eq!((names(&first), metrics.traces_archived.get()), (vec!["a".to_owned(), "b".to_owned()], 1));
        first.close();
        assert_eq!(first.keep(&trace(&["c"]), GROUPING), Err(ArchiveError::Write(WriteError::Closed)));
        let (second, _) = archive(directory.path());
        assert_eq!(names(&second), ["a", "b"]);
    }

    #[test]
    fn a_trace_is_united_from_what_is_left_and_what_was_kept() {
        let (mut left, kept) = (trace(&["a"]), trace(&["a", "b", "c"]));
        united(&mut left, &kept).unwrap();
        assert_eq!(left.spans().map(|span| span.name()).collect::<Vec<_>>(), ["a", "b", "c"]);
        united(&mut left, &kept).unwrap();
        assert_eq!(left.len(), 3);
    }
}
