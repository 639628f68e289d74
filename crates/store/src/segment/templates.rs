//! Texts that differ only in their numbers (`/users/4711/cart`, statements of SQL): a template a text, and the numbers apart.
//! A template is the text with a zero byte for each number.

use super::SegmentError;
use super::bytes::zigzag;
use super::bytes::{Malformed, Reader, put_varint};
use super::codes::TextCodes;
use super::column::{put_narrow_codes, read_narrow_codes};
use super::dictionary::TextTable;
use super::numbers::{BitLengths, is_near, read_bit_lengths, undo_delta};
use super::packing::{Packer, read_part};

/// Stands for a number. A column with texts that have one is not written this way.
const NUMBER: char = '\0';
/// So many digits always fit; what follows is one more number.
const DIGITS_MAX: usize = 18;
/// Of one attribute.
const TEMPLATES_MAX: usize = 4096;
const TEMPLATE_BYTES_MAX: usize = 1 << 18;
/// A block may bring so many new templates, and one for every eight values beyond.
const NEW_FREE: usize = 48;
/// After so many blocks that did not fit, an attribute is not tried again.
const FAILURES_MAX: u32 = 2;

/// The templates of an attribute while a segment is written.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    pub(crate) texts: TextCodes,
    failures: u32,
    /// By the key of a value: the template of the last one with it.
    recent: Vec<u32>,
    /// Where in each template the numbers are, and where the places of each end.
    slots: Vec<u32>,
    slot_ends: Vec<u32>,
}

const RECENT: usize = 64;

/// What one column needs on its way, kept for the next.
#[derive(Debug, Default)]
pub(crate) struct TemplateScratch {
    template: String,
    codes: Vec<u32>,
    /// In the order of values.
    numbers: Vec<u64>,
    /// By template, then its slots, then values.
    sorted: Vec<u64>,
    narrow: Vec<u8>,
    flags: Vec<u8>,
    groups: Vec<Group>,
    bits: BitLengths,
}

/// The values of one template in a block.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    values: usize,
    slots: usize,
    /// Where its numbers begin, and how many values were placed.
    first: usize,
    placed: usize,
}

impl Templates {
    /// Whether it is worth to try.
    pub(crate) fn wanted(&self) -> bool {
        self.failures < FAILURES_MAX
    }

    /// Appends texts that lie one behind the other. Answers whether they have few templates; if not, `out` is as it was. Texts
    /// with the same key often have the same template.
    pub(crate) fn put(
        &mut self,
        out: &mut Vec<u8>,
        lengths: &[u32],
        text: &str,
        keys: impl Iterator<Item = u32>,
        packer: &mut Packer,
        scratch: &mut TemplateScratch,
    ) -> Result<bool, SegmentError> {
        let known = self.texts.len();
        if !self.split(lengths, text, keys, scratch) {
            self.texts.truncate(known);
            self.slot_ends.truncate(known);
            self.slots.truncate(self.slot_ends.last().map_or(0, |&end| end as usize));
            self.recent.clear();
            self.failures += 1;
            return Ok(false);
        }
        self.sort(scratch);
        put_varint(out, lengths.len() as u64);
        scratch.narrow.clear();
        put_narrow_codes(&mut scratch.narrow, &scratch.codes);
        packer.put_part(out, &scratch.narrow)?;
        let TemplateScratch { groups, sorted, flags, bits, .. } = scratch;
        flags.clear();
        bits.clear();
        for group in groups.iter().filter(|group| group.values > 0) {
            for slot in 0..group.slots {
                let from = group.first + slot * group.values;
                let numbers = &sorted[from..from + group.values];
                let near = is_near(numbers.iter().copied());
                flags.push(u8::from(near));
                let mut last = 0u64;
                for &number in numbers {
                    bits.push(if near { zigzag(number.wrapping_sub(last) as i64) } else { number });
                    last = number;
                }
            }
        }
        packer.put_part(out, flags)?;
        bits.write(out, packer)?;
        Ok(true)
    }

