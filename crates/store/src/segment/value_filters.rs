//! Which blocks may have a value that is in no dictionary: a Bloom filter a block, all of the same size and laid out by
//! position, so that one look-up asks all blocks of a segment: `hashes` rows of a bit for each block, and what all of them have.

use super::SegmentError;
use super::bytes::{Malformed, Reader, put_varint};

/// Bits for each value of a block, on average ...
const BITS_A_VALUE: u64 = 6;
/// ... and how many of them are set: the number that lets the fewest blocks pass at that size, about one in twenty.
const HASHES: u32 = 4;
/// Larger filters are not read.
const HASHES_MAX: u64 = 16;

/// The filters of an open segment.
#[derive(Debug, Default)]
pub(crate) struct ValueFilters {
    positions: u64,
    hashes: u32,
    blocks: usize,
    bits: Vec<u8>,
}

impl ValueFilters {
    /// How many bytes it holds.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bits.len()
    }

    /// Clears the blocks that surely have no such value of the attribute.
    pub(crate) fn keep_possible(&self, attribute: u32, value: &str, blocks: &mut [bool]) {
        if self.positions == 0 {
            return;
        }
        let hash = hash(attribute, value.as_bytes());
        for position in positions(hash, self.hashes, self.positions) {
            let first = position as usize * self.blocks;
            for (block, possible) in blocks.iter_mut().enumerate().filter(|(_, possible)| **possible) {
                let bit = first + block;
                *possible = self.bits[bit / 8] >> (bit % 8) & 1 != 0;
            }
        }
    }

    pub(crate) fn read(bytes: &[u8], blocks: usize) -> Result<Self, Malformed> {
        let reader = &mut Reader::new(bytes);
        let (positions, hashes) = (reader.varint()?, reader.varint()?);
        let bits = reader.rest().to_vec();
        let wanted = positions.checked_mul(blocks as u64).map(|bits| bits.div_ceil(8));
        if wanted != Some(bits.len() as u64) || hashes > HASHES_MAX || positions > u64::from(u32::MAX) {
            return Err(Malformed("the filters of values have another size"));
        }
        Ok(Self { positions, hashes: hashes as u32, blocks, bits })
    }
}

/// The filters of a segment that is being written.
#[derive(Default)]
pub(super) struct ValueFiltersBuilder {
    /// Hashes of values, each once a block, block after block.
    hashes: Vec<u64>,
    /// Where those of each block end.
    ends: Vec<usize>,
    seen: Vec<u64>,
    /// Values of traces that began in an earlier block.
    also: Vec<(u32, u64)>,
}

/// Values met lately: most repetitions are near.
const SEEN_SLOTS: usize = 1 << 13;

impl ValueFiltersBuilder {
    /// Begins the next block.
    pub(super) fn begin_block(&mut self) {
        self.seen.clear();
        self.seen.resize(SEEN_SLOTS, 0);
    }

    /// Adds values of an attribute, which lie one behind the other. `home` is an earlier block in which traces begin that go
    /// on in this one, if there is one.
    pub(super) fn add(&mut self, attribute: u32, lengths: &[u32], text: &[u8], home: Option<u32>) {
        let mut rest = text;
        for &len in lengths {
            let (value, behind) = rest.split_at(len as usize);
            rest = behind;
            let hash = hash(attribute, value);
            let slot = &mut self.seen[hash as usize % SEEN_SLOTS];
            if *slot != hash {
                *slot = hash;
                self.hashes.push(hash);
                self.also.extend(home.map(|home| (home, hash)));
            }
        }
    }

    pub(super) fn end_block(&mut self) {
        self.ends.push(self.hashes.len());
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), SegmentError> {
        let blocks = self.ends.len();
        if self.hashes.is_empty() {
            return Ok(());
        }
        let all = (self.hashes.len() + self.also.len()) as u64;
        let wanted = (all * BITS_A_VALUE).div_ceil(blocks as u64).max(8);
        let wanted = u32::try_from(wanted).map_err(|_| SegmentError::TooLarge("the number of its values"))?;
        put_varint(out, u64::from(wanted));
        put_varint(out, u64::from(HASHES));
        let mut bits = vec![0u8; (wanted as usize * blocks).div_ceil(8)];
        let mut set = |block: usize, hash: u64| {
            for position in positions(hash, HASHES, u64::from(wanted)) {
                let bit = position as usize * blocks + block;
                bits[bit / 8] |= 1 << (bit % 8);
            }
        };
        let mut from = 0;
        for (block, &end) in self.ends.iter().enumerate() {
            self.hashes[from..end].iter().for_each(|&hash| set(block, hash));
            from = end;
        }
        self.also.iter().for_each(|&(block, hash)| set(block as usize, hash));
        out.extend_from_slice(&bits);
        Ok(())
    }
}

/// The positions of a value: from the lower half of its hash, in steps of the upper one.
fn positions(hash: u64, hashes: u32, positions: u64) -> impl Iterator<Item = u64> {
    let (first, step) = (hash as u32, (hash >> 32) as u32 | 1);
    (0..hashes).map(move |n| (u64::from(first.wrapping_add(step.wrapping_mul(n))) * positions) >> 32)
}

/// A value's hash, as docs/format.md says. Never changes: it is in files.
fn hash(attribute: u32, value: &[u8]) -> u64 {
    let mut hash = mix(u64::from(attribute) ^ 0x9e37_79b9_7f4a_7c15, value.len() as u64 ^ 0xd6e8_feb8_6659_fd93);
    let (words, rest) = value.as_chunks();
    for word in words {
        hash = mix(hash ^ u64::from_le_bytes(*word), 0xa076_1d64_78bd_642f);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(hash ^ u64::from_le_bytes(last), 0xe703_7ed1_a0b4_28db)
}

/// Both halves of the product.
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_found_in_its_blocks_and_few_in_others() {
        let mut builder = ValueFiltersBuilder::default();
        let value = |n: u32| format!("value {n} of many");
        for block in 0..5u32 {
            builder.begin_block();
            for n in 0..1000 {
                let value = value(block * 1000 + n);
                builder.add(7, &[value.len() as u32], value.as_bytes(), (block == 3).then_some(1));
            }
            builder.end_block();
        }
        let mut out = vec![];
        builder.write(&mut out).unwrap();
        assert!(out.len() <= 6 * 6000 / 8 + 16, "{} bytes", out.len());
        let filters = ValueFilters::read(&out, 5).unwrap();
        let mut passed = 0;
        for n in 0..5000 {
            let mut blocks = [true; 5];
            filters.keep_possible(7, &value(n), &mut blocks);
            assert!(blocks[n as usize / 1000]);
            assert!(n / 1000 != 3 || blocks[1]);
            passed += blocks.iter().filter(|&&possible| possible).count();
        }
        assert!(passed < 5000 + 1000 + 5000 / 2, "{passed} blocks are left");
        let (mut none, mut left) = ([false; 5], [false, true, false, false, false]);
        filters.keep_possible(7, &value(0), &mut none);
        filters.keep_possible(8, "x", &mut left);
        assert_eq!((none, left[0]), ([false; 5], false));
        assert!((0..out.len()).all(|len| ValueFilters::read(&out[..len], 5).is_err()));
    }

    #[test]
    fn a_hash_is_what_it_was() {
        assert_eq!(hash(0, b""), EMPTY);
        assert_eq!(hash(3, b"00f067aa0ba902b7 and more"), SOME);
    }

    /// As another implementation computes them.
    const EMPTY: u64 = 16917597688092481127;
    const SOME: u64 = 4059507534839471296;
}
