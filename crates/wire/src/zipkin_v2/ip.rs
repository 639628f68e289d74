//! IP addresses in an endpoint: what Zipkin takes for one, in whichever field it stands, and how it prints them.

use std::io::Write;

/// An address as Zipkin understood it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ip<'a> {
    /// With its text, which Zipkin keeps as it came (`01.2.3.4`).
    V4([u8; 4], &'a str),
    V6([u8; 16]),
}

/// Reads an address of either family; `None` for anything else, which Zipkin drops without a word.
///
/// `::1.2.3.4` and `::ffff:1.2.3.4` are IPv4 addresses; the same bytes in hexadecimal (`::ffff:102:304`) stay IPv6.
pub(crate) fn parse_ip(text: &str) -> Option<Ip<'_>> {
    let plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' | b'.' | b':'));
    if !plain {
        return None;
    }
    let Some(colon) = text.rfind(':') else { return parse_v4(text).map(|bytes| Ip::V4(bytes, text)) };
    if !text.contains('.') {
        return parse_v6(text).map(Ip::V6);
    }
    let (before, v4) = text.split_at(colon + 1);
    let embedded = match before.as_bytes() {
        b"::" => true,
        [b':', b':', mark @ .., b':'] => mark.len() == 4 && mark.iter().all(|byte| matches!(byte, b'f' | b'F' | b'0')),
        _ => false,
    };
    if !embedded {
        return None;
    }
    parse_v4(v4).map(|bytes| Ip::V4(bytes, v4))
}

/// Four decimal numbers up to 255, leading zeros allowed.
fn parse_v4(text: &str) -> Option<[u8; 4]> {
    let mut words = text.split('.');
    let mut bytes = [0; 4];
    for byte in &mut bytes {
        let word = words.next()?;
        if word.len() > 3 || !word.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        *byte = word.parse().ok()?;
    }
    words.next().is_none().then_some(bytes)
}

/// Eight groups of hexadecimal digits, one run of them left out as `::`. A group may have any number of leading zeros.
fn parse_v6(text: &str) -> Option<[u8; 16]> {
    const GROUPS: usize = 8;
    let (before, behind) = match text.split_once("::") {
        Some((before, behind)) => (before, Some(behind)),
        None => (text, None),
    };
    let mut groups = [0u16; GROUPS];
    let mut filled = 0;
    let mut fill = |part: &str, groups: &mut [u16; GROUPS]| -> Option<usize> {
        if part.is_empty() {
            return Some(0);
        }
        let from = filled;
        for group in part.split(':') {
            *groups.get_mut(filled)? = u32::from_str_radix(group, 16).ok().and_then(|group| group.try_into().ok())?;
            filled += 1;
        }
        Some(filled - from)
    };
    let high = fill(before, &mut groups)?;
    match behind {
        None if high != GROUPS => return None,
        None => {}
        Some(behind) => {
            let low = fill(behind, &mut groups)?;
            if high + low >= GROUPS {
                return None;
            }
            groups[high..].rotate_right(GROUPS - high - low);
        }
    }
    let mut bytes = [0; 16];
    for (pair, group) in bytes.chunks_exact_mut(2).zip(groups) {
        pair.copy_from_slice(&group.to_be_bytes());
    }
    Some(bytes)
}

/// Prints four numbers.
pub(crate) fn write_v4(out: &mut Vec<u8>, [a, b, c, d]: [u8; 4]) {
    // Writing to memory does not fail.
    let _ = write!(out, "{a}.{b}.{c}.{d}");
}

/// Prints an IPv6 address as Zipkin does: the first longest run of zero groups becomes `::`, be it one group; but a run at
/// the end only where there is no other. Never with an IPv4 address in it.
pub(crate) fn write_v6(out: &mut Vec<u8>, bytes: [u8; 16]) {
    let mut groups = [0u16; 8];
    for (group, pair) in groups.iter_mut().zip(bytes.chunks_exact(2)) {
        *group = u16::from_be_bytes([pair[0], pair[1]]);
    }
    let (run, run_len) = zero_run(&groups);
    let mut at = 0;
    while at < groups.len() {
        if at == run {
            out.push(b':');
            at += run_len;
            if at == groups.len() {
                out.push(b':');
            }
            continue;
        }
        if at != 0 {
            out.push(b':');
        }
        let _ = write!(out, "{:x}", groups[at]);
        at += 1;
    }
}

/// The run of zero groups to leave out: where it begins (or behind the end) and how long it is.
fn zero_run(groups: &[u16; 8]) -> (usize, usize) {
    let (mut best, mut best_len) = (groups.len(), 0);
    let mut at = 0;
    while at < groups.len() {
        let len = groups[at..].iter().take_while(|&&group| group == 0).count();
        let at_end = at + len == groups.len();
        if len > best_len && (!at_end || best_len == 0) {
            (best, best_len) = (at, len);
        }
        at += len.max(1);
    }
    (best, best_len)
}
