//! Durations and times as a query writes them: `1.5s`, `2026-11-21T14:05:00.25Z`.

use crate::Time;
use crate::calendar::{date, days_of_month, days_since_1970};
use std::fmt;

/// Nanoseconds of the units, the largest first.
const UNITS: [(&str, u64); 6] =
    [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000), ("ns", 1)];
/// What counts in nanoseconds stays below this.
const NANOS_MAX: u128 = i64::MAX as u128;
const SECOND: u128 = 1_000_000_000;
const SECONDS_A_DAY: u64 = 86_400;

/// A number, with a fraction or without, and its unit. What is below a nanosecond is cut off.
pub(super) fn parse_duration(text: &str) -> Option<Time> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(at);
    let unit = if matches!(unit, "µs" | "μs") { "us" } else { unit };
    let (_, unit_ns) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || whole.len() > 19 || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let nanos = whole * u128::from(unit_ns) + fraction_of(fraction, u128::from(unit_ns))?;
    (nanos <= NANOS_MAX).then(|| Time::from_nanos(nanos as u64))
}

/// In the largest unit of which it is a whole number.
pub(super) fn write_duration(f: &mut fmt::Formatter<'_>, duration: Time) -> fmt::Result {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return f.write_str("0ms");
    }
    let (name, unit_ns) = UNITS.into_iter().find(|(_, unit)| nanos.is_multiple_of(*unit)).unwrap_or(UNITS[5]);
    write!(f, "{}{name}", nanos / unit_ns)
}

/// RFC 3339, of which the time of day and the offset may be left out, or microseconds since 1970.
pub(super) fn parse_time(text: &str) -> Option<Time> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let nanos = text.parse::<u64>().ok().map(u128::from)? * 1000;
        return (nanos <= NANOS_MAX).then(|| Time::from_nanos(nanos as u64));
    }
    let (date, of_day) = match text.split_once(['T', 't']) {
        Some((date, of_day)) => (date, of_day),
        None => (text, "00:00:00"),
    };
    let mut parts = date.splitn(3, '-');
    let year = digits(parts.next()?, 4)?;
    let month = digits(parts.next()?, 2).filter(|month| (1..=12).contains(month))?;
    let day = digits(parts.next()?, 2).filter(|day| (1..=days_of_month(year, month)).contains(day))?;
    let (of_day, offset_s) = split_offset(of_day)?;
    let (of_day, fraction) = of_day.split_once('.').unwrap_or((of_day, ""));
    let mut parts = of_day.splitn(3, ':');
    let hours = digits(parts.next()?, 2).filter(|hours| *hours < 24)?;
    let minutes = digits(parts.next()?, 2).filter(|minutes| *minutes < 60)?;
    let seconds = parts.next().map_or(Some(0), |text| digits(text, 2).filter(|seconds| *seconds < 60))?;
    let local_s = days_since_1970(year, month, day)? * SECONDS_A_DAY + hours * 3600 + minutes * 60 + seconds;
    let utc_s = i64::try_from(local_s).ok()?.checked_sub(offset_s)?;
    let nanos = u128::try_from(utc_s).ok()? * SECOND + fraction_of(fraction, SECOND)?;
    (nanos <= NANOS_MAX).then(|| Time::from_nanos(nanos as u64))
}

/// RFC 3339 in UTC, with as many digits of the second as are needed.
pub(super) fn write_time(f: &mut fmt::Formatter<'_>, time: Time) -> fmt::Result {
    let nanos = time.as_nanos();
    let (seconds, below) = (nanos / SECOND as u64, nanos % SECOND as u64);
    let (year, month, day) = date(seconds / SECONDS_A_DAY);
    let of_day = seconds % SECONDS_A_DAY;
    write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)?;
    if below != 0 {
        let digits = format!("{below:09}");
        write!(f, ".{}", digits.trim_end_matches('0'))?;
    }
    f.write_str("Z")
}

/// Digits behind the point, of a unit.
fn fraction_of(digits: &str, unit: u128) -> Option<u128> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut sum = 0;
    let mut place = unit;
    for byte in digits.bytes().take(18) {
        // Of the largest unit, an hour, 18 digits are within the number's range.
        sum = sum * 10 + u128::from(byte - b'0');
        place *= 10;
    }
    let scale = place / unit;
    Some(sum * unit / scale)
}

fn split_offset(of_day: &str) -> Option<(&str, i64)> {
    if let Some(of_day) = of_day.strip_suffix(['Z', 'z']) {
        return Some((of_day, 0));
    }
    let Some(at) = of_day.find(['+', '-']) else { return Some((of_day, 0)) };
    let (hours, minutes) = of_day[at + 1..].split_once(':')?;
    let seconds = digits(hours, 2)? * 3600 + digits(minutes, 2)? * 60;
    let seconds = i64::try_from(seconds).ok()?;
    Some((&of_day[..at], if of_day.as_bytes()[at] == b'-' { -seconds } else { seconds }))
}

fn digits(text: &str, count: usize) -> Option<u64> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, nanos) in [
            ("200ms", 200_000_000),
            ("1.5s", 1_500_000_000),
            ("0.0000015ms", 1),
            (".5us", 500),
            ("3.µs", 3000),
            ("2h", 7_200_000_000_000),
            ("9223372036854775807ns", i64::MAX as u64),
        ] {
            assert_eq!(parse_duration(text), Some(Time::from_nanos(nanos)), "{text}");
        }
        for text in
            ["", "5", "ms", ".ms", "1.2.3s", "-5ms", "5 ms", "5d", "9223372036854775808ns", "9999999999999999999h"]
        {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_dates_or_microseconds() {
        for (text, micros) in [
            ("1472470996199000", 1_472_470_996_199_000),
            ("1970-01-01", 0),
            ("2000-03-01T00:00:00Z", 951_868_800_000_000),
            ("2024-02-29T23:59:59.5Z", 1_709_251_199_500_000),
            ("2024-02-29T23:59", 1_709_251_140_000_000),
            ("2024-02-29T23:59:00+01:30", 1_709_245_740_000_000),
            ("2024-02-29T20:29:00-02:00", 1_709_245_740_000_000),
        ] {
            assert_eq!(parse_time(text), Some(Time::from_micros(micros)), "{text}");
        }
        for text in [
            "",
            "2023-02-29",
            "2024-13-01",
            "2024-1-01",
            "1969-12-31",
            "2024-01-01T24:00:00Z",
            "2024-01-01T1:00",
            "noon",
            "2300-01-01",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }
}
