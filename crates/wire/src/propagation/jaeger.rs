//! Jaeger's headers: `uber-trace-id`, baggage a header each, and what a person sends by hand to force a trace.
//!
//! The rules are jaeger-client's (4.8.0): ids are numbers without leading zeros and of any size, read as Python's
//! `int(text, 16)` reads them (blanks around, a sign, `0x`, single underscores between digits); trace and span are at
//! least 1, parent and flags at least 0. Values are URL-decoded as Python's `unquote` does it.

use std::borrow::Cow;

use tracewell_model::{SpanId, TraceId};

use super::digits::{StackText, nibble, read_hex};
use super::{BAGGAGE_BYTES_MAX, BaggageItem, HeaderGetter, HeaderSetter, ID_HEADER_BYTES_MAX};
use super::{Problem, Problems, TraceContext, percent};

const AD_HOC_BAGGAGE: &str = "jaeger-baggage";

/// The names of Jaeger's headers, and whether values are URL-encoded (in HTTP they are, in a text map they are not).
///
/// ```
/// use tracewell_wire::propagation::{Format, JaegerHeaders, Propagation};
/// let names = JaegerHeaders::default().with_trace_id("X_My_Trace").with_baggage_prefix("bag-");
/// let propagation = Propagation::new(&[Format::Jaeger]).with_jaeger_headers(names);
/// let headers = [("X-My-Trace", "7:1:0:1"), ("Bag-User", "a%20b")];
/// assert_eq!(propagation.extract(&headers[..]).context.baggage_item("user"), Some("a b"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JaegerHeaders {
    trace_id: Cow<'static, str>,
    baggage_prefix: Cow<'static, str>,
    debug_id: Cow<'static, str>,
    url_encoded: bool,
    /// What starlette-zipkin has in place of `:`, if it is to be spoken to.
    starlette_split: Option<Cow<'static, str>>,
}

/// `uber-trace-id`, `uberctx-`, `jaeger-debug-id`, URL-encoded.
impl Default for JaegerHeaders {
    fn default() -> Self {
        Self {
            trace_id: Cow::Borrowed("uber-trace-id"),
            baggage_prefix: Cow::Borrowed("uberctx-"),
            debug_id: Cow::Borrowed("jaeger-debug-id"),
            url_encoded: true,
            starlette_split: None,
        }
    }
}

impl JaegerHeaders {
    /// Another name for `uber-trace-id`. As in jaeger-client, case does not matter and `_` is taken for `-`.
    #[must_use]
    pub fn with_trace_id(mut self, name: &str) -> Self {
        self.trace_id = header_name(name);
        self
    }

    /// Another beginning for `uberctx-`.
    #[must_use]
    pub fn with_baggage_prefix(mut self, prefix: &str) -> Self {
        self.baggage_prefix = header_name(prefix);
        self
    }

    /// Another name for `jaeger-debug-id`.
    ///
    /// ```
    /// use tracewell_wire::propagation::{JaegerHeaders, Propagation};
    /// let names = JaegerHeaders::default().with_debug_id("x-debug");
    /// let propagation = Propagation::default().with_jaeger_headers(names);
    /// assert_eq!(propagation.extract(&[("x-debug", "order 7")][..]).context.debug_id(), Some("order 7"));
    /// ```
    #[must_use]
    pub fn with_debug_id(mut self, name: &str) -> Self {
        self.debug_id = header_name(name);
        self
    }

    /// Values as they are (false), as in a text map, or URL-encoded (true).
    ///
    /// ```
    /// use tracewell_wire::propagation::{Format, JaegerHeaders, Propagation};
    /// let names = JaegerHeaders::default().with_url_encoding(false);
    /// let propagation = Propagation::new(&[Format::Jaeger]).with_jaeger_headers(names);
    /// let headers = [("uber-trace-id", "7:1:0:1"), ("uberctx-user", "a%20b")];
    /// assert_eq!(propagation.extract(&headers[..]).context.baggage_item("user"), Some("a%20b"));
    /// ```
    #[must_use]
    pub const fn with_url_encoding(mut self, url_encoded: bool) -> Self {
        self.url_encoded = url_encoded;
        self
    }

