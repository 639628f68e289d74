//! The rules where formats meet, and two properties: nothing panics, and what is written is read back.

use std::collections::HashMap;

use proptest::prelude::*;
use tracewell_model::{SpanId, TraceId};

use super::*;

const TRACE: u128 = 0x463a_c35c_9f64_13ad_4848_5a39_53bb_6124;
const SPAN: u64 = 0xa2fb_4a1d_1a96_d312;

fn extract(formats: &[Format], headers: &[(&str, &str)]) -> Extracted {
    Propagation::new(formats).extract(headers)
}

fn inject(format: Format, context: &TraceContext) -> HashMap<String, String> {
    let mut headers = HashMap::new();
    Propagation::new(&[format]).inject(context, &mut headers);
    headers
}

#[test]
fn the_first_format_with_ids_wins_and_baggage_is_gathered() {
    let headers = [
        ("X-B3-Sampled", "1"),
        ("uber-trace-id", "7:1:0:0"),
        ("uberctx-a", "1"),
        ("traceparent", "00-463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-01"),
        ("baggage", "a=2,b=3;p=q"),
    ];
    let found = extract(&Format::ALL, &headers);
    assert_eq!(found.format, Some(Format::Jaeger));
    assert_eq!((found.context.trace_id().value(), found.context.sampled()), (7, Some(false)));
    assert_eq!(found.context.baggage_item("a"), Some("1"));
    assert_eq!(found.context.baggage_item("b"), Some("3"));
    assert!(found.problems.is_empty());
}

#[test]
fn a_bare_decision_stands_where_no_format_has_ids() {
    let found = extract(&Format::ALL, &[("X-B3-Sampled", "0"), ("baggage", "a=1")]);
    assert_eq!(found.remote_parent(), None);
    assert_eq!((found.format, found.context.sampled()), (None, Some(false)));
    assert_eq!(found.context.baggage_item("a"), Some("1"));
}

#[test]
fn trace_state_stays_with_its_trace_only() {
    let state = ("tracestate", "v=1");
    let parent = ("traceparent", "00-463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-01");
    let formats = [Format::B3Single, Format::TraceContext];
    let same = extract(&formats, &[parent, state, ("b3", "463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-1")]);
    assert_eq!((same.format, same.context.trace_state()), (Some(Format::B3Single), Some("v=1")));
    let other = extract(&formats, &[parent, state, ("b3", "48485a3953bb6124-a2fb4a1d1a96d312-1")]);
    assert_eq!(other.context.trace_state(), None);
}

#[test]
fn says_what_was_malformed_and_goes_on() {
    for (headers, problem) in [
        (&[("b3", "garbage")][..], Problem::B3Single),
        (&[("x-b3-traceid", "1")], Problem::B3Ids),
        (&[("b3", "48485a3953bb6124-a2fb4a1d1a96d312-1-x")], Problem::B3ParentId),
        (&[("x-b3-sampled", "d")], Problem::B3Sampled),
        (&[("uber-trace-id", "7:1:0")], Problem::UberTraceId),
        (&[("uber-trace-id", "7:1:0:1"), ("uber-trace-id", "7:1:0:1")], Problem::UberTraceId),
        (&[("traceparent", "00-1-2-3")], Problem::TraceParent),
        (&[("baggage", "=1")], Problem::BaggageItem),
    ] {
        let found = extract(&Format::ALL, headers);
        assert_eq!(found.problems.iter().collect::<Vec<_>>(), [problem], "{headers:?}");
    }
    let twice = ("traceparent", "00-463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-01");
    assert_eq!(extract(&Format::ALL, &[twice, twice]).remote_parent(), None);
}

#[test]
fn a_broken_uber_trace_id_leaves_baggage_and_debug_id() {
    let found =
        extract(&[Format::Jaeger], &[("uber-trace-id", "x"), ("jaeger-debug-id", "find%20me"), ("uberctx-k", "v")]);
    assert_eq!(found.remote_parent(), None);
    assert_eq!((found.context.debug_id(), found.context.baggage_item("k")), (Some("find me"), Some("v")));
}

#[test]
fn oversized_ids_are_passed_on_whole_and_a_child_has_ordinary_ones() {
    let text = "1463ac35c9f6413ad48485a3953bb6124:1a2fb4a1d1a96d312:0:1";
    let found = extract(&[Format::Jaeger], &[("uber-trace-id", text)]);
    assert_eq!((found.context.trace_id().value(), found.context.span_id().value()), (TRACE, SPAN));
    assert_eq!(inject(Format::Jaeger, &found.context)["uber-trace-id"], text);
    let child = inject(Format::Jaeger, &found.context.child(SpanId::new(5)));
    assert_eq!(child["uber-trace-id"], "463ac35c9f6413ad48485a3953bb6124:5:a2fb4a1d1a96d312:1");
}

#[test]
fn b3_writes_what_the_specification_asks_for() {
    let context = TraceContext::new(TraceId::new(TRACE), SpanId::new(SPAN)).with_parent_id(SpanId::new(1));
    assert_eq!(inject(Format::B3Single, &context)["b3"], "463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312");
    let debug = inject(Format::B3Multi, &context.clone().with_debug(true));
    assert_eq!((debug["x-b3-flags"].as_str(), debug.get("x-b3-sampled")), ("1", None));
    let unsampled = inject(Format::B3Multi, &context.with_sampled(Some(false)));
    assert_eq!((unsampled["x-b3-sampled"].as_str(), unsampled.get("x-b3-flags")), ("0", None));
    let decision = TraceContext::default().with_sampled(Some(false));
    assert_eq!(inject(Format::B3Single, &decision), HashMap::from([("b3".to_owned(), "0".to_owned())]));
    assert!(inject(Format::B3Single, &TraceContext::default()).is_empty());
}

