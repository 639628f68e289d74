//! `propagation FILE`: headers in, context out, and contexts in, headers out.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};
use tracewell::propagation::{
    Extracted, Format, JaegerHeaders, Problem, Propagation, TraceContext, read_jaeger_binary, write_jaeger_binary,
};
use tracewell::{SpanId, TraceId};

use crate::compare::{difference, list, text};
use crate::tally::Tally;

pub(crate) fn check(vectors: &Value) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    for case in list(vectors, "extract")? {
        if let Err(error) = check_extract(case, &mut tally) {
            tally.case(case["id"].to_string(), Some(format!("{error:#}")));
        }
    }
    for case in list(vectors, "inject")? {
        if let Err(error) = check_inject(case, &mut tally) {
            tally.case(case["id"].to_string(), Some(format!("{error:#}")));
        }
    }
    for case in list(vectors, "semantics")? {
        tally.leave_out(format!("{} of {}: what a tracer does with a context", case["op"], case["lib"]));
    }
    Ok(tally)
}

/// How a format's contexts are put into words in the file.
#[derive(Clone, Copy)]
enum Words {
    B3,
    Uber,
    W3c,
}

fn check_extract(case: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let (words, formats) = match text(case, "format")? {
        "b3" => (Words::B3, &[Format::B3Multi][..]),
        "b3single" => (Words::B3, &[Format::B3Single][..]),
        "uber" => (Words::Uber, &[Format::Jaeger][..]),
        "w3c" => (Words::W3c, &[Format::TraceContext, Format::Baggage][..]),
        other => bail!("unknown format {other}"),
    };
    let extracted = Propagation::new(formats).extract(&headers(&case["headers"])?);
    let expected = &case["expected"];
    let mut found = in_words(words, &extracted);
    // Members that the file leaves open: a format's own "new trace" has no decision, W3C's context no baggage.
    if let (Some(expected), Some(found)) = (expected.as_object(), found.as_object_mut()) {
        let open: &[&str] = match words {
            _ if matches!(words, Words::Uber) && found.contains_key("new_trace") => &["sampled", "debug", "flags"],
            Words::W3c => &["baggage"],
            _ => &[],
        };
        found.retain(|member, _| expected.contains_key(member) || !open.contains(&member.as_str()));
    }
    if matches!(words, Words::W3c) && *expected == "new trace" && extracted.remote_parent().is_none() {
        found = json!("new trace");
    }
    tally.case(format!("{} ({})", text(case, "id")?, case["note"]), difference(expected, &found));
    Ok(())
}

fn in_words(words: Words, extracted: &Extracted) -> Value {
    let context = &extracted.context;
    if extracted.problems.contains(Problem::UberTraceId) {
        return json!("invalid (SpanContextCorruptedException)");
    }
    let decided = context.sampled().is_some() || context.debug();
    if !context.has_ids() && !decided && context.baggage().is_empty() && context.debug_id().is_none() {
        return json!("new trace");
    }
    let mut members = match words {
        _ if !context.has_ids() => json!({"new_trace": true, "sampled": context.sampled(), "debug": context.debug()}),
        Words::B3 => json!({
            "trace_id": wide_or_short(context),
            "span_id": context.span_id().to_string(),
            "parent_id": parent(context, SpanId::to_string(&context.parent_id())),
            "sampled": context.sampled(),
            "debug": context.debug(),
        }),
        Words::Uber => uber_in_words(context),
        Words::W3c => json!({
            "trace_id": wide_or_short(context),
            "span_id": context.span_id().to_string(),
            "flags": context.w3c_flags(),
            "sampled": context.sampled(),
            "remote": true,
        }),
    };
    if !context.baggage().is_empty() {
        let items = context.baggage().iter().map(|item| (item.key.to_string(), Value::from(&*item.value)));
        members["baggage"] = Value::Object(items.collect::<Map<_, _>>());
    }
    if let Some(debug_id) = context.debug_id() {
        members["debug_id"] = json!(debug_id);
    }
    if let Some(state) = context.trace_state() {
        members["tracestate"] = json!(state);
    }
    members
}

