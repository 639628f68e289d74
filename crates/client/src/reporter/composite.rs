//! Several reporters that each get every span.

use std::fmt;
use std::time::Instant;

use super::{Done, ReportError, Reporter, ReporterCounters};
use crate::recorder::SpanRecords;
use crate::resource::Resource;

/// Hands every span to each of several reporters. One that fails does not keep the others from theirs;
/// [`crate::Tracer::reporter_stats`] says what became of the spans in each, and [`crate::Tracer::stats`] what became of them
/// where the fewest arrived.
///
/// ```
/// use tracewell::sampler::ConstSampler;
/// use tracewell::{CompositeReporter, InMemoryReporter, LoggingReporter, Tracer};
/// let kept = InMemoryReporter::default();
/// let both = CompositeReporter::default().with(kept.clone()).with(LoggingReporter::to(|line| println!("{line}")));
/// let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(both);
/// tracer.new_trace("GET /").finish();
/// assert_eq!(tracer.close().reported, 1);
/// assert_eq!(kept.spans().len(), 1);
/// ```
#[derive(Default)]
pub struct CompositeReporter {
    members: Vec<Member>,
}

struct Member {
    reporter: Box<dyn Reporter>,
    counters: ReporterCounters,
    /// Whether the counters are the reporter's own.
    counts_itself: bool,
}

impl CompositeReporter {
    /// One more. They are called in the order they came.
    ///
    /// ```
    /// use tracewell::{CompositeReporter, InMemoryReporter, Tracer};
    /// let both = CompositeReporter::default().with(InMemoryReporter::default()).with(InMemoryReporter::default());
    /// assert_eq!(Tracer::builder("shop").build(both).reporter_stats().len(), 2);
    /// ```
    #[must_use]
    pub fn with(mut self, reporter: impl Reporter + 'static) -> Self {
        let theirs = reporter.counters();
        let counts_itself = theirs.is_some();
        let counters = theirs.unwrap_or_else(|| ReporterCounters::new("reporter"));
        self.members.push(Member { reporter: Box::new(reporter), counters, counts_itself });
        self
    }
}

impl Reporter for CompositeReporter {
    fn report(&mut self, resource: &Resource, spans: &SpanRecords<'_>) -> Result<(), ReportError> {
        let count = spans.len() as u64;
        for Member { reporter, counters, counts_itself } in &mut self.members {
            match reporter.report(resource, spans) {
                Ok(()) if *counts_itself => {}
                result => {
                    counters.queued(count);
                    let reported = if result.is_ok() { count } else { 0 };
                    counters.settled(reported, count - reported);
                }
            }
        }
        Ok(())
    }

    fn poll(&mut self, now: Instant) -> Option<Instant> {
        self.members.iter_mut().filter_map(|member| member.reporter.poll(now)).min()
    }

    fn flush(&mut self, done: Done) {
        for member in &mut self.members {
            member.reporter.flush(done.clone());
        }
    }

    fn close(&mut self) {
        for member in &mut self.members {
            member.reporter.close();
        }
    }

    fn counters(&self) -> Option<ReporterCounters> {
        let members: Vec<_> = self.members.iter().map(|member| member.counters.clone()).collect();
        // Without members there is nobody to count.
        (!members.is_empty()).then(|| ReporterCounters::of_all(members))
    }
}

impl fmt::Debug for CompositeReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.members.iter().map(|member| member.counters.stats())).finish()
    }
}
