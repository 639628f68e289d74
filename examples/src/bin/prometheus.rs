//! What the library counts, for Prometheus to read: a service of axum with `/cart` and `/metrics`.
//!
//! `cargo run -p tracewell-examples --bin prometheus -- --port 9102`, then `curl http://127.0.0.1:9102/metrics`. With `--once`
//! it asks itself for both, prints what Prometheus would read, and ends.

use axum::Router;
use axum::routing::get;
use clap::Parser;
use metrics_exporter_prometheus::PrometheusBuilder;
use tracewell::Tracer;
use tracewell::middleware::tower::ServerLayer;
use tracewell_examples::{listen, say, serve, tracer};

#[derive(Parser)]
struct Arguments {
    /// Where to listen; 0 takes a free port.
    #[arg(long, default_value_t = 9102)]
    port: u16,
    /// Ask each page once and end.
    #[arg(long)]
    once: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments { port, once } = Arguments::parse();
    // Before the first tracer: what is counted without a recorder is gone.
    let prometheus = PrometheusBuilder::new().add_global_label("service", "shop").install_recorder()?;
    let (listener, address) = listen(port).await?;
    let tracer = tracer("shop", Some(address))?;
    let render = {
        let tracer = tracer.clone();
        move || {
            // The tracer's thread does so once a second while spans end; this has the page up to date.
            tracer.publish_metrics();
            let page = prometheus.render();
            async move { page }
        }
    };
    serve(listener, app(&tracer).route("/metrics", get(render)));
    say(&format!("listening on http://{address}/cart and http://{address}/metrics"));
    if !once {
        return Ok(tokio::signal::ctrl_c().await?);
    }
    reqwest::get(format!("http://{address}/cart")).await?.error_for_status()?;
    tracer.flush_async().await;
    say(&reqwest::get(format!("http://{address}/metrics")).await?.text().await?);
    Ok(())
}

fn app(tracer: &Tracer) -> Router {
    async fn cart() -> &'static str {
        tracewell::current().new_child("lookup").finish();
        "3 apples"
    }
    // The route behind the layer is not traced: nobody wants a span for each look of Prometheus.
    Router::new().route("/cart", get(cart)).layer(ServerLayer::new(tracer))
}
