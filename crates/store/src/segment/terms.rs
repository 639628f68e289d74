//! Which blocks of a segment a search has to look into: for every service together with a name, remote service, tag or tag
//! value ("term"), one byte for each block that has it.
//!
//! The byte is the bucket of the longest duration of any span of that service in a **trace** that has the term, because a
//! search asks for conditions that different spans of a trace may meet. A trace counts for the block in which it begins.

use super::bytes::{Malformed, Reader, put_varint};
use hashbrown::{HashMap, HashSet};
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

/// A fact of a service, by its text.
pub(crate) type Term = (Fact, u32);

/// The terms of an open segment.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    terms: Vec<Term>,
    /// Where the blocks of each term end.
    ends: Vec<u32>,
    blocks: Vec<(u32, u8)>,
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
    /// The blocks of one term, ascending.
    pub(crate) fn blocks(&self, term: Term) -> &[(u32, u8)] {
        self.terms.binary_search(&term).map_or(&[], |at| self.blocks_at(at))
    }

    /// The services that have a fact, and their blocks.
    pub(crate) fn services(&self, fact: Fact) -> impl Iterator<Item = (u32, &[(u32, u8)])> {
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

    fn blocks_at(&self, at: usize) -> &[(u32, u8)] {
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.blocks[from as usize..self.ends[at] as usize]
    }

    pub(crate) fn read(bytes: &[u8], blocks: usize) -> Result<Self, Malformed> {
        let reader = &mut Reader::new(bytes);
        let mut terms = Self::default();
        for _ in 0..reader.count()? {
            let kind = reader.u8()?;
            let (a, b, service) = (reader.varint_u32()?, reader.varint_u32()?, reader.varint_u32()?);
            let fact = match kind {
                0 => Fact::Present,
                1 => Fact::SpanName(a),
                2 => Fact::RemoteService(a),
                3 => Fact::Attribute(a),
                4 => Fact::Value(a, b),
                _ => return Err(Malformed("a term's kind is unknown")),
            };
            let mut block = 0u32;
            for at in 0..reader.count()? {
                let step = reader.varint_u32()?;
                block = block.checked_add(step).ok_or(Malformed("a block number is too large"))?;
                if block as usize >= blocks || at > 0 && step == 0 {
                    return Err(Malformed("a term names a block that is not there"));
                }
                terms.blocks.push((block, reader.u8()?));
            }
            terms.terms.push((fact, service));
            terms.ends.push(u32::try_from(terms.blocks.len()).map_err(|_| Malformed("too many terms"))?);
        }
        reader.end()?;
        if !terms.terms.is_sorted_by(|a, b| a < b) {
            return Err(Malformed("terms are not in order"));
        }
        terms.blocks.shrink_to_fit();
        Ok(terms)
    }
}

/// The terms of a segment that is being written.
#[derive(Debug, Default)]
pub(crate) struct TermsBuilder {
    blocks: HashMap<Term, Vec<(u32, u8)>>,
    // Of the trace being added:
    trace: HashSet<Term>,
    longest: HashMap<u32, u8>,
}

impl TermsBuilder {
    /// A span of the trace being added, by its service's text.
    pub(crate) fn add_span(&mut self, service: u32, duration_us: u64) {
        let longest = self.longest.entry(service).or_default();
        *longest = duration_bucket(duration_us).max(*longest);
    }

    /// What a span of the trace being added has.
    pub(crate) fn add_fact(&mut self, service: u32, fact: Fact) {
        self.trace.insert((fact, service));
    }

    /// Ends the trace being added, which begins in `block`.
    pub(crate) fn end_trace(&mut self, block: u32) {
        let Self { blocks, trace, longest } = self;
        let present = longest.keys().map(|&service| (Fact::Present, service));
        for term in trace.drain().chain(present) {
            let byte = longest.get(&term.1).copied().unwrap_or(1);
            let found = blocks.entry(term).or_default();
            match found.last_mut() {
                Some(last) if last.0 == block => last.1 = last.1.max(byte),
                _ => found.push((block, byte)),
            }
        }
        longest.clear();
    }

    /// Writes the terms that `keep` says are wanted.
    pub(crate) fn write(&self, out: &mut Vec<u8>, keep: impl Fn(Fact) -> bool) {
        let mut terms: Vec<(&Term, &Vec<(u32, u8)>)> = self.blocks.iter().filter(|(term, _)| keep(term.0)).collect();
        terms.sort_unstable();
        put_varint(out, terms.len() as u64);
        for ((fact, service), blocks) in terms {
            let (kind, a, b) = match *fact {
                Fact::Present => (0, 0, 0),
                Fact::SpanName(name) => (1, name, 0),
                Fact::RemoteService(name) => (2, name, 0),
                Fact::Attribute(attribute) => (3, attribute, 0),
                Fact::Value(attribute, value) => (4, attribute, value),
            };
            out.push(kind);
            [a, b, *service].iter().for_each(|&number| put_varint(out, u64::from(number)));
            put_varint(out, blocks.len() as u64);
            let mut last = 0;
            for &(block, byte) in blocks {
                put_varint(out, u64::from(block - last));
                out.push(byte);
                last = block;
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
        let mut builder = TermsBuilder::default();
        for block in [0, 2] {
            builder.add_span(7, 100 * u64::from(block));
            builder.add_fact(7, Fact::Value(3, 4));
            builder.add_fact(7, Fact::SpanName(9));
            builder.end_trace(block);
        }
        builder.add_span(8, 5);
        builder.add_fact(8, Fact::SpanName(9));
        builder.end_trace(2);
        let mut out = vec![];
        builder.write(&mut out, |_| true);
        let terms = Terms::read(&out, 3).unwrap();
        assert_eq!(terms.blocks((Fact::Value(3, 4), 7)), [(0, 1), (2, duration_bucket(200))]);
        assert_eq!(terms.blocks((Fact::Value(3, 4), 8)), []);
        let services: Vec<_> = terms.services(Fact::SpanName(9)).map(|(service, _)| service).collect();
        assert_eq!(services, [7, 8]);
        assert!(Terms::read(&out, 2).is_err());
        assert!((0..out.len()).all(|len| Terms::read(&out[..len], 3).is_err()));
    }
}
