//! Waiting for a flush or for the end of a tracer, in a task or in a thread, with patience or with a limit.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::shared::{Closing, Shared, TracerStats};
use crate::reporter::Completion;

/// What a thread waits beyond its limit for the tracer's thread to say that the limit is over, and to count what is lost. A
/// reporter of somebody's own may block that thread.
const GRACE: Duration = Duration::from_secs(2);

/// What [`crate::Tracer::flush_async`] and [`crate::Tracer::close_async`] give: to be awaited under any executor, or waited
/// for. Begins when that is done first; ends with what became of the spans so far.
///
/// ```
/// # use tracewell::{InMemoryReporter, Tracer, sampler::ConstSampler};
/// # use std::time::Duration;
/// # let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(InMemoryReporter::default());
/// # let executor = |future: tracewell::Finish| {
/// #     let mut future = std::pin::pin!(future);
/// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// #     loop {
/// #         if let std::task::Poll::Ready(stats) = future.as_mut().poll(&mut context) { return stats }
/// #     }
/// # };
/// # use std::future::Future;
/// tracer.new_trace("GET /").finish();
/// let stats = tracer.flush_async().within(Duration::from_secs(2)).wait();
/// assert_eq!(stats.reported, 1);
/// // In a task: `tracer.close_async().await`.
/// # assert_eq!(executor(tracer.close_async()).reported, 1);
/// ```
#[must_use = "nothing happens before it is awaited or waited for"]
pub struct Finish {
    shared: Arc<Shared>,
    closes: bool,
    within: Option<Duration>,
    state: State,
}

enum State {
    New,
    /// With the deadline, which a reporter that blocks the tracer's thread cannot hold up for a thread that waits.
    Waiting(Arc<Completion>, Option<Instant>),
    Over,
}

impl Finish {
    pub(crate) const fn new(shared: Arc<Shared>, closes: bool) -> Self {
        Self { shared, closes, within: None, state: State::New }
    }

    /// Waits so long at most, from when it is first awaited. Until then a server that does not take spans is asked again
    /// and again; without a limit, once. Spans that are not sent in time stay where they are after a flush, and are lost
    /// and counted as failed after a close.
    ///
    /// ```
    /// use std::time::Duration;
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// tracer.new_trace("GET /").finish();
    /// let stats = tracer.close_async().within(Duration::from_secs(2)).wait();
    /// assert_eq!(stats.reported, 1);
    /// ```
    pub const fn within(mut self, at_most: Duration) -> Self {
        self.within = Some(at_most);
        self
    }

    /// Blocks the calling thread until it is over.
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// tracer.new_trace("GET /").finish();
    /// assert_eq!(tracer.flush_async().wait().reported, 1);
    /// ```
    pub fn wait(mut self) -> TracerStats {
        self.begin();
        if let State::Waiting(completion, deadline) = &self.state {
            completion.wait_until(deadline.and_then(|deadline| deadline.checked_add(GRACE)));
        }
        self.shared.stats()
    }

    fn begin(&mut self) {
        let State::New = self.state else { return };
        // A limit beyond what a clock can say is none.
        let deadline = self.within.and_then(|within| Instant::now().checked_add(within));
        let waiting = match self.closes {
            true => self.shared.close(Closing { deadline, retry: true }),
            false => self.shared.flush(deadline),
        };
        self.state = waiting.map_or(State::Over, |completion| State::Waiting(completion, deadline));
    }
}

impl Future for Finish {
    type Output = TracerStats;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<TracerStats> {
        self.begin();
        if let State::Waiting(completion, _) = &self.state
            && completion.poll(context).is_pending()
        {
            return Poll::Pending;
        }
        Poll::Ready(self.shared.stats())
    }
}

impl fmt::Debug for Finish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finish").field("closes", &self.closes).field("within", &self.within).finish_non_exhaustive()
    }
}
