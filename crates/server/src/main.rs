//! `tracewell`: reads what it is told, opens the store, serves until it is told to stop.

use anyhow::Context;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tracewell_server::{Command, Options, Server};

fn main() -> anyhow::Result<ExitCode> {
    let command = tracewell_server::parse_command_line(std::env::args_os(), std::env::vars())
        .unwrap_or_else(|usage| usage.exit())?;
    match command {
        Command::Serve(options) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let served = runtime.block_on(serve(*options));
            // Queries that nobody waits for any more do not keep the program from ending.
            runtime.shutdown_background();
            served?;
        }
        Command::Demo(options) => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(tracewell_server::run_demo(options))?,
        Command::Check { options, repair, json } => {
            let (text, code) = tracewell_server::check(&options, repair, json);
            print(&text)?;
            return Ok(ExitCode::from(code));
        }
        Command::PrintOptions { toml: false } => print(&tracewell_server::options_markdown())?,
        Command::PrintOptions { toml: true } => print(&tracewell_server::options_toml())?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(options: Options) -> anyhow::Result<()> {
    tracewell_server::log_to_stderr(&options).context("--log-level")?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let store = tracewell_server::open_store(&options)?;
    let server = Server::start(&options, Arc::clone(&store)).await?;
    tracewell_server::say_hello(&options, server.zipkin_address());
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    tracing::info!("stopping; a second signal stops at once");
    tokio::select! {
        () = server.stop() => return Ok(()),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    // Closing the store takes its time. What was acknowledged is in its log, so it may stay open.
    std::mem::forget(store);
    anyhow::bail!("stopped at once by a second signal; what was acknowledged is kept")
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
