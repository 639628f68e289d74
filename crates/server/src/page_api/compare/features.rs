//! What the spans of either side have, counted once a unit (a trace, or a span with those above and below it); and a record of
//! which of it each span has, so that what two things on one span tell together can be counted after.

use super::super::value_text::{attributes, value_text};
use super::score::Sides;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use tracewell_model::{Comparison, Condition, Pattern, SpanFilter, SpanRef, SpanStatus, TagValue};

/// What is counted at most: memory.
const FEATURES_MAX: usize = 200_000;
/// Of a key of a service; beyond it the key is taken for an id, of which only the presence tells something.
const VALUES_MAX: u32 = 500;
/// How much of what each span has is kept, 4 bytes each; pairs are counted over what came before.
const RECORD_MAX: usize = 6_000_000;
/// How often an operation is called in a unit is told by the highest of these steps that lets the sides apart.
const TIMES: [u32; 9] = [2, 3, 5, 8, 13, 21, 34, 55, 89];

const SPAN_ENDS: u32 = u32::MAX;
const SELECTED_ENDS: u32 = u32::MAX - 1;
const REST_ENDS: u32 = u32::MAX - 2;

pub(super) struct Features {
    hasher: RandomState,
    by_hash: HashMap<u64, u32>,
    all: Vec<Feature>,
    /// How many values a key of a service has.
    values: HashMap<u64, u32>,
    /// What each span has, one span after the other, a mark behind each span and behind each unit.
    record: Vec<u32>,
    record_is_full: bool,
    units: u32,
    /// How often each name was met in the unit at hand.
    met: HashMap<u32, u32>,
}

/// Something that a span has, and how many units have such a span.
pub(super) struct Feature {
    pub(super) service: String,
    pub(super) what: What,
    /// Of what else it could have been: the values of a key, the names of a service.
    pub(super) group: u64,
    /// Of the key, whatever the value.
    pub(super) key: u64,
    pub(super) units: Sides,
    /// The name of the spans that have it, where it is the same for all.
    pub(super) name: Option<u32>,
    unit_last: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Service,
    Name(String),
    /// An operation that a unit has so many spans of at least.
    Times(String, u32),
    Remote(String),
    Failed,
    /// A key, whatever its value.
    Key(String),
    Value(String, String),
}

