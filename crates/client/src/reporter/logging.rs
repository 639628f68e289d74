//! A line for every span, in jaeger-client's words.

use std::fmt;

use tracewell_model::{SpanFlags, SpanView as _};

use super::{ReportError, Reporter};
use crate::recorder::{LocalSpan, SpanRecords};
use crate::resource::Resource;

/// Says of every span `Reporting span {trace}:{span}:{parent}:{flags} {service}.{operation}`, as jaeger-client does.
///
/// ```
/// use std::sync::mpsc::sync_channel;
/// use tracewell::sampler::ConstSampler;
/// use tracewell::{LoggingReporter, Tracer};
/// let (lines, said) = sync_channel(10);
/// let reporter = LoggingReporter::to(move |line| lines.try_send(line.to_string()).unwrap_or(()));
/// let tracer = Tracer::builder("your-app-name").sampler(ConstSampler::new(true)).build(reporter);
/// let span = tracer.new_trace("TestSpan");
/// let expected = format!("Reporting span {:x}:", span.context().trace_id().value());
/// drop(span);
/// tracer.flush();
/// let line = said.recv().unwrap();
/// assert!(line.starts_with(&expected) && line.ends_with(":0:1 your-app-name.TestSpan"), "{line}");
/// ```
pub struct LoggingReporter {
    say: Box<Say>,
}

type Say = dyn FnMut(fmt::Arguments<'_>) + Send;

impl LoggingReporter {
    /// Into whatever you like.
    ///
    /// ```
    /// use tracewell::{LoggingReporter, Tracer, sampler::ConstSampler};
    /// let reporter = LoggingReporter::to(|line| println!("{line}"));
    /// let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(reporter);
    /// tracer.new_trace("GET /").finish();
    /// assert_eq!(tracer.close().reported, 1);
    /// ```
    pub fn to(say: impl FnMut(fmt::Arguments<'_>) + Send + 'static) -> Self {
        Self { say: Box::new(say) }
    }
}

/// Into the program's log, by the crate `log`: level info, target `jaeger_tracing`.
#[cfg(feature = "log")]
impl Default for LoggingReporter {
    fn default() -> Self {
        Self::to(|line| log::info!(target: "jaeger_tracing", "{line}"))
    }
}

impl Reporter for LoggingReporter {
    fn report(&mut self, resource: &Resource, spans: &SpanRecords<'_>) -> Result<(), ReportError> {
        for span in spans.views(&resource.endpoint) {
            let Line { trace, span: id, parent, flags } = Line::of(span);
            let (service, operation) = (&resource.endpoint.service, span.name());
            (self.say)(format_args!("Reporting span {trace:x}:{id:x}:{parent:x}:{flags:x} {service}.{operation}"));
        }
        Ok(())
    }
}

struct Line {
    trace: u128,
    span: u64,
    parent: u64,
    /// Jaeger's: 1 sampled, 2 debug.
    flags: u8,
}

impl Line {
    fn of(span: LocalSpan<'_>) -> Self {
        let debug = span.flags().contains(SpanFlags::DEBUG);
        Self {
            trace: span.trace_id().value(),
            span: span.id().value(),
            parent: span.parent().map_or(0, |parent| parent.value()),
            flags: u8::from(span.flags().contains(SpanFlags::SAMPLED)) | u8::from(debug) << 1,
        }
    }
}

impl fmt::Debug for LoggingReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoggingReporter")
    }
}
