//! Numbers of any size by their length in bits: the lengths, of which few are frequent, are compressed; the bits behind the
//! first one, which are as good as random, are not. Written where that is shorter than varints are under zstd, as for times,
//! durations and the numbers in texts.

use super::SegmentError;
use super::bytes::{Malformed, Reader, put_varint, unzigzag, zigzag};
use super::packing::{Packer, read_part};

/// Each is the difference to the one before, zigzag.
pub(crate) const DELTA: u8 = 1;
/// In thousands.
pub(crate) const THOUSAND: u8 = 2;
/// Each is zigzag: of either sign.
pub(crate) const SIGNED: u8 = 4;

/// How numbers are to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberForm {
    /// As they are.
    Plain,
    /// Each as the difference to the one before.
    Delta,
    /// As numbers of either sign.
    Signed,
}

/// Numbers as they are written: lengths apart from bits.
#[derive(Debug, Default)]
pub(crate) struct BitLengths {
    lengths: Vec<u8>,
    bits: Vec<u8>,
    open: u64,
    open_bits: u32,
}

impl BitLengths {
    pub(crate) fn clear(&mut self) {
        self.lengths.clear();
        self.bits.clear();
        (self.open, self.open_bits) = (0, 0);
    }

    #[inline]
    pub(crate) fn push(&mut self, value: u64) {
        let length = 64 - value.leading_zeros();
        self.lengths.push(length as u8);
        if length < 2 {
            return;
        }
        let count = length - 1;
        let bits = value ^ 1 << count;
        self.open |= bits << self.open_bits;
        let used = 64 - self.open_bits;
        if count >= used {
            self.bits.extend_from_slice(&self.open.to_le_bytes());
            self.open = if used == 64 { 0 } else { bits >> used };
            self.open_bits = count - used;
        } else {
            self.open_bits += count;
        }
    }

    /// Appends what was pushed and forgets it.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, packer: &mut Packer) -> Result<(), SegmentError> {
        let rest = self.open_bits.div_ceil(8) as usize;
        self.bits.extend_from_slice(&self.open.to_le_bytes()[..rest]);
        packer.put_part(out, &self.lengths)?;
        put_varint(out, self.bits.len() as u64);
        out.extend_from_slice(&self.bits);
        self.clear();
        Ok(())
    }
}

/// Undoes [`BitLengths::write`].
pub(crate) fn read_bit_lengths(reader: &mut Reader<'_>) -> Result<Vec<u64>, Malformed> {
    let lengths = read_part(reader)?;
    let bytes = reader.bytes()?;
    let mut values = Vec::with_capacity(lengths.len());
    let mut at = 0usize;
    for length in lengths {
        values.push(match length {
            0 => 0,
            1 => 1,
            2..=64 => {
                let count = usize::from(length) - 1;
                let bits = bits_at(bytes, at, count).ok_or(Malformed("the bits of numbers end early"))?;
                at += count;
                1 << count | bits
            }
            _ => return Err(Malformed("a number has more than 64 bits")),
        });
    }
    if at.div_ceil(8) == bytes.len() { Ok(values) } else { Err(Malformed("bits follow the last number")) }
}

/// Below 64 bits from a place on, the lowest of each byte first.
fn bits_at(bytes: &[u8], at: usize, count: usize) -> Option<u64> {
    let (from, shift) = (at / 8, at % 8);
    if let Some(word) = bytes.get(from..).and_then(<[u8]>::first_chunk).filter(|_| shift + count <= 64) {
        return Some(u64::from_le_bytes(*word) >> shift & ((1 << count) - 1));
    }
    if (at + count).div_ceil(8) > bytes.len() {
        return None;
    }
    let mut word = [0u8; 16];
    let len = (bytes.len() - from).min(9);
    word[..len].copy_from_slice(&bytes[from..from + len]);
    let word = (u128::from_le_bytes(word) >> shift) as u64;
    Some(word & ((1 << count) - 1))
}

