//! The columns of a block, from rows in the numbers of the segment.

use super::block_columns::{self as columns, Prediction};
use super::bytes::zigzag;
use super::column::{self, Encoding};
use super::dictionary::{Role, ValueType};
use super::dictionary_builder::DictionaryBuilder;
use super::footer::{BlockEntry, ColumnEntry};
use super::numbers::{BitLengths, NumberForm, bits_of, is_near, put_numbers};
use super::packing::Packer;
use super::rows::{Row, Rows};
use super::templates::TemplateScratch;
use super::terms_builder::TermsBuilder;
use super::value_filters::ValueFiltersBuilder;
use super::{SegmentError, Stages};
use hashbrown::HashMap;
use tracewell_model::ValueRef;

/// In a trace of up to so many rows a parent is looked for row by row.
const PARENT_SCAN_ROWS_MAX: usize = 48;

/// A run of rows that become a block.
pub(super) struct BlockRows<'a> {
    pub(super) first_row: u32,
    pub(super) first_trace: u32,
    /// How many traces begin here.
    pub(super) traces: u32,
    /// Where each trace, or its part in this block, ends among `rows`.
    pub(super) trace_ends: &'a [u32],
    pub(super) rows: &'a [Row],
    /// Its own number.
    pub(super) number: u32,
    /// So many rows at its start belong to a trace that begins in another block, and which.
    pub(super) begun_before: (usize, u32),
    /// Some row's upper half of the trace id differs from that of its trace's first span.
    pub(super) mixed_highs: bool,
}

impl BlockRows<'_> {
    /// The rows by the block in which their traces begin: from, to, block.
    pub(super) fn parts(&self) -> impl Iterator<Item = (usize, usize, u32)> + use<> {
        let (before, block) = self.begun_before;
        let parts = [(0, before, block), (before, self.rows.len(), self.number)];
        parts.into_iter().filter(|(from, to, _)| from < to)
    }
}

/// Writes blocks; keeps its memory from one to the next.
pub(super) struct BlockWriter {
    packer: Packer,
    /// By attribute.
    values: Vec<ValueColumn>,
    /// The attributes that the block has values of.
    used: Vec<u32>,
    codes: Vec<u32>,
    guesses: Vec<u32>,
    words: Vec<u64>,
    after: Vec<u64>,
    ids_of_trace: HashMap<u64, u32>,
    templates: TemplateScratch,
    bits: BitLengths,
    column: Vec<u8>,
    best: Vec<u8>,
    last: [LastSeen; TELLING.len()],
    stored: Vec<u8>,
    value_filters: ValueFiltersBuilder,
}

/// The values of one attribute in the block being filled.
#[derive(Default)]
struct ValueColumn {
    codes: Vec<u32>,
    words: Vec<u64>,
    lengths: Vec<u32>,
    bytes: Vec<u8>,
    text: String,
    /// Of the codes of a tag or of annotations' texts, the row of each.
    rows: Vec<u32>,
}

/// By the code that tells another one: what came with it last.
#[derive(Default)]
struct LastSeen {
    round: u32,
    /// Of which round, and what.
    entries: Vec<(u32, u32)>,
}

impl LastSeen {
    fn begin(&mut self) {
        self.round += 1;
    }

    /// What was seen last, 0 if nothing was; from now on it is `code`.
    fn replace(&mut self, known: u32, code: u32) -> u32 {
        let known = known as usize;
        if self.entries.len() <= known {
            self.entries.resize(known + 1, (0, 0));
        }
        let (round, last) = std::mem::replace(&mut self.entries[known], (self.round, code));
        if round == self.round { last } else { 0 }
    }
}

/// The columns that may tell the values of a tag.
const TELLING: [u32; 4] = [columns::NAME, columns::LOCAL, columns::REMOTE, columns::RESOURCE];

/// How an attribute's values are gathered.
#[derive(Clone, Copy, PartialEq)]
enum Gather {
    /// Codes of the texts of a tag or of annotations.
    CodesOfRows,
    Codes,
    Words,
    Texts,
    Bytes,
}

/// Where columns go, in the order in which they are made.
struct Place {
    stored: Vec<u8>,
    entries: Vec<ColumnEntry>,
}

