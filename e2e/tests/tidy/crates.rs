//! Dependencies between the crates point one way, and clippy's rules, set once in the workspace, hold in all of them.

use crate::repository::Repository;

/// Which of our own crates one may depend on: `model ← wire ← client`, `model ← store ← backends ← server`.
struct Arrows {
    package: &'static str,
    may_see: &'static [&'static str],
    /// In its tests only.
    tests_may_see: &'static [&'static str],
    /// Whether it may run on tokio.
    asynchronous: bool,
}

const ARROWS: &[Arrows] = &[
    Arrows { package: "tracewell-model", may_see: &[], tests_may_see: &[], asynchronous: false },
    Arrows { package: "tracewell-wire", may_see: &["tracewell-model"], tests_may_see: &[], asynchronous: false },
    Arrows {
        package: "tracewell-store",
        may_see: &["tracewell-model"],
        tests_may_see: &["tracewell-wire"],
        asynchronous: false,
    },
    Arrows {
        package: "tracewell-backends",
        may_see: &["tracewell-model", "tracewell-wire", "tracewell-store"],
        tests_may_see: &[],
        asynchronous: true,
    },
    Arrows {
        package: "tracewell-server",
        may_see: &["tracewell-model", "tracewell-wire", "tracewell-store", "tracewell-backends"],
        tests_may_see: &[],
        asynchronous: true,
    },
    Arrows { package: "tracewell-macros", may_see: &[], tests_may_see: &[], asynchronous: false },
    // Its reporters only.
    Arrows {
        package: "tracewell",
        may_see: &["tracewell-model", "tracewell-wire", "tracewell-macros"],
        tests_may_see: &[],
        asynchronous: true,
    },
    // From outside: no crate of the server's. Its `vectors` hold recordings against the formats.
    Arrows {
        package: "tracewell-e2e",
        may_see: &["tracewell", "tracewell-model", "tracewell-wire"],
        tests_may_see: &[],
        asynchronous: false,
    },
    Arrows {
        package: "tracewell-examples",
        may_see: &["tracewell"],
        tests_may_see: &["tracewell-e2e"],
        asynchronous: true,
    },
    Arrows { package: "tracewell-bench-axum", may_see: &["tracewell"], tests_may_see: &[], asynchronous: true },
    // It writes the load in every format, and speaks gRPC.
    Arrows {
        package: "tracewell-bench",
        may_see: &["tracewell-e2e", "tracewell-model", "tracewell-wire"],
        tests_may_see: &[],
        asynchronous: true,
    },
];

const ASYNCHRONOUS: &[&str] =
    &["tokio", "async-std", "smol", "axum", "hyper", "hyper-util", "tower", "tower-http", "tonic", "reqwest"];

/// What must stand in the workspace's lints: the rules that this test leaves to clippy.
const LINTS: &[&str] = &["unwrap_used", "expect_used", "todo", "unimplemented", "dbg_macro", "print_stdout"];

pub(crate) fn check(repository: &Repository) -> Vec<String> {
    let mut findings = Vec::new();
    // What is a workspace of its own (fuzz targets, rivals in a benchmark) has versions and lints of its own.
    let is_member = |text: &str| !text.lines().any(|line| line == "[workspace]");
    let manifests = repository.files().filter(|(path, text)| path.ends_with("/Cargo.toml") && is_member(text));
    for (path, text) in manifests {
        match text.parse::<toml::Table>() {
            Ok(manifest) => check_manifest(path, &manifest, &mut findings),
            Err(error) => findings.push(format!("{path}:1: {error}")),
        }
    }
    let workspace: toml::Table = repository.text("Cargo.toml").unwrap_or_default().parse().unwrap();
    let lints = workspace.get("workspace").and_then(|table| table.get("lints")?.get("clippy"));
    for lint in LINTS {
        if lints.is_none_or(|lints| lints.get(lint).is_none()) {
            findings.push(format!("Cargo.toml:1: clippy's {lint} is not in the workspace's lints"));
        }
    }
    findings
}

