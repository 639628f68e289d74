//! Clocks of hosts differ: a span that lies outside its parent, recorded on another host, is moved into it, and what was
//! recorded below it on the same host moves with it. By default nothing is moved and only told.

use super::super::trace::{UiSpan, UiTrace};
use super::go_duration_text;
use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use tracewell_model::{SpanId, Value};

/// How far the clock of a host is off.
#[derive(Clone)]
struct Skew {
    host: String,
    delta_ns: i128,
}

/// See the module's text. Deltas above `max` are not applied.
pub(super) fn adjust(trace: &mut UiTrace, max: Duration) {
    let spans = &mut trace.spans;
    let mut by_id: HashMap<SpanId, usize> = HashMap::with_capacity(spans.len());
    for (at, span) in spans.iter_mut().enumerate() {
        let first = *by_id.entry(span.id).or_insert(at);
        if first != at {
            span.warnings.push("duplicate span IDs; skipping clock skew adjustment".to_owned());
        }
    }
    let mut children: Vec<Vec<usize>> = vec![vec![]; spans.len()];
    let mut open = vec![];
    for (at, span) in spans.iter_mut().enumerate() {
        if by_id.get(&span.id) != Some(&at) {
            continue;
        }
        let parent = span.parent().filter(|parent| !parent.is_none());
        match parent.map(|parent| by_id.get(&parent).copied().ok_or(parent)) {
            Some(Ok(parent)) => children[parent].push(at),
            Some(Err(missing)) => {
                let text = format!("invalid parent span IDs={missing}; skipping clock skew adjustment");
                span.warnings.push(text);
                open.push((at, None));
            }
            None => open.push((at, None)),
        }
    }
    // From the roots down, parents before children. Loops of parents have no root and stay as they are.
    while let Some((at, above)) = open.pop() {
        let host = host(&spans[at]);
        let skew = match above {
            None => Skew { host, delta_ns: 0 },
            Some((_, Skew { host: above, delta_ns })) if above == host && !host.is_empty() => Skew { host, delta_ns },
            Some((parent, _)) => Skew { host, delta_ns: delta_into(&spans[at], &spans[parent]) },
        };
        shift(&mut spans[at], skew.delta_ns, max.as_nanos().cast_signed());
        open.extend(children[at].iter().map(|&child| (child, Some((at, skew.clone())))));
    }
}

/// By how much the child is moved so that it lies in the middle of its parent. One that is longer than its parent may go on
/// when that has ended, but does not begin before it.
fn delta_into(child: &UiSpan, parent: &UiSpan) -> i128 {
    if child.duration_ns > parent.duration_ns {
        return (parent.start_ns - child.start_ns).max(0);
    }
    let ends = |span: &UiSpan| span.start_ns + span.duration_ns;
    if child.start_ns >= parent.start_ns && ends(child) <= ends(parent) {
        return 0;
    }
    parent.start_ns + (parent.duration_ns - child.duration_ns) / 2 - child.start_ns
}

fn shift(span: &mut UiSpan, delta_ns: i128, max_ns: i128) {
    if delta_ns == 0 {
        return;
    }
    let delta = go_duration_text(delta_ns);
    if delta_ns.abs() > max_ns {
        span.warnings.push(match max_ns {
            0 => format!("clock skew adjustment disabled; not applying calculated delta of {delta}"),
            _ => {
                let max = go_duration_text(max_ns);
                format!("max clock skew adjustment delta of {max} exceeded; not applying calculated delta of {delta}")
            }
        });
        return;
    }
    span.start_ns += delta_ns;
    span.logs.iter_mut().for_each(|log| log.time_ns += delta_ns);
    span.warnings.push(format!("This span's timestamps were adjusted by {delta}"));
}

/// Which host recorded a span, by its process' tag `ip`; empty when unknown.
fn host(span: &UiSpan) -> String {
    let tag = span.process.tags.iter().find(|tag| tag.key == "ip");
    match tag.map(|tag| &tag.value) {
        Some(Value::Str(text)) => text.clone(),
        Some(Value::I64(number)) => Ipv4Addr::from(*number as u32).to_string(),
        Some(Value::Bytes(bytes)) => match (<[u8; 4]>::try_from(&bytes[..]), <[u8; 16]>::try_from(&bytes[..])) {
            (Ok(bytes), _) => Ipv4Addr::from(bytes).to_string(),
            (_, Ok(bytes)) => Ipv6Addr::from(bytes).to_string(),
            _ => String::new(),
        },
        _ => String::new(),
    }
}