/// A column of numbers, behind the byte of its encoding: flags, then lengths and bits.
pub(crate) fn put_numbers(
    out: &mut Vec<u8>,
    values: &[u64],
    form: NumberForm,
    packer: &mut Packer,
    scratch: &mut BitLengths,
) -> Result<(), SegmentError> {
    scratch.clear();
    let thousand = match form {
        NumberForm::Signed => {
            let thousand = values.iter().all(|&value| value as i64 % 1000 == 0);
            let unit = if thousand { 1000 } else { 1 };
            values.iter().for_each(|&value| scratch.push(zigzag(value as i64 / unit)));
            thousand
        }
        NumberForm::Plain | NumberForm::Delta => {
            let unit = unit_of(values);
            let mut last = 0u64;
            for value in values {
                let value = if unit == 1 { *value } else { value / 1000 };
                let delta = form == NumberForm::Delta;
                scratch.push(if delta { zigzag(value.wrapping_sub(last) as i64) } else { value });
                last = value;
            }
            unit == 1000
        }
    };
    let form = match form {
        NumberForm::Plain => 0,
        NumberForm::Delta => DELTA,
        NumberForm::Signed => SIGNED,
    };
    out.push(form | if thousand { THOUSAND } else { 0 });
    scratch.write(out, packer)
}

/// Undoes [`put_numbers`].
pub(crate) fn read_numbers(mut reader: Reader<'_>) -> Result<Vec<u64>, Malformed> {
    let flags = reader.u8()?;
    let mut values = read_bit_lengths(&mut reader)?;
    reader.end()?;
    if flags & DELTA != 0 {
        undo_delta(&mut values);
    }
    if flags & SIGNED != 0 {
        values.iter_mut().for_each(|value| *value = unzigzag(*value) as u64);
    }
    if flags & THOUSAND != 0 {
        values.iter_mut().for_each(|value| *value = value.wrapping_mul(1000));
    }
    Ok(values)
}

/// Differences become numbers.
pub(crate) fn undo_delta(values: &mut [u64]) {
    let mut last = 0u64;
    for value in values {
        last = last.wrapping_add_signed(unzigzag(*value));
        *value = last;
    }
}

/// A thousand where all numbers are multiples of it, as times that came in microseconds are.
pub(crate) fn unit_of(values: &[u64]) -> u64 {
    if values.iter().all(|value| value.is_multiple_of(1000)) { 1000 } else { 1 }
}

/// How many bits numbers have together, without zeros in front.
pub(crate) fn bits_of(values: impl Iterator<Item = u64>) -> u64 {
    values.map(|value| u64::from(64 - value.leading_zeros())).sum()
}

/// Whether differences have fewer bits than the numbers.
pub(crate) fn is_near(values: impl Iterator<Item = u64>) -> bool {
    let (mut plain, mut differences, mut last) = (0u32, 0u32, 0u64);
    for value in values {
        plain = plain.saturating_add(64 - value.leading_zeros());
        differences = differences.saturating_add(64 - zigzag(value.wrapping_sub(last) as i64).leading_zeros());
        last = value;
    }
    differences < plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[u64]) {
        let (mut packer, mut scratch) = (Packer::new().unwrap(), BitLengths::default());
        for form in [NumberForm::Plain, NumberForm::Delta, NumberForm::Signed] {
            let mut out = vec![];
            put_numbers(&mut out, values, form, &mut packer, &mut scratch).unwrap();
            assert_eq!(read_numbers(Reader::new(&out)).unwrap(), values);
            for len in 0..out.len() {
                drop(read_numbers(Reader::new(&out[..len]))); // an error or other numbers, never a panic
            }
        }
    }

    #[test]
    fn numbers_of_every_length_come_back() {
        round_trip(&[]);
        round_trip(&(0..64).flat_map(|bit| [1u64 << bit, (1 << bit) - 1, u64::MAX >> bit]).collect::<Vec<_>>());
        round_trip(&[5000, 1000, 0, 7000, 18_446_744_073_709_551_000]);
        round_trip(&[5000, 0u64.wrapping_sub(7000)]);
    }

    proptest! {
        #[test]
        fn any_numbers_come_back(values in prop::collection::vec((any::<u64>(), 0u32..64), 0..100)) {
            round_trip(&values.iter().map(|(value, shift)| value >> shift).collect::<Vec<_>>());
        }
    }
}
