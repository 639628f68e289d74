//! Queries are bounded: in how many run, in how long they may take, and in what a client that goes away leaves behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::{reads_nothing, start_with};
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex};
use tracewell_model::SpanBatch;
use tracewell_store::{ReadError, Store, StoreHealth, WriteDone};

/// Answers no names until it is let go.
#[derive(Default)]
struct Blocking {
    /// How many ask now, and whether they are let go.
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Blocking {
    fn wait_for_asking(&self, count: usize) {
        drop(self.changed.wait_while(self.state.lock().unwrap(), |state| state.0 < count).unwrap());
    }

    fn let_go(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }
}

impl Store for Blocking {
    fn service_names(&self) -> Result<Vec<String>, ReadError> {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| !state.1).unwrap());
        Ok(vec!["answered".to_owned()])
    }
    fn write(&self, _: SpanBatch, done: WriteDone) {
        done(Ok(()));
    }
    fn health(&self) -> StoreHealth {
        StoreHealth::default()
    }
    fn close(&self) {}
    reads_nothing!();
}

#[test]
fn a_query_that_takes_too_long_is_given_up() {
    let store = Arc::new(Blocking::default());
    let server = start_with(&[("query-timeout", "100ms")], Arc::clone(&store) as Arc<dyn Store>);
    let answer = server.get("/api/v2/services");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{}", answer.text());
    assert_eq!(server.metric("tracewell_queries_timed_out_total"), 1.0);
    assert_eq!(server.get("/health").status, 200, "what needs no query is answered");
    store.let_go();
    server.stop();
}

#[test]
fn more_queries_than_may_run_wait_for_their_turn() {
    let store = Arc::new(Blocking::default());
    let server = start_with(&[("queries-max", "1")], Arc::clone(&store) as Arc<dyn Store>);
    let ask = || {
        let mut stream = server.connect();
        stream.write_all(b"GET /api/v2/services HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        stream
    };
    let first = ask();
    store.wait_for_asking(1);
    let (second, gone) = (ask(), ask());
    while server.metric("tracewell_queries_waiting") < 2.0 {
        std::thread::yield_now();
    }
    drop(gone);
    while server.metric("tracewell_queries_waiting") > 1.0 {
        std::thread::yield_now();
    }
    store.let_go();
    for stream in [first, second] {
        assert_eq!(common::read_answer(stream).text(), "[\"answered\"]");
    }
    server.stop();
    assert_eq!(store.state.lock().unwrap().0, 2, "who went away while waiting asked for nothing");
}
