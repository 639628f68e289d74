//! Reading OpenTelemetry's variables. Names, defaults and forms: the specification's page "Environment Variables".

use std::borrow::Cow;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::super::ConfigError;
use super::super::variables::Variables;
use super::{OtelConfig, OtelExporter, OtelJaegerRemote, OtelSampler, OtlpProtocol};
use crate::propagation::Format;

const COUNT: &str = "a number, not negative";
const PAIRS: &str = "of the form key=value,key2=value2";
const RATIO: &str = "a number between 0.0 and 1.0";
const EXPORTERS: &str = "otlp, zipkin, jaeger, console, none or several with commas between";
const PROPAGATORS: &str = "tracecontext, baggage, b3, b3multi, jaeger, none or several with commas between";
const SAMPLERS: &str = "always_on, always_off, traceidratio, jaeger_remote or one of these with parentbased_ before it";

pub(super) fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<OtelConfig, ConfigError> {
    let variables = Variables::new(lookup);
    let mut config = OtelConfig { disabled: variables.is_true("OTEL_SDK_DISABLED"), ..OtelConfig::default() };
    resource(&mut config, &variables)?;
    config.sampler = sampler(&variables)?;
    if let Some(names) = variables.text("OTEL_PROPAGATORS") {
        config.propagators = propagators(&names)?;
    }
    if let Some(names) = variables.text("OTEL_TRACES_EXPORTER") {
        config.exporters = exporters(&names)?;
    }
    otlp(&mut config, &variables)?;
    other_exporters(&mut config, &variables)?;
    if let Some(delay) = variables.millis("OTEL_BSP_SCHEDULE_DELAY")? {
        config.schedule_delay = delay;
    }
    if let Some(size) = variables.parsed("OTEL_BSP_MAX_QUEUE_SIZE", COUNT)? {
        config.queue_size_max = size;
    }
    if let Some(size) = variables.parsed("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", COUNT)? {
        config.export_batch_size_max = size;
    }
    let limit = variables.first_of(&["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"]);
    if let Some((name, _)) = limit {
        config.attribute_bytes_max = variables.parsed(name, COUNT)?;
    }
    Ok(config)
}

fn resource(config: &mut OtelConfig, variables: &Variables<'_>) -> Result<(), ConfigError> {
    const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let attributes = variables.text(NAME).map(|text| pairs(NAME, &text)).transpose()?.unwrap_or_default();
    for (key, value) in attributes {
        match key.as_str() {
            "service.name" => config.service_name = value,
            _ => config.resource_attributes.push((key, value)),
        }
    }
    if let Some(name) = variables.text("OTEL_SERVICE_NAME") {
        config.service_name = name;
    }
    Ok(())
}

fn sampler(variables: &Variables<'_>) -> Result<OtelSampler, ConfigError> {
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    let Some(name) = variables.text("OTEL_TRACES_SAMPLER") else { return Ok(OtelSampler::AlwaysOn) };
    Ok(match name.strip_prefix("parentbased_").unwrap_or(&name) {
        "always_on" => OtelSampler::AlwaysOn,
        "always_off" => OtelSampler::AlwaysOff,
        "traceidratio" => {
            let ratio = variables.parsed(ARGUMENT, RATIO)?.unwrap_or(1.0);
            if !(0.0..=1.0).contains(&ratio) {
                return Err(ConfigError::value(ARGUMENT, &ratio.to_string(), RATIO));
            }
            OtelSampler::TraceIdRatio(ratio)
        }
        "jaeger_remote" => {
            let argument = variables.text(ARGUMENT).unwrap_or_default();
            OtelSampler::JaegerRemote(jaeger_remote(ARGUMENT, &argument)?)
        }
        _ => return Err(ConfigError::value("OTEL_TRACES_SAMPLER", &name, SAMPLERS)),
    })
}

fn jaeger_remote(name: &str, argument: &str) -> Result<OtelJaegerRemote, ConfigError> {
    const ALLOWED: &str = "endpoint=…, pollingIntervalMs=… and initialSamplingRate=… with commas between";
    let wrong = || ConfigError::value(name, argument, ALLOWED);
    let mut remote = OtelJaegerRemote::default();
    for (key, value) in pairs(name, argument)? {
        match key.as_str() {
            "endpoint" => remote.endpoint = value,
            "pollingIntervalMs" => remote.polling_interval = Duration::from_millis(value.parse().map_err(|_| wrong())?),
            "initialSamplingRate" => remote.initial_rate = value.parse().map_err(|_| wrong())?,
            _ => return Err(wrong()),
        }
    }
    Ok(remote)
}

