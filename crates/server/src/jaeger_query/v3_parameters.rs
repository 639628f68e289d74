//! The parameters of Jaeger's API version 3, under their names of either age: `query.serviceName` and
//! `query.service_name`, `query.searchDepth` and `query.num_traces`.

use super::answers::{Refused, Result};
use super::go_text;
use super::parameters::{LIMIT_MAX, Search, bound};
use crate::request_path::Parameters;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use http::StatusCode;
use tracewell_model::{SpanQuery, Time, TraceId};

const LIMIT: usize = 100;

/// A parameter: its newer name, its older one.
type Names = (&'static str, &'static str);

const SERVICE: Names = ("query.serviceName", "query.service_name");
const OPERATION: Names = ("query.operationName", "query.operation_name");
const START_MIN: Names = ("query.startTimeMin", "query.start_time_min");
const START_MAX: Names = ("query.startTimeMax", "query.start_time_max");
const DEPTH: Names = ("query.searchDepth", "query.num_traces");
const DURATION_MIN: Names = ("query.durationMin", "query.duration_min");
const DURATION_MAX: Names = ("query.durationMax", "query.duration_max");
const RAW: Names = ("query.rawTraces", "query.raw_traces");

fn malformed(name: &str, problem: &str) -> Refused {
    Refused::bad_request(format!("malformed parameter {name}: {problem}"))
}

/// The value of a parameter, with the name it was given under.
fn given(parameters: &Parameters, names: Names) -> Option<(&'static str, &str)> {
    let said = |name: &'static str| Some((name, parameters.get(name).filter(|text| !text.is_empty())?));
    said(names.0).or_else(|| said(names.1))
}

fn read<T>(
    parameters: &Parameters,
    names: Names,
    parse: impl Fn(&str) -> std::result::Result<T, String>,
) -> Result<Option<T>> {
    let parse = |(name, text)| parse(text).map_err(|error| malformed(name, &error));
    given(parameters, names).map(parse).transpose()
}

/// A trace's id from a path: digits, or the 16 bytes in base 64, which is how proto3's JSON writes them.
pub(super) fn trace_id(text: &str) -> Option<TraceId> {
    let of_bytes = || {
        let engines = [STANDARD, URL_SAFE, STANDARD_NO_PAD, URL_SAFE_NO_PAD];
        let bytes = engines.iter().find_map(|engine| engine.decode(text).ok())?;
        Some(TraceId::new(u128::from_be_bytes(bytes.try_into().ok()?)))
    };
    go_text::parse_trace_id(text).ok().or_else(of_bytes)
}

/// Whether a trace is wanted as it came. The times beside it are read and do nothing.
pub(super) fn trace(parameters: &Parameters) -> Result<bool> {
    read(parameters, ("startTime", "start_time"), go_text::parse_rfc3339)?;
    read(parameters, ("endTime", "end_time"), go_text::parse_rfc3339)?;
    Ok(read(parameters, ("rawTraces", "raw_traces"), go_text::parse_bool)?.unwrap_or(false))
}

/// The kind that operations are asked for with; empty is any.
pub(super) fn span_kind(parameters: &Parameters) -> &str {
    given(parameters, ("spanKind", "span_kind")).map_or("", |(_, text)| text)
}

/// What `GET /api/v3/traces` and `/api/v3/trace-summaries` ask.
pub(super) fn search(parameters: &Parameters) -> Result<Search> {
    let text = |names| given(parameters, names).map(|(_, text)| text.to_owned());
    if given(parameters, START_MIN).is_none() || given(parameters, START_MAX).is_none() {
        // Whoever asks in the old names is answered in them.
        let old = [START_MIN, START_MAX, SERVICE, OPERATION].iter().any(|names| parameters.get(names.1).is_some());
        let pick = |names: Names| if old { names.1 } else { names.0 };
        let problem = format!("{} and {} are required", pick(START_MIN), pick(START_MAX));
        return Err(Refused::bad_request(problem));
    }
    let start_min_ns = read(parameters, START_MIN, go_text::parse_rfc3339)?.unwrap_or(0);
    let start_max_ns = read(parameters, START_MAX, go_text::parse_rfc3339)?.unwrap_or(0);
    if start_min_ns > start_max_ns {
        return Err(Refused::bad_request(format!("{} must be before {}", START_MIN.0, START_MAX.0)));
    }
    let limit = match read(parameters, DEPTH, go_text::parse_atoi)? {
        None => LIMIT,
        Some(..1) => {
            let problem = "search depth must be greater than 0 and less than max traces";
            return Err(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, problem));
        }
        Some(depth) => usize::try_from(depth).unwrap_or(LIMIT_MAX).min(LIMIT_MAX),
    };
    let min_ns = read(parameters, DURATION_MIN, go_text::parse_duration)?.unwrap_or(0);
    let max_ns = read(parameters, DURATION_MAX, go_text::parse_duration)?.unwrap_or(0);
    let raw = read(parameters, RAW, go_text::parse_bool)?.unwrap_or(false);
    let attributes = ("query.attributes", "query.attributes");
    let tags = read(parameters, attributes, go_text::parse_text_map)?.unwrap_or_default();
    if let Some(filter) = parameters.get("query.filter").filter(|text| !text.is_empty()) {
        let parsed: std::result::Result<serde_json::Value, _> = serde_json::from_str(filter);
        return Err(match parsed {
            Err(error) => malformed("query.filter", &go_text::syntax_error(filter, &error)),
            Ok(_) => Refused::new(StatusCode::NOT_IMPLEMENTED, "query.filter is not supported; use query.attributes"),
        });
    }
    let query = SpanQuery {
        service_name: text(SERVICE),
        span_name: text(OPERATION),
        min_duration: bound(min_ns),
        max_duration: bound(max_ns),
        start_min: nanos(start_min_ns),
        start_max: nanos(start_max_ns),
        limit,
    };
    Ok(Search { query, tags, raw })
}

/// A time that is before 1970 is 1970: nothing is older.
pub(super) fn nanos(nanos: i128) -> Time {
    u64::try_from(nanos.max(0)).map_or(Time::from_nanos(u64::MAX), Time::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_named_by_digits_or_by_its_bytes() {
        let id = TraceId::new(0xfbff_0000_0000_0000_0000_0000_0000_00ab);
        for text in ["fbff00000000000000000000000000ab", "+/8AAAAAAAAAAAAAAAAAqw==", "-_8AAAAAAAAAAAAAAAAAqw"] {
            assert_eq!(trace_id(text), Some(id), "{text}");
        }
        for text in ["", "xyz", "AAAz", "fbff00000000000000000000000000ab0"] {
            assert_eq!(trace_id(text), None, "{text}");
        }
    }
}
