//! What must hold for any headers that carry a trace between services; see `checks.rs`.

use std::collections::BTreeSet;
use tracewell_wire::propagation::{
    Format, JaegerHeaders, Propagation, TraceContext, read_jaeger_binary, write_jaeger_binary,
};

/// Headers, a line each, are read in every format, and what is read is written so that it is read again.
pub(crate) fn headers(text: &[u8]) {
    let lines = text.split(|byte| *byte == b'\n');
    let headers: Vec<(String, Vec<u8>)> = lines
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((String::from_utf8_lossy(&line[..colon]).into_owned(), line[colon + 1..].trim_ascii().to_vec()))
        })
        .collect();
    for format in Format::ALL {
        check(&Propagation::new(&[format]), &headers);
    }
    check(&Propagation::new(&Format::ALL), &headers);
    check(&Propagation::default().with_jaeger_headers(JaegerHeaders::default()), &headers);
}

fn check(propagation: &Propagation, headers: &Vec<(String, Vec<u8>)>) {
    let context = propagation.extract(headers).context;
    let mut written: Vec<(String, String)> = vec![];
    propagation.inject(&context, &mut written);
    let again = propagation.extract(&written).context;
    assert_eq!(again.has_ids(), context.has_ids());
    if context.has_ids() {
        assert_eq!((again.trace_id(), again.span_id()), (context.trace_id(), context.span_id()));
        // That nothing was decided is no word in every format, there it is "not sampled".
        assert_eq!(again.sampled().unwrap_or_default(), context.sampled().unwrap_or_default());
    }
    // Jaeger's headers carry an item without a key, W3C's has no form for one. A key in the name of a header loses its case,
    // so it may come back beside the one that W3C's kept.
    let named = |context: &TraceContext| -> BTreeSet<String> {
        let keys = context.baggage().iter().map(|item| item.key.to_ascii_lowercase());
        keys.filter(|key| !key.is_empty()).collect()
    };
    assert_eq!(named(&again), named(&context));
}

/// Jaeger's binary form is read, and written so that it is read again.
pub(crate) fn jaeger_binary(bytes: &[u8]) {
    let Ok(context) = read_jaeger_binary(bytes) else { return };
    let mut written = vec![];
    write_jaeger_binary(&context, &mut written);
    assert_eq!(read_jaeger_binary(&written), Ok(context));
}
