//! Rules on single files: how they begin, how long they are, what they may not hold. What clippy can check is not repeated here;
//! `crates.rs` sees to it that clippy's rules hold in every crate.

use crate::rust_code::{code_only, tests_begin};

const FILE_LINES_MAX: usize = 800;
/// rustfmt holds code to 120; this is for the comments, which it leaves alone. Texts may be longer.
const RUST_COLUMNS_MAX: usize = 130;
const PYTHON_COLUMNS_MAX: usize = 160;

/// What may not be called, where it may be all the same, and what to call instead.
struct Ban {
    pattern: &'static str,
    within: &'static [&'static str],
    except: &'static [&'static str],
    instead: &'static str,
}

const LIBRARIES: &[&str] = &["crates/model/", "crates/wire/", "crates/store/", "crates/client/"];

const BANS: &[Ban] = &[
    Ban {
        pattern: "SystemTime::now",
        within: &["crates/"],
        except: &["crates/store/src/clock.rs", "crates/server/src/clock.rs", "crates/client/src/clock.rs"],
        instead: "the crate's clock, which tests can set",
    },
    Ban {
        pattern: "std::fs",
        within: &["crates/"],
        except: &[
            "crates/store/benches/",
            "crates/store/src/disk",
            "crates/server/src/options/",
            "crates/server/src/process.rs",
            "crates/client/src/config/otel/certificates.rs",
            "crates/server/src/sampling/strategies_file.rs",
            "/build.rs",
            "/tests/",
        ],
        instead: "the store's Disk, which tests can crash",
    },
    Ban {
        pattern: "std::io",
        within: &["crates/model/", "crates/wire/"],
        except: &["/tests/", "/examples/"],
        instead: "slices and vectors: these crates are pure functions over bytes",
    },
    Ban {
        pattern: "std::net",
        within: &["crates/store/"],
        except: &[],
        instead: "nothing: the store knows no network",
    },
    Ban { pattern: "eprintln!", within: LIBRARIES, except: &["/tests/", "/contract"], instead: "tracing, or an error" },
    Ban {
        pattern: "mpsc::channel()",
        within: &["crates/"],
        except: &["/contract"],
        instead: "sync_channel: full queues push back",
    },
    Ban {
        pattern: "unbounded_channel",
        within: &["crates/"],
        except: &[],
        instead: "channel(n): full queues push back",
    },
    Ban { pattern: "read_to_end", within: &["crates/"], except: &["/tests/"], instead: "a read with a named limit" },
];

/// What is wrong with a file of this path. Recorded data and what tools write is as it is.
pub(crate) fn check(path: &str, text: &str) -> Vec<String> {
    if is_data(path) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    lines(path, text, &mut findings);
    subject(path, text, &mut findings);
    if path.ends_with(".rs") {
        rust(path, text, &mut findings);
    }
    findings
}

fn is_data(path: &str) -> bool {
    let folders = ["/fixtures/", "/goldens/", "/snapshots/", "/corpus/", "/conformance/", "/vectors/"];
    let names = ["Cargo.lock", "go.sum", "package-lock.json", "LICENSE"];
    folders.iter().any(|folder| path.contains(folder)) && !path.ends_with(".rs")
        || names.iter().any(|name| path.ends_with(name))
        || path.ends_with(".svg")
        || path.contains("proptest-regressions")
}

fn is_code(path: &str) -> bool {
    [".rs", ".ts", ".svelte", ".py", ".mjs", ".js", ".sh", ".css"].iter().any(|end| path.ends_with(end))
}

