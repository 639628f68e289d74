//! What takes how much of a segment: for the benchmark, and for who wants to know why a directory is large.

use super::block_columns as columns;
use super::dictionary::Role;
use super::footer::HEADER_BYTES;
use super::{Segment, footer};
use std::collections::BTreeMap;

impl Segment {
    /// Bytes by kind of column, by section of the footer, and the rest.
    pub(crate) fn bytes_by_kind(&self) -> Vec<(String, u64)> {
        let mut by_kind: BTreeMap<String, u64> = BTreeMap::new();
        let mut add = |kind: String, bytes: u64| *by_kind.entry(kind).or_default() += bytes;
        for column in self.footer.blocks.iter().flat_map(|block| &block.columns) {
            add(self.kind_of(column.number), u64::from(column.stored_bytes));
        }
        for (tag, bytes) in &self.footer.section_bytes {
            add(format!("footer: {}", footer::section_name(*tag)), *bytes);
        }
        add("headers".to_owned(), 2 * HEADER_BYTES as u64);
        by_kind.into_iter().collect()
    }

    fn kind_of(&self, number: u32) -> String {
        if let Some(name) = columns::name(number) {
            return name.to_owned();
        }
        let dictionary = &self.footer.dictionary;
        let Some(attribute) = dictionary.attributes.get((number - columns::FIRST_ATTRIBUTE) as usize) else {
            return format!("column {number}");
        };
        let key = dictionary.text(attribute.key.key).unwrap_or_default();
        match attribute.key.role {
            Role::Tag => format!("tag {key}"),
            Role::AnnotationValue => "annotation texts".to_owned(),
            Role::AnnotationDetail => format!("annotation's {key}"),
        }
    }
}