impl BlockWriter {
    pub(super) fn new() -> Result<Self, SegmentError> {
        Ok(Self {
            packer: Packer::new()?,
            values: vec![],
            used: vec![],
            codes: vec![],
            guesses: vec![],
            words: vec![],
            after: vec![],
            ids_of_trace: HashMap::new(),
            templates: TemplateScratch::default(),
            bits: BitLengths::default(),
            column: vec![],
            best: vec![],
            last: Default::default(),
            stored: vec![],
            value_filters: ValueFiltersBuilder::default(),
        })
    }

    /// What the footer is written with.
    pub(super) fn into_parts(self) -> (Packer, ValueFiltersBuilder) {
        (self.packer, self.value_filters)
    }

    /// Appends the columns of a block.
    pub(super) fn write(
        &mut self,
        block: &BlockRows<'_>,
        all: &Rows,
        dictionary: &mut DictionaryBuilder,
        terms: &mut TermsBuilder,
        out: &mut Vec<u8>,
        stages: &mut Stages<'_>,
    ) -> Result<BlockEntry, SegmentError> {
        let mut place = Place { stored: std::mem::take(&mut self.stored), entries: vec![] };
        place.stored.clear();
        self.put_ids(block, &mut place)?;
        stages.end("d: ids, parents");
        self.put_times(block, &mut place)?;
        stages.end("e: starts, durations");
        self.put_codes_of_rows(block, &mut place)?;
        self.put_annotations(block, all, &mut place)?;
        self.put_extras(block, all, &mut place)?;
        stages.end("f: codes");
        self.gather(block, all, dictionary);
        stages.end("g: gather values");
        terms.add_rows(block, all, dictionary);
        for &attribute in &self.used {
            let ValueColumn { codes, rows, .. } = &self.values[attribute as usize];
            if !rows.is_empty() {
                terms.add_values(block, attribute, codes, rows);
            }
        }
        stages.end("c: terms");
        self.filter_values(block, dictionary);
        stages.end("k: filters of values");
        self.put_values(block, dictionary, &mut place)?;
        stages.end("h: values");
        let mut columns = place.entries;
        columns.sort_unstable_by_key(|column| column.number);
        for column in &mut columns {
            let stored = &place.stored[column.offset as usize..][..column.stored_bytes as usize];
            column.offset = out.len() as u64;
            out.extend_from_slice(stored);
        }
        self.stored = place.stored;
        let BlockRows { first_row, first_trace, traces, .. } = *block;
        Ok(BlockEntry { first_row, rows: block.rows.len() as u32, first_trace, traces, columns })
    }

    fn put_ids(&mut self, block: &BlockRows<'_>, place: &mut Place) -> Result<(), SegmentError> {
        if block.mixed_highs {
            self.words.clear();
            self.words.extend(block.rows.iter().map(|row| row.trace_high));
            self.put_raw(columns::HIGH, place)?;
        }
        self.words.clear();
        self.words.extend(block.rows.iter().map(|row| row.id));
        self.put_raw(columns::ID, place)?;
        self.find_parents(block);
        self.put_codes(columns::PARENT, place)?;
        if !self.words.is_empty() {
            self.put_raw(columns::FAR_PARENTS, place)?;
        }
        Ok(())
    }

    /// Parents as distances; `words` are the ids of those that are elsewhere. They may come after their children, which end
    /// and are sent before them.
    fn find_parents(&mut self, block: &BlockRows<'_>) {
        let Self { codes, words, ids_of_trace, .. } = self;
        codes.clear();
        words.clear();
        let mut from = 0;
        for &end in block.trace_ends {
            let trace = &block.rows[from..end as usize];
            let many = trace.len() > PARENT_SCAN_ROWS_MAX;
            if many {
                ids_of_trace.clear();
                ids_of_trace.extend((0u32..).zip(trace).map(|(at, row)| (row.id, at)));
            }
            let mut last = (0, 0u32);
            for (at, row) in trace.iter().enumerate() {
                let found = match row.parent {
                    0 => {
                        codes.push(columns::NO_PARENT);
                        continue;
                    }
                    parent if parent == last.0 => Some(last.1),
                    parent if many => ids_of_trace.get(&parent).copied(),
                    parent => trace.iter().position(|other| other.id == parent).map(|at| at as u32),
                };
                codes.push(match found {
                    // Rows are below 2^31 in a block, so the distance fits whatever its sign.
                    Some(parent_at) => {
                        last = (row.parent, parent_at);
                        columns::NEAR_PARENT + zigzag(at as i64 - i64::from(parent_at)) as u32
                    }
                    None => {
                        words.push(row.parent);
                        columns::FAR_PARENT
                    }
                });
            }
            from = end as usize;
        }
    }

