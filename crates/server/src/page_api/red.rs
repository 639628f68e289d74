//! `GET services`: rate, errors and durations by service, and by the operations of one.

use super::asked::{Answered, Range, given, number, word};
use super::figures::{Counted, Figures};
use super::scan::{Limits, Searched, Taker, run, scan};
use crate::zipkin::{Asked, ZipkinApi};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use tracewell_model::{Kind, SpanId, SpanRef, same_name};

const BUCKETS: u64 = 30;
const BUCKETS_MAX: u64 = 200;
/// Of services, and of operations: memory.
const ROWS_MAX: usize = 1000;

/// Times are microseconds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Red {
    start: u64,
    end: u64,
    bucket_width: u64,
    services: Vec<Service>,
    operations: Vec<Operation>,
    searched: Searched,
}

#[derive(Serialize)]
struct Service {
    service: String,
    #[serde(flatten)]
    figures: Figures,
    sparkline: Vec<Point>,
}

#[derive(Serialize)]
struct Operation {
    service: String,
    name: String,
    kind: &'static str,
    #[serde(flatten)]
    figures: Figures,
    sparkline: Vec<Point>,
}

#[derive(Serialize)]
struct Point {
    count: u64,
    errors: u64,
    p95: Option<f64>,
}

pub(super) async fn services(api: &ZipkinApi, asked: &Asked<'_>) -> Answered {
    let range = Range::of(api, asked)?;
    let buckets = number(&asked.parameters, "buckets", BUCKETS, 1, BUCKETS_MAX)?;
    let all = word(&asked.parameters, "spans", &["entry", "all"])? == "all";
    let service = given(&asked.parameters, "service").map(str::to_lowercase);
    run(api, asked, move |store, stop| {
        let (services, operations) = (HashMap::new(), BTreeMap::new());
        let mut counts = Counts { range: &range, buckets, all, service: service.as_deref(), services, operations };
        let searched = scan(store, &range, Limits::ANSWER, stop, &mut counts)?;
        Ok(counts.red(searched))
    })
    .await
}

struct Counts<'r> {
    range: &'r Range,
    buckets: u64,
    all: bool,
    service: Option<&'r str>,
    services: HashMap<String, Row>,
    /// By service, name and kind.
    operations: BTreeMap<(String, String, u8), Row>,
}

/// What is counted of a service or an operation.
#[derive(Default)]
struct Row {
    whole: Counted,
    line: BTreeMap<usize, Counted>,
}

impl Row {
    fn add(&mut self, bucket: usize, span: SpanRef<'_>) {
        let duration_ns = span.duration().unwrap_or_default().as_nanos();
        self.whole.add(duration_ns, span.is_error());
        self.line.entry(bucket).or_default().add(duration_ns, span.is_error());
    }

    fn sparkline(&self, buckets: u64) -> Vec<Point> {
        let none = Counted::default();
        let point = |at: u64| {
            let counted = self.line.get(&(at as usize)).unwrap_or(&none);
            Point { count: counted.count, errors: counted.errors, p95: counted.quantile_us(0.95) }
        };
        (0..buckets).map(point).collect()
    }
}

impl Counts<'_> {
    fn count(&mut self, span: SpanRef<'_>) {
        let bucket = self.range.bucket_of(self.buckets, span.timestamp_us());
        let service = span.service_name();
        if !self.services.contains_key(service) && self.services.len() < ROWS_MAX {
            self.services.insert(service.to_owned(), Row::default());
        }
        if let Some(row) = self.services.get_mut(service) {
            row.add(bucket, span);
        }
        if self.service.is_some_and(|wanted| same_name(service, wanted)) {
            let key = (service.to_owned(), span.name().to_owned(), span.kind() as u8);
            if self.operations.len() < ROWS_MAX || self.operations.contains_key(&key) {
                self.operations.entry(key).or_default().add(bucket, span);
            }
        }
    }

    fn red(self, searched: Searched) -> Red {
        let (range, buckets) = (self.range, self.buckets);
        let seconds = range.seconds();
        let mut services: Vec<_> = self.services.into_iter().collect();
        services
            .sort_by(|(a, row_a), (b, row_b)| (Reverse(row_a.whole.count), a).cmp(&(Reverse(row_b.whole.count), b)));
        let mut operations: Vec<_> = self.operations.into_iter().collect();
        operations
            .sort_by(|(a, row_a), (b, row_b)| (Reverse(row_a.whole.count), a).cmp(&(Reverse(row_b.whole.count), b)));
        let service = |(service, row): (String, Row)| Service {
            service,
            figures: row.whole.figures(seconds),
            sparkline: row.sparkline(buckets),
        };
        let operation = |((service, name, kind), row): ((String, String, u8), Row)| Operation {
            service,
            name,
            kind: Kind::from_u8(kind).unwrap_or_default().word(),
            figures: row.whole.figures(seconds),
            sparkline: row.sparkline(buckets),
        };
        Red {
            start: range.window.start_us,
            end: range.window.end_us,
            bucket_width: range.bucket_width_us(buckets),
            services: services.into_iter().map(service).collect(),
            operations: operations.into_iter().map(operation).collect(),
            searched,
        }
    }
}

impl Taker for Counts<'_> {
    fn take(&mut self, spans: &[SpanRef<'_>], _: u64) {
        let search = self.range.search();
        let entries = if self.all { None } else { Some(Entries::of(spans)) };
        for span in spans.iter().filter(|span| search.matches(**span)) {
            if entries.as_ref().is_none_or(|entries| entries.is_entry(*span)) {
                self.count(*span);
            }
        }
    }
}

/// The services of a trace's spans, to tell the spans through which work comes into a service.
pub(super) struct Entries<'a>(HashMap<SpanId, &'a str>);

impl<'a> Entries<'a> {
    pub(super) fn of(spans: &[SpanRef<'a>]) -> Self {
        Self(spans.iter().map(|span| (span.id(), span.service_name())).collect())
    }

    pub(super) fn is_entry(&self, span: SpanRef<'_>) -> bool {
        match (span.kind(), span.parent()) {
            (Kind::Server | Kind::Consumer, _) | (_, None) => true,
            (Kind::Client | Kind::Producer, _) => false,
            (_, Some(parent)) => self.0.get(&parent).is_none_or(|service| *service != span.service_name()),
        }
    }
}
