//! A trace put together: copies and pieces of a span merged, the halves of a shared span told apart, a tree built.
//!
//! The rules are Zipkin's (what its library calls cleaning a trace and building the span tree), because dependency links and
//! what users see must agree with it. They never fail: whatever was sent becomes some tree, without recursion and without
//! losing a span.

use crate::batch::SpanRow;
use crate::span::{EndpointRef, SpanRef};
use crate::value::{Kind, SpanFlags};
use crate::{SpanBatch, SpanId, Time, TraceId};
use hashbrown::HashMap;
use std::cmp::Ordering;

/// A trace's merged spans and who is whose child.
#[derive(Debug, Clone)]
pub struct TraceTree {
    /// The merged spans; a node's number is its span's row here.
    pub spans: SpanBatch,
    /// One a span.
    pub nodes: Vec<SpanNode>,
    /// The node that Zipkin takes for the root: the first span without a parent, in the order of [`merge_spans`].
    pub root: Option<usize>,
    /// Nodes without a parent, sorted by start: the root, further roots, those whose parent is missing, one of each loop.
    pub tops: Vec<usize>,
    child_starts: Vec<u32>,
    children: Vec<u32>,
}

/// A span's place in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpanNode {
    /// Its parent's node.
    pub parent: Option<usize>,
    /// It names a parent that is not there, or its parents form a loop.
    pub parent_missing: bool,
    /// Another span has the same id and was recorded elsewhere without saying that it shares it. Zipkin's tree forgets
    /// such a span; ours keeps it as a leaf, and links are not counted for it.
    pub shadowed: bool,
    in_loop: bool,
}

