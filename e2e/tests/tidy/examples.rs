//! Every public item of the client has an example that runs: in its own documentation, or, for what belongs to a type or a
//! trait, in one of the examples on the same page, by name.
//!
//! Not asked of fields and variants, which the examples of their type use, of modules, which have their text, and of what
//! is hidden. That `pub` means public is rustc's lint `unreachable_pub`.

use crate::repository::Repository;
use crate::rust_code::{code_only, tests_begin};

/// What users of the client see of our code; the formats of headers are re-exported from `wire`.
const FOLDERS: &[&str] = &["crates/client/src/", "crates/wire/src/propagation"];
/// Hidden: what the macro's code calls.
const EXCEPT: &[&str] = &["crates/client/src/trace_macro.rs"];
const KINDS: &[&str] = &["fn", "struct", "enum", "union", "trait", "type", "const", "static"];

pub(crate) fn check(repository: &Repository) -> Vec<String> {
    let is_seen = |path: &str| {
        path.ends_with(".rs") && FOLDERS.iter().any(|folder| path.starts_with(folder)) && !EXCEPT.contains(&path)
    };
    repository.files().filter(|(path, _)| is_seen(path)).flat_map(|(path, text)| file(path, text)).collect()
}

fn file(path: &str, text: &str) -> Vec<String> {
    let code = code_only(text);
    let end = tests_begin(&code).unwrap_or(usize::MAX);
    let lines: Vec<&str> = text.lines().take(end).collect();
    let examples = examples(&lines);
    let mut findings = Vec::new();
    let mut in_trait = false;
    for (at, (line, code)) in lines.iter().zip(code.lines()).enumerate() {
        in_trait = code.starts_with("pub trait ") || in_trait && !code.starts_with('}');
        let is_member = code.starts_with("    ");
        let Some((kind, name)) = item(code.trim_start(), in_trait && is_member) else { continue };
        let shown = is_member && kind == "fn" && examples.iter().any(|example| calls(example, name));
        if !shown && !has_example(&lines, at) {
            findings.push(format!("{path}:{}: {name} has no example, and none here calls it", at + 1));
        }
        debug_assert!(line.contains(name), "the code is the text");
    }
    findings
}

/// The kind and the name of the public item that a line begins.
fn item(code: &str, in_trait: bool) -> Option<(&str, &str)> {
    let code = match code.strip_prefix("pub ") {
        Some(code) => code,
        None if in_trait && code.starts_with("fn ") => code,
        None => return None,
    };
    let mut words = code.split([' ', '(', '<', ':', ';', '=', '{']).filter(|word| !word.is_empty());
    let mut kind = words.find(|word| !["async", "unsafe"].contains(word))?;
    let mut name = words.next()?;
    if kind == "const" && name == "fn" {
        (kind, name) = ("fn", words.next()?);
    }
    KINDS.contains(&kind).then_some((kind, name))
}

/// Whether there is one in the documentation above.
fn has_example(lines: &[&str], at: usize) -> bool {
    let above = lines[..at].iter().rev().map(|line| line.trim_start());
    above
        .take_while(|line| line.starts_with("///") || line.starts_with(['#', ')', ']']) || line.ends_with([',', '(']))
        .any(|line| line.starts_with("/// ```"))
}

/// The code of all examples of a file.
fn examples<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let mut inside = false;
    let documentation = lines.iter().filter_map(|line| {
        let line = line.trim_start();
        line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))
    });
    documentation
        .filter(|line| {
            let is_fence = line.trim_start().starts_with("```");
            inside ^= is_fence;
            inside && !is_fence
        })
        .collect()
}

/// `.name(`, `::name(`, `fn name(`.
fn calls(example: &str, name: &str) -> bool {
    example.match_indices(name).any(|(at, _)| {
        let before = &example[..at];
        let after = &example[at + name.len()..];
        (before.ends_with(['.', ':']) || before.ends_with("fn ")) && after.starts_with(['(', '<', ':'])
    })
}

#[cfg(test)]
mod tests {
    use super::file;

    fn findings(text: &str) -> String {
        file("a.rs", text).join("\n")
    }

    #[test]
    fn what_has_no_example_is_found() {
        assert!(findings("/// A type.\npub struct A;\n").contains("a.rs:2: A has no example"));
        assert!(findings("/// Says.\npub fn a() {}\n").contains("a has no example"));
        assert!(findings("/// One.\n#[cfg(feature = \"x\")]\npub const A: u32 = 1;\n").contains("A has no example"));
        let of_trait = "/// ```\n/// use T;\n/// ```\npub trait T {\n    /// Does.\n    fn a(&self);\n}\nfn b() {}\n";
        assert!(findings(of_trait).contains("a.rs:6: a has no example"));
        assert_eq!(file("a.rs", of_trait).len(), 1);
    }

    #[test]
    fn an_example_of_one_s_own_or_on_the_page_is_one() {
        assert_eq!(
            findings("/// A type.\n///\n/// ```\n/// let a = A;\n/// ```\n#[derive(\n    Debug,\n)]\npub struct A;\n"),
            ""
        );
        let method = "/// ```\n/// A::new().a(1);\n/// ```\npub struct A;\nimpl A {\n    pub const fn new() {}\n    pub fn a(&self) {}\n}\n";
        assert_eq!(findings(method), "");
        assert!(findings(&method.replace(".a(1)", ".ab(1)")).contains("a has no example"));
        assert!(findings("/// ```\n/// a();\n/// ```\npub fn b() {}\npub fn a() {}\n").contains("a has no example"));
    }

    #[test]
    fn what_nobody_sees_needs_none() {
        assert_eq!(
            findings("pub(crate) fn a() {}\nfn b() {}\npub mod c;\npub use d::E;\nstruct F {\n    pub g: u32,\n}\n"),
            ""
        );
        assert_eq!(findings("fn a() {}\n#[cfg(test)]\nmod tests {\n    pub fn b() {}\n}\n"), "");
    }
}
