//! Zipkin v2 JSON held against what the real Zipkin did with the same bodies, and against itself.

#![expect(clippy::expect_used, reason = "a test says what it needs")]

use proptest::prelude::*;
use serde_json::Value as Json;
use std::fs;
use std::path::{Path, PathBuf};
use tracewell_model::{
    Kind, OwnedAnnotation, OwnedEndpoint, Span, SpanBatch, SpanId, Time, TraceId, Value, compare_utf16, write_image,
};
use tracewell_wire::zipkin_v2::{DecodeError, DecodeFault, decode_json, encode_spans};
use tracewell_wire::{Limits, SpanEncoding};

/// What a body becomes: the spans written again, or the text of the refusal. A refusal must leave the batch as it was.
fn answer(body: &[u8]) -> Result<String, String> {
    let mut batch = SpanBatch::new();
    let before = br#"[{"traceId":"a","id":"b","name":"n","localEndpoint":{"serviceName":"s"},"tags":{"k":"v"}}]"#;
    decode_json(before, &Limits::default(), &mut batch).expect("a good body");
    let before = image(&batch);
    match decode_json(body, &Limits::default(), &mut batch) {
        Ok(spans) => {
            assert_eq!(batch.len(), 1 + spans);
            Ok(encode(&batch, 1))
        }
        Err(error) => {
            assert_eq!(image(&batch), before, "a refused body left something behind");
            Err(error.to_string())
        }
    }
}

fn encode(batch: &SpanBatch, from: usize) -> String {
    let mut out = vec![];
    encode_spans(batch.spans().skip(from), &mut out);
    String::from_utf8(out).expect("JSON is UTF-8")
}

fn image(batch: &SpanBatch) -> Vec<u8> {
    let mut image = vec![];
    write_image(batch, &mut image);
    image
}

fn fixtures(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zipkin").join(folder)
}

/// The files of a folder that are bodies.
fn bodies(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(fixtures(folder)).expect("the fixtures' folder");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| !path.to_string_lossy().ends_with(".answer.json"));
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

#[test]
fn every_recorded_body_is_answered_as_zipkin_answered_it() {
    let recorded = fs::read_to_string(fixtures("answers.ndjson")).expect("the recorded answers");
    let mut rows = 0;
    for line in recorded.lines() {
        let row: Json = serde_json::from_str(line).expect("a row");
        let body = match (&row["body"], &row["body_hex"]) {
            (Json::String(body), _) => body.clone().into_bytes(),
            (_, Json::String(hex)) => unhex(hex),
            _ => panic!("a row without a body: {line}"),
        };
        let expected = match (row["spans"].as_str(), row["error"].as_str()) {
            (Some(spans), None) => Ok(spans.to_owned()),
            (None, Some(error)) => Err(error.to_owned()),
            _ => panic!("a row with no one answer: {line}"),
        };
        assert_eq!(answer(&body), expected, "{}", String::from_utf8_lossy(&body));
        rows += 1;
    }
    assert!(rows > 1000, "only {rows} rows");
}

#[test]
fn what_zipkin_wrote_comes_back_byte_for_byte() {
    for path in bodies("vectors") {
        let body = fs::read_to_string(&path).expect("a vector");
        assert_eq!(answer(body.as_bytes()), Ok(body), "{}", path.display());
    }
}

#[test]
fn bodies_of_real_clients_and_traces_are_answered_as_by_zipkin() {
    for path in [bodies("clients"), bodies("traces")].concat() {
        let body = fs::read(&path).expect("a body");
        let expected = fs::read_to_string(path.with_extension("answer.json")).expect("its answer");
        assert_eq!(answer(&body), Ok(expected), "{}", path.display());
    }
}

/// Where Tracewell does otherwise than Zipkin 3.5.1, and why.
#[test]
fn known_differences() {
    let check = |body: &str, expect: &str| assert_eq!(answer(body.as_bytes()).as_deref(), Ok(expect));
    // Zipkin keeps times before the epoch in annotations (and drops them in spans); the model has none.
    check(
        r#"[{"traceId":"1","id":"1","annotations":[{"timestamp":-5,"value":"x"}]}]"#,
        r#"[{"traceId":"0000000000000001","id":"0000000000000001","annotations":[{"timestamp":0,"value":"x"}]}]"#,
    );
    // Zipkin prints 32 digits for an id of 17 to 31 digits even if the upper 16 are zeros, and does not find it by 16.
    check(
        r#"[{"traceId":"00000000000000003","id":"2"}]"#,
        r#"[{"traceId":"0000000000000003","id":"0000000000000002"}]"#,
    );
    // Zipkin ends these answers in NUL bytes.
    check(
        r#"[{"traceId":"1","id":"1","name":"é\u2028"}]"#,
        r#"[{"traceId":"0000000000000001","id":"0000000000000001","name":"é\u2028"}]"#,
    );
    check(
        r#"[{"traceId":"1","id":"1","name":"\ud83d\ud83d\ude00"}]"#,
        r#"[{"traceId":"0000000000000001","id":"0000000000000001","name":"?😀"}]"#,
    );
    // Zipkin answers 500 to a lone line feed.
    assert_eq!(answer(b"\n"), Err("Expected a JSON_V2 encoded list\n".to_owned()));
}

