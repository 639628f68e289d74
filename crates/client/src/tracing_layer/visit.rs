//! What `tracing`'s fields hold, as tags of a span and as fields of an annotation.

use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Write};

use tracewell_model::{Kind, StatusCode, ValueRef};
use tracing::field::{Field, Visit};

use crate::recorder::Entries;
use crate::span::{Span, TagValue};

const MESSAGE: &str = "message";
/// A text that grew longer is given back to the allocator.
const TEXT_BYTES_KEPT_MAX: usize = 4096;

thread_local! {
    static TEXT: Cell<String> = const { Cell::new(String::new()) };
}

/// Formats into this thread's text, or, where formatting leads back here, into a new one.
fn with_text<R>(value: fmt::Arguments<'_>, read: impl FnOnce(&str) -> R) -> R {
    let mut text = TEXT.try_with(Cell::take).unwrap_or_default();
    // What can't be formatted is as long as it got.
    text.write_fmt(value).ok();
    let result = read(&text);
    if text.capacity() <= TEXT_BYTES_KEPT_MAX {
        text.clear();
        TEXT.try_with(|place| place.set(text)).ok();
    }
    result
}

/// An error, and what caused it.
struct Causes<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Fields of a span become its tags.
pub(super) struct SpanFields<'a> {
    pub(super) span: &'a mut Span,
}

impl SpanFields<'_> {
    fn say(&mut self, field: &Field, value: TagValue<'_>) {
        match (field.name(), value.0) {
            (name, ValueRef::Str(text)) if name.starts_with("otel.") => self.say_otel(name, text),
            (name, _) => {
                self.span.tag(name, value);
            }
        }
    }

    fn say_otel(&mut self, name: &str, text: &str) {
        match name {
            "otel.name" => self.span.name(text),
            "otel.kind" => self.span.kind(kind(text)),
            "otel.status_code" => match text {
                _ if text.eq_ignore_ascii_case("ok") => self.span.status(StatusCode::Ok, ""),
                _ if text.eq_ignore_ascii_case("error") => self.span.status(StatusCode::Error, ""),
                _ => self.span,
            },
            "otel.status_description" | "otel.status_message" => self.span.status(StatusCode::Error, text),
            _ => self.span.tag(name, text),
        };
    }
}

fn kind(text: &str) -> Kind {
    let kinds = [
        ("server", Kind::Server),
        ("client", Kind::Client),
        ("producer", Kind::Producer),
        ("consumer", Kind::Consumer),
        ("internal", Kind::Internal),
    ];
    kinds.into_iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map_or(Kind::Unset, |(_, kind)| kind)
}

/// What of a field's value is said as it is, whoever listens.
macro_rules! say_values {
    ($($record:ident $value:ty),+) => {$(
        fn $record(&mut self, field: &Field, value: $value) {
            self.say(field, value.into());
        }
    )+};
    () => {
        say_values!(
            record_f64 f64, record_i64 i64, record_u64 u64, record_bool bool, record_str &str, record_bytes &[u8]
        );
    };
}

impl Visit for SpanFields<'_> {
    say_values!();

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        with_text(format_args!("{}", Causes(value)), |text| {
            self.span.status(StatusCode::Error, text).tag(field.name(), text);
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        with_text(format_args!("{value:?}"), |text| self.say(field, text.into()));
    }
}

/// The text of an event. Its own buffer goes back with it.
#[derive(Default)]
pub(super) struct Message(String);

impl Message {
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            self.record_debug(field, &format_args!("{value}"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == MESSAGE {
            let mut text = TEXT.try_with(Cell::take).unwrap_or_default();
            // What can't be formatted is as long as it got.
            write!(text, "{value:?}").ok();
            self.0 = text;
        }
    }

    fn record_f64(&mut self, _: &Field, _: f64) {}
    fn record_i64(&mut self, _: &Field, _: i64) {}
    fn record_u64(&mut self, _: &Field, _: u64) {}
    fn record_bool(&mut self, _: &Field, _: bool) {}
}

impl Drop for Message {
    fn drop(&mut self) {
        let mut text = std::mem::take(&mut self.0);
        if text.capacity() <= TEXT_BYTES_KEPT_MAX {
            text.clear();
            TEXT.try_with(|place| place.set(text)).ok();
        }
    }
}

/// Fields of an event become fields of its annotation; its message is the annotation's text.
pub(super) struct EventFields<'a> {
    pub(super) tracer: u64,
    pub(super) entries: &'a mut Entries,
}

impl EventFields<'_> {
    fn say(&mut self, field: &Field, value: TagValue<'_>) {
        if field.name() != MESSAGE {
            self.entries.field(field.name(), value.cut(self.tracer));
        }
    }
}

impl Visit for EventFields<'_> {
    say_values!();

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        with_text(format_args!("{}", Causes(value)), |text| self.say(field, text.into()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != MESSAGE {
            with_text(format_args!("{value:?}"), |text| self.say(field, text.into()));
        }
    }
}
