//! Bytes as text in JSON: base64 with padding on the way out; with or without, and in either alphabet, on the way in.

use ::base64::Engine as _;
use ::base64::alphabet::{STANDARD, URL_SAFE};
use ::base64::display::Base64Display;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const TOLERANT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const ENGINE: GeneralPurpose = GeneralPurpose::new(&STANDARD, TOLERANT);
const URL_ENGINE: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, TOLERANT);

/// The text of bytes, padded to a multiple of four.
pub(crate) fn display(bytes: &[u8]) -> Base64Display<'_, '_, GeneralPurpose> {
    Base64Display::new(bytes, &ENGINE)
}

/// Appends the bytes of a text; `None` where it is none, and then a part may have been appended.
pub(crate) fn decode(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let engine = if text.contains(['-', '_']) { URL_ENGINE } else { ENGINE };
    engine.decode_vec(text, out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        for len in 0..50u8 {
            let bytes: Vec<u8> = (0..len).map(|at| at.wrapping_mul(89)).collect();
            let text = display(&bytes).to_string();
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
