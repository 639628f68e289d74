//! The server: collects spans in every format that Zipkin, Jaeger and OpenTelemetry send, keeps them in a store, answers
//! queries, serves the page.
//!
//! The way of a span: `listener` or `udp` → a collector (`zipkin`, `otlp`, `jaeger_collector`) → `ingest` (limits, sampling,
//! back pressure) → the store. The way of a query: `zipkin`, `jaeger_query` or `page_api` → `queries` (bounded threads) → the
//! store → an encoder. Each port's API is an `api::Api` over the one `app::App`. A library, so that tests and benches start it
//! inside their own process ([`Server::start`] with port 0).

mod admin;
mod answer;
mod answer_body;
mod api;
mod app;
mod archive;
mod budget;
mod check;
mod clock;
mod collect_grpc;
mod cors;
mod decompress;
mod demo;
mod duration_buckets;
mod format;
mod grpc;
mod ingest;
mod jaeger_collector;
mod jaeger_query;
mod lanes;
mod listener;
mod listener_name;
mod live;
mod logging;
mod metrics;
mod options;
mod otlp;
mod page;
mod page_api;
mod plain_status;
mod process;
mod queries;
mod request_path;
mod sampling;
mod server;
mod storage;
mod tenants;
mod udp;
mod web_origins;
mod zipkin;

pub use check::check;
pub use demo::{DemoOptions, run as run_demo};
pub use listener_name::ListenerName;
pub use logging::{log_to_stderr, say_hello};
pub use metrics::metrics_markdown;
pub use options::{
    ByteSize, Command, Definition, Durability, Given, KeyValues, Listen, LogFormat, OptionError, Options, Rate,
    SamplingMode, StorageKind, options_markdown, options_toml, parse_command_line,
};
pub use sampling::StrategiesError;
pub use server::{Server, StartError};
pub use storage::open_store;
pub use tenants::TenancyError;
