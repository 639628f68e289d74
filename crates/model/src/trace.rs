//! A trace put together: copies and pieces of a span merged, the halves of a shared span told apart, a tree built.
//!
//! The rules are Zipkin's (what its library calls cleaning a trace and building the span tree), because dependency links and
//! what users see must agree with it. They never fail: whatever was sent becomes some tree, without recursion and without
//! losing a span. Of a trace of a million spans nothing is copied but the few that are merged.

mod merge;

pub use merge::{long_trace_id, merge_spans, merge_spans_of};

use crate::span::{EndpointRef, SpanRef};
use crate::{BatchFull, SpanBatch, SpanId};
use hashbrown::HashMap;
use merge::{Copied, Merged, each_merged, push_merged};

/// A trace's merged spans and who is whose child. The spans are nodes by number, in the order of [`merge_spans`].
#[derive(Debug, Clone)]
pub struct TraceTree<'a> {
    /// The spans as they came.
    spans: &'a [SpanRef<'a>],
    /// Those made from pieces, or changed: with what a drawing shows, which is no tag but `error`.
    merged: SpanBatch,
    /// Where each node lies: in `spans`, or so far behind their end in `merged`.
    places: Vec<u32>,
    /// One a span.
    pub nodes: Vec<SpanNode>,
    /// The node that Zipkin takes for the root: the first span without a parent.
    pub root: Option<usize>,
    /// Nodes without a parent, sorted by start: the root, further roots, those whose parent is missing, one of each loop.
    pub tops: Vec<u32>,
    child_starts: Vec<u32>,
    children: Vec<u32>,
}

/// A span's place in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanNode {
    parent: u32,
    /// It names a parent that is not there, or its parents form a loop.
    pub parent_missing: bool,
    /// Another span has the same id and was recorded elsewhere without saying that it shares it. Zipkin's tree forgets
    /// such a span; ours keeps it as a leaf, and links are not counted for it.
    pub shadowed: bool,
    in_loop: bool,
}

const NO_PARENT: u32 = u32::MAX;

impl SpanNode {
    /// Its parent's node.
    pub fn parent(self) -> Option<usize> {
        Some(self.parent).filter(|&parent| parent != NO_PARENT).map(|parent| parent as usize)
    }
}

impl Default for SpanNode {
    fn default() -> Self {
        Self { parent: NO_PARENT, parent_missing: false, shadowed: false, in_loop: false }
    }
}

