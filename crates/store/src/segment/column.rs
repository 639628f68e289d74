//! One column of one block: numbers, texts or bytes, and how each lies in a segment. Written by the block encoder, read
//! by everything that looks into a block.

use super::bytes::{Malformed, Reader, put_varint, unzigzag, zigzag};

/// A decoded column. How many entries it has is checked by who reads it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Column {
    /// Codes, counts, small numbers.
    U32(Vec<u32>),
    /// Ids, times, numbers.
    U64(Vec<u64>),
    /// Texts, one after the other.
    Text {
        /// Where each ends.
        ends: Vec<u32>,
        /// All of them.
        text: String,
    },
    /// Byte strings, one after the other.
    Bytes {
        /// Where each ends.
        ends: Vec<u32>,
        /// All of them.
        bytes: Vec<u8>,
    },
}

/// How a column's bytes are to be read: their first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Encoding {
    /// Varints below 2^32.
    Varint32 = 0,
    /// Varints.
    Varint64 = 1,
    /// Eight bytes each.
    Raw64 = 2,
    /// Texts of 16 lower-case hexadecimal digits, eight bytes each.
    Hex64 = 3,
    /// Count, lengths as varints, then the texts.
    Text = 4,
    /// Count, lengths as varints, then the bytes.
    Bytes = 5,
    /// Zigzag varints: differences to the number before.
    Delta64 = 6,
    /// The same in thousands.
    DeltaThousand64 = 7,
    /// Varints, in thousands.
    Thousand64 = 8,
}

impl Column {
    /// Reads what the functions below have written.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let (&encoding, payload) = bytes.split_first().ok_or(Malformed("a column is empty"))?;
        let mut reader = Reader::new(payload);
        Ok(match encoding {
            0 => {
                let mut values = Vec::with_capacity(payload.len());
                while !reader.is_empty() {
                    values.push(reader.varint_u32()?);
                }
                values.shrink_to_fit();
                Self::U32(values)
            }
            1 => {
                let mut values = Vec::with_capacity(payload.len() / 2);
                while !reader.is_empty() {
                    values.push(reader.varint()?);
                }
                values.shrink_to_fit();
                Self::U64(values)
            }
            2 => {
                let (words, rest) = payload.as_chunks();
                if !rest.is_empty() {
                    return Err(Malformed("a column of 8-byte numbers has bytes left over"));
                }
                Self::U64(words.iter().map(|&word| u64::from_le_bytes(word)).collect())
            }
            3 => Self::read_hex(payload)?,
            4 => {
                let (ends, bytes) = read_strings(reader)?;
                let text = std::str::from_utf8(bytes).map_err(|_| Malformed("a text is not UTF-8"))?.to_owned();
                if ends.iter().any(|&end| !text.is_char_boundary(end as usize)) {
                    return Err(Malformed("a text is cut inside a character"));
                }
                Self::Text { ends, text }
            }
            5 => {
                let (ends, bytes) = read_strings(reader)?;
                Self::Bytes { ends, bytes: bytes.to_vec() }
            }
            6 => Self::read_deltas(reader, 1)?,
            7 => Self::read_deltas(reader, 1000)?,
            8 => {
                let mut values = Vec::with_capacity(payload.len() / 2);
                while !reader.is_empty() {
                    values.push(reader.varint()?.wrapping_mul(1000));
                }
                Self::U64(values)
            }
            _ => return Err(Malformed("a column's encoding is unknown")),
        })
    }

    fn read_deltas(mut reader: Reader<'_>, unit: u64) -> Result<Self, Malformed> {
        let mut values = vec![];
        let mut last = 0u64;
        while !reader.is_empty() {
            last = last.wrapping_add_signed(unzigzag(reader.varint()?));
            values.push(last.wrapping_mul(unit));
        }
        Ok(Self::U64(values))
    }

    fn read_hex(payload: &[u8]) -> Result<Self, Malformed> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(payload.len() * 2);
        if !payload.len().is_multiple_of(8) || payload.len() > u32::MAX as usize / 2 {
            return Err(Malformed("a column of hexadecimal texts has bytes left over"));
        }
        for &byte in payload {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        let ends = (1..=payload.len() as u32 / 8).map(|n| n * 16).collect();
        Ok(Self::Text { ends, text })
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Self::U32(values) => values.capacity() * 4,
            Self::U64(values) => values.capacity() * 8,
            Self::Text { ends, text } => ends.capacity() * 4 + text.capacity(),
            Self::Bytes { ends, bytes } => ends.capacity() * 4 + bytes.capacity(),
        }
    }

    pub(crate) fn u32s(&self) -> Result<&[u32], Malformed> {
        if let Self::U32(values) = self { Ok(values) } else { Err(Malformed("a column is not one of codes")) }
    }

    pub(crate) fn u64s(&self) -> Result<&[u64], Malformed> {
        if let Self::U64(values) = self { Ok(values) } else { Err(Malformed("a column is not one of numbers")) }
    }

    pub(crate) fn text(&self, at: usize) -> Result<&str, Malformed> {
        let Self::Text { ends, text } = self else { return Err(Malformed("a column is not one of texts")) };
        let (from, to) = string_range(ends, at)?;
        text.get(from..to).ok_or(Malformed("a text is missing"))
    }

    pub(crate) fn bytes(&self, at: usize) -> Result<&[u8], Malformed> {
        let Self::Bytes { ends, bytes } = self else { return Err(Malformed("a column is not one of bytes")) };
        let (from, to) = string_range(ends, at)?;
        bytes.get(from..to).ok_or(Malformed("bytes are missing"))
    }
}

