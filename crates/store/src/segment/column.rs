//! One column of one block: numbers, texts or bytes, and how each lies in a segment. Written by the block encoder, read
//! by everything that looks into a block.

use super::bytes::{Malformed, Reader, put_varint, unzigzag, zigzag};
use super::dictionary::TextTable;
use super::numbers::{read_numbers, unit_of};
use super::templates::{TemplateTexts, read_templates};

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
    /// Codes of values, of which another column tells most; see [`Column::resolve`].
    Guessed {
        /// The number of that column.
        by: u32,
        /// An entry a value.
        guesses: Vec<u32>,
    },
    /// Texts that print bytes.
    Ids(IdTexts),
    /// Texts that differ in their numbers.
    Templates(TemplateTexts),
    /// Byte strings, one after the other.
    Bytes {
        /// Where each ends.
        ends: Vec<u32>,
        /// All of them.
        bytes: Vec<u8>,
    },
}

/// Hexadecimal digits or UUIDs, as the bytes that they print.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IdTexts {
    pub(super) bytes_each: usize,
    pub(super) is_uuid: bool,
    pub(super) bytes: Vec<u8>,
}

/// How a column's bytes are to be read: their first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Encoding {
    /// Varints below 2^32. Written by version 1.
    #[expect(dead_code, reason = "read by its number, as all are, and written no more")]
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
    /// See `numbers.rs`.
    BitLengths = 9,
    /// See `templates.rs`.
    Templates = 10,
    /// Numbers below 2^32: a width, then the lowest byte of each, the next byte of each, ...
    Planes32 = 11,
    /// Texts of as many lower-case hexadecimal digits each: half that number, then the bytes.
    Hex = 12,
    /// Texts of the form of a UUID in lower case, 16 bytes each.
    Uuid = 13,
    /// The number of the column that tells most codes, then entries as [`Encoding::Planes32`].
    Guessed = 14,
}

