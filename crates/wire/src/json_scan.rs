//! The parts of JSON below its tokens: how far a number goes, where a text ends, what its escapes stand for.

/// A number as far as it goes.
pub(crate) struct Number {
    pub(crate) len: usize,
    /// Its value, where it is a whole number that fits and is not `-0`.
    pub(crate) long: Option<i64>,
}

impl Number {
    pub(crate) fn scan(bytes: &[u8]) -> Option<Self> {
        let digits = |from: usize| from + bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let negative = bytes.first() == Some(&b'-');
        let start = usize::from(negative);
        let mut end = digits(start);
        let whole_end = end;
        let long = whole(&bytes[start..end], negative)?;
        if bytes.get(end) == Some(&b'.') {
            let from = end + 1;
            end = digits(from);
            if end == from {
                return None;
            }
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let from = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            end = digits(from.min(bytes.len()));
            if end <= from {
                return None;
            }
        }
        Some(Self { len: end, long: long.filter(|_| end == whole_end) })
    }
}

/// The value of whole digits; the inner `None` where it does not fit, the outer one where they are no number: none, or
/// with a leading zero. So that the same numbers are refused as by Zipkin's reader, a value that has overflowed to zero
/// counts as a leading zero too.
#[expect(clippy::option_option, reason = "two questions")]
fn whole(digits: &[u8], negative: bool) -> Option<Option<i64>> {
    const LAST_SAFE: i64 = i64::MIN / 10;
    let (&first, rest) = digits.split_first()?;
    let mut value = -i64::from(first - b'0');
    let mut fits = true;
    for digit in rest {
        if value == 0 {
            return None;
        }
        let next = value.wrapping_mul(10).wrapping_sub(i64::from(digit - b'0'));
        fits &= value > LAST_SAFE || (value == LAST_SAFE && next < value);
        value = next;
    }
    let value = if negative { Some(value).filter(|&value| value != 0) } else { value.checked_neg() };
    Some(value.filter(|_| fits))
}

/// Whether a keyword or number is over before this byte; what does not end it makes it something that is not JSON.
pub(crate) fn ends_literal(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | 0x0c | b'\r' | b' ' | b',' | b':' | b'[' | b']' | b'{' | b'}')
}

/// The first `"` or `\` at or behind `from`. Eight bytes at a time: most texts are short.
#[inline]
pub(crate) fn find_quote_or_backslash(bytes: &[u8], from: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    const QUOTES: u64 = ONES * 0x22;
    const BACKSLASHES: u64 = ONES * 0x5C;
    const WORDS: usize = 8;
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut at = from;
    for _ in 0..WORDS {
        let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) else { break };
        let word = u64::from_le_bytes(*chunk);
        let found = has_zero(word ^ QUOTES) | has_zero(word ^ BACKSLASHES);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr::memchr2(b'"', b'\\', bytes.get(at..)?).map(|found| at + found)
}

/// The first `"` at or behind `from`, the same way.
#[inline]
pub(crate) fn find_quote(bytes: &[u8], from: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    const WORDS: usize = 8;
    let mut at = from;
    for _ in 0..WORDS {
        let Some(chunk) = bytes.get(at..at + 8).and_then(|rest| rest.first_chunk::<8>()) else { break };
        let word = u64::from_le_bytes(*chunk) ^ (ONES * 0x22);
        let found = word.wrapping_sub(ONES) & !word & HIGHS;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr::memchr(b'"', bytes.get(at..)?).map(|found| at + found)
}

/// The value of eight digits, if all are digits.
#[inline]
pub(crate) fn eight_digits(bytes: [u8; 8]) -> Option<i64> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(bytes);
    let high = |word: u64| word & (ONES * 0xF0);
    if high(word) != ONES * 0x30 || high(word + ONES * 6) != ONES * 0x30 {
        return None;
    }
    // The first digit is in the lowest byte: pairs, then fours, then all eight.
    let digits = word & (ONES * 0x0F);
    let pairs = (digits * 10 + (digits >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
    Some((u64::from(fours as u32) * 10_000 + (fours >> 32)) as i64)
}

/// Appends a text with its escapes decoded, from `start`, where the first escape is at `backslash`; answers where the
/// closing quote ends. Surrogates that are not a pair become `?`, as Zipkin prints them.
pub(crate) fn unescape(text: &str, start: usize, backslash: usize, out: &mut String) -> Result<usize, &'static str> {
    let bytes = text.as_bytes();
    let mut high: Option<u16> = None;
    let (mut from, mut at) = (start, backslash);
    loop {
        if from < at && high.take().is_some() {
            out.push('?');
        }
        out.push_str(&text[from..at]);
        if bytes[at] == b'"' {
            if high.is_some() {
                out.push('?');
            }
            return Ok(at + 1);
        }
        let escaped = *bytes.get(at + 1).ok_or("unterminated escape sequence")?;
        from = at + 2;
        if escaped == b'u' {
            push_code_unit(code_unit(bytes, from)?, &mut high, out);
            from += 4;
        } else {
            if high.take().is_some() {
                out.push('?');
            }
            out.push(match escaped {
                b't' => '\t',
                b'b' => '\u{8}',
                b'n' => '\n',
                b'r' => '\r',
                b'f' => '\u{c}',
                b'"' | b'\\' | b'/' | b'\'' | b'\n' => char::from(escaped),
                _ => return Err("invalid escape sequence"),
            });
        }
        at = find_quote_or_backslash(bytes, from).ok_or("unterminated string")?;
    }
}

fn code_unit(bytes: &[u8], from: usize) -> Result<u16, &'static str> {
    let digits = bytes.get(from..from + 4).ok_or("unterminated escape sequence")?;
    let mut unit = 0;
    for &digit in digits {
        let nibble = char::from(digit).to_digit(16).ok_or("malformed Unicode escape")?;
        unit = unit << 4 | nibble as u16;
    }
    Ok(unit)
}

