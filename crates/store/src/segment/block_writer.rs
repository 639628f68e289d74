//! The columns of a block, from rows in the numbers of the segment.

use super::block_columns::{self as columns, Prediction};
use super::bytes::zigzag;
use super::column::{self, Encoding};
use super::dictionary::{Role, ValueType};
use super::dictionary_builder::{DictionaryBuilder, ValueCodes};
use super::footer::{BlockEntry, ColumnEntry};
use super::gather::Values;
use super::numbers::{BitLengths, NumberForm, bits_of, is_near, put_numbers};
use super::packing::Packer;
use super::rows::{IS_PLACE, Row, Rows, range_of};
use super::templates::TemplateScratch;
use super::terms_builder::TermsBuilder;
use super::value_filters::ValueFiltersBuilder;
use super::{SegmentError, Stages};
use hashbrown::HashMap;

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
    of_rows: [Vec<u32>; OF_ROWS.len()],
    values: Values,
    lengths: Vec<u32>,
    text: String,
    bytes: Vec<u8>,
    choices: Choices,
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
    #[inline]
    fn replace(&mut self, known: u32, code: u32) -> u32 {
        let known = known as usize;
        if self.entries.len() <= known {
            self.entries.resize(known + 1, (0, 0));
        }
        let (round, last) = std::mem::replace(&mut self.entries[known], (self.round, code));
        if round == self.round { last } else { 0 }
    }
}

/// The columns of codes, one a row.
const OF_ROWS: [u32; 7] =
    [columns::NAME, columns::LOCAL, columns::REMOTE, columns::RESOURCE, columns::SHAPE, columns::KIND, columns::SCOPE];
/// The place of names among them.
const NAME: usize = 0;
/// Those of them that may tell the values of a tag.
const TELLING: [u32; 4] = [columns::NAME, columns::LOCAL, columns::REMOTE, columns::RESOURCE];

/// Where columns go, in the order in which they are made.
struct Place {
    stored: Vec<u8>,
    entries: Vec<ColumnEntry>,
}

