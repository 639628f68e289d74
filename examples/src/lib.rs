//! What the examples share: a tracer that sends its spans to a running server, and services that stop when asked.

use std::env;
use std::net::SocketAddr;

use anyhow::Context;
use axum::Router;
use tokio::net::TcpListener;
use tracewell::propagation::{Format, Propagation, TraceContext};
use tracewell::sampler::ConstSampler;
use tracewell::{OwnedEndpoint, Tracer, ZipkinReporter};

/// Where spans go: `TRACEWELL_URL`, else Zipkin's port on this machine.
pub fn server() -> String {
    env::var("TRACEWELL_URL").unwrap_or_else(|_| "http://127.0.0.1:9411".to_owned())
}

/// A tracer that records everything.
pub fn tracer(service: &str, address: Option<SocketAddr>) -> anyhow::Result<Tracer> {
    let ipv4 = address.and_then(|address| match address.ip() {
        std::net::IpAddr::V4(ip) => Some(ip.octets()),
        std::net::IpAddr::V6(_) => None,
    });
    let port = address.map_or(0, |address| address.port());
    let endpoint = OwnedEndpoint { service: service.to_owned(), ipv4, port, ..OwnedEndpoint::default() };
    let reporter = ZipkinReporter::new(&server())?;
    Ok(Tracer::builder(service).local_endpoint(endpoint).sampler(ConstSampler::new(true)).build(reporter))
}

/// Zipkin's headers: with them caller and callee share a span.
pub fn b3() -> Propagation {
    Propagation::new(&[Format::B3Multi])
}

/// A socket on this machine; port 0 takes a free one.
pub async fn listen(port: u16) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.with_context(|| format!("listening on port {port}"))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Serves in the background until the runtime ends. Handlers can ask for their callers' addresses.
pub fn serve(listener: TcpListener, app: Router) {
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
}

/// Sends what has ended and says where to look at it.
pub async fn report(tracers: &[&Tracer], trace: &TraceContext) -> anyhow::Result<()> {
    let mut lost = 0;
    for tracer in tracers {
        let stats = tracer.close_async().await;
        lost += stats.failed + stats.dropped;
    }
    anyhow::ensure!(lost == 0, "{lost} spans could not be sent to {}: is 'make run' running?", server());
    say(&format!("look at {}/zipkin/traces/{}", server(), trace.trace_id()));
    Ok(())
}

/// A line for whoever runs the example.
#[expect(clippy::print_stdout, reason = "what an example is for")]
pub fn say(line: &str) {
    println!("{line}");
}
