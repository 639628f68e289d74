//! The parameters of Jaeger's query API: what is asked, with its defaults, or its words for what is wrong with them.

use super::answers::{Refused, Result};
use super::go_text;
use crate::request_path::Parameters;
use tracewell_model::{SpanQuery, Time, TraceId};

/// How far back a search looks when it does not say.
const LOOKBACK_US: i64 = 2 * 24 * 3600 * 1_000_000;
/// How many traces a search answers when it does not say.
const LIMIT: usize = 100;
/// At most so many, whatever is asked: a hundred times what Jaeger's page offers.
pub(super) const LIMIT_MAX: usize = 150_000;
/// How far back dependencies look when it is not said.
const DEPENDENCY_LOOKBACK_MS: i64 = 24 * 3600 * 1000;
/// More tags in a search are not looked at one by one.
const TAGS_MAX: usize = 1000;

/// A search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Search {
    pub(super) query: SpanQuery,
    pub(super) tags: Vec<(String, String)>,
    pub(super) raw: bool,
}

/// `GET /api/traces`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Traces {
    ById { ids: Vec<TraceId>, raw: bool },
    Found(Search),
}

fn refuse(name: &str, problem: &str) -> Refused {
    Refused::bad_request(format!("unable to parse param '{name}': {problem}"))
}

/// A parameter that says something.
fn given<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    parameters.get(name).filter(|text| !text.is_empty())
}

/// A number of milliseconds or microseconds.
pub(super) fn number(parameters: &Parameters, name: &str) -> Result<Option<i64>> {
    given(parameters, name).map(|text| go_text::parse_int(text).map_err(|error| refuse(name, &error))).transpose()
}

pub(super) fn boolean(parameters: &Parameters, name: &str) -> Result<bool> {
    let parsed = given(parameters, name).map(|text| go_text::parse_bool(text).map_err(|error| refuse(name, &error)));
    Ok(parsed.transpose()?.unwrap_or(false))
}

fn duration(parameters: &Parameters, name: &str) -> Result<i64> {
    let parse = |text| go_text::parse_duration(text).map_err(|error| refuse(name, &error));
    Ok(given(parameters, name).map(parse).transpose()?.unwrap_or(0))
}

