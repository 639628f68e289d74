//! The documents that are made from definitions are what is in the repository. `UPDATE_DOCS=1 cargo test -p tracewell-server`
//! writes them anew.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

use std::path::Path;

fn check(file: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "docs/{file} is not what is defined: run the tests with UPDATE_DOCS=1 and look at the difference"
    );
}

#[test]
fn options() {
    check("options.md", &tracewell_server::options_markdown());
}

#[test]
fn metrics() {
    check("metrics.md", &tracewell_server::metrics_markdown());
}

#[test]
fn the_sample_file_is_valid_when_its_lines_are_taken_in() {
    let sample = tracewell_server::options_toml();
    let set = |line: &str| line.strip_prefix("# ").filter(|rest| rest.split_once(" = \"").is_some()).map(str::to_owned);
    let lines: Vec<String> = sample.lines().filter_map(set).collect();
    assert_eq!(lines.len(), tracewell_server::Options::DEFINITIONS.len());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tracewell.toml");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let mut given = tracewell_server::Given::default();
    given.read_file(&file).unwrap();
    tracewell_server::Options::resolve(&given).unwrap();
}
