//! Jaeger's formats: what is refused and how, what the decoders put right, what other formats' spans look like in them.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test says what it needs")]

use proptest::prelude::*;
use tracewell_model::{
    Endpoint, Kind, LinkRow, OwnedAnnotation, OwnedEndpoint, OwnedLink, ResourceId, Span, SpanBatch, SpanFlags, SpanId,
    SpanRow, StatusCode, StrId, Time, TraceId, Value, ValueRef,
};
use tracewell_wire::jaeger::{
    BatchEncoder, BatchForm, DecodeError, PushError, Sanitizers, ThriftProtocol, decode_agent_message,
    decode_proto_batch, decode_thrift_batch, encode_proto_post_spans, encode_proto_spans_chunk, encode_thrift_batches,
};
use tracewell_wire::{Limits, ThriftFault};

/// A batch with one span, in the binary protocol, whose fields are given as bytes.
fn http_batch(service: &str, fields: &[&[u8]]) -> Vec<u8> {
    let mut body = vec![12, 0, 1, 11, 0, 1];
    body.extend((service.len() as u32).to_be_bytes());
    body.extend(service.as_bytes());
    body.extend([0, 15, 0, 2, 12, 0, 0, 0, 1]);
    body.extend(fields.concat());
    body.extend([0, 0]);
    body
}

fn i64_field(id: u8, value: i64) -> Vec<u8> {
    [&[10, 0, id][..], &value.to_be_bytes()].concat()
}

/// The fields that a span must have.
fn required(duration: i64) -> [Vec<u8>; 8] {
    [
        i64_field(1, 7),
        i64_field(2, 0),
        i64_field(3, 8),
        i64_field(4, 0),
        vec![11, 0, 5, 0, 0, 0, 1, b'n'],
        vec![8, 0, 7, 0, 0, 0, 1],
        i64_field(8, 1_000_000),
        i64_field(9, duration),
    ]
}

fn decode(body: &[u8], sanitizers: Sanitizers) -> Result<SpanBatch, DecodeError> {
    let mut batch = SpanBatch::new();
    decode_thrift_batch(ThriftProtocol::Binary, body, sanitizers, &Limits::default(), &mut batch)?;
    Ok(batch)
}

fn with_required<'a>(required: &'a [Vec<u8>], more: &'a [u8]) -> Vec<&'a [u8]> {
    required.iter().map(Vec::as_slice).chain([more]).collect()
}

#[test]
fn a_field_that_is_required_refuses_the_batch() {
    let names =
        ["TraceIdLow", "TraceIdHigh", "SpanId", "ParentSpanId", "OperationName", "Flags", "StartTime", "Duration"];
    let fields = required(1);
    for (left_out, field) in names.into_iter().enumerate() {
        let others: Vec<_> = fields.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, f)| &f[..]).collect();
        let error = decode(&http_batch("s", &others), Sanitizers::None).unwrap_err();
        assert_eq!(error, DecodeError::Missing { structure: "Span", field });
    }
    let no_spans = [12, 0, 1, 11, 0, 1, 0, 0, 0, 1, b's', 0, 0];
    let error = decode(&no_spans, Sanitizers::None).unwrap_err();
    assert_eq!(error.to_string(), "Required field Spans of Batch is not set");
    // A field of another type is as if it were not there.
    let mut other_type = required(1);
    other_type[5] = i64_field(7, 1);
    assert!(decode(&http_batch("s", &with_required(&other_type, &[])), Sanitizers::None).is_err());
}

#[test]
fn unknown_fields_and_what_follows_the_batch_are_passed_over() {
    // A map from bool to a list of structs, as field 90.
    let unknown = [13, 0, 90, 2, 15, 0, 0, 0, 1, 1, 12, 0, 0, 0, 2, 0, 3, 0, 1, 9, 0];
    let fields = required(1);
    let mut body = http_batch("s", &with_required(&fields, &unknown));
    body.extend(b"more");
    assert_eq!(decode(&body, Sanitizers::None).unwrap().len(), 1);
}