fn lines(path: &str, text: &str, findings: &mut Vec<String>) {
    let columns_max = match path.rsplit('.').next() {
        Some("rs") => RUST_COLUMNS_MAX,
        Some("py") => PYTHON_COLUMNS_MAX,
        // The page has its own lints.
        _ => usize::MAX,
    };
    let tabs = ["Makefile", ".go", "go.mod"].iter().any(|end| path.ends_with(end));
    // Texts may be long where they cannot be broken: those blanked out of Rust, and lines with a quote anywhere.
    let code = if path.ends_with(".rs") { code_only(text) } else { text.to_owned() };
    for ((number, line), code) in (1..).zip(text.lines()).zip(code.lines()) {
        let has_text = line.contains('"') || code.trim().is_empty() && !line.trim_start().starts_with("//");
        let mut wrong = |what: &str| findings.push(format!("{path}:{number}: {what}"));
        if line.ends_with([' ', '\t']) {
            wrong("ends with a space");
        }
        if line.contains('\t') && !tabs {
            wrong("holds a tab: four spaces, or \\t in a text");
        }
        if line.ends_with('\r') {
            wrong("ends with a carriage return");
        }
        if is_code(path) {
            if line.chars().count() > columns_max && !has_text {
                wrong(&format!("is longer than {columns_max} columns"));
            }
            for mark in ["FIX", "TO", "XX", "HA"].into_iter().zip(["ME", "DO", "X", "CK"]) {
                let mark = format!("{}{}", mark.0, mark.1);
                if line.split(|c: char| !c.is_alphanumeric()).any(|word| word == mark) {
                    wrong(&format!("{mark}: do it, or write an issue"));
                }
            }
        }
    }
    let count = text.lines().count();
    if is_code(path) && count > FILE_LINES_MAX {
        findings.push(format!(
            "{path}:{count}: has more than {FILE_LINES_MAX} lines: which parts would a reader look for?"
        ));
    }
    if !text.is_empty() && !text.ends_with('\n') {
        findings.push(format!("{path}:{count}: does not end with a line break"));
    }
}

/// Every source file says on its first line what it is about.
fn subject(path: &str, text: &str, findings: &mut Vec<String>) {
    let mut head = text.lines().map(str::trim).filter(|line| !line.starts_with("#!") || line.starts_with("#!["));
    let mut begins = |marks: &[&str]| head.next().is_some_and(|line| marks.iter().any(|mark| line.starts_with(mark)));
    let (said, how) = match path.rsplit_once('.').map(|(_, end)| end) {
        Some("rs") => (begins(&["//! "]), "'//! what goes in, what comes out, why it exists'"),
        Some("ts" | "mjs" | "js") => (begins(&["// ", "/* ", "/** "]), "'// what it is about'"),
        Some("svelte") => {
            let commented = begins(&["<!--", "<script"]);
            let in_script = text.starts_with("<!--") || begins(&["// ", "/* ", "/** "]);
            (commented && in_script, "'<!-- what it is about -->'")
        }
        Some("py") => (text.trim().is_empty() || begins(&["\"\"\""]), "a docstring"),
        Some("sh") => (begins(&["# "]), "'# what it does'"),
        Some("css") => (begins(&["/* "]), "'/* what it is about */'"),
        _ => return,
    };
    if !said {
        findings.push(format!("{path}:1: begins without its subject: {how}"));
    }
}

fn rust(path: &str, text: &str, findings: &mut Vec<String>) {
    let code = code_only(text);
    let is_test = path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("_tests.rs");
    let product_lines = if is_test { 0 } else { tests_begin(&code).unwrap_or(usize::MAX) };
    for (at, line) in code.lines().enumerate() {
        let number = at + 1;
        if line.contains("#[ignore]") {
            findings.push(format!("{path}:{number}: #[ignore] without a reason: #[ignore = \"why\"]"));
        }
        if at >= product_lines {
            continue;
        }
        for ban in BANS {
            let here = ban.within.iter().any(|place| path.starts_with(place))
                && !ban.except.iter().any(|place| path.contains(place));
            if here && calls(line, ban.pattern) {
                findings.push(format!("{path}:{number}: {} is not used here: {}", ban.pattern, ban.instead));
            }
        }
    }
    excuses(path, &code, findings);
}

/// Whether the pattern stands in the line, and is not the end or the beginning of a longer name.
fn calls(line: &str, pattern: &str) -> bool {
    line.match_indices(pattern).any(|(at, _)| {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        !line[..at].ends_with(word) && !line[at + pattern.len()..].starts_with(word)
    })
}

