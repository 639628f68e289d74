//! What the addresses of the query language have in common: the query, the time range, numbers; and what is said when they are
//! not right.

use super::{failed, problem};
use crate::answer::{self, Answer, JSON_UTF8};
use crate::clock;
use crate::queries::QueryError;
use crate::request_path::Parameters;
use crate::zipkin::{Asked, ZipkinApi};
use http::StatusCode;
use serde_json::json;
use std::time::{Duration, UNIX_EPOCH};
use tracewell_model::{FilterError, SpanFilter, TraceGrouping};
use tracewell_store::{DependencyWindow, SpanSearch};

/// How far back is looked where nothing is said.
pub(super) const LOOKBACK_US: u64 = 3_600_000_000;

/// Why there is no answer.
pub(super) enum Refused {
    Bad(String),
    /// A query's text, by the parameter it came in.
    Filter {
        parameter: &'static str,
        text: String,
        error: FilterError,
    },
    Busy(&'static str),
    Query(QueryError),
}

pub(super) type Answered = Result<Answer, Refused>;

/// Spans by a query and the time of their start.
#[derive(Debug, Clone)]
pub(super) struct Range {
    pub(super) filter: SpanFilter,
    pub(super) window: DependencyWindow,
    pub(super) grouping: TraceGrouping,
}

impl Refused {
    pub(super) fn answer(self) -> Answer {
        match self {
            Self::Bad(text) => problem(StatusCode::BAD_REQUEST, &text),
            Self::Filter { parameter, text, error } => {
                let utf16 = |bytes: usize| text.get(..bytes).unwrap_or_default().encode_utf16().count();
                let body = json!({
                    "error": error.to_string(),
                    "problem": {
                        "code": error.problem.code(),
                        "parameter": parameter,
                        "start": utf16(error.bytes.start),
                        "end": utf16(error.bytes.end),
                        "expected": error.problem.expected(),
                    },
                });
                answer::answer(StatusCode::BAD_REQUEST, JSON_UTF8, body.to_string())
            }
            Self::Busy(text) => answer::retry_after(problem(StatusCode::SERVICE_UNAVAILABLE, text)),
            Self::Query(error) => failed(&error),
        }
    }
}

impl From<QueryError> for Refused {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

impl Range {
    /// `q`, `start` and `end`.
    pub(super) fn of(api: &ZipkinApi, asked: &Asked<'_>) -> Result<Self, Refused> {
        let end_us = number(&asked.parameters, "end", now_us(), 0, u64::MAX)?;
        let start_us = number(&asked.parameters, "start", end_us.saturating_sub(LOOKBACK_US), 0, u64::MAX)?;
        if start_us > end_us {
            return Err(Refused::Bad("start is after end".to_owned()));
        }
        let filter = filter(&asked.parameters, "q")?;
        Ok(Self { filter, window: DependencyWindow { start_us, end_us }, grouping: api.grouping() })
    }

    pub(super) fn search(&self) -> SpanSearch<'_> {
        SpanSearch { filter: &self.filter, window: self.window, grouping: self.grouping }
    }

    /// How long the range is, in seconds; at least the smallest part of one.
    pub(super) fn seconds(&self) -> f64 {
        (self.window.end_us - self.window.start_us).max(1) as f64 / 1e6
    }

    /// How wide one of so many buckets is, microseconds.
    pub(super) fn bucket_width_us(&self, buckets: u64) -> u64 {
        (self.window.end_us - self.window.start_us).saturating_add(1).div_ceil(buckets).max(1)
    }

    /// In which of them a time lies; times beyond the range in the outermost.
    pub(super) fn bucket_of(&self, buckets: u64, time_us: u64) -> usize {
        let at = time_us.saturating_sub(self.window.start_us) / self.bucket_width_us(buckets);
        at.min(buckets - 1) as usize
    }
}

/// A query; the one for everything where the parameter is missing.
pub(super) fn filter(parameters: &Parameters, parameter: &'static str) -> Result<SpanFilter, Refused> {
    let text = parameters.get(parameter).unwrap_or_default();
    SpanFilter::parse(text).map_err(|error| Refused::Filter { parameter, text: text.to_owned(), error })
}

/// A whole number; what is not said is the default, what is beyond the bounds an error.
pub(super) fn number(parameters: &Parameters, name: &str, default: u64, least: u64, most: u64) -> Result<u64, Refused> {
    let Some(text) = parameters.get(name).filter(|text| !text.is_empty()) else { return Ok(default) };
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(Refused::Bad(format!("{name} is {text:?}: a whole number from {least} to {most} is expected"))),
    }
}

/// A parameter that says something.
pub(super) fn given<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    parameters.get(name).filter(|text| !text.is_empty())
}

/// One of several words; the first where nothing is said.
pub(super) fn word(parameters: &Parameters, name: &str, words: &[&'static str]) -> Result<&'static str, Refused> {
    let Some(text) = given(parameters, name) else { return Ok(words[0]) };
    let found = words.iter().find(|word| **word == text).copied();
    found.ok_or_else(|| Refused::Bad(format!("{name} is {text:?}: one of {} is expected", words.join(", "))))
}

pub(super) fn now_us() -> u64 {
    let now = clock::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}
