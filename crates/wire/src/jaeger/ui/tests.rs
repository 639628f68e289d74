//! The answers' JSON and the adjusters, on traces made for them. What Jaeger 1.76 itself answered is replayed by `e2e`.

use super::*;
use std::time::Duration;
use tracewell_model::{SpanId, TraceId, Value};

const TRACE: TraceId = TraceId::new(0x1f);
const DEFAULT: Adjustments = Adjustments { clock_skew_max: Duration::ZERO };

fn span(id: u64, parent: u64, start_ms: i128, duration_ms: i128, host: &str) -> UiSpan {
    let reference = UiReference { trace_id: TRACE, span_id: SpanId::new(parent), child_of: true };
    let ip = UiTag { key: "ip".to_owned(), value: Value::Str(host.to_owned()) };
    UiSpan {
        trace_id: TRACE,
        id: SpanId::new(id),
        references: if parent == 0 { vec![] } else { vec![reference] },
        start_ns: start_ms * 1_000_000,
        duration_ns: duration_ms * 1_000_000,
        process: UiProcess { service: "s".to_owned(), tags: vec![ip] },
        ..UiSpan::default()
    }
}

fn adjusted(spans: Vec<UiSpan>, adjustments: Adjustments) -> Vec<UiSpan> {
    let mut trace = UiTrace { spans };
    adjustments.adjust(&mut trace);
    trace.spans
}

fn tag(key: &str, value: Value) -> UiTag {
    UiTag { key: key.to_owned(), value }
}

fn kind(text: &str) -> UiTag {
    tag("span.kind", Value::Str(text.to_owned()))
}

#[test]
fn json_is_jaegers() {
    let mut one = span(2, 1, 1000, 5, "h");
    one.flags = 1;
    one.name = "GET \"/\"".to_owned();
    one.tags = vec![
        tag("b", Value::Bool(true)),
        tag("safe", Value::I64((1 << 53) - 1)),
        tag("unsafe", Value::I64(1 << 53)),
        tag("bytes", Value::Bytes(b"foob".to_vec())),
        tag("small", Value::F64(1.5e-7)),
        tag("large", Value::F64(1e21)),
        tag("nan", Value::F64(f64::NAN)),
    ];
    one.logs = vec![UiLog { time_ns: 1_000_001_999, fields: vec![tag("event", Value::Str("e".to_owned()))] }];
    let mut out = vec![];
    UiTrace { spans: vec![one] }.encode(&mut out);
    let expected = concat!(
        r#"{"traceID":"000000000000001f","spans":[{"traceID":"000000000000001f","spanID":"0000000000000002","flags":1,"#,
        r#""operationName":"GET \"/\"","references":[{"refType":"CHILD_OF","traceID":"000000000000001f","#,
        r#""spanID":"0000000000000001"}],"startTime":1000000,"duration":5000,"tags":[{"key":"b","type":"bool","value":true},"#,
        r#"{"key":"safe","type":"int64","value":9007199254740991},{"key":"unsafe","type":"int64","value":"9007199254740992"},"#,
        r#"{"key":"bytes","type":"binary","value":"Zm9vYg=="},{"key":"small","type":"float64","value":1.5e-7},"#,
        r#"{"key":"large","type":"float64","value":1e+21},{"key":"nan","type":"float64","value":"NaN"}],"#,
        r#""logs":[{"timestamp":1000001,"fields":[{"key":"event","type":"string","value":"e"}]}],"processID":"p1","#,
        r#""warnings":null}],"processes":{"p1":{"serviceName":"s","tags":[{"key":"ip","type":"string","value":"h"}]}},"#,
        r#""warnings":null}"#
    );
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn a_shared_id_is_told_apart() {
    let (mut client, mut server) = (span(1, 0, 0, 100, ""), span(1, 0, 10, 50, ""));
    client.tags = vec![kind("client")];
    server.tags = vec![kind("server")];
    // Ids that are taken are passed over.
    let spans = adjusted(vec![client, server, span(7, 1, 20, 10, "")], DEFAULT);
    let found: Vec<_> = spans.iter().map(|span| (span.id.value(), span.parent().map(SpanId::value))).collect();
    assert_eq!(found, [(1, None), (2, Some(1)), (7, Some(2))]);
}

#[test]
fn copies_go_whatever_the_order_of_their_tags() {
    let (a, b) = (tag("a", Value::I64(1)), tag("b", Value::I64(2)));
    let (mut one, mut two) = (span(1, 0, 0, 1, ""), span(1, 0, 0, 1, ""));
    (one.tags, two.tags) = (vec![a.clone(), b.clone()], vec![b, a]);
    assert_eq!(adjusted(vec![one, two], DEFAULT).len(), 1);
}

#[test]
fn clocks_are_set_right_only_where_that_is_wanted() {
    let spans = || vec![span(1, 0, 60_000, 100, "a"), span(2, 1, 55_000, 50, "b"), span(3, 2, 55_001, 2, "b")];
    let told = adjusted(spans(), DEFAULT);
    assert_eq!(told[1].warnings, ["clock skew adjustment disabled; not applying calculated delta of 5.025s"]);
    assert_eq!(told[1].start_ns, 55_000_000_000);
    let moved = adjusted(spans(), Adjustments { clock_skew_max: Duration::from_secs(3600) });
    assert_eq!((moved[1].start_ns, moved[2].start_ns), (60_025_000_000, 60_026_000_000));
    assert_eq!(moved[2].warnings, ["This span's timestamps were adjusted by 5.025s"]);
    let too_far = adjusted(spans(), Adjustments { clock_skew_max: Duration::from_secs(1) });
    let text = "max clock skew adjustment delta of 1s exceeded; not applying calculated delta of 5.025s";
    assert_eq!(too_far[1].warnings, [text]);
}

#[test]
fn loops_and_missing_parents_end() {
    let spans =
        adjusted(vec![span(1, 2, 0, 1, ""), span(2, 1, 0, 1, ""), span(3, 3, 0, 1, ""), span(4, 9, 0, 1, "")], DEFAULT);
    assert_eq!(spans[0].warnings, [""; 0]);
    assert_eq!(spans[3].warnings, ["invalid parent span IDs=0000000000000009; skipping clock skew adjustment"]);
}

#[test]
fn references_to_no_trace_go_and_the_parent_is_first() {
    let mut one = span(2, 1, 0, 1, "");
    let parent = one.references[0];
    let nowhere = UiReference { trace_id: TraceId::new(0), ..parent };
    let follows = UiReference { span_id: SpanId::new(9), child_of: false, ..parent };
    one.references = vec![nowhere, follows, parent];
    let spans = adjusted(vec![span(1, 0, 0, 1, ""), one], DEFAULT);
    assert_eq!(spans[1].references, [parent, follows]);
    assert!(spans[1].warnings[0].starts_with("Invalid span reference removed "), "{:?}", spans[1].warnings);
}

#[test]
fn a_batch_says_what_the_trace_said() {
    let mut one = span(2, 1, 1000, 5, "h");
    one.flags = 5;
    one.tags = vec![kind("client"), tag("n", Value::F64(1.5))];
    one.logs = vec![UiLog {
        time_ns: 1_000_001_999,
        fields: vec![tag("event", Value::Str("e".to_owned())), tag("k", Value::I64(1))],
    }];
    one.warnings = vec!["w".to_owned()];
    let trace = UiTrace { spans: vec![one] };
    let batch = trace.to_batch().unwrap();
    assert_eq!(UiTrace::of(batch.spans()), trace);
}
