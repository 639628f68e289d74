//! Reads the repository and holds it to its own rules, each with the reason or the replacement named. In go the files that git
//! knows, out come lines `path:line: what is wrong`. The rules are tried on small bad samples, too.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test: what fails here is what it is for")]

mod crates;
mod docs;
mod examples;
mod repository;
mod rust_code;
mod source;

use repository::Repository;

#[test]
fn crates_point_one_way() {
    report(&crates::check(&Repository::read()));
}

#[test]
fn source_files_keep_the_house_style() {
    let repository = Repository::read();
    let findings: Vec<String> = repository.files().flat_map(|(path, text)| source::check(path, text)).collect();
    report(&findings);
}

#[test]
fn documents_are_true() {
    report(&docs::check(&Repository::read()));
}

#[test]
fn public_items_of_the_client_have_examples() {
    report(&examples::check(&Repository::read()));
}

fn report(findings: &[String]) {
    assert!(findings.is_empty(), "{} findings\n{}\n", findings.len(), findings.join("\n"));
}
