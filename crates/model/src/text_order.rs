//! The order in which Zipkin sorts tags and annotations: by UTF-16 code unit, as Java compares text.

use std::cmp::Ordering;

/// Compares two texts by their UTF-16 code units. It differs from Rust's order (by code point) in one thing only: characters
/// beyond U+FFFF come before U+E000 to U+FFFF.
pub fn compare_utf16(a: &str, b: &str) -> Ordering {
    match first_difference(a.as_bytes(), b.as_bytes()) {
        // Lead bytes of U+E000..=U+FFFF are 0xEE and 0xEF, those beyond U+FFFF are 0xF0 and up.
        Some((a, b)) if a >= 0xEE && b >= 0xEE && (a >= 0xF0) != (b >= 0xF0) => b.cmp(&a),
        Some((a, b)) => a.cmp(&b),
        None => a.len().cmp(&b.len()),
    }
}

/// The first two bytes that differ, of those that both have: eight at a time, keys often begin alike.
#[inline]
fn first_difference(mut a: &[u8], mut b: &[u8]) -> Option<(u8, u8)> {
    while let (Some((a_word, a_rest)), Some((b_word, b_rest))) = (a.split_first_chunk(), b.split_first_chunk()) {
        let (a_word, b_word) = (u64::from_be_bytes(*a_word), u64::from_be_bytes(*b_word));
        if a_word != b_word {
            let shift = 56 - ((a_word ^ b_word).leading_zeros() & !7);
            return Some(((a_word >> shift) as u8, (b_word >> shift) as u8));
        }
        (a, b) = (a_rest, b_rest);
    }
    a.iter().zip(b).find(|(a, b)| a != b).map(|(&a, &b)| (a, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_the_order_of_utf16_code_units(a in "[a\u{7ff}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}]{0,3}", b in "[a\u{7ff}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}]{0,3}") {
            prop_assert_eq!(compare_utf16(&a, &b), a.encode_utf16().cmp(b.encode_utf16()));
        }
    }
}
