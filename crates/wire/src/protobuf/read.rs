//! Walks the fields of a message where they lie: `while let Some(key) = reader.key()?`, then one call that takes the value.

use super::{BYTES, FIXED32, FIXED64, GROUP_BEGIN, GROUP_END, ProtobufError, ProtobufFault, VARINT};
use std::borrow::Cow;

type Result<T> = std::result::Result<T, ProtobufError>;

/// Groups are read over without recursion, but not for ever: as deep as Go's and Java's readers go.
const GROUP_DEPTH_MAX: u32 = 100;
const FIELD_NUMBER_MAX: u64 = (1 << 29) - 1;

/// A position in a message. A copy reads on from where the original stood.
///
/// What to call for a value follows from the key's wire type, so callers match whole keys ([`super::key`]) and hand every
/// other key to [`Reader::skip`] (a known field of another wire type is skipped like an unknown one, as protobuf's own
/// libraries and Zipkin's do) or to [`Reader::skip_unknown`] (it is an error, as for Go's generated code: OTLP and Jaeger).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    /// The body from its beginning, cut where the message ends: offsets in errors count from there.
    bytes: &'a [u8],
    at: usize,
    key: u32,
}

/// Bits of the field numbers that a message has, for [`Reader::skip_unknown`]. Numbers are below 64.
pub(crate) const fn fields(numbers: &[u32]) -> u64 {
    let mut bits = 0;
    let mut at = 0;
    while at < numbers.len() {
        bits |= 1 << numbers[at];
        at += 1;
    }
    bits
}