    fn split(
        &mut self,
        lengths: &[u32],
        text: &str,
        keys: impl Iterator<Item = u32>,
        scratch: &mut TemplateScratch,
    ) -> bool {
        let TemplateScratch { template, codes, numbers, .. } = scratch;
        codes.clear();
        numbers.clear();
        let known = self.texts.len();
        self.recent.resize(RECENT, 0);
        let mut from = 0;
        for ((at, &len), key) in lengths.iter().enumerate().zip(keys) {
            let value = &text[from..from + len as usize];
            from += len as usize;
            let recent = self.recent[key as usize % RECENT];
            if self.fits(recent, value.as_bytes(), numbers) {
                codes.push(recent);
                continue;
            }
            if !split_numbers(value, template, numbers) {
                return false;
            }
            let code = self.texts.code(template);
            codes.push(code);
            self.recent[key as usize % RECENT] = code;
            if code as usize == self.slot_ends.len() {
                let places = template.bytes().enumerate().filter(|(_, byte)| *byte == NUMBER as u8);
                self.slots.extend(places.map(|(at, _)| at as u32));
                self.slot_ends.push(self.slots.len() as u32);
            }
            let new = self.texts.len() - known;
            let too_many = new > NEW_FREE + at / 8 || self.texts.len() > TEMPLATES_MAX;
            if too_many || self.texts.text_bytes() > TEMPLATE_BYTES_MAX {
                return false;
            }
        }
        true
    }

    fn slots_of(&self, code: u32) -> &[u32] {
        let code = code as usize;
        let from = code.checked_sub(1).map_or(0, |before| self.slot_ends[before] as usize);
        &self.slots[from..self.slot_ends[code] as usize]
    }

    /// Appends the numbers of a text if the template, filled with them, gives the text. It then is the one that would be made
    /// of the text: numbers take all digits they can, and what stands between them has none but zeros in front.
    fn fits(&self, code: u32, text: &[u8], numbers: &mut Vec<u64>) -> bool {
        if code as usize >= self.slot_ends.len() {
            return false;
        }
        let before = numbers.len();
        let fits = fill(self.texts.get(code).as_bytes(), self.slots_of(code), text, numbers);
        if fits.is_none() {
            numbers.truncate(before);
        }
        fits.is_some()
    }

    /// Numbers by template and slot.
    fn sort(&self, scratch: &mut TemplateScratch) {
        let TemplateScratch { codes, numbers, sorted, groups, .. } = scratch;
        groups.clear();
        groups.resize(self.texts.len(), Group::default());
        codes.iter().for_each(|&code| groups[code as usize].values += 1);
        let mut first = 0;
        for (code, group) in (0u32..).zip(groups.iter_mut()).filter(|(_, group)| group.values > 0) {
            group.slots = self.slots_of(code).len();
            group.first = first;
            first += group.slots * group.values;
        }
        sorted.clear();
        sorted.resize(numbers.len(), 0);
        let mut from = 0;
        for &code in codes.iter() {
            let group = &mut groups[code as usize];
            for slot in 0..group.slots {
                sorted[group.first + slot * group.values + group.placed] = numbers[from + slot];
            }
            group.placed += 1;
            from += group.slots;
        }
    }
}

/// See [`Templates::fits`].
fn fill(template: &[u8], slots: &[u32], mut text: &[u8], numbers: &mut Vec<u64>) -> Option<()> {
    let mut from = 0;
    for &slot in slots {
        text = text.strip_prefix(&template[from..slot as usize])?;
        from = slot as usize + 1;
        let (mut number, mut len) = (0u64, 0);
        for digit in text.iter().take(DIGITS_MAX).take_while(|byte| byte.is_ascii_digit()) {
            number = number * 10 + u64::from(digit - b'0');
            len += 1;
        }
        // Printing it gives back what was there.
        if len == 0 || len > 1 && text[0] == b'0' {
            return None;
        }
        numbers.push(number);
        text = &text[len..];
    }
    (*text == template[from..]).then_some(())
}

