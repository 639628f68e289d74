//! Which blocks of a segment a search has to look into: for every service together with a name, remote service, tag or tag
//! value ("term"), one byte for each block that has it.
//!
//! The byte is the bucket of the longest duration of any span of that service in a **trace** that has the term, because a
//! search asks for conditions that different spans of a trace may meet. A trace counts for the block in which it begins.

use super::bytes::{Malformed, Reader};
use super::column::read_narrow_codes;
use super::packing::read_part;
use super::terms_builder::Longest;
use std::ops::Range;

/// What a span of a service has. Orders by kind, then numbers, so that one thing's services lie side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Fact {
    /// It is there.
    Present,
    /// A name, by its text.
    SpanName(u32),
    /// A remote service, by its text.
    RemoteService(u32),
    /// An attribute, whatever its value.
    Attribute(u32),
    /// An attribute with a value of its dictionary.
    Value(u32, u32),
}

impl Fact {
    /// Its kind and the numbers that say which.
    pub(super) const fn numbers(self) -> (u8, u32, u32) {
        match self {
            Self::Present => (0, 0, 0),
            Self::SpanName(name) => (1, name, 0),
            Self::RemoteService(name) => (2, name, 0),
            Self::Attribute(attribute) => (3, attribute, 0),
            Self::Value(attribute, value) => (4, attribute, value),
        }
    }

    fn from_numbers(kind: u8, a: u32, b: u32) -> Option<Self> {
        Some(match kind {
            0 => Self::Present,
            1 => Self::SpanName(a),
            2 => Self::RemoteService(a),
            3 => Self::Attribute(a),
            4 => Self::Value(a, b),
            _ => return None,
        })
    }
}

/// A fact of a service, by its text.
pub(crate) type Term = (Fact, u32);

/// A block that has a term, with the bucket: as one number, because an open segment has a million of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TermBlock(u32);

/// Blocks have smaller numbers.
const BLOCKS_MAX: usize = 1 << 24;

impl TermBlock {
    fn new(block: u32, longest: u8) -> Self {
        Self(block << 8 | u32::from(longest))
    }

    pub(crate) fn block(self) -> u32 {
        self.0 >> 8
    }

    /// The bucket of the longest duration.
    pub(crate) fn longest(self) -> u8 {
        self.0 as u8
    }
}

/// The terms of an open segment.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    terms: Vec<Term>,
    /// Where the blocks of each term end.
    ends: Vec<u32>,
    blocks: Vec<TermBlock>,
}

/// The bucket of a duration: 1 for zero, then four for each power of two. Longer durations never have smaller buckets.
pub(crate) const fn duration_bucket(duration_us: u64) -> u8 {
    let bucket = match duration_us {
        0..4 => duration_us,
        _ => {
            let exponent = duration_us.ilog2() as u64;
            4 * (exponent - 1) + (duration_us >> (exponent - 2) & 3)
        }
    };
    bucket as u8 + 1
}

impl Terms {
    /// How many bytes it holds.
    pub(super) fn memory_bytes(&self) -> usize {
        self.terms.capacity() * size_of::<Term>()
            + self.ends.capacity() * 4
            + self.blocks.capacity() * size_of::<TermBlock>()
    }

