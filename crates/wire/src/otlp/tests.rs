//! Bodies in both encodings and what becomes of them.

use super::any_value::{push_canonical, push_key_value, read_key_value};
use super::*;
use crate::protobuf::{Reader, push_bytes_field, push_message, push_text_field, push_varint_field};
use crate::{Limits, ProtobufFault};
use proptest::prelude::*;
use tracewell_model::{
    ExtraRow, Kind, LinkRow, OwnedAnnotation, OwnedEndpoint, OwnedLink, Span, SpanBatch, SpanId, SpanRef, SpanRow,
    StatusCode, Time, TraceId, Value, ValueRef,
};

fn decode(body: &[u8]) -> Result<SpanBatch, OtlpError> {
    let mut batch = SpanBatch::new();
    decode_protobuf(body, &Limits::default(), &mut batch).map(|_| batch)
}

fn decode_text(body: &str) -> Result<SpanBatch, OtlpError> {
    let mut batch = SpanBatch::new();
    decode_json(body.as_bytes(), &Limits::default(), &mut batch).map(|_| batch)
}

/// A batch of one span with these members.
fn one(members: &str) -> SpanBatch {
    one_of(r#"[{"key":"service.name","value":{"stringValue":"svc"}}]"#, members)
}

fn one_of(resource: &str, members: &str) -> SpanBatch {
    let body = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{members}}}]}}],"resource":{{"attributes":{resource}}}}}]}}"#
    );
    decode_text(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

fn protobuf_of(batch: &SpanBatch) -> Vec<u8> {
    let mut out = vec![];
    encode_protobuf(batch.spans(), &mut out);
    out
}

fn json_of(batch: &SpanBatch) -> String {
    let mut out = vec![];
    encode_json(batch.spans(), &mut out);
    String::from_utf8(out).expect("JSON is text")
}

/// Both encodings give the spans back.
fn assert_comes_back(batch: &SpanBatch) {
    for again in [decode(&protobuf_of(batch)), decode_text(&json_of(batch))] {
        let again = again.unwrap_or_else(|error| panic!("{error}: {}", json_of(batch)));
        assert_eq!(again.len(), batch.len());
        for (a, b) in batch.spans().zip(again.spans()) {
            assert!(a.same(b), "{a:?}\n{b:?}");
        }
    }
}

#[test]
fn the_service_is_the_one_jaeger_names() {
    for (resource, service) in [
        (r#"[{"key":"service.name","value":{"stringValue":"Svc"}}]"#, "Svc"),
        (r#"[{"key":"host.name","value":{"stringValue":"h"}}]"#, MISSING_SERVICE_NAME),
        ("[]", MISSING_SERVICE_NAME),
        (r#"[{"key":"service.name","value":{"stringValue":""}}]"#, EMPTY_SERVICE_NAME),
        (r#"[{"key":"service.name","value":{"intValue":"17"}}]"#, WRONG_TYPE_SERVICE_NAME),
        (r#"[{"key":"service.name","value":{}}]"#, WRONG_TYPE_SERVICE_NAME),
        (
            r#"[{"value":{"stringValue":"a"},"key":"service.name"},{"key":"service.name","value":{"stringValue":"b"}}]"#,
            "a",
        ),
    ] {
        let batch = one_of(resource, r#""name":"n""#);
        assert_eq!(batch.span(0).service_name(), service);
        assert_comes_back(&batch);
    }
}

#[test]
fn fields_are_taken_in_any_order_and_spelling() {
    let batch = decode_text(
        r#" {"resource_spans":[null_is_no_span,{"scope_spans":[{"spans":[{"trace_id":"000000000000000000000000000000AB","spanId":
        "00000000000000cd","parent_span_id":"","kind":"SPAN_KIND_CLIENT","flags":769,"name":"n","start_time_unix_nano":1700000000000000000,
        "endTimeUnixNano":"1700000000000000001","future":[{}],"attributes":null,"status":{"code":"STATUS_CODE_ERROR"},
        "droppedEventsCount":"2"}],"scope":{"name":"lib"},"schema_url":"u"}],"resource":{"droppedAttributesCount":3}}]} "#
            .replace("null_is_no_span,", "")
            .as_str(),
    )
    .expect("a request");
    let span = batch.span(0);
    assert_eq!((span.trace_id(), span.id(), span.parent()), (TraceId::new(0xab), SpanId::new(0xcd), None));
    assert_eq!(
        (span.kind(), span.status(), span.duration()),
        (Kind::Client, StatusCode::Error, Some(Time::from_nanos(1)))
    );
    let scope = span.scope().expect("a scope");
    assert_eq!((scope.name, scope.schema_url), ("lib", "u"));
    assert_eq!(span.resource().map(|resource| resource.dropped_attributes), Some(3));
    assert_eq!(span.extra().map(|extra| (extra.otlp_flags, extra.dropped_annotations)), Some((769, 2)));
    assert_comes_back(&batch);
}