#[test]
fn spans_may_stand_before_their_process() {
    let fields = required(1);
    let body = http_batch("s", &with_required(&fields, &[]));
    let (process, spans) = body[..body.len() - 1].split_at(12);
    let swapped = [spans, process, &[0]].concat();
    let batch = decode(&swapped, Sanitizers::None).unwrap();
    assert_eq!(batch.span(0).local().unwrap().service, "s");
    assert!(batch.span(0).same(decode(&body, Sanitizers::None).unwrap().span(0)));
}

#[test]
fn services_and_durations_are_put_right_as_by_jaeger() {
    let sanitized = |service: &str, duration: i64, sanitizers: Sanitizers| {
        let fields = required(duration);
        decode(&http_batch(service, &with_required(&fields, &[])), sanitizers).unwrap().span(0).to_span()
    };
    let service = |span: &Span| span.local.as_ref().map_or(String::new(), |local| local.service.clone());
    assert_eq!(service(&sanitized("", 1, Sanitizers::None)), "");
    assert_eq!(service(&sanitized("", 1, Sanitizers::ServiceName)), "empty-service-name");
    assert_eq!(service(&sanitized("a", 1, Sanitizers::ServiceNameAndDuration)), "a");
    let text = b"Duration can't be negative, so it is changed to default value".to_vec();
    for duration in [0, -100] {
        let span = sanitized("a", duration, Sanitizers::ServiceNameAndDuration);
        assert_eq!(span.duration, Some(Time::from_nanos(1)));
        assert_eq!(span.tags, [("InvalidNegativeDuration".to_owned(), Value::Bytes(text.clone()))]);
    }
    let span = sanitized("a", -100, Sanitizers::ServiceName);
    assert_eq!((span.duration, span.tags.len()), (Some(Time::ZERO), 1));
    assert_eq!(sanitized("a", 0, Sanitizers::ServiceName).tags, []);

    let mut batch = SpanBatch::new();
    let no_process = [10, 2, 10, 0];
    decode_proto_batch(&no_process, Sanitizers::ServiceName, &Limits::default(), &mut batch).unwrap();
    assert_eq!(batch.span(0).local().unwrap().service, "null-process-and-service-name");
}

#[test]
fn limits_hold() {
    let refused = |limits: Limits, fields: &[u8]| {
        let required = required(1);
        let body = http_batch("s", &with_required(&required, fields));
        let mut batch = SpanBatch::new();
        let error =
            decode_thrift_batch(ThriftProtocol::Binary, &body, Sanitizers::None, &limits, &mut batch).unwrap_err();
        assert!(batch.is_empty());
        error
    };
    let limits = Limits::default();
    assert_eq!(refused(Limits { spans_max: 0, ..limits }, &[]), DecodeError::TooMany { what: "spans", max: 0 });
    let tags = [15, 0, 10, 12, 0, 0, 0, 1, 11, 0, 1, 0, 0, 0, 0, 8, 0, 2, 0, 0, 0, 0, 0];
    let max = DecodeError::TooMany { what: "tags in a span", max: 0 };
    assert_eq!(refused(Limits { tags_max_per_span: 0, ..limits }, &tags), max);
    let logs = [&[15, 0, 11, 12, 0, 0, 0, 1][..], &i64_field(1, 1), &[15, 0, 2, 12, 0, 0, 0, 0, 0]].concat();
    let max = DecodeError::TooMany { what: "logs in a span", max: 0 };
    assert_eq!(refused(Limits { annotations_max_per_span: 0, ..limits }, &logs), max);
    let DecodeError::Thrift(error) = refused(Limits { string_bytes_max: 0, ..limits }, &[]) else { panic!() };
    assert_eq!(error.fault(), ThriftFault::TextTooLong { bytes: 1, bytes_max: 0 });
}