fn slots_of(template: &str) -> usize {
    template.bytes().filter(|&byte| byte == NUMBER as u8).count()
}

/// Makes the template of a text and appends its numbers; a text that has the sign for a number in it is refused. Zeros in
/// front of a number belong to the template, so that printing the number gives back what was there.
fn split_numbers(text: &str, template: &mut String, numbers: &mut Vec<u64>) -> bool {
    template.clear();
    let bytes = text.as_bytes();
    let mut literal = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if !byte.is_ascii_digit() {
            if byte == NUMBER as u8 {
                return false;
            }
            at += 1;
            continue;
        }
        while bytes[at] == b'0' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        template.push_str(&text[literal..at]);
        template.push(NUMBER);
        let digits = bytes[at..].iter().take(DIGITS_MAX).take_while(|byte| byte.is_ascii_digit());
        let (mut number, mut len) = (0u64, 0);
        for digit in digits {
            number = number * 10 + u64::from(digit - b'0');
            len += 1;
        }
        numbers.push(number);
        at += len;
        literal = at;
    }
    template.push_str(&text[literal..]);
    true
}

/// Prints a number.
fn push_number(text: &mut String, mut number: u64) {
    const DIGITS_OF_ANY: usize = 20;
    let mut digits = [0; DIGITS_OF_ANY];
    let mut from = DIGITS_OF_ANY;
    loop {
        from -= 1;
        digits[from] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    digits[from..].iter().for_each(|&digit| text.push(char::from(digit)));
}

/// The texts of a column, as templates and numbers: printed when asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TemplateTexts {
    /// The template of each text.
    codes: Vec<u32>,
    /// Of each text the place of its first number; the next one of a text is as far away as its template has texts.
    firsts: Vec<u32>,
    steps: Vec<u32>,
    numbers: Vec<u64>,
}

impl TemplateTexts {
    pub(crate) fn memory_bytes(&self) -> usize {
        (self.codes.capacity() + self.firsts.capacity() + self.steps.capacity()) * 4 + self.numbers.capacity() * 8
    }

    pub(crate) fn print<'a>(
        &self,
        at: usize,
        templates: &TextTable,
        printed: &'a mut String,
    ) -> Result<&'a str, Malformed> {
        let code = *self.codes.get(at).ok_or(Malformed("a text is missing"))?;
        let template = templates.get(code).ok_or(Malformed("a template is not in the dictionary"))?;
        printed.clear();
        for (slot, literal) in template.split(NUMBER).enumerate() {
            if let Some(slot) = slot.checked_sub(1) {
                let number = self.number(at, slot).ok_or(Malformed("the numbers of texts are too few"))?;
                push_number(printed, number);
            }
            printed.push_str(literal);
        }
        Ok(printed)
    }

    fn number(&self, at: usize, slot: usize) -> Option<u64> {
        let step = self.steps[self.codes[at] as usize] as usize;
        self.numbers.get(self.firsts[at] as usize + slot * step).copied()
    }

    /// Says of each text whether it is this one; nothing where its template is not there.
    pub(crate) fn equal_to(&self, text: &str, templates: &TextTable) -> Option<Vec<bool>> {
        let (mut template, mut numbers) = (String::new(), vec![]);
        if !split_numbers(text, &mut template, &mut numbers) {
            return None;
        }
        let wanted = templates.find(&template)?;
        let same = |at: usize| numbers.iter().enumerate().all(|(slot, &number)| self.number(at, slot) == Some(number));
        Some(self.codes.iter().enumerate().map(|(at, &code)| code == wanted && same(at)).collect())
    }
}

