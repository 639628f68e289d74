//! A program that is instrumented with the crate `tracing`: its spans and events become a trace, and nothing in it changes.
//!
//! `cargo run -p tracewell-examples --bin tracing_layer`

use tracewell_examples::{report, say, tracer};
use tracing::{Instrument, info, info_span, instrument, warn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[instrument]
async fn charge(amount: f64) -> Result<(), &'static str> {
    warn!(attempt = 1, "card reader is slow");
    tokio::task::yield_now().await;
    if amount > 100.0 { Err("too much") } else { Ok(()) }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let tracer = tracer("till", None)?;
    tracing_subscriber::registry().with(tracewell::tracing_layer(tracer.clone())).init();

    // A span of ours around them: both kinds may be mixed.
    let mut purchase = tracer.new_trace("purchase");
    let trace = purchase.context().clone();
    let span = purchase.in_scope(|| info_span!("checkout", otel.kind = "server", items = 2));
    let checkout = async {
        info!("begins");
        charge(9.95).await
    };
    checkout.instrument(span).await.map_err(anyhow::Error::msg)?;
    purchase.finish();
    say("paid");
    report(&[&tracer], &trace).await
}
