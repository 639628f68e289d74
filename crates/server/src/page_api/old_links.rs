//! The parameters of searches in the addresses of Zipkin's and Jaeger's pages, as a query: links in old messages keep working.

use super::asked::given;
use crate::request_path::Parameters;
use std::collections::BTreeMap;
use std::time::Duration;
use tracewell_model::{Comparison, Condition, Pattern, SpanFilter, SpanStatus, TagValue, Time};

/// More tags than the language takes conditions are not read.
const TAGS_MAX: usize = SpanFilter::CONDITIONS_MAX / 2;

/// The query that finds what such a search did; the one for everything where there is none. Errors say which parameter is wrong.
pub(super) fn filter(parameters: &Parameters) -> Result<SpanFilter, String> {
    let named = |name: &str| given(parameters, name).filter(|text| *text != "all").map(Pattern::literal);
    let mut conditions: Vec<SpanFilter> = vec![];
    conditions.extend(named("serviceName").or_else(|| named("service")).map(|name| Condition::Service(name).into()));
    conditions.extend(named("spanName").or_else(|| named("operation")).map(|name| Condition::Name(name).into()));
    conditions.extend(named("remoteServiceName").map(|name| Condition::RemoteService(name).into()));
    for (name, comparison) in [("minDuration", Comparison::GreaterOrEqual), ("maxDuration", Comparison::LessOrEqual)] {
        if let Some(text) = given(parameters, name) {
            let duration = duration(text).ok_or_else(|| format!("{name} is {text:?}, which is no duration"))?;
            conditions.push(Condition::Duration(comparison, duration).into());
        }
    }
    let mut tags = annotations(given(parameters, "annotationQuery").unwrap_or_default());
    for text in parameters.all("tag") {
        let (key, value) = text.split_once(':').ok_or_else(|| format!("tag is {text:?}, which has no colon"))?;
        tags.push((key.to_owned(), Some(value.to_owned())));
    }
    if let Some(text) = given(parameters, "tags") {
        let parsed: BTreeMap<String, String> =
            serde_json::from_str(text).map_err(|error| format!("tags is no object of texts: {error}"))?;
        tags.extend(parsed.into_iter().map(|(key, value)| (key, Some(value))));
    }
    conditions.extend(tags.into_iter().take(TAGS_MAX).map(tag));
    Ok(SpanFilter::and(conditions))
}

fn tag((key, value): (String, Option<String>)) -> SpanFilter {
    match value {
        // What all three count as an error.
        Some(value) if key == "error" && value == "true" => Condition::Status(SpanStatus::Error).into(),
        None if key == "error" => Condition::Status(SpanStatus::Error).into(),
        Some(value) => {
            let value = TagValue::new(Pattern::literal(value));
            Condition::Tag { key, comparison: Comparison::Equal, value }.into()
        }
        None => Condition::Has(Pattern::literal(key)).into(),
    }
}

/// Zipkin's `a and b=c`.
fn annotations(text: &str) -> Vec<(String, Option<String>)> {
    let term = |term: &str| match term.split_once('=') {
        Some((key, value)) => (key.trim().to_owned(), Some(value.trim().to_owned())),
        None => (term.trim().to_owned(), None),
    };
    text.split(" and ").filter(|term| !term.trim().is_empty()).map(term).collect()
}

/// Zipkin's microseconds, or a number with a unit, as Jaeger's page and the one before this wrote it.
fn duration(text: &str) -> Option<Time> {
    if let Ok(micros) = text.parse() {
        return Some(Time::from_micros(micros));
    }
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(at);
    let seconds = match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let duration = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
    u64::try_from(duration.as_nanos()).ok().filter(|nanos| i64::try_from(*nanos).is_ok()).map(Time::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_searches_are_queries() {
        for (old, query) in [
            ("", ""),
            ("serviceName=cart&spanName=all&limit=10", "service:cart"),
            ("serviceName=cart&spanName=get+/&remoteServiceName=db", "service:cart name:\"get /\" remote:db"),
            ("annotationQuery=error+and+http.method%3DGET+and+retry", "status:error http.method=GET has:retry"),
            ("minDuration=1000&maxDuration=1.5s", "duration>=1ms duration<=1500ms"),
            ("service=a&operation=b&minDuration=1.2ms", "service:a name:b duration>=1200us"),
            ("tags=%7B%22error%22%3A%22true%22%2C%22name%22%3A%22x%22%7D&tag=a:b", "a=b status:error \"name\"=x"),
        ] {
            let parameters = Parameters::parse(Some(old)).unwrap();
            let filter = filter(&parameters).unwrap();
            assert_eq!(filter.to_string(), query, "{old}");
            assert_eq!(SpanFilter::parse(query), Ok(filter));
        }
        for wrong in ["minDuration=fast", "tag=a", "tags=5", "minDuration=1e30s"] {
            assert!(filter(&Parameters::parse(Some(wrong)).unwrap()).is_err(), "{wrong}");
        }
    }
}