fn push_code_unit(unit: u16, high: &mut Option<u16>, out: &mut String) {
    match (high.take(), unit) {
        (Some(before), 0xDC00..=0xDFFF) => {
            let pair = char::decode_utf16([before, unit]).next();
            out.push(pair.and_then(Result::ok).unwrap_or('?'));
        }
        (before, _) => {
            if before.is_some() {
                out.push('?');
            }
            match unit {
                0xD800..=0xDBFF => *high = Some(unit),
                0xDC00..=0xDFFF => out.push('?'),
                _ => out.push(char::from_u32(u32::from(unit)).unwrap_or('?')),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_as_far_as_they_can() {
        let check = |text: &str, expect: Option<(usize, Option<i64>)>| {
            assert_eq!(Number::scan(text.as_bytes()).map(|number| (number.len, number.long)), expect, "{text}");
        };
        check("0", Some((1, Some(0))));
        check("-12,", Some((3, Some(-12))));
        check("-0", Some((2, None)));
        check("1.50e+7]", Some((7, None)));
        check("9223372036854775807", Some((19, Some(i64::MAX))));
        check("9223372036854775808", Some((19, None)));
        check("-9223372036854775808", Some((20, Some(i64::MIN))));
        check("92233720368547758080", Some((20, None)));
        for text in ["", "-", "01", "922337203685477580800", "1.", "1e", "1e+", ".5", "+1", "1.e5"] {
            check(text, None);
        }
    }

    #[test]
    fn the_end_of_a_text_is_found_wherever_it_lies() {
        for len in 0..200 {
            for end in [b'"', b'\\'] {
                let mut bytes = vec![b'a'; len];
                bytes.push(end);
                bytes.extend(b"\"\\ and more");
                assert_eq!(find_quote_or_backslash(&bytes, 0), Some(len));
                assert_eq!(find_quote_or_backslash(&bytes, len / 2), Some(len));
            }
            assert_eq!(find_quote_or_backslash(&vec![b'!'; len], len / 3), None);
        }
    }

    #[test]
    fn escapes_are_decoded() {
        let check = |text: &str, expect: Result<&str, &str>| {
            let text = format!("{text}\"");
            let mut out = String::new();
            let backslash = find_quote_or_backslash(text.as_bytes(), 0).expect("a quote");
            let result = unescape(&text, 0, backslash, &mut out).map(|behind| {
                assert_eq!(behind, text.len());
                out.as_str()
            });
            assert_eq!(result, expect, "{text}");
        };
        check(r#"a\"\\\/\b\f\n\r\t\'z"#, Ok("a\"\\/\u{8}\u{c}\n\r\t'z"));
        check("line\\\nfeed", Ok("line\nfeed"));
        check(r"\u00e9\uD83D\uDE00x", Ok("é😀x"));
        check(r"\ud83d-\ude00\ud83d\n\ud83d\ud83d", Ok("?-??\n??"));
        check(r"\q", Err("invalid escape sequence"));
        check(r"\u12g4", Err("malformed Unicode escape"));
        check(r"\u1", Err("unterminated escape sequence"));
        check(r"\é", Err("invalid escape sequence"));
    }
}
