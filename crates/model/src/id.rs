//! Trace and span ids: 128 and 64 bits, read from and printed as lower-case hexadecimal text.

use std::fmt;

/// 128 bits that name a trace. Zero is a value some formats accept; whether it is refused is the decoder's affair.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TraceId(u128);

/// 64 bits that name a span inside its trace. Zero stands for "no parent" where a parent is meant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SpanId(u64);

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text has no characters.
    #[error("id is empty")]
    Empty,
    /// The text has more digits than the id has room for.
    #[error("id is longer than {digits_max} hexadecimal digits")]
    TooLong {
        /// How many digits fit.
        digits_max: usize,
    },
    /// A character is not one of `0`–`9`, `a`–`f`.
    #[error("id should be lower-hex encoded with no prefix")]
    NotLowerHex,
}

impl TraceId {
    /// From the number itself.
    pub const fn new(value: u128) -> Self {
        Self(value)
    }

    /// From its two halves, as formats with 64-bit integers carry it.
    pub const fn from_halves(high: u64, low: u64) -> Self {
        Self((high as u128) << 64 | low as u128)
    }

    /// The number itself.
    pub const fn value(self) -> u128 {
        self.0
    }

    /// The upper 64 bits; zero for ids that came with at most 16 digits.
    pub const fn high(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// The lower 64 bits: what Zipkin compares when `STRICT_TRACE_ID=false`.
    pub const fn low(self) -> u64 {
        self.0 as u64
    }

    /// Reads 1 to 32 lower-case hexadecimal digits; shorter ones are padded with zeros at the left.
    pub fn parse_lower_hex(text: &str) -> Result<Self, IdError> {
        parse_lower_hex(text.as_bytes(), 32).map(Self)
    }
}

impl SpanId {
    /// "No span": what a root has for a parent.
    pub const NONE: Self = Self(0);

    /// From the number itself.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number itself.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Whether all bits are zero.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Reads 1 to 16 lower-case hexadecimal digits; shorter ones are padded with zeros at the left.
    pub fn parse_lower_hex(text: &str) -> Result<Self, IdError> {
        parse_lower_hex(text.as_bytes(), 16).map(|value| Self(value as u64))
    }
}

/// As Zipkin prints it: 16 digits where the upper half is zero, else 32.
impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.high() == 0 { write!(f, "{:016x}", self.low()) } else { write!(f, "{:032x}", self.0) }
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// 16 digits.
impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn parse_lower_hex(digits: &[u8], digits_max: usize) -> Result<u128, IdError> {
    if digits.is_empty() {
        return Err(IdError::Empty);
    }
    if digits.len() > digits_max {
        return Err(IdError::TooLong { digits_max });
    }
    let mut value = 0u128;
    for &digit in digits {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return Err(IdError::NotLowerHex),
        };
        value = value << 4 | u128::from(nibble);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_the_upper_half_only_where_it_is_set() {
        assert_eq!(TraceId::from_halves(0, 0x1f).to_string(), "000000000000001f");
        assert_eq!(TraceId::from_halves(1, 0x1f).to_string(), "0000000000000001000000000000001f");
        assert_eq!(SpanId::new(0xabc).to_string(), "0000000000000abc");
    }

    #[test]
    fn reads_what_it_prints_and_pads_short_ids() {
        for value in [1u128, 0xabc, u128::from(u64::MAX), u128::MAX] {
            assert_eq!(TraceId::parse_lower_hex(&TraceId::new(value).to_string()), Ok(TraceId::new(value)));
        }
        assert_eq!(SpanId::parse_lower_hex("1"), Ok(SpanId::new(1)));
    }

    #[test]
    fn says_what_is_wrong_with_an_id() {
        assert_eq!(TraceId::parse_lower_hex(""), Err(IdError::Empty));
        assert_eq!(TraceId::parse_lower_hex("AB"), Err(IdError::NotLowerHex));
        assert_eq!(SpanId::parse_lower_hex("00000000000000001"), Err(IdError::TooLong { digits_max: 16 }));
    }
}
