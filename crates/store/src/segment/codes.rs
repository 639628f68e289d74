//! Texts and other things become numbers while a segment is written, in the order in which they are first met.

use hashbrown::{HashMap, HashTable};
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};

/// Texts by number, one behind the other. No allocation a text.
#[derive(Debug, Default)]
pub(crate) struct TextCodes {
    text: String,
    ends: Vec<usize>,
    codes: HashTable<u32>,
    hasher: rapidhash::fast::RandomState,
    /// The number given last: most texts are what they were in the span before.
    last: u32,
}

impl TextCodes {
    /// With the empty text, which has the number 0.
    pub(crate) fn with_empty() -> Self {
        let mut texts = Self::default();
        texts.code("");
        texts
    }

    pub(crate) fn code(&mut self, text: &str) -> u32 {
        let Self { text: all, ends, codes, hasher, last } = self;
        if (*last as usize) < ends.len() && bytes(all, ends, *last) == text.as_bytes() {
            return *last;
        }
        let hash = hasher.hash_one(text.as_bytes());
        if let Some(&code) = codes.find(hash, |&code| bytes(all, ends, code) == text.as_bytes()) {
            *last = code;
            return code;
        }
        let code = ends.len() as u32;
        all.push_str(text);
        ends.push(all.len());
        codes.insert_unique(hash, code, |&code| hasher.hash_one(bytes(all, ends, code)));
        *last = code;
        code
    }

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
        for code in len..self.ends.len() {
            let hash = self.hasher.hash_one(self.get(code as u32).as_bytes());
            if let Ok(entry) = self.codes.find_entry(hash, |&other| other as usize == code) {
                entry.remove();
            }
        }
        self.ends.truncate(len);
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Forgets all, and gives back the memory.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

fn bytes<'a>(text: &'a str, ends: &[usize], code: u32) -> &'a [u8] {
    let code = code as usize;
    &text.as_bytes()[code.checked_sub(1).map_or(0, |before| ends[before])..ends[code]]
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

    #[test]
    fn numbers_are_given_in_order_and_can_be_taken_back() {
        let mut texts = TextCodes::with_empty();
        let codes: Vec<u32> = (0..1000).map(|n| texts.code(&format!("text {n}"))).collect();
        assert_eq!((codes[0], codes[999], texts.code("text 7"), texts.code("")), (1, 1000, 8, 0));
        texts.truncate(500);
        assert_eq!((texts.len(), texts.code("text 10"), texts.code("text 998")), (500, 11, 500));
        assert_eq!(texts.get(500), "text 998");
        let mut lists = ListCodes::with_empty();
        assert_eq!([lists.code(&[1, 2]), lists.code(&[1]), lists.code(&[1, 2]), lists.code(&[])], [1, 2, 1, 0]);
        assert_eq!(lists.get(1), [1, 2]);
    }
}
