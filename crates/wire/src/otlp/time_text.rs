//! The warning Jaeger 1.76 puts on spans that end before they begin, with times as Go prints them.

use std::fmt::Write;
use tracewell_model::{Time, date};

/// Jaeger's words for a span whose end was moved to one nanosecond behind its start. OTLP's decoders add it where the end is
/// before the start; Jaeger's answers also have it where both are the same.
pub fn negative_duration_warning(start: Time, end: Time) -> String {
    let mut text = String::from("Negative duration detected, sanitizing end timestamp. Original end timestamp: ");
    push_time(&mut text, end);
    text.push_str(", adjusted to: ");
    push_time(&mut text, start.saturating_add(Time::from_nanos(1)));
    text
}

/// As Go's `Time.String` prints a time in UTC: the fraction without zeros at its end.
fn push_time(text: &mut String, time: Time) {
    const DAY_SECONDS: u64 = 86_400;
    let nanos = time.as_nanos();
    let (seconds, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let (year, month, day) = date(seconds / DAY_SECONDS);
    let second = seconds % DAY_SECONDS;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    // Writing to a string does not fail.
    _ = write!(text, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
    if nanos > 0 {
        let fraction = format!(".{nanos:09}");
        text.push_str(fraction.trim_end_matches('0'));
    }
    text.push_str(" +0000 UTC");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_jaeger_says_it() {
        assert_eq!(
            negative_duration_warning(Time::ZERO, Time::ZERO),
            "Negative duration detected, sanitizing end timestamp. Original end timestamp: 1970-01-01 00:00:00 +0000 UTC, \
             adjusted to: 1970-01-01 00:00:00.000000001 +0000 UTC"
        );
        let mut text = String::new();
        for seconds in [951_782_400, 951_868_800, 1_700_000_000, 4_107_542_400] {
            push_time(&mut text, Time::from_nanos(seconds * 1_000_000_000 + 10_500_000));
            text.push('\n');
        }
        assert_eq!(
            text,
            "2000-02-29 00:00:00.0105 +0000 UTC\n2000-03-01 00:00:00.0105 +0000 UTC\n\
             2023-11-14 22:13:20.0105 +0000 UTC\n2100-03-01 00:00:00.0105 +0000 UTC\n"
        );
    }
}
