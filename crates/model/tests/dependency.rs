//! Dependency links by Zipkin's rules: each case is one recorded from Zipkin 3.5.1 (the scenarios 30 to 33 of its goldens).

mod common;

use tracewell_model::{DependencyLinker, SpanRef};

/// `links` as `parent>child calls/errors`, sorted, separated by commas.
fn check(spans: &str, links: &str) {
    let batch = common::batch(spans);
    let spans: Vec<SpanRef<'_>> = batch.spans().collect();
    for spans in [spans.clone(), spans.into_iter().rev().collect()] {
        let mut linker = DependencyLinker::default();
        linker.put_trace(&spans);
        let found: Vec<_> = linker
            .links()
            .into_iter()
            .map(|link| match link.error_count {
                0 => format!("{}>{} {}", link.parent, link.child, link.call_count),
                errors => format!("{}>{} {}/{errors}", link.parent, link.child, link.call_count),
            })
            .collect();
        assert_eq!(found.join(", "), links, "of {spans:#?}");
    }
}

#[test]
fn calls_told_by_client_and_server() {
    check("CLIENT 1 a:b \n SERVER 1>2 b:a", "a>b 1");
    check("CLIENT 1 a:b \n SERVER 1 b:a shared", "a>b 1");
    check("CLIENT 1 a:b \n SERVER 1 b", "a>b 1");
    check("CLIENT 1 a:lb \n SERVER 1>2 b:x", "a>b 1");
    check("CLIENT 1 a \n SERVER 1>2 b:proxy", "a>b 1");
    check("SERVER 1 a \n CLIENT 1>2 a \n SERVER 1>2 b shared \n CLIENT 2>3 b:db", "a>b 1, b>db 1");
    check("SERVER 1 a \n CLIENT 1>2 a:a \n SERVER 2>3 a:a", "a>a 1");
    check("SERVER 1 a \n CLIENT 1>2 a \n SERVER 2 b shared", "a>b 1");
    check("CLIENT 1 a:b \n SERVER 1 b shared \n CLIENT 1>2 b:c \n SERVER 1>2 c shared", "a>b 1, b>c 1");
}

#[test]
fn calls_told_by_one_side() {
    check("SERVER 1 b:a", "a>b 1");
    check("SERVER 1 b", "");
    check("CLIENT 1 a:b", "a>b 1");
    check("CLIENT 1 a", "");
    check("SERVER 1 a \n SERVER 1>2 b \n SERVER 2>3 c", "a>b 1, b>c 1");
    check("CLIENT 1 a:b \n CLIENT 1>2 b:c \n CLIENT 2>3 c:d", "b>c 1, c>d 1");
    check("CLIENT 1 a:b \n SERVER 1>2", "");
    check("SERVER 1 a \n CLIENT 1>2 b:c error=", "a>b 1, b>c 1/1");
}

#[test]
fn local_spans_and_unknown_kinds() {
    check("SERVER 1 a \n 1>2 a \n 2>3 a \n CLIENT 3>4 a:b \n SERVER 4>5 b", "a>b 1");
    check("1 a:b", "a>b 1");
    check("1 a", "");
    check("1 a \n 1>2 b \n 2>3 c", "");
    check("CLIENT 1 a:b \n 1>2 a", "");
    check("SERVER 1 a \n CLIENT 1>2 :mysql", "a>mysql 1");
}

#[test]
fn messages_are_linked_to_their_broker() {
    check("PRODUCER 1 a:kafka error= \n CONSUMER 1>2 b:kafka error=x", "a>kafka 1/1, kafka>b 1/1");
    check("PRODUCER 1 a \n CONSUMER 1>2 b", "");
}

#[test]
fn errors_are_counted_once_a_call() {
    check("CLIENT 1 a:b error= \n SERVER 1>2 b", "a>b 1/1");
    check("CLIENT 1 a:b \n SERVER 1>2 b error=500", "a>b 1/1");
    check("CLIENT 1 a:b error= \n SERVER 1>2 b error=", "a>b 1/1");
    check("CLIENT 1 a:b error= \n SERVER 1 b shared", "a>b 1");
    check("CLIENT 1 a:b \n SERVER 1 b shared error=", "a>b 1/1");
    check("CLIENT 1 a:b error= \n 1>2 a \n SERVER 2>3 b", "a>b 1");
    check("SERVER 1 a \n CLIENT 1>2 a:b error= \n CLIENT 1>3 a:b", "a>b 2/1");
}

#[test]
fn loops_and_missing_parents_end() {
    check("CLIENT 2>1 a:b \n CLIENT 1>2 b:a", "");
    check("SERVER 9>1 b:a \n CLIENT 8>2 b:c", "a>b 1, b>c 1");
}

#[test]
fn pieces_of_a_span_count_once() {
    check("CLIENT 1 a:b @5+1 \n SERVER 1>2 b @6 \n SERVER 1>2 b late=1", "a>b 1");
    check("CLIENT 1 a:b @5+1 \n SERVER 1>2 b @6 \n 1>2 b", "a>b 1");
}
