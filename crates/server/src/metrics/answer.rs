//! The metrics as an answer, in the format that was asked for.

use super::{Sources, TextFormat, metrics_text};
use crate::answer::{self, Answer};
use crate::app::App;
use crate::process::{process_stats, udp_sockets};
use http::StatusCode;
use http::header::{ACCEPT, HeaderMap, HeaderValue};

const PROMETHEUS_TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const OPEN_METRICS_TEXT: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// All metrics as Prometheus text, or as OpenMetrics for those who ask for it.
pub(crate) fn prometheus_text(app: &App, headers: &HeaderMap) -> Answer {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let (format, content_type) = match accepts.contains("application/openmetrics-text") {
        true => (TextFormat::OpenMetrics, OPEN_METRICS_TEXT),
        false => (TextFormat::Prometheus, PROMETHEUS_TEXT),
    };
    let sources = Sources {
        metrics: &app.metrics,
        memory_budget_bytes: app.options.memory_budget.0,
        bodies_held_bytes: app.all().map(|app| app.ingest.held_bytes()).sum(),
        queries_held_bytes: app.all().map(|app| app.queries.held_bytes()).sum(),
        store: app.store_stats(),
        health: app.store_health(),
        process: process_stats(),
        udp_sockets: udp_sockets(),
    };
    answer::answer(StatusCode::OK, content_type, metrics_text(&sources, format))
}
