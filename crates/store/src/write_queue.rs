//! Batches on their way to where they are kept: bounded in bytes, never blocking who brings one. One thread at a time takes a
//! group and writes it: the store's own, or one that brought batches and said that it would.

use crate::store::{WriteDone, WriteError, WriterCall};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracewell_model::SpanBatch;

/// A batch and who wants to know what became of it.
pub(crate) struct Waiting {
    pub(crate) batch: Arc<SpanBatch>,
    pub(crate) answer: Answer,
    /// Its memory.
    pub(crate) bytes: usize,
}

impl Waiting {
    pub(crate) fn new(batch: SpanBatch, done: WriteDone) -> Self {
        let bytes = batch.memory_bytes();
        Self { batch: Arc::new(batch), answer: Answer::to(done), bytes }
    }
}

/// Who is going to take a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TakenBy {
    /// The store's thread, which is woken for it.
    Thread,
    /// Who brought it; nobody is woken.
    Caller,
}

/// Who wants to know what became of a batch: is told once, even when the batch is dropped because something panicked.
pub(crate) struct Answer(Option<WriteDone>);

impl Answer {
    pub(crate) fn to(done: WriteDone) -> Self {
        Self(Some(done))
    }

    pub(crate) fn give(mut self, result: Result<(), WriteError>) {
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
pub(crate) struct WriteQueue {
    gather_time_max: Duration,
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// Of those waiting and of those taken and not yet released.
    bytes: usize,
    /// How many of those waiting the store's thread has to take.
    for_thread: usize,
    closed: bool,
    /// Whether a group was taken that is not written yet.
    writing: bool,
    /// Who wanted to write while another did, and how to call them.
    calls: VecDeque<WriterCall>,
    /// What the store's thread sleeps for; nothing while it does not, and then it need not be woken.
    awaited: Option<Awaited>,
    /// How many batches were taken together last.
    taken_last: usize,
}

/// So many batches, or batches of so many bytes.
#[derive(Clone, Copy)]
struct Awaited {
    batches: usize,
    bytes: usize,
}

impl State {
    fn has(&self, awaited: Awaited) -> bool {
        let enough = self.waiting.len() >= awaited.batches || self.waiting_bytes >= awaited.bytes;
        !self.writing && (self.closed || (enough && self.for_thread > 0))
    }
}

impl WriteQueue {
    /// An empty queue whose thread waits so long for the batches of senders that are about to send.
    pub(crate) fn new(gather_time_max: Duration) -> Self {
        Self { gather_time_max, state: Mutex::default(), filled: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a batch if no more than `bytes_max` are in the queue then.
    pub(crate) fn push(&self, waiting: Waiting, bytes_max: usize, by: TakenBy) -> Result<(), (Waiting, WriteError)> {
        let mut state = self.lock();
        if state.closed {
            return Err((waiting, WriteError::Closed));
        }
        if state.bytes + waiting.bytes > bytes_max {
            return Err((waiting, WriteError::Overloaded));
        }
        state.bytes += waiting.bytes;
        state.waiting_bytes += waiting.bytes;
        state.waiting.push_back(waiting);
        if by == TakenBy::Thread {
            state.for_thread += 1;
            self.wake_thread(state);
        }
        Ok(())
    }

    /// Takes batches from the front, at least one if there is one, others while they are no more than `bytes_max`
    /// together; nothing while another group is being written: then `call` is called when that is done and batches wait.
    /// Who gets any calls [`WriteQueue::written`] afterwards.
    pub(crate) fn take(&self, bytes_max: usize, call: Option<&WriterCall>) -> Vec<Waiting> {
        let mut state = self.lock();
        if state.waiting.is_empty() {
            return vec![];
        }
        if state.writing {
            state.calls.extend(call.cloned());
            return vec![];
        }
        take(&mut state, bytes_max)
    }

    /// The same for the store's thread, waiting for batches; nothing when the queue is closed and empty. Waits a little for
    /// more: for as many as there seem to be senders, which are those that were just answered and those that wait already.
    /// Who sends alone does not wait.
    pub(crate) fn take_wait(&self, bytes_max: usize) -> Vec<Waiting> {
        let mut state = self.lock();
        let senders = state.taken_last + state.waiting.len();
        if senders > 1 && !self.gather_time_max.is_zero() {
            state = self.sleep(state, Awaited { batches: senders, bytes: bytes_max }, Some(self.gather_time_max));
        }
        if state.writing || state.for_thread == 0 {
            state = self.sleep(state, Awaited { batches: 1, bytes: bytes_max }, None);
        }
        let taken = take(&mut state, bytes_max);
        state.taken_last = taken.len();
        taken
    }

    /// The group that was taken is written: the next may be. Calls one of those who wanted to, and wakes
    /// the store's thread if it has something to do.
    pub(crate) fn written(&self) {
        let mut state = self.lock();
        state.writing = false;
        let call = if state.waiting.is_empty() { None } else { state.calls.pop_front() };
        if call.is_none() {
            state.calls.clear();
        }
        // Who is called may be gone: the thread does not rely on it for what it has to write, nor when the queue is closed.
        self.wake_thread(state);
        if let Some(call) = call {
            call();
        }
    }

    /// Leaves what waits to the store's thread.
    pub(crate) fn leave_to_thread(&self) {
        let mut state = self.lock();
        state.for_thread = state.waiting.len();
        self.wake_thread(state);
    }

    fn wake_thread(&self, mut state: MutexGuard<'_, State>) {
        if state.awaited.is_some_and(|awaited| state.has(awaited)) {
            state.awaited = None;
            drop(state);
            self.filled.notify_one();
        }
    }

    fn sleep<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        awaited: Awaited,
        time_max: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        let waits = |state: &mut State| {
            let waits = !state.has(awaited);
            state.awaited = waits.then_some(awaited);
            waits
        };
        state = match time_max {
            Some(time_max) => {
                let waited = self.filled.wait_timeout_while(state, time_max, waits);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.filled.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner),
        };
        state.awaited = None;
        state
    }

    /// Batches that were taken are where they belong, their memory is counted there.
    pub(crate) fn release(&self, bytes: usize) {
        self.lock().bytes -= bytes;
    }

    /// Takes no more.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
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
    state.waiting_bytes -= bytes;
    state.for_thread = state.for_thread.min(state.waiting.len());
    state.writing = !taken.is_empty();
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    fn batch(bytes: usize) -> Waiting {
        Waiting { batch: Arc::default(), answer: Answer::to(Box::new(|_| {})), bytes }
    }

    fn push(queue: &WriteQueue, bytes: usize) {
        assert!(queue.push(batch(bytes), usize::MAX, TakenBy::Thread).is_ok());
    }

    #[test]
    fn what_waits_is_taken_together_up_to_so_many_bytes() {
        let queue = WriteQueue::new(Duration::from_millis(2));
        assert!(queue.take(10, None).is_empty());
        [4, 5, 2, 30, 1].into_iter().for_each(|bytes| push(&queue, bytes));
        let sizes = [10, 10, 10, 10].map(|bytes_max| {
            let taken = queue.take_wait(bytes_max).iter().map(|waiting| waiting.bytes).sum::<usize>();
            queue.written();
            taken
        });
        assert_eq!(sizes, [9, 2, 30, 1]);
        assert_eq!((queue.bytes(), queue.lock().waiting_bytes), (42, 0));
        queue.release(42);
        queue.close();
        assert!(queue.take_wait(10).is_empty() && queue.push(batch(1), 10, TakenBy::Thread).is_err());
    }

    /// Each sender sends its next batch when it is told of the last: all are taken, whoever sleeps is woken.
    #[test]
    fn senders_and_who_takes_wake_one_another() {
        const SENDERS: usize = 4;
        const BATCHES: usize = 200;
        let queue = WriteQueue::new(Duration::from_millis(2));
        thread::scope(|scope| {
            for _ in 0..SENDERS {
                scope.spawn(|| {
                    for _ in 0..BATCHES {
                        let (told, answered) = mpsc::channel();
                        let answer = Answer::to(Box::new(move |result| drop(told.send(result))));
                        assert!(queue.push(Waiting { answer, ..batch(1) }, usize::MAX, TakenBy::Thread).is_ok());
                        assert_eq!(answered.recv(), Ok(Ok(())));
                    }
                });
            }
            let mut taken = 0;
            while taken < SENDERS * BATCHES {
                let group = queue.take_wait(100);
                taken += group.len();
                group.into_iter().for_each(|waiting| waiting.answer.give(Ok(())));
                queue.written();
            }
            assert_eq!(taken, SENDERS * BATCHES);
        });
    }

    /// Who finds another writing is called when it is their turn, one at a time; the store's thread sleeps through that.
    #[test]
    fn who_brings_batches_takes_turns_at_writing_them() {
        let queue = WriteQueue::new(Duration::from_millis(2));
        let called = Arc::new(Mutex::new(vec![]));
        let call = |name: &'static str| -> WriterCall {
            let called = Arc::clone(&called);
            Arc::new(move || called.lock().unwrap().push(name))
        };
        let bring = || assert!(queue.push(batch(1), usize::MAX, TakenBy::Caller).is_ok());
        bring();
        assert_eq!(queue.take(10, Some(&call("a"))).len(), 1);
        bring();
        assert!(queue.take(10, Some(&call("b"))).is_empty(), "a is writing");
        bring();
        assert!(queue.take(10, Some(&call("c"))).is_empty(), "a is writing");
        queue.written();
        assert_eq!(*called.lock().unwrap(), ["b"]);
        assert_eq!(queue.take(10, Some(&call("b"))).len(), 2, "also what c brought");
        queue.written();
        assert_eq!(*called.lock().unwrap(), ["b"], "nothing is left for c");
        bring();
        queue.leave_to_thread();
        assert_eq!(queue.take_wait(10).len(), 1);
        queue.written();
    }

    /// What nobody came to write is written when the queue closes: its sender is told, and the thread that slept ends.
    #[test]
    fn closing_wakes_who_sleeps_and_whoever_waits_is_told() {
        let queue = WriteQueue::new(Duration::from_millis(2));
        let (told, answered) = mpsc::channel();
        let answer = Answer::to(Box::new(move |result| drop(told.send(result))));
        assert!(queue.push(Waiting { answer, ..batch(1) }, usize::MAX, TakenBy::Caller).is_ok());
        thread::scope(|scope| {
            let writes = scope.spawn(|| {
                let mut written = 0;
                loop {
                    let group = queue.take_wait(10);
                    if group.is_empty() {
                        return written;
                    }
                    written += group.len();
                    group.into_iter().for_each(|waiting| waiting.answer.give(Ok(())));
                    queue.written();
                }
            });
            while queue.lock().awaited.is_none() {
                thread::yield_now();
            }
            queue.close();
            assert_eq!(answered.recv(), Ok(Ok(())));
            assert_eq!(writes.join().unwrap(), 1);
        });
    }
}
