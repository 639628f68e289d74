//! How Jaeger's servers tell a service what to sample: the messages of `sampling.proto`, and the JSON that clients ask for
//! over HTTP, in both of its spellings.

use crate::protobuf::{
    BYTES, FIXED64, ProtobufError, Reader, VARINT, fields, key, push_bytes_field, push_double_field, push_message,
    push_text_field, push_varint_field,
};
use crate::zipkin_v2::push_text;
use std::fmt::{self, Write};

/// What a service is told: `SamplingStrategyResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingStrategy {
    /// For clients that know nothing of operations.
    pub rule: SamplingRule,
    /// By operation; wins over the rule in clients that know it.
    pub operations: Option<OperationSampling>,
}

/// The strategy of a whole service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SamplingRule {
    /// A share of all traces, 0 to 1.
    Probabilistic(f64),
    /// So many traces a second.
    RateLimiting(i32),
}

/// The strategies of operations: `PerOperationSamplingStrategies`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OperationSampling {
    /// The share of operations that are not named.
    pub default_rate: f64,
    /// So many traces a second of each operation at least.
    pub lower_bound_traces_per_second: f64,
    /// So many at most. No client looks at it.
    pub upper_bound_traces_per_second: f64,
    /// Operations by name, and their shares.
    pub rates: Vec<(String, f64)>,
}

/// How `strategyType` is spelled in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SamplingTypeForm {
    /// `"PROBABILISTIC"`: `/sampling` of an agent, `/api/sampling` of a collector.
    Names,
    /// `0`: `/` of an agent, for the oldest clients.
    Numbers,
}

/// Appends a strategy as JSON, with the members that Jaeger 1.62 and 1.76 write.
pub fn encode_sampling_json(strategy: &SamplingStrategy, form: SamplingTypeForm, out: &mut Vec<u8>) {
    let (name, number) = match strategy.rule {
        SamplingRule::Probabilistic(_) => ("\"PROBABILISTIC\"", "0"),
        SamplingRule::RateLimiting(_) => ("\"RATE_LIMITING\"", "1"),
    };
    let type_text = if form == SamplingTypeForm::Names { name } else { number };
    push(out, format_args!("{{\"strategyType\":{type_text},"));
    match strategy.rule {
        SamplingRule::Probabilistic(rate) => push_rate(out, rate),
        SamplingRule::RateLimiting(limit) => {
            push(out, format_args!("\"rateLimitingSampling\":{{\"maxTracesPerSecond\":{limit}}}"));
        }
    }
    if let Some(operations) = &strategy.operations {
        let OperationSampling { default_rate, lower_bound_traces_per_second: lower, .. } = operations;
        push(out, format_args!(",\"operationSampling\":{{\"defaultSamplingProbability\":{default_rate},"));
        push(out, format_args!("\"defaultLowerBoundTracesPerSecond\":{lower},\"perOperationStrategies\":["));
        for (at, (operation, rate)) in operations.rates.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b"{\"operation\":" } else { b",{\"operation\":" });
            push_text(out, operation);
            out.push(b',');
            push_rate(out, *rate);
            out.push(b'}');
        }
        let upper = operations.upper_bound_traces_per_second;
        push(out, format_args!("],\"defaultUpperBoundTracesPerSecond\":{upper}}}"));
    }
    out.push(b'}');
}

/// Appends a strategy as the answer of `jaeger.api_v2.SamplingManager/GetSamplingStrategy`.
pub fn encode_sampling_proto(strategy: &SamplingStrategy, out: &mut Vec<u8>) {
    match strategy.rule {
        SamplingRule::Probabilistic(rate) => push_rate_message(out, 2, rate),
        SamplingRule::RateLimiting(limit) => {
            push_varint_field(out, 1, 1);
            push_message(out, 3, 2, |out| {
                if limit != 0 {
                    push_varint_field(out, 1, i64::from(limit) as u64);
                }
            });
        }
    }
    let Some(operations) = &strategy.operations else { return };
    push_message(out, 4, 1 << 7, |out| {
        push_double(out, 1, operations.default_rate);
        push_double(out, 2, operations.lower_bound_traces_per_second);
        for (operation, rate) in &operations.rates {
            push_message(out, 3, 0, |out| {
                if !operation.is_empty() {
                    push_text_field(out, 1, operation);
                }
                push_rate_message(out, 2, *rate);
            });
        }
        push_double(out, 4, operations.upper_bound_traces_per_second);
    });
}

