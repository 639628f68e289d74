//! `GET complete`: keys, names and values that begin as what was typed. From the store's names where it has them, else from
//! the newest spans.

use super::asked::{Answered, LOOKBACK_US, Range, given, now_us, number};
use super::facets::Tally;
use super::scan::{Limits, Searched, Stop, Taker, run, scan};
use super::value_text::{attributes, value_text};
use crate::zipkin::{Asked, ZipkinApi};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use tracewell_model::{SpanFilter, SpanRef};
use tracewell_store::{DependencyWindow, ReadError, Store};

const LIMIT: u64 = 50;
const LIMIT_MAX: u64 = 500;
/// Memory.
const TEXTS_MAX: usize = 10_000;
/// Of so many services names are looked up where none is said.
const SERVICES_MAX: usize = 200;

#[derive(Serialize)]
struct Completed {
    values: Vec<Value>,
    searched: Option<Searched>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Value {
    value: String,
    count: Option<u64>,
}

/// What texts are asked for.
enum Source {
    Services,
    Names,
    Remotes,
    Keys,
    Values(String),
}

pub(super) async fn complete(api: &ZipkinApi, asked: &Asked<'_>) -> Answered {
    let parameters = &asked.parameters;
    let source = match parameters.get("key").unwrap_or_default() {
        "" => Source::Keys,
        "service" => Source::Services,
        "name" => Source::Names,
        "remote" => Source::Remotes,
        key => Source::Values(key.to_owned()),
    };
    let prefix = parameters.get("prefix").unwrap_or_default().to_lowercase();
    let service = given(parameters, "service").map(str::to_lowercase);
    let limit = number(parameters, "limit", LIMIT, 1, LIMIT_MAX)? as usize;
    let end_us = now_us();
    let window = DependencyWindow { start_us: end_us.saturating_sub(24 * LOOKBACK_US), end_us };
    let range = Range { filter: SpanFilter::all(), window, grouping: api.grouping() };
    run(api, asked, move |store, stop| {
        let known = known(store, &source, service.as_deref())?;
        let (values, searched) = match known {
            Some(names) => (names.into_iter().map(|value| Value { value, count: None }).collect(), None),
            None => {
                let (values, searched) = sampled(store, &range, stop, &source)?;
                (values, Some(searched))
            }
        };
        Ok(Completed { values: fitting(values, &prefix, limit), searched })
    })
    .await
}

/// What the store knows without looking at spans.
fn known(store: &dyn Store, source: &Source, service: Option<&str>) -> Result<Option<Vec<String>>, ReadError> {
    let of_services = |names: &dyn Fn(&str) -> Result<Vec<String>, ReadError>| {
        if let Some(service) = service {
            return names(service);
        }
        let mut all = BTreeSet::new();
        for service in store.service_names()?.iter().take(SERVICES_MAX) {
            all.extend(names(&service.to_lowercase())?);
        }
        Ok(all.into_iter().collect())
    };
    Ok(match source {
        Source::Services => Some(store.service_names()?),
        Source::Names => Some(of_services(&|service| store.span_names(service))?),
        Source::Remotes => Some(of_services(&|service| store.remote_service_names(service))?),
        Source::Values(key) => Some(store.tag_values(key)?).filter(|values| !values.is_empty()),
        Source::Keys => None,
    })
}

fn sampled(
    store: &dyn Store,
    range: &Range,
    stop: &Stop,
    source: &Source,
) -> Result<(Vec<Value>, Searched), ReadError> {
    let mut sample = Sample { source, texts: Tally::default() };
    let searched = scan(store, range, Limits::GLANCE, stop, &mut sample)?;
    let value = |(value, count)| Value { value, count: Some(count) };
    Ok((sample.texts.into_sorted().into_iter().map(value).collect(), searched))
}

struct Sample<'s> {
    source: &'s Source,
    texts: Tally,
}

impl Taker for Sample<'_> {
    fn take(&mut self, spans: &[SpanRef<'_>], _: u64) {
        for (key, value) in spans.iter().copied().flat_map(attributes) {
            match self.source {
                Source::Keys => {
                    self.texts.add(key, TEXTS_MAX);
                }
                Source::Values(wanted) if wanted == key => {
                    if let Some(text) = value_text(value).filter(|text| !text.is_empty()) {
                        self.texts.add(&text, TEXTS_MAX);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Those that begin with the prefix, then those that contain it.
fn fitting(values: Vec<Value>, prefix: &str, limit: usize) -> Vec<Value> {
    let place = |value: &Value| value.value.to_lowercase().find(prefix);
    let mut fitting: Vec<(bool, Value)> =
        values.into_iter().filter_map(|value| Some((place(&value)? > 0, value))).collect();
    fitting.sort_by(|(a_within, a), (b_within, b)| {
        (a_within, Reverse(a.count), &a.value).cmp(&(b_within, Reverse(b.count), &b.value))
    });
    fitting.into_iter().take(limit).map(|(_, value)| value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_so_comes_first() {
        let value = |value: &str, count| Value { value: value.to_owned(), count };
        let all =
            vec![value("my-cart", Some(9)), value("Carts", Some(1)), value("cart", Some(5)), value("db", Some(7))];
        let texts: Vec<_> = fitting(all, "cart", 3).into_iter().map(|value| value.value).collect();
        assert_eq!(texts, ["cart", "Carts", "my-cart"]);
    }
}
