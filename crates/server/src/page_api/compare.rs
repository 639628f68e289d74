//! `GET compare`: why slow? The traces that a query finds fall in two, those with a span that is selected and the rest; what
//! their spans have is ranked by how much it tells of which side a trace is on, and operations by the time they take longer.
//! `of=spans` compares the spans that are found, each with what is above and below it.

mod features;
mod rank;
mod score;

use super::asked::{Answered, Range, Refused, filter, given, word};
use super::scan::{Limits, Searched, Taker, run, scan};
use super::summary::{bounds, self_time};
use crate::zipkin::{Asked, ZipkinApi};
use features::{Features, What};
use rank::{Told, rank};
use score::Sides;
use serde::Serialize;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use tracewell_model::{Condition, Pattern, SpanFilter, SpanRef, TraceTree, merge_spans};

/// What is answered at most.
const DIFFERENCES_MAX: usize = 30;
const SLOWER_MAX: usize = 10;
/// What is counted at most: memory.
const OPERATIONS_MAX: usize = 10_000;
/// Spans looked at for the spans of a trace, each with what is above and below it, as a multiple of what the trace has.
const VISITS_MAX: usize = 8;

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
    /// An operation that is called so often at least.
    times: Option<u32>,
    /// What the same span has besides.
    and: Option<And>,
    selected_count: u64,
    rest_count: u64,
    selected_share: f64,
    rest_share: f64,
    score: f64,
    query: String,
}

#[derive(Debug, PartialEq, Serialize)]
struct And {
    key: String,
    value: Option<String>,
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

/// What is selected: traces with such a span that lie in the region, or such spans.
#[derive(Debug)]
struct Select {
    spans: SpanFilter,
    region: Option<Region>,
}

/// Of a picture in which traces have their place by start and duration, microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Region {
    start: RangeInclusive<u64>,
    duration: RangeInclusive<u64>,
}

impl Region {
    /// `from-to-shortest-longest`; what is not said is not bounded.
    fn parse(text: &str) -> Result<Self, Refused> {
        let bad = || Refused::Bad(format!("region is {text:?}: from-to-shortest-longest is expected, whole numbers"));
        let bounds: Vec<&str> = text.split('-').collect();
        let &[from, to, shortest, longest] = bounds.as_slice() else { return Err(bad()) };
        let or = |text: &str, none: u64| if text.is_empty() { Ok(none) } else { text.parse().map_err(|_| bad()) };
        Ok(Self { start: or(from, 0)?..=or(to, u64::MAX)?, duration: or(shortest, 0)?..=or(longest, u64::MAX)? })
    }

    fn holds(&self, trace: &TraceTree<'_>) -> bool {
        let (start, end) = bounds(trace);
        self.start.contains(&start.as_micros()) && self.duration.contains(&end.saturating_sub(start).as_micros())
    }
}

/// What is on one of two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Trace,
    Span,
}

pub(super) async fn compare(api: &ZipkinApi, asked: &Asked<'_>) -> Answered {
    let range = Range::of(api, asked)?;
    let spans = filter(&asked.parameters, "select")?;
    let region = given(&asked.parameters, "region").map(Region::parse).transpose()?;
    let select = Select { spans, region };
    let unit = if word(&asked.parameters, "of", &["traces", "spans"])? == "spans" { Unit::Span } else { Unit::Trace };
    run(api, asked, move |store, stop| {
        let mut counts = Counts::new(&range, &select, unit);
        let searched = scan(store, &range, Limits::ANSWER, stop, &mut counts)?;
        Ok(counts.compared(searched))
    })
    .await
}

struct Counts<'r> {
    range: &'r Range,
    select: &'r Select,
    unit: Unit,
    /// Units of either side.
    whole: Sides,
    features: Features,
    operations: HashMap<(String, String), SelfTimes>,
}

/// Nanoseconds.
#[derive(Default)]
struct SelfTimes {
    selected: f64,
    rest: f64,
}

impl<'r> Counts<'r> {
    fn new(range: &'r Range, select: &'r Select, unit: Unit) -> Self {
        let (whole, features, operations) = (Sides::default(), Features::new(), HashMap::new());
        Self { range, select, unit, whole, features, operations }
    }

