//! The page's files, carried in the binary: a path and what the browser takes in, the file in its best encoding out.

mod ahead;
mod plain;

use crate::answer::{self, Answer, cached, takes_encoding};
use crate::options::Options;
use ahead::Ahead;
use bytes::Bytes;
use http::header::{
    CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG, HeaderMap, HeaderName, IF_NONE_MATCH, LINK, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use std::hash::{DefaultHasher, Hasher};

/// A file of the page, with the forms it was compressed to when the page was built.
struct File {
    name: &'static str,
    hash: u64,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// The files below it have their content's hash in their names.
const HASHED: &str = "assets/";
const HASHED_MAX_AGE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// As Zipkin's page.
const INDEX_MAX_AGE: HeaderValue = HeaderValue::from_static("max-age=60");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
/// What the page's template names as its base.
const TEMPLATE_BASE: &str = "<base href=\"/zipkin/\">";

/// The page as it is served.
pub(crate) struct Page {
    index: Bytes,
    index_hash: u64,
    security_policy: HeaderValue,
    ahead: Ahead,
}

impl Page {
    /// `base_path` is where browsers see it.
    pub(crate) fn new(options: &Options, base_path: &str) -> Self {
        let template = FILES.iter().find(|file| file.name == "index.html");
        let template = template.map_or(plain::PLAIN_PAGE, |file| std::str::from_utf8(file.plain).unwrap_or_default());
        let index = with_base(template, base_path);
        let mut hasher = DefaultHasher::new();
        hasher.write(index.as_bytes());
        Self {
            index_hash: hasher.finish(),
            index: index.into(),
            security_policy: security_policy(options),
            ahead: Ahead::new(&base(base_path)),
        }
    }

    /// The page at the address of one of its views, by the parts of the path below the base.
    pub(crate) fn view(&self, path: &[&str], headers: &HeaderMap) -> Answer {
        let mut answer = self.index(headers);
        if let ["trace" | "traces", id] = path
            && let Some(links) = self.ahead.of_trace(id)
        {
            answer.headers_mut().insert(LINK, links);
        }
        answer
    }

    /// The page itself.
    pub(crate) fn index(&self, headers: &HeaderMap) -> Answer {
        let tag = entity_tag(self.index_hash, "");
        let answer = if is_known(headers, &tag) {
            answer::empty(StatusCode::NOT_MODIFIED)
        } else {
            answer::answer(StatusCode::OK, HTML, self.index.clone())
        };
        let mut answer = cached(answer, INDEX_MAX_AGE);
        answer.headers_mut().insert(ETAG, tag);
        self.secured(answer)
    }

    /// A file beside the page, by its name alone: those that can be asked for lie in two folders.
    pub(crate) fn asset(&self, name: &str, headers: &HeaderMap) -> Option<Answer> {
        let named = |file: &&File| file.name.strip_prefix(HASHED).unwrap_or(file.name) == name;
        // Browsers ask for this name by themselves, wherever the page says its icon is.
        let icon = |file: &&File| name == "favicon.ico" && file.name.starts_with("assets/favicon");
        let file = FILES.iter().find(named).or_else(|| FILES.iter().find(icon))?;
        let takes = |encoding: &str| takes_encoding(headers, encoding);
        let (encoding, body) = match (file.brotli, file.gzip) {
            (Some(brotli), _) if takes("br") => ("br", brotli),
            (_, Some(gzip)) if takes("gzip") => ("gzip", gzip),
            _ => ("", file.plain),
        };
        let tag = entity_tag(file.hash, encoding);
        let mut answer = if is_known(headers, &tag) {
            answer::empty(StatusCode::NOT_MODIFIED)
        } else {
            answer::answer(StatusCode::OK, content_type(file.name), Bytes::from_static(body))
        };
        if !encoding.is_empty() && answer.status() == StatusCode::OK {
            answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        answer.headers_mut().insert(ETAG, tag);
        answer.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
        let age = if named(&file) && file.name.starts_with(HASHED) { HASHED_MAX_AGE } else { INDEX_MAX_AGE };
        Some(self.secured(cached(answer, age)))
    }

    fn secured(&self, mut answer: Answer) -> Answer {
        const FRAME_OPTIONS: HeaderName = HeaderName::from_static("x-frame-options");
        let headers = answer.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, self.security_policy.clone());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        headers.insert(FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
        answer
    }
}

/// The page's addresses are relative to its base, which is where browsers see it.
fn with_base(template: &str, base_path: &str) -> String {
    template.replacen(TEMPLATE_BASE, &format!("<base href=\"{}\">", base(base_path)), 1)
}

/// The path with one slash at both ends, without what ends a text in HTML.
fn base(base_path: &str) -> String {
    let base: String = base_path.trim_matches('/').chars().filter(|c| !matches!(c, '"' | '<' | '>' | '&')).collect();
    if base.is_empty() { "/".to_owned() } else { format!("/{base}/") }
}

/// Scripts, styles and data from this server alone. Style attributes are how a timeline's bars get their places.
fn security_policy(options: &Options) -> HeaderValue {
    let archive = options.ui_archive_post_url.split('/').take(3).collect::<Vec<_>>().join("/");
    let archive =
        if archive.starts_with("http") && !archive.contains([';', ' ', ',']) { archive } else { String::new() };
    let policy = format!(
        "default-src 'self'; connect-src 'self' {archive}; img-src 'self' data:; style-src 'self'; \
         style-src-attr 'unsafe-inline'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'self'"))
}

fn entity_tag(hash: u64, encoding: &str) -> HeaderValue {
    let dash = if encoding.is_empty() { "" } else { "-" };
    HeaderValue::try_from(format!("\"{hash:016x}{dash}{encoding}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether the browser has what this tag stands for.
fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = |header: &HeaderValue| {
        let mut tags = header.to_str().unwrap_or_default().split(',').map(|tag| tag.trim().trim_start_matches("W/"));
        tags.any(|known| known == "*" || known.as_bytes() == tag.as_bytes())
    };
    headers.get_all(IF_NONE_MATCH).iter().any(known)
}

fn content_type(name: &str) -> HeaderValue {
    HeaderValue::from_static(match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::CONTENT_TYPE;

    #[test]
    fn the_base_is_where_browsers_see_the_page() {
        let page = |base: &str| with_base("<head><base href=\"/zipkin/\"></head>", base);
        assert_eq!(page("/zipkin"), "<head><base href=\"/zipkin/\"></head>");
        assert_eq!(page("/a/b/"), "<head><base href=\"/a/b/\"></head>");
        assert_eq!(page("/"), "<head><base href=\"/\"></head>");
        assert_eq!(page("\"><script>"), "<head><base href=\"/script/\"></head>");
    }

    #[test]
    fn a_known_tag_is_not_sent_again() {
        let page = Page::new(&Options::default(), "/zipkin");
        let first = page.index(&HeaderMap::new());
        assert_eq!(first.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        let again = HeaderMap::from_iter([(IF_NONE_MATCH, first.headers()[ETAG].clone())]);
        assert_eq!(page.index(&again).status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn only_the_archive_is_added_to_where_the_page_may_send() {
        let options =
            Options { ui_archive_post_url: "https://archive.example/api/v2/spans".to_owned(), ..Options::default() };
        let policy = security_policy(&options);
        assert!(policy.to_str().unwrap().contains("connect-src 'self' https://archive.example;"));
    }
}
