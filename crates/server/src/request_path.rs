//! A request's path and query, taken apart as Zipkin's HTTP server does: slashes in a row are one, `;…` behind a segment is
//! dropped, segments are decoded after they are split, and what tries to climb out of its folder is refused.

use percent_encoding::percent_decode;
use std::borrow::Cow;

/// The path or the query is not one that is looked at: a broken escape, a control character, a `..`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidPath;

/// The segments of a path. A slash at the end makes the last one empty: `/` is one empty segment.
pub(crate) fn segments(path: &str) -> Result<Vec<Cow<'_, str>>, InvalidPath> {
    check_escapes(path)?;
    let whole = percent_decode(path.as_bytes()).decode_utf8_lossy();
    let climbs = |segment: &str| segment.split(';').next() == Some("..");
    if whole.chars().any(|c| c.is_ascii_control()) || whole.split('/').any(climbs) {
        return Err(InvalidPath);
    }
    let mut segments: Vec<Cow<'_, str>> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| segment.split(';').next().unwrap_or_default())
        .map(|segment| percent_decode(segment.as_bytes()).decode_utf8_lossy())
        .collect();
    if path.ends_with('/') || segments.is_empty() {
        segments.push(Cow::Borrowed(""));
    }
    Ok(segments)
}

/// The parameters of a query.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, InvalidPath> {
        let query = query.unwrap_or_default();
        check_escapes(query)?;
        let decode = |text: &str| {
            let spaces = text.replace('+', " ");
            percent_decode(spaces.as_bytes()).decode_utf8_lossy().into_owned()
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Ok(Self(pairs.collect()))
    }

    /// The value of a parameter; the first, where it comes more than once.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Parameters {
    /// All values of a parameter, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn check_escapes(text: &str) -> Result<(), InvalidPath> {
    let mut escapes = text.split('%').skip(1);
    let valid =
        |escape: &str| escape.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if escapes.all(valid) { Ok(()) } else { Err(InvalidPath) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(path: &str) -> Vec<String> {
        segments(path).unwrap().into_iter().map(Cow::into_owned).collect()
    }

    #[test]
    fn paths_fall_into_segments() {
        assert_eq!(split("/"), [""]);
        assert_eq!(split("///"), [""]);
        assert_eq!(split("//api/v2//services"), ["api", "v2", "services"]);
        assert_eq!(split("/zipkin/"), ["zipkin", ""]);
        assert_eq!(split("/api/v2/services;a=b"), ["api", "v2", "services"]);
        assert_eq!(split("/trace/a%2Fb%3bc"), ["trace", "a/b;c"]);
        assert_eq!(split("/trace/%FF"), ["trace", "\u{fffd}"]);
        assert_eq!(split("/trace/a..b/..."), ["trace", "a..b", "..."]);
    }

    #[test]
    fn paths_that_are_not_looked_at() {
        for path in ["/%ZZ", "/%", "/%f", "/trace/..", "/a/../b", "/trace/%2e%2e%2f", "/x/..;/y", "/%00", "/a%0a"] {
            assert_eq!(segments(path), Err(InvalidPath), "{path}");
        }
        assert!(Parameters::parse(Some("a=%F")).is_err());
    }

    #[test]
    fn the_first_of_equal_parameters_counts() {
        let parameters = Parameters::parse(Some("&&a=1&a=2&b&c=x+y%2B&d=a;b=c")).unwrap();
        assert_eq!(parameters.get("a"), Some("1"));
        assert_eq!(parameters.get("b"), Some(""));
        assert_eq!(parameters.get("c"), Some("x y+"));
        assert_eq!(parameters.get("d"), Some("a;b=c"));
        assert_eq!(parameters.get("A"), None);
    }
}
