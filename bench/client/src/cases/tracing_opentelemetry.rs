//! `tracing` with tracing-opentelemetry, and the exporter of the OpenTelemetry case.

use anyhow::Result;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

use super::opentelemetry::provider;
use crate::load::{CHILDREN, Figures, Library, Place, Sent, run as run_load};

pub(crate) fn run(wire: &str, traces: usize, place: Place) -> Result<Figures> {
    let sent = Sent::default();
    let sampled = wire != "unsampled";
    let provider = provider(sampled, place, &sent)?;
    // What the other libraries do not record either.
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("bench"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false);
    tracing::subscriber::set_global_default(registry().with(layer))?;
    run_load(&Tracing { provider }, traces, &sent, sampled)
}

struct Tracing {
    provider: SdkTracerProvider,
}

impl Library for Tracing {
    fn trace(&self, path: &'static str) {
        trace(path);
    }

    fn flush(&self) {
        if let Err(error) = self.provider.force_flush() {
            eprintln!("{error}");
        }
    }
}

/// The same spans for every layer.
pub(super) fn trace(path: &'static str) {
    let root = tracing::info_span!("GET /cart", http.method = "GET", http.path = path);
    let _entered = root.entered();
    for _ in 0..CHILDREN {
        let _span = tracing::info_span!("query", http.method = "GET", http.path = path).entered();
    }
}
