//! Bodies in both encodings and what becomes of them.

use super::*;
use crate::Limits;
use tracewell_model::{SpanBatch, Value};

fn json(text: &str) -> SpanBatch {
    let mut batch = SpanBatch::new();
    decode_json(text.as_bytes(), &Limits::default(), &mut batch).unwrap_or_else(|error| panic!("{error}: {text}"));
    batch
}
