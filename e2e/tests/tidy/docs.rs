//! Documents are true: what they link to and name is there, the changelog has its form, generated pages have their test.

use crate::repository::Repository;

const ARCHITECTURE_LINES_MAX: usize = 200;
const PAGES: &[&str] = &["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"];
/// Written from the code, and held to it by a test of the server.
const GENERATED: &[&str] = &["docs/options.md", "docs/metrics.md"];

pub(crate) fn check(repository: &Repository) -> Vec<String> {
    let mut findings = Vec::new();
    for page in PAGES.iter().chain(GENERATED) {
        if repository.text(page).is_none() {
            findings.push(format!("{page}:1: is missing"));
        }
    }
    for (path, text) in repository.files().filter(|(path, _)| path.ends_with(".md") && !path.contains("/conformance/"))
    {
        links(repository, path, text, &mut findings);
        commands(repository, path, text, &mut findings);
        if !path.contains('/') {
            names(repository, path, text, &mut findings);
        }
    }
    for page in GENERATED {
        let name = page.rsplit('/').next().unwrap_or(page);
        let tested = |(path, text): (&str, &str)| {
            path.starts_with("crates/server/") && path.ends_with(".rs") && text.contains(name)
        };
        if !repository.files().any(tested) {
            findings.push(format!("{page}:1: no file of the server names it: which test holds it to the code?"));
        }
    }
    architecture(repository, &mut findings);
    changelog("CHANGELOG.md", repository.text("CHANGELOG.md").unwrap_or_default(), &mut findings);
    findings
}

/// `[text](path)` leads to a file of the repository.
fn links(repository: &Repository, path: &str, text: &str, findings: &mut Vec<String>) {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    for (number, line) in (1..).zip(text.lines()) {
        for link in line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let target = link.split(['#', ' ']).next().unwrap_or_default();
            let elsewhere = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            if !elsewhere && !repository.contains(&resolve(folder, target)) {
                findings.push(format!("{path}:{number}: leads to {target}, which is not there"));
            }
        }
    }
}

/// `` `folder/file` `` of the pages at the root is there; so a file that moves takes its name in the documents along.
fn names(repository: &Repository, path: &str, text: &str, findings: &mut Vec<String>) {
    for (number, line) in (1..).zip(text.lines()) {
        for name in line.split('`').skip(1).step_by(2).filter(|name| is_path(name)) {
            if !repository.contains(name) {
                findings.push(format!("{path}:{number}: names {name}, which is not there"));
            }
        }
    }
}

fn is_path(name: &str) -> bool {
    let folders = ["crates/", "ui/", "e2e/", "bench/", "docs/", "fuzz/", "examples/", ".ci/", ".config/"];
    let built = ["ui/dist", "ui/node_modules", "e2e/output", "e2e/.venv", "e2e/.cache", "bench/out", "bench/data"];
    folders.iter().any(|folder| name.starts_with(folder))
        && !built.iter().any(|folder| name.starts_with(folder))
        && !name.contains(['*', ' ', '{', '<', '…'])
}

/// `make verb` is a verb of the Makefile.
fn commands(repository: &Repository, path: &str, text: &str, findings: &mut Vec<String>) {
    let makefile = repository.text("Makefile").unwrap_or_default();
    for (number, line) in (1..).zip(text.lines()) {
        let quoted = line.split('`').skip(1).step_by(2);
        for command in quoted.chain([line]).filter_map(|command| command.trim().strip_prefix("make ")) {
            let verb = command.split([' ', ';']).next().unwrap_or_default();
            let known = makefile.lines().any(|line| line.strip_prefix(verb).is_some_and(|rest| rest.starts_with(':')));
            if verb.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !known {
                findings.push(format!("{path}:{number}: the Makefile has no verb {verb}"));
            }
        }
    }
}

fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