impl TraceTree {
    /// Builds the tree of one trace's spans, given in the order they arrived.
    pub fn build(spans: &[SpanRef<'_>]) -> Self {
        Self::of_merged(merge_spans(spans))
    }

    /// The same tree, in the same order, of spans that lack what a drawing does not show: tags but `error`, details of
    /// annotations, resources, links. Takes a fraction of the time and memory.
    pub fn outline(spans: &[SpanRef<'_>]) -> Self {
        Self::of_merged(merge(spans, Copied::Outline))
    }

    fn of_merged(spans: SpanBatch) -> Self {
        let (nodes, root) = place(&spans);
        let mut tree = Self { spans, nodes, root, tops: vec![], child_starts: vec![], children: vec![] };
        tree.break_loops();
        tree.index_children();
        tree
    }

    /// The children of a node, sorted by start.
    pub fn children(&self, node: usize) -> &[u32] {
        &self.children[self.child_starts[node] as usize..self.child_starts[node + 1] as usize]
    }

    /// All nodes, parents before children, siblings by start; with each its depth.
    pub fn depth_first(&self) -> Vec<(usize, u32)> {
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut stack: Vec<(usize, u32)> = self.tops.iter().rev().map(|&node| (node, 0)).collect();
        while let Some((node, depth)) = stack.pop() {
            order.push((node, depth));
            stack.extend(self.children(node).iter().rev().map(|&child| (child as usize, depth + 1)));
        }
        order
    }

    /// Whether Zipkin's tree holds the node: not shadowed, and not in or below a loop of parents.
    pub(crate) fn linkable(&self, node: usize) -> bool {
        !self.nodes[node].shadowed && !self.nodes[node].in_loop
    }

    fn break_loops(&mut self) {
        const NEW: u32 = 0;
        let mut seen = vec![NEW; self.nodes.len()];
        for first in 0..self.nodes.len() {
            let walk = first as u32 + 1;
            let mut path = vec![];
            let mut at = Some(first);
            while let Some(node) = at.filter(|&node| seen[node] == NEW) {
                seen[node] = walk;
                path.push(node);
                at = self.nodes[node].parent;
            }
            let Some(end) = at else { continue };
            if seen[end] == walk {
                // The walk came back to itself: the loop is cut above the span it came back to.
                self.nodes[end].parent = None;
                self.nodes[end].parent_missing = true;
            }
            if seen[end] == walk || self.nodes[end].in_loop {
                path.iter().for_each(|&node| self.nodes[node].in_loop = true);
            }
        }
    }

    fn index_children(&mut self) {
        let starts = self.spans.spans().map(|span| span.start());
        let mut by_start: Vec<_> = starts.zip(0u32..).collect();
        by_start.sort_unstable();
        let mut counts = vec![0u32; self.nodes.len() + 1];
        for node in &self.nodes {
            if let Some(parent) = node.parent {
                counts[parent + 1] += 1;
            }
        }
        for at in 1..counts.len() {
            counts[at] += counts[at - 1];
        }
        let mut next = counts.clone();
        let mut children = vec![0u32; counts.last().map_or(0, |&count| count as usize)];
        for (_, node) in by_start {
            match self.nodes[node as usize].parent {
                Some(parent) => {
                    children[next[parent] as usize] = node;
                    next[parent] += 1;
                }
                None => self.tops.push(node as usize),
            }
        }
        self.child_starts = counts;
        self.children = children;
    }
}

/// A node's name while the tree is built: a shared span is told apart from its client by who recorded it.
#[derive(PartialEq, Eq, Hash, Clone, Copy)]
enum NodeKey<'a> {
    Own(SpanId),
    Shared(SpanId, Option<EndpointKey<'a>>),
}

type EndpointKey<'a> = (&'a str, Option<[u8; 4]>, Option<[u8; 16]>, u16);

fn endpoint_key(endpoint: EndpointRef<'_>) -> EndpointKey<'_> {
    (endpoint.service, endpoint.ipv4, endpoint.ipv6, endpoint.port)
}

fn place(spans: &SpanBatch) -> (Vec<SpanNode>, Option<usize>) {
    let mut nodes = vec![SpanNode::default(); spans.len()];
    let root = spans.spans().position(|span| !span.is_shared() && span.parent().is_none());
    let mut by_key: HashMap<NodeKey<'_>, usize> = HashMap::with_capacity(spans.len() * 2);
    for span in spans.spans() {
        let endpoint = span.local().map(endpoint_key);
        let key = if span.is_shared() { NodeKey::Shared(span.id(), endpoint) } else { NodeKey::Own(span.id()) };
        if let Some(before) = by_key.insert(key, span.row()).filter(|&before| before != span.row()) {
            nodes[before].shadowed = Some(before) != root;
        }
        if span.is_shared() {
            by_key.insert(NodeKey::Shared(span.id(), None), span.row());
        }
    }
    for span in spans.spans() {
        let own = |id: SpanId| by_key.get(&NodeKey::Own(id)).copied();
        let parent = match span.parent() {
            _ if span.is_shared() => own(span.id()).or_else(|| span.parent().and_then(own)),
            Some(id) => {
                let endpoint = span.local().map(endpoint_key);
                by_key.get(&NodeKey::Shared(id, endpoint)).copied().or_else(|| own(id))
            }
            None => None,
        };
        let node = &mut nodes[span.row()];
        node.parent = parent.filter(|&parent| parent != span.row());
        node.parent_missing = node.parent.is_none() && span.parent().is_some();
    }
    (nodes, root)
}

/// Merges the pieces and copies of each span of one trace; answers them sorted by id, the client's half of a shared span
/// before the server's. As Zipkin cleans a trace.
pub fn merge_spans(spans: &[SpanRef<'_>]) -> SpanBatch {
    merge(spans, Copied::Whole)
}

/// What of a span goes into the merged one.
#[derive(Clone, Copy, PartialEq)]
enum Copied {
    Whole,
    Outline,
}

fn merge(spans: &[SpanRef<'_>], copied: Copied) -> SpanBatch {
    // The ids stand beside the spans: nearly all comparisons end there.
    let mut order: Vec<(SpanId, SpanRef<'_>)> = spans.iter().map(|span| (span.id(), *span)).collect();
    order.sort_by(|(id, a), (other, b)| id.cmp(other).then_with(|| cleanup_order(*a, *b)));
    let order: Vec<SpanRef<'_>> = order.into_iter().map(|(_, span)| span).collect();
    let trace_id = order.iter().map(|span| span.trace_id()).find(|id| id.high() != 0);
    let mut merged = SpanBatch::new();
    let mut last: Option<Merged> = None;
    let mut at = 0;
    while at < order.len() {
        let first = order[at];
        let mut whole = Merged::new(first);
        let mut pieces = 1;
        let mut local = EndpointParts::default();
        local.try_merge(first.local());
        while let Some(&next) = order.get(at + pieces) {
            if next.id() != first.id() || next.is_shared() != first.is_shared() || !local.try_merge(next.local()) {
                break;
            }
            whole.merge(next);
            pieces += 1;
        }
        if let Some(last) = last.filter(|last| last.id == whole.id) {
            // Some instrumentation does not say that the server's half shares its id.
            whole.shared |= last.kind == Kind::Client;
            if whole.shared && whole.parent.is_none() {
                whole.parent = last.parent;
            }
        }
        let pieces = &order[at..at + pieces];
        at += pieces.len();
        if push_merged(&mut merged, pieces, &whole, trace_id, copied).is_err() {
            break;
        }
        last = Some(whole);
    }
    merged
}

/// The scalar fields of a span that is being merged from pieces.
#[derive(Clone, Copy)]
struct Merged {
    id: SpanId,
    parent: Option<SpanId>,
    kind: Kind,
    shared: bool,
    flags: SpanFlags,
    start: Option<Time>,
    duration: Option<Time>,
}

impl Merged {
    fn new(span: SpanRef<'_>) -> Self {
        Self {
            id: span.id(),
            parent: span.parent(),
            kind: span.kind(),
            shared: span.is_shared(),
            flags: span.flags(),
            start: span.start(),
            duration: span.duration(),
        }
    }

    fn merge(&mut self, next: SpanRef<'_>) {
        self.parent = self.parent.or_else(|| next.parent());
        if self.kind == Kind::Unset {
            self.kind = next.kind();
        }
        self.flags = self.flags.with(next.flags());
        match (self.start, next.start()) {
            (Some(a), Some(b)) if a != b => {
                let end = |start: Time, duration: Option<Time>| start.saturating_add(duration.unwrap_or_default());
                let end = end(a, self.duration).max(end(b, next.duration()));
                self.start = Some(a.min(b));
                self.duration = Some(end.saturating_sub(a.min(b)));
            }
            (a, b) => {
                self.start = a.max(b);
                self.duration = self.duration.max(next.duration());
            }
        }
    }
}

fn push_merged(
    batch: &mut SpanBatch,
    pieces: &[SpanRef<'_>],
    whole: &Merged,
    trace_id: Option<TraceId>,
    copied: Copied,
) -> Result<(), crate::BatchFull> {
    let first = pieces[0];
    let trace_id = trace_id.filter(|_| first.trace_id().high() == 0).unwrap_or_else(|| first.trace_id());
    let unchanged = whole.shared == first.is_shared() && whole.parent == first.parent();
    if pieces.len() == 1 && unchanged && trace_id == first.trace_id() {
        return match copied {
            Copied::Whole => batch.push_copy(first),
            Copied::Outline => batch.push_outline(first),
        };
    }
    for piece in pieces {
        match copied {
            Copied::Whole => batch.open_copy(*piece),
            Copied::Outline => batch.open_outline(*piece),
        }
    }
    if pieces.len() > 1 {
        batch.sort_open_tags();
        batch.sort_open_annotations();
    }
    let name = pieces.iter().map(|piece| piece.name()).find(|name| !name.is_empty()).unwrap_or_default();
    let name = batch.intern(name);
    let local = batch.merge_endpoints(pieces.iter().filter_map(|piece| piece.local()));
    let remote = batch.merge_endpoints(pieces.iter().filter_map(|piece| piece.remote()));
    let (resource, scope, extra) = match copied {
        Copied::Whole => batch.copy_rare(first),
        Copied::Outline => batch.copy_rare_outline(first),
    };
    let flags = if whole.shared { whole.flags.with(SpanFlags::SHARED) } else { whole.flags };
    batch.commit(SpanRow {
        trace_id,
        id: whole.id,
        parent: whole.parent.unwrap_or(SpanId::NONE),
        name,
        kind: whole.kind,
        flags,
        start: whole.start,
        duration: whole.duration,
        local,
        remote,
        resource,
        scope,
        extra,
    })
}

/// What is known of an endpoint that several pieces describe in part.
#[derive(Default)]
struct EndpointParts<'a> {
    service: &'a str,
    ipv4: Option<[u8; 4]>,
    ipv6: Option<[u8; 16]>,
    port: u16,
}

impl<'a> EndpointParts<'a> {
    /// Takes over what is new, unless something contradicts.
    fn try_merge(&mut self, endpoint: Option<EndpointRef<'a>>) -> bool {
        fn differ<T: PartialEq + Default>(a: &T, b: &T) -> bool {
            *a != T::default() && *b != T::default() && a != b
        }
        let Some(endpoint) = endpoint else { return true };
        if differ(&self.service, &endpoint.service)
            || differ(&self.ipv4, &endpoint.ipv4)
            || differ(&self.ipv6, &endpoint.ipv6)
            || differ(&self.port, &endpoint.port)
        {
            return false;
        }
        if self.service.is_empty() {
            self.service = endpoint.service;
        }
        self.ipv4 = self.ipv4.or(endpoint.ipv4);
        self.ipv6 = self.ipv6.or(endpoint.ipv6);
        self.port = if self.port == 0 { endpoint.port } else { self.port };
        true
    }
}

/// By id; shared spans last, client spans first; then by who recorded them, unknown first.
fn cleanup_order(a: SpanRef<'_>, b: SpanRef<'_>) -> Ordering {
    let rank = |span: SpanRef<'_>| match span.is_shared() {
        true => 2,
        false if span.kind() == Kind::Client => 0,
        false => 1,
    };
    a.id().cmp(&b.id()).then_with(|| rank(a).cmp(&rank(b))).then_with(|| compare_endpoints(a.local(), b.local()))
}

fn compare_endpoints(a: Option<EndpointRef<'_>>, b: Option<EndpointRef<'_>>) -> Ordering {
    fn unknown_last<T: Ord + Default + Copy>(a: T, b: T) -> Ordering {
        (a == T::default()).cmp(&(b == T::default())).then_with(|| a.cmp(&b))
    }
    match (a, b) {
        (Some(a), Some(b)) => unknown_last(a.service, b.service)
            .then_with(|| unknown_last(a.ipv4, b.ipv4))
            .then_with(|| unknown_last(a.ipv6, b.ipv6)),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}
