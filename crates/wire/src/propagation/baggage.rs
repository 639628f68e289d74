//! W3C Baggage: `key=value;properties`, separated by commas, URL-encoded.
//!
//! Keys that are no tokens are URL-encoded, too, as OpenTelemetry's libraries do it. A `+` stands for itself.

use super::percent::{decode_to_string, encode_into};
use super::traceparent::trim_blanks;
use super::{BAGGAGE_BYTES_MAX, BaggageItem, HeaderGetter, HeaderSetter, Problem, Problems, TraceContext};

pub(super) const BAGGAGE: &str = "baggage";
/// What a header may carry in a value unencoded, beside letters, digits and `-_.~`, for what follows it to be told apart.
const VALUE_KEPT: &[u8] = b"!#$&'()*+/:<=>?@[]^`{|}";
/// What a token may have, beside the same; `%` is encoded because keys are decoded.
const KEY_KEPT: &[u8] = b"!#$&'*+^`|";

pub(super) fn read<H: HeaderGetter + ?Sized>(headers: &H, context: &mut TraceContext, problems: &mut Problems) {
    if headers.get(BAGGAGE).0.is_none() {
        return;
    }
    let mut bytes = 0;
    headers.for_each(&mut |name, value| {
        if !name.eq_ignore_ascii_case(BAGGAGE) {
            return;
        }
        bytes += value.len();
        if bytes > BAGGAGE_BYTES_MAX {
            problems.add(Problem::BaggageTooLarge);
            return;
        }
        for member in value.split(|&byte| byte == b',').map(trim_blanks).filter(|member| !member.is_empty()) {
            match read_item(member).map(|item| context.put_baggage(item)) {
                Some(true) => {}
                Some(false) => problems.add(Problem::BaggageTooLarge),
                None => problems.add(Problem::BaggageItem),
            }
        }
    });
}

fn read_item(member: &[u8]) -> Option<BaggageItem> {
    let (pair, properties) = split_once(member, b';').unwrap_or((member, b""));
    let (key, value) = split_once(pair, b'=')?;
    let (key, value, properties) = (trim_blanks(key), trim_blanks(value), trim_blanks(properties));
    let value_fits = value.iter().all(|&byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
    let properties_fit = properties.iter().all(|&byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t'));
    (is_token(key) && value_fits && properties_fit).then(|| BaggageItem {
        key: decode_to_string(key),
        value: decode_to_string(value),
        properties: String::from_utf8_lossy(properties).into(),
    })
}

fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| byte == separator)?;
    Some((&text[..at], &text[at + 1..]))
}

fn is_token(text: &[u8]) -> bool {
    let fits = |byte: &u8| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(byte);
    !text.is_empty() && text.iter().all(fits)
}

pub(super) fn write<H: HeaderSetter + ?Sized>(context: &TraceContext, headers: &mut H) {
    let mut text = String::new();
    for item in context.baggage().iter().filter(|item| !item.key.is_empty()) {
        let before = text.len();
        if before > 0 {
            text.push(',');
        }
        encode_into(&item.key, KEY_KEPT, &mut text);
        text.push('=');
        encode_into(&item.value, VALUE_KEPT, &mut text);
        if !item.properties.is_empty() {
            text.push(';');
            text.push_str(&item.properties);
        }
        if text.len() > BAGGAGE_BYTES_MAX {
            text.truncate(before);
        }
    }
    if !text.is_empty() {
        headers.set(BAGGAGE, &text);
    }
}
