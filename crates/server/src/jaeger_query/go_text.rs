//! Numbers, durations, times and ids as Go reads them, with its words for what is wrong: they stand in Jaeger's answers.

use tracewell_model::{TraceId, date};

type Result<T> = std::result::Result<T, String>;

fn failed(function: &str, text: &str, problem: &str) -> String {
    format!("strconv.{function}: parsing {text:?}: {problem}")
}

/// `strconv.ParseInt(text, 10, 64)`.
pub(super) fn parse_int(text: &str) -> Result<i64> {
    whole_number("ParseInt", text)
}

/// `strconv.ParseInt(text, 10, 32)`.
pub(super) fn parse_int32(text: &str) -> Result<i32> {
    i32::try_from(parse_int(text)?).map_err(|_| failed("ParseInt", text, "value out of range"))
}

/// `strconv.Atoi(text)`.
pub(super) fn parse_atoi(text: &str) -> Result<i64> {
    whole_number("Atoi", text)
}

fn whole_number(function: &str, text: &str) -> Result<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(failed(function, text, "invalid syntax"));
    }
    text.parse().map_err(|_| failed(function, text, "value out of range"))
}

/// `strconv.ParseFloat(text, 64)`.
pub(super) fn parse_float(text: &str) -> Result<f64> {
    text.parse().map_err(|_| failed("ParseFloat", text, "invalid syntax"))
}

/// `strconv.ParseBool(text)`.
pub(super) fn parse_bool(text: &str) -> Result<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(failed("ParseBool", text, "invalid syntax")),
    }
}

/// `time.ParseDuration(text)`: nanoseconds.
pub(super) fn parse_duration(text: &str) -> Result<i64> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanos = 0.0f64;
    let mut whole_nanos = 0i128;
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, behind) = rest.split_at(number_len);
        if number.is_empty() || number == "." || number.matches('.').count() > 1 {
            return Err(invalid());
        }
        let unit_len = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit_len);
        let unit_ns: i128 = match unit {
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        whole_nanos = whole.checked_mul(unit_ns).and_then(|part| part.checked_add(whole_nanos)).ok_or_else(invalid)?;
        if !fraction.is_empty() {
            nanos += format!("0.{fraction}").parse::<f64>().map_err(|_| invalid())? * unit_ns as f64;
        }
        rest = behind;
    }
    let total = whole_nanos + nanos as i128;
    i64::try_from(if negative { -total } else { total }).map_err(|_| invalid())
}

