//! `GET parse`: a query as the server reads it, and the searches of Zipkin's and Jaeger's pages as queries.

use super::asked::{Answered, Refused};
use super::old_links;
use crate::answer::{self, JSON_UTF8};
use crate::zipkin::Asked;
use http::StatusCode;
use serde::Serialize;
use std::borrow::Cow;
use tracewell_model::SpanFilter;

#[derive(Serialize)]
struct Parsed {
    q: String,
    terms: Vec<Term>,
}

/// Places count UTF-16 code units.
#[derive(Serialize)]
struct Term {
    start: usize,
    end: usize,
    text: String,
}

pub(super) fn parse(asked: &Asked<'_>) -> Answered {
    let text = match asked.parameters.get("q") {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(old_links::filter(&asked.parameters).map_err(Refused::Bad)?.to_string()),
    };
    let wrong = |error| Refused::Filter { parameter: "q", text: text.clone().into_owned(), error };
    let terms = SpanFilter::parse_terms(&text).map_err(wrong)?;
    let utf16 = |bytes: usize| text[..bytes].encode_utf16().count();
    let place = |term: &tracewell_model::FilterTerm| Term {
        start: utf16(term.bytes.start),
        end: utf16(term.bytes.end),
        text: term.filter.to_string(),
    };
    let places = terms.iter().map(place).collect();
    let q = SpanFilter::and(terms.into_iter().map(|term| term.filter)).to_string();
    let body = serde_json::to_vec(&Parsed { q, terms: places }).unwrap_or_default();
    Ok(answer::answer(StatusCode::OK, JSON_UTF8, body))
}
