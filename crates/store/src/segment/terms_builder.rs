//! The terms of a segment that is being written; see `terms.rs` for what they mean. Facts are numbers in the order in which
//! terms are written, and each kind of them is gathered by itself, so that its services and values are a small table.

use super::SegmentError;
use super::block_writer::BlockRows;
use super::bytes::put_varint;
use super::column::put_narrow_codes;
use super::dictionary_builder::DictionaryBuilder;
use super::packing::Packer;
use super::rows::{Row, Rows};
use super::terms::{Fact, Term, TermBlock};
use hashbrown::HashMap;

/// Facts as numbers: where each kind begins.
struct FactNumbers {
    remotes: u32,
    attributes: u32,
    /// One an attribute, and the end.
    values: Vec<u32>,
}

const PRESENT: u32 = 0;
const NAMES: u32 = 1;
/// A table of so many services and values is a list, a larger one a map.
const LIST_MAX: usize = 1 << 20;

/// See the module's text.
pub(super) struct TermsBuilder {
    numbers: FactNumbers,
    /// The services of spans, ascending by their texts.
    services: Vec<u32>,
    /// By endpoint: the place of its service in `services`.
    places: Vec<u32>,
    found: Vec<FoundTerm>,
    /// Of the rows of the block: the place of the service, and the byte.
    rows: Vec<(u32, u8)>,
    gathered: Gathered,
    attributes: Vec<(u32, u32, u8)>,
}

/// A term in a block.
#[derive(Clone, Copy)]
struct FoundTerm {
    /// Fact in the upper half, service in the lower one.
    key: u64,
    block: u32,
    byte: u8,
}

/// The terms of one kind in one block.
#[derive(Default)]
struct Gathered {
    /// By value and service; zero where no row has it.
    list: Vec<u8>,
    touched: Vec<u32>,
    map: HashMap<u64, u8>,
    sorted: Vec<(u64, u8)>,
}

impl TermsBuilder {
    pub(super) fn new(dictionary: &DictionaryBuilder, rows: &Rows) -> Result<Self, SegmentError> {
        let mut next = u64::from(NAMES);
        let mut take = |len: usize| {
            let first =
                u32::try_from(next).map_err(|_| SegmentError::TooLarge("the number of its names and values"))?;
            next += len as u64;
            Ok::<u32, SegmentError>(first)
        };
        take(dictionary.texts.len())?;
        let remotes = take(dictionary.texts.len())?;
        let attributes = take(dictionary.values.len())?;
        let mut values = vec![];
        for (_, codes) in &dictionary.values {
            values.push(take(codes.codes.len())?);
        }
        values.push(take(0)?);
        let mut services = rows.services.clone();
        services.sort_unstable();
        services.dedup();
        let place = |service: &u32| services.partition_point(|other| other < service) as u32;
        let places = rows.services.iter().map(place).collect();
        let numbers = FactNumbers { remotes, attributes, values };
        let (gathered, found, attributes) = (Gathered::default(), vec![], vec![]);
        Ok(Self { numbers, services, places, found, rows: vec![], gathered, attributes })
    }

    /// Begins a block: services, names, remote services, keys. The values of tags follow, ascending by attribute.
    pub(super) fn add_rows(&mut self, block: &BlockRows<'_>, all: &Rows, dictionary: &DictionaryBuilder) {
        let rows = block.rows.iter().map(|row| (self.places[row.local as usize], row.bucket));
        self.rows.clear();
        self.rows.extend(rows);
        let texts = dictionary.texts.len();
        self.add(PRESENT, 1, block, |_| 0);
        self.add(NAMES, texts, block, |row| row.name);
        self.add(self.numbers.remotes, texts, block, |row| all.services[row.remote as usize]);
        for (from, to, home) in block.parts() {
            self.add_attributes(block, from..to, home, all, dictionary);
        }
    }

