//! The variables that Jaeger's clients share.

use std::time::Duration;

use tracewell_model::Value;

use super::super::ConfigError;
use super::super::variables::Variables;
use super::JaegerConfig;
use super::keys::{SAMPLER_TYPES, boolean_of, propagation_of, put_tag, sampler_of};

const COUNT: &str = "a number, not negative";

pub(super) fn apply(
    mut config: JaegerConfig,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<JaegerConfig, ConfigError> {
    let variables = Variables::new(lookup);
    let set = |field: &mut String, name| {
        if let Some(text) = variables.text(name) {
            *field = text;
        }
    };
    set(&mut config.service_name, "JAEGER_SERVICE_NAME");
    set(&mut config.local_agent.reporting_host, "JAEGER_AGENT_HOST");
    if let Some(port) = variables.parsed("JAEGER_AGENT_PORT", "a port, 0 to 65535")? {
        config.local_agent.reporting_port = port;
    }
    config.endpoint = variables.text("JAEGER_ENDPOINT").or(config.endpoint);
    config.auth_token = variables.text("JAEGER_AUTH_TOKEN").or(config.auth_token);
    if let (Some(user), Some(password)) = (variables.text("JAEGER_USER"), variables.text("JAEGER_PASSWORD")) {
        config.basic_auth = Some((user, password));
    }
    sampler(&mut config, &variables)?;
    if let Some(wide) = variables.text("JAEGER_TRACEID_128BIT") {
        config.generate_128bit_trace_id = boolean_of(&wide, false);
    }
    if let Some(log) = variables.text("JAEGER_REPORTER_LOG_SPANS") {
        config.logging = boolean_of(&log, false);
    }
    if let Some(size) = variables.parsed("JAEGER_REPORTER_MAX_QUEUE_SIZE", COUNT)? {
        config.reporter_queue_size = size;
    }
    if let Some(interval) = interval(&variables, "JAEGER_REPORTER_FLUSH_INTERVAL")? {
        config.reporter_flush_interval = interval;
    }
    if let Some(names) = variables.text("JAEGER_PROPAGATION") {
        config.propagation = propagation_of("JAEGER_PROPAGATION", &names)?;
    }
    if let Some(disabled) = variables.text("JAEGER_DISABLED") {
        config.enabled = !boolean_of(&disabled, false);
    }
    if let Some(tags) = variables.text("JAEGER_TAGS") {
        for (key, value) in read_tags(&tags, lookup)? {
            put_tag(&mut config.tags, &key, Value::Str(value));
        }
    }
    Ok(config)
}

fn sampler(config: &mut JaegerConfig, variables: &Variables<'_>) -> Result<(), ConfigError> {
    if let Some(name) = variables.text("JAEGER_SAMPLER_TYPE") {
        let param = variables.text("JAEGER_SAMPLER_PARAM");
        config.sampler = sampler_of("JAEGER_SAMPLER_PARAM", &name, param.as_deref())
            .unwrap_or_else(|| Err(ConfigError::value("JAEGER_SAMPLER_TYPE", &name, SAMPLER_TYPES)))?;
    }
    if let Some(interval) = interval(variables, "JAEGER_SAMPLER_REFRESH_INTERVAL")? {
        config.sampling_refresh_interval = interval;
    }
    if let Some(operations) = variables.parsed("JAEGER_SAMPLER_MAX_OPERATIONS", COUNT)? {
        config.max_operations = operations;
    }
    let endpoint = variables.first_of(&["JAEGER_SAMPLING_ENDPOINT", "JAEGER_SAMPLER_MANAGER_HOST_PORT"]);
    if let Some((_, endpoint)) = endpoint {
        let with_scheme = if endpoint.contains("://") { endpoint } else { format!("http://{endpoint}") };
        config.sampling_endpoint = Some(with_scheme);
    }
    Ok(())
}

/// `k=v,k2=${VARIABLE:default}`.
fn read_tags(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Vec<(String, String)>, ConfigError> {
    let wrong = || ConfigError::value("JAEGER_TAGS", text, "of the form key=value,key2=value2");
    let mut tags = Vec::new();
    for pair in text.split(',') {
        let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() {
            return Err(wrong());
        }
        let named = value.strip_prefix("${").and_then(|value| value.strip_suffix('}'));
        let value = match named.map(|named| named.split_once(':').unwrap_or((named, ""))) {
            Some((name, default)) => lookup(name).unwrap_or_else(|| default.to_owned()),
            None => value.to_owned(),
        };
        tags.push((key.to_owned(), value));
    }
    Ok(tags)
}

/// A number of milliseconds, as the clients for Java and Node have it, or one with a unit, as the one for Go has it.
fn interval(variables: &Variables<'_>, name: &str) -> Result<Option<Duration>, ConfigError> {
    const ALLOWED: &str = "a number of milliseconds, or one with its unit: 500ms, 1s, 2m";
    let Some(text) = variables.text(name) else { return Ok(None) };
    let unit_at = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "" | "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err(ConfigError::value(name, &text, ALLOWED)),
    };
    let number: Option<f64> = number.trim().parse().ok();
    let interval = number.and_then(|number| Duration::try_from_secs_f64(number * seconds).ok());
    interval.map(Some).ok_or_else(|| ConfigError::value(name, &text, ALLOWED))
}
