//! W3C `tracestate`: a list that is passed on; checked so that nothing broken is.

use super::{HeaderGetter, TRACE_STATE_BYTES_MAX, traceparent::trim_blanks};

/// Members of one trace state (the W3C's limit).
const MEMBERS_MAX: usize = 32;

/// The members of all headers of that name, joined by commas without blanks; `None` where there is none. `Err`: a
/// member is broken, there are too many, or a key comes twice; then the whole list is to be dropped.
pub(super) fn read<H: HeaderGetter + ?Sized>(headers: &H, name: &str) -> Result<Option<String>, ()> {
    let (Some(first), several) = headers.get(name) else { return Ok(None) };
    let mut members = Members { text: String::new(), count: 0, bytes: 0 };
    if !several {
        members.add(first)?;
    } else {
        let mut outcome = Ok(());
        headers.for_each(&mut |key, value| {
            if key.eq_ignore_ascii_case(name) && outcome.is_ok() {
                outcome = members.add(value);
            }
        });
        outcome?;
    }
    Ok(Some(members.text).filter(|text| !text.is_empty()))
}

struct Members {
    text: String,
    count: usize,
    bytes: usize,
}

impl Members {
    fn add(&mut self, header: &[u8]) -> Result<(), ()> {
        self.bytes += header.len() + usize::from(self.bytes > 0);
        if self.bytes > TRACE_STATE_BYTES_MAX {
            return Err(());
        }
        self.text.reserve(header.len() + 1);
        for member in header.split(|&byte| byte == b',').map(trim_blanks).filter(|member| !member.is_empty()) {
            let (key, value) = key_and_value(member).ok_or(())?;
            let repeated = self.text.split(',').any(|other| other.split('=').next() == Some(key));
            self.count += 1;
            if repeated || self.count > MEMBERS_MAX {
                return Err(());
            }
            for part in [if self.text.is_empty() { "" } else { "," }, key, "=", value] {
                self.text.push_str(part);
            }
        }
        Ok(())
    }
}

fn key_and_value(member: &[u8]) -> Option<(&str, &str)> {
    let (key, value) = std::str::from_utf8(member).ok()?.split_once('=')?;
    let value_fits = (1..=256).contains(&value.len()) && value.bytes().all(|b| matches!(b, 0x20..=0x7e) && b != b'=');
    (is_key(key.as_bytes()) && value_fits && !value.ends_with(' ')).then_some((key, value))
}

/// `key`, or `tenant@system`.
fn is_key(key: &[u8]) -> bool {
    let all = |text: &[u8]| text.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/'));
    let letter_first = |text: &[u8]| text.first().is_some_and(u8::is_ascii_lowercase);
    match key.iter().position(|&byte| byte == b'@') {
        None => letter_first(key) && key.len() <= 256 && all(key),
        Some(at) => {
            let (tenant, system) = (&key[..at], &key[at + 1..]);
            let first = tenant.first().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            first && tenant.len() <= 241 && all(tenant) && letter_first(system) && system.len() <= 14 && all(system)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(headers: &[(&str, &str)]) -> Result<Option<String>, ()> {
        read(headers, "tracestate")
    }

    #[test]
    fn joins_headers_and_leaves_out_blanks() {
        assert_eq!(
            state(&[("tracestate", "a=1 , b=2,,"), ("Tracestate", "t@v=x y")]),
            Ok(Some("a=1,b=2,t@v=x y".into()))
        );
        assert_eq!(state(&[("tracestate", " ,")]), Ok(None));
        assert_eq!(state(&[]), Ok(None));
    }

    #[test]
    fn drops_a_list_with_a_broken_member() {
        for text in ["a", "a=", "A=1", "=1", "a=1,a=2", "a=b=c", "1a=1", "a@=1", "@v=1", "a=\u{e9}", "a b=1"] {
            assert_eq!(state(&[("tracestate", text)]), Err(()), "{text}");
        }
        let long_key = "k".repeat(257);
        assert_eq!(state(&[("tracestate", &format!("{long_key}=v"))]), Err(()));
        assert_eq!(state(&[("tracestate", &format!("k={}", "v".repeat(257)))]), Err(()));
        let many: Vec<String> = (0..33).map(|index| format!("k{index}=v")).collect();
        assert_eq!(state(&[("tracestate", &many.join(","))]), Err(()));
        assert!(state(&[("tracestate", &many[..32].join(","))]).is_ok_and(|state| state.is_some()));
    }
}
