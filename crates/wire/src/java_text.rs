//! Bytes to text as Java's UTF-8 reader has it, and names to lower case: what Zipkin does to every text it is sent.

use std::borrow::Cow;

/// The text of a body. What is not UTF-8 becomes U+FFFD, one for each part that Java's decoder takes for one fault: its
/// parts are Unicode's "maximal subparts", except that an encoded surrogate (three bytes) is one fault and not three.
pub(crate) fn decode_utf8(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(repair(bytes)),
    }
}

#[cold]
fn repair(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 16);
    let mut rest = bytes;
    while let Some(chunk) = rest.utf8_chunks().next() {
        text.push_str(chunk.valid());
        let fault = &rest[chunk.valid().len()..];
        let taken = match fault {
            [] => 0,
            [0xED, 0xA0..=0xBF, 0x80..=0xBF, ..] => 3,
            [0xED, 0xA0..=0xBF, ..] => 2,
            _ => chunk.invalid().len(),
        };
        if taken > 0 {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        rest = &fault[taken..];
    }
    text
}

/// A name in lower case, in `scratch` unless it is already. As Java's `toLowerCase(Locale.ROOT)`.
pub(crate) fn to_lower_case<'a>(name: &'a str, scratch: &'a mut String) -> &'a str {
    if name.is_ascii() {
        if !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return name;
        }
        scratch.clear();
        scratch.push_str(name);
        scratch.make_ascii_lowercase();
        return scratch;
    }
    if name.chars().all(|c| c.to_lowercase().eq([c])) {
        return name;
    }
    *scratch = name.to_lowercase();
    scratch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_become_replacement_characters_as_in_java() {
        let check = |bytes: &[u8], expect: &str| assert_eq!(decode_utf8(bytes), expect, "{bytes:x?}");
        check(b"plain \xc3\xa9", "plain é");
        check(b"a\xff\xfeb", "a\u{fffd}\u{fffd}b");
        check(b"\xe2\x82(", "\u{fffd}(");
        check(b"\xe0\x80(", "\u{fffd}\u{fffd}(");
        check(b"\xf0\x9f\x98(", "\u{fffd}(");
        check(b"\xf5\x80(", "\u{fffd}\u{fffd}(");
        check(b"\xed\xa0\x80(", "\u{fffd}(");
        check(b"\xed\xa0(", "\u{fffd}(");
        check(b"\xc0\xaf", "\u{fffd}\u{fffd}");
        check(b"cut \xe2\x82", "cut \u{fffd}");
    }

    #[test]
    fn names_are_lower_cased_beyond_ascii() {
        let mut scratch = String::new();
        let mut check = |name: &str, expect: &str| assert_eq!(to_lower_case(name, &mut scratch), expect);
        check("get /api", "get /api");
        check("GET /Api", "get /api");
        check("ÜNÏCODE ΣΑΣ", "ünïcode σας");
        check("İ", "i\u{307}");
        check("日本語", "日本語");
    }
}
