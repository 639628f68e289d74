//! The contract suite: what every [`Store`] has to do, as cases by name, and a comparison with [`ReferenceStore`] over
//! random spans and queries. For the tests of this crate and of every crate that has a store; panics where the contract is
//! broken, and says which case it was.

mod cases;
mod random;

pub use random::{Random, Shape, random_batch, random_filter, random_query, random_span_query};

use crate::reference::ReferenceStore;
use crate::store::{DependencyWindow, SearchVisitor, SpanSearch, Store, TracePart, WriteError};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::mpsc;
use tracewell_model::{Span, SpanBatch, SpanQuery, SpanRef, TraceGrouping, TraceId, TraceQuery};

/// Rounds of [`compare_with_reference`] in [`run`].
const ROUNDS: u64 = 12;

/// Runs all cases, each on a fresh store that `make` gives out. The store may be configured to complete the values of tags,
/// or not; the cases ask it.
pub fn run(make: impl Fn() -> Box<dyn Store>) {
    for (name, case) in cases::CASES {
        let store = make();
        run_case(name, || case(&*store));
        store.close();
    }
    for seed in 0..ROUNDS {
        let store = make();
        run_case(&format!("compare with reference, seed {seed}"), || compare_with_reference(&*store, seed));
        store.close();
    }
}

fn run_case(name: &str, case: impl FnOnce()) {
    struct Named<'a>(&'a str);
    impl Drop for Named<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                tracing::error!(case = self.0, "the store breaks its contract");
                #[expect(clippy::print_stderr, reason = "the name of the failed case is what a test's output is for")]
                {
                    eprintln!("contract case: {}", self.0);
                }
            }
        }
    }
    let named = Named(name);
    case();
    drop(named);
}

/// Writes a batch and waits for the answer.
pub fn write(store: &dyn Store, batch: SpanBatch) -> Result<(), WriteError> {
    let (sender, receiver) = mpsc::channel();
    store.write(batch, Box::new(move |answer| drop(sender.send(answer))));
    receiver.recv().unwrap_or(Err(WriteError::Closed))
}

/// Writes random batches to a store and to [`ReferenceStore`], and compares all answers along the way.
pub fn compare_with_reference(store: &dyn Store, seed: u64) {
    let mut comparison = Comparison::new(store.tag_keys(), seed);
    while comparison.step(store) {}
}

/// [`compare_with_reference`] batch by batch, so that a test can do something to the store in between.
#[derive(Debug)]
pub struct Comparison {
    reference: ReferenceStore,
    random: Random,
    shape: Shape,
    batches_left: u64,
    queries: u64,
    answered: u64,
}

impl Comparison {
    /// What this seed tells, for a store that completes the values of these tags.
    pub fn new(tag_keys: Vec<String>, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let shape = Shape::random(&mut random);
        let shape = if random.below(4) == 0 { shape.late() } else { shape };
        let batches_left = 1 + random.below(12);
        Self { reference: ReferenceStore::new(tag_keys), random, shape, batches_left, queries: 0, answered: 0 }
    }

    /// Writes a batch, now and then asks. Answers whether there is more to do.
    pub fn step(&mut self, store: &dyn Store) -> bool {
        let Self { reference, random, shape, .. } = self;
        let batch = random_batch(random, shape);
        assert_eq!(write(reference, batch.clone()), Ok(()));
        assert_eq!(write(store, batch), Ok(()));
        self.batches_left -= 1;
        if random.below(4) == 0 || self.batches_left == 0 {
            for _ in 0..30 {
                let found = compare_find(store, reference, &random_query(random, shape))
                    + compare_find_spans(store, reference, &random_span_query(random, shape));
                self.queries += 2;
                self.answered += found;
                compare_search(store, reference, random, shape);
            }
            compare_rest(store, reference, random, shape);
        }
        self.batches_left > 0
    }

    /// How many searches were made, and how many of them found something.
    pub fn searches(&self) -> (u64, u64) {
        (self.queries, self.answered)
    }
}

