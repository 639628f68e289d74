//! The language as its manual has it, and that what is written reads back.

use super::*;
use crate::{OwnedAnnotation, OwnedEndpoint, Span, SpanBatch, StatusCode, TraceId, Value};
use proptest::prelude::*;

fn span() -> Span {
    let endpoint = |service: &str| Some(OwnedEndpoint { service: service.to_owned(), ..OwnedEndpoint::default() });
    let tag = |key: &str, value: Value| (key.to_owned(), value);
    let text = |text: &str| Value::Str(text.to_owned());
    Span {
        trace_id: TraceId::new(1),
        name: "GET /cart".to_owned(),
        kind: Kind::Server,
        start: Some(Time::from_micros(1_700_000_000_000_000)),
        duration: Some(Time::from_nanos(250_000_001)),
        local: endpoint("Cart"),
        remote: endpoint("db"),
        tags: vec![
            tag("http.status_code", text("503")),
            tag("rows", Value::I64(12)),
            tag("share", Value::F64(0.5)),
            tag("retry", Value::Bool(true)),
            tag("note", text("one")),
            tag("note", text("two")),
            tag("empty", text("")),
        ],
        annotations: vec![OwnedAnnotation {
            time: Time::ZERO,
            value: "Exception".to_owned(),
            details: vec![tag("exception.message", text("connection Timeout"))],
        }],
        status: StatusCode::Error,
        status_message: "gone away".to_owned(),
        ..Span::default()
    }
}

fn meets(text: &str) -> bool {
    let mut batch = SpanBatch::new();
    let no_schema = batch.intern("");
    let resource = batch.push_resource(no_schema, 0);
    let key = batch.intern("host.name");
    batch.resource_attribute(key, crate::ValueRef::Str("node-7"));
    batch.push_span(&span()).unwrap();
    batch.span_resources[0] = resource.0;
    SpanFilter::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}")).matches(batch.span(0))
}

#[test]
fn a_span_meets() {
    for text in [
        "",
        "service:cart",
        "SERVICE:CART",
        "service:c*t name:\"get /cart\" remote:DB",
        "name:get*",
        "kind:server status:error",
        "duration>250ms duration<=250.000001ms",
        "start>=2023-11-14T22:13:20Z start<1700000000000001",
        "http.status_code=503 http.status_code>=500 http.status_code<504.5 http.status_code!=500",
        "http.status_code=5*",
        "rows=12 rows=12.0 rows>2 rows=1* share=0.5 share>0.25 retry=true",
        "note=one note=two",
        "note>ona",
        "has:rows has:db.* or has:r*s",
        "has:Exception",
        "has:host.name host.name=node-*",
        "empty=\"\" has:empty",
        "timeout \"CONNECTION TIME\" gone 503 12 get",
        "conn*out",
        "-name:health not service:other -(name:a or name:b)",
        "service:other or service:cart",
        "service != other and kind = server",
        "duration > 200ms",
        "\"http.status_code\" = \"503\"",
        "( service:cart )",
        "--service:cart",
    ] {
        assert!(meets(text), "{text}");
    }
}

#[test]
fn a_span_does_not_meet() {
    for text in [
        "service:\"\"",
        "service:car",
        "name:GET",
        "status:ok",
        "status:unset",
        "kind:client",
        "duration<=250ms",
        "duration=250ms",
        "start<2023-11-14T22:13:20Z",
        "http.status_code=50",
        "http.status_code>503",
        "absent!=1",
        "absent=1",
        "absent=\"\"",
        "note!=one",
        "note>5",
        "rows>abc has:absent",
        "rows=\"1*\"",
        "NOTE=one",
        "has:NOTE",
        "has:cart",
        "cart-service",
        "service:cart and service:other",
        "-service:cart",
    ] {
        assert!(!meets(text), "{text}");
    }
}

#[test]
fn what_is_wrong_is_pointed_at() {
    for (text, wrong, code) in [
        ("service:cart servce:x", "servce", "unknown-field"),
        ("duration>200", "200", "no-duration"),
        ("duration:>200ms", ":", "wrong-sign"),
        ("service>a", ">", "wrong-sign"),
        ("kind:srv", "srv", "unknown-kind"),
        ("a status=bad", "bad", "unknown-status"),
        ("start>noon", "noon", "no-time"),
        ("a (b or c", "(", "not-closed"),
        ("a) b", ")", "closes-nothing"),
        ("a \"b c", "\"b c", "quote-not-closed"),
        ("a \"b\\x\"", "\\x", "unknown-escape"),
        ("a\\", "\\", "unknown-escape"),
        ("a or", "", "condition-missing"),
        ("or a", "", "condition-missing"),
        ("()", "", "condition-missing"),
        ("a and and b", "", "condition-missing"),
        ("-", "", "condition-missing"),
        ("=5", "", "condition-missing"),
        ("service: ", "", "value-missing"),
        ("a= (b)", "", "value-missing"),
        ("http.*=5", "http.*", "open-key"),
        ("a>5*", "5*", "open-order"),
        ("http://x", "http", "unknown-field"),
        ("größe:1", "größe", "unknown-field"),
    ] {
        let error = SpanFilter::parse(text).expect_err(text);
        assert_eq!((&text[error.bytes.clone()], error.problem.code()), (wrong, code), "{text}");
        assert!(!error.to_string().is_empty());
    }
    let at = |text: &str| SpanFilter::parse(text).unwrap_err().bytes;
    assert_eq!((at("a or"), at("service:  "), at("a and and b")), (4..4, 10..10, 6..6));
}

