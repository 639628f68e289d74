//! The terms of a segment that is being written; see `terms.rs` for what they mean. A fact is a number, so that a span costs a
//! look-up a fact and nothing else; a list of tags is one fact until its block ends.

use super::bytes::put_varint;
use super::column::put_narrow_codes;
use super::dictionary_builder::DictionaryBuilder;
use super::packing::Packer;
use super::rows::{Row, Rows};
use super::terms::{Fact, Term};
use super::SegmentError;
use hashbrown::HashMap;

/// Facts as numbers: where each kind begins.
struct FactNumbers {
    remotes: u32,
    shapes: u32,
    attributes: u32,
    /// One an attribute, and the end.
    values: Vec<u32>,
}

const PRESENT: u32 = 0;
const NAMES: u32 = 1;

/// See the module's text.
pub(super) struct TermsBuilder {
    numbers: FactNumbers,
    /// Service in the upper half, fact in the lower one → number of the term.
    ids: HashMap<u64, u32>,
    /// By fact: the service of its last term and the term; most facts are of one service.
    last: Vec<(u32, u32)>,
    /// By term: service and fact, as in `ids`.
    keys: Vec<u64>,
    /// By term, of the block being filled; zero where no trace has it.
    bytes: Vec<u8>,
    /// By term.
    blocks: Vec<Vec<(u32, u8)>>,
    /// The terms of the block being filled.
    touched: Vec<u32>,
    /// The longest of each service in the trace being added; zero where it has no span.
    longest: Vec<u8>,
    services: Vec<u32>,
}

const NO_SERVICE: u32 = u32::MAX;

impl TermsBuilder {
    pub(super) fn new(dictionary: &DictionaryBuilder) -> Result<Self, SegmentError> {
        let too_large = || SegmentError::TooLarge("the number of its names and values");
        let mut next = u64::from(NAMES);
        let mut take = |len: usize| {
            let first = u32::try_from(next).map_err(|_| too_large())?;
            next += len as u64;
            Ok::<u32, SegmentError>(first)
        };
        take(dictionary.texts.len())?;
        let remotes = take(dictionary.texts.len())?;
        let shapes = take(dictionary.shapes.len())?;
        let attributes = take(dictionary.values.len())?;
        let mut values = vec![];
        for (_, codes) in &dictionary.values {
            values.push(take(codes.codes.len())?);
        }
        values.push(take(0)?);
        let numbers = FactNumbers { remotes, shapes, attributes, values };
        Ok(Self {
            last: vec![(NO_SERVICE, 0); next as usize],
            numbers,
            ids: HashMap::new(),
            keys: vec![],
            bytes: vec![],
            blocks: vec![],
            touched: vec![],
            longest: vec![0; dictionary.texts.len()],
            services: vec![],
        })
    }

    /// Adds a trace to the block being filled, in which it begins.
    pub(super) fn add_trace(&mut self, trace: &[Row], rows: &Rows, dictionary: &DictionaryBuilder) {
        for row in trace {
            let service = rows.services[row.local as usize];
            let longest = &mut self.longest[service as usize];
            if *longest == 0 {
                self.services.push(service);
            }
            *longest = row.bucket.max(*longest);
        }
        for row in trace {
            let service = rows.services[row.local as usize];
            let byte = self.longest[service as usize];
            self.add(service, NAMES + row.name, byte);
            self.add(service, self.numbers.remotes + rows.services[row.remote as usize], byte);
            let shape = dictionary.shapes.get(row.shape);
            if !shape.is_empty() {
                self.add(service, self.numbers.shapes + row.shape, byte);
            }
            for (&attribute, &value) in shape.iter().zip(&rows.values[row.values as usize..]) {
                self.add_value(service, attribute, value as u32, byte, dictionary);
            }
            if let Some(text) = rows.annotation_text.filter(|_| row.annotations.1 > 0) {
                self.add(service, self.numbers.attributes + text, byte);
                let (first, len) = (row.annotations.0 as usize, row.annotations.1 as usize);
                for annotation in &rows.annotations[first..first + len] {
                    self.add_value(service, text, annotation.code, byte, dictionary);
                }
            }
        }
        while let Some(service) = self.services.pop() {
            let byte = std::mem::take(&mut self.longest[service as usize]);
            self.add(service, PRESENT, byte);
        }
    }

    fn add_value(&mut self, service: u32, attribute: u32, code: u32, byte: u8, dictionary: &DictionaryBuilder) {
        let (from, to) = (self.numbers.values[attribute as usize], self.numbers.values[attribute as usize + 1]);
        if from < to && dictionary.values[attribute as usize].1.in_use() {
            self.add(service, from + code, byte);
        }
    }

