//! What operators ask: health, version, metrics; and the redirects to the page.

use super::{Asked, ZipkinApi};
use crate::answer::{self, Answer, JSON, JSON_UTF8};
use crate::metrics::{prometheus_text, zipkin_json};
use http::{HeaderValue, StatusCode};

/// How Spring labels what stands below `/actuator/`.
const ACTUATOR_JSON: HeaderValue =
    HeaderValue::from_static("application/vnd.spring-boot.actuator.v2+json; charset=utf-8");
const ACTUATOR_LINKS_JSON: HeaderValue = HeaderValue::from_static("application/vnd.spring-boot.actuator.v3+json");

/// The server whose answers these are: clients look for it.
const ZIPKIN_VERSION: &str = "3.5.1";

impl ZipkinApi {
    /// 200 while spans are taken, 503 while they are not. Damage that was found is told but does not take the server down.
    pub(super) fn health(&self, actuator: bool) -> Answer {
        let health = self.app.store_health();
        let (word, status) = match health.writes_refused {
            None => ("UP", StatusCode::OK),
            Some(_) => ("DOWN", StatusCode::SERVICE_UNAVAILABLE),
        };
        let mut component = serde_json::json!({ "status": word });
        let mut details = serde_json::Map::new();
        if let Some(error) = health.writes_refused {
            details.insert("error".to_owned(), error.into());
        }
        if !health.damage.is_empty() {
            details.insert("damage".to_owned(), health.damage.into());
        }
        if !details.is_empty() {
            component["details"] = details.into();
        }
        let whole = serde_json::json!({
            "status": word,
            "zipkin": { "status": word, "details": { "TracewellStore{}": component } },
        });
        let body = serde_json::to_vec_pretty(&whole).unwrap_or_default();
        answer::answer(status, if actuator { ACTUATOR_JSON } else { JSON_UTF8 }, body)
    }

    pub(super) fn info(&self, actuator: bool) -> Answer {
        let version = env!("CARGO_PKG_VERSION");
        let body = format!(
            "{{\"zipkin\":{{\"version\":\"{ZIPKIN_VERSION}\"}},\"tracewell\":{{\"version\":\"{version}\"}}}}\n"
        );
        answer::answer(StatusCode::OK, if actuator { ACTUATOR_JSON } else { JSON_UTF8 }, body)
    }

    /// Of Spring's actuator only what tells nothing about the inside.
    pub(super) fn actuator(&self) -> Answer {
        let link = |path: &str| serde_json::json!({ "href": path, "templated": false });
        let body = serde_json::json!({ "_links": {
            "self": link("/actuator"),
            "health": link("/actuator/health"),
            "info": link("/actuator/info"),
            "prometheus": link("/actuator/prometheus"),
        }});
        answer::answer(StatusCode::OK, ACTUATOR_LINKS_JSON, body.to_string())
    }

    pub(super) fn zipkin_metrics(&self) -> Answer {
        answer::answer(StatusCode::OK, JSON, zipkin_json(&self.app.metrics))
    }

    pub(super) fn prometheus(&self, asked: &Asked<'_>) -> Answer {
        prometheus_text(&self.app, asked.headers)
    }

    /// To the page, with the query that came.
    pub(super) fn redirect(&self, location: &str, query: Option<&str>) -> Answer {
        match query {
            Some(query) => answer::redirect(&format!("{location}?{query}")),
            None => answer::redirect(location),
        }
    }

    pub(super) fn ui_config(&self) -> Answer {
        let body = answer::answer(StatusCode::OK, JSON_UTF8, self.ui_config.clone());
        answer::cached(body, HeaderValue::from_static("max-age=600"))
    }
}
