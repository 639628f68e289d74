//! Bytes as text in JSON: base64 with padding on the way out; with or without, and in either alphabet, on the way in.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The digits of bytes, padded to a multiple of four.
pub(crate) fn digits(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.chunks(3).flat_map(|group| {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digit = |at: usize| if at <= group.len() { DIGITS[(bits >> (18 - 6 * at) & 63) as usize] } else { b'=' };
        [digit(0), digit(1), digit(2), digit(3)]
    })
}

/// Appends the bytes of a text; `None` where it is none, and then a part may have been appended.
pub(crate) fn decode(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let digits = text.trim_end_matches('=').as_bytes();
    if text.len() - digits.len() > 2 || digits.len() % 4 == 1 {
        return None;
    }
    for group in digits.chunks(4) {
        let mut bits = 0;
        for &digit in group {
            bits = bits << 6 | value(digit)?;
        }
        bits <<= 6 * (4 - group.len());
        let [_, bytes @ ..] = bits.to_be_bytes();
        out.extend_from_slice(&bytes[..group.len() - 1]);
    }
    Some(())
}

fn value(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        for len in 0..50u8 {
            let bytes: Vec<u8> = (0..len).map(|at| at.wrapping_mul(89)).collect();
            let text = String::from_utf8(digits(&bytes).collect()).expect("text");
            for text in [&text, text.trim_end_matches('='), &text.replace('+', "-").replace('/', "_")] {
                let mut out = vec![];
                assert_eq!(decode(text, &mut out), Some(()));
                assert_eq!(out, bytes);
            }
        }
        for text in ["A", "A===", "AA=A", "A!==", "é"] {
            assert_eq!(decode(text, &mut vec![]), None, "{text}");
        }
    }
}