    /// How many terms there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.terms.len()
    }

    /// The blocks of one term, ascending.
    pub(crate) fn blocks(&self, term: Term) -> &[TermBlock] {
        self.terms.binary_search(&term).map_or(&[], |at| self.blocks_at(at))
    }

    /// The services that have a fact, and their blocks.
    pub(crate) fn services(&self, fact: Fact) -> impl Iterator<Item = (u32, &[TermBlock])> {
        self.range(fact, fact).map(|at| (self.terms[at].1, self.blocks_at(at)))
    }

    /// All terms with facts from `first` to `last`.
    pub(crate) fn between(&self, first: Fact, last: Fact) -> &[Term] {
        &self.terms[self.range(first, last)]
    }

    fn range(&self, first: Fact, last: Fact) -> Range<usize> {
        let from = self.terms.partition_point(|term| term.0 < first);
        let to = self.terms.partition_point(|term| term.0 <= last);
        from..to.max(from)
    }

    fn blocks_at(&self, at: usize) -> &[TermBlock] {
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.blocks[from as usize..self.ends[at] as usize]
    }

    /// Reads the terms of format version 1.
    pub(crate) fn read_v1(bytes: &[u8], blocks: usize) -> Result<Self, Malformed> {
        let reader = &mut Reader::new(bytes);
        let blocks = blocks.min(BLOCKS_MAX);
        let mut terms = Self::default();
        for _ in 0..reader.count()? {
            let kind = reader.u8()?;
            let (a, b, service) = (reader.varint_u32()?, reader.varint_u32()?, reader.varint_u32()?);
            let fact = Fact::from_numbers(kind, a, b).ok_or(Malformed("a term's kind is unknown"))?;
            let mut block = 0u32;
            for at in 0..reader.count()? {
                let step = reader.varint_u32()?;
                block = block.checked_add(step).ok_or(Malformed("a block number is too large"))?;
                if block as usize >= blocks || at > 0 && step == 0 {
                    return Err(Malformed("a term names a block that is not there"));
                }
                terms.blocks.push(TermBlock::new(block, reader.u8()?));
            }
            terms.terms.push((fact, service));
            terms.ends.push(u32::try_from(terms.blocks.len()).map_err(|_| Malformed("too many terms"))?);
        }
        reader.end()?;
        terms.checked()
    }

    fn checked(mut self) -> Result<Self, Malformed> {
        if !self.terms.is_sorted_by(|a, b| a < b) {
            return Err(Malformed("terms are not in order"));
        }
        self.blocks.shrink_to_fit();
        Ok(self)
    }

    /// Reads what `put_terms` has written.
    pub(crate) fn read(bytes: &[u8], blocks: usize) -> Result<Self, Malformed> {
        let reader = &mut Reader::new(bytes);
        let blocks = blocks.min(BLOCKS_MAX);
        let mut kinds = vec![];
        for kind in 0..5u8 {
            kinds.push((kind, reader.varint()?));
        }
        let mut column = || read_narrow_codes(&read_part(reader)?);
        let (firsts, seconds, services) = (column()?, column()?, column()?);
        let (counts, steps) = (column()?, column()?);
        let found = read_part(reader)?;
        reader.end()?;
        let len = kinds.iter().fold(0u64, |sum, (_, count)| sum.saturating_add(*count));
        let lens = [firsts.len(), seconds.len(), services.len(), counts.len()];
        if lens.iter().any(|&other| other as u64 != len) || steps.len() != found.len() {
            return Err(Malformed("the columns of terms do not fit"));
        }
        let mut terms = Self::default();
        let mut present = Longest::default();
        let mut places = steps.iter().zip(&found);
        let kinds = kinds.iter().flat_map(|&(kind, count)| (0..count).map(move |_| kind));
        let mut last = (u8::MAX, 0u32, 0u32, 0u32);
        for (at, kind) in kinds.enumerate() {
            let (last_a, last_b) = if kind == last.0 { (last.1, last.2) } else { (0, 0) };
            let a = last_a.wrapping_add(firsts[at]);
            let same_a = kind == last.0 && a == last_a;
            let b = if same_a { last_b.wrapping_add(seconds[at]) } else { seconds[at] };
            let same = same_a && b == last_b;
            let service = if same { last.3.wrapping_add(services[at]) } else { services[at] };
            last = (kind, a, b, service);
            let fact = Fact::from_numbers(kind, a, b).ok_or(Malformed("a term's kind is unknown"))?;
            let mut next = 0u32;
            let from = terms.blocks.len();
            let longest = present.of(service);
            for (&step, &byte) in places.by_ref().take(counts[at] as usize) {
                let block = next.checked_add(step).filter(|&block| (block as usize) < blocks);
                let block = block.ok_or(Malformed("a term names a block that is not there"))?;
                next = block + 1;
                let longest = longest.get(block as usize).copied().unwrap_or(0);
                let byte = if fact == Fact::Present { byte } else { longest.wrapping_sub(byte) };
                terms.blocks.push(TermBlock::new(block, byte));
            }
            if fact == Fact::Present {
                present.set(service, &terms.blocks[from..]);
            }
            terms.terms.push((fact, service));
            terms.ends.push(u32::try_from(terms.blocks.len()).map_err(|_| Malformed("too many terms"))?);
        }
        if places.next().is_some() {
            return Err(Malformed("terms name blocks that belong to none"));
        }
        terms.checked()
    }
}

#[cfg(test)]
mod tests {
    use super::super::packing::Packer;
    use super::super::terms_builder::put_terms;
    use super::*;

    #[test]
    fn longer_durations_never_have_smaller_buckets() {
        let mut last = 0;
        for exponent in 0..64 {
            for step in 0..8u64 {
                let bucket = duration_bucket((1u64 << exponent) + ((1u64 << exponent) / 8) * step);
                assert!(bucket >= last, "{exponent} {step}");
                last = bucket;
            }
        }
        assert_eq!([0, 1, 3, 4, 7, 8, u64::MAX].map(duration_bucket), [1, 2, 4, 5, 8, 9, 252]);
    }

    #[test]
    fn terms_come_back() {
        let present: &[_] = &[(0, 9), (2, 200)];
        let written: &[(Term, &[(u32, u8)])] = &[
            ((Fact::Present, 7), present),
            ((Fact::Present, 8), &[(2, 5)]),
            ((Fact::SpanName(9), 7), &[(0, 1), (2, 200)]),
            ((Fact::SpanName(9), 8), &[(2, 5)]),
            ((Fact::Value(3, 4), 7), &[(2, 100)]),
            ((Fact::Value(3, 70_000), 7), &[(0, 9)]),
            ((Fact::Value(4, 1), 7), &[(0, 9)]),
        ];
        let (mut out, mut packer) = (vec![], Packer::new().unwrap());
        put_terms(&mut out, written, &mut packer).unwrap();
        let terms = Terms::read(&out, 3).unwrap();
        for (term, blocks) in written {
            let read: Vec<_> = terms.blocks(*term).iter().map(|of| (of.block(), of.longest())).collect();
            assert_eq!(read, *blocks, "{term:?}");
        }
        assert_eq!(terms.blocks((Fact::Value(3, 4), 8)), []);
        let services: Vec<_> = terms.services(Fact::SpanName(9)).map(|(service, _)| service).collect();
        assert_eq!(services, [7, 8]);
        assert!(Terms::read(&out, 2).is_err());
        assert!((0..out.len()).all(|len| Terms::read(&out[..len], 3).is_err()));
    }
}
