//! `GET /api/metrics/…`: what is asked is read as Jaeger reads it; without a store of metrics, Jaeger answers 501.

use super::answers::{Form, Refused, Result};
use super::parameters::{boolean, number};
use super::routes::MetricKind;
use super::{Asked, JaegerQueryApi, go_text};
use crate::answer::Answer;
use http::StatusCode;

const KINDS: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];

impl JaegerQueryApi {
    pub(super) async fn metrics(&self, kind: MetricKind, asked: Asked) -> Result<Answer> {
        let parameters = &asked.parameters;
        let unreadable =
            |name: &str, problem: &str| Refused::bad_request(format!("unable to parse param '{name}': {problem}"));
        if kind == MetricKind::Latencies {
            let quantile = parameters.get("quantile").unwrap_or_default();
            go_text::parse_float(quantile).map_err(|error| unreadable("quantile", &error))?;
        }
        if parameters.get("service").is_none() {
            return Err(unreadable("service", "please provide at least one service name"));
        }
        boolean(parameters, "groupByOperation")?;
        if let Some(kind) = parameters.all("spanKind").find(|kind| !KINDS.contains(kind)) {
            return Err(unreadable("spanKind", &format!("unsupported span kind: '{kind}'")));
        }
        for name in ["endTs", "lookback", "step", "ratePer"] {
            number(parameters, name)?;
        }
        Err(disabled())
    }

    pub(super) fn min_step(&self, _form: Form) -> Result<Answer> {
        Err(disabled())
    }
}

fn disabled() -> Refused {
    Refused::new(StatusCode::NOT_IMPLEMENTED, "metrics querying is currently disabled")
}
