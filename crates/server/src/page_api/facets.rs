//! `GET facets`: what the spans that a query finds have, and how many have it.

use super::asked::{Answered, Range};
use super::scan::{Limits, Searched, Taker, run, scan};
use super::value_text::{attributes, value_text};
use crate::zipkin::{Asked, ZipkinApi};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::HashMap;
use tracewell_model::{SpanRef, SpanStatus};

/// What is answered at most.
const NAMES_SHOWN_MAX: usize = 50;
const KEYS_SHOWN_MAX: usize = 30;
const VALUES_SHOWN_MAX: usize = 10;
/// What is counted at most: memory.
const NAMES_MAX: usize = 10_000;
const KEYS_MAX: usize = 1000;
const VALUES_MAX: usize = 1000;
/// Of all keys.
const ALL_VALUES_MAX: usize = 100_000;

#[derive(Serialize)]
struct Facets {
    spans: u64,
    services: Vec<Facet>,
    operations: Vec<Operation>,
    statuses: Vec<Facet>,
    kinds: Vec<Facet>,
    attributes: Vec<Attribute>,
    searched: Searched,
}

#[derive(Debug, PartialEq, Serialize)]
struct Facet {
    value: String,
    count: u64,
}

#[derive(Serialize)]
struct Operation {
    service: String,
    value: String,
    count: u64,
}

#[derive(Serialize)]
struct Attribute {
    key: String,
    count: u64,
    distinct: usize,
    values: Vec<Facet>,
}

pub(super) async fn facets(api: &ZipkinApi, asked: &Asked<'_>) -> Answered {
    let range = Range::of(api, asked)?;
    run(api, asked, move |store, stop| {
        let mut counts = Counts::new(&range);
        let searched = scan(store, &range, Limits::ANSWER, stop, &mut counts)?;
        Ok(counts.facets(searched))
    })
    .await
}

struct Counts<'r> {
    range: &'r Range,
    spans: u64,
    services: HashMap<String, CountedService>,
    operations: usize,
    statuses: Tally,
    kinds: Tally,
    attributes: HashMap<String, CountedAttribute>,
    values: usize,
}

#[derive(Default)]
struct CountedService {
    count: u64,
    names: Tally,
}

#[derive(Default)]
struct CountedAttribute {
    count: u64,
    values: Tally,
}

/// Texts, and how often each came. No more than there is room for.
#[derive(Debug, Default)]
pub(super) struct Tally(HashMap<String, u64>);

impl Tally {
    /// Whether the text is a new one.
    pub(super) fn add(&mut self, text: &str, most: usize) -> bool {
        if let Some(count) = self.0.get_mut(text) {
            *count += 1;
            return false;
        }
        let has_room = self.0.len() < most;
        if has_room {
            self.0.insert(text.to_owned(), 1);
        }
        has_room
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The most frequent first, then by text.
    pub(super) fn into_sorted(self) -> Vec<(String, u64)> {
        let mut all: Vec<_> = self.0.into_iter().collect();
        all.sort_by(|a, b| (Reverse(a.1), &a.0).cmp(&(Reverse(b.1), &b.0)));
        all
    }

    fn facets(self, most: usize) -> Vec<Facet> {
        self.into_sorted().into_iter().take(most).map(|(value, count)| Facet { value, count }).collect()
    }
}

impl<'r> Counts<'r> {
    fn new(range: &'r Range) -> Self {
        let (statuses, kinds) = (Tally::default(), Tally::default());
        let (services, attributes) = (HashMap::new(), HashMap::new());
        Self { range, spans: 0, services, operations: 0, statuses, kinds, attributes, values: 0 }
    }

    fn count(&mut self, span: SpanRef<'_>) {
        self.spans += 1;
        self.statuses.add(SpanStatus::of(span).word(), NAMES_MAX);
        self.kinds.add(span.kind().word(), NAMES_MAX);
        let services = self.services.len();
        if let Some(service) = entry(&mut self.services, span.service_name(), services < NAMES_MAX) {
            service.count += 1;
            let most = if self.operations < NAMES_MAX { usize::MAX } else { 0 };
            self.operations += usize::from(service.names.add(span.name(), most));
        }
        for (key, value) in attributes(span) {
            let keys = self.attributes.len();
            if let Some(attribute) = entry(&mut self.attributes, key, keys < KEYS_MAX) {
                attribute.count += 1;
                if let Some(text) = value_text(value) {
                    let most = if self.values < ALL_VALUES_MAX { VALUES_MAX } else { 0 };
                    self.values += usize::from(attribute.values.add(&text, most));
                }
            }
        }
    }

    fn facets(self, searched: Searched) -> Facets {
        let mut operations = vec![];
        let mut services = Tally::default();
        for (service, counted) in self.services {
            for (value, count) in counted.names.into_sorted() {
                operations.push(Operation { service: service.clone(), value, count });
            }
            services.0.insert(service, counted.count);
        }
        operations
            .sort_by(|a, b| (Reverse(a.count), &a.service, &a.value).cmp(&(Reverse(b.count), &b.service, &b.value)));
        operations.truncate(NAMES_SHOWN_MAX);
        let mut attributes: Vec<(String, CountedAttribute)> = self.attributes.into_iter().collect();
        attributes.sort_by(|(a, counted_a), (b, counted_b)| {
            (counted_a.is_id(), Reverse(counted_a.count), a).cmp(&(counted_b.is_id(), Reverse(counted_b.count), b))
        });
        let attributes = attributes.into_iter().take(KEYS_SHOWN_MAX).map(|(key, counted)| Attribute {
            key,
            count: counted.count,
            distinct: counted.values.len(),
            values: counted.values.facets(VALUES_SHOWN_MAX),
        });
        Facets {
            spans: self.spans,
            services: services.facets(NAMES_SHOWN_MAX),
            operations,
            statuses: self.statuses.facets(NAMES_SHOWN_MAX),
            kinds: self.kinds.facets(NAMES_SHOWN_MAX),
            attributes: attributes.collect(),
            searched,
        }
    }
}

impl CountedAttribute {
    /// Different on nearly every span: it tells no groups apart.
    fn is_id(&self) -> bool {
        let distinct = self.values.len();
        distinct >= VALUES_MAX || distinct > 20 && distinct as u64 * 2 > self.count
    }
}

/// What is counted under a key; nothing where it is new and there is no room.
fn entry<'m, V: Default>(map: &'m mut HashMap<String, V>, key: &str, has_room: bool) -> Option<&'m mut V> {
    if !map.contains_key(key) && has_room {
        map.insert(key.to_owned(), V::default());
    }
    map.get_mut(key)
}

impl Taker for Counts<'_> {
    fn take(&mut self, spans: &[SpanRef<'_>], _: u64) {
        let search = self.range.search();
        spans.iter().filter(|span| search.matches(**span)).for_each(|span| self.count(*span));
    }
}