#[test]
fn queries_are_bounded() {
    let code = |text: String| SpanFilter::parse(&text).map_err(|error| error.problem.code());
    assert!(code(format!("{}a{}", "(".repeat(20), ")".repeat(20))).is_ok());
    assert_eq!(code(format!("{}a{}", "(".repeat(21), ")".repeat(21))), Err("too-deep"));
    assert!(code(format!("{}a", "-".repeat(8000))).is_ok());
    assert!(code("a ".repeat(100)).is_ok());
    assert_eq!(code("a ".repeat(101)), Err("too-many-conditions"));
    assert!(code("a".repeat(8192)).is_ok());
    assert_eq!(code("ä".repeat(4097)), Err("too-long"));
}

#[test]
fn text_is_canonical() {
    for (text, canonical) in [
        ("", ""),
        ("  Service=cart   AND  kind:SERVER ", "service:cart kind:server"),
        ("service!=cart", "-service:cart"),
        ("name:\"GET /x\"  timeout", "name:\"GET /x\" \"timeout\""),
        ("a or b c or (d or e)", "\"a\" or \"b\" \"c\" or \"d\" or \"e\""),
        ("(a b) c", "\"a\" \"b\" \"c\""),
        ("-(a b) not not c", "-(\"a\" \"b\") \"c\""),
        ("duration>1000ms duration<0.5h duration=0s", "duration>1s duration<30m duration=0ms"),
        ("start<1700000000000001", "start<2023-11-14T22:13:20.000001Z"),
        ("name:GET\\ /*", "name:GET\\ /*"),
        ("\"name\"=a \"x y\"=b", "\"name\"=a \"x y\"=b"),
        ("a=http://x/?q=1", "a=http://x/?q=1"),
        ("*time*out*", "time*out"),
        ("a=\\*", "a=\"*\""),
    ] {
        let filter = SpanFilter::parse(text).unwrap();
        assert_eq!(filter.to_string(), canonical, "{text}");
        assert_eq!(SpanFilter::parse(canonical).unwrap(), filter, "{canonical}");
    }
}

#[test]
fn terms_have_their_place() {
    let places = |text: &'static str| {
        let terms = SpanFilter::parse_terms(text).unwrap();
        terms.into_iter().map(|term| &text[term.bytes]).collect::<Vec<_>>()
    };
    assert_eq!(
        places("  service:cart and -name:\"a b\"  duration > 5ms x"),
        ["service:cart", "-name:\"a b\"", "duration > 5ms", "x"]
    );
    assert_eq!(places(" a or b c "), ["a or b c"]);
    assert_eq!(places("(a b) c"), ["(a b)", "c"]);
}

#[test]
fn what_every_match_meets_is_told() {
    let filter = SpanFilter::parse("service:a (b or c) -d rows>5").unwrap();
    assert_eq!(filter.conjuncts().len(), 4);
    assert_eq!(filter.required().map(ToString::to_string).collect::<Vec<_>>(), ["service:a", "rows>5"]);
    assert_eq!(SpanFilter::parse("a").unwrap().required().count(), 1);
    assert_eq!(SpanFilter::parse("a or b").unwrap().required().count(), 0);
    assert!(SpanFilter::parse(" ").unwrap().is_all());
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let text = || prop_oneof!["[a-c/. =:\"\\\\*()<>!\n-]{0,6}", "\\PC{0,4}", Just("or".to_owned())];
    prop_oneof![
        text().prop_map(Pattern::literal),
        proptest::collection::vec(text(), 1..4).prop_map(Pattern::from_pieces)
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    use Comparison::*;
    let comparison = || prop::sample::select(vec![Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual]);
    let time = || (0..=i64::MAX as u64).prop_map(Time::from_nanos);
    let key = prop_oneof!["[a-z.]{1,5}", "\\PC{0,4}", prop::sample::select(vec!["name".to_owned(), "Not".to_owned()])];
    prop_oneof![
        pattern().prop_map(Condition::Service),
        pattern().prop_map(Condition::Name),
        pattern().prop_map(Condition::RemoteService),
        pattern().prop_map(Condition::Has),
        pattern().prop_map(|pattern| Condition::Text(pattern.trimmed())),
        (0..6u8).prop_map(|kind| Condition::Kind(Kind::from_u8(kind).unwrap())),
        prop::sample::select(vec![SpanStatus::Error, SpanStatus::Ok, SpanStatus::Unset]).prop_map(Condition::Status),
        (comparison(), time()).prop_map(|(comparison, time)| Condition::Duration(comparison, time)),
        (comparison(), time()).prop_map(|(comparison, time)| Condition::Start(comparison, time)),
        (key, comparison(), pattern()).prop_map(|(key, comparison, value)| {
            let value =
                if comparison.is_order() { Pattern::literal(value.pieces().next().unwrap_or_default()) } else { value };
            Condition::Tag { key, comparison, value: TagValue::new(value) }
        }),
    ]
}

fn filter() -> impl Strategy<Value = SpanFilter> {
    condition().prop_map(SpanFilter::Condition).prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(SpanFilter::and),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(SpanFilter::or),
            inner.prop_map(SpanFilter::negated),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(filter in filter()) {
        let text = filter.to_string();
        prop_assert_eq!(SpanFilter::parse(&text), Ok(filter), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_pointed_at(text in "\\PC{0,40}|[a-b :=<>!()\"\\\\*-]{0,24}") {
        match SpanFilter::parse(&text) {
            Ok(filter) => prop_assert_eq!(SpanFilter::parse(&filter.to_string()), Ok(filter)),
            Err(error) => prop_assert!(text.get(error.bytes).is_some()),
        }
    }
}
