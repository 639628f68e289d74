//! Which entries of a column are a text: compared as they are stored, without printing them.

use super::bytes::Malformed;
use super::column::{Column, NIBBLES, string_range};
use super::dictionary::TextTable;

impl Column {
    /// Says of each entry whether it is this text; nothing where none is. `code` is the text's number in the attribute's
    /// dictionary, `templates` are the attribute's.
    pub(crate) fn equal_to(
        &self,
        text: &str,
        code: Option<u32>,
        templates: &TextTable,
    ) -> Result<Option<Vec<bool>>, Malformed> {
        let equal: Vec<bool> = match self {
            Self::U32(codes) => {
                let Some(code) = code else { return Ok(None) };
                codes.iter().map(|&other| other == code).collect()
            }
            Self::Text { ends, text: all } => {
                let equal = |at: usize| {
                    let (from, to) = string_range(ends, at)?;
                    Ok(all.as_bytes().get(from..to) == Some(text.as_bytes()))
                };
                (0..ends.len()).map(equal).collect::<Result<_, Malformed>>()?
            }
            Self::Ids(ids) => {
                let Some(bytes) = id_bytes(text, ids.is_uuid) else { return Ok(None) };
                if bytes.len() != ids.bytes_each {
                    return Ok(None);
                }
                ids.bytes.chunks_exact(ids.bytes_each).map(|id| id == bytes).collect()
            }
            Self::Templates(texts) => match texts.equal_to(text, templates) {
                Some(equal) => equal,
                None => return Ok(None),
            },
            _ => return Err(Malformed("a column is not one of texts")),
        };
        Ok(equal.contains(&true).then_some(equal))
    }
}

/// The bytes that an id prints, if the text is one in the form in which columns of them print.
fn id_bytes(text: &str, is_uuid: bool) -> Option<Vec<u8>> {
    let mut digits = Vec::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        if is_uuid && matches!(at, 8 | 13 | 18 | 23) {
            if byte != b'-' {
                return None;
            }
            continue;
        }
        digits.push(NIBBLES[usize::from(byte)]);
    }
    let (pairs, rest) = digits.as_chunks();
    let whole = rest.is_empty() && digits.iter().all(|&digit| digit < 16);
    whole.then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::super::column::{put_ids, put_texts};
    use super::*;

    #[test]
    fn ids_are_found_by_their_texts() {
        let uuids = ["01234567-89ab-cdef-0123-456789abcdef", "ffffffff-ffff-ffff-ffff-ffffffffff00"];
        for ids in [["0123456789abcdef", "ffffffffffffffff"], ["0123456789abcdef01", "fffffffffffffffff0"], uuids] {
            let mut out = vec![];
            assert!(put_ids(&mut out, &[ids[0].len() as u32; 2], ids.concat().as_bytes()));
            let column = Column::read(&out, &TextTable::default()).unwrap();
            let equal = |text: &str| column.equal_to(text, None, &TextTable::default()).unwrap();
            assert_eq!((equal(ids[0]), equal(ids[1])), (Some(vec![true, false]), Some(vec![false, true])));
            let upper = ids[1].to_uppercase();
            let others =
                ["", "0", "0123456789abcdee", "0123456789abcdef012345", &ids[0][1..], &upper, "é123456789abcde"];
            assert_eq!(others.map(equal), [const { None }; 7]);
        }
    }

    #[test]
    fn texts_and_codes_are_found() {
        let mut out = vec![];
        put_texts(&mut out, &[1, 0, 1], b"ab");
        let texts = Column::read(&out, &TextTable::default()).unwrap();
        let equal = |text: &str| texts.equal_to(text, None, &TextTable::default()).unwrap();
        assert_eq!((equal(""), equal("c")), (Some(vec![false, true, false]), None));
        let codes = Column::U32(vec![3, 4]);
        assert_eq!(codes.equal_to("x", Some(4), &TextTable::default()), Ok(Some(vec![false, true])));
        assert_eq!(codes.equal_to("x", None, &TextTable::default()), Ok(None));
    }
}
