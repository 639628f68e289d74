//! `GET compare`: why slow? The traces that a query finds fall in two, those with a span that is selected and the rest; what
//! their spans have is ranked by how much it tells of which side a trace is on, and operations by the time they take longer.

mod score;

use super::asked::{Answered, Range, filter};
use super::scan::{Limits, Searched, Taker, run, scan};
use super::summary::self_time;
use super::value_text::{attributes, value_text};
use crate::zipkin::{Asked, ZipkinApi};
use score::Sides;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use tracewell_model::{Comparison, Condition, Pattern, SpanFilter, SpanRef, SpanStatus, TagValue, TraceTree};

/// What is answered at most.
const DIFFERENCES_MAX: usize = 30;
const SLOWER_MAX: usize = 10;
/// What is counted at most: memory.
const FEATURES_MAX: usize = 200_000;
const OPERATIONS_MAX: usize = 10_000;
/// Of a key of a service; beyond it the key is taken for an id, of which only the presence tells something.
const VALUES_MAX: u32 = 500;
/// What fewer traces have, and a smaller part of the selected, is chance.
const TRACES_MIN: u64 = 3;
/// What tells less is not worth reading.
const SCORE_MIN: f64 = 0.01;

#[derive(Serialize)]
struct Compared {
    selected: u64,
    rest: u64,
    differences: Vec<Difference>,
    slower: Vec<Slower>,
    searched: Searched,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Difference {
    service: String,
    key: String,
    value: Option<String>,
    selected_count: u64,
    rest_count: u64,
    selected_share: f64,
    rest_share: f64,
    score: f64,
    query: String,
}

/// Times are microseconds.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Slower {
    service: String,
    name: String,
    selected_self_time: f64,
    rest_self_time: f64,
    share: f64,
}

pub(super) async fn compare(api: &ZipkinApi, asked: &Asked<'_>) -> Answered {
    let range = Range::of(api, asked)?;
    let select = filter(&asked.parameters, "select")?;
    run(api, asked, move |store, stop| {
        let mut counts = Counts::new(&range, &select);
        let searched = scan(store, &range, Limits::ANSWER, stop, &mut counts)?;
        Ok(counts.compared(searched))
    })
    .await
}

struct Counts<'r> {
    range: &'r Range,
    select: &'r SpanFilter,
    /// Traces of either side.
    whole: Sides,
    hasher: RandomState,
    features: HashMap<u64, Feature>,
    /// How many values a key of a service has.
    values: HashMap<u64, u32>,
    operations: HashMap<(String, String), SelfTimes>,
}

/// Something that a span has, and how many traces have such a span.
struct Feature {
    service: String,
    what: What,
    /// Of the key, as for [`Counts::values`].
    key: u64,
    traces: Sides,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Service,
    Name(String),
    Remote(String),
    Failed,
    /// A key, whatever its value.
    Key(String),
    Value(String, String),
}

/// Nanoseconds.
#[derive(Default)]
struct SelfTimes {
    selected: f64,
    rest: f64,
}

impl<'r> Counts<'r> {
    fn new(range: &'r Range, select: &'r SpanFilter) -> Self {
        Self {
            range,
            select,
            whole: Sides::default(),
            hasher: RandomState::new(),
            features: HashMap::new(),
            values: HashMap::new(),
            operations: HashMap::new(),
        }
    }