/// Answers 1 if something was found.
fn compare_find(store: &dyn Store, reference: &ReferenceStore, query: &TraceQuery) -> u64 {
    let (found, expected) = (store.find(query), reference.find(query));
    assert_same_traces(found.as_deref(), expected.as_deref(), query);
    found.is_ok_and(|traces| !traces.is_empty()).into()
}

fn compare_find_spans(store: &dyn Store, reference: &ReferenceStore, query: &SpanQuery) -> u64 {
    let also = |span: SpanRef<'_>| !span.id().value().is_multiple_of(3);
    let (found, expected) = (store.find_spans(query, &also), reference.find_spans(query, &also));
    assert_same_traces(found.as_deref(), expected.as_deref(), query);
    found.is_ok_and(|traces| !traces.is_empty()).into()
}

fn compare_search(store: &dyn Store, reference: &ReferenceStore, random: &mut Random, shape: &Shape) {
    let filter = random_filter(random, shape);
    let start_us = shape.time_us(random);
    let window = DependencyWindow { start_us, end_us: start_us + random.below(shape.seconds * 1_000_000) };
    let grouping = random.pick(&[TraceGrouping::Strict, TraceGrouping::LowBits]);
    let search = SpanSearch { filter: &filter, window, grouping };
    let found = |store: &dyn Store| {
        let mut shown = Shown { back_to_us: u64::MAX, found: vec![], most: usize::MAX };
        assert_eq!(store.search(&search, &mut shown), Ok(()));
        assert_eq!(shown.back_to_us, window.start_us, "it looked at everything");
        shown.found.sort();
        shown.found
    };
    let expected = found(reference);
    assert_eq!(found(store), expected, "asked {filter}, {window:?}, {grouping:?}");
    let mut one = Shown { back_to_us: u64::MAX, found: vec![], most: 1 };
    assert_eq!(store.search(&search, &mut one), Ok(()));
    assert_eq!(one.found.len(), expected.len().min(1), "it ends when it is told to");
}

/// What a search showed.
struct Shown {
    back_to_us: u64,
    /// As text, because a NaN does not equal itself.
    found: Vec<(u64, String)>,
    most: usize,
}