impl<'a> TraceTree<'a> {
    /// Builds the tree of one trace's spans, given in the order they arrived.
    pub fn build(spans: &'a [SpanRef<'a>]) -> Self {
        let mut tree = Self {
            spans,
            merged: SpanBatch::new(),
            places: Vec::with_capacity(spans.len()),
            nodes: vec![],
            root: None,
            tops: vec![],
            child_starts: vec![],
            children: vec![],
        };
        // Where the batch of merged spans is full (2 GiB of text) the spans that follow are left out, as in `merge_spans`.
        let _full = each_merged(spans, |pieces, whole| tree.put(pieces, whole));
        (tree.nodes, tree.root) = tree.placed();
        tree.break_loops();
        tree.index_children();
        tree
    }

    /// How many spans it has.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether it has no spans.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// A node's span. One that was merged has no tag but `error`, no resource, and annotations without details.
    #[inline]
    pub fn span(&self, node: usize) -> SpanRef<'_> {
        let place = self.places[node] as usize;
        match self.spans.get(place) {
            Some(span) => *span,
            None => self.merged.span(place - self.spans.len()),
        }
    }

    /// All spans, by node.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = SpanRef<'_>> + Clone {
        (0..self.len()).map(|node| self.span(node))
    }

    /// The children of a node, sorted by start.
    pub fn children(&self, node: usize) -> &[u32] {
        &self.children[self.child_starts[node] as usize..self.child_starts[node + 1] as usize]
    }

    /// All nodes, parents before children, siblings by start; with each its depth.
    pub fn depth_first(&self) -> Vec<(u32, u32)> {
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut stack: Vec<(u32, u32)> = self.tops.iter().rev().map(|&node| (node, 0)).collect();
        while let Some((node, depth)) = stack.pop() {
            order.push((node, depth));
            stack.extend(self.children(node as usize).iter().rev().map(|&child| (child, depth + 1)));
        }
        order
    }

    /// Whether Zipkin's tree holds the node: not shadowed, and not in or below a loop of parents.
    pub(crate) fn linkable(&self, node: usize) -> bool {
        !self.nodes[node].shadowed && !self.nodes[node].in_loop
    }

    /// Adds the next span: where its pieces are, and what they are together.
    fn put(&mut self, pieces: &[u32], whole: Option<&Merged>) -> Result<(), BatchFull> {
        let span = |at: &u32| self.spans[*at as usize];
        let place = match whole {
            Some(whole) if pieces.len() > 1 || !whole.is(span(&pieces[0])) => {
                let pieces: Vec<SpanRef<'_>> = pieces.iter().map(span).collect();
                push_merged(&mut self.merged, &pieces, whole, None, Copied::Outline)?;
                (self.spans.len() + self.merged.len() - 1) as u32
            }
            _ => pieces[0],
        };
        self.places.push(place);
        Ok(())
    }

    /// Each span's parent, and the root.
    fn placed(&self) -> (Vec<SpanNode>, Option<usize>) {
        let mut nodes = vec![SpanNode::default(); self.len()];
        let mut root = None;
        let mut own: HashMap<SpanId, u32> = HashMap::with_capacity(self.len());
        // A shared span is told apart from its client by who recorded it.
        let mut shared: HashMap<(SpanId, Option<EndpointKey<'_>>), u32> = HashMap::new();
        for (node, span) in (0u32..).zip(self.spans()) {
            let before = if span.is_shared() {
                let before = shared.insert((span.id(), span.local().map(endpoint_key)), node);
                shared.insert((span.id(), None), node);
                before
            } else {
                if root.is_none() && span.parent().is_none() {
                    root = Some(node as usize);
                }
                own.insert(span.id(), node)
            };
            if let Some(before) = before.filter(|&before| before != node) {
                nodes[before as usize].shadowed = Some(before as usize) != root;
            }
        }
        for (node, span) in (0u32..).zip(self.spans()) {
            let own = |id: SpanId| own.get(&id).copied();
            let parent = match span.parent() {
                parent if span.is_shared() => own(span.id()).or_else(|| parent.and_then(own)),
                Some(id) if shared.is_empty() => own(id),
                Some(id) => shared.get(&(id, span.local().map(endpoint_key))).copied().or_else(|| own(id)),
                None => None,
            };
            let parent = parent.filter(|&parent| parent != node);
            let place = &mut nodes[node as usize];
            place.parent = parent.unwrap_or(NO_PARENT);
            place.parent_missing = parent.is_none() && span.parent().is_some();
        }
        (nodes, root)
    }

    fn break_loops(&mut self) {
        const NEW: u32 = 0;
        let mut seen = vec![NEW; self.nodes.len()];
        let mut path = vec![];
        for first in 0..self.nodes.len() {
            let walk = first as u32 + 1;
            path.clear();
            let mut at = Some(first);
            while let Some(node) = at.filter(|&node| seen[node] == NEW) {
                seen[node] = walk;
                path.push(node);
                at = self.nodes[node].parent();
            }
            let Some(end) = at else { continue };
            if seen[end] == walk {
                // The walk came back to itself: the loop is cut above the span it came back to.
                self.nodes[end].parent = NO_PARENT;
                self.nodes[end].parent_missing = true;
            }
            if seen[end] == walk || self.nodes[end].in_loop {
                path.iter().for_each(|&node| self.nodes[node].in_loop = true);
            }
        }
    }

    fn index_children(&mut self) {
        let mut starts = vec![0u32; self.nodes.len() + 1];
        for parent in self.nodes.iter().filter_map(|node| node.parent()) {
            starts[parent + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        // Their starts stand beside the nodes while they are sorted. A span without one comes first.
        let by_start = |node: u32| {
            let start = self.span(node as usize).start();
            (start.map_or(0, |start| start.to_bits().saturating_add(1)), node)
        };
        let mut next = starts.clone();
        let mut children = vec![(0u64, 0u32); starts.last().map_or(0, |&count| count as usize)];
        let mut tops = vec![];
        for (node, place) in (0u32..).zip(&self.nodes) {
            match place.parent() {
                Some(parent) => {
                    children[next[parent] as usize] = by_start(node);
                    next[parent] += 1;
                }
                None => tops.push(by_start(node)),
            }
        }
        for of_parent in starts.windows(2) {
            children[of_parent[0] as usize..of_parent[1] as usize].sort_unstable();
        }
        tops.sort_unstable();
        self.child_starts = starts;
        self.children = children.into_iter().map(|(_, node)| node).collect();
        self.tops = tops.into_iter().map(|(_, node)| node).collect();
    }
}

type EndpointKey<'a> = (&'a str, Option<[u8; 4]>, Option<[u8; 16]>, u16);

fn endpoint_key(endpoint: EndpointRef<'_>) -> EndpointKey<'_> {
    (endpoint.service, endpoint.ipv4, endpoint.ipv6, endpoint.port)
}
