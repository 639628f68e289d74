//! The committed corpus of the fuzz targets, run with the stable compiler; and pieces of it, cut and with bytes changed.

#![expect(clippy::expect_used, reason = "a test says what it needs")]

#[path = "../../../fuzz/checks.rs"]
mod checks;

use std::fs;
use std::path::Path;

/// So far into an input bytes are changed: the rest repeats what is there, and this must not take long.
const CHANGED_BYTES_MAX: usize = 200;

fn run(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut inputs = 0;
    for entry in fs::read_dir(folder).expect("the corpus") {
        let input = fs::read(entry.expect("an entry").path()).expect("an input");
        check(&input);
        for at in 0..input.len().min(CHANGED_BYTES_MAX) {
            check(&input[..at]);
            let mut changed = input.clone();
            changed[at] ^= [0x01, 0x80, 0xff][at % 3];
            check(&changed);
        }
        inputs += 1;
    }
    assert!(inputs > 2, "no corpus for {target}");
}

#[test]
fn zipkin_v2_json() {
    run("zipkin_v2_json", checks::zipkin_v2_json);
}

#[test]
fn otlp_protobuf() {
    run("otlp_protobuf", checks::otlp_protobuf);
}

#[test]
fn otlp_json() {
    run("otlp_json", checks::otlp_json);
}

#[test]
fn gunzip() {
    run("gunzip", checks::gunzip);
}

#[test]
fn image() {
    run("image", checks::image);
}

#[test]
fn jaeger_thrift() {
    run("jaeger_thrift", checks::jaeger::thrift);
}

#[test]
fn jaeger_agent_message() {
    run("jaeger_agent_message", checks::jaeger::agent_message);
}

#[test]
fn jaeger_proto() {
    run("jaeger_proto", checks::jaeger::proto);
}

#[test]
fn jaeger_sampling() {
    run("jaeger_sampling", checks::jaeger::sampling);
}

#[test]
fn zipkin_v2_proto3() {
    run("zipkin_v2_proto3", checks::zipkin::v2_proto3);
}

#[test]
fn zipkin_v1_json() {
    run("zipkin_v1_json", checks::zipkin::v1_json);
}

#[test]
fn zipkin_v1_thrift() {
    run("zipkin_v1_thrift", checks::zipkin::v1_thrift);
}

#[test]
fn zipkin_v1_agent_message() {
    run("zipkin_v1_agent_message", checks::zipkin::v1_agent_message);
}

#[test]
fn jaeger_query() {
    run("jaeger_query", checks::jaeger::query);
}

#[test]
fn otlp_response() {
    run("otlp_response", checks::answers::otlp_response);
}

#[test]
fn propagation() {
    run("propagation", checks::propagation::headers);
}

#[test]
fn propagation_binary() {
    run("propagation_binary", checks::propagation::jaeger_binary);
}

#[test]
fn query() {
    run("query", checks::query::query);
}
