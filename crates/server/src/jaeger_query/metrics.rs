//! `GET /api/metrics/…`: what is asked is read as Jaeger reads it, with its words for what is wrong; the answer is Jaeger's
//! `MetricFamily` as JSON.

use super::answers::{Refused, Result};
use super::metric_series::{MetricQuery, POINTS_MAX, Points, Series, metric_series};
use super::parameters::{boolean, number};
use super::routes::MetricKind;
use super::{Asked, JaegerQueryApi, go_text, now_us};
use crate::answer::Answer;
use crate::request_path::Parameters;
use http::StatusCode;
use serde_json::json;
use tracewell_model::Kind;
use tracewell_store::Store;

const KINDS: [(&str, Kind); 6] = [
    ("unspecified", Kind::Unset),
    ("internal", Kind::Internal),
    ("server", Kind::Server),
    ("client", Kind::Client),
    ("producer", Kind::Producer),
    ("consumer", Kind::Consumer),
];
const LOOKBACK_MS: i64 = 3600 * 1000;
const STEP_MS: i64 = 5000;
const RATE_PER_MS: i64 = 600_000;
/// The shortest step, as Jaeger tells it.
const STEP_MIN_MS: usize = 1;

impl JaegerQueryApi {
    pub(super) async fn metrics(&self, kind: MetricKind, asked: Asked) -> Result<Answer> {
        let (query, form) = (read(kind, &asked.parameters)?, asked.form);
        self.has_metrics()?;
        let work = move |store: &dyn Store| {
            let family = metric_series(store, &query)?.map(|series| family_json(&query, &series));
            Ok(family.map(|family| form.json(family)))
        };
        let answer = self.app.queries.run(work).await?;
        answer.map_err(|error| failed(&error.to_string()))
    }

    pub(super) fn min_step(&self, asked: &Asked) -> Result<Answer> {
        self.has_metrics()?;
        Ok(asked.form.data(STEP_MIN_MS.to_string().as_bytes(), 0, &[]))
    }

    fn has_metrics(&self) -> Result<()> {
        match self.app.options.jaeger_metrics {
            true => Ok(()),
            false => Err(Refused::new(StatusCode::NOT_IMPLEMENTED, "metrics querying is currently disabled")),
        }
    }
}

/// As Jaeger tells what its Prometheus said. There it is the server's fault.
fn failed(problem: &str) -> Refused {
    Refused::bad_request(format!("failed executing metrics query: {problem}"))
}

fn read(metric: MetricKind, parameters: &Parameters) -> Result<MetricQuery> {
    let unreadable =
        |name: &str, problem: &str| Refused::bad_request(format!("unable to parse param '{name}': {problem}"));
    let quantile = match metric {
        MetricKind::Latencies => {
            let text = parameters.get("quantile").unwrap_or_default();
            go_text::parse_float(text).map_err(|error| unreadable("quantile", &error))?
        }
        _ => 0.0,
    };
    let services: Vec<String> = parameters.all("service").map(str::to_owned).collect();
    if services.is_empty() {
        return Err(unreadable("service", "please provide at least one service name"));
    }
    let by_operation = boolean(parameters, "groupByOperation")?;
    let kind = |text: &str| {
        let known = KINDS.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind);
        known.ok_or_else(|| unreadable("spanKind", &format!("unsupported span kind: '{text}'")))
    };
    let mut kinds = parameters.all("spanKind").map(kind).collect::<Result<Vec<_>>>()?;
    if kinds.is_empty() {
        kinds.push(Kind::Server);
    }
    let end_ms = number(parameters, "endTs")?.unwrap_or_else(|| now_us() / 1000);
    let lookback_ms = number(parameters, "lookback")?.unwrap_or(LOOKBACK_MS);
    let step_ms = number(parameters, "step")?.unwrap_or(STEP_MS);
    let rate_per_ms = number(parameters, "ratePer")?.unwrap_or(RATE_PER_MS);
    let points = points(end_ms, lookback_ms, step_ms)?;
    let rate_per_ms = u64::try_from(rate_per_ms).ok().filter(|&ms| ms > 0);
    let rate_per_ms = rate_per_ms.ok_or_else(|| failed("duration must be greater than 0"))?;
    Ok(MetricQuery { metric, quantile, services, by_operation, kinds, points, rate_per_ms })
}

/// The points in time, from the first on: the last may lie before the end.
fn points(end_ms: i64, lookback_ms: i64, step_ms: i64) -> Result<Points> {
    let Some(lookback_ms) = u64::try_from(lookback_ms).ok() else {
        return Err(failed("end timestamp must not be before start time"));
    };
    let Some(step_ms) = u64::try_from(step_ms).ok().filter(|&step_ms| step_ms > 0) else {
        let problem = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(failed(problem));
    };
    let steps = lookback_ms / step_ms;
    if steps > POINTS_MAX {
        let problem = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
        return Err(failed(problem));
    }
    let first_ms = u64::try_from(end_ms).unwrap_or(0).saturating_sub(lookback_ms);
    Ok(Points { first_ms, step_ms, count: steps + 1 })
}

