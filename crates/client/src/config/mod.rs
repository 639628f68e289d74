//! Configurations that people have: starlette-zipkin's, jaeger-client's with the `JAEGER_*` variables, and the `OTEL_*`
//! variables.
//!
//! | what | of | feature |
//! |---|---|---|
//! | [`ZipkinConfig`] | starlette-zipkin: a host, a port, how much is recorded, which headers | `zipkin` |
//! | `JaegerConfig` | jaeger-client's dictionary, as code, JSON or YAML (feature `yaml`), and Jaeger's variables | `jaeger` |
//! | `OtelConfig` | OpenTelemetry's variables | `otlp` or `otlp-grpc` |
//!
//! Each is data that can be looked at and changed, and makes a [`crate::Tracer`], the [`crate::propagation::Propagation`]
//! that goes with it and, where there is a middleware, its settings. What is written wrongly is an error that names the
//! key or the variable, what was given and what is allowed: nothing is ignored in silence.

mod error;
#[cfg(feature = "jaeger")]
mod jaeger;
#[cfg(any(feature = "otlp", feature = "otlp-grpc"))]
mod otel;
#[cfg(any(feature = "zipkin", feature = "jaeger"))]
mod process;
#[cfg(any(feature = "jaeger", feature = "otlp", feature = "otlp-grpc"))]
mod variables;
#[cfg(feature = "zipkin")]
mod zipkin;

pub use error::ConfigError;
#[cfg(feature = "jaeger")]
pub use jaeger::{JaegerAgent, JaegerConfig, JaegerSampler, JaegerThrottler};
#[cfg(any(feature = "otlp", feature = "otlp-grpc"))]
pub use otel::{OtelConfig, OtelExporter, OtelJaegerRemote, OtelSampler, OtlpProtocol};
#[cfg(feature = "zipkin")]
pub use zipkin::{HeaderFormatter, ZipkinConfig};