/// Reads what [`encode_sampling_proto`] writes. A rule of neither type is a share of none.
pub fn decode_sampling_proto(body: &[u8]) -> Result<SamplingStrategy, ProtobufError> {
    const KNOWN: u64 = fields(&[1, 2, 3, 4]);
    const TYPE: u32 = key(1, VARINT);
    const PROBABILISTIC: u32 = key(2, BYTES);
    const RATE_LIMITING: u32 = key(3, BYTES);
    const OPERATIONS: u32 = key(4, BYTES);
    let mut reader = Reader::new(body);
    let (mut type_number, mut rate, mut limit, mut operations) = (0, 0.0, 0, None);
    while let Some(key) = reader.key()? {
        match key {
            TYPE => type_number = reader.varint()?,
            PROBABILISTIC => rate = read_rate(reader.message()?)?,
            RATE_LIMITING => limit = read_limit(reader.message()?)?,
            OPERATIONS => operations = Some(read_operations(reader.message()?)?),
            _ => reader.skip_unknown(key, KNOWN)?,
        }
    }
    let rule = match type_number {
        1 => SamplingRule::RateLimiting(limit),
        _ => SamplingRule::Probabilistic(rate),
    };
    Ok(SamplingStrategy { rule, operations })
}

/// Appends the question of `GetSamplingStrategy`: what is this service to sample?
pub fn encode_sampling_parameters(service: &str, out: &mut Vec<u8>) {
    if !service.is_empty() {
        push_bytes_field(out, 1, service.as_bytes());
    }
}

/// Reads the question of `GetSamplingStrategy`: the service's name, empty when it is not said.
pub fn decode_sampling_parameters(body: &[u8]) -> Result<String, ProtobufError> {
    const KNOWN: u64 = fields(&[1]);
    const SERVICE: u32 = key(1, BYTES);
    let mut reader = Reader::new(body);
    let mut service = String::new();
    while let Some(key) = reader.key()? {
        match key {
            SERVICE => service = reader.text()?.into_owned(),
            _ => reader.skip_unknown(key, KNOWN)?,
        }
    }
    Ok(service)
}

fn push_rate(out: &mut Vec<u8>, rate: f64) {
    push(out, format_args!("\"probabilisticSampling\":{{\"samplingRate\":{rate}}}"));
}

fn push(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    struct Bytes<'a>(&'a mut Vec<u8>);
    impl Write for Bytes<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
    #[expect(clippy::expect_used, reason = "memory takes everything, and numbers print")]
    Bytes(out).write_fmt(text).expect("memory");
}

fn push_rate_message(out: &mut Vec<u8>, number: u32, rate: f64) {
    push_message(out, number, 9, |out| push_double(out, 1, rate));
}

/// Zero is not written, as proto3 has it.
fn push_double(out: &mut Vec<u8>, number: u32, value: f64) {
    if value.to_bits() != 0 {
        push_double_field(out, number, value);
    }
}

fn read_rate(mut reader: Reader<'_>) -> Result<f64, ProtobufError> {
    const KNOWN: u64 = fields(&[1]);
    const RATE: u32 = key(1, FIXED64);
    let mut rate = 0.0;
    while let Some(key) = reader.key()? {
        match key {
            RATE => rate = f64::from_bits(reader.fixed64()?),
            _ => reader.skip_unknown(key, KNOWN)?,
        }
    }
    Ok(rate)
}

fn read_limit(mut reader: Reader<'_>) -> Result<i32, ProtobufError> {
    const KNOWN: u64 = fields(&[1]);
    const LIMIT: u32 = key(1, VARINT);
    let mut limit = 0;
    while let Some(key) = reader.key()? {
        match key {
            LIMIT => limit = reader.varint()? as i32,
            _ => reader.skip_unknown(key, KNOWN)?,
        }
    }
    Ok(limit)
}

fn read_operations(mut reader: Reader<'_>) -> Result<OperationSampling, ProtobufError> {
    const KNOWN: u64 = fields(&[1, 2, 3, 4]);
    const DEFAULT: u32 = key(1, FIXED64);
    const LOWER: u32 = key(2, FIXED64);
    const OPERATION: u32 = key(3, BYTES);
    const UPPER: u32 = key(4, FIXED64);
    let mut operations = OperationSampling::default();
    while let Some(key) = reader.key()? {
        match key {
            DEFAULT => operations.default_rate = f64::from_bits(reader.fixed64()?),
            LOWER => operations.lower_bound_traces_per_second = f64::from_bits(reader.fixed64()?),
            OPERATION => operations.rates.push(read_operation(reader.message()?)?),
            UPPER => operations.upper_bound_traces_per_second = f64::from_bits(reader.fixed64()?),
            _ => reader.skip_unknown(key, KNOWN)?,
        }
    }
    Ok(operations)
}

