//! `GET /api/deep-dependencies`: the ways that requests take from service to service, found in the traces. Jaeger 1.76 answers
//! in this shape with ways that it made up.

use super::answers::Result;
use super::dependencies::callers;
use super::{Asked, GROUPING, JaegerQueryApi, now_us, parameters};
use crate::answer::Answer;
use serde_json::{json, to_vec};
use std::collections::BTreeMap;
use tracewell_model::{SpanRef, TraceId};
use tracewell_store::{DependencyWindow, ReadError, Store};
use tracewell_wire::jaeger::service_shown;

/// Ways that are answered; more are left out.
const PATHS_MAX: usize = 10_000;
/// Steps of a way; what is deeper is left out.
const STEPS_MAX: usize = 100;
/// A span below more than so many others is not looked at: a trace of nothing but depth would take for ever.
const DEPTH_MAX: usize = 2000;

/// From service to service: each with the operation that was called there.
type Path = Vec<(String, String)>;

impl JaegerQueryApi {
    /// Takes the window of `/api/dependencies`; `service` and `operation` say what a way has to pass.
    pub(super) async fn deep_dependencies(&self, asked: Asked) -> Result<Answer> {
        let (start_us, end_us) = parameters::dependency_window(&asked.parameters, now_us() / 1000)?;
        let said = |name| asked.parameters.get(name).unwrap_or_default().to_owned();
        let (service, operation, form) = (said("service"), said("operation"), asked.form);
        let read = move |store: &dyn Store| {
            let paths = paths(store, DependencyWindow { start_us, end_us }, (&service, &operation))?;
            let step = |(service, operation): &(String, String)| json!({"service": service, "operation": operation});
            let path = |(path, trace): (&Path, &TraceId)| {
                json!({
                    "path": path.iter().map(step).collect::<Vec<_>>(),
                    "attributes": [{"key": "exemplar_trace_id", "value": trace.to_string()}],
                })
            };
            let paths: Vec<_> = paths.iter().map(path).collect();
            Ok(form.json(to_vec(&json!({"dependencies": paths})).unwrap_or_default()))
        };
        Ok(self.app.queries.run(read).await?)
    }
}

/// The ways through a service and an operation (empty is any), each with a trace that took it.
fn paths(
    store: &dyn Store,
    window: DependencyWindow,
    through: (&str, &str),
) -> std::result::Result<BTreeMap<Path, TraceId>, ReadError> {
    let mut paths = BTreeMap::new();
    if window.start_us <= window.end_us {
        store.visit_traces(window, GROUPING, &mut |spans| add_paths(spans, through, &mut paths))?;
    }
    Ok(paths)
}

fn add_paths(spans: &[SpanRef<'_>], through: (&str, &str), paths: &mut BTreeMap<Path, TraceId>) {
    let callers = callers(spans);
    let mut calls_none = vec![true; spans.len()];
    callers.iter().flatten().for_each(|&caller| calls_none[caller] = false);
    let passes = |path: &[(&str, &str)]| {
        let meets = |(service, operation): &(&str, &str)| {
            (through.0.is_empty() || *service == through.0) && (through.1.is_empty() || *operation == through.1)
        };
        path.iter().any(meets)
    };
    for last in (0..spans.len()).filter(|&at| calls_none[at]) {
        let Some(path) = path_to(spans, &callers, last).filter(|path| passes(path)) else { continue };
        let path: Path = path.into_iter().map(|(service, name)| (service.to_owned(), name.to_owned())).collect();
        if paths.len() < PATHS_MAX {
            paths.entry(path).or_insert_with(|| spans[last].trace_id());
        }
    }
}

/// The way from the root to a span: a step where a service is entered. `None` where spans call each other in a ring.
fn path_to<'a>(spans: &[SpanRef<'a>], callers: &[Option<usize>], last: usize) -> Option<Vec<(&'a str, &'a str)>> {
    let mut steps: Vec<(&str, &str)> = vec![];
    let mut at = Some(last);
    for _ in 0..DEPTH_MAX {
        let Some(row) = at else {
            steps.reverse();
            steps.truncate(STEPS_MAX);
            return Some(steps);
        };
        let step = (service_shown(spans[row]), spans[row].name());
        match steps.last_mut() {
            // The first span of a service is the one that was called.
            Some(entered) if entered.0 == step.0 => *entered = step,
            _ => steps.push(step),
        }
        at = callers[row];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracewell_model::{Kind, OwnedEndpoint, Span, SpanBatch, SpanId};

    fn batch(spans: &[(u64, u64, &str, &str)]) -> SpanBatch {
        let mut batch = SpanBatch::new();
        for (id, parent, service, name) in spans {
            let span = Span {
                trace_id: TraceId::new(7),
                id: SpanId::new(*id),
                parent: (*parent != 0).then(|| SpanId::new(*parent)),
                kind: Kind::Internal,
                name: (*name).to_owned(),
                local: Some(OwnedEndpoint { service: (*service).to_owned(), ..OwnedEndpoint::default() }),
                ..Span::default()
            };
            batch.push_span(&span).unwrap();
        }
        batch
    }

    fn found(batch: &SpanBatch, through: (&str, &str)) -> Vec<String> {
        let mut paths = BTreeMap::new();
        add_paths(&batch.spans().collect::<Vec<_>>(), through, &mut paths);
        let text = |path: &Path| path.iter().map(|(s, o)| format!("{s}.{o}")).collect::<Vec<_>>().join(" ");
        paths.keys().map(text).collect()
    }

    #[test]
    fn a_way_enters_each_service_once_in_a_row() {
        let trace = batch(&[
            (1, 0, "web", "get"),
            (2, 1, "web", "render"),
            (3, 2, "shop", "list"),
            (4, 3, "db", "select"),
            (5, 1, "auth", "check"),
            (6, 5, "web", "again"),
        ]);
        assert_eq!(found(&trace, ("", "")), ["web.get auth.check web.again", "web.get shop.list db.select"]);
        assert_eq!(found(&trace, ("shop", "")), ["web.get shop.list db.select"]);
        assert_eq!(found(&trace, ("auth", "check")), ["web.get auth.check web.again"]);
        assert!(found(&trace, ("auth", "list")).is_empty());
    }

    #[test]
    fn a_ring_is_no_way() {
        assert!(found(&batch(&[(1, 2, "a", "x"), (2, 1, "b", "y"), (3, 1, "c", "z")]), ("", "")).is_empty());
    }
}