impl BlockWriter {
    pub(super) fn new() -> Result<Self, SegmentError> {
        Ok(Self {
            packer: Packer::new()?,
            of_rows: Default::default(),
            values: Values::default(),
            lengths: vec![],
            text: String::new(),
            bytes: vec![],
            choices: Choices::default(),
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

    /// Forgets what was found out about the columns of another segment.
    pub(super) fn begin(&mut self) {
        self.choices.by_number.clear();
        self.packer.begin();
        self.value_filters = ValueFiltersBuilder::default();
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let Self { values, text, bytes, column, best, stored, .. } = self;
        let buffers = [text.capacity(), bytes.capacity(), column.capacity(), best.capacity(), stored.capacity()];
        values.memory_bytes() + buffers.iter().sum::<usize>()
    }

    /// What the footer is written with.
    pub(super) fn parts(&mut self) -> (&mut Packer, &ValueFiltersBuilder) {
        (&mut self.packer, &self.value_filters)
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
        self.put_codes_of_rows(block.rows, &mut place)?;
        self.put_annotations(block, all, &mut place)?;
        self.put_extras(block, all, &mut place)?;
        stages.end("f: codes");
        self.values.gather(block.rows, all, dictionary);
        stages.end("g: gather values");
        terms.add_rows(block, all, dictionary);
        for &attribute in &self.values.used {
            let (key, codes) = &dictionary.values[attribute as usize];
            if key.value_type == ValueType::Str && key.role != Role::AnnotationDetail && codes.in_use() {
                let (words, rows) = self.values.of(attribute);
                terms.add_values(block, attribute, words, rows);
            }
        }
        stages.end("c: terms");
        self.put_values(all, block, dictionary, &mut place)?;
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
            let start = if row.has_start() { row.start } else { last };
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

    fn put_codes_of_rows(&mut self, rows: &[Row], place: &mut Place) -> Result<(), SegmentError> {
        let code = |row: &Row| [row.name, row.local, row.remote, row.resource, row.shape, row.kind, row.scope];
        self.of_rows.iter_mut().for_each(Vec::clear);
        for row in rows {
            self.of_rows.iter_mut().zip(code(row)).for_each(|(column, code)| column.push(code));
        }
        OF_ROWS.into_iter().enumerate().try_for_each(|(at, number)| self.put_codes_of(number, at, place))
    }

    /// A column of codes; where another column tells them mostly, only what it does not tell.
    fn put_codes_of(&mut self, number: u32, at: usize, place: &mut Place) -> Result<(), SegmentError> {
        let Self { of_rows, guesses, last, packer, column, .. } = self;
        let codes = &of_rows[at];
        let prediction = Prediction::of(number).filter(|_| codes.iter().any(|code| Some(code) != codes.first()));
        let known = prediction.and_then(|by| OF_ROWS.iter().position(|&other| other == by.by));
        column.clear();
        if let (Some(prediction), Some(known)) = (prediction, known) {
            guess(&of_rows[known], codes, &mut last[0], guesses);
            if is_worth_guessing(guesses) {
                column::put_u32s(column, guesses);
                return place.put(prediction.number, column, packer);
            }
        }
        if codes.iter().all(|&code| code == 0) {
            return Ok(());
        }
        column::put_u32s(column, codes);
        place.put(number, column, packer)
    }

    fn put_annotations(&mut self, block: &BlockRows<'_>, all: &Rows, place: &mut Place) -> Result<(), SegmentError> {
        self.codes.clear();
        self.codes.extend(block.rows.iter().map(|row| row.annotations.1));
        self.put_codes(columns::ANNOTATION_COUNT, place)?;
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

    fn put_values(
        &mut self,
        all: &Rows,
        block: &BlockRows<'_>,
        dictionary: &mut DictionaryBuilder,
        place: &mut Place,
    ) -> Result<(), SegmentError> {
        let rows = block.rows;
        let (before, home) = block.begun_before;
        let home = (before > 0).then_some(home);
        self.value_filters.begin_block();
        let values = std::mem::take(&mut self.values);
        for &attribute in &values.used {
            let number = columns::FIRST_ATTRIBUTE + attribute;
            let (words, of_rows) = values.of(attribute);
            let (key, codes) = &mut dictionary.values[attribute as usize];
            self.column.clear();
            match key.value_type {
                ValueType::Str if !codes.in_use() => {
                    self.take_texts(all, rows, words, of_rows, codes);
                    if key.role != Role::AnnotationDetail {
                        self.value_filters.add(attribute, &self.lengths, self.text.as_bytes(), home);
                    }
                    self.put_texts(number, of_rows, codes, place)?;
                }
                ValueType::Str | ValueType::Bool => {
                    self.codes.clear();
                    self.codes.extend(words.iter().map(|&word| word as u32));
                    let tag = key.role == Role::Tag && key.value_type == ValueType::Str;
                    match tag.then(|| self.guess_values(number, of_rows)).flatten() {
                        Some(by) => column::put_guesses(&mut self.column, by, &self.guesses),
                        None => column::put_u32s(&mut self.column, &self.codes),
                    }
                    place.put(number, &self.column, &mut self.packer)?;
                }
                ValueType::I64 => {
                    self.words.clear();
                    self.words.extend_from_slice(words);
                    self.put_numbers(number, place)?;
                }
                ValueType::F64 => {
                    column::put_raw64(&mut self.column, words);
                    place.put(number, &self.column, &mut self.packer)?;
                }
                ValueType::Bytes | ValueType::Nested => {
                    self.take_bytes(all, rows, words, of_rows);
                    column::put_byte_strings(&mut self.column, &self.lengths, &self.bytes);
                    place.put(number, &self.column, &mut self.packer)?;
                }
            }
        }
        self.values = values;
        self.value_filters.end_block();
        Ok(())
    }

    /// Texts without numbers from where they lie.
    fn take_texts(&mut self, all: &Rows, rows: &[Row], words: &[u64], of_rows: &[u32], codes: &ValueCodes) {
        let Self { lengths, text, .. } = self;
        lengths.clear();
        text.clear();
        for (&word, &row) in words.iter().zip(of_rows) {
            let value = match word & IS_PLACE {
                0 => codes.value(word as u32),
                _ => all.text_at(rows[row as usize].source, word),
            };
            lengths.push(value.len() as u32);
            text.push_str(value);
        }
    }

    fn take_bytes(&mut self, all: &Rows, rows: &[Row], words: &[u64], of_rows: &[u32]) {
        let Self { lengths, bytes, .. } = self;
        lengths.clear();
        bytes.clear();
        for (&word, &row) in words.iter().zip(of_rows) {
            let value = &all.sources[rows[row as usize].source as usize].bytes()[range_of(word)];
            lengths.push(value.len() as u32);
            bytes.extend_from_slice(value);
        }
    }

    /// `text`, as ids, by templates or as it is.
    fn put_texts(
        &mut self,
        number: u32,
        of_rows: &[u32],
        codes: &mut ValueCodes,
        place: &mut Place,
    ) -> Result<(), SegmentError> {
        let Self { column, lengths, text, packer, templates: scratch, of_rows: columns, .. } = self;
        if column::put_ids(column, lengths, text.as_bytes()) {
            return place.put(number, column, packer);
        }
        let templates = &mut codes.templates;
        if templates.wanted() {
            column.push(Encoding::Templates as u8);
            let names = of_rows.iter().map(|&row| columns[NAME][row as usize]);
            if templates.put(column, lengths, text, names, packer, scratch)? {
                return place.put_as_it_is(number, column);
            }
            column.clear();
        }
        column::put_texts(column, lengths, text.as_bytes());
        place.put(number, column, packer)
    }

    /// Looks for a column that tells most values of a tag, which are `codes`; if there is one, `guesses` are what it does not
    /// tell.
    fn guess_values(&mut self, number: u32, of_rows: &[u32]) -> Option<u32> {
        let Self { of_rows: columns, codes, last, guesses, choices, .. } = self;
        let first = codes.first()?;
        if codes.iter().all(|code| code == first) {
            return None;
        }
        let choice = choices.of(number);
        let best = match choice.known() {
            Some(NOTHING) => return None,
            Some(best) => usize::from(best),
            None => {
                let wrong: [usize; TELLING.len()] =
                    std::array::from_fn(|at| wrong_guesses(&columns[at], of_rows, codes, &mut last[at]));
                let (best, _) = wrong.iter().enumerate().min_by_key(|(_, wrong)| **wrong)?;
                best
            }
        };
        let (known, last) = (&columns[best], &mut last[best]);
        last.begin();
        guesses.clear();
        guesses.extend(
            of_rows
                .iter()
                .zip(codes.iter())
                .map(|(&row, &code)| if last.replace(known[row as usize], code) == code { 0 } else { code + 1 }),
        );
        let worth = is_worth_guessing(guesses);
        choice.remember(if worth { best as u8 } else { NOTHING });
        worth.then_some(TELLING[best])
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
        self.put_shorter(number, NumberForm::Delta, place)
    }

    /// `words` of any kind.
    fn put_numbers(&mut self, number: u32, place: &mut Place) -> Result<(), SegmentError> {
        let near = is_near(self.words.iter().copied());
        self.column.clear();
        self.put_shorter(number, if near { NumberForm::Delta } else { NumberForm::Plain }, place)
    }

    /// The column just written, or `words` by their lengths in bits, whichever is shorter when stored; mostly what was
    /// shorter in the block before.
    fn put_shorter(&mut self, number: u32, form: NumberForm, place: &mut Place) -> Result<(), SegmentError> {
        let Self { column, best, words, packer, bits, choices, .. } = self;
        let choice = choices.of(number);
        let known = choice.known();
        best.clear();
        if known != Some(VARINTS) {
            best.push(Encoding::BitLengths as u8);
            put_numbers(best, words, form, packer, bits)?;
            if known == Some(BIT_LENGTHS) {
                return place.put_as_it_is(number, best);
            }
        }
        match form {
            NumberForm::Delta => column::put_deltas(column, words),
            NumberForm::Plain | NumberForm::Signed => column::put_durations(column, words),
        }
        let stored = packer.pack(column)?;
        if known == Some(VARINTS) || stored.len() <= best.len() {
            choice.remember(VARINTS);
            place.append(number, column.len(), stored)
        } else {
            choice.remember(BIT_LENGTHS);
            place.put_as_it_is(number, best)
        }
    }
}

/// What was found best for a column is taken for some blocks without looking.
#[derive(Default)]
struct Choices {
    by_number: Vec<Choice>,
}

#[derive(Clone, Copy, Default)]
struct Choice {
    best: u8,
    /// For so many more blocks.
    blocks: u8,
}

const BLOCKS_WITHOUT_LOOKING: u8 = 7;
/// Choices of [`BlockWriter::put_shorter`].
const VARINTS: u8 = 0;
const BIT_LENGTHS: u8 = 1;
/// No column of [`TELLING`].
const NOTHING: u8 = u8::MAX;

impl Choices {
    fn of(&mut self, number: u32) -> &mut Choice {
        let number = number as usize;
        if self.by_number.len() <= number {
            self.by_number.resize(number + 1, Choice::default());
        }
        &mut self.by_number[number]
    }
}

impl Choice {
    fn known(&mut self) -> Option<u8> {
        self.blocks = self.blocks.checked_sub(1)?;
        Some(self.best)
    }

    fn remember(&mut self, best: u8) {
        if self.blocks == 0 || self.best != best {
            *self = Self { best, blocks: BLOCKS_WITHOUT_LOOKING };
        }
    }
}

/// What `known` does not tell of codes, one a row.
fn guess(known: &[u32], codes: &[u32], last: &mut LastSeen, guesses: &mut Vec<u32>) {
    last.begin();
    guesses.clear();
    let guess = |(&known, &code): (&u32, &u32)| if last.replace(known, code) == code { 0 } else { code + 1 };
    guesses.extend(known.iter().zip(codes).map(guess));
}

fn wrong_guesses(known: &[u32], of_rows: &[u32], codes: &[u32], last: &mut LastSeen) -> usize {
    last.begin();
    let values = of_rows.iter().zip(codes);
    values.filter(|&(&row, &code)| last.replace(known[row as usize], code) != code).count()
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

impl Place {
    fn put(&mut self, number: u32, column: &[u8], packer: &mut Packer) -> Result<(), SegmentError> {
        let stored = packer.pack_column(number, column)?;
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
