//! The keys of jaeger-client's dictionary, and how it reads values: numbers also as text, booleans by its own rule.

use std::time::Duration;

use serde_json::{Map, Value as Json};
use tracewell_model::Value;

use super::super::ConfigError;
use super::{JaegerAgent, JaegerConfig, JaegerSampler, JaegerThrottler};
use crate::propagation::Format;

const KEYS: [&str; 20] = [
    "service_name",
    "enabled",
    "reporter_batch_size",
    "reporter_queue_size",
    "reporter_flush_interval",
    "logging",
    "metrics",
    "sampler",
    "sampling_refresh_interval",
    "max_operations",
    "local_agent",
    "trace_id_header",
    "baggage_header_prefix",
    "debug_id_header",
    "generate_128bit_trace_id",
    "max_tag_value_length",
    "max_traceback_length",
    "tags",
    "propagation",
    "throttler",
];
const GROUPS: [(&str, &[&str]); 3] = [
    ("sampler", &["type", "param"]),
    // `enabled` is read and has no effect, as in jaeger-client.
    ("local_agent", &["enabled", "sampling_port", "reporting_port", "reporting_host"]),
    ("throttler", &["port", "refresh_interval"]),
];
const A_GROUP: &str = "a group of keys";
const COUNT: &str = "a number, not negative";
const PORT: &str = "a port, 0 to 65535";

pub(super) fn apply(mut config: JaegerConfig, keys: &Json) -> Result<JaegerConfig, ConfigError> {
    let no_keys = Map::new();
    let keys = match keys {
        // An empty YAML file.
        Json::Null => &no_keys,
        Json::Object(keys) => keys,
        other => return Err(ConfigError::value("the configuration", &other.to_string(), A_GROUP)),
    };
    check(keys)?;
    for (key, value) in keys {
        set(&mut config, key, value)?;
    }
    Ok(config)
}

fn check(keys: &Map<String, Json>) -> Result<(), ConfigError> {
    let mut unexpected: Vec<String> = keys.keys().filter(|key| !KEYS.contains(&key.as_str())).cloned().collect();
    for (group, known) in GROUPS {
        let within = keys.get(group).and_then(Json::as_object).into_iter().flat_map(Map::keys);
        unexpected.extend(within.filter(|key| !known.contains(&key.as_str())).map(|key| format!("{group}.{key}")));
    }
    if unexpected.is_empty() { Ok(()) } else { Err(ConfigError::UnexpectedKeys { keys: unexpected }) }
}

fn set(config: &mut JaegerConfig, key: &str, value: &Json) -> Result<(), ConfigError> {
    match key {
        "service_name" => config.service_name = text(key, value)?,
        "enabled" => config.enabled = boolean(value, true),
        "reporter_batch_size" => config.reporter_batch_size = parsed(key, value, COUNT)?,
        "reporter_queue_size" => config.reporter_queue_size = parsed(key, value, COUNT)?,
        "reporter_flush_interval" => config.reporter_flush_interval = seconds(key, value)?,
        "logging" => config.logging = boolean(value, false),
        "metrics" => config.metrics = boolean(value, true),
        "sampler" => config.sampler = sampler(value)?,
        "sampling_refresh_interval" => config.sampling_refresh_interval = seconds(key, value)?,
        "max_operations" if value.is_null() => {}
        "max_operations" => config.max_operations = parsed(key, value, COUNT)?,
        "local_agent" => agent(&mut config.local_agent, value)?,
        "trace_id_header" => config.trace_id_header = text(key, value)?,
        "baggage_header_prefix" => config.baggage_header_prefix = text(key, value)?,
        "debug_id_header" => config.debug_id_header = text(key, value)?,
        "generate_128bit_trace_id" => config.generate_128bit_trace_id = boolean(value, false),
        "max_tag_value_length" => config.max_tag_value_length = parsed(key, value, COUNT)?,
        "max_traceback_length" => config.max_traceback_length = parsed(key, value, COUNT)?,
        "tags" => {
            for (key, value) in group("tags", value)?.into_iter().flatten() {
                put_tag(&mut config.tags, key, tag(value));
            }
        }
        "propagation" => config.propagation = propagation(key, value)?,
        "throttler" => config.throttler = throttler(value)?,
        // The keys were checked.
        _ => {}
    }
    Ok(())
}

fn sampler(value: &Json) -> Result<JaegerSampler, ConfigError> {
    let Some(keys) = group("sampler", value)? else { return Ok(JaegerSampler::default()) };
    let param = keys.get("param").filter(|param| !param.is_null());
    let name = keys.get("type").filter(|name| !name.is_null()).map_or(Ok(String::new()), |name| text("type", name))?;
    sampler_of("sampler.param", &name, param.map(plain).as_deref())
        .unwrap_or_else(|| Err(ConfigError::value("sampler.type", &name, SAMPLER_TYPES)))
}

pub(super) const SAMPLER_TYPES: &str = "const, probabilistic, ratelimiting or remote";

