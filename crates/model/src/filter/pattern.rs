//! A text with `*` for any part of it, and whether another text is like it, in the same or in any case. No allocation.

/// A text to compare with, in which parts may stand open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// What stands between the open parts; never empty. One piece is the whole text.
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    written: String,
    /// In lower case, letter by letter.
    folded: String,
}

/// Whether case counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Counts,
    Any,
}

impl Pattern {
    /// Exactly this text; a `*` in it is one.
    pub fn literal(text: impl Into<String>) -> Self {
        Self { pieces: vec![Piece::new(text.into())] }
    }

    /// Texts that begin with the first piece, end with the last, and have the others in their order between: two pieces of
    /// which the second is empty are a prefix. No piece is the empty text.
    pub fn from_pieces(pieces: impl IntoIterator<Item = String>) -> Self {
        let mut pieces: Vec<Piece> = pieces.into_iter().map(Piece::new).collect();
        if pieces.is_empty() {
            pieces.push(Piece::new(String::new()));
        }
        // Two open parts in a row are one.
        let last = pieces.len() - 1;
        let mut at = 0;
        pieces.retain(|piece| {
            let keep = at == 0 || at == last || !piece.written.is_empty();
            at += 1;
            keep
        });
        Self { pieces }
    }

    /// The whole text, if nothing stands open.
    pub fn exact(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [piece] => Some(&piece.written),
            _ => None,
        }
    }

    /// [`Pattern::exact`] in lower case, letter by letter.
    pub fn exact_lower_case(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [piece] => Some(&piece.folded),
            _ => None,
        }
    }

    /// What stands between the open parts, as it was written.
    pub fn pieces(&self) -> impl ExactSizeIterator<Item = &str> {
        self.pieces.iter().map(|piece| piece.written.as_str())
    }

    /// Whether a text is like this, in the same case.
    pub fn matches(&self, text: &str) -> bool {
        self.matches_whole(text, Case::Counts)
    }

    /// Whether a text is like this, in any case.
    pub fn matches_any_case(&self, text: &str) -> bool {
        self.matches_whole(text, Case::Any)
    }

    /// Whether a part of a text is like this, in any case.
    pub fn is_in_any_case(&self, text: &str) -> bool {
        let mut rest = text;
        self.pieces.iter().all(|piece| match piece.find(rest, Case::Any) {
            Some(behind) => {
                rest = behind;
                true
            }
            None => false,
        })
    }

    /// Without open parts at its ends: how it is looked for within texts.
    pub(super) fn trimmed(mut self) -> Self {
        while self.pieces.len() > 1 && self.pieces[0].written.is_empty() {
            self.pieces.remove(0);
        }
        while self.pieces.len() > 1 && self.pieces[self.pieces.len() - 1].written.is_empty() {
            self.pieces.pop();
        }
        self
    }

    fn matches_whole(&self, text: &str, case: Case) -> bool {
        let Some((first, others)) = self.pieces.split_first() else { return false };
        let Some(mut rest) = first.strip_from(text, case) else { return false };
        let Some((last, middle)) = others.split_last() else { return rest.is_empty() };
        for piece in middle {
            match piece.find(rest, case) {
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        last.ends(rest, case)
    }
}

impl Piece {
    fn new(written: String) -> Self {
        let folded = written.chars().flat_map(char::to_lowercase).collect();
        Self { written, folded }
    }

    /// What is behind the first place where a text has the piece.
    fn find<'t>(&self, text: &'t str, case: Case) -> Option<&'t str> {
        if case == Case::Counts {
            return text.find(&self.written).map(|at| &text[at + self.written.len()..]);
        }
        let Some(first) = self.folded.as_bytes().first().copied() else { return Some(text) };
        if !first.is_ascii() {
            return text.char_indices().find_map(|(at, _)| self.strip_from(&text[at..], case));
        }
        let bytes = text.as_bytes();
        let mut from = 0;
        loop {
            let at = from + bytes[from..].iter().position(|byte| byte.to_ascii_lowercase() == first)?;
            if let Some(behind) = self.strip_from(&text[at..], case) {
                return Some(behind);
            }
            from = at + 1;
        }
    }

    /// What is behind the piece, if a text begins with it.
    fn strip_from<'t>(&self, text: &'t str, case: Case) -> Option<&'t str> {
        if case == Case::Counts {
            return text.strip_prefix(&self.written);
        }
        if self.folded.is_ascii() {
            let begin = text.as_bytes().get(..self.folded.len())?;
            let same =
                begin.iter().zip(self.folded.bytes()).all(|(found, wanted)| found.to_ascii_lowercase() == wanted);
            return same.then(|| &text[self.folded.len()..]);
        }
        let mut wanted = self.folded.chars();
        let mut found = text.chars();
        while !wanted.as_str().is_empty() {
            let c = found.next()?;
            if !c.to_lowercase().all(|c| wanted.next() == Some(c)) {
                return None;
            }
        }
        Some(found.as_str())
    }

    fn ends(&self, text: &str, case: Case) -> bool {
        if case == Case::Counts {
            return text.ends_with(&self.written);
        }
        if self.folded.is_empty() {
            return true;
        }
        text.char_indices().any(|(at, _)| self.strip_from(&text[at..], case) == Some(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::from_pieces(text.split('*').map(str::to_owned))
    }

    #[test]
    fn open_parts_are_any_text() {
        for (like, text, is) in [
            ("cart", "cart", true),
            ("cart", "carts", false),
            ("cart*", "carts", true),
            ("cart*", "cart", true),
            ("*art", "cart", true),
            ("*art", "carts", false),
            ("c*t", "ct", true),
            ("ab*ba", "aba", false),
            ("a*b*c", "a b b c", true),
            ("a*b*c", "a c b", false),
            ("**", "", true),
            ("*a*", "banana", true),
        ] {
            assert_eq!(pattern(like).matches(text), is, "{like} {text}");
            assert_eq!(pattern(like).matches_any_case(&text.to_uppercase()), is, "{like} {text}");
        }
        assert!(!pattern("cart").matches("Cart") && pattern("CART").matches_any_case("caRt"));
        assert_eq!(pattern("a***b"), pattern("a*b"));
        assert!(Pattern::literal("a*").matches("a*") && !Pattern::literal("a*").matches("ab"));
    }

    #[test]
    fn case_is_that_of_any_language() {
        assert!(pattern("größe").matches_any_case("GRÖßE"));
        assert!(pattern("*öß*").matches_any_case("GRÖßE") && pattern("*ße").matches_any_case("GRÖßE"));
        assert!(pattern("Ö").is_in_any_case("größe") && pattern("R*S").is_in_any_case("äres"));
        assert!(!pattern("ö").matches_any_case("öö"));
        // The lower case of this one letter is two.
        assert!(pattern("İ").matches_any_case("İ") && !pattern("i").matches_any_case("İ"));
    }
}