fn architecture(repository: &Repository, findings: &mut Vec<String>) {
    let text = repository.text("ARCHITECTURE.md").unwrap_or_default();
    let lines = text.lines().count();
    if lines > ARCHITECTURE_LINES_MAX {
        findings.push(format!("ARCHITECTURE.md:{lines}: has more than {ARCHITECTURE_LINES_MAX} lines"));
    }
    for (path, _) in repository.files() {
        let Some(krate) = path.strip_prefix("crates/").and_then(|path| path.strip_suffix("/Cargo.toml")) else {
            continue;
        };
        if !krate.contains('/') && !text.contains(&format!("crates/{krate}")) {
            findings.push(format!("ARCHITECTURE.md:1: does not name crates/{krate}"));
        }
    }
}

/// `## Unreleased` first, then `## 1.2.3 - 2026-01-31`; under them lines that say what a user sees.
fn changelog(path: &str, text: &str, findings: &mut Vec<String>) {
    let headings: Vec<(usize, &str)> =
        (1..).zip(text.lines()).filter_map(|(number, line)| Some((number, line.strip_prefix("## ")?))).collect();
    if headings.first().is_none_or(|(_, heading)| *heading != "Unreleased") {
        findings.push(format!("{path}:1: the first heading is not '## Unreleased'"));
    }
    for (number, heading) in headings.iter().skip(1) {
        let parts: Vec<&str> = heading.split(" - ").collect();
        let numbers = |text: &str, split: char| text.split(split).all(|part| part.parse::<u32>().is_ok());
        if parts.len() != 2 || !numbers(parts[0], '.') || parts[1].len() != 10 || !numbers(parts[1], '-') {
            findings.push(format!("{path}:{number}: not of the form '## 1.2.3 - 2026-01-31'"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::repository::Repository;

    fn findings(page: &str, text: &str) -> String {
        let empty = PAGES_OF_SAMPLE.iter().filter(|(path, _)| *path != page).copied();
        let files: Vec<(&str, &str)> = empty.chain([(page, text)]).collect();
        check(&Repository::of(&files)).join("\n")
    }

    const PAGES_OF_SAMPLE: &[(&str, &str)] = &[
        ("README.md", ""),
        ("ARCHITECTURE.md", "`crates/wire`\n"),
        ("CONTRIBUTING.md", ""),
        ("CHANGELOG.md", "# Changelog\n\n## Unreleased\n"),
        ("Makefile", "run: page\n"),
        ("docs/options.md", ""),
        ("docs/metrics.md", ""),
        ("crates/wire/Cargo.toml", ""),
        ("crates/server/tests/docs.rs", "options.md metrics.md"),
    ];

    #[test]
    fn what_a_page_names_is_there() {
        assert_eq!(findings("README.md", "[a](docs/options.md#b), `crates/wire`, `make run`, <http://a/b>\n"), "");
        assert!(findings("README.md", "[a](docs/nothing.md)\n").contains("README.md:1: leads to docs/nothing.md"));
        assert!(findings("docs/options.md", "[a](../nothing.md)\n").contains("leads to ../nothing.md"));
        assert_eq!(findings("docs/options.md", "[a](metrics.md), [b](../README.md)\n"), "");
        assert!(findings("README.md", "see `crates/wire/src/gone.rs`\n").contains("names crates/wire/src/gone.rs"));
        assert!(findings("README.md", "`make coffee`\n").contains("no verb coffee"));
    }

    #[test]
    fn pages_that_belong_are_there_and_tested() {
        let none = check(&Repository::of(&[])).join("\n");
        assert!(none.contains("README.md:1: is missing") && none.contains("docs/metrics.md:1: is missing"), "{none}");
        assert!(findings("crates/server/tests/docs.rs", "options.md").contains("which test holds it"));
        assert!(findings("ARCHITECTURE.md", "nothing\n").contains("does not name crates/wire"));
        assert!(findings("ARCHITECTURE.md", &"`crates/wire`\n".repeat(201)).contains("more than 200 lines"));
    }

    #[test]
    fn the_changelog_has_its_form() {
        assert!(findings("CHANGELOG.md", "# Changelog\n\n## 1.0.0 - 2026-01-31\n").contains("not '## Unreleased'"));
        assert!(findings("CHANGELOG.md", "## Unreleased\n## 1.0\n").contains("CHANGELOG.md:2: not of the form"));
        assert_eq!(findings("CHANGELOG.md", "## Unreleased\n## 1.0.0 - 2026-01-31\n"), "");
    }
}
