//! How spans are gathered, how much may wait and how long, and who hears of problems.

use std::fmt;
use std::time::Duration;

/// How a reporter that sends spans over a network gathers, keeps and repeats.
///
/// ```
/// use std::time::Duration;
/// use tracewell::BatchOptions;
/// let options = BatchOptions::default()
///     .spans_max(500)
///     .interval(Duration::from_secs(5))
///     .queue_bytes_max(64 << 20)
///     .on_problem(|problem| eprintln!("{problem}"));
/// # drop(options);
/// ```
#[must_use]
pub struct BatchOptions {
    pub(super) spans_max: usize,
    pub(super) interval: Duration,
    pub(super) body_bytes_max: usize,
    pub(super) queue_bytes_max: usize,
    pub(super) backoff_min: Duration,
    pub(super) backoff_max: Duration,
    pub(super) on_problem: Option<Box<OnProblem>>,
}

pub(super) type OnProblem = dyn FnMut(&SendProblem<'_>) + Send;

/// What went wrong with spans on their way.
///
/// ```
/// # use tracewell::BatchOptions;
/// let options = BatchOptions::default().on_problem(|problem| {
///     if !problem.kept {
///         eprintln!("{} lost {} spans: {}", problem.reporter, problem.spans, problem.why);
///     }
/// });
/// # drop(options);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendProblem<'a> {
    /// What kind of reporter it is: `zipkin`, `jaeger`, `otlp`, …
    pub reporter: &'static str,
    /// How many spans it was about.
    pub spans: u64,
    /// Whether they are kept and will be sent again.
    pub kept: bool,
    /// What the network or the server said.
    pub why: &'a str,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            spans_max: 2_000,
            interval: Duration::from_secs(1),
            body_bytes_max: 4 << 20,
            queue_bytes_max: 16 << 20,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            on_problem: None,
        }
    }
}

impl BatchOptions {
    /// Spans of one request; 2,000 if not said, 1 at least.
    ///
    /// ```
    /// use tracewell::BatchOptions;
    /// let options = BatchOptions::default().spans_max(500);
    /// # drop(options);
    /// ```
    pub const fn spans_max(mut self, spans: usize) -> Self {
        self.spans_max = if spans == 0 { 1 } else { spans };
        self
    }

    /// How long a span waits for others at most; a second if not said. Comes on top of the tracer's own
    /// [`crate::TracerBuilder::flush_interval`].
    ///
    /// ```
    /// use tracewell::BatchOptions;
    /// let options = BatchOptions::default().interval(std::time::Duration::from_secs(5));
    /// # drop(options);
    /// ```
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Bytes of one request before it is compressed; 4 MiB if not said, which is what servers take (OTLP over gRPC; Zipkin
    /// takes 10 MiB). A single span that is larger is lost and counted.
    ///
    /// ```
    /// use tracewell::BatchOptions;
    /// let options = BatchOptions::default().body_bytes_max(1 << 20);
    /// # drop(options);
    /// ```
    pub const fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.body_bytes_max = bytes;
        self
    }

    /// What may wait while the server is slow or down, bytes of recorded spans (about 250 a span); 16 MiB if not said.
    /// Spans beyond are dropped and counted.
    ///
    /// ```
    /// use tracewell::BatchOptions;
    /// let options = BatchOptions::default().queue_bytes_max(64 << 20);
    /// # drop(options);
    /// ```
    pub const fn queue_bytes_max(mut self, bytes: usize) -> Self {
        self.queue_bytes_max = bytes;
        self
    }

    /// The pause after a first failure, which doubles with every further one, and the longest; 100 ms and 30 s if not
    /// said. Each is shortened by chance to between half and all of it, so that many clients do not come at once. A server
    /// that says `Retry-After` is believed.
    ///
    /// ```
    /// use tracewell::BatchOptions;
    /// let options = BatchOptions::default().backoff(std::time::Duration::from_millis(50), std::time::Duration::from_secs(5));
    /// # drop(options);
    /// ```
    pub const fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.backoff_min = first;
        self.backoff_max = longest;
        self
    }

    /// Called for everything that goes wrong, on the reporter's thread. If not said, the feature `log` warns of it once a
    /// minute at most, and nothing is said without that feature: the counters tell
    /// ([`crate::Tracer::stats`]).
    ///
    /// ```
    /// use tracewell::BatchOptions;
    /// let options = BatchOptions::default().on_problem(|problem| eprintln!("{problem}"));
    /// # drop(options);
    /// ```
    pub fn on_problem(mut self, on_problem: impl FnMut(&SendProblem<'_>) + Send + 'static) -> Self {
        self.on_problem = Some(Box::new(on_problem));
        self
    }
}

impl fmt::Debug for BatchOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchOptions")
            .field("spans_max", &self.spans_max)
            .field("interval", &self.interval)
            .field("body_bytes_max", &self.body_bytes_max)
            .field("queue_bytes_max", &self.queue_bytes_max)
            .field("backoff_min", &self.backoff_min)
            .field("backoff_max", &self.backoff_max)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for SendProblem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reporter, spans, kept, why } = self;
        let fate = if *kept { "are kept and will be sent again" } else { "are lost" };
        write!(f, "{reporter}: {spans} spans {fate}: {why}")
    }
}
