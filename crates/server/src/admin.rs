//! Port 14269: health and metrics, as Jaeger's admin port answers them.

use crate::answer::{self, Answer, JSON, TEXT};
use crate::api::{Answering, Api};
use crate::app::App;
use crate::clock;
use crate::metrics::prometheus_text;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tracewell_model::date;

/// What is answered there.
pub(crate) struct AdminApi {
    app: Arc<App>,
}

impl AdminApi {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    /// 200 while spans are taken, 503 while they are not.
    fn health(&self) -> Answer {
        let (status, text) = match self.app.store_health().writes_refused {
            None => (StatusCode::OK, "Server available"),
            Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "Server not available"),
        };
        let since = self.app.metrics.started;
        let up = clock::now().duration_since(since).unwrap_or_default();
        let body = serde_json::json!({ "status": text, "upSince": rfc3339(since), "uptime": go_duration(up) });
        answer::answer(status, JSON, body.to_string())
    }
}

impl Api for AdminApi {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answering {
        Box::pin(async move {
            let started = Instant::now();
            let path = request.uri().path();
            let (answer, route) = match path {
                "/" => (self.health(), "/health"),
                "/metrics" => (prometheus_text(&self.app, request.headers()), "/metrics"),
                _ => (answer::answer(StatusCode::NOT_FOUND, TEXT, "404 page not found\n"), "NOT_FOUND"),
            };
            self.app.metrics.requests.observe(request.method(), route, answer.status(), started.elapsed());
            answer
        })
    }
}

/// A time of UTC as `2026-08-20T07:05:09.000123Z`.
fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let micros = since.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// A duration as Go prints it: `1h2m3.5s`.
fn go_duration(duration: Duration) -> String {
    let (hours, minutes) = (duration.as_secs() / 3600, duration.as_secs() / 60 % 60);
    let seconds = (duration.as_secs() % 60) as f64 + f64::from(duration.subsec_micros()) / 1e6;
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        let at = |seconds: u64| rfc3339(UNIX_EPOCH + Duration::from_micros(seconds * 1_000_000 + 7));
        assert_eq!(at(0), "1970-01-01T00:00:00.000007Z");
        assert_eq!(at(951_827_696), "2000-02-29T12:34:56.000007Z");
        assert_eq!(at(1_787_209_509), "2026-08-20T07:05:09.000007Z");
        assert_eq!(at(4_107_542_399), "2100-02-28T23:59:59.000007Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.000007Z");
        assert_eq!(go_duration(Duration::from_micros(3_500_000)), "3.5s");
        assert_eq!(go_duration(Duration::from_millis(3_723_250)), "1h2m3.25s");
        assert_eq!(go_duration(Duration::from_secs(120)), "2m0s");
    }
}
