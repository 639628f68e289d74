//! `GET map`: who calls whom, how often, with what errors and durations.

use super::asked::{Answered, Range};
use super::figures::{Counted, Figures};
use super::red::Entries;
use super::scan::{Limits, Searched, Taker, run, scan};
use crate::zipkin::{Asked, ZipkinApi};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use tracewell_model::{DependencyLinker, SpanRef};

/// Memory.
const SERVICES_MAX: usize = 2000;

#[derive(Serialize)]
struct Map {
    services: Vec<Service>,
    links: Vec<Link>,
    searched: Searched,
}

#[derive(Serialize)]
struct Service {
    service: String,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Serialize)]
struct Link {
    parent: String,
    child: String,
    #[serde(flatten)]
    figures: Figures,
}

pub(super) async fn map(api: &ZipkinApi, asked: &Asked<'_>) -> Answered {
    let range = Range::of(api, asked)?;
    run(api, asked, move |store, stop| {
        let mut counts = Counts::default();
        let searched = scan(store, &range, Limits::ANSWER, stop, &mut counts)?;
        let seconds = range.seconds();
        let service = |(service, counted): (String, Counted)| Service { service, figures: counted.figures(seconds) };
        let mut links = vec![];
        for (parent, children) in counts.links {
            for (child, counted) in children {
                links.push(Link { parent: parent.clone(), child, figures: counted.figures(seconds) });
            }
        }
        Ok(Map { services: counts.services.into_iter().map(service).collect(), links, searched })
    })
    .await
}

#[derive(Default)]
struct Counts {
    services: BTreeMap<String, Counted>,
    /// By parent, then child.
    links: BTreeMap<String, BTreeMap<String, Counted>>,
}

impl Taker for Counts {
    fn take(&mut self, spans: &[SpanRef<'_>], _: u64) {
        let entries = Entries::of(spans);
        let mut of_trace: HashMap<&str, Vec<SpanRef<'_>>> = HashMap::new();
        for span in spans.iter().filter(|span| !span.service_name().is_empty() && entries.is_entry(**span)) {
            of_trace.entry(span.service_name()).or_default().push(*span);
        }
        for (service, spans) in of_trace {
            if let Some(counted) = entry(&mut self.services, service) {
                spans.iter().for_each(|span| add(counted, Some(*span), span.is_error()));
            }
        }
        let links = &mut self.links;
        DependencyLinker::each_call(spans, &mut |call| {
            let children = entry(links, call.parent);
            if let Some(counted) = children.and_then(|children| entry(children, call.child)) {
                add(counted, call.span, call.is_error);
            }
        });
    }
}

fn add(counted: &mut Counted, span: Option<SpanRef<'_>>, is_error: bool) {
    match span.and_then(|span| span.duration()) {
        Some(duration) => counted.add(duration.as_nanos(), is_error),
        None => counted.add_without_duration(is_error),
    }
}

fn entry<'m, V: Default>(map: &'m mut BTreeMap<String, V>, key: &str) -> Option<&'m mut V> {
    if !map.contains_key(key) && map.len() < SERVICES_MAX {
        map.insert(key.to_owned(), V::default());
    }
    map.get_mut(key)
}