    fn put_times(&mut self, block: &BlockRows<'_>, place: &mut Place) -> Result<(), SegmentError> {
        let Self { words, after, .. } = self;
        words.clear();
        after.clear();
        let mut end = 0;
        for row in block.rows {
            let last = words.last().copied().unwrap_or(0);
            let start = if row.has_start { row.start } else { last };
            after.push(start.wrapping_sub(end));
            words.push(start);
            end = start.wrapping_add(row.duration);
        }
        // Spans are sent when they end, so that the next one often starts near the end of the last.
        if bits_of(after.iter().map(|&number| zigzag(number as i64))) < bits_of_differences(words) {
            self.best.clear();
            self.best.push(Encoding::BitLengths as u8);
            put_numbers(&mut self.best, &self.after, NumberForm::Signed, &mut self.packer, &mut self.bits)?;
            place.put_as_it_is(columns::START_AFTER_END, &self.best)?;
        } else {
            self.put_times_of(columns::START, place)?;
        }
        self.words.clear();
        self.words.extend(block.rows.iter().map(|row| row.duration));
        self.put_numbers(columns::DURATION, place)
    }

    fn put_codes_of_rows(&mut self, block: &BlockRows<'_>, place: &mut Place) -> Result<(), SegmentError> {
        let by_name = |row: &Row| row.name;
        let by_resource = |row: &Row| row.resource;
        let by_shape = |row: &Row| row.shape;
        self.put_codes_of(block, columns::NAME, None, |row| row.name, place)?;
        self.put_codes_of(block, columns::RESOURCE, None, |row| row.resource, place)?;
        self.put_codes_of(block, columns::LOCAL, Some(&by_resource), |row| row.local, place)?;
        self.put_codes_of(block, columns::KIND, Some(&by_shape), |row| row.kind, place)?;
        self.put_codes_of(block, columns::REMOTE, Some(&by_name), |row| row.remote, place)?;
        self.put_codes_of(block, columns::SHAPE, Some(&by_name), |row| row.shape, place)?;
        self.put_codes_of(block, columns::SCOPE, Some(&by_name), |row| row.scope, place)
    }

    /// A column of codes; where another column tells them mostly, only what it does not tell.
    fn put_codes_of(
        &mut self,
        block: &BlockRows<'_>,
        number: u32,
        known: Option<&dyn Fn(&Row) -> u32>,
        code: impl Fn(&Row) -> u32,
        place: &mut Place,
    ) -> Result<(), SegmentError> {
        self.codes.clear();
        self.codes.extend(block.rows.iter().map(&code));
        let (Some(known), Some(prediction)) = (known, Prediction::of(number)) else {
            return self.put_codes(number, place);
        };
        let Self { codes, guesses, last, .. } = self;
        if codes.iter().all(|code| Some(code) == codes.first()) {
            return self.put_codes(number, place);
        }
        guesses.clear();
        let last = &mut last[0];
        last.begin();
        for (row, &code) in block.rows.iter().zip(codes.iter()) {
            let guess = last.replace(known(row), code);
            guesses.push(if guess == code { 0 } else { code + 1 });
        }
        if !is_worth_guessing(guesses) {
            return self.put_codes(number, place);
        }
        self.column.clear();
        column::put_u32s(&mut self.column, &self.guesses);
        place.put(prediction.number, &self.column, &mut self.packer)
    }

    fn put_annotations(&mut self, block: &BlockRows<'_>, all: &Rows, place: &mut Place) -> Result<(), SegmentError> {
        self.put_codes_of(block, columns::ANNOTATION_COUNT, None, |row| row.annotations.1, place)?;
        self.words.clear();
        self.words.extend(annotations_of(block.rows, all).map(|annotation| annotation.time));
        if self.words.is_empty() {
            return Ok(());
        }
        self.put_times_of(columns::ANNOTATION_TIME, place)?;
        self.codes.clear();
        self.codes.extend(annotations_of(block.rows, all).map(|annotation| annotation.shape));
        self.put_codes(columns::ANNOTATION_SHAPE, place)
    }