/// `MetricFamily` as Jaeger writes it: what is empty is left out, what is not a number is a text.
fn family_json(query: &MetricQuery, series: &[Series]) -> Vec<u8> {
    let (noun, mut help) = match query.metric {
        MetricKind::Calls => ("call_rate", "calls/sec, grouped by service".to_owned()),
        MetricKind::Errors => (
            "error_rate",
            "error rate, computed as a fraction of errors/sec over calls/sec, grouped by service".to_owned(),
        ),
        MetricKind::Latencies => ("latencies", format!("{:.2}th quantile latency, grouped by service", query.quantile)),
    };
    let mut scope = "service";
    if query.by_operation {
        scope = "service_operation";
        help.push_str(" & operation");
    }
    let mut body = json!({"name": format!("{scope}_{noun}"), "type": "GAUGE", "help": help}).to_string().into_bytes();
    if series.is_empty() {
        return body;
    }
    body.pop();
    body.extend_from_slice(b",\"metrics\":[");
    let times: Vec<String> =
        (0..query.points.count).map(|point| go_text::rfc3339_text(query.points.at_ms(point))).collect();
    for (at, Series { service, operation, values }) in series.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        let mut labels = vec![json!({"name": "service_name", "value": service})];
        if let Some(operation) = operation {
            labels.insert(0, json!({"name": "operation", "value": operation}));
        }
        body.extend_from_slice(format!("{{\"labels\":{},\"metricPoints\":[", json!(labels)).as_bytes());
        for (point, (time, value)) in times.iter().zip(values).enumerate() {
            let comma = if point > 0 { "," } else { "" };
            let value = number_json(*value);
            let text = format!("{comma}{{\"gaugeValue\":{{\"doubleValue\":{value}}},\"timestamp\":\"{time}\"}}");
            body.extend_from_slice(text.as_bytes());
        }
        body.extend_from_slice(b"]}");
    }
    body.extend_from_slice(b"]}");
    body
}

fn number_json(value: f64) -> String {
    match value {
        _ if value.is_nan() => "\"NaN\"".to_owned(),
        f64::INFINITY => "\"Infinity\"".to_owned(),
        f64::NEG_INFINITY => "\"-Infinity\"".to_owned(),
        _ => json!(value).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Result<MetricQuery> {
        read(MetricKind::Calls, &Parameters::parse(Some(text)).unwrap())
    }

    #[test]
    fn what_is_not_said_has_jaegers_defaults() {
        let read = query("service=a&service=b&endTs=7200000").unwrap();
        assert_eq!(read.points, Points { first_ms: 3_600_000, step_ms: 5000, count: 721 });
        assert_eq!((read.kinds, read.rate_per_ms, read.services.len()), (vec![Kind::Server], 600_000, 2));
    }

    #[test]
    fn times_that_make_no_sense_are_refused() {
        let error = |text: &str| query(&format!("service=a&{text}")).unwrap_err().message;
        assert!(error("step=0").contains("zero or negative query resolution"));
        assert!(error("lookback=11001&step=1").contains("11,000 points"));
        assert!(error("lookback=-1").contains("end timestamp"));
        assert!(error("ratePer=0").contains("greater than 0"));
        assert!(query("service=a&lookback=9223372036854775807&step=9223372036854775807&endTs=-5").is_ok());
    }

    #[test]
    fn a_family_is_written_as_jaegers() {
        let query = MetricQuery {
            points: Points { first_ms: 1_700_000_000_000, step_ms: 500, count: 2 },
            by_operation: true,
            ..query("service=a").unwrap()
        };
        let name = r#"{"help":"calls/sec, grouped by service & operation","name":"service_operation_call_rate","type":"GAUGE""#;
        assert_eq!(String::from_utf8(family_json(&query, &[])).unwrap(), format!("{name}}}"));
        let series = Series { service: "a".to_owned(), operation: Some("\"".to_owned()), values: vec![0.5, f64::NAN] };
        let expected = format!(
            "{name},\"metrics\":[{{\"labels\":[{},{}],\"metricPoints\":[{},{}]}}]}}",
            r#"{"name":"operation","value":"\""}"#,
            r#"{"name":"service_name","value":"a"}"#,
            r#"{"gaugeValue":{"doubleValue":0.5},"timestamp":"2023-11-14T22:13:20Z"}"#,
            r#"{"gaugeValue":{"doubleValue":"NaN"},"timestamp":"2023-11-14T22:13:20.500Z"}"#,
        );
        assert_eq!(String::from_utf8(family_json(&query, &[series])).unwrap(), expected);
    }
}