    fn add_attributes(
        &mut self,
        block: &BlockRows<'_>,
        rows: std::ops::Range<usize>,
        home: u32,
        all: &Rows,
        dictionary: &DictionaryBuilder,
    ) {
        let Self { gathered, rows: of_rows, services, found, attributes, numbers, .. } = self;
        let len = services.len();
        let shapes = block.rows[rows.clone()].iter().map(|row| row.shape);
        attributes.clear();
        gathered.gather(
            dictionary.shapes.len(),
            len,
            shapes.zip(of_rows[rows.clone()].iter().copied()),
            |shape, service, byte| {
                let shape = dictionary.shapes.get(shape).iter();
                attributes.extend(shape.map(|&attribute| (attribute, service, byte)));
            },
        );
        if let Some(text) = all.annotation_text {
            let with = block.rows[rows.clone()].iter().zip(&of_rows[rows]);
            let with = with.filter(|(row, _)| row.annotations.1 > 0);
            attributes.extend(with.map(|(_, &(service, byte))| (text, service, byte)));
        }
        let found_of = |attribute: u32, service: u32, byte: u8| {
            let key = u64::from(numbers.attributes + attribute) << 32 | u64::from(services[service as usize]);
            found.push(FoundTerm { key, block: home, byte });
        };
        let codes = attributes.iter().map(|&(attribute, service, byte)| (attribute, (service, byte)));
        gathered.gather(dictionary.values.len(), len, codes, found_of);
    }

    /// The values of an attribute, of which each value is in the dictionary: their words, and the row of each.
    pub(super) fn add_values(&mut self, block: &BlockRows<'_>, attribute: u32, words: &[u64], rows: &[u32]) {
        let values = &self.numbers.values;
        let (first, end) = (values[attribute as usize], values[attribute as usize + 1]);
        for (from, to, home) in block.parts() {
            let part =
                rows.partition_point(|&row| (row as usize) < from)..rows.partition_point(|&row| (row as usize) < to);
            let Self { gathered, rows: of_rows, services, found, .. } = self;
            let of_rows = rows[part.clone()].iter().map(|&row| of_rows[row as usize]);
            gathered.gather(
                (end - first) as usize,
                services.len(),
                words[part].iter().map(|&word| word as u32).zip(of_rows),
                |code, service, byte| {
                    let key = u64::from(first + code) << 32 | u64::from(services[service as usize]);
                    found.push(FoundTerm { key, block: home, byte });
                },
            );
        }
    }

    fn add(&mut self, first: u32, values: usize, block: &BlockRows<'_>, code: impl Fn(&Row) -> u32) {
        for (from, to, home) in block.parts() {
            let Self { gathered, rows, services, found, .. } = self;
            let rows = block.rows[from..to].iter().map(&code).zip(rows[from..to].iter().copied());
            gathered.gather(values, services.len(), rows, |code, service, byte| {
                let key = u64::from(first + code) << 32 | u64::from(services[service as usize]);
                found.push(FoundTerm { key, block: home, byte });
            });
        }
    }

    /// All terms: counts by kind, then columns.
    pub(super) fn write(mut self, out: &mut Vec<u8>, packer: &mut Packer) -> Result<(), SegmentError> {
        self.sort();
        self.found.dedup_by(|next, term| {
            let same = (next.key, next.block) == (term.key, term.block);
            if same {
                term.byte = term.byte.max(next.byte);
            }
            same
        });
        let blocks: Vec<(u32, u8)> = self.found.iter().map(|term| (term.block, term.byte)).collect();
        let mut terms: Vec<(Term, &[(u32, u8)])> = vec![];
        let mut from = 0;
        for of_term in self.found.chunk_by(|a, b| a.key == b.key) {
            let to = from + of_term.len();
            terms.push((self.term(of_term[0].key), &blocks[from..to]));
            from = to;
        }
        put_terms(out, &terms, packer)
    }