/// `time.Parse(time.RFC3339Nano, text)`: nanoseconds since the epoch.
pub(super) fn parse_rfc3339(text: &str) -> Result<i128> {
    let wrong = |at: usize, expected: &str| {
        let layout = "2006-01-02T15:04:05.999999999Z07:00";
        let rest = text.get(at..).unwrap_or_default();
        format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {expected:?}")
    };
    // Where each number stands, how long it is, what stands behind it, and how the layout names both.
    const PARTS: [(usize, usize, u8, &str, &str); 5] = [
        (0, 4, b'-', "2006", "-"),
        (5, 2, b'-', "01", "-"),
        (8, 2, b'T', "02", "T"),
        (11, 2, b':', "15", ":"),
        (14, 2, b':', "04", ":"),
    ];
    let number = |at: usize, len: usize| {
        let digits = text.get(at..at + len).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse::<i64>().ok()
    };
    let mut numbers = [0i64; 6];
    for (part, (at, len, behind, name, separator)) in PARTS.iter().enumerate() {
        numbers[part] = number(*at, *len).ok_or_else(|| wrong(*at, name))?;
        if text.as_bytes().get(at + len) != Some(behind) {
            return Err(wrong(at + len, separator));
        }
    }
    numbers[5] = number(17, 2).ok_or_else(|| wrong(17, "05"))?;
    let mut at = 19;
    let mut nanos = 0i128;
    if text.as_bytes().get(at).is_some_and(|byte| matches!(byte, b'.' | b',')) {
        let digits = text[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        let shown = &text[at + 1..at + 1 + digits.min(9)];
        nanos = format!("{shown:0<9}").parse().unwrap_or(0);
        at += 1 + digits;
    }
    let offset_s = match text.as_bytes().get(at) {
        Some(b'Z') if text.len() == at + 1 => 0,
        Some(sign @ (b'+' | b'-')) if text.len() == at + 6 && text.as_bytes()[at + 3] == b':' => {
            let (hours, minutes) = (number(at + 1, 2), number(at + 4, 2));
            let (Some(hours), Some(minutes)) = (hours, minutes) else { return Err(wrong(at, "Z07:00")) };
            (hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return Err(wrong(at, "Z07:00")),
    };
    let [year, month, day, hour, minute, second] = numbers;
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if !in_range {
        return Err(format!("parsing time {text:?}: a number is out of range"));
    }
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset_s;
    Ok(i128::from(seconds) * 1_000_000_000 + nanos)
}

/// A time as Go's JSON has it: milliseconds since the epoch, with as many digits as it needs.
pub(super) fn rfc3339_text(time_ms: u64) -> String {
    let (seconds, millis) = (time_ms / 1000, time_ms % 1000);
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let fraction = if millis == 0 { String::new() } else { format!(".{millis:03}") };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Days from 1970-01-01, by the calendar that never changed.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Jaeger's `TraceIDFromString`: up to 32 digits of either case.
pub(super) fn parse_trace_id(text: &str) -> Result<TraceId> {
    let digits = |text: &str| {
        let valid = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = if valid { u64::from_str_radix(text, 16).ok() } else { None };
        number.ok_or_else(|| failed("ParseUint", text, "invalid syntax"))
    };
    match text.len() {
        0..=16 => Ok(TraceId::from_halves(0, digits(text)?)),
        17..=32 => {
            let split = text.len() - 16;
            let halves = text.get(..split).zip(text.get(split..));
            let (high, low) = halves.ok_or_else(|| failed("ParseUint", text, "invalid syntax"))?;
            Ok(TraceId::from_halves(digits(high)?, digits(low)?))
        }
        _ => Err(format!("TraceID cannot be longer than 32 hex characters: {text}")),
    }
}

/// A JSON object of texts, as `json.Unmarshal` reads a `map[string]string`; `null` is an empty one.
pub(super) fn parse_text_map(text: &str) -> Result<Vec<(String, String)>> {
    use serde_json::Value;
    let kind = |value: &Value| match value {
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::String(_) | Value::Null => "string",
    };
    match serde_json::from_str(text) {
        Ok(Value::Null) => Ok(vec![]),
        Ok(Value::Object(members)) => {
            let member = |(key, value): (String, Value)| match value {
                Value::String(text) => Ok((key, text)),
                Value::Null => Ok((key, String::new())),
                other => Err(format!("json: cannot unmarshal {} into Go value of type string", kind(&other))),
            };
            members.into_iter().map(member).collect()
        }
        Ok(other) => Err(format!("json: cannot unmarshal {} into Go value of type map[string]string", kind(&other))),
        Err(error) => Err(syntax_error(text, &error)),
    }
}

/// What Go says of JSON that is none.
pub(super) fn syntax_error(text: &str, error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let at = line.char_indices().take_while(|(at, _)| *at < error.column()).last();
    let character = match text.trim_start().chars().next() {
        // At the beginning it is the first one, however long the reader thought it over.
        Some(first) if !matches!(first, '{' | '[' | '"' | 't' | 'f' | 'n' | '-' | '0'..='9') => first,
        _ => at.map_or(' ', |(_, character)| character),
    };
    format!("invalid character '{character}' looking for beginning of value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        let cases =
            [("100ms", 100_000_000), ("1.5ms", 1_500_000), ("1h2m3s", 3_723_000_000_000), ("0", 0), ("-5µs", -5000)];
        for (text, nanos) in cases {
            assert_eq!(parse_duration(text), Ok(nanos), "{text}");
        }
        assert_eq!(parse_duration("100"), Err("time: missing unit in duration \"100\"".to_owned()));
        assert_eq!(parse_duration("abc"), Err("time: invalid duration \"abc\"".to_owned()));
        assert_eq!(parse_duration("1d"), Err("time: unknown unit \"d\" in duration \"1d\"".to_owned()));
        assert!(parse_duration("99999999999999999999h").is_err());
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(parse_rfc3339("1970-01-01T00:00:01.5Z"), Ok(1_500_000_000));
        assert_eq!(parse_rfc3339("2023-11-14T22:13:20Z"), Ok(1_700_000_000_000_000_000));
        assert_eq!(parse_rfc3339("2024-02-29T01:00:00+01:00"), Ok(1_709_164_800_000_000_000));
        let error = parse_rfc3339("x").unwrap_err();
        assert!(error.ends_with("cannot parse \"x\" as \"2006\""), "{error}");
        for text in ["", "2023", "2023-11-14", "2023-11-14T22:13:20", "2023-13-14T22:13:20Z", "é023-11-14T22:13:20Z"] {
            assert!(parse_rfc3339(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_written_as_they_are_read() {
        let day_ms = 86_400_000;
        for time_ms in (0..40_000).map(|day| day * day_ms + day).chain([1, 1_700_000_000_123, 951_782_400_000]) {
            let text = rfc3339_text(time_ms);
            assert_eq!(parse_rfc3339(&text), Ok(i128::from(time_ms) * 1_000_000), "{text}");
        }
        assert_eq!(rfc3339_text(951_782_400_010), "2000-02-29T00:00:00.010Z");
    }

    #[test]
    fn trace_ids_have_up_to_32_digits_of_any_case() {
        assert_eq!(parse_trace_id("A"), Ok(TraceId::new(10)));
        assert_eq!(parse_trace_id("10000000000000001"), Ok(TraceId::from_halves(1, 1)));
        let error = parse_trace_id("zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz").unwrap_err();
        assert_eq!(error, "strconv.ParseUint: parsing \"zzzzzzzzzzzzzzzz\": invalid syntax");
        assert_eq!(parse_trace_id("").unwrap_err(), "strconv.ParseUint: parsing \"\": invalid syntax");
        assert!(parse_trace_id("éééééééééé").is_err());
    }

    #[test]
    fn maps_are_of_texts() {
        assert_eq!(parse_text_map("null"), Ok(vec![]));
        assert_eq!(parse_text_map(r#"{"a":"b"}"#), Ok(vec![("a".to_owned(), "b".to_owned())]));
        let error = |text| parse_text_map(text).unwrap_err();
        assert_eq!(error(r#"{"a":true}"#), "json: cannot unmarshal bool into Go value of type string");
        assert_eq!(error("error=true"), "invalid character 'e' looking for beginning of value");
    }
}
