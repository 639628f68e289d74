//! Batches on their way to the thread that writes, bounded in bytes.

use crate::store::{WriteDone, WriteError};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use tracewell_model::SpanBatch;

/// See the module's text.
pub(super) struct Queue {
    bytes_max: usize,
    state: Mutex<State>,
    called: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    refused: u64,
    closed: bool,
}

/// A batch, and who wants to know.
pub(super) struct Waiting {
    pub(super) batch: SpanBatch,
    pub(super) done: WriteDone,
    bytes: usize,
}

impl Queue {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, state: Mutex::default(), called: Condvar::new() }
    }

    /// Takes a batch or gives back who is to be told why not.
    pub(super) fn push(&self, batch: SpanBatch, done: WriteDone) -> Result<(), (WriteDone, WriteError)> {
        let bytes = batch.memory_bytes();
        let mut state = self.lock();
        let error = if state.closed {
            WriteError::Closed
        } else if bytes > self.bytes_max {
            WriteError::TooLarge { bytes, bytes_max: self.bytes_max }
        } else if state.bytes + bytes > self.bytes_max {
            WriteError::Overloaded
        } else {
            state.bytes += bytes;
            state.waiting.push_back(Waiting { batch, done, bytes });
            drop(state);
            self.called.notify_one();
            return Ok(());
        };
        state.refused += 1;
        Err((done, error))
    }

    /// The next batch; waits for one. `None` when the queue is closed and empty.
    pub(super) fn next(&self) -> Option<Waiting> {
        let waits = |state: &mut State| state.waiting.is_empty() && !state.closed;
        let mut state = self.called.wait_while(self.lock(), waits).unwrap_or_else(PoisonError::into_inner);
        let next = state.waiting.pop_front()?;
        state.bytes -= next.bytes;
        Some(next)
    }

    /// Takes no more; what waits is still written.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.called.notify_all();
    }

    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    pub(super) fn refused(&self) -> u64 {
        self.lock().refused
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is whole before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
