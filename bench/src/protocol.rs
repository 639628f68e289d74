//! The ways in that are measured: how the load's spans are written for each, and which listener takes them.

use anyhow::Context;
use clap::ValueEnum;
use tracewell_model::SpanBatch;
use tracewell_wire::jaeger::{BatchEncoder, BatchForm, PushError};
use tracewell_wire::{Limits, otlp, zipkin_v2};

/// What a packet of Jaeger's clients holds at most.
const PACKET_BYTES_MAX: usize = 65_000;
/// No batch of the load comes near it.
const BODY_BYTES_MAX: usize = 8 << 20;

/// A protocol and its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Protocol {
    ZipkinJson,
    ZipkinProto3,
    OtlpGrpc,
    OtlpHttp,
    JaegerHttp,
    JaegerUdp,
}

/// As the option has it.
impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", clap::builder::PossibleValue::get_name))
    }
}

/// How it is spoken.
pub(crate) enum Transport {
    Http { path: &'static str, content_type: &'static str },
    Grpc { path: &'static str },
    Udp,
}

impl Protocol {
    pub(crate) const ALL: [Self; 6] =
        [Self::ZipkinJson, Self::ZipkinProto3, Self::OtlpHttp, Self::OtlpGrpc, Self::JaegerHttp, Self::JaegerUdp];

    /// The names of its figures: processor time until the last answer, and until all is sealed and the server has stopped.
    pub(crate) fn figures(self) -> [&'static str; 2] {
        match self {
            Self::ZipkinJson => ["Zipkin JSON: CPU, until the last answer", "Zipkin JSON: CPU, until all is sealed"],
            Self::ZipkinProto3 => {
                ["Zipkin proto3: CPU, until the last answer", "Zipkin proto3: CPU, until all is sealed"]
            }
            Self::OtlpGrpc => ["OTLP gRPC: CPU, until the last answer", "OTLP gRPC: CPU, until all is sealed"],
            Self::OtlpHttp => ["OTLP HTTP: CPU, until the last answer", "OTLP HTTP: CPU, until all is sealed"],
            Self::JaegerHttp => {
                ["Jaeger thrift HTTP: CPU, until the last answer", "Jaeger thrift HTTP: CPU, until all is sealed"]
            }
            Self::JaegerUdp => {
                ["Jaeger thrift UDP: CPU, until the last span", "Jaeger thrift UDP: CPU, until all is sealed"]
            }
        }
    }

    /// The option of its listener.
    pub(crate) fn listener(self) -> &'static str {
        match self {
            Self::ZipkinJson | Self::ZipkinProto3 => "zipkin",
            Self::OtlpGrpc => "otlp-grpc",
            Self::OtlpHttp => "otlp-http",
            Self::JaegerHttp => "jaeger-http",
            Self::JaegerUdp => "jaeger-udp-compact",
        }
    }

    pub(crate) fn transport(self) -> Transport {
        let protobuf = "application/x-protobuf";
        match self {
            Self::ZipkinJson => Transport::Http { path: "/api/v2/spans", content_type: "application/json" },
            Self::ZipkinProto3 => Transport::Http { path: "/api/v2/spans", content_type: protobuf },
            Self::OtlpHttp => Transport::Http { path: "/v1/traces", content_type: protobuf },
            Self::JaegerHttp => Transport::Http { path: "/api/traces", content_type: "application/x-thrift" },
            Self::OtlpGrpc => Transport::Grpc { path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export" },
            Self::JaegerUdp => Transport::Udp,
        }
    }

    /// A batch of the load, a line of Zipkin's JSON, as the messages of this protocol; and how many spans it has.
    pub(crate) fn messages(self, line: &[u8]) -> anyhow::Result<(Vec<Vec<u8>>, usize)> {
        let mut batch = SpanBatch::new();
        zipkin_v2::decode_json(line, &Limits::default(), &mut batch).context("a line of the load")?;
        let mut message = Vec::with_capacity(line.len());
        let messages = match self {
            Self::ZipkinJson => vec![line.to_vec()],
            Self::ZipkinProto3 => {
                batch.spans().for_each(|span| zipkin_v2::encode_proto3(span, &mut message));
                vec![message]
            }
            Self::OtlpGrpc | Self::OtlpHttp => {
                otlp::encode_protobuf(batch.spans(), &mut message);
                vec![message]
            }
            Self::JaegerHttp => thrift(&batch, BatchForm::HttpBinary, BODY_BYTES_MAX)?,
            Self::JaegerUdp => thrift(&batch, BatchForm::AgentCompact, PACKET_BYTES_MAX)?,
        };
        Ok((messages, batch.len()))
    }
}

/// The spans of one service, in as many messages as they need.
fn thrift(batch: &SpanBatch, form: BatchForm, bytes_max: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut encoder = BatchEncoder::new(form);
    let service = batch.spans().next().map_or("", |span| span.service_name());
    encoder.set_process(service, std::iter::empty());
    let mut messages = vec![];
    for span in batch.spans() {
        match encoder.push(span, bytes_max) {
            Err(PushError::Full) => {
                messages.push(encoder.finish().to_vec());
                encoder.clear();
                encoder.push(span, bytes_max)?;
            }
            pushed => pushed?,
        }
    }
    messages.push(encoder.finish().to_vec());
    Ok(messages)
}
