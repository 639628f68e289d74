//! Whether a request brought anything to read, by the beginnings of its headers' names.

use std::borrow::Cow;

use super::{Format, HeaderGetter, JaegerHeaders, b3, baggage, traceparent};

/// The beginnings of all names without which a format reads nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marks {
    beginnings: Vec<Cow<'static, str>>,
    /// Their first and their second characters, a bit each: `user-agent` is no `uber-`.
    first: u128,
    second: u128,
}

impl Marks {
    pub(super) fn of(formats: &[Format], jaeger: &JaegerHeaders) -> Self {
        let mut beginnings = Vec::new();
        for format in formats {
            match format {
                Format::B3Multi | Format::B3Single => beginnings.extend(b3::BEGINNINGS.map(Cow::Borrowed)),
                Format::Jaeger => beginnings.extend(jaeger.beginnings()),
                Format::TraceContext => beginnings.push(Cow::Borrowed(traceparent::TRACE_PARENT)),
                Format::Baggage => beginnings.push(Cow::Borrowed(baggage::BAGGAGE)),
            }
        }
        let all = |at| beginnings.iter().map(|beginning| bit(beginning, at, u128::MAX)).fold(0, |all, bit| all | bit);
        Self { first: all(0), second: all(1), beginnings }
    }

    /// Whether one of the headers may be meant.
    pub(super) fn are_in<H: HeaderGetter + ?Sized>(&self, headers: &H) -> bool {
        let mut found = false;
        headers.for_each(&mut |name, _| found = found || self.is_in(name));
        found
    }

    #[inline]
    fn is_in(&self, name: &str) -> bool {
        // A name that has no such character has its bit nowhere, unless any name will do.
        self.first & bit(name, 0, 1) != 0 && self.second & bit(name, 1, 1) != 0 && self.begins_as_one(name)
    }

    #[inline(never)]
    fn begins_as_one(&self, name: &str) -> bool {
        let begins = |beginning: &str| {
            name.as_bytes().get(..beginning.len()).is_some_and(|name| name.eq_ignore_ascii_case(beginning.as_bytes()))
        };
        self.beginnings.iter().any(|beginning| begins(beginning))
    }
}

/// The bit of a character, whatever its case; all others than ASCII's have one.
#[inline]
fn bit(name: &str, at: usize, absent: u128) -> u128 {
    name.as_bytes().get(at).map_or(absent, |byte| 1 << (byte.to_ascii_lowercase().min(127)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_seen_in_any_case_and_nothing_else() {
        let marks = Marks::of(&Format::ALL, &JaegerHeaders::default());
        for name in ["traceparent", "B3", "X-B3-Sampled", "uber-trace-id", "UBERCTX-a", "Jaeger-Baggage", "baggage"] {
            assert!(marks.are_in(&[("accept", "*/*"), (name, "")][..]), "{name}");
        }
        for name in ["user-agent", "x-request-id", "te", "trace", "b", "x-b3", "", "uber-trace"] {
            assert!(!marks.are_in(&[(name, "")][..]), "{name}");
        }
        let named = JaegerHeaders::default().with_trace_id("My-Trace").with_baggage_prefix("");
        assert!(Marks::of(&[Format::Jaeger], &named).are_in(&[("anything", "")][..]));
        let named = JaegerHeaders::default().with_baggage_prefix("q");
        assert!(Marks::of(&[Format::Jaeger], &named).are_in(&[("Q", "")][..]));
        let named = JaegerHeaders::default().with_trace_id("My_Trace");
        assert!(Marks::of(&[Format::Jaeger], &named).are_in(&[("my-trace", "")][..]));
        assert!(!Marks::of(&[], &named).are_in(&[("my-trace", "")][..]));
    }
}