impl Column {
    /// Reads what the functions below have written; `templates` are those of the attribute whose column it is.
    pub(crate) fn read(bytes: &[u8], templates: &TextTable) -> Result<Self, Malformed> {
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
            3 => Self::read_hex(payload, 8)?,
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
            9 => Self::U64(read_numbers(reader)?),
            10 => Self::Templates(read_templates(reader, templates)?),
            11 => Self::U32(read_narrow_codes(payload)?),
            12 => {
                let (&bytes, payload) = payload.split_first().ok_or(Malformed("a column is empty"))?;
                Self::read_hex(payload, usize::from(bytes))?
            }
            13 => Self::read_uuids(payload)?,
            14 => {
                let (&by, payload) = payload.split_first().ok_or(Malformed("a column is empty"))?;
                Self::Guessed { by: u32::from(by), guesses: read_narrow_codes(payload)? }
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

    fn read_hex(payload: &[u8], bytes_each: usize) -> Result<Self, Malformed> {
        if bytes_each == 0 || !payload.len().is_multiple_of(bytes_each) {
            return Err(Malformed("a column of hexadecimal texts has bytes left over"));
        }
        Ok(Self::Ids(IdTexts { bytes_each, is_uuid: false, bytes: payload.to_vec() }))
    }

    fn read_uuids(payload: &[u8]) -> Result<Self, Malformed> {
        if !payload.len().is_multiple_of(16) {
            return Err(Malformed("a column of UUIDs has bytes left over"));
        }
        Ok(Self::Ids(IdTexts { bytes_each: 16, is_uuid: true, bytes: payload.to_vec() }))
    }

    /// The codes of a column that holds only what another one does not tell: 0 where a code is what it was when that one had
    /// the same entry last (0 for the first), else one more than the code. `known` are its entries, one for each of ours.
    pub(crate) fn resolve(&self, known: &[u32]) -> Result<Self, Malformed> {
        let guesses = match self {
            Self::Guessed { guesses, .. } => guesses,
            column => column.u32s()?,
        };
        if guesses.len() != known.len() {
            return Err(Malformed("a column has too few rows"));
        }
        // Codes are numbers of dictionaries: below a limit that only damage exceeds.
        let largest = known.iter().copied().max().unwrap_or(0);
        if largest > KNOWN_CODES_MAX {
            return Err(Malformed("a code is too large"));
        }
        let mut last = vec![0u32; largest as usize + 1];
        let resolve = |(&guess, &known): (&u32, &u32)| {
            let last = &mut last[known as usize];
            *last = guess.checked_sub(1).unwrap_or(*last);
            *last
        };
        Ok(Self::U32(guesses.iter().zip(known).map(resolve).collect()))
    }

    /// Starts from how long each is after the end of the row before.
    pub(crate) fn after_ends(&self, durations: Option<&Self>) -> Result<Self, Malformed> {
        let mut starts = self.u64s()?.to_vec();
        let durations = durations.map(Self::u64s).transpose()?;
        if durations.is_some_and(|durations| durations.len() != starts.len()) {
            return Err(Malformed("a column has too few rows"));
        }
        let mut end = 0u64;
        for (row, start) in starts.iter_mut().enumerate() {
            *start = start.wrapping_add(end);
            end = start.wrapping_add(durations.map_or(0, |durations| durations[row]));
        }
        Ok(Self::U64(starts))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Self::U32(values) | Self::Guessed { guesses: values, .. } => values.capacity() * 4,
            Self::U64(values) => values.capacity() * 8,
            Self::Text { ends, text } => ends.capacity() * 4 + text.capacity(),
            Self::Bytes { ends, bytes } => ends.capacity() * 4 + bytes.capacity(),
            Self::Ids(ids) => ids.bytes.capacity(),
            Self::Templates(texts) => texts.memory_bytes(),
        }
    }

    pub(crate) fn u32s(&self) -> Result<&[u32], Malformed> {
        if let Self::U32(values) = self { Ok(values) } else { Err(Malformed("a column is not one of codes")) }
    }

    pub(crate) fn u64s(&self) -> Result<&[u64], Malformed> {
        if let Self::U64(values) = self { Ok(values) } else { Err(Malformed("a column is not one of numbers")) }
    }

    /// An entry; where it has to be printed, `printed` is made to hold it. `templates` are those of the column's attribute.
    pub(crate) fn text<'a>(
        &'a self,
        at: usize,
        templates: &TextTable,
        printed: &'a mut String,
    ) -> Result<&'a str, Malformed> {
        match self {
            Self::Text { ends, text } => {
                let (from, to) = string_range(ends, at)?;
                text.get(from..to).ok_or(Malformed("a text is missing"))
            }
            Self::Ids(ids) => ids.print(at, printed),
            Self::Templates(texts) => texts.print(at, templates, printed),
            _ => Err(Malformed("a column is not one of texts")),
        }
    }

    pub(crate) fn bytes(&self, at: usize) -> Result<&[u8], Malformed> {
        let Self::Bytes { ends, bytes } = self else { return Err(Malformed("a column is not one of bytes")) };
        let (from, to) = string_range(ends, at)?;
        bytes.get(from..to).ok_or(Malformed("bytes are missing"))
    }
}

impl IdTexts {
    fn print<'a>(&self, at: usize, printed: &'a mut String) -> Result<&'a str, Malformed> {
        let from = at.saturating_mul(self.bytes_each);
        let id = self.bytes.get(from..from.saturating_add(self.bytes_each)).ok_or(Malformed("a text is missing"))?;
        printed.clear();
        for (at, &byte) in id.iter().enumerate() {
            if self.is_uuid && UUID_DASHES_BEFORE.contains(&at) {
                printed.push('-');
            }
            push_hex(printed, byte);
        }
        Ok(printed)
    }
}

/// Numbers of a dictionary are below this, in a segment that makes sense.
const KNOWN_CODES_MAX: u32 = 1 << 26;

pub(super) fn string_range(ends: &[u32], at: usize) -> Result<(usize, usize), Malformed> {
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
    out.push(Encoding::Planes32 as u8);
    put_narrow_codes(out, values);
}

/// Codes of which the column `by` tells most.
pub(crate) fn put_guesses(out: &mut Vec<u8>, by: u32, guesses: &[u32]) {
    out.extend_from_slice(&[Encoding::Guessed as u8, by as u8]);
    put_narrow_codes(out, guesses);
}

/// How many bytes the largest needs, then the lowest byte of each, the next byte of each and so on: bytes of one kind are
/// next to each other.
pub(crate) fn put_narrow_codes(out: &mut Vec<u8>, values: &[u32]) {
    let largest = values.iter().fold(0, |all, value| all | value);
    let width = (32 - largest.leading_zeros()).div_ceil(8).max(1);
    out.push(width as u8);
    for plane in 0..width {
        out.extend(values.iter().map(|value| (value >> (8 * plane)) as u8));
    }
}

