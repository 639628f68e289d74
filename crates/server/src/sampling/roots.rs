//! Which traces began, by what their root spans tell: the service, the operation, and the probability by which a client's
//! sampler took them.
//!
//! A sampler that asks a server writes two tags on each root: `sampler.type` and `sampler.param` (OpenTelemetry's for Go:
//! with `jaeger.` before them). Roots without them were not sampled by what a server said.

use std::collections::{BTreeMap, HashMap};
use tracewell_model::{SpanBatch, SpanRef, StrId, ValueRef};

/// Operations counted between two looks.
pub(super) const OPERATIONS_MAX: usize = 20_000;
/// Longer names are not counted: memory is bounded by their length too.
const NAME_BYTES_MAX: usize = 256;
/// Probabilities told apart, an operation. While clients take over a new one there are two or three.
const PROBABILITIES_MAX: usize = 8;
const TAGS: [(&str, &str); 2] = [("sampler.type", "sampler.param"), ("jaeger.sampler.type", "jaeger.sampler.param")];

/// The roots that came, by service and operation.
#[derive(Debug, Default)]
pub(super) struct Roots {
    pub(super) services: BTreeMap<Box<str>, BTreeMap<Box<str>, Vec<Sampled>>>,
    operations: usize,
}

/// Roots that were sampled alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sampled {
    /// Above 0, at most 1.
    pub(super) probability: f64,
    /// Not by the probability, but because an operation has so many traces a second at least.
    pub(super) guaranteed: bool,
    pub(super) count: u64,
}

/// The roots of one batch.
pub(super) type Tally<'a> = HashMap<(&'a str, &'a str, u64, bool), u64>;

/// Counts a batch from a row on. One without the tags, as most are, costs a look for their names.
pub(super) fn tally(batch: &SpanBatch, from_row: usize) -> Tally<'_> {
    let mut tally = Tally::new();
    for (type_key, param_key) in TAGS {
        let (Some(type_id), Some(param_id)) = (batch.find_interned(type_key), batch.find_interned(param_key)) else {
            continue;
        };
        for span in batch.spans().skip(from_row).filter(|span| span.parent().is_none()) {
            let Some((probability, guaranteed)) = sampled_by(span, type_id, param_id) else { continue };
            let (service, operation) = (span.service_name(), span.name());
            if service.is_empty() || operation.is_empty() || service.len().max(operation.len()) > NAME_BYTES_MAX {
                continue;
            }
            *tally.entry((service, operation, probability.to_bits(), guaranteed)).or_insert(0) += 1;
        }
    }
    tally
}

impl Roots {
    /// Adds a batch's roots. How many operations had no place.
    pub(super) fn add(&mut self, tally: &Tally<'_>) -> u64 {
        let mut dropped = 0;
        for (&(service, operation, probability, guaranteed), &count) in tally {
            match self.of(service, operation) {
                Some(sampled) => add(sampled, Sampled { probability: f64::from_bits(probability), guaranteed, count }),
                None => dropped += 1,
            }
        }
        dropped
    }

    fn of(&mut self, service: &str, operation: &str) -> Option<&mut Vec<Sampled>> {
        let known = self.services.get(service).is_some_and(|operations| operations.contains_key(operation));
        if !known {
            if self.operations == OPERATIONS_MAX {
                return None;
            }
            self.operations += 1;
            self.services.entry(service.into()).or_default().insert(operation.into(), vec![]);
        }
        self.services.get_mut(service)?.get_mut(operation)
    }
}

fn add(sampled: &mut Vec<Sampled>, more: Sampled) {
    let alike = |same: &Sampled| same.probability == more.probability && same.guaranteed == more.guaranteed;
    match sampled.iter().position(alike) {
        Some(at) => sampled[at].count = sampled[at].count.saturating_add(more.count),
        None if sampled.len() < PROBABILITIES_MAX => sampled.push(more),
        None => {}
    }
}

