//! All cases, by name.

mod fastrace;
mod opentelemetry;
mod rustracing;
mod tracewell;
mod tracing_opentelemetry;

use anyhow::{Result, bail};

use crate::load::{Figures, Place};

/// `LIBRARY/WIRE`, where `unsampled` stands for a sampler that takes nothing.
pub(crate) const ALL: &[&str] = &[
    "tracewell/counted",
    "tracewell/otlp-encoded",
    "tracewell/otlp-http",
    "tracewell/jaeger-udp",
    "tracewell/zipkin-encoded",
    "tracewell/zipkin-http",
    "tracewell/unsampled",
    "tracewell-tracing/otlp-http",
    "tracewell-tracing/unsampled",
    "fastrace/jaeger-udp",
    "fastrace/unsampled",
    "opentelemetry/otlp-http",
    "opentelemetry/unsampled",
    "tracing-opentelemetry/otlp-http",
    "tracing-opentelemetry/unsampled",
    "rustracing/jaeger-udp",
    "rustracing/unsampled",
];

pub(crate) fn run(case: &str, traces: usize, place: Place) -> Result<Figures> {
    let Some((library, wire)) = case.split_once('/') else { bail!("no case {case}") };
    match library {
        "tracewell" => tracewell::run(wire, traces, place),
        "tracewell-tracing" => tracewell::run_tracing(wire, traces, place),
        "fastrace" => fastrace::run(wire, traces, place),
        "opentelemetry" => opentelemetry::run(wire, traces, place),
        "tracing-opentelemetry" => tracing_opentelemetry::run(wire, traces, place),
        "rustracing" => rustracing::run(wire, traces, place),
        _ => bail!("no case {case}"),
    }
}