#[test]
fn the_encoding_is_looked_at_before_decoding() {
    let decode = |body: &[u8]| decode_json(body, &Limits::default(), &mut SpanBatch::new());
    let wrong = |fault| Err(DecodeError { encoding: SpanEncoding::JsonV2, fault });
    assert_eq!(decode(b""), Ok(0));
    assert_eq!(decode(b"[]"), Ok(0));
    assert_eq!(decode(b" []"), wrong(DecodeFault::NotAList));
    assert_eq!(decode(b"{}"), wrong(DecodeFault::NotAList));
    assert_eq!(decode(b"\xef\xbb\xbf[]"), wrong(DecodeFault::NotAList));
    assert_eq!(decode(br#"[{"binaryAnnotations":[]}]"#), wrong(DecodeFault::OtherEncoding(SpanEncoding::JsonV1)));
    let text = |body: &[u8]| decode(body).map_err(|error| error.to_string());
    let received_v1 = "Expected a JSON_V2 encoded list, but received: JSON_V1\n";
    assert_eq!(text(br#"[{"binaryAnnotations":[]}]"#), Err(received_v1.to_owned()));
    // Protobuf and thrift labelled JSON pass the first look, as in Zipkin.
    for body in [&b"\n\x14\x0a\x08"[..], b"\x0c\0\0\0\0", b"\x0b"] {
        let error = decode(body).expect_err("no JSON");
        assert!(!error.is_wrong_encoding());
        assert_eq!(error.to_string(), "Malformed reading List<Span> from json");
    }
    assert_eq!(text(b"\n[{\"traceId\":\"1\",\"id\":\"1\"}]"), Ok(1));
    assert!(decode(b"{}").is_err_and(|error| error.is_wrong_encoding()));
}

#[test]
fn a_body_cut_anywhere_is_refused_without_a_trace() {
    let mut cut_bodies = 0;
    for path in [bodies("vectors"), bodies("clients")].concat() {
        let body = fs::read(&path).expect("a body");
        let body = &body[..body.trim_ascii_end().len().min(1500)];
        for cut in 1..body.len() {
            assert!(answer(&body[..cut]).is_err(), "{} cut at {cut}", path.display());
            cut_bodies += 1;
        }
    }
    assert!(cut_bodies > 5_000);
}

#[test]
fn depth_is_bounded_without_recursion() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let body = |depth: usize| {
            let close = close.repeat(depth);
            format!("[{{\"traceId\":\"1\",\"id\":\"1\",\"x\":{}1{close}}}]", open.repeat(depth))
        };
        assert!(answer(body(253).as_bytes()).is_ok());
        let error = answer(body(100_000).as_bytes()).expect_err("too deep");
        assert!(error.starts_with("Nesting limit 255 reached at line 1 column "), "{error}");
        assert!(error.len() < 2000, "{}", error.len());
    }
}

#[test]
fn limits_are_named() {
    let spans = format!("[{}]", [r#"{"traceId":"1","id":"1"}"#; 4].join(","));
    let tags = r#"[{"traceId":"1","id":"1","tags":{"a":"1","b":"2","c":"3","d":"4"}}]"#;
    let annotation = r#"{"timestamp":1,"value":"x"}"#;
    let annotations = format!(r#"[{{"traceId":"1","id":"1","annotations":[{}]}}]"#, [annotation; 4].join(","));
    let text = r#"[{"traceId":"1","id":"1","name":"long enough"}]"#;
    let with = |body: &str, limits: Limits| {
        let mut batch = SpanBatch::new();
        let result = decode_json(body.as_bytes(), &limits, &mut batch).map_err(|error| error.to_string());
        assert_eq!(result.is_err(), batch.is_empty());
        result
    };
    let many = |what: &str| Err(format!("More than 3 {what} reading List<Span> from json"));
    let default = Limits::default;
    assert_eq!(with(&spans, Limits { spans_max: 3, ..default() }), many("spans"));
    assert_eq!(with(tags, Limits { tags_max_per_span: 3, ..default() }), many("tags in a span"));
    assert_eq!(with(&annotations, Limits { annotations_max_per_span: 3, ..default() }), many("annotations in a span"));
    let place = "at line 1 column 46 path $[0].name";
    let too_long = format!("a text of 11 bytes is longer than 10 bytes {place} reading List<Span> from json");
    assert_eq!(with(text, Limits { string_bytes_max: 10, ..default() }), Err(too_long));
    let exact =
        Limits { spans_max: 4, tags_max_per_span: 4, annotations_max_per_span: 4, string_bytes_max: 11, ..default() };
    assert_eq!((with(&spans, exact), with(tags, exact)), (Ok(4), Ok(1)));
    assert_eq!((with(&annotations, exact), with(text, exact)), (Ok(1), Ok(1)));
}

#[test]
fn an_error_echoes_only_so_much() {
    let kind = format!(r#"[{{"traceId":"1","id":"1","kind":"{}"}}]"#, "é".repeat(100_000));
    let error = answer(kind.as_bytes()).expect_err("no kind");
    assert!(error.starts_with("No enum constant zipkin2.Span.Kind.éé") && error.len() < 5000);
}

/// Texts that Zipkin gives back as they came: lower case, any character.
fn lower_text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z0-9 /_.-]{1,20}", any::<String>().prop_map(|text| text.to_lowercase())]
        .prop_filter("lower-casing may need two steps", |text| *text == text.to_lowercase())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,30}", any::<String>(), "[\"\\\\\u{0}-\u{1f}\u{2028}\u{2029}é😀]{0,10}"]
}

fn endpoint() -> impl Strategy<Value = Option<OwnedEndpoint>> {
    let ipv6 = prop_oneof![
        any::<[u8; 16]>(),
        proptest::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 16)
            .prop_map(|bytes| bytes.try_into().expect("16 bytes"))
    ];
    let parts = (lower_text(), any::<Option<[u8; 4]>>(), proptest::option::of(ipv6), any::<u16>());
    parts.prop_map(|(service, ipv4, ipv6, port)| {
        let endpoint = OwnedEndpoint { service, ipv4, ipv6, port, ipv4_text: String::new() };
        (endpoint != OwnedEndpoint::default()).then_some(endpoint)
    })
}

fn micros() -> impl Strategy<Value = Option<Time>> {
    let micros = prop_oneof![1..=i64::MAX as u64, 1_500_000_000_000_000u64..1_600_000_000_000_000];
    proptest::option::of(micros.prop_map(Time::from_micros))
}

fn annotations() -> impl Strategy<Value = Vec<OwnedAnnotation>> {
    let annotation = (0..=i64::MAX as u64, text());
    proptest::collection::vec(annotation, 0..5).prop_map(|list| {
        let owned = |(micros, value)| OwnedAnnotation { time: Time::from_micros(micros), value, details: vec![] };
        let mut list: Vec<_> = list.into_iter().map(owned).collect();
        list.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| compare_utf16(&a.value, &b.value)));
        list.dedup();
        list
    })
}