/// An exception to a lint has its reason beside it.
fn excuses(path: &str, code: &str, findings: &mut Vec<String>) {
    for opening in ["[allow(", "[expect("] {
        for (at, _) in code.match_indices(opening) {
            if !code[..at].ends_with(['#', '!']) {
                continue;
            }
            let attribute = &code[at..];
            let attribute = &attribute[..attribute.find(")]").unwrap_or(attribute.len())];
            if !attribute.contains("reason") {
                let number = code[..at].lines().count().max(1);
                findings.push(format!("{path}:{number}: {opening}…) without a reason: reason = \"…\""));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    fn finds(path: &str, text: &str, part: &str) {
        let findings = check(path, text);
        assert!(findings.iter().any(|finding| finding.contains(part)), "{part:?} not among {findings:?}");
    }

    fn finds_nothing(path: &str, text: &str) {
        assert_eq!(check(path, text), Vec::<String>::new());
    }

    #[test]
    fn a_file_says_its_subject_first() {
        finds("crates/model/src/a.rs", "use x;\n", "a.rs:1: begins without its subject");
        finds("ui/src/a.ts", "import x\n", "begins without its subject");
        finds("ui/src/A.svelte", "<script>\n  import x\n</script>\n", "begins without its subject");
        finds("e2e/a.py", "import x\n", "begins without its subject");
        finds("e2e/a.sh", "#!/bin/sh\nx\n", "begins without its subject");
        finds_nothing("ui/src/A.svelte", "<script>\n  // A list.\n</script>\n");
        finds_nothing("ui/src/A.svelte", "<!-- A list. -->\n<script>\n  x\n</script>\n");
        finds_nothing("e2e/a.sh", "#!/bin/sh\n# Does it.\nx\n");
        finds_nothing("e2e/a.py", "#!/usr/bin/env python3\n\"\"\"Does it.\"\"\"\n");
    }

    #[test]
    fn lines_and_files_are_short() {
        finds("a.rs", &format!("//! A.\n{}\n", "x".repeat(131)), "a.rs:2: is longer than 130 columns");
        finds("a.rs", &format!("//! A.\n{}", "x\n".repeat(800)), "a.rs:801: has more than 800 lines");
        finds("a.rs", "//! A. \n", "a.rs:1: ends with a space");
        finds("a.rs", "//! A.\n\tx\n", "a.rs:2: holds a tab");
        finds("a.rs", "//! A.", "does not end with a line break");
        finds_nothing("Makefile", "a:\n\tb\n");
        finds_nothing("e2e/fixtures/a.json", "{\t} ");
    }

    #[test]
    fn what_is_unfinished_is_not_left_in_the_source() {
        for mark in ["FIX|ME", "TO|DO"] {
            let mark = mark.replace('|', "");
            finds("a.ts", &format!("// A.\n// {mark}: later\n"), &mark);
        }
        finds("a.rs", "//! A.\n#[ignore]\nfn a() {}\n", "without a reason");
        finds_nothing("a.rs", "//! A.\n#[ignore = \"needs a disk of 1 TB\"]\nfn a() {}\n");
    }

    #[test]
    fn banned_calls_name_what_to_call_instead() {
        let source = "//! A.\nfn a() { std::time::SystemTime::now(); }\n";
        finds("crates/store/src/a.rs", source, "a.rs:2: SystemTime::now is not used here: the crate's clock");
        finds_nothing("crates/store/src/clock.rs", source);
        finds_nothing("bench/src/a.rs", source);
        finds("crates/store/src/a.rs", "//! A.\nuse std::fs::File;\n", "the store's Disk");
        finds_nothing("crates/store/src/disk/real.rs", "//! A.\nuse std::fs::File;\n");
        finds("crates/wire/src/a.rs", "//! A.\nuse std::io::Read;\n", "pure functions");
        finds("crates/server/src/a.rs", "//! A.\nlet (a, b) = mpsc::unbounded_channel();\n", "push back");
    }

    #[test]
    fn comments_texts_and_tests_may_name_what_is_banned() {
        finds_nothing("crates/store/src/a.rs", "//! Not SystemTime::now.\nconst A: &str = \"std::fs\";\n");
        let tested = "//! A.\nfn a() {}\n\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        finds_nothing("crates/store/src/a.rs", tested);
    }

    #[test]
    fn an_exception_to_a_lint_has_its_reason() {
        finds("a.rs", "//! A.\n#[allow(dead_code)]\nfn a() {}\n", "a.rs:2: [allow(…) without a reason");
        finds("a.rs", "//! A.\n#![expect(\n    clippy::all\n)]\n", "without a reason");
        finds_nothing("a.rs", "//! A.\n#[expect(dead_code, reason = \"read by tests\")]\nfn a() {}\n");
        finds_nothing("a.rs", "//! A.\nfn a() { x[expect(1)]; }\n");
    }
}