fn check_manifest(path: &str, manifest: &toml::Table, findings: &mut Vec<String>) {
    let mut wrong = |what: String| findings.push(format!("{path}:1: {what}"));
    let package = manifest.get("package").and_then(|package| package.get("name")?.as_str()).unwrap_or_default();
    let Some(arrows) = ARROWS.iter().find(|arrows| arrows.package == package) else {
        return wrong(format!("{package} has no arrows yet: say in e2e/tests/tidy/crates.rs what it may see"));
    };
    if manifest.get("lints").and_then(|lints| lints.get("workspace")?.as_bool()) != Some(true) {
        wrong("the workspace's lints do not hold here: [lints] workspace = true".to_owned());
    }
    for table in ["dependencies", "build-dependencies", "dev-dependencies"] {
        let dependencies = manifest.get(table).and_then(toml::Value::as_table).into_iter().flatten();
        for (name, requirement) in dependencies {
            let in_tests = table == "dev-dependencies";
            let ours = ARROWS.iter().any(|arrows| arrows.package == name);
            let seen = arrows.may_see.contains(&name.as_str())
                || in_tests && arrows.tests_may_see.contains(&name.as_str())
                || in_tests && name == package;
            if ours && !seen {
                wrong(format!("{package} must not see {name}: dependencies point one way (ARCHITECTURE.md)"));
            }
            if ASYNCHRONOUS.contains(&name.as_str()) && !arrows.asynchronous && !in_tests {
                wrong(format!("{package} must not depend on {name}: it is plain synchronous code"));
            }
            if requirement.get("workspace").and_then(toml::Value::as_bool) != Some(true) && name != package {
                wrong(format!("the version of {name} belongs into the workspace's Cargo.toml"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::repository::Repository;

    const WORKSPACE: &str = "[workspace.lints.clippy]\nunwrap_used = 1\nexpect_used = 1\ntodo = 1\nunimplemented = 1\n\
                             dbg_macro = 1\nprint_stdout = 1\n";

    fn findings(package: &str, rest: &str) -> Vec<String> {
        let manifest = format!("[package]\nname = \"{package}\"\n[lints]\nworkspace = true\n{rest}");
        check(&Repository::of(&[("Cargo.toml", WORKSPACE), ("crates/a/Cargo.toml", &manifest)]))
    }

    #[test]
    fn an_arrow_against_the_stream_is_found() {
        let found = findings("tracewell-wire", "[dependencies]\ntracewell-store = { workspace = true }\n");
        assert!(found[0].contains("tracewell-wire must not see tracewell-store"), "{found:?}");
        let tests = "[dev-dependencies]\ntracewell-wire = { workspace = true }\n";
        assert_eq!(findings("tracewell-store", tests), Vec::<String>::new());
        assert_eq!(findings("tracewell-store", &tests.replace("dev-", "")).len(), 1);
    }

    #[test]
    fn tokio_stays_at_the_rim() {
        let tokio = "[dependencies]\ntokio = { workspace = true }\n";
        assert_eq!(findings("tracewell-server", tokio), Vec::<String>::new());
        assert!(findings("tracewell-store", tokio)[0].contains("plain synchronous code"));
    }

    #[test]
    fn versions_and_lints_are_the_workspace_s() {
        assert!(
            findings("tracewell-wire", "[dependencies]\nmemchr = \"2\"\n")[0].contains("belongs into the workspace")
        );
        assert!(findings("tracewell-new", "")[0].contains("has no arrows yet"));
        let bare =
            Repository::of(&[("Cargo.toml", ""), ("crates/a/Cargo.toml", "[package]\nname = \"tracewell-wire\"\n")]);
        let found = check(&bare).join("\n");
        assert!(found.contains("lints do not hold") && found.contains("clippy's todo"), "{found}");
    }
}