    fn add(&mut self, service: u32, fact: u32, byte: u8) {
        let Self { ids, last, keys, bytes, blocks, touched, .. } = self;
        let last = &mut last[fact as usize];
        if last.0 != service {
            let key = u64::from(service) << 32 | u64::from(fact);
            let id = *ids.entry(key).or_insert_with(|| {
                keys.push(key);
                bytes.push(0);
                blocks.push(vec![]);
                keys.len() as u32 - 1
            });
            *last = (service, id);
        }
        let known = &mut bytes[last.1 as usize];
        if *known == 0 {
            touched.push(last.1);
        }
        *known = byte.max(*known);
    }

    /// Ends the block being filled.
    pub(super) fn end_block(&mut self, block: u32, dictionary: &DictionaryBuilder) {
        // What a list of tags says of each of them: these terms join the touched ones.
        for at in 0..self.touched.len() {
            let term = self.touched[at] as usize;
            let (key, byte) = (self.keys[term], self.bytes[term]);
            let fact = key as u32;
            if (self.numbers.shapes..self.numbers.attributes).contains(&fact) {
                for &attribute in dictionary.shapes.get(fact - self.numbers.shapes) {
                    self.add((key >> 32) as u32, self.numbers.attributes + attribute, byte);
                }
            }
        }
        for id in self.touched.drain(..) {
            self.blocks[id as usize].push((block, std::mem::take(&mut self.bytes[id as usize])));
        }
    }

    /// All terms: counts by kind, then columns.
    pub(super) fn write(&self, out: &mut Vec<u8>, packer: &mut Packer) -> Result<(), SegmentError> {
        let found = self.keys.iter().zip(&self.blocks);
        let mut terms: Vec<(Term, &[(u32, u8)])> =
            found.filter_map(|(&key, blocks)| Some((self.term(key)?, blocks.as_slice()))).collect();
        terms.sort_unstable_by_key(|(term, _)| *term);
        put_terms(out, &terms, packer)
    }

    fn term(&self, key: u64) -> Option<Term> {
        let FactNumbers { remotes, shapes, attributes, values } = &self.numbers;
        let fact = key as u32;
        let fact = match fact {
            PRESENT => Fact::Present,
            _ if fact < *remotes => Fact::SpanName(fact - NAMES),
            _ if fact < *shapes => Fact::RemoteService(fact - remotes),
            _ if fact < *attributes => return None,
            _ if fact < values[0] => Fact::Attribute(fact - attributes),
            _ => {
                let attribute = values.partition_point(|&first| first <= fact) - 1;
                Fact::Value(attribute as u32, fact - values[attribute])
            }
        };
        Some((fact, (key >> 32) as u32))
    }
}

/// The longest duration of each service by block, next to which a term's byte is written: often they are equal.
#[derive(Default)]
pub(super) struct Longest {
    of_service: HashMap<u32, Vec<u8>>,
}

impl Longest {
    pub(super) fn set(&mut self, service: u32, blocks: &[(u32, u8)]) {
        let bytes = self.of_service.entry(service).or_default();
        for &(block, byte) in blocks {
            if bytes.len() <= block as usize {
                bytes.resize(block as usize + 1, 0);
            }
            bytes[block as usize] = byte;
        }
    }

    pub(super) fn of(&self, service: u32) -> &[u8] {
        self.of_service.get(&service).map_or(&[], Vec::as_slice)
    }
}

/// Writes terms in their order.
pub(super) fn put_terms(
    out: &mut Vec<u8>,
    terms: &[(Term, &[(u32, u8)])],
    packer: &mut Packer,
) -> Result<(), SegmentError> {
    let (mut kinds, mut firsts, mut seconds, mut services) = ([0u64; 5], vec![], vec![], vec![]);
    let (mut counts, mut steps, mut bytes) = (vec![], vec![], vec![]);
    let mut present = Longest::default();
    let mut last = (u8::MAX, 0, 0, 0);
    for &((fact, service), blocks) in terms {
        let (kind, a, b) = fact.numbers();
        kinds[usize::from(kind)] += 1;
        let (last_a, last_b) = if kind == last.0 { (last.1, last.2) } else { (0, 0) };
        let same_a = kind == last.0 && a == last_a;
        let same = same_a && b == last_b;
        firsts.push(a - last_a);
        seconds.push(if same_a { b - last_b } else { b });
        services.push(if same { service - last.3 } else { service });
        last = (kind, a, b, service);
        counts.push(blocks.len() as u32);
        let mut next = 0;
        if fact == Fact::Present {
            present.set(service, blocks);
        }
        let longest = present.of(service);
        for &(block, byte) in blocks {
            steps.push(block - next);
            next = block + 1;
            let longest = longest.get(block as usize).copied().unwrap_or(0);
            bytes.push(if fact == Fact::Present { byte } else { longest.wrapping_sub(byte) });
        }
    }
    kinds.iter().for_each(|&count| put_varint(out, count));
    let mut column = vec![];
    for numbers in [&firsts, &seconds, &services, &counts, &steps] {
        column.clear();
        put_narrow_codes(&mut column, numbers);
        packer.put_part(out, &column)?;
    }
    packer.put_part(out, &bytes)
}