impl<'a> Reader<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { bytes: body, at: 0, key: 0 }
    }

    /// How far into the body it is.
    #[cfg(test)]
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// What is left of the message.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// The next field's key, or `None` at the message's end. Its value is to be taken before the next call.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<Option<u32>> {
        match self.bytes.get(self.at) {
            None => Ok(None),
            Some(&byte) if (8..0x80).contains(&byte) => {
                self.at += 1;
                self.key = u32::from(byte);
                Ok(Some(self.key))
            }
            Some(_) => self.long_key(),
        }
    }

    /// A number. Bits beyond 64 are lost, as everywhere.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64> {
        match self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()) {
            Some(word) => {
                self.at += 8;
                Ok(u64::from_le_bytes(*word))
            }
            None => Err(self.error(ProtobufFault::Truncated)),
        }
    }

    #[inline]
    pub(crate) fn fixed32(&mut self) -> Result<u32> {
        match self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()) {
            Some(word) => {
                self.at += 4;
                Ok(u32::from_le_bytes(*word))
            }
            None => Err(self.error(ProtobufFault::Truncated)),
        }
    }

    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8]> {
        let end = self.end()?;
        let bytes = &self.bytes[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    /// A text; what is not UTF-8 in it becomes U+FFFD, since Go's and Java's readers take such a text too.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<Cow<'a, str>> {
        Ok(crate::names::lossy(self.bytes()?))
    }

    /// A message inside the message.
    #[inline]
    pub(crate) fn message(&mut self) -> Result<Self> {
        let end = self.end()?;
        let inner = Self { bytes: &self.bytes[..end], at: self.at, key: 0 };
        self.at = end;
        Ok(inner)
    }

    /// Takes the value of any field, unread.
    pub(crate) fn skip(&mut self, key: u32) -> Result<()> {
        match key & 7 {
            VARINT => self.varint().map(drop),
            FIXED64 => self.fixed64().map(drop),
            BYTES => self.bytes().map(drop),
            FIXED32 => self.fixed32().map(drop),
            GROUP_BEGIN => self.skip_group(key),
            _ => Err(self.error(ProtobufFault::WireType)),
        }
    }

    /// Takes the value of a field that the message does not have, unread. `known` has a bit for each number that it does
    /// have (see [`fields`]): such a field stands here because its wire type is another, which is an error.
    #[cold]
    pub(crate) fn skip_unknown(&mut self, key: u32, known: u64) -> Result<()> {
        let number = key >> 3;
        if number < 64 && known >> number & 1 == 1 {
            return Err(self.error(ProtobufFault::UnexpectedWireType((key & 7) as u8)));
        }
        self.skip(key)
    }

    /// An error at this place in the field whose key was taken last.
    #[cold]
    pub(crate) fn error(&self, fault: ProtobufFault) -> ProtobufError {
        ProtobufError { offset: self.at, field: self.key >> 3, fault }
    }

    /// Takes a length; answers where the value ends, which is inside the message.
    #[inline]
    fn end(&mut self) -> Result<usize> {
        let len = self.varint()?;
        let left = self.bytes.len() - self.at;
        match usize::try_from(len) {
            Ok(len) if len <= left => Ok(self.at + len),
            _ => Err(self.error(ProtobufFault::Truncated)),
        }
    }

    fn long_key(&mut self) -> Result<Option<u32>> {
        self.key = 0;
        let from = self.at;
        let key = self.varint()?;
        if key >> 3 == 0 || key >> 3 > FIELD_NUMBER_MAX {
            self.at = from;
            return Err(self.error(ProtobufFault::FieldNumber));
        }
        self.key = key as u32;
        Ok(Some(self.key))
    }

    fn long_varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for (at, &byte) in self.bytes[self.at..].iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.at += at + 1;
                return Ok(value);
            }
        }
        let fault = match self.bytes.len() - self.at {
            0..10 => ProtobufFault::Truncated,
            _ => ProtobufFault::VarintTooLong,
        };
        Err(self.error(fault))
    }

    /// Takes fields up to the end of the group whose beginning was taken. Inner groups' numbers are not remembered: their
    /// ends only have to be as many as their beginnings.
    #[cold]
    fn skip_group(&mut self, begin: u32) -> Result<()> {
        let mut open = 1;
        loop {
            let Some(key) = self.key()? else { return Err(self.error(ProtobufFault::Truncated)) };
            match key & 7 {
                GROUP_BEGIN if open == GROUP_DEPTH_MAX => return Err(self.error(ProtobufFault::TooDeep)),
                GROUP_BEGIN => open += 1,
                GROUP_END => {
                    open -= 1;
                    if open == 0 {
                        let matches = key >> 3 == begin >> 3;
                        return if matches { Ok(()) } else { Err(self.error(ProtobufFault::WireType)) };
                    }
                }
                _ => self.skip(key)?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{key, push_bytes_field, push_message, push_varint, push_varint_field};
    use super::*;

    fn faults(bytes: &[u8]) -> Result<usize> {
        let mut reader = Reader::new(bytes);
        let mut fields = 0;
        while let Some(key) = reader.key()? {
            reader.skip(key)?;
            fields += 1;
        }
        Ok(fields)
    }

    fn error(offset: usize, field: u32, fault: ProtobufFault) -> Result<usize> {
        Err(ProtobufError { offset, field, fault })
    }

    #[test]
    fn fields_are_walked_where_they_lie() {
        let mut body = vec![];
        push_varint_field(&mut body, 1, 300);
        push_message(&mut body, 2, 10, |out| push_bytes_field(out, 3, b"abc"));
        body.extend([4 << 3 | 5, 1, 2, 3, 4, 5 << 3 | 1, 1, 0, 0, 0, 0, 0, 0, 0]);
        let mut reader = Reader::new(&body);
        assert_eq!(reader.key(), Ok(Some(key(1, VARINT))));
        assert_eq!(reader.varint(), Ok(300));
        assert_eq!(reader.key(), Ok(Some(key(2, BYTES))));
        let mut inner = reader.message().expect("a message");
        assert_eq!((inner.position(), inner.rest()), (5, &b"\x1a\x03abc"[..]));
        assert_eq!(inner.key(), Ok(Some(key(3, BYTES))));
        assert_eq!(inner.text().as_deref(), Ok("abc"));
        assert_eq!(inner.key(), Ok(None));
        assert_eq!(reader.key(), Ok(Some(key(4, FIXED32))));
        assert_eq!(reader.fixed32(), Ok(0x0403_0201));
        assert_eq!(reader.key(), Ok(Some(key(5, FIXED64))));
        assert_eq!(reader.fixed64(), Ok(1));
        assert_eq!(reader.key(), Ok(None));
        assert_eq!(faults(&body), Ok(4));
    }

    #[test]
    fn numbers_have_up_to_ten_bytes() {
        for value in [0, 1, 127, 128, 16383, 16384, u64::from(u32::MAX), u64::MAX / 2, u64::MAX] {
            let mut bytes = vec![];
            push_varint(&mut bytes, value);
            assert_eq!(Reader::new(&bytes).varint(), Ok(value));
            bytes.pop();
            assert!(Reader::new(&bytes).varint().is_err());
        }
        let truncated = ProtobufError { offset: 0, field: 0, fault: ProtobufFault::Truncated };
        assert_eq!(Reader::new(&[0xff; 9]).varint(), Err(truncated));
        let too_long = ProtobufError { fault: ProtobufFault::VarintTooLong, ..truncated };
        assert_eq!(Reader::new(&[0xff; 10]).varint(), Err(too_long));
        assert_eq!(Reader::new(&[0x80, 0x80, 0]).varint(), Ok(0));
    }

    #[test]
    fn what_is_no_message_is_refused_where_it_goes_wrong() {
        assert_eq!(faults(&[10]), error(1, 1, ProtobufFault::Truncated));
        assert_eq!(faults(&[10, 1]), error(2, 1, ProtobufFault::Truncated));
        assert_eq!(faults(&[8, 1, 10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), {
            error(13, 1, ProtobufFault::Truncated)
        });
        assert_eq!(faults(&[9, 0, 0, 0]), error(1, 1, ProtobufFault::Truncated));
        assert_eq!(faults(&[13, 0, 0, 0]), error(1, 1, ProtobufFault::Truncated));
        assert_eq!(faults(&[0, 1]), error(0, 0, ProtobufFault::FieldNumber));
        assert_eq!(faults(&[0xfa, 0xff, 0xff, 0xff, 0x1f, 0]), error(0, 0, ProtobufFault::FieldNumber));
        assert_eq!(faults(&[0xfa, 0xff, 0xff, 0xff, 0x0f, 0]), Ok(1));
        assert_eq!(faults(&[14]), error(1, 1, ProtobufFault::WireType));
        assert_eq!(faults(&[12]), error(1, 1, ProtobufFault::WireType));
    }

    #[test]
    fn groups_are_read_over() {
        assert_eq!(faults(&[11, 8, 1, 19, 12, 12, 8, 1]), Ok(2));
        assert_eq!(faults(&[11, 8, 1]), error(3, 1, ProtobufFault::Truncated));
        assert_eq!(faults(&[11, 20]), error(2, 2, ProtobufFault::WireType));
        assert_eq!(faults(&[11; 1000]), error(101, 1, ProtobufFault::TooDeep));
    }

    #[test]
    fn a_known_field_of_another_wire_type_is_an_error_where_go_makes_it_one() {
        const KNOWN: u64 = fields(&[1, 5]);
        let mut reader = Reader::new(&[8, 1, 16, 1]);
        let key = reader.key().expect("a key").expect("a field");
        let fault = ProtobufFault::UnexpectedWireType(0);
        assert_eq!(reader.skip_unknown(key, KNOWN), Err(ProtobufError { offset: 1, field: 1, fault }));
        reader.varint().expect("a number");
        let key = reader.key().expect("a key").expect("a field");
        assert_eq!(reader.skip_unknown(key, KNOWN), Ok(()));
    }
}
