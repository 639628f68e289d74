//! The links of a trace from numbers alone, by the rules of [`DependencyLinker`](crate::DependencyLinker): for traces in which
//! nothing has to be merged, which are nearly all. A store counts them by the million, without building spans.

use crate::Kind;

/// What of a span decides about links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkSpan {
    /// Its id.
    pub id: u64,
    /// Its parent; zero for a root.
    pub parent: u64,
    /// Its role.
    pub kind: Kind,
    /// Whether it shares its id with another span.
    pub is_shared: bool,
    /// Whether it failed ([`SpanRef::is_error`](crate::SpanRef::is_error)).
    pub is_error: bool,
    /// The number of the service that recorded it; zero when unknown.
    pub service: u32,
    /// The number of the service it spoke to; zero when unknown.
    pub remote: u32,
    /// The number of who recorded it: equal for equal services, addresses and ports alone. Zero for nobody.
    pub endpoint: u32,
}

/// Counts links of plain traces; keeps its memory from one to the next.
#[derive(Debug, Clone, Default)]
pub struct PlainLinker {
    /// Ids, whether shared, and places, ascending.
    by_id: Vec<(u64, bool, u32)>,
    /// What the rules take for its parent's id.
    parent_ids: Vec<u64>,
    parents: Vec<u32>,
    has_children: Vec<bool>,
    /// The nearest span above that speaks to another service.
    callers: Vec<u32>,
    path: Vec<u32>,
}

const NONE: u32 = u32::MAX;
const UNKNOWN: u32 = u32::MAX - 1;

impl PlainLinker {
    /// Calls `each` with parent, child and whether it failed for each call in a trace, given all its spans. Answers whether the
    /// trace is plain; where it is not (spans that are no copies have one id, other than a shared one and its client's; parents
    /// form a loop), nothing is called.
    pub fn link(&mut self, spans: &[LinkSpan], mut each: impl FnMut(u32, u32, bool)) -> bool {
        if self.by_id_of(spans) {
            // Copies say nothing new: what is merged from them is what each says.
            let copy = |pair: &[(u64, bool, u32)]| (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1);
            let copies = self.by_id.windows(2).filter(|pair| copy(pair)).map(|pair| (pair[0].2, pair[1].2));
            let mut left: Vec<Option<LinkSpan>> = spans.iter().copied().map(Some).collect();
            for (first, second) in copies {
                if spans[first as usize] != spans[second as usize] {
                    return false;
                }
                left[second as usize] = None;
            }
            let left: Vec<LinkSpan> = left.into_iter().flatten().collect();
            return self.link(&left, each);
        }
        self.place(spans);
        if self.has_loop() {
            return false;
        }
        let root = self.by_id.iter().find(|(_, shared, at)| !shared && self.parent_ids[*at as usize] == 0);
        let root = root.map_or(NONE, |root| root.2);
        let tops = self.parents.iter().filter(|&&parent| parent == NONE).count();
        self.has_children.clear();
        self.has_children.resize(spans.len(), false);
        for &parent in self.parents.iter().filter(|&&parent| parent != NONE) {
            self.has_children[parent as usize] = true;
        }
        // What has no parent hangs below the root.
        if let Some(root) = self.has_children.get_mut(root as usize) {
            *root |= tops > 1;
        }
        self.callers.clear();
        self.callers.resize(spans.len(), UNKNOWN);
        for at in 0..spans.len() as u32 {
            let caller = self.caller(spans, at, root);
            self.link_span(spans, at, root, caller, &mut each);
        }
        true
    }

    /// Sorts spans by their ids; answers whether one comes twice other than as a shared one.
    fn by_id_of(&mut self, spans: &[LinkSpan]) -> bool {
        let Self { by_id, .. } = self;
        by_id.clear();
        by_id.extend((0u32..).zip(spans).map(|(at, span)| (span.id, span.is_shared, at)));
        by_id.sort_unstable();
        by_id.windows(2).any(|pair| (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1))
    }

