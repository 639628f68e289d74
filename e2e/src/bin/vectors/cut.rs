//! Bodies that end too early: an error, and never a part of their spans.
//!
//! JSON and Thrift say where they end, so every shorter piece is to be refused. Protobuf's outermost message does not: it may
//! end behind any of its fields, and a body cut there is a message of its own, with the fields before. Cut anywhere else it
//! is to be refused as well.

use std::collections::BTreeSet;

use tracewell_model::SpanBatch;

/// Longer bodies are cut at some places only, so that a folder takes seconds; near their ends everywhere.
const CUT_EVERYWHERE_BYTES: usize = 4096;
const END_BYTES: usize = 300;

/// How a reader knows that a body is at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The format says so.
    Said,
    /// The format says so, and no body at all is no spans: Zipkin answers that with 202.
    SaidOrEmpty,
    /// There is no more.
    NoMore,
}

/// What is wrong with what became of a body cut short, if something is. `decode` appends to the batch.
pub(crate) fn check_cuts<E: std::fmt::Display>(
    body: &[u8],
    ending: Ending,
    decode: impl Fn(&[u8], &mut SpanBatch) -> Result<usize, E>,
) -> Option<String> {
    let mut whole = SpanBatch::new();
    if let Err(error) = decode(body, &mut whole) {
        return Some(format!("refused as a whole: {error}"));
    }
    let borders = match ending {
        Ending::Said => BTreeSet::new(),
        Ending::SaidOrEmpty => BTreeSet::from([0]),
        Ending::NoMore => field_borders(body),
    };
    // White space behind JSON may be missing.
    let is_json = body.starts_with(b"[") || body.starts_with(b"{");
    let len = if is_json { body.trim_ascii_end().len() } else { body.len() };
    let step = 1 + body.len() / CUT_EVERYWHERE_BYTES * 7;
    // There are spans already: they stay whatever follows.
    let mut batch = whole.clone();
    (0..len).filter(|at| at % step == 0 || at + END_BYTES > len || borders.contains(at)).find_map(|at| {
        let before = (batch.len(), batch.interned_len(), batch.endpoints_len());
        let wrong = match decode(&body[..at], &mut batch) {
            Err(_) if borders.contains(&at) => Some("refused, though it is a message"),
            Err(_) if before == (batch.len(), batch.interned_len(), batch.endpoints_len()) => None,
            Err(_) => Some("refused, but something of it was kept"),
            Ok(_) if !borders.contains(&at) => Some("taken"),
            Ok(spans) if before.0 + spans != batch.len() => Some("taken, with a wrong number of spans"),
            Ok(_) => {
                let same = (before.0..batch.len()).zip(whole.spans()).all(|(row, span)| batch.span(row).same(span));
                batch = whole.clone();
                (!same).then_some("taken, with other spans")
            }
        };
        wrong.map(|wrong| format!("cut to {at} bytes: {wrong}"))
    })
}

/// Where the fields of a protobuf message begin. All that senders of spans put there have a length.
fn field_borders(message: &[u8]) -> BTreeSet<usize> {
    let mut borders = BTreeSet::new();
    let mut at = 0;
    while at < message.len() {
        borders.insert(at);
        let (Some(_key), Some(len)) = (varint(message, &mut at), varint(message, &mut at)) else { break };
        at += len;
    }
    borders
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_lie_between_fields() {
        assert_eq!(field_borders(b"\x0a\x02ab\x0a\x00\x0a\x01c"), BTreeSet::from([0, 4, 6]));
    }

    #[test]
    fn a_decoder_that_takes_too_little_is_told() {
        let body = br#"[{"traceId":"1","id":"2"}]"#;
        let decode = |body: &[u8], batch: &mut SpanBatch| {
            tracewell_wire::zipkin_v2::decode_json(body, &tracewell_wire::Limits::default(), batch)
        };
        assert_eq!(check_cuts(body, Ending::SaidOrEmpty, decode), None);
        let forgiving = |body: &[u8], batch: &mut SpanBatch| decode(body, batch).or(Ok::<_, String>(0));
        assert_eq!(check_cuts(body, Ending::Said, forgiving), Some("cut to 0 bytes: taken".to_owned()));
    }
}
