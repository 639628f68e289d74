//! Whether a span meets a filter. Nothing is allocated.

use super::{Comparison, Condition, Number, Pattern, SpanFilter, SpanStatus, TagValue};
use crate::{SpanRef, StatusCode, ValueRef};
use std::fmt::{self, Write};

impl SpanFilter {
    /// Whether the span meets the filter.
    pub fn matches(&self, span: SpanRef<'_>) -> bool {
        match self {
            Self::And(filters) => filters.iter().all(|filter| filter.matches(span)),
            Self::Or(filters) => filters.iter().any(|filter| filter.matches(span)),
            Self::Not(filter) => !filter.matches(span),
            Self::Condition(condition) => condition.matches(span),
        }
    }
}

impl Condition {
    /// Whether the span meets the condition.
    pub fn matches(&self, span: SpanRef<'_>) -> bool {
        match self {
            Self::Service(pattern) => name_matches(pattern, span.service_name()),
            Self::Name(pattern) => name_matches(pattern, span.name()),
            Self::RemoteService(pattern) => name_matches(pattern, span.remote_service_name()),
            Self::Kind(kind) => span.kind() == *kind,
            Self::Status(status) => SpanStatus::of(span) == *status,
            Self::Duration(comparison, wanted) => {
                span.duration().is_some_and(|duration| comparison.met_by(duration.cmp(wanted)))
            }
            Self::Start(comparison, wanted) => span.start().is_some_and(|start| comparison.met_by(start.cmp(wanted))),
            Self::Tag { key, comparison, value } => value.stands(*comparison, values_of(span, key)),
            Self::Has(pattern) => has(span, pattern),
            Self::Text(pattern) => contains(span, pattern),
        }
    }
}

impl SpanStatus {
    /// How a span ended.
    pub fn of(span: SpanRef<'_>) -> Self {
        if span.is_error() {
            Self::Error
        } else if span.status() == StatusCode::Ok {
            Self::Ok
        } else {
            Self::Unset
        }
    }
}

impl TagValue {
    /// Whether a value of a tag equals this one.
    pub fn equals(&self, found: ValueRef<'_>) -> bool {
        if let (Some(wanted), Some(found)) = (self.number, Number::of_typed(found))
            && wanted.compare(found).is_some_and(std::cmp::Ordering::is_eq)
        {
            return true;
        }
        with_text(found, |text| self.pattern.matches(text))
    }

    fn stands<'a>(&self, comparison: Comparison, mut found: impl Iterator<Item = ValueRef<'a>>) -> bool {
        match comparison {
            Comparison::Equal => found.any(|found| self.equals(found)),
            Comparison::NotEqual => {
                let mut any = false;
                found.all(|found| {
                    any = true;
                    !self.equals(found)
                }) && any
            }
            order => found.any(|found| self.is_ordered(order, found)),
        }
    }

    fn is_ordered(&self, order: Comparison, found: ValueRef<'_>) -> bool {
        match (self.number, self.pattern.exact()) {
            (Some(wanted), _) => {
                let number = Number::of_typed(found).or_else(|| match found {
                    ValueRef::Str(text) => Number::parse(text),
                    _ => None,
                });
                number.and_then(|found| found.compare(wanted)).is_some_and(|ordering| order.met_by(ordering))
            }
            (None, Some(wanted)) => with_text(found, |text| order.met_by(text.cmp(wanted))),
            (None, None) => false,
        }
    }
}

impl Number {
    fn of_typed(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::I64(number) => Some(Self::I64(number)),
            ValueRef::F64(number) => Some(Self::F64(number)),
            _ => None,
        }
    }
}

/// No name is like no pattern, but for the empty one.
fn name_matches(pattern: &Pattern, found: &str) -> bool {
    if found.is_empty() { pattern.exact() == Some("") } else { pattern.matches_any_case(found) }
}

/// The values of a key among a span's tags and its resource's attributes.
fn values_of<'a>(span: SpanRef<'a>, key: &str) -> impl Iterator<Item = ValueRef<'a>> {
    let of_resource = span.resource().map(|resource| resource.attributes.iter());
    let all = span.tags().iter().chain(of_resource.into_iter().flatten());
    all.filter(move |(found, _)| *found == key).map(|(_, value)| value)
}

fn has(span: SpanRef<'_>, pattern: &Pattern) -> bool {
    span.tags().iter().any(|(key, _)| pattern.matches(key))
        || span.annotations().any(|annotation| pattern.matches(annotation.value))
        || span.resource().is_some_and(|resource| resource.attributes.iter().any(|(key, _)| pattern.matches(key)))
}

fn contains(span: SpanRef<'_>, pattern: &Pattern) -> bool {
    let is_in = |value: ValueRef<'_>| with_text(value, |text| pattern.is_in_any_case(text));
    let message = || span.extra().map_or("", |extra| span.batch().text(extra.status_message));
    pattern.is_in_any_case(span.name())
        || span.tags().iter().any(|(_, value)| is_in(value))
        || span.annotations().any(|annotation| {
            pattern.is_in_any_case(annotation.value) || annotation.details.iter().any(|(_, value)| is_in(value))
        })
        || pattern.is_in_any_case(message())
}

/// Asks about a value's text: that which Zipkin's format shows for numbers too. Bytes and nested values have none.
fn with_text(value: ValueRef<'_>, ask: impl FnOnce(&str) -> bool) -> bool {
    let mut digits = Digits { bytes: [0; 32], len: 0 };
    match value {
        ValueRef::Str(text) => ask(text),
        ValueRef::Bool(value) => ask(if value { "true" } else { "false" }),
        ValueRef::I64(number) => write!(digits, "{number}").is_ok() && ask(digits.text()),
        ValueRef::F64(number) => write!(digits, "{number}").is_ok() && ask(digits.text()),
        ValueRef::Bytes(_) | ValueRef::Nested(_) => false,
    }
}

/// The digits of a number; those of more are not compared as text.
struct Digits {
    bytes: [u8; 32],
    len: usize,
}

impl Digits {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl Write for Digits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}
