//! The server: collects spans over HTTP, keeps them in a store, answers queries, serves the page.
//!
//! The way of a span: [`listener`](crate) → `zipkin` (routes) → `ingest` (limits, sampling, back pressure) → the store. The
//! way of a query: `zipkin` or `page_api` → `queries` (bounded threads) → the store → an encoder. A library, so that tests and
//! benches start it inside their own process ([`Server::start`] with port 0).

mod answer;
mod budget;
mod clock;
mod cors;
mod demo;
mod ingest;
mod listener;
mod logging;
mod metrics;
mod options;
mod page;
mod page_api;
mod process;
mod queries;
mod request_path;
mod server;
mod storage;
mod zipkin;

pub use demo::{DemoOptions, run as run_demo};
pub use logging::{log_to_stderr, say_hello};
pub use metrics::metrics_markdown;
pub use options::{
    ByteSize, Command, Definition, Durability, Given, Listen, LogFormat, OptionError, Options, options_markdown,
    options_toml, parse_command_line,
};
pub use server::{Server, StartError};
pub use storage::open_store;
