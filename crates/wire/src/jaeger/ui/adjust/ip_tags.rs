//! Old clients of Jaeger send IPv4 addresses as numbers: the tags `ip` and `peer.ipv4` become text.

use super::super::trace::{UiTag, UiTrace};
use super::order;
use std::net::Ipv4Addr;
use tracewell_model::Value;

/// See the module's text.
pub(super) fn to_text(trace: &mut UiTrace) {
    for span in &mut trace.spans {
        span.tags.iter_mut().for_each(tag_to_text);
        span.process.tags.iter_mut().for_each(tag_to_text);
        order::sort(&mut span.process.tags);
    }
}

fn tag_to_text(tag: &mut UiTag) {
    if tag.key != "ip" && tag.key != "peer.ipv4" {
        return;
    }
    let number = match tag.value {
        Value::I64(value) => value as u32,
        Value::F64(value) => value as i64 as u32,
        _ => return,
    };
    tag.value = Value::Str(Ipv4Addr::from(number).to_string());
}