fn propagators(names: &str) -> Result<Vec<Format>, ConfigError> {
    let mut formats = Vec::new();
    for name in list(names) {
        let format =
            Format::from_name(name).ok_or_else(|| ConfigError::value("OTEL_PROPAGATORS", name, PROPAGATORS))?;
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    Ok(formats)
}

fn exporters(names: &str) -> Result<Vec<OtelExporter>, ConfigError> {
    let exporter = |name: &str| match name {
        "otlp" => Ok(OtelExporter::Otlp),
        "zipkin" => Ok(OtelExporter::Zipkin),
        "jaeger" => Ok(OtelExporter::Jaeger),
        "console" | "logging" => Ok(OtelExporter::Console),
        _ => Err(ConfigError::value("OTEL_TRACES_EXPORTER", name, EXPORTERS)),
    };
    list(names).map(exporter).collect()
}

/// The names of a list, nothing for `none`.
fn list(names: &str) -> impl Iterator<Item = &str> {
    names.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "none")
}

fn otlp(config: &mut OtelConfig, variables: &Variables<'_>) -> Result<(), ConfigError> {
    if let Some((name, protocol)) =
        variables.first_of(&["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"])
    {
        config.otlp_protocol = match protocol.as_str() {
            "grpc" => OtlpProtocol::Grpc,
            "http/protobuf" => OtlpProtocol::HttpProtobuf,
            "http/json" => OtlpProtocol::HttpJson,
            _ => return Err(ConfigError::value(name, &protocol, "grpc, http/protobuf or http/json")),
        };
    }
    let base = variables.text("OTEL_EXPORTER_OTLP_ENDPOINT").map(|base| match config.otlp_protocol {
        OtlpProtocol::Grpc => base,
        _ => format!("{}/v1/traces", base.trim_end_matches('/')),
    });
    config.otlp_endpoint = variables.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or(base);
    if let Some((name, headers)) =
        variables.first_of(&["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"])
    {
        config.otlp_headers = pairs(name, &headers)?;
    }
    if let Some((name, compression)) =
        variables.first_of(&["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"])
    {
        config.otlp_gzip = match compression.as_str() {
            "gzip" => true,
            "none" => false,
            _ => return Err(ConfigError::value(name, &compression, "gzip or none")),
        };
    }
    let file = |for_traces, for_all| variables.first_of(&[for_traces, for_all]).map(|(_, path)| path);
    config.otlp_certificate = file("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE");
    config.otlp_client_certificate =
        file("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE");
    config.otlp_client_key = file("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY");
    if let Some((name, _)) = variables.first_of(&["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"]) {
        config.otlp_timeout = variables.millis(name)?.unwrap_or(config.otlp_timeout);
    }
    Ok(())
}

fn other_exporters(config: &mut OtelConfig, variables: &Variables<'_>) -> Result<(), ConfigError> {
    if let Some(endpoint) = variables.text("OTEL_EXPORTER_ZIPKIN_ENDPOINT") {
        config.zipkin_endpoint = endpoint;
    }
    if let Some(timeout) = variables.millis("OTEL_EXPORTER_ZIPKIN_TIMEOUT")? {
        config.zipkin_timeout = timeout;
    }
    config.jaeger_endpoint = variables.text("OTEL_EXPORTER_JAEGER_ENDPOINT");
    let host = variables.text("OTEL_EXPORTER_JAEGER_AGENT_HOST").unwrap_or_else(|| "localhost".to_owned());
    let port: u16 = variables.parsed("OTEL_EXPORTER_JAEGER_AGENT_PORT", "a port, 0 to 65535")?.unwrap_or(6831);
    config.jaeger_agent = format!("{host}:{port}");
    Ok(())
}