/// A time that is before 1970 is 1970: nothing is older.
pub(super) fn micros(micros: i64) -> Time {
    Time::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// A duration that is to be compared with; zero and less are no condition.
pub(super) fn bound(nanos: i64) -> Option<Time> {
    u64::try_from(nanos).ok().filter(|&nanos| nanos > 0).map(Time::from_nanos)
}

/// A trace's id, from a path.
pub(super) fn trace_id(text: &str) -> Result<TraceId> {
    go_text::parse_trace_id(text).map_err(Refused::bad_request)
}

/// What may be said beside a trace's id: whether the trace is wanted as it came. The times are read and do nothing.
pub(super) fn raw(parameters: &Parameters) -> Result<bool> {
    number(parameters, "start")?;
    number(parameters, "end")?;
    boolean(parameters, "raw")
}

/// What `GET /api/traces` asks.
pub(super) fn traces(parameters: &Parameters, now_us: i64) -> Result<Traces> {
    let start_us = number(parameters, "start")?.unwrap_or(now_us - LOOKBACK_US);
    let end_us = number(parameters, "end")?.unwrap_or(now_us);
    let tags = tags(parameters)?;
    let limit = match given(parameters, "limit") {
        None => LIMIT,
        Some(text) => match go_text::parse_int32(text).map_err(Refused::bad_request)? {
            ..1 => LIMIT_MAX,
            limit => (limit as usize).min(LIMIT_MAX),
        },
    };
    let (min_ns, max_ns) = (duration(parameters, "minDuration")?, duration(parameters, "maxDuration")?);
    let id = |text| {
        go_text::parse_trace_id(text)
            .map_err(|error| Refused::bad_request(format!("cannot parse traceID param: {error}")))
    };
    let ids = parameters.all("traceID").map(id).collect::<Result<Vec<_>>>()?;
    let raw = boolean(parameters, "raw")?;
    let service = given(parameters, "service");
    if ids.is_empty() && service.is_none() {
        return Err(Refused::bad_request("parameter 'service' is required"));
    }
    if min_ns != 0 && max_ns != 0 && max_ns < min_ns {
        return Err(Refused::bad_request("'maxDuration' should be greater than 'minDuration'"));
    }
    if !ids.is_empty() {
        return Ok(Traces::ById { ids, raw });
    }
    let query = SpanQuery {
        service_name: service.map(str::to_owned),
        span_name: given(parameters, "operation").map(str::to_owned),
        min_duration: bound(min_ns),
        max_duration: bound(max_ns),
        start_min: micros(start_us),
        start_max: micros(end_us),
        limit,
    };
    Ok(Traces::Found(Search { query, tags, raw }))
}

fn tags(parameters: &Parameters) -> Result<Vec<(String, String)>> {
    let mut tags: Vec<(String, String)> = vec![];
    let mut set = |key: String, value: String| {
        tags.retain(|(known, _)| *known != key);
        tags.push((key, value));
        if tags.len() > TAGS_MAX { Err(Refused::bad_request(format!("more than {TAGS_MAX} tags"))) } else { Ok(()) }
    };
    for text in parameters.all("tag") {
        let Some((key, value)) = text.split_once(':') else {
            let problem = format!("malformed 'tag' parameter, expecting key:value, received: {text}");
            return Err(Refused::bad_request(problem));
        };
        set(key.to_owned(), value.to_owned())?;
    }
    for text in parameters.all("tags") {
        let map = go_text::parse_text_map(text).map_err(|error| {
            Refused::bad_request(format!("malformed 'tags' parameter, cannot unmarshal JSON: {error}"))
        })?;
        map.into_iter().try_for_each(|(key, value)| set(key, value))?;
    }
    Ok(tags)
}

/// The window of `GET /api/dependencies`, microseconds.
pub(super) fn dependency_window(parameters: &Parameters, now_ms: i64) -> Result<(u64, u64)> {
    let end_ms = number(parameters, "endTs")?.unwrap_or(now_ms);
    let lookback_ms = number(parameters, "lookback")?.unwrap_or(DEPENDENCY_LOOKBACK_MS);
    let micros = |ms: i64| u64::try_from(ms).unwrap_or(0).saturating_mul(1000);
    // Both ends lie outside.
    let (start_us, end_us) = (micros(end_ms.saturating_sub(lookback_ms)), micros(end_ms));
    Ok((start_us.saturating_add(1), end_us.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_US: i64 = 1_700_000_000_000_000;

    fn parse(query: &str) -> Result<Traces> {
        traces(&Parameters::parse(Some(query)).unwrap(), NOW_US)
    }

    fn error(query: &str) -> String {
        parse(query).unwrap_err().message
    }

    #[test]
    fn a_search_has_defaults() {
        let Ok(Traces::Found(search)) = parse("service=s") else { panic!("no search") };
        assert_eq!(search.query.limit, 100);
        assert_eq!(search.query.start_min.as_micros() as i64, NOW_US - 172_800_000_000);
        assert_eq!((search.query.min_duration, search.tags, search.raw), (None, vec![], false));
    }

    #[test]
    fn what_is_wrong_is_told_in_jaegers_words() {
        assert_eq!(error(""), "parameter 'service' is required");
        assert_eq!(error("service=s&tag=error"), "malformed 'tag' parameter, expecting key:value, received: error");
        assert_eq!(
            error("service=s&minDuration=50ms&maxDuration=10ms"),
            "'maxDuration' should be greater than 'minDuration'"
        );
        assert_eq!(
            error("service=s&minDuration=100"),
            "unable to parse param 'minDuration': time: missing unit in duration \"100\""
        );
        assert_eq!(error("traceID="), "cannot parse traceID param: strconv.ParseUint: parsing \"\": invalid syntax");
    }

    #[test]
    fn tags_come_in_two_ways() {
        let Ok(Traces::Found(search)) = parse("service=s&tag=a:b:c&tags=%7B%22d%22%3A%22e%22%7D&limit=-1") else {
            panic!("no search")
        };
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(search.tags, [tag("a", "b:c"), tag("d", "e")]);
        assert_eq!(search.query.limit, LIMIT_MAX);
    }
}