#[test]
fn an_agent_knows_its_functions() {
    let limits = Limits::default();
    let mut batch = SpanBatch::new();
    let mut send =
        |protocol, bytes: &[u8]| decode_agent_message(protocol, bytes, Sanitizers::None, &limits, &mut batch);
    let unknown = DecodeError::UnknownFunction("nope".to_owned());
    assert_eq!(send(ThriftProtocol::Compact, b"\x82\x81\x01\x04nope\0"), Err(unknown));
    assert!(send(ThriftProtocol::Compact, b"garbage").is_err());
    assert!(send(ThriftProtocol::Compact, b"").is_err());
    let no_arguments = DecodeError::Missing { structure: "emitBatch", field: "1" };
    assert_eq!(send(ThriftProtocol::Compact, b"\x82\x81\x01\x09emitBatch\0"), Err(no_arguments));
    // The old header of the binary protocol, without a version.
    let fields = required(1);
    let body = http_batch("s", &with_required(&fields, &[]));
    let old = [&b"\0\0\0\x09emitBatch\x04\0\0\0\x01\x0c\0\x01"[..], &body, &[0]].concat();
    assert_eq!(send(ThriftProtocol::Binary, &old), Ok(1));
}

#[test]
fn ids_of_wrong_lengths_are_refused_in_model_proto() {
    let request = |span: &[u8]| {
        let batch = [&[10, span.len() as u8][..], span].concat();
        let body = [&[10, batch.len() as u8][..], &batch].concat();
        let mut batch = SpanBatch::new();
        decode_proto_batch(&body, Sanitizers::None, &Limits::default(), &mut batch).map(|_| batch)
    };
    let batch = request(&[10, 8, 0, 0, 0, 0, 0, 0, 0, 9]).expect("a trace id of 8 bytes");
    assert_eq!(batch.span(0).trace_id(), TraceId::new(9));
    assert_eq!(request(&[10, 5, 1, 2, 3, 4, 5]).unwrap_err(), DecodeError::IdLength { what: "TraceID", bytes: 5 });
    assert_eq!(request(&[10, 0]).unwrap_err(), DecodeError::IdLength { what: "TraceID", bytes: 0 });
    assert_eq!(request(&[18, 1, 1]).unwrap_err(), DecodeError::IdLength { what: "SpanID", bytes: 1 });
    assert_eq!(request(&[]).expect("ids of zero").span(0).id(), SpanId::NONE);
    assert!(matches!(request(&[40 | 1, 0, 0, 0, 0, 0, 0, 0, 0]), Err(DecodeError::Protobuf(_))));
    assert!(request(&[0xf8, 0x01, 1]).is_ok(), "an unknown field");
}

#[test]
fn messages_stay_below_their_size() {
    let mut batch = SpanBatch::new();
    for id in 1..=100 {
        let tags = vec![("k".to_owned(), Value::Str("v".repeat(id as usize % 7)))];
        batch.push_span(&Span { id: SpanId::new(id), tags, ..Span::default() }).unwrap();
    }
    for form in [BatchForm::AgentCompact, BatchForm::AgentBinary, BatchForm::HttpBinary, BatchForm::HttpCompact] {
        let mut encoder = BatchEncoder::new(form);
        encoder.set_process("shop", [("hostname", ValueRef::Str("h"))].into_iter());
        for bytes_max in [300, 1000, 5000] {
            let mut ids = vec![];
            let mut take = |message: &[u8]| {
                assert!(message.len() <= bytes_max, "{form:?} {} {bytes_max}", message.len());
                let read = read(form, message);
                assert!(read.spans().all(|span| span.local().unwrap().service == "shop"));
                ids.extend(read.spans().map(|span| span.id().value()));
            };
            for span in batch.spans() {
                if let Err(error) = encoder.push(span, bytes_max) {
                    assert_eq!(error, PushError::Full);
                    assert_eq!(encoder.finish().len(), encoder.bytes_len());
                    take(encoder.finish());
                    encoder.clear();
                    encoder.push(span, bytes_max).unwrap();
                }
            }
            take(encoder.finish());
            encoder.clear();
            assert!(ids.iter().copied().eq(1..=100), "{form:?} {bytes_max}: {ids:?}");
        }
        assert!(matches!(encoder.push(batch.span(0), 40), Err(PushError::TooLarge { bytes_max: 40, .. })));
        assert_eq!(encoder.spans_len(), 0);
        // A message that was given may go on.
        encoder.push(batch.span(0), 1000).unwrap();
        assert_eq!(read(form, encoder.finish()).len(), 1);
        encoder.push(batch.span(1), 1000).unwrap();
        assert_eq!(read(form, encoder.finish()).len(), 2);
        assert_eq!(encoder.finish().len(), encoder.bytes_len());
    }
}