    fn count_trace(&mut self, spans: &[SpanRef<'_>]) {
        let search = self.range.search();
        let tree = TraceTree::build(spans);
        let selected = spans.iter().any(|span| search.matches(*span) && self.select.spans.matches(*span))
            && self.select.region.as_ref().is_none_or(|region| region.holds(&tree));
        self.whole.add(selected);
        self.features.count(spans.iter().copied(), selected);
        for node in 0..tree.nodes.len() {
            self.count_self_time(&tree, node, selected);
        }
    }

    /// Each matching span with those above and below it.
    fn count_spans(&mut self, spans: &[SpanRef<'_>]) {
        let search = self.range.search();
        // What a tree merges by itself has no tags.
        let whole = merge_spans(spans);
        let spans: Vec<SpanRef<'_>> = whole.spans().collect();
        let tree = TraceTree::build(&spans);
        let order = tree.depth_first();
        let mut visits = order.len().saturating_mul(VISITS_MAX);
        for (at, &(node, depth)) in order.iter().enumerate() {
            let span = tree.span(node as usize);
            if !search.matches(span) {
                continue;
            }
            let size = 1 + order[at + 1..].iter().take_while(|(_, below)| *below > depth).count();
            let Some(left) = visits.checked_sub(size + depth as usize) else { return };
            visits = left;
            let below = order[at..at + size].iter().map(|(node, _)| *node as usize);
            let above = std::iter::successors(tree.nodes[node as usize].parent(), |&node| tree.nodes[node].parent())
                .take(depth as usize);
            let selected = self.select.spans.matches(span);
            self.whole.add(selected);
            self.features.count(below.clone().chain(above).map(|node| tree.span(node)), selected);
            below.for_each(|node| self.count_self_time(&tree, node, selected));
        }
    }

    fn count_self_time(&mut self, tree: &TraceTree<'_>, node: usize, selected: bool) {
        let span = tree.span(node);
        let key = (span.service_name().to_owned(), span.name().to_owned());
        if self.operations.len() >= OPERATIONS_MAX && !self.operations.contains_key(&key) {
            return;
        }
        let times = self.operations.entry(key).or_default();
        let nanos = self_time(tree, node).as_nanos() as f64;
        *(if selected { &mut times.selected } else { &mut times.rest }) += nanos;
    }

    fn compared(self, searched: Searched) -> Compared {
        let slower = self.slower();
        let mut time_lost: HashMap<&str, f64> = HashMap::new();
        for operation in &slower {
            *time_lost.entry(operation.service.as_str()).or_default() += operation.share;
        }
        let told = rank(&self.features, self.whole, &time_lost);
        let differences = told.iter().take(DIFFERENCES_MAX).map(|told| self.difference(told)).collect();
        let Sides { selected, rest } = self.whole;
        Compared { selected, rest, differences, slower: slower.into_iter().take(SLOWER_MAX).collect(), searched }
    }

    fn difference(&self, told: &Told) -> Difference {
        let Sides { selected, rest } = told.units;
        let feature = &self.features.all()[told.feature as usize];
        let and = told.and.map(|and| &self.features.all()[and as usize].what);
        let (key, value) = feature.what.named(&feature.service);
        let service = Condition::Service(Pattern::literal(feature.service.clone()));
        let own = feature.what.condition().into_iter().chain(and.and_then(What::condition));
        Difference {
            service: feature.service.clone(),
            key,
            value,
            times: if let What::Times(_, times) = feature.what { Some(times) } else { None },
            and: and.map(|and| and.named(&feature.service)).map(|(key, value)| And { key, value }),
            selected_count: selected,
            rest_count: rest,
            selected_share: share(selected, self.whole.selected),
            rest_share: share(rest, self.whole.rest),
            score: (told.score * 1000.0).round() / 1000.0,
            query: SpanFilter::and([service.into()].into_iter().chain(own)).to_string(),
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

impl Taker for Counts<'_> {
    fn take(&mut self, spans: &[SpanRef<'_>], _: u64) {
        match self.unit {
            Unit::Trace => self.count_trace(spans),
            Unit::Span => self.count_spans(spans),
        }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 10_000.0).round() / 10_000.0 }
}

#[cfg(test)]
mod tests;