/// `key=value,key2=value2`, with what is not plain written as `%20`.
fn pairs(name: &str, text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let wrong = || ConfigError::value(name, text, PAIRS);
    let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8().map(Cow::into_owned);
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').filter(|(key, _)| !key.trim().is_empty()).ok_or_else(wrong)?;
        Ok((decoded(key).map_err(|_| wrong())?, decoded(value).map_err(|_| wrong())?))
    };
    text.split(',').filter(|pair| !pair.trim().is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<OtelConfig, ConfigError> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        OtelConfig::from_variables(find)
    }

    #[test]
    fn without_variables_the_defaults_hold() {
        assert_eq!(with(&[]).unwrap(), OtelConfig::default());
        assert_eq!(with(&[("OTEL_TRACES_EXPORTER", " "), ("OTEL_SDK_DISABLED", "")]).unwrap(), OtelConfig::default());
    }

    #[test]
    fn reads_every_variable() {
        let config = with(&[
            ("OTEL_SDK_DISABLED", "True"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=cart, deployment.environment=a%2Cb"),
            ("OTEL_TRACES_SAMPLER", "parentbased_jaeger_remote"),
            (
                "OTEL_TRACES_SAMPLER_ARG",
                "endpoint=http://agent:5778/sampling,pollingIntervalMs=5000,initialSamplingRate=0.25",
            ),
            ("OTEL_PROPAGATORS", "b3multi,tracecontext, b3multi"),
            ("OTEL_TRACES_EXPORTER", "otlp, zipkin,jaeger,console"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector/base/"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b,x=1"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "client.pem"),
            ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "client.key"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", "http://zipkin:9411/api/v2/spans"),
            ("OTEL_EXPORTER_ZIPKIN_TIMEOUT", "100"),
            ("OTEL_EXPORTER_JAEGER_ENDPOINT", "http://jaeger:14268/api/traces"),
            ("OTEL_EXPORTER_JAEGER_AGENT_HOST", "agent"),
            ("OTEL_EXPORTER_JAEGER_AGENT_PORT", "5775"),
            ("OTEL_BSP_SCHEDULE_DELAY", "200"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "9"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "7"),
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "12"),
            ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "11"),
        ]);
        let expected = OtelConfig {
            disabled: true,
            service_name: "cart".into(),
            resource_attributes: vec![("deployment.environment".into(), "a,b".into())],
            sampler: OtelSampler::JaegerRemote(OtelJaegerRemote {
                endpoint: "http://agent:5778/sampling".into(),
                polling_interval: Duration::from_secs(5),
                initial_rate: 0.25,
            }),
            propagators: vec![Format::B3Multi, Format::TraceContext],
            exporters: vec![OtelExporter::Otlp, OtelExporter::Zipkin, OtelExporter::Jaeger, OtelExporter::Console],
            otlp_protocol: OtlpProtocol::HttpJson,
            otlp_endpoint: Some("https://collector/base/v1/traces".into()),
            otlp_headers: vec![("api-key".into(), "a b".into()), ("x".into(), "1".into())],
            otlp_gzip: true,
            otlp_certificate: Some("ca.pem".into()),
            otlp_client_certificate: Some("client.pem".into()),
            otlp_client_key: Some("client.key".into()),
            otlp_timeout: Duration::from_millis(2500),
            zipkin_endpoint: "http://zipkin:9411/api/v2/spans".into(),
            zipkin_timeout: Duration::from_millis(100),
            jaeger_endpoint: Some("http://jaeger:14268/api/traces".into()),
            jaeger_agent: "agent:5775".into(),
            schedule_delay: Duration::from_millis(200),
            queue_size_max: 9,
            export_batch_size_max: 7,
            attribute_bytes_max: Some(11),
        };
        assert_eq!(config.unwrap(), expected);
    }

    #[test]
    fn what_is_for_traces_alone_goes_first() {
        let config = with(&[
            ("OTEL_SERVICE_NAME", "shop"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=cart"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:4318/spans"),
        ]);
        let config = config.unwrap();
        assert_eq!(
            (config.service_name.as_str(), config.otlp_endpoint.as_deref()),
            ("shop", Some("http://b:4318/spans"))
        );
        let grpc = with(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4317")]);
        assert_eq!(grpc.unwrap().otlp_endpoint.as_deref(), Some("http://a:4317"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = [
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_PROPAGATORS", "tracecontext,xray"),
            ("OTEL_TRACES_EXPORTER", "kafka"),
            ("OTEL_RESOURCE_ATTRIBUTES", "region"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "udp"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "=1"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
            ("OTEL_EXPORTER_JAEGER_AGENT_PORT", "65536"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
            ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1k"),
        ];
        for (name, value) in wrong {
            let error = with(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(name) && error.contains(": it must be "), "{error}");
        }
        let ratio = with(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")]);
        assert!(ratio.unwrap_err().to_string().starts_with("OTEL_TRACES_SAMPLER_ARG"));
    }
}