    fn put_extras(&mut self, block: &BlockRows<'_>, all: &Rows, place: &mut Place) -> Result<(), SegmentError> {
        if block.rows.iter().all(|row| row.extra.1 == 0) {
            return Ok(());
        }
        let lengths: Vec<u32> = block.rows.iter().map(|row| row.extra.1).collect();
        let bytes = |row: &Row| &all.extras[row.extra.0 as usize..][..row.extra.1 as usize];
        let bytes: Vec<u8> = block.rows.iter().flat_map(bytes).copied().collect();
        self.column.clear();
        column::put_byte_strings(&mut self.column, &lengths, &bytes);
        place.put(columns::EXTRA, &self.column, &mut self.packer)
    }

    /// The values of all attributes, each to its column.
    fn gather(&mut self, block: &BlockRows<'_>, all: &Rows, dictionary: &DictionaryBuilder) {
        let how = |attribute: u32| {
            let (key, values) = &dictionary.values[attribute as usize];
            match key.value_type {
                ValueType::Str if values.in_use() && key.role != Role::AnnotationDetail => Gather::CodesOfRows,
                ValueType::Str if values.in_use() => Gather::Codes,
                ValueType::Bool => Gather::Codes,
                ValueType::Str => Gather::Texts,
                ValueType::I64 | ValueType::F64 => Gather::Words,
                ValueType::Bytes | ValueType::Nested => Gather::Bytes,
            }
        };
        let hows: Vec<Gather> = (0..dictionary.values.len() as u32).map(how).collect();
        self.values.resize_with(hows.len(), ValueColumn::default);
        for (at_row, row) in (0u32..).zip(block.rows) {
            let span = || all.batches[row.batch as usize].span(row.row as usize);
            let shape = dictionary.shapes.get(row.shape);
            let words = &all.values[row.values as usize..];
            for (at, (&attribute, &word)) in shape.iter().zip(words).enumerate() {
                let how = hows[attribute as usize];
                self.values[attribute as usize].push(how, at_row, word, || span().tags().value_at(at));
            }
            let (first, len) = (row.annotations.0 as usize, row.annotations.1 as usize);
            let Some(text) = all.annotation_text.filter(|_| len > 0) else { continue };
            for (annotation, found) in all.annotations[first..first + len].iter().zip(span().annotations()) {
                let value = || ValueRef::Str(found.value);
                self.values[text as usize].push(hows[text as usize], at_row, u64::from(annotation.code), value);
                let words = &all.annotation_values[annotation.values as usize..];
                for (at, (&attribute, &word)) in dictionary.shapes.get(annotation.shape).iter().zip(words).enumerate() {
                    let how = hows[attribute as usize];
                    self.values[attribute as usize].push(how, at_row, word, || found.details.value_at(at));
                }
            }
        }
        self.used.clear();
        self.used.extend((0u32..).zip(&self.values).filter(|(_, values)| !values.is_empty()).map(|(at, _)| at));
    }

    /// Notes the texts that are in no dictionary.
    fn filter_values(&mut self, block: &BlockRows<'_>, dictionary: &DictionaryBuilder) {
        let (before, home) = block.begun_before;
        self.value_filters.begin_block();
        for &attribute in &self.used {
            let (key, codes) = &dictionary.values[attribute as usize];
            if key.value_type == ValueType::Str && !codes.in_use() && key.role != Role::AnnotationDetail {
                let ValueColumn { lengths, text, .. } = &self.values[attribute as usize];
                self.value_filters.add(attribute, lengths, text.as_bytes(), (before > 0).then_some(home));
            }
        }
        self.value_filters.end_block();
    }

