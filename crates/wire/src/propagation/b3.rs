//! B3, in several headers and in one, by the text of the B3 specification (openzipkin/b3-propagation).
//!
//! Ids have exactly 16 digits (the trace id 16 or 32) in either case and are not zero. A malformed parent is dropped.
//! A well-formed single header wins over several; a malformed one falls back to them. Ids that can't be used start a
//! new trace, and the decision of the several headers holds for it.

use tracewell_model::{SpanId, TraceId};

use super::digits::{StackText, read_hex, read_hex_u64};
use super::{HeaderGetter, HeaderSetter, Problem, Problems, TraceContext};

/// With which the names below begin.
pub(super) const BEGINNINGS: [&str; 2] = [SINGLE, "x-b3-"];
const SINGLE: &str = "b3";
const TRACE_ID: &str = "x-b3-traceid";
const SPAN_ID: &str = "x-b3-spanid";
const PARENT_ID: &str = "x-b3-parentspanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";

pub(super) fn read<H: HeaderGetter + ?Sized>(headers: &H, context: &mut TraceContext, problems: &mut Problems) {
    if let (Some(single), _) = headers.get(SINGLE) {
        match read_single(single, problems) {
            Some(found) => {
                *context = found;
                return;
            }
            None => problems.add(Problem::B3Single),
        }
    }
    read_multi(headers, context, problems);
}

fn read_single(text: &[u8], problems: &mut Problems) -> Option<TraceContext> {
    if let Some(decided) = with_state(TraceContext::default(), text) {
        return Some(decided);
    }
    let mut parts = text.split(|&byte| byte == b'-');
    let trace = parts.next()?;
    let (trace_id, wide) = read_trace_id(trace)?;
    let span_id = read_span_id(parts.next()?)?;
    let state = parts.next();
    let parent = parts.next();
    if parts.next().is_some() {
        return None;
    }
    let mut context = TraceContext::new(trace_id, span_id).with_wide_trace_id(wide);
    if let Some(state) = state {
        context = with_state(context, state)?;
    }
    if let Some(parent) = parent {
        context = with_parent(context, parent, problems);
    }
    Some(context)
}

fn read_multi<H: HeaderGetter + ?Sized>(headers: &H, context: &mut TraceContext, problems: &mut Problems) {
    let (trace, span) = (headers.get(TRACE_ID).0, headers.get(SPAN_ID).0);
    let ids = || Some((read_trace_id(trace?)?, read_span_id(span?)?));
    match ids() {
        Some(((trace_id, wide), span_id)) => {
            *context = TraceContext::new(trace_id, span_id).with_wide_trace_id(wide);
            if let Some(parent) = headers.get(PARENT_ID).0 {
                *context = with_parent(std::mem::take(context), parent, problems);
            }
        }
        None if trace.is_some() || span.is_some() => problems.add(Problem::B3Ids),
        None => {}
    }
    let decided = std::mem::take(context);
    *context = match (headers.get(FLAGS).0, headers.get(SAMPLED).0) {
        (Some(b"1"), _) => decided.with_debug(true),
        (_, Some(b"1" | b"true")) => decided.with_sampled(Some(true)),
        (_, Some(b"0" | b"false")) => decided.with_sampled(Some(false)),
        (_, Some(_)) => {
            problems.add(Problem::B3Sampled);
            decided
        }
        (_, None) => decided,
    };
}

fn with_state(context: TraceContext, state: &[u8]) -> Option<TraceContext> {
    match state {
        b"1" => Some(context.with_sampled(Some(true))),
        b"0" => Some(context.with_sampled(Some(false))),
        b"d" => Some(context.with_debug(true)),
        _ => None,
    }
}

fn with_parent(context: TraceContext, parent: &[u8], problems: &mut Problems) -> TraceContext {
    if let Some(parent_id) = read_span_id(parent) {
        return context.with_parent_id(parent_id);
    }
    problems.add(Problem::B3ParentId);
    context
}

fn read_trace_id(text: &[u8]) -> Option<(TraceId, bool)> {
    let wide = text.len() == 32;
    let value = if wide { read_hex(text)? } else { u128::from(read_hex_u64(text)?) };
    (value != 0).then_some((TraceId::new(value), wide))
}

fn read_span_id(text: &[u8]) -> Option<SpanId> {
    read_hex_u64(text).filter(|&value| value != 0).map(SpanId::new)
}

pub(super) fn write_multi<H: HeaderSetter + ?Sized>(context: &TraceContext, headers: &mut H) {
    if context.has_ids() {
        let mut trace_id = StackText::<32>::new();
        trace_id.push_hex(context.trace_id().value(), trace_id_digits(context));
        headers.set(TRACE_ID, trace_id.as_str());
        set_span_id(SPAN_ID, context.span_id(), headers);
        if !context.parent_id().is_none() {
            set_span_id(PARENT_ID, context.parent_id(), headers);
        }
    }
    // A debug trace implies the decision: the specification asks not to send both.
    match context.sampled() {
        _ if is_debug(context) => headers.set(FLAGS, "1"),
        Some(sampled) => headers.set(SAMPLED, if sampled { "1" } else { "0" }),
        None => {}
    }
}

/// B3's debug says that the trace is kept; Jaeger's flag for it can come alone, and then says the opposite.
fn is_debug(context: &TraceContext) -> bool {
    context.debug() && context.sampled() != Some(false)
}

pub(super) fn write_single<H: HeaderSetter + ?Sized>(context: &TraceContext, headers: &mut H) {
    let mut text = StackText::<68>::new();
    let state = match context.sampled() {
        _ if is_debug(context) => Some(b'd'),
        Some(sampled) => Some(if sampled { b'1' } else { b'0' }),
        None => None,
    };
    if context.has_ids() {
        text.push_hex(context.trace_id().value(), trace_id_digits(context));
        text.push(b'-');
        text.push_hex(u128::from(context.span_id().value()), 16);
        if let Some(state) = state {
            text.push(b'-');
            text.push(state);
            // There is no form with a parent and without a state.
            if !context.parent_id().is_none() {
                text.push(b'-');
                text.push_hex(u128::from(context.parent_id().value()), 16);
            }
        }
    } else if let Some(state) = state {
        text.push(state);
    } else {
        return;
    }
    headers.set(SINGLE, text.as_str());
}

fn set_span_id<H: HeaderSetter + ?Sized>(name: &str, id: SpanId, headers: &mut H) {
    let mut text = StackText::<16>::new();
    text.push_hex(u128::from(id.value()), 16);
    headers.set(name, text.as_str());
}

const fn trace_id_digits(context: &TraceContext) -> u32 {
    if context.has_wide_trace_id() { 32 } else { 16 }
}