#[test]
fn kinds_have_otlps_numbers() {
    let kinds = [Kind::Unset, Kind::Internal, Kind::Server, Kind::Client, Kind::Producer, Kind::Consumer, Kind::Unset];
    for (number, kind) in kinds.into_iter().enumerate() {
        let batch = one(&format!(r#""kind":{number}"#));
        assert_eq!(batch.span(0).kind(), kind);
        assert_comes_back(&batch);
    }
}

#[test]
fn values_of_every_type_come_back() {
    let batch = one(r#""attributes":[{"key":"s","value":{"stringValue":"x"}},{"key":"b","value":{"boolValue":true}},
        {"key":"i","value":{"intValue":"-9223372036854775808"}},{"key":"j","value":{"intValue":7}},
        {"key":"d","value":{"doubleValue":2}},{"key":"n","value":{"doubleValue":"NaN"}},{"key":"inf","value":{"doubleValue":"-Infinity"}},
        {"key":"raw","value":{"bytesValue":"AQL/"}},{"key":"none","value":{}},{"key":"missing"},{"key":"null","value":null},
        {"value":{"stringValue":"keyless"}},{"key":"last","value":{"stringValue":"x","intValue":1}},
        {"key":"list","value":{"arrayValue":{"values":[{"stringValue":""},{"intValue":0},{},{"arrayValue":{}}]}}},
        {"key":"map","value":{"kvlistValue":{"values":[{"value":{"bytesValue":"AA"},"key":"k"},{"key":"","value":{"boolValue":false}}]}}}]"#);
    let tags = batch.span(0).to_span().tags;
    let value = |key: &str| tags.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
    assert_eq!(value("i"), Some(Value::I64(i64::MIN)));
    assert_eq!(value("d"), Some(Value::F64(2.0)));
    assert_eq!(value("raw"), Some(Value::Bytes(vec![1, 2, 255])));
    for key in ["none", "missing", "null"] {
        assert_eq!(value(key), Some(Value::Nested(vec![])), "{key}");
    }
    assert_eq!(value("last"), Some(Value::I64(1)));
    assert_eq!(value("list"), Some(Value::Nested(vec![42, 14, 10, 2, 10, 0, 10, 2, 24, 0, 10, 0, 10, 2, 42, 0])));
    assert_comes_back(&batch);
}

#[test]
fn arrays_and_maps_have_one_form_whatever_order_they_came_in() {
    // A map whose entry has its value first, a field nobody knows, and a length in more bytes than it needs.
    let backwards = [50, 0x8b, 0, 10, 7, 18, 2, 24, 5, 10, 1, b'k', 0x40, 1];
    let mut out = vec![];
    push_canonical(Reader::new(&backwards), &mut out, &Limits::default(), 0).expect("a map");
    assert_eq!(out, [50, 9, 10, 7, 10, 1, b'k', 18, 2, 24, 5]);
}

#[test]
fn a_span_that_ends_before_it_begins_gets_jaegers_warning() {
    let batch = one(r#""startTimeUnixNano":"1700000000000010000","endTimeUnixNano":"1700000000000005000""#);
    let span = batch.span(0);
    assert_eq!(span.duration(), Some(Time::from_nanos(1)));
    assert_eq!(
        span.warnings().collect::<Vec<_>>(),
        [
            "Negative duration detected, sanitizing end timestamp. Original end timestamp: 2023-11-14 22:13:20.000005 +0000 UTC, \
          adjusted to: 2023-11-14 22:13:20.000010001 +0000 UTC"
        ]
    );
    assert_comes_back(&batch);
    for (times, start, duration) in [
        ("", None, None),
        (r#""startTimeUnixNano":5"#, Some(5), None),
        (r#""startTimeUnixNano":5,"endTimeUnixNano":5"#, Some(5), Some(0)),
        (r#""endTimeUnixNano":5"#, Some(0), Some(5)),
    ] {
        let batch = one(times);
        let found = (batch.span(0).start(), batch.span(0).duration());
        assert_eq!(found, (start.map(Time::from_nanos), duration.map(Time::from_nanos)), "{times}");
        assert_eq!(batch.span(0).warnings().count(), 0);
        assert_comes_back(&batch);
    }
}

#[test]
fn an_events_dropped_attributes_are_its_last_detail() {
    let batch =
        one(r#""events":[{"attributes":[{"key":"a","value":{"intValue":1}}],"droppedAttributesCount":4,"name":"e"}]"#);
    let event = batch.span(0).to_span().annotations.remove(0);
    let details = [("a".to_owned(), Value::I64(1)), (DROPPED_ATTRIBUTES.to_owned(), Value::I64(4))];
    assert_eq!((event.value.as_str(), event.details), ("e", details.to_vec()));
    assert!(json_of(&batch).contains(r#""droppedAttributesCount":4"#));
    assert_comes_back(&batch);
}

#[test]
fn a_link_says_which_kind_of_reference_it_is() {
    let link =
        |value: &str| format!(r#""links":[{{"attributes":[{{"key":"opentracing.ref_type","value":{value}}}]}}]"#);
    for (value, child_of) in [(r#"{"stringValue":"child_of"}"#, true), (r#"{"stringValue":"x"}"#, false), ("{}", false)]
    {
        let batch = one(&link(value));
        assert_eq!(batch.span(0).links().next().map(|link| link.row.child_of), Some(child_of));
        assert_comes_back(&batch);
    }
    let mut batch = SpanBatch::new();
    let mut link = LinkRow::default();
    (link.child_of, link.trace_id) = (true, TraceId::new(1));
    batch.link(link);
    batch.commit(SpanRow::default()).expect("room");
    let again = decode(&protobuf_of(&batch)).expect("a request");
    let link = again.span(0).links().next().expect("a link");
    assert_eq!((link.row.child_of, link.attributes.len()), (true, 1));
}

#[test]
fn the_other_side_is_found_in_the_attributes() {
    let check = |kind: Kind, attributes: &[(&str, Value)], expect: Option<OwnedEndpoint>| {
        let mut batch = SpanBatch::new();
        let tags = attributes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        batch.push_span(&Span { kind, tags, ..Span::default() }).expect("room");
        let again = decode(&protobuf_of(&batch)).expect("a request");
        assert_eq!(again.span(0).remote().map(OwnedEndpoint::from), expect, "{attributes:?}");
        assert_comes_back(&again);
    };
    let text = |text: &str| Value::Str(text.to_owned());
    let named =
        |service: &str, port| Some(OwnedEndpoint { service: service.to_owned(), port, ..OwnedEndpoint::default() });
    let (client, server) = (Kind::Client, Kind::Server);
    check(client, &[("db.name", text("d")), ("peer.service", text("p"))], named("p", 0));
    check(server, &[("peer.service", text("p"))], named("p", 0));
    check(server, &[("server.address", text("me"))], None);
    check(client, &[("server.port", Value::I64(81)), ("server.address", text("host"))], named("host", 81));
    check(client, &[("net.peer.port", Value::I64(81))], None);
    let ipv4 = Some([10, 0, 0, 9]);
    let at = OwnedEndpoint { ipv4, port: 80, ..OwnedEndpoint::default() };
    let sent = [("network.peer.address", text("10.0.0.9")), ("network.peer.port", Value::I64(80))];
    check(client, &sent, Some(at.clone()));
    let both = [&sent[..], &[("peer.service", text("p"))]].concat();
    check(client, &both, Some(OwnedEndpoint { service: "p".to_owned(), ..at }));
}

#[test]
fn what_otlp_has_no_field_for_goes_out_as_attributes() {
    let endpoint = |service: &str, ipv4, port| OwnedEndpoint {
        service: service.to_owned(),
        ipv4,
        port,
        ..OwnedEndpoint::default()
    };
    let remote = OwnedEndpoint { ipv6: Some([0x20; 16]), ..endpoint("db", Some([1, 2, 3, 4]), 5432) };
    let span = Span {
        local: Some(endpoint("shop", Some([10, 0, 0, 1]), 8080)),
        remote: Some(remote),
        warnings: vec!["w".to_owned()],
        tags: vec![("a".to_owned(), Value::Bool(true))],
        ..Span::default()
    };
    let mut batch = SpanBatch::new();
    batch.push_span(&span).expect("room");
    let text = |text: &str| Value::Str(text.to_owned());
    let expect = [
        ("a", Value::Bool(true)),
        ("net.host.ip", text("10.0.0.1")),
        ("net.host.port", Value::I64(8080)),
        ("peer.service", text("db")),
        ("net.peer.ip", text("2020:2020:2020:2020:2020:2020:2020:2020")),
        ("net.peer.port", Value::I64(5432)),
    ];
    for again in [decode(&protobuf_of(&batch)), decode_text(&json_of(&batch))] {
        let again = again.expect("a request").span(0).to_span();
        assert_eq!(again.tags, expect.clone().map(|(key, value)| (key.to_owned(), value)));
        assert_eq!(again.warnings, ["w"]);
        let remote = again.remote.expect("a remote endpoint");
        assert_eq!((remote.service.as_str(), remote.ipv6, remote.port), ("db", Some([0x20; 16]), 5432));
        assert_eq!(again.local.expect("a local endpoint").service, "shop");
    }
}

#[test]
fn spans_are_grouped_by_what_they_share() {
    let body = r#"{"resourceSpans":[
        {"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},"scopeSpans":[
            {"scope":{"name":"s"},"spans":[{"name":"1"}]},{"spans":[{"name":"2"}]}]},
        {"scopeSpans":[{"spans":[{"name":"3"}]}]},
        {"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},"scopeSpans":[
            {"scope":{"name":"s"},"spans":[{"name":"4"}]}]}]}"#;
    let (one, two) = (decode_text(body).expect("a request"), decode_text(body).expect("a request"));
    let mut out = vec![];
    encode_json(one.spans().chain(two.spans()), &mut out);
    let names = |value: &serde_json::Value| value["name"].as_str().unwrap_or_default().to_owned();
    let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
    let groups: Vec<Vec<String>> = value["resourceSpans"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|resource| resource["scopeSpans"].as_array().expect("a list"))
        .map(|scope| scope["spans"].as_array().expect("a list").iter().map(names).collect())
        .collect();
    assert_eq!(groups, [vec!["1", "4", "1", "4"], vec!["2", "2"], vec!["3", "3"]]);
    let mut out = vec![];
    encode_protobuf(one.spans().chain(two.spans()), &mut out);
    let again = decode(&out).expect("a request");
    assert_eq!(again.spans().map(SpanRef::name).collect::<String>(), "14142233");
}

#[test]
fn what_is_refused_leaves_no_trace() {
    let nested =
        |depth: usize| format!("{}{}{}", r#"{"arrayValue":{"values":["#.repeat(depth), "{}", "]}}".repeat(depth));
    let attribute = |value: &str| {
        format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{}},{{"attributes":[{{"key":"k","value":{value}}}]}}]}}]}}]}}"#
        )
    };
    let id = |id: &str| format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{}},{{{id}}}]}}]}}]}}"#);
    for (body, expect) in [
        ("{nope", "malformed JSON"),
        ("", "End of input"),
        ("[]", "Expected BEGIN_OBJECT"),
        ("{} {}", "more than one value"),
        (&id(r#""traceId":"zz""#), "length mismatch: traceId has 2 digits instead of 32"),
        (&id(r#""spanId":"000000000000000g""#), "hexadecimal"),
        (&id(r#""parentSpanId":"abc""#), "length mismatch"),
        (&id(r#""kind":"SERVER""#), "$.resourceSpans[0].scopeSpans[0].spans[1].kind should be a kind of spans"),
        (&id(r#""flags":4294967296"#), "32 bits"),
        (&id(r#""startTimeUnixNano":-1"#), "not negative"),
        (&attribute(r#"{"intValue":"1.5"}"#), "whole number"),
        (&attribute(r#"{"bytesValue":"A"}"#), "base64"),
        (&attribute(r#"{"boolValue":"true"}"#), "Expected a boolean"),
        (&attribute(&nested(300)), "Nesting limit"),
    ] {
        let mut batch = one(r#""name":"before""#);
        let before = format!("{batch:?}");
        let error = decode_json(body.as_bytes(), &Limits::default(), &mut batch).expect_err(body);
        assert!(error.to_string().contains(expect) && !error.to_string().contains('\n'), "{error}");
        assert_eq!((batch.len(), error.rpc_code()), (1, 3));
        assert_eq!(format!("{:?}", batch.span(0)), format!("{:?}", one(r#""name":"before""#).span(0)), "{before}");
    }
    assert!(decode_text(&attribute(&nested(200))).is_ok());
}

#[test]
fn what_is_no_request_is_refused_where_it_goes_wrong() {
    assert_eq!(decode(b"").map(|batch| batch.len()), Ok(0));
    assert!(matches!(decode(&[0xff; 4]), Err(OtlpError::Protobuf(error)) if error.fault == ProtobufFault::Truncated));
    // Jaeger's answer to this body is 400.
    let short_id = [0x0a, 9, 0x12, 7, 0x12, 5, 0x0a, 3, b'a', b'b', b'c'];
    let expect = OtlpError::IdLength { field: "trace_id", unit: "bytes", expected: 16, found: 3 };
    assert_eq!(decode(&short_id).err(), Some(expect));
    let wrong_type = [0x0a, 6, 0x12, 4, 0x12, 2, 0x38, 1];
    let error = decode(&wrong_type).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some("malformed protobuf at byte 7, field 7: wrong wire type 0"));
    // Not UTF-8 is repaired, a field nobody knows is skipped, kinds nobody knows are "unset".
    let mut body = vec![];
    push_message(&mut body, 1, 9, |out| {
        push_message(out, 2, 9, |out| {
            push_message(out, 2, 9, |out| {
                push_bytes_field(out, 5, b"a\xffb");
                push_varint_field(out, 99, 1);
                push_varint_field(out, 6, 77);
            });
        });
    });
    let batch = decode(&body).expect("a request");
    assert_eq!((batch.span(0).name(), batch.span(0).kind()), ("a\u{fffd}b", Kind::Unset));
}

#[test]
fn limits_hold() {
    let limits =
        Limits { spans_max: 2, tags_max_per_span: 2, annotations_max_per_span: 1, depth_max: 2, string_bytes_max: 20 };
    let span = |members: &str| format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{members}]}}]}}]}}"#);
    let three = r#"[{"key":"a"},{"key":"b"},{"key":"c"}]"#;
    for body in [
        span("{},{},{}"),
        span(&format!(r#"{{"attributes":{three}}}"#)),
        span(&format!(r#"{{"links":[{{"attributes":{three}}}]}}"#)),
        span(r#"{"events":[{},{}]}"#),
        span(r#"{"links":[{},{}]}"#),
        span(r#"{"name":"aaaaaaaaaaaaaaaaaaaaa"}"#),
        span(r#"{"attributes":[{"key":"k","value":{"stringValue":"aaaaaaaaaaaaaaaaaaaaa"}}]}"#),
    ] {
        let batch = decode_text(&body).expect("a request");
        let mut limited = SpanBatch::new();
        let json = decode_json(body.as_bytes(), &limits, &mut limited);
        let protobuf = decode_protobuf(&protobuf_of(&batch), &limits, &mut limited);
        assert!(json.is_err() && protobuf.is_err() && limited.is_empty(), "{body}");
    }
    let deep = one(
        r#""attributes":[{"key":"k","value":{"arrayValue":{"values":[{"arrayValue":{"values":[{"intValue":1}]}}]}}}]"#,
    );
    let error = decode_protobuf(&protobuf_of(&deep), &limits, &mut SpanBatch::new()).expect_err("too deep");
    assert!(error.to_string().contains("too deep"), "{error}");
}

#[test]
fn requests_grow_span_by_span() {
    let batch = one(r#""name":"n","attributes":[{"key":"k","value":{"stringValue":"v"}}]"#);
    let resource = [("service.name", ValueRef::Str("svc"))];
    let mut writer = RequestWriter::new(resource, "lib", "1");
    assert!(writer.is_empty());
    for spans in [0, 1, 3, 1000] {
        for _ in 0..spans {
            writer.push(batch.span(0));
        }
        let mut elsewhere = vec![];
        encode_span(batch.span(0), &mut elsewhere);
        writer.push_encoded(&elsewhere, 1);
        assert_eq!(writer.len(), spans + 1);
        let len = writer.bytes_len();
        let body = writer.finish().to_vec();
        assert_eq!(body.len(), len);
        let again = decode(&body).expect("a request");
        assert_eq!(again.len(), spans + 1);
        assert!(again.spans().all(|span| {
            span.scope().is_some_and(|scope| (scope.name, scope.version) == ("lib", "1"))
                && span.service_name() == "svc"
                && span.to_span() == batch.span(0).to_span()
        }));
        assert_eq!(protobuf_of(&again).len(), len, "lengths are in shortest form");
        let message = writer.finish_grpc();
        assert_eq!((message[0], &message[1..5]), (0, &(len as u32).to_be_bytes()[..]));
        assert_eq!(message[5..], body);
        writer.clear();
    }
    assert_eq!(RequestWriter::new([], "", "").finish(), [0x0a, 2, 0x12, 0]);
}

#[test]
fn answers_come_back() {
    let fault = PartialSuccess { rejected_spans: 3, error_message: "no \"room\"".to_owned() };
    for answer in [PartialSuccess::default(), fault] {
        let (mut protobuf, mut json) = (vec![], vec![]);
        encode_response_protobuf(&answer, &mut protobuf);
        encode_response_json(&answer, &mut json);
        assert_eq!(decode_response_protobuf(&protobuf).as_ref(), Ok(&answer));
        assert_eq!(decode_response_json(&json).as_ref(), Ok(&answer));
        if answer == PartialSuccess::default() {
            assert_eq!((&protobuf[..], &json[..]), (&b"\n\0"[..], &br#"{"partialSuccess":{}}"#[..]));
        } else {
            let text = String::from_utf8_lossy(&json);
            assert_eq!(text, r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no \"room\""}}"#);
        }
    }
    let status = RpcStatus { code: 3, message: "why".to_owned() };
    let (mut protobuf, mut json) = (vec![], vec![]);
    encode_status_protobuf(&status, &mut protobuf);
    encode_status_json(&status, &mut json);
    assert_eq!((&protobuf[..], &json[..]), (&b"\x08\x03\x12\x03why"[..], &br#"{"code":3,"message":"why"}"#[..]));
    assert_eq!(decode_status_protobuf(&protobuf).as_ref(), Ok(&status));
    assert_eq!(decode_status_json(br#"{"message":"why","code":3,"details":[{"@type":"x"}]}"#), Ok(status));
    assert_eq!(decode_response_json(b"{}"), Ok(PartialSuccess::default()));
    assert_eq!(decode_response_protobuf(b""), Ok(PartialSuccess::default()));
    assert!(decode_response_json(br#"{"partialSuccess":{"rejectedSpans":-1}}"#).is_err());
}

/// Values as they come out of a decoder: arrays and maps in canonical form.
fn values() -> impl Strategy<Value = Value> {
    let scalars = prop_oneof![
        any::<String>().prop_map(Value::Str),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::I64),
        any::<i64>().prop_map(|number| Value::F64(number as f64 / 1000.0)),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
        Just(Value::Nested(vec![])),
    ];
    scalars.prop_recursive(3, 20, 5, |inner| {
        let list = proptest::collection::vec(("[a-c]{0,2}", inner), 0..5);
        (list, any::<bool>()).prop_map(|(entries, is_map)| {
            let mut bytes = vec![];
            push_message(&mut bytes, if is_map { 6 } else { 5 }, 0, |out| {
                for (key, value) in &entries {
                    let mut entry = vec![];
                    push_key_value(&mut entry, 1, key, value.as_ref());
                    if is_map {
                        out.extend_from_slice(&entry);
                        continue;
                    }
                    // An entry without its key is an element: key and length, then field 2.
                    let mut element = vec![];
                    push_key_value(&mut element, 1, "", value.as_ref());
                    let mut reader = Reader::new(&element);
                    reader.key().expect("a key");
                    let (_, value) = read_key_value(&mut reader.message().expect("one")).expect("one");
                    push_bytes_field(out, 1, value.rest());
                }
            });
            Value::Nested(bytes)
        })
    })
}

fn attributes() -> impl Strategy<Value = Vec<(String, Value)>> {
    proptest::collection::vec(("[a-z]{0,3}|.{0,12}", values()), 0..5)
}

prop_compose! {
    fn spans()(
        ids in (any::<u128>(), any::<u64>(), any::<u64>()),
        name in any::<String>(),
        kind in 0..6u8,
        times in (any::<u32>(), proptest::option::of(any::<u32>())),
        tags in attributes(),
        annotations in proptest::collection::vec((any::<u32>(), any::<String>(), attributes()), 0..4),
        links in proptest::collection::vec((any::<u128>(), any::<u64>(), attributes()), 0..4),
        status in (0..3u8, any::<String>()),
        trace_state in any::<String>(),
        warnings in proptest::collection::vec(any::<String>(), 0..3),
        service in "[a-z]{1,8}",
    ) -> Span {
        Span {
            trace_id: TraceId::new(ids.0),
            id: SpanId::new(ids.1),
            parent: Some(SpanId::new(ids.2)).filter(|id| !id.is_none()),
            name,
            kind: Kind::from_u8(kind).unwrap_or_default(),
            start: Some(Time::from_nanos(u64::from(times.0) + 1)),
            duration: times.1.map(|nanos| Time::from_nanos(nanos.into())),
            local: Some(OwnedEndpoint { service, ..OwnedEndpoint::default() }),
            tags,
            annotations: annotations
                .into_iter()
                .map(|(nanos, value, details)| OwnedAnnotation { time: Time::from_nanos(nanos.into()), value, details })
                .collect(),
            links: links
                .into_iter()
                .map(|(trace, span, attributes)| OwnedLink {
                    trace_id: TraceId::new(trace),
                    span_id: SpanId::new(span),
                    child_of: false,
                    attributes,
                })
                .collect(),
            status: StatusCode::from_u8(status.0).unwrap_or_default(),
            status_message: status.1,
            trace_state,
            warnings,
            ..Span::default()
        }
    }
}

proptest! {
    #[test]
    fn spans_come_back_from_both_encodings(spans in proptest::collection::vec(spans(), 1..4)) {
        let mut batch = SpanBatch::new();
        for span in &spans {
            prop_assert!(batch.push_span(span).is_ok());
        }
        for again in [decode(&protobuf_of(&batch)), decode_text(&json_of(&batch))] {
            let again = again.map_err(|error| TestCaseError::fail(error.to_string()))?;
            let mut found: Vec<Span> = again.spans().map(SpanRef::to_span).collect();
            // Spans of one service stand together.
            for span in &spans {
                let at = found.iter().position(|other| other == span);
                prop_assert!(at.is_some(), "{:?}\n{:?}", span, found);
                found.remove(at.unwrap_or_default());
            }
            prop_assert!(found.is_empty());
        }
    }

    #[test]
    fn counts_and_flags_come_back(counts in any::<[u32; 3]>(), flags in any::<u32>(), link in any::<[u32; 2]>()) {
        let mut batch = SpanBatch::new();
        let mut row = LinkRow::default();
        [row.otlp_flags, row.dropped_attributes] = link;
        batch.link(row);
        let mut extra = ExtraRow::default();
        [extra.dropped_tags, extra.dropped_annotations, extra.dropped_links] = counts;
        extra.otlp_flags = flags;
        let row = SpanRow { extra: Some(extra), ..SpanRow::default() };
        prop_assert!(batch.commit(row).is_ok());
        for again in [decode(&protobuf_of(&batch)), decode_text(&json_of(&batch))] {
            let again = again.map_err(|error| TestCaseError::fail(error.to_string()))?;
            let found = again.span(0).extra().copied().unwrap_or_default();
            let found = (found.otlp_flags, found.dropped_tags, found.dropped_annotations, found.dropped_links);
            prop_assert_eq!(found, (flags, counts[0], counts[1], counts[2]));
            let row = again.span(0).links().next().map(|link| *link.row).unwrap_or_default();
            prop_assert_eq!([row.otlp_flags, row.dropped_attributes], link);
        }
    }
}

#[test]
fn a_text_field_of_the_status_is_a_text() {
    let mut body = vec![];
    push_text_field(&mut body, 2, "why");
    assert_eq!(decode_status_protobuf(&body).map(|status| status.message).as_deref(), Ok("why"));
}
