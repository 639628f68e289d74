//! Numbers in quotes as Java reads them: Zipkin takes `"timestamp":"1472470996199000"`, and says in Java's words what it
//! does not take.

/// Why a text is not a number. Prints as Java's `NumberFormatException` does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotANumber {
    /// There is nothing but white space.
    #[error("empty String")]
    Empty,
    /// Digits with more than one decimal point, which Java tells apart.
    #[error("multiple points")]
    MultiplePoints,
    /// Something else stands there.
    #[error("For input string: \"{0}\"")]
    Text(String),
}

/// `Long.parseLong`, for ASCII digits.
pub(crate) fn parse_long(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// `Double.parseDouble`, without hexadecimal floating point.
pub(crate) fn parse_double(text: &str) -> Result<f64, NotANumber> {
    let text = text.trim_matches(|c| c <= ' ');
    if text.is_empty() {
        return Err(NotANumber::Empty);
    }
    let not_a_number = || NotANumber::Text(text.to_owned());
    let (negative, number) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let digits = number.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.');
    if digits.filter(|&byte| byte == b'.').count() > 1 {
        return Err(NotANumber::MultiplePoints);
    }
    let magnitude = match number {
        "NaN" => f64::NAN,
        "Infinity" => f64::INFINITY,
        _ => {
            let decimal = number.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(number);
            // Rust also reads "inf" and "nan", which begin with no digit and no point.
            let plain = decimal.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
                && decimal.starts_with(|c: char| c.is_ascii_digit() || c == '.');
            if !plain {
                return Err(not_a_number());
            }
            decimal.parse().map_err(|_| not_a_number())?
        }
    };
    Ok(if negative { -magnitude } else { magnitude })
}

/// A double that has no fraction and fits, as Java's cast and comparison see it.
pub(crate) fn whole_long(number: f64) -> Option<i64> {
    let whole = number as i64;
    (whole as f64 == number).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_java_reads() {
        let double = |text: &str| parse_double(text);
        for (text, expect) in [
            ("1", 1.0),
            (" 1.5e3 ", 1500.0),
            ("+.5", 0.5),
            ("5.", 5.0),
            ("-7d", -7.0),
            ("1e2F", 100.0),
            ("-Infinity", f64::NEG_INFINITY),
        ] {
            assert_eq!(double(text), Ok(expect), "{text}");
        }
        assert!(double("NaN").is_ok_and(f64::is_nan));
        for text in ["inf", "nan", "1e", ".", "--1", "1 2", "e5", "+", "x", "1_0"] {
            assert_eq!(double(text), Err(NotANumber::Text(text.to_owned())), "{text}");
        }
        assert_eq!(double("-10.0.0.3"), Err(NotANumber::MultiplePoints));
        assert_eq!(double(" \t"), Err(NotANumber::Empty));
        assert_eq!(double("x ").map_err(|e| e.to_string()), Err("For input string: \"x\"".to_owned()));
    }

    #[test]
    fn whole_numbers() {
        assert_eq!(parse_long("+5"), Some(5));
        assert_eq!(parse_long("-9223372036854775808"), Some(i64::MIN));
        for text in ["", "+", "-", "1.0", " 1", "9223372036854775808", "+-1"] {
            assert_eq!(parse_long(text), None, "{text}");
        }
        assert_eq!(whole_long(1e15), Some(1_000_000_000_000_000));
        assert_eq!(whole_long(9.223_372_036_854_776e18), Some(i64::MAX));
        assert_eq!((whole_long(1.5), whole_long(1e30), whole_long(f64::NAN)), (None, None, None));
    }
}
