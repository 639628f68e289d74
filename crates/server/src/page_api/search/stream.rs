//! `GET search/stream`: a line of JSON a trace, as soon as it is known that nothing comes before it.

use super::{Finder, Found, Pages};
use crate::answer::{self, Answer};
use crate::answer_body::AnswerBody;
use crate::page_api::asked::Answered;
use crate::page_api::scan::{Limits, Searched, Stop, Taker, scan};
use crate::zipkin::{Asked, ZipkinApi};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde_json::json;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tracewell_model::SpanRef;
use tracewell_store::Store;

const LIMIT_MAX: u64 = 10_000;
/// Lines that wait for the client.
const LINES_WAITING_MAX: usize = 256;
/// How often is told how far the search came.
const TOLD_SPANS: u64 = 20_000;
const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

pub(in crate::page_api) fn search_stream(api: &ZipkinApi, asked: &Asked<'_>) -> Answered {
    let pages = Pages::of(api, asked, LIMIT_MAX)?;
    let (sender, receiver) = mpsc::channel(LINES_WAITING_MAX);
    let app = Arc::clone(api.app());
    tokio::spawn(async move {
        let (lines, stop) = (sender.clone(), Stop::default());
        let stops = stop.at_end();
        let read = move |store: &dyn Store| {
            let sink = Sink { lines, deadline: Instant::now() + Limits::STREAM.time_max, stop: &stop };
            let finder = Finder::new(&pages, |found: Found| sink.send(&json!({ "trace": found })));
            let mut told = Told { finder, sink: &sink, spans: 0 };
            let searched = scan(store, &pages.range, Limits::STREAM, &stop, &mut told)?;
            let next = told.finder.end(&searched);
            sink.send(&json!({ "end": { "next": next, "searched": searched } }));
            Ok(())
        };
        if let Err(error) = app.queries.run(read).await {
            // Who has gone needs no reason.
            drop(sender.send(line(&json!({ "error": error.to_string() }))).await);
        }
        drop(stops);
    });
    Ok(streaming(NDJSON, receiver))
}

/// An answer that goes on until the sender is dropped.
pub(in crate::page_api) fn streaming(content_type: HeaderValue, pieces: mpsc::Receiver<Bytes>) -> Answer {
    let mut answer = answer::empty(StatusCode::OK);
    *answer.body_mut() = AnswerBody::Pieces(pieces);
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The client's end, from a thread for queries.
struct Sink<'a> {
    lines: mpsc::Sender<Bytes>,
    deadline: Instant,
    stop: &'a Stop,
}

impl Sink<'_> {
    /// A client that is too slow or has gone ends the search.
    fn send(&self, value: &serde_json::Value) {
        let sent = Handle::current().block_on(timeout_at(self.deadline, self.lines.send(line(value))));
        if !matches!(sent, Ok(Ok(()))) {
            self.stop.stop();
        }
    }
}

fn line(value: &serde_json::Value) -> Bytes {
    let mut line = value.to_string();
    line.push('\n');
    line.into()
}

/// Tells of its progress.
struct Told<'a, F> {
    finder: Finder<'a, F>,
    sink: &'a Sink<'a>,
    spans: u64,
}

impl<F: FnMut(Found)> Taker for Told<'_, F> {
    fn take(&mut self, spans: &[SpanRef<'_>], match_us: u64) {
        self.finder.take(spans, match_us);
    }

    fn has_enough(&mut self, back_to_us: u64) -> bool {
        self.finder.has_enough(back_to_us)
    }

    fn tell(&mut self, searched: &Searched) {
        if searched.spans >= self.spans + TOLD_SPANS {
            self.spans = searched.spans;
            self.sink.send(&json!({ "searched": searched }));
        }
    }
}