    /// Finds everybody's parent.
    fn place(&mut self, spans: &[LinkSpan]) {
        let Self { by_id, parent_ids, parents, .. } = self;
        parent_ids.clear();
        parent_ids.extend(spans.iter().map(|span| span.parent));
        for pair in by_id.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            let (own, shared) = (pair[0].2 as usize, pair[1].2 as usize);
            if parent_ids[shared] == 0 {
                parent_ids[shared] = parent_ids[own];
            }
        }
        let find = |id: u64, shared: bool| {
            let at = by_id.binary_search_by_key(&(id, shared), |&(id, shared, _)| (id, shared)).ok()?;
            Some(by_id[at].2)
        };
        let any_shared = spans.iter().any(|span| span.is_shared);
        parents.clear();
        for (at, span) in (0u32..).zip(spans) {
            let parent_id = parent_ids[at as usize];
            let parent = if span.is_shared {
                find(span.id, false).or_else(|| find(parent_id, false).filter(|_| parent_id != 0))
            } else if parent_id == 0 {
                None
            } else {
                let shared = any_shared
                    .then(|| find(parent_id, true))
                    .flatten()
                    .filter(|&shared| span.endpoint == 0 || spans[shared as usize].endpoint == span.endpoint);
                shared.or_else(|| find(parent_id, false))
            };
            parents.push(parent.filter(|&parent| parent != at).unwrap_or(NONE));
        }
    }

    fn has_loop(&mut self) -> bool {
        // A walk of a plain trace ends at a span without a parent, or at one that an earlier walk has passed.
        let Self { parents, callers: walks, .. } = self;
        walks.clear();
        walks.resize(parents.len(), NONE);
        for first in 0..parents.len() as u32 {
            let mut at = first;
            while at != NONE && walks[at as usize] == NONE {
                walks[at as usize] = first;
                at = parents[at as usize];
            }
            if at != NONE && walks[at as usize] == first {
                return true;
            }
        }
        false
    }

    fn caller(&mut self, spans: &[LinkSpan], of: u32, root: u32) -> u32 {
        let Self { parents, callers, path, .. } = self;
        path.clear();
        let mut at = of;
        let found = loop {
            if callers[at as usize] != UNKNOWN {
                break callers[at as usize];
            }
            path.push(at);
            at = match parents[at as usize] {
                NONE if at == root => break NONE,
                NONE => root,
                parent => parent,
            };
            if at == NONE {
                break NONE;
            }
            if remote_kind(&spans[at as usize]).is_some() {
                break at;
            }
        };
        path.iter().for_each(|&at| callers[at as usize] = found);
        found
    }

    fn link_span(&self, spans: &[LinkSpan], at: u32, root: u32, caller: u32, each: &mut impl FnMut(u32, u32, bool)) {
        let span = &spans[at as usize];
        let kind = match remote_kind(span) {
            Some(Kind::Client) if self.has_children[at as usize] => return,
            Some(kind) => kind,
            None if span.service != 0 && span.remote != 0 => Kind::Client,
            None => return,
        };
        let mut call = |parent: u32, child: u32, is_error: bool| {
            if parent != 0 && child != 0 {
                each(parent, child, is_error);
            }
        };
        let is_called = matches!(kind, Kind::Server | Kind::Consumer);
        let (mut parent, child) = if is_called { (span.remote, span.service) } else { (span.service, span.remote) };
        if is_called && at == root && parent == 0 {
            return;
        }
        let mut is_error = span.is_error;
        if matches!(kind, Kind::Producer | Kind::Consumer) {
            return call(parent, child, is_error);
        }
        if let Some(caller) = spans.get(caller as usize).filter(|caller| caller.service != 0) {
            if kind == Kind::Client && span.service != 0 && caller.service != span.service {
                call(caller.service, span.service, false);
            }
            if kind == Kind::Server || parent == 0 {
                parent = caller.service;
            }
            let parent_id = self.parent_ids[at as usize];
            if caller.kind == Kind::Client && parent_id != 0 && parent_id == caller.id {
                is_error |= caller.is_error;
            }
        }
        call(parent, child, is_error);
    }
}

