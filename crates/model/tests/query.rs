//! Which traces answer a search: Zipkin's rule, condition by condition.

mod common;

use tracewell_model::{TraceQuery, trace_timestamp_us};

const TRACE: &str = "SERVER 1 web @2000000+900 http.path=/x
    CLIENT 1>2 web:db @2000100+50 sql=select !2000110:retry
    SERVER 2>3 db @1999000+700 sql=insert error=";

fn query() -> TraceQuery {
    TraceQuery { end_ts_ms: 2000, lookback_ms: 0, limit: 10, ..TraceQuery::default() }
}

fn check(query: &TraceQuery, expected: bool) {
    assert_eq!(query.matches(common::batch(TRACE).spans()), expected, "{query:?}");
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn time_is_the_roots_and_bounds_are_inclusive() {
    assert_eq!(trace_timestamp_us(common::batch(TRACE).spans()), 2_000_000);
    assert_eq!(trace_timestamp_us(common::batch("9>1 @7 \n 9>2 @5 \n 9>3").spans()), 5);
    check(&query(), true);
    check(&TraceQuery { end_ts_ms: 1999, lookback_ms: 1999, ..query() }, false);
    check(&TraceQuery { end_ts_ms: 2001, lookback_ms: 1, ..query() }, true);
    check(&TraceQuery { end_ts_ms: 2002, lookback_ms: 1, ..query() }, false);
    let timeless = TraceQuery { lookback_ms: 2000, ..query() };
    assert!(!timeless.matches(common::batch("1 a").spans()));
}

#[test]
fn conditions_are_met_by_any_spans_of_the_named_service() {
    check(
        &TraceQuery { annotations: pairs(&[("http.path", "/x"), ("sql", "insert"), ("retry", "")]), ..query() },
        true,
    );
    let web = TraceQuery { service_name: text("web"), ..query() };
    check(&web, true);
    check(
        &TraceQuery { annotations: pairs(&[("http.path", ""), ("sql", "select"), ("retry", "")]), ..web.clone() },
        true,
    );
    check(&TraceQuery { annotations: pairs(&[("sql", "insert")]), ..web.clone() }, false);
    check(&TraceQuery { annotations: pairs(&[("error", "")]), ..web.clone() }, false);
    check(&TraceQuery { remote_service_name: text("db"), ..web }, true);
    check(&TraceQuery { service_name: text("db"), remote_service_name: text("db"), ..query() }, false);
    check(&TraceQuery { service_name: text("nobody"), ..query() }, false);
}

#[test]
fn durations_bound_one_span() {
    let between = |min, max| TraceQuery { min_duration_us: Some(min), max_duration_us: max, ..query() };
    check(&between(900, None), true);
    check(&between(901, None), false);
    check(&between(51, Some(699)), false);
    check(&between(51, Some(700)), true);
    check(&TraceQuery { service_name: text("db"), ..between(701, None) }, false);
}