/// `None`: there is no such type.
pub(super) fn sampler_of(
    param_name: &str,
    name: &str,
    param: Option<&str>,
) -> Option<Result<JaegerSampler, ConfigError>> {
    let number = |allowed| {
        let param = param.unwrap_or_default();
        param.trim().parse().map_err(|_| ConfigError::value(param_name, param, allowed))
    };
    const RATE: &str = "a number between 0.0 and 1.0";
    Some(match name {
        "" => Ok(JaegerSampler::default()),
        "remote" => match param {
            None => Ok(JaegerSampler::default()),
            Some(_) => number(RATE).map(|initial_rate| JaegerSampler::Remote { initial_rate }),
        },
        "const" => Ok(JaegerSampler::Const(param.is_some_and(|param| boolean_of(param, false)))),
        "probabilistic" => number(RATE).map(JaegerSampler::Probabilistic),
        "ratelimiting" | "rate_limiting" => number("a number of traces a second").map(JaegerSampler::RateLimiting),
        _ => return None,
    })
}

fn agent(agent: &mut JaegerAgent, value: &Json) -> Result<(), ConfigError> {
    let Some(keys) = group("local_agent", value)? else { return Ok(()) };
    if let Some(host) = keys.get("reporting_host") {
        agent.reporting_host = text("local_agent.reporting_host", host)?;
    }
    if let Some(port) = keys.get("reporting_port") {
        agent.reporting_port = parsed("local_agent.reporting_port", port, PORT)?;
    }
    if let Some(port) = keys.get("sampling_port") {
        agent.sampling_port = parsed("local_agent.sampling_port", port, PORT)?;
    }
    Ok(())
}

fn throttler(value: &Json) -> Result<Option<JaegerThrottler>, ConfigError> {
    let Some(keys) = group("throttler", value)? else { return Ok(None) };
    let mut throttler = JaegerThrottler::default();
    if let Some(port) = keys.get("port") {
        throttler.port = parsed("throttler.port", port, PORT)?;
    }
    if let Some(interval) = keys.get("refresh_interval") {
        throttler.refresh_interval = seconds("throttler.refresh_interval", interval)?;
    }
    Ok(Some(throttler))
}

/// jaeger-client knows `b3`; anything else is its own form. The others name several.
fn propagation(key: &str, value: &Json) -> Result<Vec<Format>, ConfigError> {
    if value.is_null() {
        return Ok(vec![Format::Jaeger]);
    }
    propagation_of(key, &text(key, value)?)
}

pub(super) fn propagation_of(key: &str, names: &str) -> Result<Vec<Format>, ConfigError> {
    let mut formats = Vec::new();
    for name in names.split(',') {
        match name.trim().to_ascii_lowercase().as_str() {
            "jaeger" | "" => formats.push(Format::Jaeger),
            "b3" => formats.push(Format::B3Multi),
            "w3c" => formats.extend([Format::TraceContext, Format::Baggage]),
            _ => return Err(ConfigError::value(key, names, "jaeger, b3, w3c or several of them with commas between")),
        }
    }
    Ok(formats)
}

pub(super) fn put_tag(tags: &mut Vec<(String, Value)>, key: &str, value: Value) {
    match tags.iter_mut().find(|(known, _)| known == key) {
        Some((_, known)) => *known = value,
        None => tags.push((key.to_owned(), value)),
    }
}

fn tag(value: &Json) -> Value {
    match value {
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Value::I64(value),
            (None, Some(value)) => Value::F64(value),
            (None, None) => Value::Str(number.to_string()),
        },
        other => Value::Str(plain(other)),
    }
}

fn group<'v>(key: &str, value: &'v Json) -> Result<Option<&'v Map<String, Json>>, ConfigError> {
    match value {
        Json::Null => Ok(None),
        Json::Object(keys) => Ok(Some(keys)),
        other => Err(ConfigError::value(key, &plain(other), A_GROUP)),
    }
}

fn text(key: &str, value: &Json) -> Result<String, ConfigError> {
    match value {
        Json::String(_) | Json::Number(_) => Ok(plain(value)),
        other => Err(ConfigError::value(key, &plain(other), "a text")),
    }
}

fn parsed<T: std::str::FromStr>(key: &str, value: &Json, allowed: &'static str) -> Result<T, ConfigError> {
    let text = plain(value);
    text.trim().parse().map_err(|_| ConfigError::value(key, &text, allowed))
}

fn seconds(key: &str, value: &Json) -> Result<Duration, ConfigError> {
    const SECONDS: &str = "a number of seconds";
    let number: f64 = parsed(key, value, SECONDS)?;
    Duration::try_from_secs_f64(number).map_err(|_| ConfigError::value(key, &plain(value), SECONDS))
}

fn boolean(value: &Json, default: bool) -> bool {
    // Python's `str(None)`.
    if value.is_null() { false } else { boolean_of(&plain(value), default) }
}

/// jaeger-client's `get_boolean`: `false`, `0`, `none`; `true`, `1`; in any case. Everything else is the default.
pub(super) fn boolean_of(text: &str, default: bool) -> bool {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("false") || is("0") || is("none") { false } else { is("true") || is("1") || default }
}

/// A text without quotes.
fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
