//! Five services of axum that call each other, a sixth that puts clicks into a queue and a seventh that takes them out: one
//! program, and one trace for each request.
//!
//! `cargo run -p tracewell-examples --bin microservices`, then open the pages it names.

mod queue;
mod services;

use clap::Parser;
use tokio::net::TcpListener;
use tracewell::Tracer;
use tracewell_examples::{listen, say, server, tracer};

#[derive(Parser)]
#[command(about = "Services that call each other, traced into a running Tracewell (TRACEWELL_URL)")]
struct Arguments {
    /// Port of the first of the five services, the others follow; the two with the queue are 9 and 10 further on. 0: free ones
    #[arg(long, default_value_t = 9001)]
    port: u16,
    /// Ask each page once, print where the traces are, and end
    #[arg(long)]
    once: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut tracers = Vec::new();
    let pages =
        [services::start(arguments.port, &mut tracers).await?, queue::start(arguments.port, &mut tracers).await?];
    say(&format!("{} calls the others; {} puts clicks into a queue; spans go to {}", pages[0], pages[1], server()));
    if arguments.once {
        let done = queue::clicks_done();
        for page in &pages {
            let response = reqwest::get(page).await?.error_for_status()?;
            let trace =
                response.headers().get("x-b3-traceid").and_then(|trace| trace.to_str().ok()).unwrap_or_default();
            say(&format!("trace {}/zipkin/traces/{trace}", server()));
            response.text().await?;
        }
        done.await;
    } else {
        tokio::signal::ctrl_c().await?;
    }
    for tracer in &tracers {
        let stats = tracer.close_async().await;
        anyhow::ensure!(stats.failed + stats.dropped == 0, "spans were lost: {stats:?}; is {} running?", server());
    }
    Ok(())
}

/// A socket, and the tracer of the service behind it.
async fn service(name: &str, port: u16, tracers: &mut Vec<Tracer>) -> anyhow::Result<(TcpListener, String, Tracer)> {
    let (listener, address) = listen(port).await?;
    let tracer = tracer(name, Some(address))?;
    tracers.push(tracer.clone());
    Ok((listener, format!("http://{address}/"), tracer))
}

/// The port this far behind the first, or any.
const fn port(first: u16, behind: u16) -> u16 {
    if first == 0 { 0 } else { first + behind }
}
