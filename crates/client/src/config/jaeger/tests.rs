//! Every key and every variable, one by one; what is wrong is named.

use std::time::Duration;

use super::super::ConfigError;
use super::{JaegerAgent, JaegerConfig, JaegerSampler, JaegerThrottler};
use crate::Value;
use crate::propagation::Format;

fn json(text: &str) -> Result<JaegerConfig, ConfigError> {
    JaegerConfig::new("shop").with_json(text)
}

fn variables(variables: &[(&str, &str)]) -> Result<JaegerConfig, ConfigError> {
    let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    JaegerConfig::new("shop").with_variables(find)
}

const EVERY_KEY: &str = r#"{
    "service_name": "cart", "enabled": "false", "reporter_batch_size": "20", "reporter_queue_size": 200,
    "reporter_flush_interval": 0.5, "logging": "True", "metrics": 0, "sampler": {"type": "rate_limiting", "param": 2},
    "sampling_refresh_interval": 5, "max_operations": 7,
    "local_agent": {"enabled": true, "sampling_port": "1", "reporting_port": 2, "reporting_host": "agent"},
    "trace_id_header": "x-trace", "baggage_header_prefix": "x-bag-", "debug_id_header": "x-debug",
    "generate_128bit_trace_id": 1, "max_tag_value_length": 10, "max_traceback_length": 11,
    "tags": {"a": 1, "b": "x", "c": 1.5, "d": true}, "propagation": "b3", "throttler": {"port": 3, "refresh_interval": 4}
}"#;

fn every_key() -> JaegerConfig {
    JaegerConfig {
        enabled: false,
        reporter_batch_size: 20,
        reporter_queue_size: 200,
        reporter_flush_interval: Duration::from_millis(500),
        logging: true,
        metrics: false,
        sampler: JaegerSampler::RateLimiting(2.0),
        sampling_refresh_interval: Duration::from_secs(5),
        max_operations: 7,
        local_agent: JaegerAgent { reporting_host: "agent".into(), reporting_port: 2, sampling_port: 1 },
        trace_id_header: "x-trace".into(),
        baggage_header_prefix: "x-bag-".into(),
        debug_id_header: "x-debug".into(),
        generate_128bit_trace_id: true,
        max_tag_value_length: 10,
        max_traceback_length: 11,
        tags: vec![
            ("a".into(), Value::I64(1)),
            ("b".into(), Value::Str("x".into())),
            ("c".into(), Value::F64(1.5)),
            ("d".into(), Value::Bool(true)),
        ],
        propagation: vec![Format::B3Multi],
        throttler: Some(JaegerThrottler { port: 3, refresh_interval: Duration::from_secs(4) }),
        ..JaegerConfig::new("cart")
    }
}

#[test]
fn reads_every_key() {
    assert_eq!(json(EVERY_KEY).unwrap(), every_key());
    assert_eq!(serde_json::from_str::<JaegerConfig>(EVERY_KEY).unwrap(), every_key());
    assert_eq!(json("{}").unwrap(), JaegerConfig::new("shop"));
}

