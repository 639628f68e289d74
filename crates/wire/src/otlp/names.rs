//! Names that have a meaning of their own among attributes, and which cost nothing to recognise where a body repeats them.

use crate::protobuf::lossy;
use std::borrow::Cow;
use tracewell_model::{SpanBatch, StrId};

/// The resource attribute that names who recorded a span.
pub const SERVICE_NAME: &str = "service.name";
/// The service of spans whose resource names none, as Jaeger 1.76 has it.
pub const MISSING_SERVICE_NAME: &str = "missing-service-name";
/// The service of spans whose resource has an empty name for it, as Jaeger 1.76 has it.
pub const EMPTY_SERVICE_NAME: &str = "empty-service-name";
/// The service of spans whose resource names it by something else than a text, as Jaeger 1.76 has it.
pub const WRONG_TYPE_SERVICE_NAME: &str = "service-name-wrong-type";
/// The last detail of an annotation whose sender dropped some: how many, as [`tracewell_model::ValueRef::I64`].
pub const DROPPED_ATTRIBUTES: &str = "otel.dropped_attributes_count";
/// The span attribute that holds Jaeger's warnings: a list of texts.
pub const JAEGER_WARNINGS: &str = "@jaeger@warnings";
/// The link attribute by which Jaeger tells its two kinds of references apart.
pub(super) const REF_TYPE: &str = "opentracing.ref_type";
pub(super) const CHILD_OF: &str = "child_of";
/// What Jaeger's Zipkin intake says of a span that came without a start.
pub(super) const ABSENT_START: &str = "otel.zipkin.absentField.startTime";

/// What a key of an attribute is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Plain,
    ServiceName,
    Warnings,
    /// Says something of the other side: see [`super::peer`].
    Peer {
        /// Whatever kind the span is of; otherwise for callers only.
        of_every_kind: bool,
    },
}

impl Meaning {
    pub(super) fn of(key: &str) -> Self {
        match key {
            SERVICE_NAME => Self::ServiceName,
            JAEGER_WARNINGS => Self::Warnings,
            key => match super::peer::rank(key) {
                Some(rank) => Self::Peer { of_every_kind: rank < super::peer::FOR_EVERY_KIND },
                None => Self::Plain,
            },
        }
    }
}

const SLOTS: usize = 256;

/// Names of a body that were interned before: a body's spans repeat them, and comparing is cheaper than hashing.
pub(super) struct SeenNames<'a> {
    slots: [(&'a [u8], StrId, Meaning); SLOTS],
}

impl<'a> SeenNames<'a> {
    pub(super) fn new() -> Self {
        Self { slots: [(&[], StrId::EMPTY, Meaning::Plain); SLOTS] }
    }

    /// Interns a name. What is not UTF-8 in it becomes U+FFFD.
    #[inline]
    pub(super) fn intern(&mut self, name: &'a [u8], batch: &mut SpanBatch) -> (StrId, Meaning) {
        let slot = &mut self.slots[slot_of(name)];
        if slot.0 != name {
            let text = lossy(name);
            *slot = (name, batch.intern(&text), Meaning::of(&text));
            // Repaired texts differ from what they are repaired from; the slot is found by the latter, which is right.
            if let Cow::Owned(_) = text {
                slot.2 = Meaning::Plain;
            }
        }
        (slot.1, slot.2)
    }
}

/// Names begin alike (`http.`) or end alike (`.name`): both ends count.
#[inline]
fn slot_of(name: &[u8]) -> usize {
    let mixed = if let (Some(first), Some(last)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        u64::from_le_bytes(*first).rotate_left(23) ^ u64::from_le_bytes(*last)
    } else if let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
    } else {
        name.iter().fold(0, |mixed, &byte| mixed << 8 | u64::from(byte))
    };
    ((mixed ^ name.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_numbers_whatever_slot_they_share() {
        let mut batch = SpanBatch::new();
        let texts: Vec<String> = (0..2000).map(|n| format!("{}{n}", "x".repeat(n % 13))).collect();
        let mut seen = SeenNames::new();
        for _ in 0..3 {
            for text in &texts {
                let (id, meaning) = seen.intern(text.as_bytes(), &mut batch);
                assert_eq!((batch.interned(id), meaning), (text.as_str(), Meaning::Plain));
            }
        }
        assert_eq!(seen.intern(b"", &mut batch).0, StrId::EMPTY);
        assert_eq!(seen.intern(b"service.name", &mut batch).1, Meaning::ServiceName);
        assert_eq!(seen.intern(b"peer.service", &mut batch).1, Meaning::Peer { of_every_kind: true });
        let (id, _) = seen.intern(b"a\xffb", &mut batch);
        assert_eq!(batch.interned(id), "a\u{fffd}b");
    }
}
