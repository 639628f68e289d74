//! Traces put together: pieces merged, halves told apart, trees that hold every span.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use tracewell_model::{Kind, SpanRef, TraceTree, merge_spans};

/// The tree as lines `depth service[!]`, depth first; `!` where the parent is missing.
fn check(spans: &str, expected: &str) {
    let batch = common::batch(spans);
    let spans: Vec<SpanRef<'_>> = batch.spans().collect();
    assert_eq!(lines(&TraceTree::build(&spans)), expected);
}

fn lines(tree: &TraceTree<'_>) -> String {
    let lines: Vec<_> = tree
        .depth_first()
        .into_iter()
        .map(|(node, depth)| {
            let node = node as usize;
            let missing = if tree.nodes[node].parent_missing { "!" } else { "" };
            format!("{depth} {}{missing}", tree.span(node).service_name())
        })
        .collect();
    lines.join(", ")
}

#[test]
fn children_are_sorted_by_start() {
    check("1 root @1 \n 1>2 late @9 \n 1>3 early @5 \n 2>4 leaf @10", "0 root, 1 early, 1 late, 2 leaf");
}

#[test]
fn a_shared_span_is_the_child_of_its_client() {
    check("SERVER 1 a @1 \n CLIENT 1>2 a @2 \n SERVER 1>2 b shared @3 \n 2>3 b @4", "0 a, 1 a, 2 b, 3 b");
    // The child names the shared id for its parent: it belongs to the half its own service recorded.
    check("CLIENT 2 a @2 \n SERVER 2 b @3 \n 2>3 b @4 \n 2>5 a @5", "0 a, 1 b, 2 b, 1 a");
}

#[test]
fn no_span_is_lost() {
    check("9>1 orphan @5 \n 2 root @1 \n 3 second @2", "0 root, 0 second, 0 orphan!");
    check("2>1 x @1 \n 1>2 y @2 \n 2>3 below @3", "0 x!, 1 y, 2 below");
    check("7>7 own @1", "0 own!");
    // The second of two clients with one id is taken for the server's half, as Zipkin takes it.
    check("1 a @1 \n CLIENT 5 b @2 \n CLIENT 5 c @3 \n 5>6 c @4", "0 a, 0 b, 1 c, 2 c");
    check("1 a @1 \n 5 b @2 \n 5 c @3 \n 5>6 c @4", "0 a, 0 b, 0 c, 1 c");
    check("SERVER 4>2 lone shared @3", "0 lone!");
    check("4 root @1 \n SERVER 4>2 lone shared @3", "0 root, 1 lone");
}

#[test]
fn a_deep_chain_needs_no_stack() {
    let chain: String = (1..100_000u32).map(|n| format!("{:x}>{:x} s @{n}\n", n, n + 1)).collect();
    let batch = common::batch(&format!("1 s @1\n{chain}"));
    let spans: Vec<SpanRef<'_>> = batch.spans().collect();
    let tree = TraceTree::build(&spans);
    assert_eq!(tree.depth_first().last().map(|(_, depth)| *depth), Some(99_999));
}

#[test]
fn pieces_become_one_span() {
    let batch = common::batch(
        "CLIENT 1>2 a @10+5 b=1 !11:x
         1>2 @8 b=2 a=3 !11:x !9:y debug",
    );
    let spans: Vec<_> = batch.spans().collect();
    let merged = merge_spans(&spans);
    assert_eq!(merged.len(), 1);
    let span = merged.span(0);
    assert_eq!((span.kind(), span.timestamp_us(), span.duration_us()), (Kind::Client, 8, 7));
    let tags: Vec<_> = span.tags().iter().map(|(key, value)| format!("{key}={value:?}")).collect();
    assert_eq!(tags, ["a=Str(\"3\")", "b=Str(\"2\")"]);
    let annotations: Vec<_> = span.annotations().map(|a| (a.time.as_micros(), a.value.to_owned())).collect();
    assert_eq!(annotations, [(9, "y".to_owned()), (11, "x".to_owned())]);
    assert_eq!(span.service_name(), "a");
}

#[test]
fn merged_spans_of_a_tree_have_what_is_drawn() {
    let batch = common::batch(
        "CLIENT 1>2 a @10+5 b=1 error=x !11:x
         1>2 @8 b=2 a=3 !9:y debug
         1 c @1 b=1",
    );
    let spans: Vec<_> = batch.spans().collect();
    let (whole, tree) = (merge_spans(&spans), TraceTree::build(&spans));
    assert_eq!((tree.len(), whole.len()), (2, 2));
    let (whole, drawn) = (whole.span(1), tree.span(1));
    assert_eq!((drawn.timestamp_us(), drawn.duration_us()), (whole.timestamp_us(), whole.duration_us()));
    assert_eq!((drawn.name(), drawn.kind(), drawn.service_name()), (whole.name(), whole.kind(), "a"));
    assert!(whole.is_error() && drawn.is_error());
    assert_eq!(drawn.tags().iter().map(|(key, _)| key).collect::<Vec<_>>(), ["error"]);
    assert_eq!(drawn.annotations().len(), whole.annotations().len());
    assert!(std::ptr::eq(tree.span(0).batch(), &batch), "what needs no merging is not copied");
}

#[test]
fn a_tree_has_the_spans_that_merging_gives() {
    let batch = common::batch(
        "CLIENT 1>2 a @10+5
         SERVER 2 b @11+3
         1>2 a @9+2
         2 b shared @11+3
         1 a @1
         2>3 @12
         3>3 c @13",
    );
    let spans: Vec<_> = batch.spans().collect();
    let (whole, tree) = (merge_spans(&spans), TraceTree::build(&spans));
    let about =
        |span: SpanRef<'_>| (span.id(), span.parent(), span.kind(), span.flags(), span.start(), span.duration());
    assert_eq!(tree.spans().map(about).collect::<Vec<_>>(), whole.spans().map(about).collect::<Vec<_>>());
}

#[test]
fn what_different_services_recorded_stays_apart() {
    let batch = common::batch("2 a @1 \n 2 b @2");
    let spans: Vec<_> = batch.spans().collect();
    assert_eq!(merge_spans(&spans).len(), 2);
}
