//! `GET search` and `GET search/stream`: summaries of the traces that a query finds, newest first, page by page or as they come.

mod cursor;
mod stream;

pub(super) use stream::{search_stream, streaming};

use super::asked::{Answered, Range, Refused, number};
use super::scan::{Limits, Searched, Taker, run, scan};
use super::summary::{Summary, summarize};
use super::value_text::{attributes, value_text};
use crate::zipkin::{Asked, ZipkinApi};
use cursor::{Cursor, Key};
use serde::Serialize;
use std::collections::BTreeMap;
use tracewell_model::SpanRef;
use tracewell_store::{DependencyWindow, SpanSearch};

const LIMIT: u64 = 20;
const LIMIT_MAX: u64 = 1000;
const COLUMNS_MAX: usize = 8;
/// Of one trace.
const MATCHES_MAX: usize = 20;

/// A page of what is asked for.
struct Pages {
    range: Range,
    /// The time range the pages began with; that of `range` ends where the last page did.
    whole: DependencyWindow,
    after: Option<Key>,
    limit: usize,
    columns: Vec<String>,
}

/// A trace that was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    #[serde(flatten)]
    summary: Summary,
    match_time: u64,
    match_count: usize,
    matches: Vec<String>,
    columns: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Page {
    traces: Vec<Found>,
    next: Option<String>,
    searched: Searched,
}

pub(super) async fn search(api: &ZipkinApi, asked: &Asked<'_>) -> Answered {
    let pages = Pages::of(api, asked, LIMIT_MAX)?;
    run(api, asked, move |store, stop| {
        let mut traces = vec![];
        let mut finder = Finder::new(&pages, |found| traces.push(found));
        let searched = scan(store, &pages.range, Limits::ANSWER, stop, &mut finder)?;
        let next = finder.end(&searched);
        Ok(Page { traces, next, searched })
    })
    .await
}

impl Pages {
    fn of(api: &ZipkinApi, asked: &Asked<'_>, limit_max: u64) -> Result<Self, Refused> {
        let mut range = Range::of(api, asked)?;
        let limit = number(&asked.parameters, "limit", LIMIT, 1, limit_max)? as usize;
        let columns = asked.parameters.get("columns").unwrap_or_default().split(',').filter(|key| !key.is_empty());
        let columns: Vec<String> = columns.map(str::to_owned).collect();
        if columns.len() > COLUMNS_MAX {
            return Err(Refused::Bad(format!("columns has more than {COLUMNS_MAX} keys")));
        }
        let cursor = asked.parameters.get("cursor").filter(|text| !text.is_empty());
        let cursor = cursor.map(|text| Cursor::read(text).ok_or_else(|| Refused::Bad("no such cursor".to_owned())));
        let Some(cursor) = cursor.transpose()? else {
            return Ok(Self { whole: range.window, range, after: None, limit, columns });
        };
        range.window = DependencyWindow { end_us: cursor.after.match_us().min(cursor.whole.end_us), ..cursor.whole };
        Ok(Self { range, whole: cursor.whole, after: Some(cursor.after), limit, columns })
    }

    /// All of the first page's time: a later page must not find a trace again by an older span.
    fn whole_search(&self) -> SpanSearch<'_> {
        SpanSearch { window: self.whole, ..self.range.search() }
    }

    fn found(&self, spans: &[SpanRef<'_>], match_time: u64) -> Found {
        let search = self.whole_search();
        let matching = || spans.iter().copied().filter(|span| search.matches(*span));
        let value_of = |key: &String| {
            let all = matching().chain(spans.iter().copied());
            all.flat_map(attributes).filter(|(found, _)| found == key).find_map(|(_, value)| value_text(value))
        };
        let columns = self.columns.iter().filter_map(|key| Some((key.clone(), value_of(key)?.into_owned())));
        Found {
            summary: summarize(spans),
            match_time,
            match_count: matching().count(),
            matches: matching().take(MATCHES_MAX).map(|span| span.id().to_string()).collect(),
            columns: columns.collect(),
        }
    }
}

/// Brings what is found into order, and gives it out as soon as nothing can come before it.
struct Finder<'p, F> {
    pages: &'p Pages,
    /// What may still have to wait; no more than there is room for on the page.
    waiting: BTreeMap<Key, Found>,
    given: usize,
    last_given: Option<Key>,
    /// Something was left out because the page is full.
    more: bool,
    give: F,
}

impl<'p, F: FnMut(Found)> Finder<'p, F> {
    fn new(pages: &'p Pages, give: F) -> Self {
        Self { pages, waiting: BTreeMap::new(), given: 0, last_given: None, more: false, give }
    }

    /// Gives out what is newer.
    fn give_behind(&mut self, back_to_us: u64) {
        while self.given < self.pages.limit
            && self.waiting.first_key_value().is_some_and(|(key, _)| key.match_us() > back_to_us)
            && let Some((key, found)) = self.waiting.pop_first()
        {
            (self.give)(found);
            self.given += 1;
            self.last_given = Some(key);
        }
    }

    /// Gives out the rest, and answers the cursor of the next page.
    fn end(mut self, searched: &Searched) -> Option<String> {
        if searched.to_the_end {
            self.give_behind(0);
        }
        let is_full = self.given == self.pages.limit;
        let after = if is_full {
            self.last_given.filter(|_| self.more || !self.waiting.is_empty() || !searched.to_the_end)
        } else {
            Some(Key::behind(searched.back_to)).filter(|_| !searched.to_the_end)
        };
        after.map(|after| Cursor { whole: self.pages.whole, after }.text())
    }
}

impl<F: FnMut(Found)> Taker for Finder<'_, F> {
    fn take(&mut self, spans: &[SpanRef<'_>], match_us: u64) {
        let Some(first) = spans.first() else { return };
        let match_us = match self.pages.after {
            None => match_us,
            Some(_) => self.pages.whole_search().match_us(spans).unwrap_or(match_us),
        };
        let key = Key::of(match_us, first.trace_id());
        if self.pages.after.is_some_and(|after| key <= after) {
            return;
        }
        let room = self.pages.limit - self.given;
        if self.waiting.len() >= room {
            self.more = true;
            match self.waiting.last_entry() {
                Some(last) if key < *last.key() => drop(last.remove()),
                _ => return,
            }
        }
        self.waiting.insert(key, self.pages.found(spans, match_us));
    }

    fn has_enough(&mut self, back_to_us: u64) -> bool {
        self.give_behind(back_to_us);
        self.given == self.pages.limit
    }
}