    /// As starlette-zipkin's `UberHeaders` writes it, with its `split_char` (`%3A` if not said there): ids with all their
    /// digits, and flags of which 1 is sampled and 2 is debug *and* sampled. It reads no other form. Other senders' forms
    /// are read, too.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::{Format, JaegerHeaders, Propagation, TraceContext};
    /// let headers = JaegerHeaders::default().with_starlette_split("%3A");
    /// let propagation = Propagation::new(&[Format::Jaeger]).with_jaeger_headers(headers);
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1)).with_debug(true);
    /// let mut written = Vec::new();
    /// propagation.inject(&context, &mut written);
    /// assert_eq!(written[0].1, "0000000000000007%3A0000000000000001%3A0%3A2");
    /// assert_eq!(propagation.extract(&written).context.sampled(), Some(true));
    /// ```
    #[must_use]
    pub fn with_starlette_split(mut self, split: &str) -> Self {
        self.starlette_split = Some(split.to_owned().into());
        self
    }

    /// With which the names begin that are read.
    pub(super) fn beginnings(&self) -> [Cow<'static, str>; 4] {
        let [trace_id, baggage, debug_id] = [&self.trace_id, &self.baggage_prefix, &self.debug_id].map(Clone::clone);
        [trace_id, baggage, debug_id, Cow::Borrowed(AD_HOC_BAGGAGE)]
    }

    pub(super) fn read<H: HeaderGetter + ?Sized>(
        &self,
        headers: &H,
        context: &mut TraceContext,
        problems: &mut Problems,
    ) {
        let mut seen = false;
        headers.for_each(&mut |name, value| {
            if name.eq_ignore_ascii_case(&self.trace_id) {
                if std::mem::replace(&mut seen, true) || !self.read_trace_id(value, context) {
                    context.forget_ids();
                    problems.add(Problem::UberTraceId);
                }
            } else if let Some(key) = strip_prefix_ignoring_case(name, &self.baggage_prefix) {
                put(key.to_ascii_lowercase().into(), &self.decode(value), context, problems);
            } else if name.eq_ignore_ascii_case(&self.debug_id) {
                match value.len() {
                    0 => {}
                    1..=ID_HEADER_BYTES_MAX => {
                        let debug_id = String::from_utf8_lossy(&self.decode(value)).into_owned();
                        *context = std::mem::take(context).with_debug_id(&debug_id);
                    }
                    _ => problems.add(Problem::BaggageTooLarge),
                }
            } else if name.eq_ignore_ascii_case(AD_HOC_BAGGAGE) {
                read_ad_hoc_baggage(&self.decode(value), context, problems);
            }
        });
    }

    pub(super) fn write<H: HeaderSetter + ?Sized>(&self, context: &TraceContext, headers: &mut H) {
        if let Some(oversized) = context.oversized_ids() {
            headers.set(&self.trace_id, &oversized.text);
        } else if let (true, Some(split)) = (context.has_ids(), &self.starlette_split) {
            headers.set(&self.trace_id, &starlette_text(context, split));
        } else if context.has_ids() {
            let mut text = StackText::<75>::new();
            text.push_hex_short(context.trace_id().value());
            text.push(b':');
            text.push_hex_short(u128::from(context.span_id().value()));
            text.push(b':');
            text.push_hex_short(u128::from(context.parent_id().value()));
            text.push(b':');
            text.push_hex_short(u128::from(context.jaeger_flags()));
            headers.set(&self.trace_id, text.as_str());
        }
        let mut name = String::new();
        let mut encoded = String::new();
        for item in context.baggage() {
            name.clear();
            name.push_str(&self.baggage_prefix);
            name.push_str(&item.key);
            if self.url_encoded {
                encoded.clear();
                percent::encode_into(&item.value, b"/", &mut encoded);
                headers.set(&name, &encoded);
            } else {
                headers.set(&name, &item.value);
            }
        }
    }

    /// False: malformed, and the context is as it was.
    fn read_trace_id(&self, value: &[u8], context: &mut TraceContext) -> bool {
        let Some(split) = &self.starlette_split else { return read_ids(&self.decode(value), context) };
        if value.len() > ID_HEADER_BYTES_MAX {
            return false;
        }
        let text = String::from_utf8_lossy(value).replace(&**split, ":");
        let is_read = read_ids(&self.decode(text.as_bytes()), context);
        if is_read && context.debug() {
            *context = std::mem::take(context).with_debug(true);
        }
        is_read
    }

    fn decode<'a>(&self, value: &'a [u8]) -> Cow<'a, [u8]> {
        if self.url_encoded { percent::decode(value) } else { Cow::Borrowed(value) }
    }
}