/// Numbers without leading zeros.
fn uber_in_words(context: &TraceContext) -> Value {
    let mut members = json!({
        "trace_id": format!("{:x}", context.trace_id().value()),
        "span_id": format!("{:x}", context.span_id().value()),
        "parent_id": parent(context, format!("{:x}", context.parent_id().value())),
        "flags": context.jaeger_flags(),
        "sampled": context.sampled(),
        "debug": context.debug(),
    });
    if let Some(oversized) = context.oversized_ids() {
        let [trace, span, parent, _] = oversized.parts();
        members["trace_id"] = json!(trace);
        members["span_id"] = json!(span);
        members["parent_id"] = if parent == "0" { Value::Null } else { json!(parent) };
    }
    members
}

fn wide_or_short(context: &TraceContext) -> String {
    let id = context.trace_id();
    if context.has_wide_trace_id() { format!("{:032x}", id.value()) } else { id.to_string() }
}

fn parent(context: &TraceContext, in_words: String) -> Value {
    if context.parent_id().is_none() { Value::Null } else { Value::from(in_words) }
}

/// Each library's headers: those that follow the rule are to be the same as ours, all others to be read by us.
fn check_inject(case: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let context = context(&case["context"])?;
    let outputs = case["outputs"].as_object().context("outputs should be an object")?;
    for (library, output) in outputs {
        let name = format!("{} {library}", text(case, "id")?);
        if library == "jaeger_client.BinaryCodec(hex)" {
            tally.case(name, check_binary(&context, output)?);
            continue;
        }
        let Some(propagation) = same_as_ours(library, &context) else {
            if reads_back(library, &context) {
                check_read(&name, &context, output, tally)?;
            }
            continue;
        };
        let mut written = BTreeMap::new();
        propagation.inject(&context, &mut written);
        tally.case(name, difference(&by_the_rule(library, &context, output)?, &json!(written)));
        check_read(&format!("{} {library}", text(case, "id")?), &context, output, tally)?;
    }
    Ok(())
}

/// How we write what this library writes by the rule; `None` where it has rules of its own.
fn same_as_ours(library: &str, context: &TraceContext) -> Option<Propagation> {
    let decided = context.sampled().is_some();
    Some(match library {
        // It has no form for a decision left open, nor for debug in several headers.
        "aiozipkin.make_headers" if decided && !context.debug() => Propagation::new(&[Format::B3Multi]),
        "aiozipkin.make_single_header" if decided => Propagation::new(&[Format::B3Single]),
        // It sends the decision only where it is positive, and drops zeros at the left of wide trace ids.
        "jaeger_client.B3Codec" if context.debug() && context.trace_id().value() >> 124 != 0 => {
            Propagation::new(&[Format::B3Multi])
        }
        "jaeger_client.TextCodec(http)" => Propagation::new(&[Format::Jaeger]),
        "jaeger_client.TextCodec(text_map)" => {
            Propagation::new(&[Format::Jaeger]).with_jaeger_headers(JaegerHeaders::default().with_url_encoding(false))
        }
        "otel.tracecontext" => Propagation::new(&[Format::TraceContext]),
        _ => return None,
    })
}

/// Headers that hold the whole ids, so that reading them is a fair question. jaeger-client's B3 without padding is not.
fn reads_back(library: &str, context: &TraceContext) -> bool {
    library.starts_with("otel.") || library.starts_with("starlette_zipkin.UberHeaders") || {
        library.starts_with("jaeger_client.B3Codec") && context.trace_id().value() >> 124 != 0
    }
}

/// The library's headers with lower-case names, without B3's flags where they say nothing, and ids padded as B3 has it.
fn by_the_rule(library: &str, context: &TraceContext, output: &Value) -> anyhow::Result<Value> {
    let mut by_name = Map::new();
    for (name, value) in headers(output)? {
        let name = name.to_lowercase();
        let b3_id = matches!(name.as_str(), "x-b3-traceid" | "x-b3-spanid" | "x-b3-parentspanid");
        if name == "x-b3-flags" && value == "0" {
            continue;
        }
        let value = match name.as_str() {
            _ if b3_id => format!("{value:0>16}"),
            "b3" => padded_single(&value),
            _ => value,
        };
        by_name.insert(name, json!(value));
    }
    anyhow::ensure!(!by_name.is_empty(), "{library} wrote nothing for {context:?}");
    Ok(Value::Object(by_name))
}