/// The probability, and whether it was not by that but by the guarantee.
fn sampled_by(span: SpanRef<'_>, type_id: StrId, param_id: StrId) -> Option<(f64, bool)> {
    let (mut guaranteed, mut probability) = (None, None);
    for (key, value) in span.tags().iter_ids() {
        if key == type_id {
            guaranteed = match value {
                ValueRef::Str("probabilistic") => Some(false),
                ValueRef::Str("lowerbound") => Some(true),
                _ => return None,
            };
        } else if key == param_id {
            probability = match value {
                ValueRef::F64(number) => Some(number),
                ValueRef::I64(number) => Some(number as f64),
                ValueRef::Str(text) => text.parse().ok(),
                _ => None,
            };
        }
    }
    let probability = probability.filter(|probability| *probability > 0.0 && *probability <= 1.0)?;
    Some((probability, guaranteed?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracewell_model::{OwnedEndpoint, Span, SpanId, TraceId, Value};

    fn root(operation: &str, sampler: &str, param: Value) -> Span {
        let tags =
            vec![("sampler.type".to_owned(), Value::Str(sampler.to_owned())), ("sampler.param".to_owned(), param)];
        let local = OwnedEndpoint { service: "shop".to_owned(), ..OwnedEndpoint::default() };
        let (trace_id, id) = (TraceId::new(1), SpanId::new(2));
        Span { trace_id, id, name: operation.to_owned(), local: Some(local), tags, ..Span::default() }
    }

    fn batch(roots: impl IntoIterator<Item = Span>) -> SpanBatch {
        let mut batch = SpanBatch::new();
        for root in roots {
            batch.push_span(&root).unwrap();
        }
        batch
    }

    #[test]
    fn only_roots_that_tell_their_probability_count() {
        let half = root("a", "probabilistic", Value::F64(0.5));
        let child = Span { parent: Some(SpanId::new(7)), ..half.clone() };
        let nameless = Span { name: String::new(), ..half.clone() };
        let without = Span { tags: vec![], ..half.clone() };
        let opentelemetry = half.tags.iter().map(|(key, value)| (format!("jaeger.{key}"), value.clone()));
        let opentelemetry = Span { tags: opentelemetry.collect(), ..half.clone() };
        let batch = batch([
            half.clone(),
            half,
            child,
            nameless,
            without,
            opentelemetry,
            root("a", "probabilistic", Value::Str("0.5".to_owned())),
            root("a", "lowerbound", Value::F64(0.5)),
            root("a", "const", Value::Bool(true)),
            root("a", "ratelimiting", Value::F64(0.5)),
            root("a", "probabilistic", Value::F64(1.5)),
            root("a", "probabilistic", Value::F64(f64::NAN)),
            root("b", "probabilistic", Value::I64(1)),
        ]);
        let mut roots = Roots::default();
        assert_eq!(roots.add(&tally(&batch, 0)), 0);
        let operations = &roots.services["shop"];
        assert_eq!(operations.len(), 2);
        let mut sampled = operations["a"].clone();
        sampled.sort_by_key(|sampled| sampled.guaranteed);
        let by_half = |guaranteed, count| Sampled { probability: 0.5, guaranteed, count };
        assert_eq!(sampled, [by_half(false, 4), by_half(true, 1)]);
        assert_eq!(operations["b"], [Sampled { probability: 1.0, guaranteed: false, count: 1 }]);
    }

    #[test]
    fn memory_is_bounded_by_operations_names_and_probabilities() {
        let many = (0..OPERATIONS_MAX + 10).map(|at| root(&at.to_string(), "probabilistic", Value::F64(0.5)));
        let mut roots = Roots::default();
        assert_eq!(roots.add(&tally(&batch(many), 0)), 10);
        assert!(tally(&batch([root(&"x".repeat(257), "probabilistic", Value::F64(0.5))]), 0).is_empty());
        let mut roots = Roots::default();
        let many = (1..=20).map(|at| root("a", "probabilistic", Value::F64(1.0 / f64::from(at))));
        roots.add(&tally(&batch(many), 0));
        assert_eq!(roots.services["shop"]["a"].len(), PROBABILITIES_MAX);
    }
}