    fn count_features(&mut self, spans: &[SpanRef<'_>], selected: bool) {
        let mut seen = HashSet::new();
        for span in spans {
            let service = span.service_name();
            self.feature(&mut seen, selected, service, (0, "", ""), || What::Service);
            self.feature(&mut seen, selected, service, (1, span.name(), ""), || What::Name(span.name().to_owned()));
            let remote = span.remote_service_name();
            if !remote.is_empty() {
                self.feature(&mut seen, selected, service, (2, remote, ""), || What::Remote(remote.to_owned()));
            }
            if span.is_error() {
                self.feature(&mut seen, selected, service, (3, "", ""), || What::Failed);
            }
            for (key, value) in attributes(*span) {
                self.feature(&mut seen, selected, service, (4, key, ""), || What::Key(key.to_owned()));
                if let Some(text) = value_text(value) {
                    let value = || What::Value(key.to_owned(), text.clone().into_owned());
                    self.feature(&mut seen, selected, service, (5, key, &text), value);
                }
            }
        }
    }

    /// Counts a feature once a trace.
    fn feature(
        &mut self,
        seen: &mut HashSet<u64>,
        selected: bool,
        service: &str,
        id: (u8, &str, &str),
        what: impl FnOnce() -> What,
    ) {
        let hash = self.hasher.hash_one((service, id));
        if !seen.insert(hash) {
            return;
        }
        if let Some(feature) = self.features.get_mut(&hash) {
            return feature.traces.add(selected);
        }
        let key = self.hasher.hash_one((service, id.1));
        if id.0 == 5 {
            let values = self.values.entry(key).or_default();
            *values = values.saturating_add(1);
            if *values > VALUES_MAX {
                return;
            }
        }
        if self.features.len() < FEATURES_MAX {
            let mut traces = Sides::default();
            traces.add(selected);
            self.features.insert(hash, Feature { service: service.to_owned(), what: what(), key, traces });
        }
    }

    fn count_self_times(&mut self, spans: &[SpanRef<'_>], selected: bool) {
        let tree = TraceTree::build(spans);
        for (node, span) in tree.spans().enumerate() {
            let key = (span.service_name().to_owned(), span.name().to_owned());
            if self.operations.len() >= OPERATIONS_MAX && !self.operations.contains_key(&key) {
                continue;
            }
            let times = self.operations.entry(key).or_default();
            let nanos = self_time(&tree, node).as_nanos() as f64;
            *(if selected { &mut times.selected } else { &mut times.rest }) += nanos;
        }
    }

    fn compared(self, searched: Searched) -> Compared {
        let slower = self.slower();
        let mut share_of_service: HashMap<&str, f64> = HashMap::new();
        for operation in &slower {
            *share_of_service.entry(operation.service.as_str()).or_default() += operation.share;
        }
        let differences = self.differences(&share_of_service);
        let Sides { selected, rest } = self.whole;
        Compared { selected, rest, differences, slower: slower.into_iter().take(SLOWER_MAX).collect(), searched }
    }

    fn differences(&self, share_of_service: &HashMap<&str, f64>) -> Vec<Difference> {
        let overflows = |feature: &Feature| self.values.get(&feature.key).copied().unwrap_or(0) > VALUES_MAX;
        let scored = self.features.values().filter_map(|feature| {
            let counts = !matches!(feature.what, What::Value(..)) || !overflows(feature);
            let enough = feature.traces.selected.max(feature.traces.rest) >= TRACES_MIN;
            let score = feature.traces.score(self.whole);
            (counts && enough && score.abs() >= SCORE_MIN).then_some((score, feature))
        });
        let mut scored: Vec<(f64, &Feature)> = scored.collect();
        // Of what tells the same: where the time is lost, then what is most particular.
        let rank = |(score, feature): &(f64, &Feature)| {
            let share = share_of_service.get(feature.service.as_str()).copied().unwrap_or(0.0);
            (
                Reverse((score.abs() * 200.0).round() as i64),
                Reverse((share * 100.0).round() as i64),
                feature.what.order(),
            )
        };
        scored.sort_by(|a, b| {
            rank(a).cmp(&rank(b)).then_with(|| (&a.1.service, a.1.what.text()).cmp(&(&b.1.service, b.1.what.text())))
        });
        let mut told: HashSet<(u64, Sides)> = HashSet::new();
        // A key says nothing that a value of it has said of the same traces; values come before it.
        scored.retain(|(_, feature)| match feature.what {
            What::Value(..) => {
                told.insert((feature.key, feature.traces));
                true
            }
            What::Key(_) => !told.contains(&(feature.key, feature.traces)),
            _ => true,
        });
        scored.into_iter().take(DIFFERENCES_MAX).map(|(score, feature)| self.difference(score, feature)).collect()
    }

    fn difference(&self, score: f64, feature: &Feature) -> Difference {
        let Sides { selected, rest } = feature.traces;
        let (key, value) = match &feature.what {
            What::Service => ("service", Some(feature.service.clone())),
            What::Name(name) => ("name", Some(name.clone())),
            What::Remote(remote) => ("remote", Some(remote.clone())),
            What::Failed => ("status", Some(SpanStatus::Error.word().to_owned())),
            What::Key(key) => (key.as_str(), None),
            What::Value(key, value) => (key.as_str(), Some(value.clone())),
        };
        Difference {
            service: feature.service.clone(),
            key: key.to_owned(),
            value,
            selected_count: selected,
            rest_count: rest,
            selected_share: share(selected, self.whole.selected),
            rest_share: share(rest, self.whole.rest),
            score: (score * 1000.0).round() / 1000.0,
            query: feature.query().to_string(),
        }
    }

    /// The operations that take longer in the selected, the most first.
    fn slower(&self) -> Vec<Slower> {
        let Sides { selected, rest } = self.whole;
        if selected == 0 || rest == 0 {
            return vec![];
        }
        let means = |times: &SelfTimes| (times.selected / selected as f64, times.rest / rest as f64);
        let longer = |times: &SelfTimes| means(times).0 - means(times).1;
        let all: f64 = self.operations.values().map(|times| longer(times).max(0.0)).sum();
        let mut slower: Vec<_> = self.operations.iter().filter(|(_, times)| longer(times) > 0.0).collect();
        slower.sort_by(|a, b| longer(b.1).total_cmp(&longer(a.1)).then_with(|| a.0.cmp(b.0)));
        let shown = |((service, name), times): (&(String, String), &SelfTimes)| Slower {
            service: service.clone(),
            name: name.clone(),
            selected_self_time: means(times).0.round() / 1000.0,
            rest_self_time: means(times).1.round() / 1000.0,
            share: (longer(times) / all * 1000.0).round() / 1000.0,
        };
        slower.into_iter().map(shown).collect()
    }
}

impl What {
    /// The most particular first.
    const fn order(&self) -> u8 {
        match self {
            Self::Value(..) => 0,
            Self::Name(_) => 1,
            Self::Service => 2,
            Self::Remote(_) => 3,
            Self::Key(_) => 4,
            Self::Failed => 5,
        }
    }

    fn text(&self) -> (&str, &str) {
        match self {
            Self::Service | Self::Failed => ("", ""),
            Self::Name(text) | Self::Remote(text) | Self::Key(text) => (text, ""),
            Self::Value(key, value) => (key, value),
        }
    }
}

impl Feature {
    /// Finds spans that have it.
    fn query(&self) -> SpanFilter {
        let literal = |text: &String| Pattern::literal(text.clone());
        let service = Condition::Service(literal(&self.service));
        let own = match &self.what {
            What::Service => return service.into(),
            What::Name(name) => Condition::Name(literal(name)),
            What::Remote(remote) => Condition::RemoteService(literal(remote)),
            What::Failed => Condition::Status(SpanStatus::Error),
            What::Key(key) => Condition::Has(literal(key)),
            What::Value(key, value) => {
                let value = TagValue::new(literal(value));
                Condition::Tag { key: key.clone(), comparison: Comparison::Equal, value }
            }
        };
        SpanFilter::and([service.into(), own.into()])
    }
}

impl Taker for Counts<'_> {
    fn take(&mut self, spans: &[SpanRef<'_>], _: u64) {
        let search = self.range.search();
        let selected = spans.iter().any(|span| search.matches(*span) && self.select.matches(*span));
        self.whole.add(selected);
        self.count_features(spans, selected);
        self.count_self_times(spans, selected);
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 10_000.0).round() / 10_000.0 }
}

#[cfg(test)]
mod tests;
