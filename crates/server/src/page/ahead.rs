//! What a view of the page will ask for, told with the page itself: the browser fetches it while it still reads the page's
//! scripts. In: the address of a view. Out: a `Link` header.

use super::{FILES, HASHED};
use http::HeaderValue;
use std::fmt::Write;

/// The script of the view of a trace; what its other scripts and styles are stands in its first lines.
const TRACE_SCRIPT: &str = "assets/TracePage-";
const ID_DIGITS_MAX: usize = 32;

/// See the module's text.
pub(super) struct Ahead {
    base: String,
    /// The scripts and styles of a trace's view.
    of_trace: String,
}

impl Ahead {
    /// `base` begins and ends with a slash.
    pub(super) fn new(base: &str) -> Self {
        let mut of_trace = String::new();
        if base.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b',' | b';')) {
            for file in FILES.iter().filter(|file| file.name.starts_with(TRACE_SCRIPT)) {
                if file.name.ends_with(".css") {
                    put(&mut of_trace, base, file.name, "preload; as=style; crossorigin");
                }
                if file.name.ends_with(".js") {
                    put(&mut of_trace, base, file.name, "modulepreload");
                    let script = std::str::from_utf8(file.plain).unwrap_or_default();
                    imports(script)
                        .for_each(|name| put(&mut of_trace, base, &format!("{HASHED}{name}"), "modulepreload"));
                }
            }
        }
        Self { base: base.to_owned(), of_trace }
    }

    /// For the view of the trace with this id, if it is one.
    pub(super) fn of_trace(&self, id: &str) -> Option<HeaderValue> {
        if id.is_empty() || id.len() > ID_DIGITS_MAX || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        // As the page writes it.
        let (base, id) = (&self.base, id.to_ascii_lowercase());
        let trace = format!("<{base}api/tracewell/v1/trace/{id}>; rel=preload; as=fetch; crossorigin");
        HeaderValue::try_from(trace + &self.of_trace).ok()
    }
}

fn put(links: &mut String, base: &str, name: &str, relation: &str) {
    // Writing to memory cannot fail.
    let _written = write!(links, ", <{base}{name}>; rel={relation}");
}

/// The files that a script imports before it runs, by name.
fn imports(script: &str) -> impl Iterator<Item = &str> {
    let after_from = script.split("from\"./").skip(1).filter_map(|rest| rest.split_once('"'));
    after_from
        .map(|(name, _)| name)
        .filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_fetched_with_its_view() {
        let ahead = Ahead { base: "/zipkin/".to_owned(), of_trace: ", <x>; rel=modulepreload".to_owned() };
        let links = ahead.of_trace("00AB").unwrap();
        let expected =
            "</zipkin/api/tracewell/v1/trace/00ab>; rel=preload; as=fetch; crossorigin, <x>; rel=modulepreload";
        assert_eq!(links, expected);
        assert_eq!(["", "xyz", &"0".repeat(33), "a>;"].map(|id| ahead.of_trace(id)), [None, None, None, None]);
    }

    #[test]
    fn imports_are_what_stands_before_the_code() {
        let script = r#"import{a as b}from"./api-x_1.js";import{c}from"./d.js";const e=()=>import("./later.js");"#;
        assert_eq!(imports(script).collect::<Vec<_>>(), ["api-x_1.js", "d.js"]);
    }
}
