//! Waiting for a flush from a thread or from a task, whoever finishes it and whether or not it panics.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::Thread;
use std::time::Instant;

/// Held by whoever still has to send something for a flush. When the last clone is dropped, the flush is over.
///
/// ```
/// use tracewell::{Done, ReportError, Reporter, Resource, SpanRecords};
/// /// Writes in the background.
/// struct Background;
/// impl Reporter for Background {
///     # fn report(&mut self, _: &Resource, _: &SpanRecords<'_>) -> Result<(), ReportError> { Ok(()) }
///     fn flush(&mut self, done: Done) {
///         // The flush is over when this thread drops it.
///         std::thread::spawn(move || drop(done));
///     }
/// }
/// let tracer = tracewell::Tracer::builder("shop").build(Background);
/// tracer.flush();
/// ```
#[derive(Debug, Clone)]
pub struct Done {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    completion: Arc<Completion>,
    retry_until: Option<Instant>,
    /// Told as well.
    thread: Thread,
}

impl Done {
    pub(crate) fn new(completion: Arc<Completion>, retry_until: Option<Instant>, thread: Thread) -> Self {
        Self { held: Arc::new(Held { completion, retry_until, thread }) }
    }

    /// Until when whoever waits is patient with a server that does not take spans. `None`: one try is enough; what fails
    /// then stays where it was and is tried again as ever.
    ///
    /// ```
    /// # use tracewell::{Done, ReportError, Reporter, Resource, SpanRecords};
    /// # struct Mine;
    /// # impl Mine { fn try_once(&self) -> bool { true } }
    /// # impl Reporter for Mine {
    /// #     fn report(&mut self, _: &Resource, _: &SpanRecords<'_>) -> Result<(), ReportError> { Ok(()) }
    /// fn flush(&mut self, done: Done) {
    ///     while !self.try_once() && done.retry_until().is_some_and(|end| std::time::Instant::now() < end) {}
    /// }
    /// # }
    /// ```
    pub fn retry_until(&self) -> Option<Instant> {
        self.held.retry_until
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.completion.complete();
        self.thread.unpark();
    }
}

/// Becomes complete once; threads and tasks wait for it.
#[derive(Debug, Default)]
pub(crate) struct Completion {
    state: Mutex<State>,
    completed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    complete: bool,
    waker: Option<Waker>,
}

impl Completion {
    pub(crate) fn complete(&self) {
        let mut state = self.lock();
        state.complete = true;
        let waker = state.waker.take();
        drop(state);
        self.completed.notify_all();
        // Outside the lock: it may run whatever the executor likes.
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.lock().complete
    }

    /// Waits, at most until then.
    pub(crate) fn wait_until(&self, deadline: Option<Instant>) {
        let mut state = self.lock();
        while !state.complete {
            let Some(deadline) = deadline else {
                state = self.completed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return;
            }
            state = self.completed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.complete {
            return Poll::Ready(());
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(context.waker()),
            empty => *empty = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one step, so a panic elsewhere left it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