#[test]
fn baggage_beyond_the_limits_is_left_out_and_told() {
    let many: Vec<String> = (0..=BAGGAGE_ITEMS_MAX).map(|index| format!("k{index}=v")).collect();
    let found = extract(&[Format::Baggage], &[("baggage", &many.join(","))]);
    assert_eq!(found.context.baggage().len(), BAGGAGE_ITEMS_MAX);
    assert!(found.problems.contains(Problem::BaggageTooLarge));
    let large = "v".repeat(BAGGAGE_BYTES_MAX);
    let found = extract(&[Format::Jaeger], &[("uberctx-a", &large), ("uberctx-b", "1")]);
    assert_eq!((found.context.baggage_item("a"), found.context.baggage_item("b")), (None, Some("1")));
}

#[test]
fn setting_a_header_replaces_it_in_whatever_case() {
    let context = TraceContext::new(TraceId::new(7), SpanId::new(1));
    let mut headers = HashMap::from([("Uber-Trace-Id".to_owned(), "old".to_owned())]);
    Propagation::new(&[Format::Jaeger]).inject(&context, &mut headers);
    assert_eq!(headers, HashMap::from([("uber-trace-id".to_owned(), "7:1:0:0".to_owned())]));
}

#[cfg(feature = "http")]
#[test]
fn http_headers_leave_out_what_they_cannot_hold() {
    let context =
        TraceContext::new(TraceId::new(7), SpanId::new(1)).with_baggage_item("ü", "x").with_baggage_item("k", "é");
    let mut headers = http::HeaderMap::new();
    Propagation::new(&[Format::Jaeger]).inject(&context, &mut headers);
    assert_eq!((headers.len(), headers["uberctx-k"].as_bytes()), (2, &b"%C3%A9"[..]));
    assert_eq!(Propagation::default().extract(&headers).context.baggage_item("k"), Some("é"));
}

fn contexts() -> impl Strategy<Value = TraceContext> {
    let baggage = prop::collection::vec(("[a-z][a-z0-9-]{0,8}", "\\PC{0,12}"), 0..4);
    let trace_id = prop_oneof![any::<u128>(), any::<u64>().prop_map(u128::from)];
    (trace_id, any::<u64>(), any::<u64>(), any::<Option<bool>>(), any::<bool>(), baggage).prop_map(
        |(trace, span, parent, sampled, debug, baggage)| {
            let ids = TraceContext::new(TraceId::new(trace.max(1)), SpanId::new(span.max(1)));
            let mut context = ids.with_parent_id(SpanId::new(parent)).with_sampled(sampled);
            if debug {
                context = context.with_debug(true);
            }
            baggage.iter().fold(context, |context, (key, value)| context.with_baggage_item(key, value))
        },
    )
}

proptest! {
    #[test]
    fn reads_back_what_it_wrote(context in contexts()) {
        let multi = extract_again(Format::B3Multi, &context);
        let without_baggage = TraceContext::new(context.trace_id(), context.span_id())
            .with_parent_id(context.parent_id()).with_wide_trace_id(multi.has_wide_trace_id());
        let plain = if context.debug() { without_baggage.with_debug(true) }
            else { without_baggage.with_sampled(context.sampled()) };
        prop_assert_eq!(&multi, &plain);

        let single = extract_again(Format::B3Single, &context);
        let parent = if context.sampled().is_some() { context.parent_id() } else { SpanId::NONE };
        prop_assert_eq!(single, plain.with_parent_id(parent));

        let flags = context.jaeger_flags();
        let jaeger = context.clone().with_jaeger_flags(flags);
        prop_assert_eq!(&extract_again(Format::Jaeger, &context), &jaeger);
        let mut bytes = Vec::new();
        write_jaeger_binary(&context, &mut bytes);
        prop_assert_eq!(read_jaeger_binary(&bytes), Ok(jaeger));

        let w3c = TraceContext::new(context.trace_id(), context.span_id()).with_wide_trace_id(true)
            .with_w3c_flags(context.w3c_flags());
        prop_assert_eq!(extract_again(Format::TraceContext, &context), w3c);
        let baggage = extract_again(Format::Baggage, &context);
        prop_assert_eq!(baggage.baggage(), context.baggage());
    }

    #[test]
    fn never_panics(
        values in prop::collection::vec((0usize..13, prop::collection::vec(any::<u8>(), 0..80)), 0..8),
        texts in prop::collection::vec((0usize..13, "[0-9a-fA-FxX:;,=%_+\\- d]{0,70}"), 0..8),
    ) {
        const NAMES: [&str; 13] = [
            "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags", "uber-trace-id",
            "uberctx-k", "jaeger-debug-id", "jaeger-baggage", "traceparent", "tracestate", "baggage",
        ];
        let texts = texts.into_iter().map(|(name, text)| (name, text.into_bytes()));
        let headers: Vec<(&str, Vec<u8>)> = values.into_iter().chain(texts).map(|(name, value)| (NAMES[name], value)).collect();
        let found = Propagation::new(&Format::ALL).extract(&headers);
        let mut out = Vec::new();
        Propagation::new(&Format::ALL).inject(&found.context, &mut out);
        prop_assert_eq!(found.format.is_some(), found.context.has_ids());
    }

    #[test]
    fn binary_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        prop_assert!(read_jaeger_binary(&bytes).map_or(true, |context| context.has_ids()));
    }
}

fn extract_again(format: Format, context: &TraceContext) -> TraceContext {
    let mut headers = Vec::new();
    let propagation = Propagation::new(&[format]);
    propagation.inject(context, &mut headers);
    propagation.extract(&headers).context
}