    /// Ascending by key and block. Facts are nearly as many as terms: each goes to the place of its fact, in order.
    fn sort(&mut self) {
        let facts = self.numbers.values.last().map_or(0, |&end| end as usize);
        let mut places = vec![0u32; facts + 1];
        self.found.iter().for_each(|term| places[(term.key >> 32) as usize + 1] += 1);
        let mut next = 0;
        for place in &mut places {
            next += *place;
            *place = next;
        }
        let mut sorted = vec![FoundTerm { key: 0, block: 0, byte: 0 }; self.found.len()];
        for term in &self.found {
            let place = &mut places[(term.key >> 32) as usize];
            sorted[*place as usize] = *term;
            *place += 1;
        }
        for of_fact in sorted.chunk_by_mut(|a, b| a.key >> 32 == b.key >> 32) {
            of_fact.sort_by_key(|term| (term.key, term.block));
        }
        self.found = sorted;
    }

    fn term(&self, key: u64) -> Term {
        let FactNumbers { remotes, attributes, values } = &self.numbers;
        let fact = (key >> 32) as u32;
        let fact = match fact {
            PRESENT => Fact::Present,
            _ if fact < *remotes => Fact::SpanName(fact - NAMES),
            _ if fact < *attributes => Fact::RemoteService(fact - remotes),
            _ if fact < values[0] => Fact::Attribute(fact - attributes),
            _ => {
                let attribute = values.partition_point(|&first| first <= fact) - 1;
                Fact::Value(attribute as u32, fact - values[attribute])
            }
        };
        (fact, key as u32)
    }
}

impl Gathered {
    /// Calls `each` with every value and service that rows have, ascending, and their largest byte. Values are below
    /// `values`, services below `services`.
    fn gather(
        &mut self,
        values: usize,
        services: usize,
        rows: impl Iterator<Item = (u32, (u32, u8))>,
        mut each: impl FnMut(u32, u32, u8),
    ) {
        let Self { list, touched, map, sorted } = self;
        let len = values.saturating_mul(services);
        if len <= LIST_MAX {
            if list.len() < len {
                list.resize(len, 0);
            }
            touched.clear();
            for (value, (service, byte)) in rows {
                let at = value * services as u32 + service;
                let known = &mut list[at as usize];
                if *known == 0 {
                    touched.push(at);
                }
                *known = byte.max(*known);
            }
            touched.sort_unstable();
            for &at in touched.iter() {
                let byte = std::mem::take(&mut list[at as usize]);
                each(at / services as u32, at % services as u32, byte);
            }
            return;
        }
        for (value, (service, byte)) in rows {
            let known = map.entry(u64::from(value) << 32 | u64::from(service)).or_insert(0);
            *known = byte.max(*known);
        }
        sorted.clear();
        sorted.extend(map.drain());
        sorted.sort_unstable();
        sorted.iter().for_each(|&(key, byte)| each((key >> 32) as u32, key as u32, byte));
    }
}

/// The longest duration of each service by block, next to which a term's byte is written: often they are equal. As they are
/// read: numbers may be any.
#[derive(Default)]
pub(super) struct Longest {
    of_service: HashMap<u32, Vec<u8>>,
}

impl Longest {
    pub(super) fn set(&mut self, service: u32, blocks: &[TermBlock]) {
        let blocks = blocks.iter().map(|of| (of.block(), of.longest()));
        set_longest(self.of_service.entry(service).or_default(), blocks);
    }

    pub(super) fn of(&self, service: u32) -> &[u8] {
        self.of_service.get(&service).map_or(&[], Vec::as_slice)
    }
}

fn set_longest(bytes: &mut Vec<u8>, blocks: impl Iterator<Item = (u32, u8)>) {
    for (block, byte) in blocks {
        if bytes.len() <= block as usize {
            bytes.resize(block as usize + 1, 0);
        }
        bytes[block as usize] = byte;
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
    // By service, whose numbers are below that of the texts.
    let mut present: Vec<Vec<u8>> = vec![];
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
        let service = service as usize;
        if fact == Fact::Present {
            present.resize_with(present.len().max(service + 1), Vec::new);
            set_longest(&mut present[service], blocks.iter().copied());
        }
        let longest = present.get(service).map_or(&[][..], Vec::as_slice);
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
