//! The value of a tag as a text to be counted and asked for.

use std::borrow::Cow;
use tracewell_model::{SpanRef, ValueRef};

/// Longer values are told apart by nobody who reads a list.
const VALUE_BYTES_MAX: usize = 256;

/// A value's text, as the query language compares it; none for bytes, nested values, and what is very long.
pub(super) fn value_text(value: ValueRef<'_>) -> Option<Cow<'_, str>> {
    match value {
        ValueRef::Str(text) => Some(Cow::Borrowed(text)).filter(|text| text.len() <= VALUE_BYTES_MAX),
        ValueRef::Bool(value) => Some(Cow::Borrowed(if value { "true" } else { "false" })),
        ValueRef::I64(number) => Some(Cow::Owned(number.to_string())),
        ValueRef::F64(number) => Some(Cow::Owned(number.to_string())),
        ValueRef::Bytes(_) | ValueRef::Nested(_) => None,
    }
}

/// A span's tags, then the attributes of its resource: what `key=value` asks about.
pub(super) fn attributes(span: SpanRef<'_>) -> impl Iterator<Item = (&str, ValueRef<'_>)> {
    let of_resource = span.resource().map(|resource| resource.attributes.iter());
    span.tags().iter().chain(of_resource.into_iter().flatten())
}