    fn put_values(
        &mut self,
        block: &BlockRows<'_>,
        dictionary: &mut DictionaryBuilder,
        place: &mut Place,
    ) -> Result<(), SegmentError> {
        for attribute in std::mem::take(&mut self.used) {
            let number = columns::FIRST_ATTRIBUTE + attribute;
            let mut values = std::mem::take(&mut self.values[attribute as usize]);
            let (key, codes) = &mut dictionary.values[attribute as usize];
            match key.value_type {
                ValueType::Str if !codes.in_use() => {
                    self.column.clear();
                    let (lengths, text) = (&values.lengths, values.text.as_str());
                    if column::put_ids(&mut self.column, lengths, text.as_bytes()) {
                        place.put(number, &self.column, &mut self.packer)?;
                    } else if codes.templates.wanted() && self.put_templates(lengths, text, &mut codes.templates)? {
                        place.put_as_it_is(number, &self.column)?;
                    } else {
                        self.column.clear();
                        column::put_texts(&mut self.column, lengths, text.as_bytes());
                        place.put(number, &self.column, &mut self.packer)?;
                    }
                }
                ValueType::Str | ValueType::Bool => {
                    self.column.clear();
                    let tag = key.role == Role::Tag;
                    match tag.then(|| self.guess_values(block, &values)).flatten() {
                        Some(by) => column::put_guesses(&mut self.column, by, &self.guesses),
                        None => column::put_u32s(&mut self.column, &values.codes),
                    }
                    place.put(number, &self.column, &mut self.packer)?;
                }
                ValueType::I64 => {
                    std::mem::swap(&mut self.words, &mut values.words);
                    self.put_numbers(number, place)?;
                    std::mem::swap(&mut self.words, &mut values.words);
                }
                ValueType::F64 => {
                    self.column.clear();
                    column::put_raw64(&mut self.column, &values.words);
                    place.put(number, &self.column, &mut self.packer)?;
                }
                ValueType::Bytes | ValueType::Nested => {
                    self.column.clear();
                    column::put_byte_strings(&mut self.column, &values.lengths, &values.bytes);
                    place.put(number, &self.column, &mut self.packer)?;
                }
            }
            values.clear();
            self.values[attribute as usize] = values;
        }
        Ok(())
    }

    /// Looks for a column that tells most values of a tag; if there is one, `guesses` are what it does not tell.
    fn guess_values(&mut self, block: &BlockRows<'_>, values: &ValueColumn) -> Option<u32> {
        let first = values.codes.first()?;
        if values.rows.is_empty() || values.codes.iter().all(|code| code == first) {
            return None;
        }
        let known = |row: u32| {
            let row = &block.rows[row as usize];
            [row.name, row.local, row.remote, row.resource]
        };
        let mut wrong = [0usize; TELLING.len()];
        self.last.iter_mut().for_each(LastSeen::begin);
        for (&row, &code) in values.rows.iter().zip(&values.codes) {
            for ((last, known), wrong) in self.last.iter_mut().zip(known(row)).zip(&mut wrong) {
                *wrong += usize::from(last.replace(known, code) != code);
            }
        }
        let (best, _) = wrong.iter().enumerate().min_by_key(|(_, wrong)| **wrong)?;
        let Self { last, guesses, .. } = self;
        let last = &mut last[best];
        last.begin();
        guesses.clear();
        for (&row, &code) in values.rows.iter().zip(&values.codes) {
            let guess = last.replace(known(row)[best], code);
            guesses.push(if guess == code { 0 } else { code + 1 });
        }
        is_worth_guessing(guesses).then_some(TELLING[best])
    }

    fn put_templates(
        &mut self,
        lengths: &[u32],
        text: &str,
        templates: &mut super::templates::Templates,
    ) -> Result<bool, SegmentError> {
        self.column.push(Encoding::Templates as u8);
        templates.put(&mut self.column, lengths, text, &mut self.packer, &mut self.templates)
    }

    fn put_raw(&mut self, number: u32, place: &mut Place) -> Result<(), SegmentError> {
        self.column.clear();
        column::put_raw64(&mut self.column, &self.words);
        place.put(number, &self.column, &mut self.packer)
    }

    /// `codes`, left out where all are zero.
    fn put_codes(&mut self, number: u32, place: &mut Place) -> Result<(), SegmentError> {
        if self.codes.iter().all(|&code| code == 0) {
            return Ok(());
        }
        self.column.clear();
        column::put_u32s(&mut self.column, &self.codes);
        place.put(number, &self.column, &mut self.packer)
    }

