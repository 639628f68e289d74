//! That a span failed: in Zipkin's words, or in OpenTracing's.

use std::any::type_name;
use std::error::Error;
use std::fmt::Write;

use tracewell_model::{StatusCode, ValueRef};

use super::Span;
use super::tag_value::cut;
use crate::recorder;
use crate::settings::Settings;

/// What is to be written about an error: read off it before anything is locked, for its words are its author's.
pub(crate) struct Failure {
    text: String,
}

impl Failure {
    /// `None`: the tracer was told to take no notice of it.
    pub(crate) fn of(tracer: u64, error: &(dyn Error + 'static)) -> Option<Self> {
        let ignored = recorder::find(tracer).is_some_and(|tracer| is_ignored(&tracer.options.settings, error));
        (!ignored).then(|| Self { text: error.to_string() })
    }
}

fn is_ignored(settings: &Settings, error: &(dyn Error + 'static)) -> bool {
    settings.ignore_error.as_ref().is_some_and(|ignore| ignore(error))
}

impl Span {
    /// That it failed: the status, and Zipkin's tag `error` with the text of the error. Nothing, if the tracer was told
    /// to ignore such errors ([`crate::TracerBuilder::ignore_errors`]).
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// let mut span = tracer.new_trace("parse");
    /// if let Err(error) = "x".parse::<i32>() {
    ///     span.error(&error);
    /// }
    /// drop(span);
    /// tracer.flush();
    /// assert_eq!(reporter.spans()[0].status_message, "invalid digit found in string");
    /// ```
    pub fn error(&mut self, error: &(dyn Error + 'static)) -> &mut Self {
        if self.is_recorded()
            && let Some(failure) = Failure::of(self.tracer(), error)
        {
            self.fail(&failure);
        }
        self
    }

    pub(crate) fn fail(&mut self, failure: &Failure) -> &mut Self {
        self.error_message(&failure.text)
    }

    /// That it failed, for want of an error: a word like `timeout`, or a status.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// tracer.new_trace("GET /cart").error_message("503 Service Unavailable");
    /// ```
    pub fn error_message(&mut self, message: &str) -> &mut Self {
        let value = super::TagValue::from(message).cut(self.tracer());
        self.write(|open| {
            open.entries.status(StatusCode::Error, message);
            open.entries.tag("error", value);
        })
    }

    /// OTLP's status, with a message where it is [`StatusCode::Error`].
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// tracer.new_trace("GET /cart").status(tracewell::StatusCode::Ok, "");
    /// ```
    pub fn status(&mut self, code: StatusCode, message: &str) -> &mut Self {
        self.write(|open| open.entries.status(code, message))
    }

    /// That it failed, as OpenTracing has it: the tag `error=true`, the status, and a log with `event=error`,
    /// `message`, `error.object`, `error.kind` (the type's name) and `stack` (the chain of causes: an error of Rust
    /// has no other).
    ///
    /// ```
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// tracer.new_trace("format").log_error(&std::fmt::Error);
    /// tracer.flush();
    /// let log = &reporter.spans()[0].annotations[0].details;
    /// assert_eq!(log[3], ("error.kind".to_owned(), tracewell::Value::Str("core::fmt::Error".into())));
    /// ```
    pub fn log_error<E: Error + 'static>(&mut self, error: &E) -> &mut Self {
        if !self.is_recorded() {
            return self;
        }
        // Without its tracer nothing more of the span will be seen.
        let Some(found) = recorder::find(self.tracer()) else { return self };
        let settings = &found.options.settings;
        if is_ignored(settings, error) {
            return self;
        }
        let message = error.to_string();
        let object = format!("{error:?}");
        let stack_bytes_max = settings.error_chain_bytes_max;
        let stack = causes(error, stack_bytes_max);
        let tracer = self.tracer();
        self.write(|open| {
            open.entries.status(StatusCode::Error, &message);
            open.entries.tag("error", ValueRef::Bool(true));
            open.log(
                tracer,
                None,
                &[
                    ("event", "error".into()),
                    ("message", (&message).into()),
                    ("error.object", (&object).into()),
                    ("error.kind", type_name::<E>().into()),
                ],
            );
            open.entries.field("stack", ValueRef::Str(cut(&stack, stack_bytes_max)));
        })
    }
}

/// An error and what caused it, a line each.
fn causes(error: &dyn Error, bytes_max: usize) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause.filter(|_| text.len() < bytes_max) {
        // Writing to a text cannot fail.
        write!(text, "\ncaused by: {error}").ok();
        cause = error.source();
    }
    text
}
