//! The order in which Zipkin sorts tags and annotations: by UTF-16 code unit, as Java compares text.

use std::cmp::Ordering;

/// Compares two texts by their UTF-16 code units. It differs from Rust's order (by code point) in one thing only: characters
/// beyond U+FFFF come before U+E000 to U+FFFF.
pub fn compare_utf16(a: &str, b: &str) -> Ordering {
    let by_code_point = a.cmp(b);
    if by_code_point.is_eq() {
        return by_code_point;
    }
    // Lead bytes of U+E000..=U+FFFF are 0xEE and 0xEF, those beyond U+FFFF are 0xF0 and up.
    let differ = a.bytes().zip(b.bytes()).find(|(a, b)| a != b);
    match differ {
        Some((a, b)) if a >= 0xEE && b >= 0xEE && (a >= 0xF0) != (b >= 0xF0) => by_code_point.reverse(),
        _ => by_code_point,
    }
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
