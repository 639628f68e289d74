//! Comparing what came out with what a file says, and reading the file's fields.

use anyhow::Context as _;
use serde_json::Value;

/// What differs, if something does.
pub(crate) fn difference(expected: &Value, found: &Value) -> Option<String> {
    (!same(expected, found)).then(|| format!("expected {expected}, found {found}"))
}

/// Equal, a whole number being the same as a float.
pub(crate) fn same(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

pub(crate) fn text<'a>(value: &'a Value, member: &str) -> anyhow::Result<&'a str> {
    value[member].as_str().with_context(|| format!("{member} should be text in {value}"))
}

pub(crate) fn list<'a>(value: &'a Value, member: &str) -> anyhow::Result<&'a [Value]> {
    match &value[member] {
        Value::Null => Ok(&[]),
        list => list.as_array().map(Vec::as_slice).with_context(|| format!("{member} should be a list")),
    }
}

/// A number, also one written as text.
pub(crate) fn number(value: &Value, member: &str) -> anyhow::Result<f64> {
    let value = &value[member];
    let parsed = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    parsed.with_context(|| format!("{member} should be a number, not {value}"))
}
