//! Spans and events of the crate `tracing` as ours.
//!
//! The layer keeps a [`Span`] for each of `tracing`'s, in a table of its own: the registry's extensions would cost an
//! allocation a span. Entering one makes it current, as [`Span::enter`] does, so that spans of both worlds have each
//! other as parents, and [`crate::current`] answers for both.

mod span_ext;
mod table;
mod visit;

use std::fmt;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::current::{CHOSEN, push_as, remove_as, top};
use crate::propagation::TraceContext;
use crate::recorder::{self, Open, Stamp};
use crate::span::Span;
use crate::tracer::{Tracer, tag_root};

pub use span_ext::TracingSpanExt;
use table::{Kept, Table};
use visit::{EventFields, Message, SpanFields};

/// Has `tracing`'s spans recorded by this tracer, as a layer of `tracing-subscriber`. See [`TracingLayer`].
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt;
/// # let reporter = tracewell::InMemoryReporter::default();
/// # let sampler = tracewell::sampler::ConstSampler::new(true);
/// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
/// let subscriber = tracing_subscriber::registry().with(tracewell::tracing_layer(tracer.clone()));
/// tracing::subscriber::with_default(subscriber, || {
///     let _span = tracing::info_span!("charge", otel.kind = "client", amount = 9.95).entered();
///     tracing::warn!(attempt = 2, "try again");
/// });
/// tracer.flush();
/// let span = &reporter.spans()[0];
/// assert_eq!((span.name.as_str(), span.kind), ("charge", tracewell::Kind::Client));
/// assert_eq!(span.annotations[0].value, "try again");
/// ```
pub fn tracing_layer(tracer: Tracer) -> TracingLayer {
    TracingLayer { tracer, table: Table::default(), shows: Shows { level: true, target: false, location: false } }
}

/// A layer that turns `tracing`'s spans into ours: fields become tags, events become annotations with fields,
/// `follows_from` becomes a link.
///
/// As users of tracing-opentelemetry have them, these fields have a meaning: `otel.name`, `otel.kind`,
/// `otel.status_code` (`ok`, `error`), `otel.status_description`. A field that holds an error, and an event of the level
/// `ERROR`, make the span one that failed.
///
/// A span without a parent of its own is a child of the current span, be that `tracing`'s or ours, or begins a trace;
/// [`TracingSpanExt::set_parent`] gives it one that came with a request.
///
/// ```
/// use tracewell::{TracingLayer, tracing_layer};
/// use tracing_subscriber::layer::SubscriberExt;
/// # let reporter = tracewell::InMemoryReporter::default();
/// # let sampler = tracewell::sampler::ConstSampler::new(true);
/// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
/// let layer: TracingLayer = tracing_layer(tracer.clone());
/// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
///     let _charge = tracing::info_span!("charge").entered();
///     tracing::error!("no credit");
/// });
/// tracer.flush();
/// assert!(reporter.spans()[0].tags.iter().any(|(key, _)| key == "error"));
/// ```
pub struct TracingLayer {
    tracer: Tracer,
    table: Table,
    shows: Shows,
}

/// What events and spans say beside their fields.
#[derive(Debug, Clone, Copy)]
struct Shows {
    level: bool,
    target: bool,
    location: bool,
}

impl TracingLayer {
    /// Whether events have a field `level`. True if not said.
    ///
    /// ```
    /// # let tracer = tracewell::Tracer::builder("shop").build(tracewell::InMemoryReporter::default());
    /// let layer = tracewell::tracing_layer(tracer).with_level(false).with_target(true).with_location(true);
    /// ```
    #[must_use]
    pub const fn with_level(mut self, shows: bool) -> Self {
        self.shows.level = shows;
        self
    }

    /// Whether events have a field `target`, and spans a tag of that name. False if not said.
    ///
    /// ```
    /// use tracing_subscriber::layer::SubscriberExt;
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// let layer = tracewell::tracing_layer(tracer.clone()).with_target(true);
    /// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
    ///     tracing::info_span!(target: "shop", "charge").in_scope(|| ());
    /// });
    /// tracer.flush();
    /// assert!(reporter.spans()[0].tags.iter().any(|(key, _)| key == "target"));
    /// ```
    #[must_use]
    pub const fn with_target(mut self, shows: bool) -> Self {
        self.shows.target = shows;
        self
    }

    /// Whether events have fields, and spans tags, `code.file.path` and `code.line.number`. False if not said.
    ///
    /// ```
    /// use tracing_subscriber::layer::SubscriberExt;
    /// # let reporter = tracewell::InMemoryReporter::default();
    /// # let sampler = tracewell::sampler::ConstSampler::new(true);
    /// # let tracer = tracewell::Tracer::builder("shop").sampler(sampler).build(reporter.clone());
    /// let layer = tracewell::tracing_layer(tracer.clone()).with_location(true);
    /// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
    ///     tracing::info_span!("charge").in_scope(|| ());
    /// });
    /// tracer.flush();
    /// assert!(reporter.spans()[0].tags.iter().any(|(key, _)| key == "code.line.number"));
    /// ```
    #[must_use]
    pub const fn with_location(mut self, shows: bool) -> Self {
        self.shows.location = shows;
        self
    }