/// Reads what [`Templates::put`] has written.
pub(crate) fn read_templates(mut reader: Reader<'_>, templates: &TextTable) -> Result<TemplateTexts, Malformed> {
    let count = usize::try_from(reader.varint()?).map_err(|_| Malformed("a count is too large"))?;
    let codes = read_narrow_codes(&read_part(&mut reader)?)?;
    if codes.len() != count {
        return Err(Malformed("templates are not one a text"));
    }
    let flags = read_part(&mut reader)?;
    let mut numbers = read_bit_lengths(&mut reader)?;
    reader.end()?;
    let mut groups = vec![Group::default(); templates.len()];
    for &code in &codes {
        groups.get_mut(code as usize).ok_or(Malformed("a template is not in the dictionary"))?.values += 1;
    }
    let mut first = 0usize;
    let mut flag = flags.iter();
    for (code, group) in (0u32..).zip(&mut groups).filter(|(_, group)| group.values > 0) {
        group.slots = slots_of(templates.get(code).unwrap_or_default());
        group.first = first;
        for _ in 0..group.slots {
            let short = Malformed("the numbers of texts are too few");
            let values = numbers.get_mut(first..first + group.values).ok_or(short)?;
            if *flag.next().ok_or(short)? != 0 {
                undo_delta(values);
            }
            first += group.values;
        }
    }
    let mut firsts = Vec::with_capacity(count);
    for &code in &codes {
        let group = &mut groups[code as usize];
        firsts.push((group.first + group.placed) as u32);
        group.placed += 1;
    }
    let steps = groups.iter().map(|group| group.values as u32).collect();
    Ok(TemplateTexts { codes, firsts, steps, numbers })
}

#[cfg(test)]
mod tests {
    use super::super::bytes::put_bytes;
    use super::*;
    use proptest::prelude::*;

    fn table(texts: &TextCodes) -> TextTable {
        let mut bytes = vec![];
        put_varint(&mut bytes, texts.len() as u64);
        texts.iter().for_each(|text| put_bytes(&mut bytes, text.as_bytes()));
        TextTable::read(&mut Reader::new(&bytes)).unwrap()
    }

    fn round_trip(values: &[String]) -> bool {
        let (mut templates, mut packer) = (Templates::default(), Packer::new().unwrap());
        let mut scratch = TemplateScratch::default();
        let lengths: Vec<u32> = values.iter().map(|value| value.len() as u32).collect();
        let mut out = vec![];
        let keys = lengths.iter().copied();
        if !templates.put(&mut out, &lengths, &values.concat(), keys, &mut packer, &mut scratch).unwrap() {
            assert_eq!((out.len(), templates.texts.len()), (0, 0));
            return false;
        }
        let table = table(&templates.texts);
        let read = read_templates(Reader::new(&out), &table).unwrap();
        for (at, value) in values.iter().enumerate() {
            assert_eq!(read.print(at, &table, &mut String::new()), Ok(value.as_str()));
            let equal: Vec<bool> = values.iter().map(|other| other == value).collect();
            assert_eq!(read.equal_to(value, &table), Some(equal));
        }
        assert!(read.print(values.len(), &table, &mut String::new()).is_err());
        assert!((0..out.len()).all(|len| read_templates(Reader::new(&out[..len]), &table).is_err()));
        true
    }

    #[test]
    fn texts_with_numbers_come_back() {
        let values =
            ["/a/1/b", "", "007", "0", "00", "/a/22/b", "1234567890123456789012345", "x000000000000000000001", "ä7ö"];
        assert!(round_trip(&values.map(str::to_owned)));
        assert!(!round_trip(&["a\0b".to_owned()]));
        assert!(!round_trip(&(0..100u8).map(|n| format!("{}", char::from(n + 28))).collect::<Vec<_>>()));
    }

    proptest! {
        #[test]
        fn any_texts_come_back(values in prop::collection::vec("[a0-9]{0,24}|[a-z]{3}/[0-9]{1,20}", 0..40)) {
            round_trip(&values);
        }
    }
}
