//! The parameters of Zipkin's queries: texts in, typed values or Zipkin's own words of complaint out.

use crate::request_path::Parameters;
use std::time::Duration;
use tracewell_model::{IdError, TraceGrouping, TraceId, TraceQuery};
use tracewell_store::DependencyWindow;

/// A parameter that is not right: what Zipkin answers with status 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadParameter(String);

fn bad<T>(text: impl Into<String>) -> Result<T, BadParameter> {
    Err(BadParameter(text.into()))
}

/// More conditions than this in an `annotationQuery` are one, as Zipkin splits it.
const ANNOTATIONS_MAX: usize = 100;

/// What applies where a query does not say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Defaults {
    pub(crate) now_ms: u64,
    pub(crate) lookback: Duration,
    pub(crate) grouping: TraceGrouping,
}

/// The parameters of `GET traces`. Complains in the order Zipkin does. `None` when nothing can be found.
pub(crate) fn trace_query(parameters: &Parameters, defaults: Defaults) -> Result<Option<TraceQuery>, BadParameter> {
    let text = |name| parameters.get(name).filter(|text| !text.is_empty());
    let lower = |name| text(name).map(str::to_lowercase);
    let min_duration_us = optional_long(parameters, "minDuration")?;
    let max_duration_us = optional_long(parameters, "maxDuration")?;
    let end_ts_ms = optional_long(parameters, "endTs")?;
    let lookback_ms = optional_long(parameters, "lookback")?;
    let limit = match parameters.get("limit") {
        None => 10,
        Some(text) => i64::from(parse_int(primitive("limit", text)?)?),
    };
    let end_ts_ms = end_ts_ms.map_or(Ok(defaults.now_ms), |value| positive("endTs", value))?;
    let limit = positive("limit", limit)?;
    let lookback_ms = positive_or("lookback", lookback_ms, defaults.lookback)?;
    let (min_duration_us, max_duration_us) = durations(min_duration_us, max_duration_us)?;
    let query = TraceQuery {
        service_name: lower("serviceName"),
        remote_service_name: lower("remoteServiceName"),
        span_name: lower("spanName").filter(|name| name != "all"),
        annotations: text("annotationQuery").map(annotations).unwrap_or_default(),
        min_duration_us,
        max_duration_us,
        end_ts_ms,
        lookback_ms,
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
        grouping: defaults.grouping,
    };
    Ok(Some(query).filter(|_| !overflows(end_ts_ms, lookback_ms)))
}

/// The parameters of `GET dependencies`. `None` when nothing can be found.
pub(crate) fn dependency_window(
    parameters: &Parameters,
    lookback: Duration,
) -> Result<Option<DependencyWindow>, BadParameter> {
    let end_ts_ms = parse_long(primitive("endTs", mandatory(parameters, "endTs")?)?)?;
    let lookback_ms = optional_long(parameters, "lookback")?;
    let end_ts_ms = positive("endTs", end_ts_ms)?;
    let lookback_ms = positive_or("lookback", lookback_ms, lookback)?;
    let window = DependencyWindow {
        start_us: end_ts_ms.saturating_sub(lookback_ms).saturating_mul(1000),
        end_us: end_ts_ms.saturating_mul(1000),
    };
    Ok(Some(window).filter(|_| !overflows(end_ts_ms, lookback_ms)))
}

/// Whether a window begins so far back that Zipkin, which counts microseconds in 64 bits, has it begin behind its end: then
/// nothing is found.
fn overflows(end_ts_ms: u64, lookback_ms: u64) -> bool {
    let start_us = (end_ts_ms as i64).wrapping_sub(lookback_ms as i64).wrapping_mul(1000);
    start_us > (end_ts_ms as i64).wrapping_mul(1000)
}

/// A parameter that has to be there.
pub(crate) fn mandatory<'a>(parameters: &'a Parameters, name: &str) -> Result<&'a str, BadParameter> {
    parameters.get(name).ok_or_else(|| BadParameter(format!("Mandatory parameter/header/attribute is missing: {name}")))
}

/// A trace id as it stands in a path or a list.
pub(crate) fn trace_id(text: &str) -> Result<TraceId, BadParameter> {
    match TraceId::parse_lower_hex(text) {
        Ok(id) if id.value() == 0 => bad("traceId is all zeros"),
        Ok(id) => Ok(id),
        Err(IdError::Empty) => bad("traceId is empty"),
        Err(_) if text.encode_utf16().count() > 32 => bad("traceId.length > 32"),
        Err(_) => bad(format!("{text} should be lower-hex encoded with no prefix")),
    }
}

/// A trace id of a path: what stands around it does not count.
pub(crate) fn trace_id_of_path(text: &str) -> Result<TraceId, BadParameter> {
    trace_id(trim(text))
}

/// The ids of `GET traceMany`.
pub(crate) fn trace_ids(parameters: &Parameters) -> Result<Vec<TraceId>, BadParameter> {
    let texts = mandatory(parameters, "traceIds")?;
    if texts.is_empty() {
        return bad("traceIds parameter is empty");
    }
    let mut ids = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for text in texts.split(',') {
        let id = trace_id(text)?;
        if !seen.insert(id) {
            return bad(format!("redundant traceId: {text}"));
        }
        ids.push(id);
    }
    if ids.len() == 1 {
        return bad("Use /api/v2/trace/{traceId} endpoint to retrieve a single trace");
    }
    Ok(ids)
}