fn remote_kind(span: &LinkSpan) -> Option<Kind> {
    Some(span.kind).filter(|kind| !matches!(kind, Kind::Unset | Kind::Internal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DependencyLink, DependencyLinker, OwnedEndpoint, Span, SpanBatch, SpanId, StatusCode, TraceId};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const SERVICES: [&str; 4] = ["", "a", "b", "c"];

    fn spans() -> impl Strategy<Value = Vec<LinkSpan>> {
        let span = (1u64..14, 0u64..14, 0u8..6, prop::bool::weighted(0.2), any::<bool>(), 0u32..4, 0u32..4);
        let span = span.prop_map(|(id, parent, kind, is_shared, is_error, service, remote)| LinkSpan {
            id,
            parent,
            kind: Kind::from_u8(kind).unwrap(),
            is_shared,
            is_error,
            service,
            remote,
            endpoint: service,
        });
        let copies = prop::collection::vec(prop::sample::select(vec![true, false, false]), 12);
        (prop::collection::vec(span, 0..12), copies).prop_map(|(spans, copies)| {
            let copied = spans.iter().zip(copies).filter(|(_, copied)| *copied).map(|(span, _)| *span);
            spans.iter().copied().chain(copied.collect::<Vec<_>>()).collect()
        })
    }

    fn batch(spans: &[LinkSpan]) -> SpanBatch {
        let mut batch = SpanBatch::new();
        let endpoint = |service: u32| {
            let service = SERVICES[service as usize].to_owned();
            Some(OwnedEndpoint { service, ..OwnedEndpoint::default() }).filter(|endpoint| !endpoint.service.is_empty())
        };
        for span in spans {
            let span = Span {
                trace_id: TraceId::new(1),
                id: SpanId::new(span.id),
                parent: Some(SpanId::new(span.parent)).filter(|parent| !parent.is_none()),
                kind: span.kind,
                shared: span.is_shared,
                status: if span.is_error { StatusCode::Error } else { StatusCode::Unset },
                local: endpoint(span.service),
                remote: endpoint(span.remote),
                ..Span::default()
            };
            batch.push_span(&span).unwrap();
        }
        batch
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn links_are_those_of_the_rules(spans in spans()) {
            let mut counts: BTreeMap<(u32, u32), (u64, u64)> = BTreeMap::new();
            let plain = PlainLinker::default().link(&spans, |parent, child, is_error| {
                let count = counts.entry((parent, child)).or_default();
                *count = (count.0 + 1, count.1 + u64::from(is_error));
            });
            if plain {
                let batch = batch(&spans);
                let mut linker = DependencyLinker::default();
                linker.put_trace(&batch.spans().collect::<Vec<_>>());
                let link = |(&(parent, child), &(call_count, error_count)): (&(u32, u32), &(u64, u64))| DependencyLink {
                    parent: SERVICES[parent as usize].to_owned(),
                    child: SERVICES[child as usize].to_owned(),
                    call_count,
                    error_count,
                };
                prop_assert_eq!(counts.iter().map(link).collect::<Vec<_>>(), linker.links());
            } else {
                prop_assert!(counts.is_empty());
            }
        }
    }

    #[test]
    fn plain_traces_are_told_from_others() {
        let span = |id: u64, parent: u64, is_shared: bool| LinkSpan { id, parent, is_shared, ..LinkSpan::default() };
        let mut linker = PlainLinker::default();
        let mut is_plain = |spans: &[LinkSpan]| linker.link(spans, |_, _, _| {});
        assert!(is_plain(&[]));
        assert!(is_plain(&[span(1, 0, false), span(1, 0, true), span(2, 1, false), span(3, 3, false)]));
        assert!(is_plain(&[span(1, 0, false), span(1, 0, false), span(1, 0, false)]));
        assert!(!is_plain(&[span(1, 0, false), span(1, 2, false)]));
        assert!(!is_plain(&[span(1, 2, false), span(2, 1, false)]));
    }
}