/// Undoes [`put_narrow_codes`].
pub(crate) fn read_narrow_codes(bytes: &[u8]) -> Result<Vec<u32>, Malformed> {
    let malformed = Malformed("a column of byte planes is cut");
    let (&width, planes) = bytes.split_first().ok_or(malformed)?;
    let width = usize::from(width);
    if !(1..=4).contains(&width) || !planes.len().is_multiple_of(width) {
        return Err(malformed);
    }
    let len = planes.len() / width;
    let mut values: Vec<u32> = planes[..len].iter().map(|&byte| u32::from(byte)).collect();
    for plane in 1..width {
        let bytes = &planes[plane * len..(plane + 1) * len];
        values.iter_mut().zip(bytes).for_each(|(value, &byte)| *value |= u32::from(byte) << (8 * plane));
    }
    Ok(values)
}

/// Numbers that are mostly small.
pub(crate) fn put_u64s(out: &mut Vec<u8>, values: &[u64]) {
    out.push(Encoding::Varint64 as u8);
    values.iter().for_each(|&value| put_varint(out, value));
}

/// Numbers each near the one before: starts of spans. In thousands where that loses nothing, as for times that came in
/// microseconds.
pub(crate) fn put_deltas(out: &mut Vec<u8>, values: &[u64]) {
    let unit = unit_of(values);
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
    if unit_of(values) == 1000 {
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

/// Texts as the bytes that they print, where all are ids: as many lower-case hexadecimal digits each, or UUIDs. Answers
/// whether they are; if not, `out` is as it was.
pub(crate) fn put_ids(out: &mut Vec<u8>, lengths: &[u32], text: &[u8]) -> bool {
    let Some(&len) = lengths.first() else { return false };
    if lengths.iter().any(|&other| other != len) {
        return false;
    }
    let before = out.len();
    let written = match len as usize {
        UUID_BYTES => {
            out.push(Encoding::Uuid as u8);
            text.as_chunks::<UUID_BYTES>().0.iter().all(|uuid| put_uuid(out, uuid))
        }
        16 => {
            out.push(Encoding::Hex64 as u8);
            put_hex(out, text)
        }
        len @ 8..=510 if len.is_multiple_of(2) => {
            out.extend_from_slice(&[Encoding::Hex as u8, (len / 2) as u8]);
            put_hex(out, text)
        }
        _ => false,
    };
    if !written {
        out.truncate(before);
    }
    written
}

const UUID_BYTES: usize = 36;
/// Of the 16 bytes of a UUID, those with a dash in front.
const UUID_DASHES_BEFORE: [usize; 4] = [4, 6, 8, 10];

fn put_uuid(out: &mut Vec<u8>, uuid: &[u8; UUID_BYTES]) -> bool {
    let parts = [&uuid[..8], &uuid[9..13], &uuid[14..18], &uuid[19..23], &uuid[24..]];
    [8, 13, 18, 23].iter().all(|&at| uuid[at] == b'-') && parts.iter().all(|part| put_hex(out, part))
}

/// The half byte of each lower-case hexadecimal digit, and what no digit is.
pub(super) const NIBBLES: [u8; 256] = {
    let mut nibbles = [NO_NIBBLE; 256];
    let mut at = 0;
    while at < 16 {
        nibbles[b"0123456789abcdef"[at] as usize] = at as u8;
        at += 1;
    }
    nibbles
};
const NO_NIBBLE: u8 = 0xff;

fn put_hex(out: &mut Vec<u8>, text: &[u8]) -> bool {
    let (words, text) = text.as_chunks::<8>();
    for &digits in words {
        let Some(bytes) = hex_word(u64::from_le_bytes(digits)) else { return false };
        out.extend_from_slice(&bytes.to_le_bytes());
    }
    let mut wrong = 0;
    out.extend(text.as_chunks().0.iter().map(|&[high, low]| {
        let (high, low) = (NIBBLES[usize::from(high)], NIBBLES[usize::from(low)]);
        wrong |= high | low;
        high << 4 | low
    }));
    wrong & 0xf0 == 0
}

/// The four bytes that eight lower-case digits print, the first digit and the first byte lowest.
fn hex_word(digits: u64) -> Option<u32> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = ONES << 7;
    if digits & TOPS != 0 {
        return None;
    }
    // The top bit of each byte says whether it is at least that character; none carries into the next.
    let at_least = |character: u8| (digits + ONES * u64::from(128 - character)) & TOPS;
    let decimal = at_least(b'0') & !at_least(b'9' + 1);
    let letter = at_least(b'a') & !at_least(b'f' + 1);
    if decimal | letter != TOPS {
        return None;
    }
    // Letters lie 39 behind the character that would follow 9.
    let nibbles = digits - ONES * u64::from(b'0') - (letter >> 7) * 39;
    let pairs = (nibbles << 4 | nibbles >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    Some((fours | fours >> 16) as u32)
}

fn push_hex(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.push(char::from(DIGITS[usize::from(byte >> 4)]));
    text.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// Texts.
pub(crate) fn put_texts(out: &mut Vec<u8>, lengths: &[u32], text: &[u8]) {
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
            drop(Column::read(&out[..len], &TextTable::default())); // cut anywhere: an error or another column, never a panic
        }
        Column::read(&out, &TextTable::default()).unwrap()
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
        let text =
            |column: &Column, at: usize| column.text(at, &TextTable::default(), &mut String::new()).map(str::to_owned);
        assert_eq!([0, 1, 2].map(|at| text(&texts, at).unwrap()), ["ab", "", "ä"]);
        assert!(text(&texts, 3).is_err());
        for ids in [
            ["0123456789abcdef", "ffffffffffffffff"],
            ["0123456789abcdef01", "fffffffffffffffff0"],
            ["01234567-89ab-cdef-0123-456789abcdef", "ffffffff-ffff-ffff-ffff-ffffffffff00"],
        ] {
            let len = ids[0].len() as u32;
            let hex = round_trip(|out| assert!(put_ids(out, &[len, len], ids.concat().as_bytes())));
            assert_eq!([0, 1].map(|at| text(&hex, at).unwrap()), ids);
            assert!(text(&hex, 2).is_err());
        }
        for digit in 0..=255u8 {
            for at in 0..8 {
                let mut digits = *b"09af3c77";
                digits[at] = digit;
                let nibble = |byte: u8| u32::from(NIBBLES[usize::from(byte)]);
                let byte = |at: usize| nibble(digits[2 * at]) << 4 | nibble(digits[2 * at + 1]);
                let expected = (0..4).fold(0, |word, at| word | byte(at) << (8 * at));
                let expected = Some(expected).filter(|_| NIBBLES[usize::from(digit)] != NO_NIBBLE);
                assert_eq!(hex_word(u64::from_le_bytes(digits)), expected);
            }
        }
        for no_id in ["0123456789abcdeF", "0123456789abcde", "01234567-89ab-cdef-0123+456789abcdef", ""] {
            let mut out = vec![7];
            assert!(!put_ids(&mut out, &[no_id.len() as u32], no_id.as_bytes()));
            assert_eq!(out, [7]);
        }
        let bytes = round_trip(|out| put_byte_strings(out, &[1, 2], &[9, 8, 7]));
        assert_eq!((bytes.bytes(0), bytes.bytes(1)), (Ok(&[9][..]), Ok(&[8, 7][..])));
    }

    #[test]
    fn what_another_column_tells_comes_back() {
        let column = round_trip(|out| put_guesses(out, 7, &[6, 0, 0, 4, 0]));
        assert!(matches!(column, Column::Guessed { by: 7, .. }));
        assert_eq!(column.resolve(&[1, 1, 2, 1, 1]), Ok(Column::U32(vec![5, 5, 0, 3, 3])));
        assert!(column.resolve(&[1]).is_err());
        let after = Column::U64(vec![100, 0u64.wrapping_sub(7), 1]);
        let durations = Column::U64(vec![10, 0, 0]);
        assert_eq!(after.after_ends(Some(&durations)), Ok(Column::U64(vec![100, 103, 104])));
        assert_eq!(after.after_ends(None), Ok(Column::U64(vec![100, 93, 94])));
        assert!(after.after_ends(Some(&Column::U64(vec![]))).is_err());
    }

    #[test]
    fn a_text_cut_inside_a_character_is_refused() {
        assert!(Column::read(&[4, 2, 1, 1, 0xc3, 0xa4], &TextTable::default()).is_err());
    }
}
