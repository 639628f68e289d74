//! The log: to standard error, for people or for programs.

use crate::options::{LogFormat, Options};
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use tracing_subscriber::EnvFilter;

/// Starts the log. `Err` when the level is not one.
pub fn log_to_stderr(options: &Options) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&options.log_level)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match options.log_format {
        LogFormat::Json => log.json().flatten_event(true).init(),
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
    }
    Ok(())
}

/// Tells a person who started the server where to look.
pub fn say_hello(options: &Options, zipkin: Option<SocketAddr>) {
    let Some(address) = zipkin.filter(|_| options.log_format == LogFormat::Text) else { return };
    let page = if options.query_enabled && options.ui_enabled {
        format!("Open http://{address}/zipkin/ to see traces; send")
    } else {
        "Send".to_owned()
    };
    // When nobody reads it, nothing is lost.
    drop(writeln!(std::io::stderr(), "\n  {page} Zipkin v2 spans to http://{address}/api/v2/spans\n"));
}
