//! Texts on their way into the arena: gathered as bytes, found to be UTF-8 all at once.
//!
//! A span has a dozen short texts, and looking at each by itself costs more than copying it. Bytes that are no UTF-8 never get
//! into the arena: their span is dropped, and read again by whoever repairs texts.

use super::{SpanBatch, Text};

/// What is gathered for the span being filled.
#[derive(Debug, Default)]
pub(super) struct StagedTexts {
    bytes: Vec<u8>,
    /// Whether a text began in the middle of a character.
    torn: bool,
}

impl StagedTexts {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    #[inline]
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.torn = false;
    }
}

/// Copies gather nothing: what is gathered is of a span that is not there yet.
impl Clone for StagedTexts {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl SpanBatch {
    /// Takes a text of the span being filled that is not known to be UTF-8, and answers where it will lie.
    /// [`SpanBatch::settle_texts`] must have said yes before the span is committed; nobody may ask for the text before, and
    /// until then texts are taken in this way only.
    #[inline]
    pub fn stage_text(&mut self, text: &[u8]) -> Text {
        const CONTINUES: std::ops::Range<u8> = 0x80..0xC0;
        let Self { staged, text: arena, .. } = self;
        staged.torn |= text.first().is_some_and(|first| CONTINUES.contains(first));
        let start = (arena.len() + staged.bytes.len()) as u32;
        staged.bytes.extend_from_slice(text);
        Text { start, len: text.len() as u32 }
    }

    /// Puts the texts gathered by [`SpanBatch::stage_text`] where it said, if each of them is UTF-8. If not they are gone, and
    /// the span being filled is to be dropped ([`SpanBatch::discard_open`]).
    #[inline]
    pub fn settle_texts(&mut self) -> bool {
        let Self { staged, text: arena, .. } = self;
        // All together are UTF-8 and none begins inside a character: then none ends inside one either.
        let settled = !staged.torn && std::str::from_utf8(&staged.bytes).map(|texts| arena.push_str(texts)).is_ok();
        staged.clear();
        settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SpanRow;

    #[test]
    fn texts_lie_where_they_were_promised() {
        let mut batch = SpanBatch::new();
        batch.push_text("before");
        let texts = ["", "a", "\u{e9}t\u{e9}", "\u{1f600}"].map(|text| (text, batch.stage_text(text.as_bytes())));
        assert!(batch.settle_texts());
        assert!(texts.iter().all(|&(text, place)| batch.text(place) == text));
        let key = batch.intern("k");
        batch.tag_text(key, texts[2].1);
        batch.commit(SpanRow::default()).unwrap();
        assert_eq!(batch.span(0).tag("k"), Some(crate::ValueRef::Str("\u{e9}t\u{e9}")));
    }

    #[test]
    fn bytes_that_are_no_text_by_themselves_are_refused() {
        for texts in
            [&[&b"\xc3"[..], b"\xa9"][..], &[b"a", b"\xff"], &[b"\xe2\x82", b"\xac"], &[b"\xc3", b"\xa9", b"x"]]
        {
            let mut batch = SpanBatch::new();
            for text in texts {
                batch.stage_text(text);
            }
            assert!(!batch.settle_texts());
            batch.stage_text(b"b");
            assert!(batch.settle_texts() && batch.text == "b");
        }
    }
}
