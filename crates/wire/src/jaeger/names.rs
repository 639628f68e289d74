//! Names that spans repeat: keys of tags and fields, operations. Interning one that was seen before costs a comparison.

use super::fill::lossy;
use std::borrow::Cow;
use tracewell_model::{SpanBatch, StrId};

/// What a tag's key is to us: see `docs/mapping.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Plain,
    Kind,
    Error,
    StatusCode,
    StatusDescription,
    TraceState,
    ScopeName,
    ScopeVersion,
    PeerService,
    PeerIpv4,
    PeerIpv6,
    PeerPort,
}

impl Meaning {
    fn of(key: &str) -> Self {
        match key {
            "span.kind" => Self::Kind,
            "error" => Self::Error,
            "otel.status_code" => Self::StatusCode,
            "otel.status_description" => Self::StatusDescription,
            "w3c.tracestate" => Self::TraceState,
            "otel.scope.name" | "otel.library.name" => Self::ScopeName,
            "otel.scope.version" | "otel.library.version" => Self::ScopeVersion,
            "peer.service" => Self::PeerService,
            "peer.ipv4" => Self::PeerIpv4,
            "peer.ipv6" => Self::PeerIpv6,
            "peer.port" => Self::PeerPort,
            _ => Self::Plain,
        }
    }
}

const SLOTS: usize = 128;

/// Names of a body that were interned before, by a slot that their bytes choose.
pub(super) struct SeenNames<'a> {
    slots: [(&'a [u8], StrId, Meaning); SLOTS],
}

impl<'a> SeenNames<'a> {
    pub(super) fn new() -> Self {
        Self { slots: [(&[], StrId::EMPTY, Meaning::Plain); SLOTS] }
    }

    /// Interns a name. What is not UTF-8 in it becomes U+FFFD, and then it means nothing.
    #[inline]
    pub(super) fn intern(&mut self, name: &'a [u8], batch: &mut SpanBatch) -> (StrId, Meaning) {
        let slot = &mut self.slots[slot_of(name)];
        if slot.0 != name {
            *slot = match lossy(name) {
                Cow::Borrowed(text) => (name, batch.intern(text), Meaning::of(text)),
                Cow::Owned(text) => (name, batch.intern(&text), Meaning::Plain),
            };
        }
        (slot.1, slot.2)
    }
}

/// Names begin alike (`http.`) or end alike (`.name`): both ends count.
#[inline]
fn slot_of(name: &[u8]) -> usize {
    let ends = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(first), Some(last)) => u64::from_le_bytes(*first).rotate_left(23) ^ u64::from_le_bytes(*last),
        _ => name.iter().fold(0, |ends, &byte| ends << 8 | u64::from(byte)),
    };
    ((ends ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_numbers_whatever_slot_they_share() {
        let mut batch = SpanBatch::new();
        let names: Vec<String> = (0..1000).map(|n| format!("{}{n}", "x".repeat(n % 13))).collect();
        let mut seen = SeenNames::new();
        for name in names.iter().chain(&names) {
            let (id, meaning) = seen.intern(name.as_bytes(), &mut batch);
            assert_eq!((batch.interned(id), meaning), (name.as_str(), Meaning::Plain));
        }
        assert_eq!(seen.intern(b"", &mut batch).0, StrId::EMPTY);
        assert_eq!(seen.intern(b"span.kind", &mut batch).1, Meaning::Kind);
        let (id, _) = seen.intern(b"a\xff", &mut batch);
        assert_eq!(batch.interned(id), "a\u{fffd}");
    }
}
