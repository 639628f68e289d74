//! Searching by tags, as Jaeger 1.76 does it: among a span's tags, its process' tags and the fields of its logs, compared as
//! text.

use super::super::view::{self, ProcessView, TagSource};
use crate::attribute_text::write_value;
use std::borrow::Cow;
use std::fmt::Write as _;
use tracewell_model::{SpanRef, ValueRef};

/// Whether a span has all these tags.
pub fn span_has_tags(span: SpanRef<'_>, wanted: &[(String, String)]) -> bool {
    let mut open: Vec<&(String, String)> = wanted.iter().collect();
    let mut meet = |key: &str, value: ValueRef<'_>| {
        open.retain(|(name, text)| name != key || value_text(value) != text.as_str());
    };
    if wanted.is_empty() {
        return true;
    }
    view::for_each_tag(span, TagSource::of(span), &mut meet);
    ProcessView::of(span).tags().for_each(|(key, value)| meet(key, value));
    for log in span.annotations() {
        view::log_fields(log.value, log.details.iter()).for_each(|(key, value)| meet(key, value));
    }
    open.is_empty()
}

/// The service that Jaeger shows for a span.
pub fn service_shown(span: SpanRef<'_>) -> &str {
    ProcessView::of(span).service
}

/// A value as Jaeger's stores compare it.
fn value_text(value: ValueRef<'_>) -> Cow<'_, str> {
    match value {
        ValueRef::Str(text) => Cow::Borrowed(text),
        ValueRef::Bool(value) => Cow::Borrowed(if value { "true" } else { "false" }),
        ValueRef::I64(value) => Cow::Owned(value.to_string()),
        ValueRef::F64(value) => Cow::Owned(double_text(value)),
        ValueRef::Bytes(bytes) => {
            let mut text = String::with_capacity(2 * bytes.len());
            // Writing to a text does not fail.
            for byte in bytes {
                write!(text, "{byte:02x}").ok();
            }
            Cow::Owned(text)
        }
        ValueRef::Nested(_) => {
            let mut text = String::new();
            write_value(&mut text, value).ok();
            Cow::Owned(text)
        }
    }
}

/// As C's `%.10g`.
fn double_text(value: f64) -> String {
    const DIGITS: i32 = 10;
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-Inf" } else { "+Inf" }.to_owned();
    }
    let scientific = format!("{value:.9e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
    };
    if (-4..DIGITS).contains(&exponent) {
        let decimals = (DIGITS - 1 - exponent).max(0) as usize;
        return trimmed(&format!("{value:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(digits), exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_jaeger_prints_them() {
        let cases = [
            (0.25, "0.25"),
            (12.5, "12.5"),
            (100.0, "100"),
            (-3.0, "-3"),
            (0.0, "0"),
            (1e9, "1000000000"),
            (1e10, "1e+10"),
            (1.0 / 3.0, "0.3333333333"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
        ];
        for (value, text) in cases {
            assert_eq!(value_text(ValueRef::F64(value)), text);
        }
        assert_eq!(value_text(ValueRef::Bytes(&[0, 255])), "00ff");
    }
}