fn read_operation(mut reader: Reader<'_>) -> Result<(String, f64), ProtobufError> {
    const KNOWN: u64 = fields(&[1, 2]);
    const OPERATION: u32 = key(1, BYTES);
    const PROBABILISTIC: u32 = key(2, BYTES);
    let (mut operation, mut rate) = (String::new(), 0.0);
    while let Some(key) = reader.key()? {
        match key {
            OPERATION => operation = reader.text()?.into_owned(),
            PROBABILISTIC => rate = read_rate(reader.message()?)?,
            _ => reader.skip_unknown(key, KNOWN)?,
        }
    }
    Ok((operation, rate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(strategy: &SamplingStrategy, form: SamplingTypeForm) -> String {
        let mut out = vec![];
        encode_sampling_json(strategy, form, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn operations(default_rate: f64, rates: &[(&str, f64)]) -> Option<OperationSampling> {
        let rates = rates.iter().map(|(operation, rate)| ((*operation).to_owned(), *rate)).collect();
        Some(OperationSampling { default_rate, rates, ..OperationSampling::default() })
    }

    #[test]
    fn json_has_the_members_that_jaeger_writes() {
        let strategy = SamplingStrategy {
            rule: SamplingRule::Probabilistic(1.0),
            operations: operations(1e-7, &[("GET \"/\"", 0.25), ("b", 0.0)]),
        };
        let expected = concat!(
            r#"{"strategyType":"PROBABILISTIC","probabilisticSampling":{"samplingRate":1},"#,
            r#""operationSampling":{"defaultSamplingProbability":0.0000001,"defaultLowerBoundTracesPerSecond":0,"#,
            r#""perOperationStrategies":[{"operation":"GET \"/\"","probabilisticSampling":{"samplingRate":0.25}},"#,
            r#"{"operation":"b","probabilisticSampling":{"samplingRate":0}}],"defaultUpperBoundTracesPerSecond":0}}"#
        );
        assert_eq!(json(&strategy, SamplingTypeForm::Names), expected);
        let limited = SamplingStrategy { rule: SamplingRule::RateLimiting(5), operations: None };
        let expected = r#"{"strategyType":1,"rateLimitingSampling":{"maxTracesPerSecond":5}}"#;
        assert_eq!(json(&limited, SamplingTypeForm::Numbers), expected);
    }

    /// Answers of Jaeger 1.76 that were recorded.
    #[test]
    fn protobuf_has_the_bytes_that_jaeger_sends() {
        let bar = SamplingStrategy {
            rule: SamplingRule::RateLimiting(5),
            operations: operations(0.5, &[("/health", 0.0), ("/metrics", 0.0)]),
        };
        let never = SamplingStrategy {
            rule: SamplingRule::Probabilistic(0.0),
            operations: operations(0.0, &[("/health", 0.0), ("/metrics", 0.0)]),
        };
        let tail = b"\x1a\x0b\x0a\x07/health\x12\x00\x1a\x0c\x0a\x08/metrics\x12\x00";
        let bar_bytes = [&b"\x08\x01\x1a\x02\x08\x05\x22\x24\x09\0\0\0\0\0\0\xe0\x3f"[..], tail].concat();
        let never_bytes = [&b"\x12\x00\x22\x1b"[..], tail].concat();
        for (strategy, bytes) in [(bar, bar_bytes), (never, never_bytes)] {
            let mut out = vec![];
            encode_sampling_proto(&strategy, &mut out);
            assert_eq!(out, bytes);
            assert_eq!(decode_sampling_proto(&bytes), Ok(strategy));
        }
    }

    #[test]
    fn a_question_is_a_service() {
        for service in ["", "foo", "sp ace/slash"] {
            let mut question = vec![];
            encode_sampling_parameters(service, &mut question);
            assert_eq!(decode_sampling_parameters(&question).as_deref(), Ok(service));
            assert!(service.is_empty() || decode_sampling_parameters(&question[..question.len() - 1]).is_err());
        }
        assert!(decode_sampling_parameters(b"\x08\x01").is_err(), "a number where the name should be");
    }

    proptest! {
        #[test]
        fn every_strategy_comes_back(
            share in prop::option::of(0.0..=1.0f64),
            limit in any::<i32>(),
            bounds in any::<(f32, f32)>(),
            rates in prop::option::of(prop::collection::vec(("\\PC{0,20}", 0.0..=1.0f64), 0..20)),
        ) {
            let rule = share.map_or(SamplingRule::RateLimiting(limit), SamplingRule::Probabilistic);
            let operations = rates.map(|rates| OperationSampling {
                default_rate: share.unwrap_or(0.001),
                lower_bound_traces_per_second: f64::from(bounds.0),
                upper_bound_traces_per_second: f64::from(bounds.1),
                rates,
            });
            let strategy = SamplingStrategy { rule, operations };
            let mut bytes = vec![];
            encode_sampling_proto(&strategy, &mut bytes);
            prop_assert_eq!(decode_sampling_proto(&bytes), Ok(strategy.clone()));
            let value: serde_json::Value = serde_json::from_str(&json(&strategy, SamplingTypeForm::Names)).unwrap();
            let listed = value["operationSampling"]["perOperationStrategies"].as_array();
            prop_assert_eq!(listed.map(Vec::len), strategy.operations.map(|operations| operations.rates.len()));
        }
    }
}
