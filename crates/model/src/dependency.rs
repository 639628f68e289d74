//! Who calls whom: links between services, counted from traces by Zipkin's rules.

mod plain;

pub use plain::{LinkSpan, PlainLinker};

use crate::span::SpanRef;
use crate::trace::TraceTree;
use crate::value::Kind;
use hashbrown::HashMap;

/// Calls from one service to another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DependencyLink {
    /// The service that calls.
    pub parent: String,
    /// The service that is called.
    pub child: String,
    /// How often.
    pub call_count: u64,
    /// How many of the calls failed.
    pub error_count: u64,
}

/// Counts links, a trace at a time.
#[derive(Debug, Clone, Default)]
pub struct DependencyLinker {
    counts: HashMap<(String, String), (u64, u64)>,
}

/// One call between two services, as a trace tells of it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The service that calls.
    pub parent: &'a str,
    /// The service that is called.
    pub child: &'a str,
    /// Whether it failed.
    pub is_error: bool,
    /// The span that tells of it, merged of its copies. None where a call is only known because another span's would
    /// otherwise begin nowhere.
    pub span: Option<SpanRef<'a>>,
}

impl DependencyLinker {
    /// Adds the links of one trace, given all its spans in the order they arrived.
    pub fn put_trace(&mut self, spans: &[SpanRef<'_>]) {
        Self::each_call(spans, &mut |call| self.add(call.parent, call.child, 1, u64::from(call.is_error)));
    }

    /// The calls of one trace, given all its spans in the order they arrived: what links are counted from.
    pub fn each_call(spans: &[SpanRef<'_>], each: &mut dyn FnMut(Call<'_>)) {
        if spans.is_empty() {
            return;
        }
        let tree = TraceTree::build(spans);
        let mut each = |call: Call<'_>| {
            if !call.parent.is_empty() && !call.child.is_empty() {
                each(call);
            }
        };
        for node in 0..tree.nodes.len() {
            if tree.linkable(node) {
                put_node(&tree, node, &mut each);
            }
        }
    }

    /// Adds what another linker, or a store's count, has found.
    pub fn put_link(&mut self, link: &DependencyLink) {
        self.add(&link.parent, &link.child, link.call_count, link.error_count);
    }

    /// All links, sorted by parent, then child.
    pub fn links(self) -> Vec<DependencyLink> {
        let link =
            |((parent, child), (call_count, error_count))| DependencyLink { parent, child, call_count, error_count };
        let mut links: Vec<_> = self.counts.into_iter().map(link).collect();
        links.sort();
        links
    }

    fn add(&mut self, parent: &str, child: &str, calls: u64, errors: u64) {
        let count = match self.counts.get_mut(&(parent, child) as &dyn LinkKey) {
            Some(count) => count,
            None => self.counts.entry((parent.to_owned(), child.to_owned())).or_default(),
        };
        count.0 += calls;
        count.1 += errors;
    }
}

fn put_node(tree: &TraceTree<'_>, node: usize, each: &mut dyn FnMut(Call<'_>)) {
    let span = tree.span(node);
    let mut add_call = |parent, child, is_error, span| each(Call { parent, child, is_error, span });
    let (service, remote) = (span.service_name(), span.remote_service_name());
    let kind = match remote_kind(span) {
        // The server's own span, a child of this one, names the service better.
        Some(Kind::Client) if has_children(tree, node) => return,
        Some(kind) => kind,
        // Both sides known: taken for a client.
        None if !service.is_empty() && !remote.is_empty() => Kind::Client,
        None => return,
    };
    let (mut parent, child) = match kind {
        Kind::Server | Kind::Consumer => (remote, service),
        _ => (service, remote),
    };
    if matches!(kind, Kind::Server | Kind::Consumer) && tree.root == Some(node) && parent.is_empty() {
        return; // the root's caller is unknown
    }
    let mut is_error = span.is_error();
    if matches!(kind, Kind::Producer | Kind::Consumer) {
        add_call(parent, child, is_error, Some(span)); // the link is to the broker, which sends no spans
        return;
    }
    if let Some(ancestor) = remote_ancestor(tree, node).filter(|span| !span.service_name().is_empty()) {
        let name = ancestor.service_name();
        // Some clients put the remote service's name on their own span: the link to it is missing.
        if kind == Kind::Client && !service.is_empty() && name != service {
            add_call(name, service, false, None);
        }
        if kind == Kind::Server || parent.is_empty() {
            parent = name;
        }
        // A call told in two spans: the client's, which was passed over above, may know of the error.
        if ancestor.kind() == Kind::Client && span.parent() == Some(ancestor.id()) {
            is_error |= ancestor.is_error();
        }
    }
    add_call(parent, child, is_error, Some(span));
}

/// The span's kind if it speaks to another service.
fn remote_kind(span: SpanRef<'_>) -> Option<Kind> {
    Some(span.kind()).filter(|kind| !matches!(kind, Kind::Unset | Kind::Internal))
}

fn has_children(tree: &TraceTree<'_>, node: usize) -> bool {
    // Spans without a parent, or whose parent is missing, hang below the root in Zipkin's tree.
    let hanging = |top: usize| tree.root != Some(top) && tree.linkable(top);
    tree.children(node).iter().any(|&child| tree.linkable(child as usize))
        || tree.root == Some(node) && tree.tops.iter().any(|&top| hanging(top as usize))
}

/// The nearest span above that speaks to another service, whatever local spans lie between.
fn remote_ancestor<'t>(tree: &'t TraceTree<'_>, node: usize) -> Option<SpanRef<'t>> {
    let mut at = node;
    loop {
        at = match tree.nodes[at].parent() {
            Some(parent) => parent,
            None => tree.root.filter(|&root| root != at)?,
        };
        let span = tree.span(at);
        if remote_kind(span).is_some() {
            return Some(span);
        }
    }
}

/// Looks a pair of texts up without owning it.
trait LinkKey {
    fn pair(&self) -> (&str, &str);
}

impl LinkKey for (String, String) {
    fn pair(&self) -> (&str, &str) {
        (&self.0, &self.1)
    }
}

impl LinkKey for (&str, &str) {
    fn pair(&self) -> (&str, &str) {
        *self
    }
}

impl PartialEq for dyn LinkKey + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.pair() == other.pair()
    }
}

impl Eq for dyn LinkKey + '_ {}

impl std::hash::Hash for dyn LinkKey + '_ {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.pair().hash(state);
    }
}

impl<'a> std::borrow::Borrow<dyn LinkKey + 'a> for (String, String) {
    fn borrow(&self) -> &(dyn LinkKey + 'a) {
        self
    }
}