fn read(form: BatchForm, message: &[u8]) -> SpanBatch {
    let mut batch = SpanBatch::new();
    let (limits, none) = (Limits::default(), Sanitizers::None);
    match form {
        BatchForm::AgentCompact => decode_agent_message(ThriftProtocol::Compact, message, none, &limits, &mut batch),
        BatchForm::AgentBinary => decode_agent_message(ThriftProtocol::Binary, message, none, &limits, &mut batch),
        BatchForm::HttpBinary => decode_thrift_batch(ThriftProtocol::Binary, message, none, &limits, &mut batch),
        BatchForm::HttpCompact => decode_thrift_batch(ThriftProtocol::Compact, message, none, &limits, &mut batch),
    }
    .expect("what was encoded");
    batch
}

/// The spans of a batch as Jaeger has them.
fn through_jaeger(batch: &SpanBatch) -> Vec<Span> {
    let mut proto = vec![];
    encode_proto_post_spans(batch.spans(), &mut proto);
    let mut again = SpanBatch::new();
    decode_proto_batch(&proto, Sanitizers::None, &Limits::default(), &mut again).unwrap();
    again.spans().map(|span| span.to_span()).collect()
}

fn text(value: &str) -> Value {
    Value::Str(value.to_owned())
}

fn tags(expect: &[(&str, Value)]) -> Vec<(String, Value)> {
    expect.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

#[test]
fn a_span_of_zipkin_s_says_the_same_in_jaeger_s_tags() {
    let endpoint = |service: &str, v6: bool| OwnedEndpoint {
        service: service.to_owned(),
        ipv4: Some([10, 0, 0, 1]),
        ipv6: v6.then(|| "2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets()),
        port: 80,
        ..OwnedEndpoint::default()
    };
    let mut batch = SpanBatch::new();
    let span = Span {
        kind: Kind::Client,
        local: Some(endpoint("shop", false)),
        remote: Some(endpoint("db", true)),
        tags: tags(&[("error", text("boom")), ("a", text("b"))]),
        annotations: vec![OwnedAnnotation { time: Time::from_micros(5), value: "ws".to_owned(), details: vec![] }],
        parent: Some(SpanId::new(3)),
        ..Span::default()
    };
    batch.push_span(&span).unwrap();
    batch
        .push_span(&Span { tags: tags(&[("error", text("true"))]), start: Some(Time::ZERO), ..Span::default() })
        .unwrap();
    let spans = through_jaeger(&batch);
    let expect = tags(&[
        ("error", text("boom")),
        ("a", text("b")),
        ("span.kind", text("client")),
        ("otel.status_code", text("ERROR")),
        ("error", Value::Bool(true)),
        ("net.host.ip", text("10.0.0.1")),
        ("net.host.port", Value::I64(80)),
        ("peer.service", text("db")),
        ("net.peer.ip", text("2001:db8::1")),
        ("net.peer.port", Value::I64(80)),
        ("otel.zipkin.absentField.startTime", Value::Bool(true)),
    ]);
    assert_eq!(spans[0].tags, expect);
    assert_eq!((spans[0].kind, spans[0].status, spans[0].parent), (Kind::Client, StatusCode::Error, span.parent));
    assert_eq!(spans[0].annotations, span.annotations);
    assert_eq!(spans[0].local.as_ref().unwrap().service, "shop");
    assert_eq!(spans[1].tags, tags(&[("otel.status_code", text("ERROR")), ("error", Value::Bool(true))]));
    assert_eq!(spans[1].local.as_ref().unwrap().service, "missing-service-name");
}

#[test]
fn a_span_of_otlp_s_says_the_same_in_jaeger_s_tags() {
    let mut batch = SpanBatch::new();
    let service_name = batch.intern("service.name");
    let resource = batch.push_resource(StrId::default(), 0);
    batch.resource_attribute(service_name, ValueRef::Str("shop"));
    let host = batch.intern("host");
    batch.resource_attribute(host, ValueRef::Str("h1"));
    let (name, version) = (batch.intern("lib"), batch.intern("1"));
    let scope = batch.push_scope(name, version, StrId::default(), 0);
    let service = batch.intern("shop");
    let local = batch.intern_endpoint(Endpoint { service, ..Endpoint::default() });
    let trace_id = TraceId::new(1);
    let mut link = LinkRow::default();
    (link.trace_id, link.span_id) = (trace_id, SpanId::new(9));
    batch.link(link);
    let list = batch.intern("list");
    batch.tag(list, ValueRef::Nested(&[5 << 3 | 2, 4, 1 << 3 | 2, 2, 3 << 3, 7]));
    let mut extra = tracewell_model::ExtraRow::default();
    extra.status = StatusCode::Error;
    extra.status_message = batch.push_text("why");
    extra.trace_state = batch.push_text("a=b");
    let parent = SpanId::new(9);
    let start = Some(Time::from_nanos(1));
    let row = SpanRow {
        trace_id,
        parent,
        start,
        local,
        resource,
        scope,
        extra: Some(extra),
        kind: Kind::Internal,
        ..SpanRow::default()
    };
    batch.commit(row).unwrap();

    let spans = through_jaeger(&batch);
    let expect = tags(&[
        ("otel.scope.name", text("lib")),
        ("otel.scope.version", text("1")),
        ("list", text("[7]")),
        ("span.kind", text("internal")),
        ("otel.status_code", text("ERROR")),
        ("error", Value::Bool(true)),
        ("otel.status_description", text("why")),
        ("w3c.tracestate", text("a=b")),
    ]);
    assert_eq!(spans[0].tags, expect);
    assert_eq!((spans[0].status_message.as_str(), spans[0].trace_state.as_str()), ("why", "a=b"));
    // A link to the parent stands for it.
    assert_eq!(spans[0].parent, Some(parent));
    assert_eq!(spans[0].links.iter().map(|link| link.child_of).collect::<Vec<_>>(), [false]);
    let mut chunk = vec![];
    encode_proto_spans_chunk(batch.spans(), &mut chunk);
    let process = b"\x0a\x04shop\x12\x0a\x0a\x04host\x1a\x02h1";
    assert!(chunk.windows(process.len()).any(|bytes| bytes == process), "{chunk:x?}");
}

#[test]
fn the_parent_is_found_as_jaeger_finds_it() {
    let reference = |kind: u8, trace: i64, span: i64| {
        let ids = [i64_field(2, trace), i64_field(3, 0), i64_field(4, span)].concat();
        [&[8, 0, 1, 0, 0, 0, kind][..], &ids, &[0]].concat()
    };
    let span = |parent: i64, references: &[Vec<u8>]| {
        let mut fields = required(1);
        fields[3] = i64_field(4, parent);
        let list = [&[15, 0, 6, 12, 0, 0, 0, references.len() as u8][..], &references.concat()].concat();
        let batch = decode(&http_batch("s", &with_required(&fields, &list)), Sanitizers::None).unwrap();
        let span = batch.span(0);
        (span.parent().map(SpanId::value), span.links().len(), span.flags().contains(SpanFlags::PARENT_IN_LINKS))
    };
    assert_eq!(span(0, &[]), (None, 0, false));
    assert_eq!(span(5, &[]), (Some(5), 0, false));
    assert_eq!(span(0, &[reference(1, 7, 4), reference(0, 99, 5), reference(0, 7, 6)]), (Some(6), 3, true));
    assert_eq!(span(0, &[reference(0, 99, 5), reference(1, 7, 4)]), (Some(4), 2, true));
    assert_eq!(span(0, &[reference(0, 99, 5)]), (None, 1, false));
    assert_eq!(span(5, &[reference(0, 7, 6)]), (Some(5), 1, false));
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        ".{0,5}".prop_map(Value::Str),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::I64),
        any::<f64>().prop_map(Value::F64),
        proptest::collection::vec(any::<u8>(), 0..4).prop_map(Value::Bytes),
    ]
}

