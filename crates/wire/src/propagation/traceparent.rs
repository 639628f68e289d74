//! W3C Trace Context, level 1, with level 2's random flag: `traceparent` and `tracestate`.

use tracewell_model::{SpanId, TraceId};

use super::digits::{StackText, nibble, read_hex, read_hex_u64};
use super::{HeaderGetter, HeaderSetter, ID_HEADER_BYTES_MAX, Problem, Problems, TraceContext, trace_state};

pub(super) const TRACE_PARENT: &str = "traceparent";
const TRACE_STATE: &str = "tracestate";
/// Sampled, and level 2's "the trace id is random"; the rest is to be sent as zero.
const FLAGS_PASSED_ON: u8 = 0b11;

pub(super) fn read<H: HeaderGetter + ?Sized>(headers: &H, context: &mut TraceContext, problems: &mut Problems) {
    let (Some(text), several) = headers.get(TRACE_PARENT) else { return };
    match read_trace_parent(text).filter(|_| !several) {
        Some(found) => *context = found,
        None => {
            problems.add(Problem::TraceParent);
            return;
        }
    }
    match trace_state::read(headers, TRACE_STATE) {
        Ok(None) => {}
        Ok(Some(state)) => *context = std::mem::take(context).with_trace_state(&state),
        Err(()) => problems.add(Problem::TraceState),
    }
}

/// `version-trace-span-flags`, lower-case; a later version than 00 may have more, after another `-`.
fn read_trace_parent(text: &[u8]) -> Option<TraceContext> {
    if text.len() > ID_HEADER_BYTES_MAX {
        return None;
    }
    let text = trim_blanks(text);
    let (fixed, rest) = text.split_first_chunk::<55>()?;
    if fixed.iter().any(u8::is_ascii_uppercase) || [fixed[2], fixed[35], fixed[52]] != [b'-'; 3] {
        return None;
    }
    match (read_hex_u8(&fixed[..2])?, rest) {
        (0xff, _) | (0, [_, ..]) => return None,
        (_, [first, ..]) if *first != b'-' => return None,
        _ => {}
    }
    let trace_id = TraceId::new(read_hex(&fixed[3..35])?);
    let span_id = SpanId::new(read_hex_u64(&fixed[36..52])?);
    let flags = read_hex_u8(&fixed[53..])?;
    let context = TraceContext::new(trace_id, span_id).with_wide_trace_id(true).with_w3c_flags(flags);
    context.has_ids().then_some(context)
}

fn read_hex_u8(text: &[u8]) -> Option<u8> {
    let &[high, low] = text else { return None };
    Some(nibble(high)? << 4 | nibble(low)?)
}

/// Without blanks and tabs around.
pub(super) fn trim_blanks(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().position(|byte| !blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &text[start..end]
}

pub(super) fn write<H: HeaderSetter + ?Sized>(context: &TraceContext, headers: &mut H) {
    if !context.has_ids() {
        return;
    }
    let mut text = StackText::<55>::new();
    text.push_hex(0, 2);
    text.push(b'-');
    text.push_hex(context.trace_id().value(), 32);
    text.push(b'-');
    text.push_hex(u128::from(context.span_id().value()), 16);
    text.push(b'-');
    text.push_hex(u128::from(context.w3c_flags() & FLAGS_PASSED_ON), 2);
    headers.set(TRACE_PARENT, text.as_str());
    if let Some(state) = context.trace_state() {
        headers.set(TRACE_STATE, state);
    }
}
