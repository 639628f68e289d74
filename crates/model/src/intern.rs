//! Texts that repeat (service and span names, tag keys) become small numbers, once a batch.

use hashbrown::HashTable;
use std::hash::BuildHasher;

/// A text in a batch's table of names. Zero is the empty text, in every batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct StrId(pub u32);

impl StrId {
    /// The empty text.
    pub const EMPTY: Self = Self(0);

    /// As an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Text ⇄ number. Grows only; no allocation for a text that is already there.
#[derive(Debug, Clone)]
pub(crate) struct Interner {
    text: String,
    ends: Vec<u32>,
    codes: HashTable<u32>,
    hasher: rapidhash::quality::RandomState,
}

impl Default for Interner {
    fn default() -> Self {
        Self { text: String::new(), ends: vec![0], codes: HashTable::new(), hasher: Default::default() }
    }
}

impl Interner {
    /// Forgets all texts but keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.ends.truncate(1);
        self.codes.clear();
    }

    pub(crate) fn intern(&mut self, text: &str) -> StrId {
        if text.is_empty() {
            return StrId::EMPTY;
        }
        let hash = self.hash(text);
        if let Some(&code) = self.codes.find(hash, |&code| self.text_of(code) == text) {
            return StrId(code);
        }
        let code = self.ends.len() as u32;
        self.text.push_str(text);
        self.ends.push(self.text.len() as u32);
        let Self { text: texts, ends, codes, hasher } = self;
        codes.insert_unique(hash, code, |&code| hash_of(hasher, slice(texts, ends, code)));
        StrId(code)
    }

    /// Forgets all texts but the first `len`, as if they had never been given a number.
    pub(crate) fn truncate(&mut self, len: usize) {
        for code in len.max(1)..self.ends.len() {
            let code = code as u32;
            if let Ok(entry) = self.codes.find_entry(self.hash(self.text_of(code)), |&other| other == code) {
                entry.remove();
            }
        }
        self.ends.truncate(len.max(1));
        self.text.truncate(self.ends.last().map_or(0, |&end| end as usize));
    }

    /// The number of a text that is already there.
    pub(crate) fn find(&self, text: &str) -> Option<StrId> {
        if text.is_empty() {
            return Some(StrId::EMPTY);
        }
        self.codes.find(self.hash(text), |&code| self.text_of(code) == text).map(|&code| StrId(code))
    }

    pub(crate) fn get(&self, id: StrId) -> &str {
        self.text_of(id.0)
    }

    /// How many texts there are, the empty one included.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * 4 + self.codes.capacity() * 5
    }

    fn text_of(&self, code: u32) -> &str {
        slice(&self.text, &self.ends, code)
    }

    fn hash(&self, text: &str) -> u64 {
        hash_of(&self.hasher, text)
    }
}

fn slice<'a>(text: &'a str, ends: &[u32], code: u32) -> &'a str {
    let code = code as usize;
    if code == 0 {
        return "";
    }
    &text[ends[code - 1] as usize..ends[code] as usize]
}

fn hash_of(state: &impl BuildHasher, text: &str) -> u64 {
    state.hash_one(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_get_equal_numbers() {
        let mut names = Interner::default();
        assert_eq!(names.intern(""), StrId::EMPTY);
        let cart = names.intern("cart");
        let users = names.intern("users");
        assert_ne!(cart, users);
        assert_eq!(names.intern("cart"), cart);
        assert_eq!(names.find("users"), Some(users));
        assert_eq!(names.find("nobody"), None);
        assert_eq!((names.get(StrId::EMPTY), names.get(cart), names.len()), ("", "cart", 3));
        names.clear();
        assert_eq!((names.find("cart"), names.len()), (None, 1));
    }

    #[test]
    fn forgotten_texts_get_their_numbers_anew() {
        let mut names = Interner::default();
        let ids: Vec<_> = (0..1000).map(|n| names.intern(&format!("name {n}"))).collect();
        names.truncate(11);
        assert_eq!((names.len(), names.find("name 9"), names.find("name 10")), (11, Some(ids[9]), None));
        assert_eq!(names.intern("name 999"), ids[10]);
        names.truncate(0);
        assert_eq!((names.len(), names.find("name 0"), names.get(StrId::EMPTY)), (1, None, ""));
    }

    #[test]
    fn many_texts_keep_their_numbers_while_the_table_grows() {
        let mut names = Interner::default();
        let ids: Vec<_> = (0..10_000).map(|n| names.intern(&format!("name {n}"))).collect();
        for (n, id) in ids.iter().enumerate() {
            assert_eq!(names.get(*id), format!("name {n}"));
        }
    }
}
