//! Hexadecimal digits of ids, read from and written to fixed places without allocating.

/// Exactly as many digits as `text` has, in either case; `None` for anything else, or more than 32.
pub(super) fn read_hex(text: &[u8]) -> Option<u128> {
    if text.is_empty() || text.len() > 32 {
        return None;
    }
    let mut value = 0u128;
    for &digit in text {
        value = value << 4 | u128::from(nibble(digit)?);
    }
    Some(value)
}

/// 16 digits, in either case.
pub(super) fn read_hex_u64(text: &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for &digit in text.first_chunk::<16>().filter(|_| text.len() == 16)? {
        value = value << 4 | u64::from(nibble(digit)?);
    }
    Some(value)
}

pub(super) const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// A text of at most `N` bytes being put together on the stack. What does not fit is left out; every user names an `N`
/// that its longest text fits in.
pub(super) struct StackText<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> StackText<N> {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    /// One ASCII character.
    pub(super) const fn push(&mut self, character: u8) {
        debug_assert!(character.is_ascii());
        if self.len < N {
            self.bytes[self.len] = character;
            self.len += 1;
        }
    }

    /// The lowest `digits` hexadecimal digits.
    pub(super) const fn push_hex(&mut self, value: u128, digits: u32) {
        let mut left = digits;
        while left > 0 {
            left -= 1;
            self.push(b"0123456789abcdef"[(value >> (4 * left)) as usize & 0xf]);
        }
    }

    /// As few digits as the number needs, one at least.
    pub(super) const fn push_hex_short(&mut self, value: u128) {
        let digits = (128 - value.leading_zeros()).div_ceil(4);
        self.push_hex(value, if digits == 0 { 1 } else { digits });
    }

    pub(super) fn as_str(&self) -> &str {
        // Only ASCII characters get in, so the fall-back is never taken.
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}