fn string_range(ends: &[u32], at: usize) -> Result<(usize, usize), Malformed> {
    let to = *ends.get(at).ok_or(Malformed("a text is missing"))?;
    let from = at.checked_sub(1).map_or(0, |before| ends[before]);
    Ok((from as usize, to as usize))
}

fn read_strings(mut reader: Reader<'_>) -> Result<(Vec<u32>, &[u8]), Malformed> {
    let count = reader.count()?;
    let mut ends = Vec::with_capacity(count);
    let mut end = 0u32;
    for _ in 0..count {
        end = end.checked_add(reader.varint_u32()?).ok_or(Malformed("texts are too long"))?;
        ends.push(end);
    }
    let bytes = reader.take(end as usize)?;
    reader.end()?;
    Ok((ends, bytes))
}

/// Codes, counts, small numbers.
pub(crate) fn put_u32s(out: &mut Vec<u8>, values: &[u32]) {
    out.push(Encoding::Varint32 as u8);
    values.iter().for_each(|&value| put_varint(out, u64::from(value)));
}

/// Numbers that are mostly small.
pub(crate) fn put_u64s(out: &mut Vec<u8>, values: &[u64]) {
    out.push(Encoding::Varint64 as u8);
    values.iter().for_each(|&value| put_varint(out, value));
}

/// Numbers each near the one before: starts of spans. In thousands where that loses nothing, as for times that came in
/// microseconds.
pub(crate) fn put_deltas(out: &mut Vec<u8>, values: &[u64]) {
    let unit = if values.iter().all(|value| value % 1000 == 0) { 1000 } else { 1 };
    out.push(if unit == 1 { Encoding::Delta64 } else { Encoding::DeltaThousand64 } as u8);
    let mut last = 0u64;
    for value in values {
        let value = value / unit;
        put_varint(out, zigzag(value.wrapping_sub(last) as i64));
        last = value;
    }
}

/// Durations; in thousands where that loses nothing.
pub(crate) fn put_durations(out: &mut Vec<u8>, values: &[u64]) {
    if values.iter().all(|value| value % 1000 == 0) {
        out.push(Encoding::Thousand64 as u8);
        values.iter().for_each(|&value| put_varint(out, value / 1000));
    } else {
        put_u64s(out, values);
    }
}

/// Numbers that use all their bits.
pub(crate) fn put_raw64(out: &mut Vec<u8>, values: &[u64]) {
    out.push(Encoding::Raw64 as u8);
    values.iter().for_each(|&value| out.extend_from_slice(&value.to_le_bytes()));
}

/// Byte strings.
pub(crate) fn put_byte_strings(out: &mut Vec<u8>, lengths: &[u32], bytes: &[u8]) {
    out.push(Encoding::Bytes as u8);
    put_strings(out, lengths, bytes);
}

/// Texts: as numbers where all are 16 lower-case hexadecimal digits, which is what ids are.
pub(crate) fn put_texts(out: &mut Vec<u8>, lengths: &[u32], text: &[u8]) {
    let digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if !lengths.is_empty() && lengths.iter().all(|&len| len == 16) && text.iter().all(digit) {
        out.push(Encoding::Hex64 as u8);
        let nibble = |byte: u8| if byte <= b'9' { byte - b'0' } else { byte - b'a' + 10 };
        out.extend(text.as_chunks().0.iter().map(|&[high, low]| nibble(high) << 4 | nibble(low)));
        return;
    }
    out.push(Encoding::Text as u8);
    put_strings(out, lengths, text);
}

fn put_strings(out: &mut Vec<u8>, lengths: &[u32], bytes: &[u8]) {
    put_varint(out, lengths.len() as u64);
    lengths.iter().for_each(|&len| put_varint(out, u64::from(len)));
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(write: impl FnOnce(&mut Vec<u8>)) -> Column {
        let mut out = vec![];
        write(&mut out);
        for len in 0..out.len() {
            drop(Column::read(&out[..len])); // cut anywhere: an error or another column, never a panic
        }
        Column::read(&out).unwrap()
    }

    #[test]
    fn columns_come_back() {
        assert_eq!(round_trip(|out| put_u32s(out, &[0, 300, u32::MAX])), Column::U32(vec![0, 300, u32::MAX]));
        assert_eq!(round_trip(|out| put_u64s(out, &[u64::MAX, 1])), Column::U64(vec![u64::MAX, 1]));
        assert_eq!(round_trip(|out| put_raw64(out, &[u64::MAX, 1])), Column::U64(vec![u64::MAX, 1]));
        for times in [[5_000, 3_000, u64::MAX / 1000 * 1000], [7, u64::MAX, 0]] {
            assert_eq!(round_trip(|out| put_deltas(out, &times)), Column::U64(times.to_vec()));
            assert_eq!(round_trip(|out| put_durations(out, &times)), Column::U64(times.to_vec()));
        }
        let texts = round_trip(|out| put_texts(out, &[2, 0, 2], "abä".as_bytes()));
        assert_eq!((texts.text(0), texts.text(1), texts.text(2)), (Ok("ab"), Ok(""), Ok("ä")));
        assert!(texts.text(3).is_err());
        let hex = round_trip(|out| put_texts(out, &[16, 16], b"0123456789abcdefffffffffffffffff"));
        assert_eq!((hex.text(0), hex.text(1)), (Ok("0123456789abcdef"), Ok("ffffffffffffffff")));
        let bytes = round_trip(|out| put_byte_strings(out, &[1, 2], &[9, 8, 7]));
        assert_eq!((bytes.bytes(0), bytes.bytes(1)), (Ok(&[9][..]), Ok(&[8, 7][..])));
    }

    #[test]
    fn a_text_cut_inside_a_character_is_refused() {
        assert!(Column::read(&[4, 2, 1, 1, 0xc3, 0xa4]).is_err());
    }
}