    /// `words` that are times.
    fn put_times_of(&mut self, number: u32, place: &mut Place) -> Result<(), SegmentError> {
        self.column.clear();
        column::put_deltas(&mut self.column, &self.words);
        self.put_shorter(number, NumberForm::Delta, place)
    }

    /// `words` of any kind.
    fn put_numbers(&mut self, number: u32, place: &mut Place) -> Result<(), SegmentError> {
        let near = is_near(self.words.iter().copied());
        self.column.clear();
        if near {
            column::put_deltas(&mut self.column, &self.words);
        } else {
            column::put_durations(&mut self.column, &self.words);
        }
        self.put_shorter(number, if near { NumberForm::Delta } else { NumberForm::Plain }, place)
    }

    /// The column just written, or `words` by their lengths in bits, whichever is shorter when stored.
    fn put_shorter(&mut self, number: u32, form: NumberForm, place: &mut Place) -> Result<(), SegmentError> {
        let Self { column, best, words, packer, bits, .. } = self;
        best.clear();
        best.push(Encoding::BitLengths as u8);
        put_numbers(best, words, form, packer, bits)?;
        let stored = packer.pack(column)?;
        if stored.len() <= best.len() {
            place.append(number, column.len(), stored)
        } else {
            place.put_as_it_is(number, best)
        }
    }
}

/// Whether few enough entries are left that another column does not tell.
fn is_worth_guessing(guesses: &[u32]) -> bool {
    guesses.iter().filter(|&&guess| guess != 0).count() * 3 < guesses.len()
}

fn bits_of_differences(numbers: &[u64]) -> u64 {
    let before = std::iter::once(0).chain(numbers.iter().copied());
    bits_of(numbers.iter().zip(before).map(|(&number, before)| zigzag(number.wrapping_sub(before) as i64)))
}

fn annotations_of<'a>(rows: &'a [Row], all: &'a Rows) -> impl Iterator<Item = &'a super::rows::AnnotationRow> {
    rows.iter().flat_map(|row| &all.annotations[row.annotations.0 as usize..][..row.annotations.1 as usize])
}

impl ValueColumn {
    fn push<'a>(&mut self, how: Gather, row: u32, word: u64, value: impl FnOnce() -> ValueRef<'a>) {
        match how {
            Gather::CodesOfRows => {
                self.codes.push(word as u32);
                self.rows.push(row);
            }
            Gather::Codes => self.codes.push(word as u32),
            Gather::Words => self.words.push(word),
            Gather::Texts | Gather::Bytes => match value() {
                ValueRef::Str(text) => {
                    self.lengths.push(text.len() as u32);
                    self.text.push_str(text);
                }
                ValueRef::Bytes(bytes) | ValueRef::Nested(bytes) => {
                    self.lengths.push(bytes.len() as u32);
                    self.bytes.extend_from_slice(bytes);
                }
                ValueRef::Bool(_) | ValueRef::I64(_) | ValueRef::F64(_) => {}
            },
        }
    }

    fn is_empty(&self) -> bool {
        self.codes.is_empty() && self.words.is_empty() && self.lengths.is_empty()
    }

    fn clear(&mut self) {
        let Self { codes, words, lengths, bytes, text, rows } = self;
        codes.clear();
        words.clear();
        lengths.clear();
        bytes.clear();
        text.clear();
        rows.clear();
    }
}

impl Place {
    fn put(&mut self, number: u32, column: &[u8], packer: &mut Packer) -> Result<(), SegmentError> {
        let stored = packer.pack(column)?;
        self.append(number, column.len(), stored)
    }

    /// A column whose parts are compressed.
    fn put_as_it_is(&mut self, number: u32, column: &[u8]) -> Result<(), SegmentError> {
        self.append(number, column.len(), column)
    }

    fn append(&mut self, number: u32, bytes: usize, stored: &[u8]) -> Result<(), SegmentError> {
        let bytes = u32::try_from(bytes).map_err(|_| SegmentError::TooLarge("a column"))?;
        self.entries.push(ColumnEntry {
            number,
            offset: self.stored.len() as u64,
            stored_bytes: stored.len() as u32,
            bytes,
            crc: crc32fast::hash(stored),
        });
        self.stored.extend_from_slice(stored);
        Ok(())
    }
}
