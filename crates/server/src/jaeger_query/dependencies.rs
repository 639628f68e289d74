//! `GET /api/dependencies`: calls between services by Jaeger's rule, counted when asked: every span whose parent is of
//! another service is a call from that one.

use super::answers::Result;
use super::{Asked, GROUPING, JaegerQueryApi, now_us, parameters};
use crate::answer::Answer;
use serde_json::{json, to_vec};
use std::collections::{BTreeMap, HashMap};
use tracewell_model::{Kind, SpanId, SpanRef};
use tracewell_store::{DependencyWindow, ReadError, Store};
use tracewell_wire::jaeger::service_shown;

/// Caller, called, how often.
pub(super) type Calls = BTreeMap<(String, String), u64>;

impl JaegerQueryApi {
    pub(super) async fn dependencies(&self, asked: Asked) -> Result<Answer> {
        let (start_us, end_us) = parameters::dependency_window(&asked.parameters, now_us() / 1000)?;
        let service = asked.parameters.get("service").unwrap_or_default().to_owned();
        let form = asked.form;
        let read = move |store: &dyn Store| {
            let calls = calls(store, DependencyWindow { start_us, end_us })?;
            let concerns = |(parent, child): &(String, String)| [parent, child].contains(&&service);
            let links = calls.iter().filter(|(link, _)| service.is_empty() || concerns(link));
            let link = |((parent, child), calls): (&(String, String), &u64)| json!({"parent": parent, "child": child, "callCount": calls});
            let links: Vec<_> = links.map(link).collect();
            Ok(form.data(&to_vec(&links).unwrap_or_default(), 0, &[]))
        };
        Ok(self.app.queries.run(read).await?)
    }
}

/// All calls in the traces that touch a window.
pub(super) fn calls(store: &dyn Store, window: DependencyWindow) -> std::result::Result<Calls, ReadError> {
    let mut calls = Calls::new();
    if window.start_us <= window.end_us {
        store.visit_traces(window, GROUPING, &mut |spans| count(spans, &mut calls))?;
    }
    Ok(calls)
}

fn count(spans: &[SpanRef<'_>], calls: &mut Calls) {
    for (span, caller) in spans.iter().zip(callers(spans)) {
        let child = service_shown(*span);
        let parent = caller.map(|caller| service_shown(spans[caller]));
        if let Some(parent) = parent.filter(|parent| *parent != child) {
            *calls.entry((parent.to_owned(), child.to_owned())).or_default() += 1;
        }
    }
}

/// Which span of a trace called each of its spans.
pub(super) fn callers(spans: &[SpanRef<'_>]) -> Vec<Option<usize>> {
    // Zipkin's client and server share an id: the client calls, and what is below the id is the server's.
    let of = |shown: &dyn Fn(Kind) -> bool| -> HashMap<SpanId, usize> {
        let shown = spans.iter().enumerate().rev().filter(|(_, span)| shown(span.kind()));
        shown.map(|(at, span)| (span.id(), at)).collect()
    };
    let (all, clients, servers) = (of(&|_| true), of(&|kind| kind == Kind::Client), of(&|kind| kind == Kind::Server));
    let caller = |span: &SpanRef<'_>| {
        let shared = if span.kind() == Kind::Server { clients.get(&span.id()) } else { None };
        let above = || span.parent().and_then(|parent| servers.get(&parent).or_else(|| all.get(&parent)));
        shared.or_else(above).copied()
    };
    spans.iter().map(caller).collect()
}
