//! Texts and other things become numbers while a segment is written, in the order in which they are first met.

use hashbrown::{HashMap, HashTable};
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, Hasher};

/// Texts by number, one behind the other. No allocation a text; most look-ups compare two words and read no text.
#[derive(Debug)]
pub(crate) struct TextCodes {
    text: String,
    ends: Vec<usize>,
    /// A power of two, a third more than texts at least; a text is at the place of its hash or behind it.
    slots: Vec<Slot>,
    hasher: rapidhash::fast::RandomState,
    seed: u64,
    /// The number given last: long texts often are what they were in the span before.
    last: u32,
}

/// A text in the table, by what tells texts of up to 16 bytes apart, and most others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    /// Of a short text its first and its last bytes, which meet or overlap; of a longer one its hash and its last bytes.
    words: [u64; 2],
    len: u32,
    code: u32,
}

const SHORT_BYTES_MAX: usize = 16;
const SLOTS_MIN: usize = 16;
const FREE: Slot = Slot { words: [0; 2], len: 0, code: u32::MAX };

impl Default for TextCodes {
    fn default() -> Self {
        let hasher = rapidhash::fast::RandomState::default();
        let seed = hasher.hash_one(0u8);
        Self { text: String::new(), ends: vec![], slots: vec![], hasher, seed, last: 0 }
    }
}

impl TextCodes {
    /// With the empty text, which has the number 0.
    pub(crate) fn with_empty() -> Self {
        let mut texts = Self::default();
        texts.code("");
        texts
    }

    #[inline]
    pub(crate) fn code(&mut self, text: &str) -> u32 {
        if text.len() > SHORT_BYTES_MAX && (self.last as usize) < self.ends.len() && self.get(self.last) == text {
            return self.last;
        }
        if self.ends.len() * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let words = self.words(text.as_bytes());
        let len = text.len() as u32;
        let mask = self.slots.len() - 1;
        let mut at = self.place(words, len) & mask;
        loop {
            let slot = self.slots[at];
            if slot.code == FREE.code {
                return self.add(text, at, words);
            }
            let alike = slot.words == words && slot.len == len;
            if alike && (text.len() <= SHORT_BYTES_MAX || self.get(slot.code) == text) {
                self.last = slot.code;
                return slot.code;
            }
            at = (at + 1) & mask;
        }
    }

    fn add(&mut self, text: &str, at: usize, words: [u64; 2]) -> u32 {
        let code = self.ends.len() as u32;
        self.text.push_str(text);
        self.ends.push(self.text.len());
        self.slots[at] = Slot { words, len: text.len() as u32, code };
        self.last = code;
        code
    }

    #[inline]
    fn words(&self, bytes: &[u8]) -> [u64; 2] {
        let last = bytes.last_chunk::<8>().map(|last| u64::from_le_bytes(*last));
        match (bytes.first_chunk::<8>(), last) {
            (Some(_), Some(last)) if bytes.len() > SHORT_BYTES_MAX => {
                let mut hasher = self.hasher.build_hasher();
                hasher.write(bytes);
                [hasher.finish(), last]
            }
            (Some(first), Some(last)) => [u64::from_le_bytes(*first), last],
            _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
                (Some(first), Some(last)) => [u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into()],
                _ => [bytes.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)), 0],
            },
        }
    }

    /// The place where the search for a text begins, before it is cut to the size of the table.
    #[inline]
    fn place(&self, [first, last]: [u64; 2], len: u32) -> usize {
        let product =
            u128::from(first ^ self.seed) * u128::from(last ^ self.seed.rotate_left(32) ^ u64::from(len) << 17);
        let mixed = (product as u64 ^ (product >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize
    }

    #[cold]
    fn grow(&mut self) {
        let len = (self.slots.len() * 2).max(SLOTS_MIN);
        self.fill(len);
    }

    fn fill(&mut self, len: usize) {
        self.slots.clear();
        self.slots.resize(len, FREE);
        for code in 0..self.ends.len() as u32 {
            let text = self.get(code);
            let words = self.words(text.as_bytes());
            let text_len = text.len() as u32;
            let mut at = self.place(words, text_len) & (len - 1);
            while self.slots[at] != FREE {
                at = (at + 1) & (len - 1);
            }
            self.slots[at] = Slot { words, len: text_len, code };
        }
    }

    #[inline]
    pub(crate) fn get(&self, code: u32) -> &str {
        let code = code as usize;
        &self.text[code.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[code]]
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// How long all texts are together.
    pub(crate) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len() as u32).map(|code| self.get(code))
    }

    /// Forgets the texts from a number on.
    pub(crate) fn truncate(&mut self, len: usize) {
        if len >= self.ends.len() {
            return;
        }
        self.ends.truncate(len);
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
        self.fill(self.slots.len());
    }
}

