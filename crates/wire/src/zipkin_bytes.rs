//! Reads bytes as Zipkin reads them, protobuf and thrift alike: one position in the whole body, no bounds of inner messages,
//! and its words for what is missing. What it takes and what it refuses follows from that, so its senders meet no other rules
//! here; [`crate::protobuf`] and [`crate::thrift`] are stricter.

use crate::zipkin_v2::DecodeFault;

type Result<T> = std::result::Result<T, DecodeFault>;

/// A position in a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    string_bytes_max: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], string_bytes_max: usize) -> Self {
        Self { bytes, at: 0, string_bytes_max }
    }

    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    #[inline]
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// What follows.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Where a message of so many bytes ends; a length below zero is a message of none.
    #[inline]
    pub(crate) fn end_of(&self, len: i32) -> usize {
        self.at.saturating_add(usize::try_from(len).unwrap_or(0))
    }

    /// Whether so many bytes are left.
    #[inline]
    pub(crate) fn require(&self, len: i32) -> Result<()> {
        match usize::try_from(len) {
            Ok(bytes) if bytes > self.left() => self.truncated(len),
            _ => Ok(()),
        }
    }

    #[cold]
    fn truncated<T>(&self, length: i32) -> Result<T> {
        Err(DecodeFault::Truncated { length, available: self.left() })
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8> {
        match self.bytes.get(self.at) {
            Some(&byte) => {
                self.at += 1;
                Ok(byte)
            }
            None => self.truncated(1),
        }
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest().first_chunk() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => self.truncated(N as i32),
        }
    }

    #[inline]
    pub(crate) fn take(&mut self, len: i32) -> Result<&'a [u8]> {
        // Zipkin's words for a length below zero are those of whichever of Java's classes met it.
        let bytes = usize::try_from(len).map_err(|_| DecodeFault::Malformed)?;
        let Some(taken) = self.rest().get(..bytes) else { return self.truncated(len) };
        if bytes > self.string_bytes_max {
            return Err(DecodeFault::TextTooLong { bytes, bytes_max: self.string_bytes_max });
        }
        self.at += bytes;
        Ok(taken)
    }

    /// Passes over so many bytes, or what is left.
    #[inline]
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.at += bytes.min(self.left());
    }

    /// Passes over as many bytes as a length says; below zero is none.
    pub(crate) fn skip_len(&mut self, len: i32) {
        self.skip(usize::try_from(len).unwrap_or(0));
    }

    #[inline]
    pub(crate) fn varint32(&mut self) -> Result<i32> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(i32::from(byte))
            }
            _ => self.long_varint(32).map(|value| value as i32),
        }
    }

    #[inline]
    pub(crate) fn varint64(&mut self) -> Result<i64> {
        self.long_varint(64).map(u64::cast_signed)
    }

    /// A number of up to five or ten bytes, of the last of which only the lower four bits may be set.
    fn long_varint(&mut self, bits: u8) -> Result<u64> {
        let last = u32::from(bits / 7) * 7;
        let mut value = 0;
        for shift in (0..=last).step_by(7) {
            let byte = self.byte()?;
            if shift == last && byte & 0xf0 != 0 {
                return Err(DecodeFault::LongVarint { bits, position: self.at - 1 });
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_as_many_bits_as_there_is_room_for() {
        let cursor = |bytes: &'static [u8]| Cursor::new(bytes, 10);
        assert_eq!(cursor(&[0xff, 0xff, 0xff, 0xff, 0x0f]).varint32(), Ok(-1));
        assert_eq!(cursor(&[0x80, 0x01]).varint32(), Ok(128));
        let long = |bits, position| Err(DecodeFault::LongVarint { bits, position });
        assert_eq!(cursor(&[0xff, 0xff, 0xff, 0xff, 0x1f]).varint32(), long(32, 4));
        let longest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Cursor::new(&longest, 10).varint64(), Ok(-1));
        assert_eq!(cursor(&[0xff; 10]).varint64(), Err(DecodeFault::LongVarint { bits: 64, position: 9 }));
        assert_eq!(cursor(&[0xff]).varint32(), Err(DecodeFault::Truncated { length: 1, available: 0 }));
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut cursor = Cursor::new(&[1, 2, 3], 4);
        assert_eq!(cursor.array::<4>(), Err(DecodeFault::Truncated { length: 4, available: 3 }));
        assert_eq!(cursor.take(4), Err(DecodeFault::Truncated { length: 4, available: 3 }));
        assert_eq!(Cursor::new(b"abc", 2).take(3), Err(DecodeFault::TextTooLong { bytes: 3, bytes_max: 2 }));
        assert_eq!(cursor.take(-1), Err(DecodeFault::Malformed));
        assert_eq!(cursor.take(2), Ok(&[1, 2][..]));
        cursor.skip(7);
        cursor.skip_len(-1);
        assert_eq!(cursor.byte(), Err(DecodeFault::Truncated { length: 1, available: 0 }));
    }
}
