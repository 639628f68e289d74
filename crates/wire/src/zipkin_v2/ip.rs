//! IP addresses in an endpoint: what Zipkin takes for one, in whichever field it stands, and how it prints them.

use super::encode::{HEX, push_number};

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

/// Four decimal numbers up to 255 of at most three digits, leading zeros allowed.
fn parse_v4(text: &str) -> Option<[u8; 4]> {
    let mut bytes = [0; 4];
    let (mut word, mut digits, mut at) = (0u16, 0, 0);
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' if digits < 3 => {
                word = word * 10 + u16::from(byte - b'0');
                digits += 1;
            }
            b'.' if digits > 0 && at < 3 => {
                bytes[at] = u8::try_from(word).ok()?;
                (word, digits) = (0, 0);
                at += 1;
            }
            _ => return None,
        }
    }
    bytes[at] = u8::try_from(word).ok()?;
    (at == 3 && digits > 0).then_some(bytes)
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
pub(crate) fn write_v4(out: &mut Vec<u8>, bytes: [u8; 4]) {
    for (at, byte) in bytes.into_iter().enumerate() {
        if at > 0 {
            out.push(b'.');
        }
        push_number(out, byte.into());
    }
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
        let digits_after_first = (15 - (groups[at] | 1).leading_zeros()) / 4;
        for digit in (0..=digits_after_first).rev() {
            out.push(HEX[usize::from(groups[at] >> (4 * digit) & 15)]);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(ip: Ip<'_>) -> String {
        let mut out = vec![];
        match ip {
            Ip::V4(bytes, _) => write_v4(&mut out, bytes),
            Ip::V6(bytes) => write_v6(&mut out, bytes),
        }
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn addresses_are_printed_as_zipkin_prints_them() {
        for (text, expect) in [
            ("192.168.99.101", "192.168.99.101"),
            ("001.02.3.255", "1.2.3.255"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("::1.2.3.4", "1.2.3.4"),
            ("::ffff:102:304", "::ffff:102:304"),
            ("2001:DB8:0:0:0:0:0:C001", "2001:db8::c001"),
            ("::", "::"),
            ("0:0:0:0:0:0:0:1", "::1"),
            ("1:0:0:0:0:0:0:0", "1::"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            ("1:0:2:0:0:0:0:0", "1::2:0:0:0:0:0"),
            ("10:200:3000:0004:5:6:7::", "10:200:3000:4:5:6:7::"),
        ] {
            assert_eq!(parse_ip(text).map(printed).as_deref(), Some(expect), "{text}");
        }
        assert_eq!(parse_ip("::f0f0:01.2.3.4"), Some(Ip::V4([1, 2, 3, 4], "01.2.3.4")));
    }

    #[test]
    fn anything_else_is_no_address() {
        for text in [
            "",
            "localhost",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "1.2.3.0004",
            "1..2.3",
            "1.2.3.4 ",
            "1:2:3:4:5:6:7",
            ":::",
            "1::2::3",
            "1:2:3:4:5:6:7:8:9",
            "10000::",
            "fe80::1%eth0",
            "1::1.2.3.4",
            "::fff:1.2.3.4",
            ".1.2.3",
            "1.2.3.",
        ] {
            assert_eq!(parse_ip(text), None, "{text}");
        }
    }
}