impl Features {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            by_hash: HashMap::new(),
            all: vec![],
            values: HashMap::new(),
            record: vec![],
            record_is_full: false,
            units: 0,
            met: HashMap::new(),
        }
    }

    pub(super) fn all(&self) -> &[Feature] {
        &self.all
    }

    /// Whether a value's key has so many that it is an id.
    pub(super) fn is_id(&self, feature: &Feature) -> bool {
        matches!(feature.what, What::Value(..)) && self.values.get(&feature.key).copied().unwrap_or(0) > VALUES_MAX
    }

    /// Counts a unit's spans.
    pub(super) fn count<'a>(&mut self, spans: impl Iterator<Item = SpanRef<'a>>, selected: bool) {
        self.units += 1;
        self.met.clear();
        for span in spans {
            self.count_span(span, selected);
            self.record(SPAN_ENDS);
        }
        let met = std::mem::take(&mut self.met);
        for (&name, &times) in met.iter().filter(|(_, times)| **times >= TIMES[0]) {
            let feature = &self.all[name as usize];
            let (service, What::Name(text)) = (feature.service.clone(), feature.what.clone()) else { continue };
            for step in TIMES.into_iter().filter(|step| *step <= times) {
                let id = (6, text.as_str(), &*step.to_string());
                self.feature(selected, &service, id, None, || What::Times(text.clone(), step));
            }
        }
        self.met = met;
        self.record(if selected { SELECTED_ENDS } else { REST_ENDS });
    }

    fn count_span(&mut self, span: SpanRef<'_>, selected: bool) {
        let service = span.service_name();
        let name = self.feature(selected, service, (1, span.name(), ""), None, || What::Name(span.name().to_owned()));
        if let Some(name) = name {
            *self.met.entry(name).or_default() += 1;
            self.record(name);
        }
        self.feature(selected, service, (0, "", ""), name, || What::Service);
        let remote = span.remote_service_name();
        if !remote.is_empty() {
            self.feature(selected, service, (2, remote, ""), name, || What::Remote(remote.to_owned()));
        }
        if span.is_error() {
            self.feature(selected, service, (3, "", ""), name, || What::Failed);
        }
        for (key, value) in attributes(span) {
            self.feature(selected, service, (4, key, ""), name, || What::Key(key.to_owned()));
            if let Some(text) = value_text(value) {
                let value = || What::Value(key.to_owned(), text.clone().into_owned());
                let value = self.feature(selected, service, (5, key, &text), name, value);
                if let Some(value) = value {
                    self.record(value);
                }
            }
        }
    }

    /// Counts a feature once a unit.
    fn feature(
        &mut self,
        selected: bool,
        service: &str,
        id: (u8, &str, &str),
        name: Option<u32>,
        what: impl FnOnce() -> What,
    ) -> Option<u32> {
        let hash = self.hasher.hash_one((service, id));
        if let Some(&index) = self.by_hash.get(&hash) {
            let feature = &mut self.all[index as usize];
            if feature.name != name {
                feature.name = None;
            }
            if feature.unit_last != self.units {
                feature.unit_last = self.units;
                feature.units.add(selected);
            }
            return Some(index);
        }
        let key = self.hasher.hash_one((service, id.1));
        if id.0 == 5 {
            let values = self.values.entry(key).or_default();
            *values = values.saturating_add(1);
            if *values > VALUES_MAX {
                return None;
            }
        }
        if self.all.len() >= FEATURES_MAX {
            return None;
        }
        let group = match id.0 {
            0 => 0,
            5 | 6 => self.hasher.hash_one((service, id.0, id.1)),
            kind => self.hasher.hash_one((service, kind, "")),
        };
        let mut units = Sides::default();
        units.add(selected);
        let index = self.all.len() as u32;
        let service = service.to_owned();
        self.all.push(Feature { service, what: what(), group, key, units, name, unit_last: self.units });
        self.by_hash.insert(hash, index);
        Some(index)
    }

    fn record(&mut self, word: u32) {
        let is_mark = word >= REST_ENDS;
        self.record_is_full |= self.record.len() >= RECORD_MAX && is_mark;
        if !self.record_is_full {
            self.record.push(word);
        }
    }

    /// In how many units of either side one span has both, of some features (64 at most); by their places among these, the lower
    /// first. `None` where not all was kept.
    pub(super) fn pairs(&self, some: &[u32]) -> Option<Vec<((usize, usize), Sides)>> {
        if self.record_is_full {
            return None;
        }
        let places: HashMap<u32, usize> =
            some.iter().enumerate().take(64).map(|(place, index)| (*index, place)).collect();
        let mut counts: HashMap<(usize, usize), Sides> = HashMap::new();
        let (mut span, mut unit) = (0_u64, [0_u64; 64]);
        for &word in &self.record {
            match word {
                SPAN_ENDS => {
                    for place in ones(span) {
                        unit[place] |= span & !(u64::MAX >> (63 - place));
                    }
                    span = 0;
                }
                SELECTED_ENDS | REST_ENDS => {
                    for (low, highs) in unit.iter_mut().enumerate() {
                        for high in ones(std::mem::take(highs)) {
                            counts.entry((low, high)).or_default().add(word == SELECTED_ENDS);
                        }
                    }
                }
                index => span |= places.get(&index).map_or(0, |place| 1 << place),
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable_by_key(|(places, _)| *places);
        Some(counts)
    }
}

/// Which bits are set.
fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(place)
    })
}

impl What {
    /// Of what tells the same: what all units could have differently before what only some have at all, the most particular
    /// first.
    pub(super) const fn order(&self) -> u8 {
        match self {
            Self::Value(..) => 0,
            Self::Times(..) => 1,
            Self::Name(_) => 2,
            Self::Service => 3,
            Self::Remote(_) => 4,
            Self::Key(_) => 5,
            Self::Failed => 6,
        }
    }

    /// Its key and its value, as the answer names them.
    pub(super) fn named(&self, service: &str) -> (String, Option<String>) {
        match self {
            Self::Service => ("service".to_owned(), Some(service.to_owned())),
            Self::Name(name) | Self::Times(name, _) => ("name".to_owned(), Some(name.clone())),
            Self::Remote(remote) => ("remote".to_owned(), Some(remote.clone())),
            Self::Failed => ("status".to_owned(), Some(SpanStatus::Error.word().to_owned())),
            Self::Key(key) => (key.clone(), None),
            Self::Value(key, value) => (key.clone(), Some(value.clone())),
        }
    }

    /// What a span is asked for besides its service.
    pub(super) fn condition(&self) -> Option<SpanFilter> {
        let literal = |text: &String| Pattern::literal(text.clone());
        Some(SpanFilter::from(match self {
            Self::Service => return None,
            Self::Name(name) | Self::Times(name, _) => Condition::Name(literal(name)),
            Self::Remote(remote) => Condition::RemoteService(literal(remote)),
            Self::Failed => Condition::Status(SpanStatus::Error),
            Self::Key(key) => Condition::Has(literal(key)),
            Self::Value(key, value) => {
                let value = TagValue::new(literal(value));
                Condition::Tag { key: key.clone(), comparison: Comparison::Equal, value }
            }
        }))
    }
}
