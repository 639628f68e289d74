//! Batches on their way to the log: bounded in bytes, never blocking who brings one.

use crate::store::{WriteDone, WriteError};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tracewell_model::SpanBatch;

/// A batch and who wants to know what became of it.
pub(super) struct Waiting {
    pub(super) batch: Arc<SpanBatch>,
    pub(super) answer: Answer,
    /// Its memory.
    pub(super) bytes: usize,
}

/// Who wants to know what became of a batch: is told once, even when the batch is dropped because something panicked.
pub(super) struct Answer(Option<WriteDone>);

impl Answer {
    pub(super) fn to(done: WriteDone) -> Self {
        Self(Some(done))
    }

    pub(super) fn give(mut self, result: Result<(), WriteError>) {
        self.tell(result);
    }

    fn tell(&mut self, result: Result<(), WriteError>) {
        let Some(done) = self.0.take() else { return };
        // What the sender does with it is not ours: its panic must not end the thread that writes.
        if catch_unwind(AssertUnwindSafe(|| done(result))).is_err() {
            tracing::error!("who was told of a write panicked");
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.tell(Err(WriteError::Failed("the batch was dropped on its way".to_owned())));
    }
}

/// See the module's text.
#[derive(Default)]
pub(super) struct WriteQueue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Of those waiting and of those taken and not yet released.
    bytes: usize,
    closed: bool,
}

impl WriteQueue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a batch if no more than `bytes_max` are in the queue then.
    pub(super) fn push(&self, waiting: Waiting, bytes_max: usize) -> Result<(), (Waiting, WriteError)> {
        let mut state = self.lock();
        if state.closed {
            return Err((waiting, WriteError::Closed));
        }
        if state.bytes + waiting.bytes > bytes_max {
            return Err((waiting, WriteError::Overloaded));
        }
        state.bytes += waiting.bytes;
        state.waiting.push_back(waiting);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Takes batches from the front, at least one if there is one, others while they are no more than `bytes_max`
    /// together.
    pub(super) fn take(&self, bytes_max: usize) -> Vec<Waiting> {
        take(&mut self.lock(), bytes_max)
    }

    /// The same, waiting for one; nothing when the queue is closed and empty.
    pub(super) fn take_wait(&self, bytes_max: usize) -> Vec<Waiting> {
        let state = self.lock();
        let waits = |state: &mut State| state.waiting.is_empty() && !state.closed;
        let mut state = self.filled.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
        take(&mut state, bytes_max)
    }

    /// Batches that were taken are where they belong, their memory is counted there.
    pub(super) fn release(&self, bytes: usize) {
        self.lock().bytes -= bytes;
    }

    /// Takes no more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }
}

fn take(state: &mut State, bytes_max: usize) -> Vec<Waiting> {
    let mut taken = vec![];
    let mut bytes = 0;
    while let Some(next) = state.waiting.front() {
        if !taken.is_empty() && bytes + next.bytes > bytes_max {
            break;
        }
        bytes += next.bytes;
        taken.extend(state.waiting.pop_front());
    }
    taken
}
