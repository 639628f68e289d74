//! Zipkin's query API: `services`, `spans`, `remoteServices`, `traces`, `trace`, `traceMany`, `dependencies` and the tags to
//! complete. Parameters in, JSON out; reading, encoding and compressing happen on the threads of the queries.

use super::parameters::{self, BadParameter, Defaults};
use super::{Asked, ZipkinApi, query_error};
use crate::answer::{self, Answer, cached, error};
use crate::clock;
use crate::queries::QueryError;
use http::{HeaderValue, StatusCode};
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};
use tracewell_model::{DependencyLink, DependencyLinker, SpanBatch, TraceGrouping};
use tracewell_store::{ReadError, Store};
use tracewell_wire::zipkin_v2::encode_spans;

/// Lists with more names than this may be kept by browsers.
const NAMES_CACHED_MIN: usize = 3;

/// What has to be said instead of the answer.
pub(crate) enum Refused {
    Parameter(BadParameter),
    Query(QueryError),
}

impl From<BadParameter> for Refused {
    fn from(error: BadParameter) -> Self {
        Self::Parameter(error)
    }
}

impl From<QueryError> for Refused {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

fn answered(answer: Result<Answer, Refused>) -> Answer {
    answer.unwrap_or_else(|refused| match refused {
        Refused::Parameter(bad) => error(StatusCode::BAD_REQUEST, bad.to_string()),
        Refused::Query(failed) => query_error(&failed),
    })
}

impl ZipkinApi {
    pub(super) async fn services(&self, asked: &Asked<'_>) -> Answer {
        let names = self.names(|store| store.service_names()).await.map(lower);
        if let Ok(names) = &names {
            self.many_services.store(names.len() > NAMES_CACHED_MIN, Ordering::Relaxed);
        }
        answered(names.map(|names| self.names_answer(&names, asked)))
    }

    pub(super) async fn span_names(&self, asked: &Asked<'_>) -> Answer {
        answered(self.names_of_service(asked, |store, service| store.span_names(service)).await)
    }

    pub(super) async fn remote_services(&self, asked: &Asked<'_>) -> Answer {
        answered(self.names_of_service(asked, |store, service| store.remote_service_names(service)).await)
    }

    async fn names_of_service(
        &self,
        asked: &Asked<'_>,
        read: fn(&dyn Store, &str) -> Result<Vec<String>, ReadError>,
    ) -> Result<Answer, Refused> {
        let service = parameters::mandatory(&asked.parameters, "serviceName")?.to_lowercase();
        // Spans without a service are nobody's.
        let names = match service.as_str() {
            "" => vec![],
            _ => lower(self.names(move |store| read(store, &service)).await?),
        };
        Ok(self.names_answer(&names, asked))
    }

    /// Names are a part of searching: without it there are none.
    async fn names(
        &self,
        read: impl FnOnce(&dyn Store) -> Result<Vec<String>, ReadError> + Send + 'static,
    ) -> Result<Vec<String>, Refused> {
        if !self.app.options.search_enabled {
            return Ok(vec![]);
        }
        Ok(self.app.queries.run(read).await?)
    }

    fn names_answer(&self, names: &[String], asked: &Asked<'_>) -> Answer {
        let answer = answer::json(names_json(names), asked.takes_gzip);
        if self.many_services.load(Ordering::Relaxed) { cached(answer, self.names_max_age()) } else { answer }
    }

    pub(super) fn autocomplete_keys(&self) -> Answer {
        cached(answer::json(names_json(&self.app.store.tag_keys()), false), self.names_max_age())
    }

    pub(super) async fn autocomplete_values(&self, asked: &Asked<'_>) -> Answer {
        let values = async {
            let key = parameters::mandatory(&asked.parameters, "key")?.to_owned();
            if key.is_empty() {
                return Ok(error(StatusCode::BAD_REQUEST, "key was empty"));
            }
            let values = self.names(move |store| store.tag_values(&key)).await?;
            let answer = answer::json(names_json(&values), asked.takes_gzip);
            Ok(if values.len() > NAMES_CACHED_MIN { cached(answer, self.names_max_age()) } else { answer })
        };
        answered(values.await)
    }

    pub(super) async fn traces(&self, asked: &Asked<'_>) -> Answer {
        let found = async {
            let query = parameters::trace_query(&asked.parameters, self.defaults())?;
            let takes_gzip = asked.takes_gzip;
            let (true, Some(query)) = (self.app.options.search_enabled, query) else {
                return Ok(answer::json(b"[]".to_vec(), false));
            };
            let read = move |store: &dyn Store| Ok(traces_answer(store.find(&query)?, takes_gzip));
            Ok(self.app.queries.run(read).await?)
        };
        answered(found.await)
    }