fn tags() -> impl Strategy<Value = Vec<(String, Value)>> {
    // More than 32 are sorted in another way.
    let sizes = prop_oneof![0..6usize, 30..40usize];
    sizes.prop_flat_map(|size| proptest::collection::btree_map(text(), text(), size)).prop_map(|tags| {
        let mut tags: Vec<_> = tags.into_iter().map(|(key, value)| (key, Value::Str(value))).collect();
        tags.sort_by(|a, b| compare_utf16(&a.0, &b.0));
        tags
    })
}

prop_compose! {
    fn span()(
        (trace_id, id, parent) in (any::<(bool, u64, u64)>(), 1..=u64::MAX, any::<Option<u64>>()),
        name in lower_text(),
        kind in prop_oneof![
            Just(Kind::Unset), Just(Kind::Client), Just(Kind::Server), Just(Kind::Producer), Just(Kind::Consumer)
        ],
        (debug, shared) in any::<(bool, bool)>(),
        (start, duration) in (micros(), micros()),
        (local, remote) in (endpoint(), endpoint()),
        tags in tags(),
        annotations in annotations(),
    ) -> Span {
        let (long, high, low) = trace_id;
        Span {
            trace_id: TraceId::from_halves(if long { high } else { 0 }, low.max(1)),
            id: SpanId::new(id),
            parent: parent.map(SpanId::new).filter(|parent| !parent.is_none() && parent.value() != id),
            name, kind, debug, shared: shared && kind != Kind::Client,
            start, duration, local, remote, tags, annotations,
            ..Span::default()
        }
    }
}

proptest! {
    #[test]
    fn decoding_gives_back_what_was_encoded(spans in proptest::collection::vec(span(), 0..4)) {
        let mut batch = SpanBatch::new();
        for span in &spans {
            batch.push_span(span).expect("room");
        }
        let body = encode(&batch, 0);
        let parsed: Json = serde_json::from_str(&body).expect("another reader takes it too");
        prop_assert_eq!(parsed.as_array().map(Vec::len), Some(spans.len()));
        // Zipkin looks for the end of a v1 field's name anywhere.
        prop_assume!(!body.contains("yAnnotations\""));
        let mut decoded = SpanBatch::new();
        prop_assert_eq!(decode_json(body.as_bytes(), &Limits::default(), &mut decoded), Ok(spans.len()));
        let decoded_spans: Vec<Span> = decoded.spans().map(|span| span.to_span()).collect();
        prop_assert_eq!(decoded_spans, spans);
        prop_assert_eq!(encode(&decoded, 0), body);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut body = b"[".to_vec();
        body.extend(bytes);
        _ = answer(&body);
    }

    #[test]
    fn no_json_makes_it_panic(text in "\\[(\\{(\"(traceId|id|name|tags|annotations|port|kind|x)\":?([0-9.eE+-]{0,4}|\"[^\"]{0,4}\"|true|null|\\{|\\[|\\}|\\]){0,2},?){0,4}[}\\]]?,?){0,3}") {
        _ = answer(text.as_bytes());
    }
}