/// The conditions of an `annotationQuery`: of those with one key a value wins over none, and the last value over others.
fn annotations(text: &str) -> Vec<(String, String)> {
    let mut conditions: Vec<(String, String)> = Vec::new();
    for condition in text.splitn(ANNOTATIONS_MAX, " and ") {
        let (key, value) = match condition.split_once('=') {
            Some((key, value)) => (trim(key), Some(trim(value))),
            None => (trim(condition), None),
        };
        match (conditions.iter_mut().find(|(known, _)| known == key), value) {
            (Some(known), Some(value)) => known.1 = value.to_owned(),
            (Some(_), None) => {}
            (None, value) => conditions.push((key.to_owned(), value.unwrap_or_default().to_owned())),
        }
    }
    conditions
}

fn durations(min: Option<i64>, max: Option<i64>) -> Result<(Option<u64>, Option<u64>), BadParameter> {
    match (min, max) {
        (None, None) => Ok((None, None)),
        (None, Some(_)) => bad("maxDuration is only valid with minDuration"),
        (Some(min), max) => {
            let min_us = positive("minDuration", min)?;
            match max {
                Some(max) if max < min => bad("maxDuration < minDuration"),
                max => Ok((Some(min_us), max.map(|max| max as u64))),
            }
        }
    }
}

fn positive(name: &str, value: i64) -> Result<u64, BadParameter> {
    if value <= 0 { bad(format!("{name} <= 0")) } else { Ok(value as u64) }
}

/// Milliseconds, or the default where nothing is said.
fn positive_or(name: &str, value: Option<i64>, default: Duration) -> Result<u64, BadParameter> {
    match value {
        Some(value) => positive(name, value),
        None => Ok(u64::try_from(default.as_millis()).unwrap_or(u64::MAX)),
    }
}

fn primitive<'a>(name: &str, text: &'a str) -> Result<&'a str, BadParameter> {
    if text.is_empty() { bad(format!("Cannot set null to primitive type parameter: {name}")) } else { Ok(text) }
}

fn optional_long(parameters: &Parameters, name: &str) -> Result<Option<i64>, BadParameter> {
    parameters.get(name).filter(|text| !text.is_empty()).map(parse_long).transpose()
}

fn parse_long(text: &str) -> Result<i64, BadParameter> {
    text.parse().or_else(|_| bad(format!("For input string: \"{text}\"")))
}

fn parse_int(text: &str) -> Result<i32, BadParameter> {
    text.parse().or_else(|_| bad(format!("For input string: \"{text}\"")))
}

/// As Java trims: everything up to the space.
fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Result<TraceQuery, String> {
        let defaults =
            Defaults { now_ms: 1_000_000, lookback: Duration::from_secs(1), grouping: TraceGrouping::Strict };
        let query = trace_query(&Parameters::parse(Some(text)).unwrap(), defaults);
        query.map(|query| query.expect("a window")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_window_that_begins_before_time_is_empty_as_in_zipkin() {
        let all = |lookback: i64| {
            let text = format!("endTs=1795266741987&lookback={lookback}");
            dependency_window(&Parameters::parse(Some(&text)).unwrap(), Duration::ZERO).unwrap()
        };
        assert_eq!(all(i64::MAX), None);
        assert_eq!(all(99_999_999_999_999).unwrap().start_us, 0, "before 1970");
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let query = query("serviceName=&spanName=ALL&minDuration=").unwrap();
        let expected = TraceQuery { end_ts_ms: 1_000_000, lookback_ms: 1000, limit: 10, ..TraceQuery::default() };
        assert_eq!(query, expected);
    }

    #[test]
    fn complaints_come_in_zipkins_order_and_words() {
        for (text, complaint) in [
            ("limit=abc&endTs=xyz&lookback=q", "For input string: \"xyz\""),
            ("minDuration=-1&maxDuration=abc", "For input string: \"abc\""),
            ("endTs=0&lookback=0&limit=0&minDuration=0", "endTs <= 0"),
            ("lookback=0&limit=0", "limit <= 0"),
            ("limit=", "Cannot set null to primitive type parameter: limit"),
            ("limit=2147483648", "For input string: \"2147483648\""),
            ("maxDuration=5", "maxDuration is only valid with minDuration"),
            ("minDuration=5&maxDuration=4", "maxDuration < minDuration"),
            ("minDuration=0", "minDuration <= 0"),
        ] {
            assert_eq!(query(text), Err(complaint.to_owned()), "{text}");
        }
        assert_eq!(query("limit=%2B5").unwrap().limit, 5);
    }

    #[test]
    fn annotation_queries_are_split_at_and() {
        let conditions = |text| annotations(text).into_iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>();
        assert_eq!(conditions("error and http.method=GET"), ["error=", "http.method=GET"]);
        assert_eq!(conditions("a=1 and a and a=2"), ["a=2"]);
        assert_eq!(conditions("error and"), ["error and="]);
        assert_eq!(conditions(" a = b=c "), ["a=b=c"]);
    }

    #[test]
    fn trace_ids_are_lower_hex() {
        let error = |text: &str| trace_id(text).unwrap_err().to_string();
        assert_eq!(error(""), "traceId is empty");
        assert_eq!(error(&"0".repeat(32)), "traceId is all zeros");
        assert_eq!(error(&"G".repeat(33)), "traceId.length > 32");
        assert_eq!(error("é"), "é should be lower-hex encoded with no prefix");
        assert_eq!(trace_id_of_path(" 1 "), Ok(TraceId::new(1)));
        let many = |text| trace_ids(&Parameters::parse(Some(text)).unwrap()).map_err(|error| error.to_string());
        assert_eq!(many("traceIds=1,0001").unwrap_err(), "redundant traceId: 0001");
        assert_eq!(many("traceIds=1,").unwrap_err(), "traceId is empty");
        assert_eq!(many("traceIds=2,1"), Ok(vec![TraceId::new(2), TraceId::new(1)]));
    }
}
