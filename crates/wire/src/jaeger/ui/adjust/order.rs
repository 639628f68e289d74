//! Tags of spans and processes, and the fields of logs, sorted by key, then type, then value. A log's text `event` goes
//! first.

use super::super::trace::{UiSpan, UiTag, UiTrace};
use std::cmp::Ordering;
use tracewell_model::Value;

/// See the module's text.
pub(super) fn sort_tags(trace: &mut UiTrace) {
    for UiSpan { tags, logs, process, .. } in &mut trace.spans {
        sort(tags);
        sort(&mut process.tags);
        for log in logs {
            let is_event = |field: &UiTag| field.key == "event" && matches!(field.value, Value::Str(_));
            let mut from = 0;
            if let Some(at) = log.fields.iter().position(is_event) {
                log.fields.swap(0, at);
                from = 1;
            }
            sort(&mut log.fields[from..]);
        }
    }
}

/// Sorts tags.
pub(super) fn sort(tags: &mut [UiTag]) {
    tags.sort_by(compare);
}

fn compare(a: &UiTag, b: &UiTag) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Str(_) => 0,
        Value::Bool(_) => 1,
        Value::I64(_) => 2,
        Value::F64(_) => 3,
        Value::Bytes(_) | Value::Nested(_) => 4,
    };
    a.key.cmp(&b.key).then_with(|| match (&a.value, &b.value) {
        (Value::Str(a), Value::Str(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::I64(a), Value::I64(b)) => a.cmp(b),
        (Value::F64(a), Value::F64(b)) => a.total_cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (a, b) => rank(a).cmp(&rank(b)),
    })
}