impl Shown {
    fn flow(&self) -> ControlFlow<()> {
        if self.found.len() < self.most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

impl SearchVisitor for Shown {
    fn found(&mut self, spans: &[SpanRef<'_>], match_us: u64) -> ControlFlow<()> {
        assert!(self.found.len() < self.most, "it was told to end");
        assert!(match_us <= self.back_to_us, "what is newer had been shown");
        self.found.push((match_us, format!("{:?}", spans.iter().map(|span| span.to_span()).collect::<Vec<_>>())));
        self.flow()
    }

    fn searched(&mut self, _: u64, _: u64, back_to_us: u64) -> ControlFlow<()> {
        assert!(back_to_us <= self.back_to_us, "it goes back in time");
        self.back_to_us = back_to_us;
        self.flow()
    }
}

fn compare_visits(store: &dyn Store, reference: &ReferenceStore, window: DependencyWindow, grouping: TraceGrouping) {
    let visit = |store: &dyn Store| {
        let mut traces = vec![];
        let visited = store.visit_traces(window, grouping, &mut |spans| {
            traces.push(spans.iter().map(|span| span.to_span()).collect::<Vec<_>>());
        });
        assert_eq!(visited, Ok(()));
        traces.sort_by_key(|spans| (spans[0].trace_id, spans.len()));
        // As text, because a NaN does not equal itself.
        traces.iter().map(|spans| format!("{spans:?}")).collect::<Vec<_>>()
    };
    assert_eq!(visit(store), visit(reference), "visited with {window:?}, {grouping:?}");
}

fn compare_rest(store: &dyn Store, reference: &ReferenceStore, random: &mut Random, shape: &Shape) {
    for grouping in [TraceGrouping::Strict, TraceGrouping::LowBits] {
        let ids: Vec<TraceId> = (0..8).map(|_| shape.trace_id(random)).collect();
        let (found, expected) = (store.traces(&ids, grouping), reference.traces(&ids, grouping));
        assert_same_traces(found.as_deref(), expected.as_deref(), &(ids, grouping));
        for trace in expected.iter().flatten() {
            compare_parts(store, trace, grouping);
        }
    }
    assert_eq!(store.service_names(), reference.service_names());
    for service in random::SERVICES.iter().filter(|service| !service.is_empty()) {
        assert_eq!(store.operations(service), reference.operations(service), "operations of {service}");
        let service = &service.to_lowercase();
        assert_eq!(store.span_names(service), reference.span_names(service), "span names of {service}");
        let (found, expected) = (store.remote_service_names(service), reference.remote_service_names(service));
        assert_eq!(found, expected, "remote services of {service}");
    }
    for key in store.tag_keys().iter().chain(&["no such key".to_owned()]) {
        assert_eq!(store.tag_values(key), reference.tag_values(key), "values of {key}");
    }
    for _ in 0..8 {
        let start_us = shape.time_us(random);
        let end_us = start_us + random.below(shape.seconds * 1_000_000);
        let window = DependencyWindow { start_us, end_us };
        assert_eq!(store.dependencies(window), reference.dependencies(window), "{window:?}");
        compare_visits(store, reference, window, random.pick(&[TraceGrouping::Strict, TraceGrouping::LowBits]));
    }
    let all = DependencyWindow { start_us: 0, end_us: u64::MAX };
    assert_eq!(store.dependencies(all), reference.dependencies(all));
}

/// [`Store::read_trace`] against the whole trace.
fn compare_parts(store: &dyn Store, trace: &SpanBatch, grouping: TraceGrouping) {
    let id = trace.span(0).trace_id();
    let mut found = vec![];
    let mut outlines = |spans: &[SpanRef<'_>]| found.extend(spans.iter().map(|span| outline_of(*span)));
    assert_eq!(store.read_trace(id, grouping, TracePart::Outline, &mut outlines), Ok(()));
    let expected: BTreeSet<String> = trace.spans().map(outline_of).collect();
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected, "outlines of {id}");
    let wanted = trace.span(trace.len() / 2).id();
    let mut found = vec![];
    let mut whole = |spans: &[SpanRef<'_>]| found.extend(spans.iter().map(|span| span.to_span()));
    assert_eq!(store.read_trace(id, grouping, TracePart::Span(wanted), &mut whole), Ok(()));
    let expected: Vec<Span> = trace.spans().filter(|span| span.id() == wanted).map(|span| span.to_span()).collect();
    // As text, because some values are no numbers.
    assert_eq!(format!("{found:?}"), format!("{expected:?}"), "spans {wanted} of {id}");
}

/// What [`TracePart::Outline`] has of a span.
fn outline_of(span: SpanRef<'_>) -> String {
    let annotations: Vec<_> = span.annotations().map(|annotation| (annotation.time, annotation.value)).collect();
    let ids = (span.trace_id(), span.id(), span.parent(), span.kind(), span.flags());
    format!(
        "{ids:?} {:?} {:?} {:?} {:?} {:?} {} {annotations:?}",
        span.start(),
        span.duration(),
        span.name(),
        span.local(),
        span.remote(),
        span.is_error()
    )
}

fn assert_same_traces<E: std::fmt::Debug + PartialEq>(
    found: Result<&[SpanBatch], &E>,
    expected: Result<&[SpanBatch], &E>,
    asked: &dyn std::fmt::Debug,
) {
    let (Ok(found), Ok(expected)) = (found, expected) else {
        panic!("asked {asked:?}, found {found:?}, expected {expected:?}");
    };
    let ids = |traces: &[SpanBatch]| -> Vec<TraceId> { traces.iter().map(|trace| trace.span(0).trace_id()).collect() };
    assert_eq!(ids(found), ids(expected), "traces and their order; asked {asked:?}; expected {expected:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert_same_spans(found, expected);
    }
}

/// Panics unless both hold spans that say the same, in the same order.
pub fn assert_same_spans(found: &SpanBatch, expected: &SpanBatch) {
    for (found, expected) in found.spans().zip(expected.spans()) {
        assert!(found.same(expected), "found {found:#?}\nexpected {expected:#?}");
    }
    assert_eq!(found.len(), expected.len(), "spans of a trace");
}
