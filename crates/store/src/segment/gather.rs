//! The values of a block, row by row, become columns, one an attribute: counted first, so that each lies in one piece.

use super::dictionary_builder::DictionaryBuilder;
use super::rows::{Row, Rows};

/// Values by attribute.
#[derive(Default)]
pub(super) struct Values {
    /// The attributes that the block has values of, ascending.
    pub(super) used: Vec<u32>,
    words: Vec<u64>,
    /// The row of each.
    rows: Vec<u32>,
    /// By attribute: where its values begin, and while they are gathered where the next one goes; at last where they end.
    places: Vec<(u32, u32)>,
    /// How many rows and annotations have each shape.
    shapes: Vec<u32>,
}

impl Values {
    /// The words of an attribute's values in the order of rows, and the row of each.
    pub(super) fn of(&self, attribute: u32) -> (&[u64], &[u32]) {
        let (from, to) = self.places[attribute as usize];
        let range = from as usize..to as usize;
        (&self.words[range.clone()], &self.rows[range])
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.words.capacity() * 8 + self.rows.capacity() * 4
    }

    pub(super) fn gather(&mut self, block: &[Row], all: &Rows, dictionary: &DictionaryBuilder) {
        self.count(block, all, dictionary);
        let Self { words, rows, places, .. } = self;
        let mut put = |attribute: u32, row: u32, word: u64| {
            let (_, next) = &mut places[attribute as usize];
            words[*next as usize] = word;
            rows[*next as usize] = row;
            *next += 1;
        };
        for (at_row, row) in (0u32..).zip(block) {
            let shape = dictionary.shapes.get(row.shape);
            let of_row = &all.values[row.values as usize..][..shape.len()];
            shape.iter().zip(of_row).for_each(|(&attribute, &word)| put(attribute, at_row, word));
            let (first, len) = (row.annotations.0 as usize, row.annotations.1 as usize);
            let Some(text) = all.annotation_text.filter(|_| len > 0) else { continue };
            for annotation in &all.annotations[first..first + len] {
                put(text, at_row, annotation.word);
                let shape = dictionary.shapes.get(annotation.shape);
                let details = &all.annotation_values[annotation.values as usize..][..shape.len()];
                shape.iter().zip(details).for_each(|(&attribute, &word)| put(attribute, at_row, word));
            }
        }
    }

    /// Says where the values of each attribute will lie.
    fn count(&mut self, block: &[Row], all: &Rows, dictionary: &DictionaryBuilder) {
        let Self { used, words, rows, places, shapes } = self;
        shapes.clear();
        shapes.resize(dictionary.shapes.len(), 0);
        places.clear();
        places.resize(dictionary.values.len(), (0, 0));
        let mut annotations = 0;
        for row in block {
            shapes[row.shape as usize] += 1;
            let (first, len) = (row.annotations.0 as usize, row.annotations.1 as usize);
            annotations += len as u32;
            all.annotations[first..first + len].iter().for_each(|annotation| shapes[annotation.shape as usize] += 1);
        }
        if let Some(text) = all.annotation_text {
            places[text as usize].1 += annotations;
        }
        for (shape, &count) in (0u32..).zip(shapes.iter()).filter(|(_, count)| **count > 0) {
            dictionary.shapes.get(shape).iter().for_each(|&attribute| places[attribute as usize].1 += count);
        }
        used.clear();
        let mut next = 0;
        for (attribute, place) in (0u32..).zip(places.iter_mut()) {
            if place.1 > 0 {
                used.push(attribute);
            }
            let count = std::mem::replace(place, (next, next)).1;
            next += count;
        }
        words.clear();
        words.resize(next as usize, 0);
        rows.clear();
        rows.resize(next as usize, 0);
    }
}