/// The file has ids of one digit; the state comes third, or alone.
fn padded_single(text: &str) -> String {
    let alone = !text.contains('-');
    let padded = |(index, part)| if alone || index == 2 { String::from(part) } else { format!("{part:0>16}") };
    text.split('-').enumerate().map(padded).collect::<Vec<_>>().join("-")
}

/// The file's bytes hold this context (JSON has no order for its baggage), and are what we write for it.
fn check_binary(context: &TraceContext, output: &Value) -> anyhow::Result<Option<String>> {
    let expected = hex_bytes(output.as_str().context("the binary form should be hexadecimal text")?)?;
    let read = read_jaeger_binary(&expected)?;
    let same_baggage = context.baggage().len() == read.baggage().len()
        && context.baggage().iter().all(|item| read.baggage_item(&item.key) == Some(&item.value));
    let ids =
        |context: &TraceContext| (context.trace_id(), context.span_id(), context.parent_id(), context.jaeger_flags());
    if !same_baggage || ids(context) != ids(&read) {
        return Ok(Some(format!("expected {context:?}, read {read:?}")));
    }
    let mut written = Vec::new();
    write_jaeger_binary(&read, &mut written);
    Ok((written != expected).then(|| format!("expected {expected:02x?}, wrote {written:02x?}")))
}

fn hex_bytes(text: &str) -> anyhow::Result<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2).map(|pair| {
        let digits = std::str::from_utf8(pair)?;
        Ok(u8::from_str_radix(digits, 16)?)
    });
    pairs.collect()
}

/// Ids that the library did not pad are not B3, and no question for us.
fn check_read(name: &str, context: &TraceContext, output: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let headers = headers(output)?;
    let not_padded = |(name, value): &(String, String)| match name.to_lowercase().as_str() {
        "x-b3-spanid" => value.len() < 16,
        "b3" => value.len() < 33,
        _ => false,
    };
    if !headers.iter().any(not_padded) {
        let read = Propagation::new(&Format::ALL).extract(&headers).context;
        let same = read.trace_id() == context.trace_id() && read.span_id() == context.span_id();
        tally.case(format!("{name}, read"), (!same).then(|| format!("{headers:?} read as {read:?}")));
    }
    Ok(())
}

/// A list of values is a header that came more than once, a null one that did not.
fn headers(value: &Value) -> anyhow::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    for (name, value) in value.as_object().with_context(|| format!("headers should be an object, not {value}"))? {
        let values = match value {
            Value::Null => &[][..],
            Value::Array(values) => values,
            one => std::slice::from_ref(one),
        };
        for value in values {
            let value = value.as_str().with_context(|| format!("header {name} should be text"))?;
            headers.push((name.clone(), value.to_owned()));
        }
    }
    Ok(headers)
}

fn context(value: &Value) -> anyhow::Result<TraceContext> {
    let trace = text(value, "trace_id")?;
    let trace_id = TraceId::new(u128::from_str_radix(trace, 16)?);
    let span_id = SpanId::new(u64::from_str_radix(text(value, "span_id")?, 16)?);
    let parent_id = match value["parent_id"].as_str() {
        Some(parent) => SpanId::new(u64::from_str_radix(parent, 16)?),
        None => SpanId::NONE,
    };
    let mut context =
        TraceContext::new(trace_id, span_id).with_parent_id(parent_id).with_wide_trace_id(trace.len() == 32);
    if value["debug"] == true {
        context = context.with_debug(true);
    }
    context = context.with_sampled(value["sampled"].as_bool());
    for (key, value) in value["baggage"].as_object().into_iter().flatten() {
        let value = value.as_str().with_context(|| format!("baggage item {key} should be text"))?;
        context.set_baggage_item(key, value);
    }
    Ok(context)
}