fn starlette_text(context: &TraceContext, split: &str) -> String {
    let trace_id = context.trace_id().value();
    let digits = if context.has_wide_trace_id() { 32 } else { 16 };
    let flags = match (context.debug(), context.sampled()) {
        (true, _) => 2,
        (false, Some(true)) => 1,
        _ => 0,
    };
    let parent = match context.parent_id() {
        SpanId::NONE => "0".to_owned(),
        parent => format!("{:016x}", parent.value()),
    };
    format!("{trace_id:0digits$x}{split}{:016x}{split}{parent}{split}{flags}", context.span_id().value())
}

fn header_name(name: &str) -> Cow<'static, str> {
    Cow::Owned(name.to_ascii_lowercase().replace('_', "-"))
}

fn strip_prefix_ignoring_case<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// `k1=v1, k2=v2`: parts with another number of `=` than one are left out.
fn read_ad_hoc_baggage(text: &[u8], context: &mut TraceContext, problems: &mut Problems) {
    if text.len() > BAGGAGE_BYTES_MAX {
        problems.add(Problem::BaggageTooLarge);
        return;
    }
    for part in text.split(|&byte| byte == b',') {
        let mut pair = part.trim_ascii().split(|&byte| byte == b'=');
        if let (Some(key), Some(value), None) = (pair.next(), pair.next(), pair.next()) {
            put(String::from_utf8_lossy(key).into(), value, context, problems);
        } else {
            problems.add(Problem::BaggageItem);
        }
    }
}

fn put(key: Box<str>, value: &[u8], context: &mut TraceContext, problems: &mut Problems) {
    let item = BaggageItem { key, value: String::from_utf8_lossy(value).into(), properties: Box::default() };
    if !context.put_baggage(item) {
        problems.add(Problem::BaggageTooLarge);
    }
}

/// False: malformed, and the context is as it was.
fn read_ids(text: &[u8], context: &mut TraceContext) -> bool {
    let Some([trace, span, parent, flags]) = split_in_four(text).filter(|_| text.len() <= ID_HEADER_BYTES_MAX) else {
        return false;
    };
    let numbers = || Some([read_number(trace)?, read_number(span)?, read_number(parent)?, read_number(flags)?]);
    let Some(numbers) = numbers() else { return false };
    let [trace, span, parent, flags] = &numbers;
    // Lower bits that are all zero leave nothing to record the span under.
    if trace.low == 0 || span.low as u64 == 0 {
        return false;
    }
    let taken = std::mem::take(context).with_jaeger_flags(flags.low as u32);
    *context = taken;
    context.set_ids(TraceId::new(trace.low), SpanId::new(span.low as u64), SpanId::new(parent.low as u64));
    if !(trace.fits(128) && span.fits(64) && parent.fits(64) && flags.fits(32)) {
        context.set_oversized_ids(numbers.each_ref().map(Number::to_text).join(":").into());
    }
    true
}

fn split_in_four(text: &[u8]) -> Option<[&[u8]; 4]> {
    let mut parts = text.split(|&byte| byte == b':');
    let four = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(four)
}

/// A number not below zero, of any size.
struct Number {
    low: u128,
    /// All its digits without leading zeros, where there are more than 32.
    digits: Option<String>,
}

impl Number {
    fn fits(&self, bits: u32) -> bool {
        self.digits.is_none() && 128 - self.low.leading_zeros() <= bits
    }