    pub(super) async fn trace(&self, id: &str, asked: &Asked<'_>) -> Answer {
        let found = async {
            let id = parameters::trace_id_of_path(id)?;
            let (grouping, takes_gzip) = (self.grouping(), asked.takes_gzip);
            let read = move |store: &dyn Store| {
                let mut traces = store.traces(&[id], grouping)?;
                Ok(traces.first_mut().map(|trace| {
                    trace.lower_names();
                    let mut body = Vec::new();
                    encode_spans(trace.spans(), &mut body);
                    answer::json(body, takes_gzip)
                }))
            };
            let answer = self.app.queries.run(read).await?;
            Ok(answer.unwrap_or_else(|| error(StatusCode::NOT_FOUND, format!("{id} not found"))))
        };
        answered(found.await)
    }

    pub(super) async fn trace_many(&self, asked: &Asked<'_>) -> Answer {
        let found = async {
            let ids = parameters::trace_ids(&asked.parameters)?;
            let (grouping, takes_gzip) = (self.grouping(), asked.takes_gzip);
            let read = move |store: &dyn Store| Ok(traces_answer(store.traces(&ids, grouping)?, takes_gzip));
            Ok(self.app.queries.run(read).await?)
        };
        answered(found.await)
    }

    pub(super) async fn dependencies(&self, asked: &Asked<'_>) -> Answer {
        let found = async {
            let window = parameters::dependency_window(&asked.parameters, self.app.options.query_lookback)?;
            let Some(window) = window else { return Ok(answer::json(b"[]".to_vec(), false)) };
            let takes_gzip = asked.takes_gzip;
            let read = move |store: &dyn Store| {
                Ok(answer::json(links_json(&lower_links(&store.dependencies(window)?)), takes_gzip))
            };
            Ok(self.app.queries.run(read).await?)
        };
        answered(found.await)
    }

    pub(crate) fn defaults(&self) -> Defaults {
        let now = clock::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        Defaults { now_ms, lookback: self.app.options.query_lookback, grouping: self.grouping() }
    }

    pub(crate) fn grouping(&self) -> TraceGrouping {
        if self.app.options.strict_trace_id { TraceGrouping::Strict } else { TraceGrouping::LowBits }
    }

    fn names_max_age(&self) -> HeaderValue {
        let text = format!("max-age={}, must-revalidate", self.app.options.names_max_age.as_secs());
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("no-cache"))
    }
}

/// Names in lower case, whatever format the spans came in.
fn traces_answer(traces: Vec<SpanBatch>, takes_gzip: bool) -> Answer {
    let mut body = vec![b'['];
    for (at, mut trace) in traces.into_iter().enumerate() {
        trace.lower_names();
        if at > 0 {
            body.push(b',');
        }
        encode_spans(trace.spans(), &mut body);
    }
    body.push(b']');
    answer::json(body, takes_gzip)
}

/// In lower case, sorted, each once.
fn lower(mut names: Vec<String>) -> Vec<String> {
    if names.iter().any(|name| name.chars().any(char::is_uppercase)) {
        names = names.iter().map(|name| name.to_lowercase()).collect();
        names.sort_unstable();
        names.dedup();
    }
    names
}

/// Links with names in lower case.
fn lower_links(links: &[DependencyLink]) -> Vec<DependencyLink> {
    let mut linker = DependencyLinker::default();
    for link in links {
        let (parent, child) = (link.parent.to_lowercase(), link.child.to_lowercase());
        linker.put_link(&DependencyLink { parent, child, ..link.clone() });
    }
    linker.links()
}

fn names_json(names: &[String]) -> Vec<u8> {
    serde_json::to_vec(names).unwrap_or_default()
}

fn links_json(links: &[DependencyLink]) -> Vec<u8> {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Link<'a> {
        parent: &'a str,
        child: &'a str,
        call_count: u64,
        #[serde(skip_serializing_if = "is_zero")]
        error_count: u64,
    }
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_zero(count: &u64) -> bool {
        *count == 0
    }
    let links: Vec<_> = links
        .iter()
        .map(|DependencyLink { parent, child, call_count, error_count }| Link {
            parent,
            child,
            call_count: *call_count,
            error_count: *error_count,
        })
        .collect();
    serde_json::to_vec(&links).unwrap_or_default()
}