fn fields() -> impl Strategy<Value = Vec<(String, Value)>> {
    let key =
        prop_oneof!["[a-c]{0,2}", Just("event".to_owned()), Just("error".to_owned()), Just("span.kind".to_owned())];
    proptest::collection::vec((key, value()), 0..4)
}

fn span() -> impl Strategy<Value = Span> {
    let annotation = ("[a-z]{0,3}", 0..1u64 << 50, fields());
    let annotation = annotation.prop_map(|(value, micros, details)| OwnedAnnotation {
        time: Time::from_micros(micros),
        value,
        details,
    });
    let link = (0..3u64, 0..3u64, any::<bool>()).prop_map(|(trace, span, child_of)| OwnedLink {
        trace_id: TraceId::new(u128::from(trace)),
        span_id: SpanId::new(span),
        child_of,
        attributes: vec![],
    });
    let lists = (fields(), proptest::collection::vec(annotation, 0..3), proptest::collection::vec(link, 0..3));
    ((0..3u64, any::<u64>(), 0..3u64), ".{0,5}", 0..1u64 << 60, 0..1u64 << 40, any::<bool>(), lists).prop_map(
        |((trace, id, parent), name, start, duration, debug, (tags, annotations, links))| Span {
            trace_id: TraceId::new(u128::from(trace)),
            id: SpanId::new(id),
            parent: (parent != 0).then(|| SpanId::new(parent)),
            name,
            start: Some(Time::from_micros(start / 1000)),
            duration: Some(Time::from_micros(duration)),
            debug,
            tags,
            annotations,
            links,
            ..Span::default()
        },
    )
}

