//! What must hold for any text of the page's query language; see `checks.rs`.

use tracewell_model::{FilterProblem, SpanBatch, SpanFilter};

/// A query is read, and what it is written as reads back as the same; or the error points into the text.
pub(crate) fn query(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match SpanFilter::parse(&text) {
        Ok(filter) => {
            match SpanFilter::parse(&filter.to_string()) {
                Ok(again) => assert_eq!(again, filter),
                // Quotes make it longer.
                Err(error) => assert_eq!(error.problem, FilterProblem::TooLong),
            }
            let batch = a_span();
            assert_eq!(filter.clone().negated().matches(batch.span(0)), !filter.matches(batch.span(0)));
        }
        Err(error) => {
            assert!(text.get(error.bytes.clone()).is_some(), "{error}");
            assert!(!error.problem.code().is_empty());
        }
    }
}

fn a_span() -> SpanBatch {
    let json = br#"[{"traceId":"a","id":"b","name":"get","duration":5,"localEndpoint":{"serviceName":"s"},"tags":{"a":"1","b":"c"}}]"#;
    let mut batch = SpanBatch::new();
    let decoded = tracewell_wire::zipkin_v2::decode_json(json, &tracewell_wire::Limits::default(), &mut batch);
    assert_eq!(decoded, Ok(1));
    batch
}