    fn to_text(&self) -> String {
        self.digits.clone().unwrap_or_else(|| format!("{:x}", self.low))
    }
}

fn read_number(text: &[u8]) -> Option<Number> {
    match read_hex(text) {
        Some(low) => Some(Number { low, digits: None }),
        None => read_python_number(text),
    }
}

/// As Python's `int(text, 16)`.
fn read_python_number(text: &[u8]) -> Option<Number> {
    let blank = |byte: u8| byte.is_ascii_whitespace() || byte == 0x0b || (0x1c..=0x1f).contains(&byte);
    let start = text.iter().position(|&byte| !blank(byte))?;
    let end = text.iter().rposition(|&byte| !blank(byte))?;
    let mut rest = &text[start..=end];
    let negative = rest.starts_with(b"-");
    if negative || rest.starts_with(b"+") {
        rest = &rest[1..];
    }
    let prefixed = rest.len() > 2 && rest[..2].eq_ignore_ascii_case(b"0x");
    if prefixed {
        rest = &rest[2..];
    }
    let mut digits = String::new();
    // An underscore stands between two digits, or between the prefix and one.
    let mut underscore_allowed = prefixed;
    for &byte in rest {
        if byte == b'_' && underscore_allowed {
            underscore_allowed = false;
            continue;
        }
        nibble(byte)?;
        underscore_allowed = true;
        if byte != b'0' || !digits.is_empty() {
            digits.push(char::from(byte.to_ascii_lowercase()));
        }
    }
    let ends_in_digit = rest.last().is_some_and(|&byte| byte != b'_');
    if !ends_in_digit || negative && !digits.is_empty() {
        return None;
    }
    let low_digits = &digits.as_bytes()[digits.len().saturating_sub(32)..];
    let low = if low_digits.is_empty() { 0 } else { read_hex(low_digits)? };
    Some(Number { low, digits: (digits.len() > 32).then_some(digits) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Option<String> {
        read_number(text.as_bytes()).map(|number| number.to_text())
    }

    #[test]
    fn what_starlette_zipkin_writes_is_read_whatever_splits_it() {
        let context = TraceContext::new(TraceId::from_halves(1, 2), SpanId::new(3)).with_parent_id(SpanId::new(4));
        for split in ["%3A", ":", "-"] {
            for (sampled, debug) in [(false, false), (true, false), (true, true)] {
                let names = JaegerHeaders::default().with_starlette_split(split);
                let context = context.clone().with_sampled(Some(sampled)).with_debug(debug);
                let mut written = Vec::new();
                names.write(&context, &mut written);
                let mut read = TraceContext::default();
                names.read(&written, &mut read, &mut Problems::default());
                assert_eq!((read.trace_id(), read.span_id()), (context.trace_id(), context.span_id()));
                assert_eq!((read.parent_id(), read.sampled(), read.debug()), (SpanId::new(4), Some(sampled), debug));
            }
        }
        let mut read = TraceContext::default();
        let names = JaegerHeaders::default().with_starlette_split("-");
        names.read(&[("uber-trace-id", "7:1:0:3")][..], &mut read, &mut Problems::default());
        assert_eq!((read.sampled(), read.debug()), (Some(true), true));
    }

    #[test]
    fn reads_numbers_as_python_does() {
        for (text, expected) in [
            ("1f", Some("1f")),
            ("001F", Some("1f")),
            (" 1f\t", Some("1f")),
            ("+1f", Some("1f")),
            ("0x1f", Some("1f")),
            ("0X_1f", Some("1f")),
            ("1_f", Some("1f")),
            ("0", Some("0")),
            ("-0", Some("0")),
            ("123456789012345678901234567890123", Some("123456789012345678901234567890123")),
            ("", None),
            (" ", None),
            ("-1", None),
            ("0x", None),
            ("_1", None),
            ("1_", None),
            ("1__f", None),
            ("+-1", None),
            ("1 f", None),
            ("g", None),
        ] {
            assert_eq!(number(text).as_deref(), expected, "{text:?}");
        }
    }
}