proptest! {
    /// Whatever a span is, Jaeger has one form of it: what came out of any encoding comes out of every other.
    #[test]
    fn all_encodings_agree(spans in proptest::collection::vec(span(), 0..4)) {
        let mut batch = SpanBatch::new();
        for span in &spans {
            batch.push_span(span).unwrap();
        }
        let mut proto = vec![];
        encode_proto_post_spans(batch.spans(), &mut proto);
        for form in [BatchForm::AgentCompact, BatchForm::AgentBinary, BatchForm::HttpBinary, BatchForm::HttpCompact] {
            let mut read_back = SpanBatch::new();
            let left_out = encode_thrift_batches(form, batch.spans(), usize::MAX, |message| {
                for span in read(form, message).spans() {
                    read_back.push_copy(span).unwrap();
                }
            });
            prop_assert_eq!((left_out, read_back.len()), (0, spans.len()));
            let mut again = vec![];
            encode_proto_post_spans(read_back.spans(), &mut again);
            prop_assert_eq!(&again, &proto);
        }
    }
}

#[test]
fn resources_are_shared_by_the_spans_of_a_process() {
    let mut batch = SpanBatch::new();
    let body = [12, 0, 1, 11, 0, 1, 0, 0, 0, 1, b's', 0, 15, 0, 2, 12, 0, 0, 0, 0, 0];
    let decoded = decode_thrift_batch(ThriftProtocol::Binary, &body, Sanitizers::None, &Limits::default(), &mut batch);
    assert_eq!(decoded, Ok(0));
    assert!(batch.resource(ResourceId(1)).is_none(), "a process without tags needs none");
}
