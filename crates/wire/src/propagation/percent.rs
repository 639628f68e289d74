//! URL-encoding of header values, as Jaeger's clients and W3C Baggage use it.

use std::borrow::Cow;

use super::digits::nibble;

/// Decodes `%41`; a `%` that no two hexadecimal digits follow stays, and bytes that are not UTF-8 become U+FFFD, as
/// Python's `urllib.parse.unquote` does it. Borrows where there is nothing to decode.
pub(super) fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let pair = if *first == b'%' { tail.first_chunk::<2>() } else { None };
        match pair.and_then(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)) {
            Some(byte) => {
                decoded.push(byte);
                rest = &tail[2..];
            }
            None => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    Cow::Owned(decoded)
}

/// Decoded and owned.
pub(super) fn decode_to_string(text: &[u8]) -> Box<str> {
    String::from_utf8_lossy(&decode(text)).into()
}

/// Appends a text, with every byte encoded except letters, digits, `-`, `_`, `.`, `~` and those in `also_kept`.
pub(super) fn encode_into(text: &str, also_kept: &[u8], encoded: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || also_kept.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for digit in [byte >> 4, byte & 0xf] {
                encoded.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_what_is_not_an_escape() {
        assert_eq!(&*decode(b"100%"), b"100%");
        assert_eq!(&*decode(b"%4"), b"%4");
        assert_eq!(&*decode(b"%zz%41+"), b"%zzA+");
        assert_eq!(&*decode_to_string(b"%ff"), "\u{fffd}");
        assert!(matches!(decode(b"plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn encodes_utf_8_byte_by_byte() {
        let mut encoded = String::new();
        encode_into("v w/é~", b"/", &mut encoded);
        assert_eq!(encoded, "v%20w/%C3%A9~");
    }
}