/// Lists of numbers by number, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct ListCodes {
    items: Vec<u32>,
    ends: Vec<usize>,
    codes: HashTable<u32>,
    hasher: rapidhash::fast::RandomState,
}

impl ListCodes {
    /// With the empty list, which has the number 0.
    pub(crate) fn with_empty() -> Self {
        let mut lists = Self::default();
        lists.code(&[]);
        lists
    }

    pub(crate) fn code(&mut self, list: &[u32]) -> u32 {
        let Self { items, ends, codes, hasher } = self;
        let hash = hasher.hash_one(list);
        if let Some(&code) = codes.find(hash, |&code| list_of(items, ends, code) == list) {
            return code;
        }
        let code = ends.len() as u32;
        items.extend_from_slice(list);
        ends.push(items.len());
        codes.insert_unique(hash, code, |&code| hasher.hash_one(list_of(items, ends, code)));
        code
    }

    pub(crate) fn get(&self, code: u32) -> &[u32] {
        list_of(&self.items, &self.ends, code)
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }
}

fn list_of<'a>(items: &'a [u32], ends: &[usize], code: u32) -> &'a [u32] {
    let code = code as usize;
    &items[code.checked_sub(1).map_or(0, |before| ends[before])..ends[code]]
}

/// Things of which there are few.
#[derive(Debug)]
pub(crate) struct Codes<T> {
    codes: HashMap<T, u32>,
}

impl<T: Hash + Eq> Codes<T> {
    /// With one thing that has the number 0.
    pub(crate) fn starting_with(zero: T) -> Self {
        Self { codes: HashMap::from_iter([(zero, 0)]) }
    }

    pub(crate) fn code<Q>(&mut self, thing: &Q) -> u32
    where
        T: Borrow<Q>,
        Q: ToOwned<Owned = T> + Hash + Eq + ?Sized,
    {
        if let Some(&code) = self.codes.get(thing) {
            return code;
        }
        let code = self.codes.len() as u32;
        self.codes.insert(thing.to_owned(), code);
        code
    }

    pub(crate) fn in_order(&self) -> Vec<&T> {
        let mut things: Vec<(u32, &T)> = self.codes.iter().map(|(thing, &code)| (code, thing)).collect();
        things.sort_unstable_by_key(|(code, _)| *code);
        things.into_iter().map(|(_, thing)| thing).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_one(len: usize, at: usize) -> String {
        (0..len).map(|byte| if byte == at { '1' } else { '\0' }).collect()
    }

    #[test]
    fn numbers_are_given_in_order_and_can_be_taken_back() {
        let mut texts = TextCodes::with_empty();
        let codes: Vec<u32> = (0..1000).map(|n| texts.code(&format!("text {n}"))).collect();
        assert_eq!((codes[0], codes[999], texts.code("text 7"), texts.code("")), (1, 1000, 8, 0));
        texts.truncate(500);
        assert_eq!((texts.len(), texts.code("text 10"), texts.code("text 998")), (500, 11, 500));
        assert_eq!(texts.get(500), "text 998");
        let alike: Vec<String> = (0..40).flat_map(|len| [0, len / 2].map(|at| with_one(len, at))).collect();
        let codes: Vec<u32> = alike.iter().map(|text| texts.code(text)).collect();
        assert!(alike.iter().zip(&codes).all(|(text, &code)| texts.get(code) == text && texts.code(text) == code));
        let mut lists = ListCodes::with_empty();
        assert_eq!([lists.code(&[1, 2]), lists.code(&[1]), lists.code(&[1, 2]), lists.code(&[])], [1, 2, 1, 0]);
        assert_eq!(lists.get(1), [1, 2]);
    }
}
