//! Equal copies of a span: senders repeat what was not answered in time.

use hashbrown::HashMap;
use std::hash::{BuildHasher, Hasher};
use tracewell_model::SpanRef;

/// Keeps the first of spans that say the same. In time linear in their number, however many share an id: only those with
/// equal hashes of all they say are compared.
pub(crate) fn drop_copies(spans: &mut Vec<SpanRef<'_>>) {
    let mut ids: HashMap<u64, bool> = HashMap::with_capacity(spans.len());
    let mut repeated = false;
    for span in spans.iter() {
        ids.entry(span.id().value()).and_modify(|twice| (*twice, repeated) = (true, true)).or_default();
    }
    if !repeated {
        return;
    }
    let hasher = rapidhash::quality::RandomState::default();
    let mut seen: HashMap<u64, Vec<SpanRef<'_>>> = HashMap::new();
    spans.retain(|span| {
        if !ids.get(&span.id().value()).is_some_and(|twice| *twice) {
            return true;
        }
        let mut state = hasher.build_hasher();
        span.hash_same(&mut state);
        let same_hash = seen.entry(state.finish()).or_default();
        let new = !same_hash.iter().any(|other| other.same(*span));
        if new {
            same_hash.push(*span);
        }
        new
    });
}