    /// A span under what is current or was named as the parent; one without ids: it is to be the root of a trace.
    #[inline]
    fn child(&self, attributes: &Attributes<'_>) -> Span {
        let name = attributes.metadata().name();
        match attributes.parent() {
            Some(parent) => self.table.read(parent, |kept| kept.span.new_child(name)),
            None if attributes.is_contextual() => top(|current| current.new_child(name)),
            None => None,
        }
        .unwrap_or_else(Span::none)
    }

    /// The root of a new trace. What is said about one that is not recorded is kept until it is entered: until then it
    /// may be given a parent that came with a request, and that is recorded.
    fn root(&self, attributes: &Attributes<'_>) -> Kept {
        let name = attributes.metadata().name();
        let context = self.tracer.root_context(&TraceContext::default(), name);
        let mut draft = Span::begin_with(self.tracer.id(), context.clone(), Open::new(name));
        self.describe(&mut draft, attributes);
        let (context, tags) = self.tracer.decide(context, name);
        #[cfg(feature = "metrics")]
        crate::metrics::count_span(self.tracer.id(), context.sampled() == Some(true));
        let Some(open) = draft.into_open() else { return Kept { span: Span::none(), late: None } };
        if context.sampled() == Some(true) {
            let mut span = Span::begin_with(self.tracer.id(), context, open);
            tag_root(&mut span, tags.as_ref());
            self.tracer.count_started(&span);
            return Kept { span, late: None };
        }
        let span = Span::begin(self.tracer.id(), context, name, false);
        self.tracer.count_started(&span);
        Kept { span, late: Some(open) }
    }

    fn describe(&self, span: &mut Span, attributes: &Attributes<'_>) {
        attributes.record(&mut SpanFields { span });
        self.place(attributes.metadata(), &mut |key, value| {
            span.tag(key, value);
        });
    }

    /// Where the code is.
    fn place(&self, metadata: &Metadata<'static>, say: &mut dyn FnMut(&str, crate::TagValue<'_>)) {
        if self.shows.target {
            say("target", metadata.target().into());
        }
        if self.shows.location {
            metadata.file().into_iter().for_each(|file| say("code.file.path", file.into()));
            metadata.line().into_iter().for_each(|line| say("code.line.number", line.into()));
        }
    }

    /// The span, to write to without holding the table.
    fn guest(&self, id: &Id) -> Option<Span> {
        self.table.read(id, |kept| kept.span.guest())
    }

    /// An event as an annotation, written apart: what formats its fields is its author's code.
    fn annotation(&self, event: &Event<'_>, message: &Message) -> Box<Open> {
        let mut open = Open::nameless();
        let entries = &mut open.entries;
        entries.annotation(recorder::unix_nanos(Stamp::now()), message.text());
        if self.shows.level {
            entries.field("level", tracewell_model::ValueRef::Str(event.metadata().level().as_str()));
        }
        event.record(&mut EventFields { tracer: self.tracer.id(), entries });
        self.place(event.metadata(), &mut |key, value| entries.field(key, value.0));
        open
    }
}

impl<S: Subscriber> Layer<S> for TracingLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let mut span = self.child(attributes);
        if !span.context().has_ids() {
            return self.table.insert(id, self.root(attributes));
        }
        if span.is_recorded() {
            self.describe(&mut span, attributes);
        }
        self.table.insert(id, Kept { span, late: None });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        if let Some(mut span) = self.guest(id).filter(Span::is_recorded) {
            values.record(&mut SpanFields { span: &mut span });
        }
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, _: Context<'_, S>) {
        let cause = self.table.read(follows, |kept| kept.span.context().clone());
        if let (Some(cause), Some(mut span)) = (cause, self.guest(id)) {
            span.follows_from(&cause);
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let span = match event.parent() {
            Some(parent) => self.guest(parent),
            None if event.is_contextual() => top(|current| current.is_recorded().then(|| current.guest())).flatten(),
            None => None,
        };
        let Some(mut span) = span.filter(Span::is_recorded) else { return };
        let mut message = Message::default();
        event.record(&mut message);
        let annotation = self.annotation(event, &message);
        span.append(&annotation.entries);
        recorder::keep(annotation);
        if *event.metadata().level() == Level::ERROR {
            span.error_message(message.text());
        }
    }

    fn on_enter(&self, id: &Id, _: Context<'_, S>) {
        let entered = self.table.read(id, |kept| {
            kept.forget_late();
            push_as(number(id), kept.span.guest());
        });
        if entered.is_none() {
            // Each exit takes one out.
            push_as(number(id), Span::none());
        }
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        remove_as(number(id));
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        // Ends here, outside the table.
        drop(self.table.remove(&id));
    }
}

/// Under which the span is in the stack of entered spans.
fn number(id: &Id) -> u64 {
    id.into_u64() | CHOSEN
}

impl fmt::Debug for TracingLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracingLayer").field("tracer", &self.tracer).field("shows", &self.shows).finish()
    }
}
