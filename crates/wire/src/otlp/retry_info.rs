//! When a server wants to be asked again: `google.rpc.RetryInfo` among the details of a gRPC status.

use std::time::Duration;

use super::error::Result;
use crate::base64;
use crate::protobuf::{BYTES, Reader, VARINT, fields, key};

/// The end of the type's URL, whoever's it is.
const RETRY_INFO: &str = "google.rpc.RetryInfo";
/// Longer details are not read.
const DETAILS_BYTES_MAX: usize = 16 << 10;

/// What the trailer `grpc-status-details-bin` says of when to try again; `None` where it says nothing of it, or cannot be
/// read. OTLP's specification wants a client to wait so long, and to take `RESOURCE_EXHAUSTED` for final without it.
pub fn retry_delay(details: &str) -> Option<Duration> {
    if details.len() > DETAILS_BYTES_MAX {
        return None;
    }
    let mut status = Vec::new();
    base64::decode(details.trim(), &mut status)?;
    decode_status_retry_delay(&status).ok().flatten()
}

/// The same of a `google.rpc.Status` in protobuf.
fn decode_status_retry_delay(status: &[u8]) -> Result<Option<Duration>> {
    const DETAILS: u32 = key(3, BYTES);
    const TYPE_URL: u32 = key(1, BYTES);
    const VALUE: u32 = key(2, BYTES);
    let mut reader = Reader::new(status);
    while let Some(key) = reader.key()? {
        if key != DETAILS {
            reader.skip_unknown(key, fields(&[3]))?;
            continue;
        }
        let (mut is_retry_info, mut value) = (false, &[][..]);
        let mut any = reader.message()?;
        while let Some(key) = any.key()? {
            match key {
                TYPE_URL => is_retry_info = any.text()?.rsplit('/').next() == Some(RETRY_INFO),
                VALUE => value = any.bytes()?,
                _ => any.skip_unknown(key, fields(&[1, 2]))?,
            }
        }
        if is_retry_info {
            return decode_retry_info(value);
        }
    }
    Ok(None)
}

/// `None` for a delay that is negative, and for one that is not there.
fn decode_retry_info(retry_info: &[u8]) -> Result<Option<Duration>> {
    const DELAY: u32 = key(1, BYTES);
    const SECONDS: u32 = key(1, VARINT);
    const NANOS: u32 = key(2, VARINT);
    let mut delay = None;
    let mut reader = Reader::new(retry_info);
    while let Some(key) = reader.key()? {
        if key != DELAY {
            reader.skip_unknown(key, fields(&[1]))?;
            continue;
        }
        let (mut seconds, mut nanos) = (0, 0);
        let mut duration = reader.message()?;
        while let Some(key) = duration.key()? {
            match key {
                SECONDS => seconds = duration.varint()? as i64,
                NANOS => nanos = duration.varint()? as i64,
                _ => duration.skip_unknown(key, fields(&[1, 2]))?,
            }
        }
        let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
        delay = u64::try_from(seconds).ok().zip(nanos).map(|(seconds, nanos)| Duration::new(seconds, nanos));
    }
    Ok(delay)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::{push_message, push_text_field, push_varint_field};

    fn details(type_url: &str, seconds: i64, nanos: i64) -> Vec<u8> {
        let mut status = Vec::new();
        push_varint_field(&mut status, 1, 14);
        push_text_field(&mut status, 2, "later");
        push_message(&mut status, 3, 0, |any| {
            push_text_field(any, 1, "type.googleapis.com/google.rpc.DebugInfo");
            push_text_field(any, 2, "\x0a\x01x");
        });
        push_message(&mut status, 3, 0, |any| {
            push_text_field(any, 1, type_url);
            push_message(any, 2, 0, |value| {
                push_message(value, 1, 0, |duration| {
                    push_varint_field(duration, 1, seconds as u64);
                    push_varint_field(duration, 2, nanos as u64);
                });
            });
        });
        status
    }

    fn delay(status: &[u8]) -> Option<Duration> {
        let padded = base64::display(status).to_string();
        let delay = retry_delay(&padded);
        assert_eq!(retry_delay(padded.trim_end_matches('=')), delay, "gRPC leaves the padding out");
        delay
    }

    #[test]
    fn a_delay_is_found_among_the_details() {
        const URL: &str = "type.googleapis.com/google.rpc.RetryInfo";
        assert_eq!(delay(&details(URL, 2, 500_000_000)), Some(Duration::from_millis(2_500)));
        assert_eq!(delay(&details(URL, 0, 0)), Some(Duration::ZERO));
        assert_eq!(delay(&details(URL, -1, 0)), None);
        assert_eq!(delay(&details(URL, 1, -5)), None);
        assert_eq!(delay(&details("type.googleapis.com/google.rpc.QuotaFailure", 2, 0)), None);
        assert_eq!(delay(&[]), None);
        // RESOURCE_EXHAUSTED, "slow down", three seconds; put together byte by byte from the messages' definitions.
        let by_hand = "CAgSCXNsb3cgZG93bhowCih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuUmV0cnlJbmZvEgQKAggD";
        assert_eq!(retry_delay(by_hand), Some(Duration::from_secs(3)));
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        let whole = details("x/google.rpc.RetryInfo", 9, 1);
        for end in 0..whole.len() {
            assert_eq!(delay(&whole[..end]), None, "{end}");
        }
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 0xff;
            delay(&broken);
        }
        for text in ["", "=", "no base64!", "AAAA", &"A".repeat(DETAILS_BYTES_MAX + 1)] {
            assert_eq!(retry_delay(text), None);
        }
    }
}