#[cfg(feature = "yaml")]
#[test]
fn yaml_says_the_same() {
    // JSON is YAML.
    assert_eq!(JaegerConfig::new("shop").with_yaml(EVERY_KEY).unwrap(), every_key());
    let yaml = "&agent\nlocal_agent:\n  reporting_host: \"1\"\ntags:\n  version: '2'\nsampler:\n  type: probabilistic\n  param: 1e-3\n";
    let config = JaegerConfig::new("shop").with_yaml(yaml).unwrap();
    assert_eq!(config.sampler, JaegerSampler::Probabilistic(0.001));
    assert_eq!(config.local_agent.reporting_host, "1");
    assert_eq!(config.tags, [("version".to_owned(), Value::Str("2".into()))]);
    assert_eq!(JaegerConfig::new("shop").with_yaml("").unwrap(), JaegerConfig::new("shop"));
    for wrong in ["a: [", "--- {}\n--- {}", "- logging"] {
        assert!(JaegerConfig::new("shop").with_yaml(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn booleans_follow_jaegers_rule() {
    let logging = |value: &str| json(&format!(r#"{{"logging": {value}, "metrics": {value}}}"#)).unwrap();
    for (value, expected) in [("true", true), ("\"TRUE\"", true), ("1", true), ("\"0\"", false), ("\"None\"", false)] {
        let config = logging(value);
        assert_eq!((config.logging, config.metrics), (expected, expected), "{value}");
    }
    // Anything else is the key's default.
    let config = logging("\"yes\"");
    assert_eq!((config.logging, config.metrics), (false, true));
}

#[test]
fn reads_every_sampler() {
    let sampler = |keys: &str| json(&format!(r#"{{"sampler": {keys}}}"#)).map(|config| config.sampler);
    assert_eq!(sampler("{}").unwrap(), JaegerSampler::Remote { initial_rate: 0.001 });
    assert_eq!(sampler(r#"{"type": "remote", "param": 0.1}"#).unwrap(), JaegerSampler::Remote { initial_rate: 0.1 });
    assert_eq!(sampler(r#"{"type": "const"}"#).unwrap(), JaegerSampler::Const(false));
    assert_eq!(sampler(r#"{"type": "const", "param": 1}"#).unwrap(), JaegerSampler::Const(true));
    assert_eq!(sampler(r#"{"type": "ratelimiting", "param": "3"}"#).unwrap(), JaegerSampler::RateLimiting(3.0));
    let unknown = sampler(r#"{"type": "adaptive"}"#).unwrap_err().to_string();
    assert_eq!(unknown, r#"sampler.type is "adaptive": it must be const, probabilistic, ratelimiting or remote"#);
    assert!(sampler(r#"{"type": "probabilistic"}"#).unwrap_err().to_string().starts_with("sampler.param"));
}

#[test]
fn reads_every_variable() {
    let config = variables(&[
        ("JAEGER_SERVICE_NAME", "cart"),
        ("JAEGER_AGENT_HOST", "agent"),
        ("JAEGER_AGENT_PORT", "5775"),
        ("JAEGER_ENDPOINT", "http://jaeger:14268/api/traces"),
        ("JAEGER_AUTH_TOKEN", "token"),
        ("JAEGER_USER", "user"),
        ("JAEGER_PASSWORD", "password"),
        ("JAEGER_SAMPLER_TYPE", "remote"),
        ("JAEGER_SAMPLER_PARAM", "0.5"),
        ("JAEGER_SAMPLER_MANAGER_HOST_PORT", "agent:5778"),
        ("JAEGER_SAMPLER_REFRESH_INTERVAL", "1m"),
        ("JAEGER_SAMPLER_MAX_OPERATIONS", "9"),
        ("JAEGER_REPORTER_LOG_SPANS", "true"),
        ("JAEGER_REPORTER_MAX_QUEUE_SIZE", "500"),
        ("JAEGER_REPORTER_FLUSH_INTERVAL", "250"),
        ("JAEGER_TAGS", "a = 1,zone=${ZONE:none},rack=${RACK:7}"),
        ("ZONE", "eu"),
        ("JAEGER_TRACEID_128BIT", "true"),
        ("JAEGER_PROPAGATION", "jaeger,w3c"),
        ("JAEGER_DISABLED", "true"),
    ]);
    let text = |key: &str, value: &str| (key.to_owned(), Value::Str(value.into()));
    let expected = JaegerConfig {
        enabled: false,
        reporter_queue_size: 500,
        reporter_flush_interval: Duration::from_millis(250),
        logging: true,
        sampler: JaegerSampler::Remote { initial_rate: 0.5 },
        sampling_refresh_interval: Duration::from_secs(60),
        max_operations: 9,
        local_agent: JaegerAgent { reporting_host: "agent".into(), reporting_port: 5775, ..JaegerAgent::default() },
        generate_128bit_trace_id: true,
        tags: vec![text("a", "1"), text("zone", "eu"), text("rack", "7")],
        propagation: vec![Format::Jaeger, Format::TraceContext, Format::Baggage],
        endpoint: Some("http://jaeger:14268/api/traces".into()),
        basic_auth: Some(("user".into(), "password".into())),
        auth_token: Some("token".into()),
        sampling_endpoint: Some("http://agent:5778".into()),
        ..JaegerConfig::new("cart")
    };
    assert_eq!(config.unwrap(), expected);
}

#[test]
fn what_is_applied_last_holds() {
    let agent = |name: &str| (name == "JAEGER_AGENT_HOST").then(|| "variable".to_owned());
    let keys = r#"{"local_agent": {"reporting_host": "key"}, "tags": {"a": 1}}"#;
    let config = JaegerConfig::new("shop").with_variables(agent).unwrap().with_json(keys).unwrap();
    assert_eq!(config.local_agent.reporting_host, "key");
    let tags = |name: &str| (name == "JAEGER_TAGS").then(|| "a=2".to_owned());
    let config = config.with_variables(agent).unwrap().with_variables(tags).unwrap();
    assert_eq!(config.local_agent.reporting_host, "variable");
    assert_eq!(config.tags, [("a".to_owned(), Value::Str("2".into()))]);
}

#[test]
fn what_is_wrong_is_named() {
    let unexpected = json(r#"{"sampler": {"typ": 1}, "loging": true, "z": 0}"#).unwrap_err();
    assert_eq!(unexpected.to_string(), "Unexpected keys found in config:loging,z,sampler.typ");
    for (name, value) in [
        ("JAEGER_AGENT_PORT", "0x1"),
        ("JAEGER_SAMPLER_TYPE", "sometimes"),
        ("JAEGER_REPORTER_FLUSH_INTERVAL", "1h"),
        ("JAEGER_REPORTER_MAX_QUEUE_SIZE", "-1"),
        ("JAEGER_TAGS", "region"),
        ("JAEGER_PROPAGATION", "xray"),
    ] {
        let error = variables(&[(name, value)]).unwrap_err().to_string();
        assert!(error.starts_with(name) && error.contains(": it must be "), "{error}");
    }
    for text in
        ["", "[]", r#"{"reporter_batch_size": -1}"#, r#"{"local_agent": 1}"#, r#"{"sampling_refresh_interval": "x"}"#]
    {
        assert!(json(text).is_err(), "{text}");
    }
    let error = JaegerConfig { reporter_batch_size: 101, ..JaegerConfig::new("shop") }.tracer().unwrap_err();
    assert!(error.to_string().starts_with("Queue capacity cannot be less than batch size"), "{error}");
    let error = JaegerConfig::new("").tracer().unwrap_err();
    assert_eq!(error.to_string(), "service_name required in the config or param");
    let sampler = JaegerSampler::Probabilistic(2.0);
    assert!(JaegerConfig { sampler, ..JaegerConfig::new("shop") }.tracer().is_err());
}

#[test]
fn the_tracer_is_as_configured() {
    let config = every_key();
    let tracer = JaegerConfig { logging: false, ..config.clone() }.tracer().unwrap();
    assert!(!tracer.new_trace("op").is_recorded(), "not enabled");
    let config = JaegerConfig { enabled: true, logging: false, sampler: JaegerSampler::Const(true), ..config };
    let tracer = config.tracer().unwrap();
    let keys: Vec<&str> = tracer.resource().tags.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["jaeger.version", "hostname", "ip", "a", "b", "c", "d", "client-uuid"]);
    assert_ne!(tracer.new_trace("op").context().trace_id().high(), 0);
}
