//! Routes, methods, paths, CORS, compression and the page, as Zipkin 3.5.1 answers them (its answers were recorded).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

mod common;

use common::{span, start};

#[test]
fn methods_and_paths() {
    let server = start(&[]);
    for (method, path, status, text) in [
        ("GET", "/api", 404, "404 Not Found"),
        ("GET", "/api/v2/services/", 404, "404 Not Found"),
        ("POST", "/api/v2/services", 404, "404 Not Found"),
        ("TRACE", "/", 405, "405 Method Not Allowed"),
        ("POST", "/zipkin/", 405, "405 Method Not Allowed"),
        ("OPTIONS", "/zipkin/api/v2/services", 405, "405 Method Not Allowed"),
        ("BREW", "/api/v2/services", 405, "Status: 405\nDescription: Unsupported method\n"),
        ("GET", "/api/v2/trace/%ZZ", 400, "Status: 400\nDescription: Invalid request path\n"),
        ("GET", "/api/v2/traces?endTs=%F", 400, "Status: 400\nDescription: Invalid request path\n"),
    ] {
        let answer = server.ask(method, path, &[], None);
        assert_eq!((answer.status, answer.text()), (status, text), "{method} {path}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{method} {path}");
    }
    for path in ["/api/v2/services", "//api//v2/services", "/zipkin/api/v2/services", "/api/v2/%73ervices;a=b"] {
        assert_eq!(server.get(path).text(), "[]", "{path}");
    }
    for (path, location) in
        [("/", "/zipkin/"), ("/zipkin?a=b", "/zipkin/?a=b"), ("/favicon.ico", "/zipkin/favicon.ico")]
    {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.header("location")), (302, Some(location)), "{path}");
    }
    let head = server.ask("HEAD", "/health", &[], None);
    assert_eq!((head.status, head.body.len()), (404, 0));
    server.stop();
}

#[test]
fn other_sites_scripts() {
    let server = start(&[]);
    let preflight = [("Origin", "http://a.example"), ("Access-Control-Request-Method", "PUT")];
    let answer = server.ask("OPTIONS", "/nope", &preflight, None);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("*")));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET,POST"));
    assert_eq!(server.ask("OPTIONS", "/nope", &preflight[..1], None).status, 404, "not a preflight");
    let answer = server.ask("GET", "/health", &[("Origin", "null")], None);
    assert_eq!(answer.header("access-control-allow-origin"), Some("null"));
    assert!(answer.header("access-control-expose-headers").is_some());
    server.stop();

    let server = start(&[("allowed-origins", "http://a.example,http://b.example")]);
    let answer = server.ask("GET", "/health", &[("Origin", "HTTP://B.example")], None);
    assert_eq!(answer.header("access-control-allow-origin"), Some("HTTP://B.example"));
    assert_eq!(answer.header("vary"), Some("origin"));
    let answer = server.ask("GET", "/health", &[("Origin", "http://c.example")], None);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None));
    server.stop();
}

#[test]
fn long_answers_are_compressed_for_who_takes_it() {
    let server = start(&[]);
    let spans: Vec<String> = (1..40).map(|number| span(&format!("{number:x}"), "a")).collect();
    assert_eq!(server.post_spans(&format!("[{}]", spans.join(","))).status, 202);
    let plain = server.get("/api/v2/traces?limit=40");
    let packed = server.ask("GET", "/api/v2/traces?limit=40", &[("Accept-Encoding", "gzip")], None);
    assert_eq!((packed.header("content-encoding"), packed.header("vary")), (Some("gzip"), Some("accept-encoding")));
    let mut unpacked = vec![];
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed.body[..]), &mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    assert_eq!(plain.json().as_array().unwrap().len(), 39);
    server.stop();
}

#[test]
fn the_page_may_be_kept_and_may_do_little() {
    let server = start(&[("ui-basepath", "/tracing")]);
    for path in ["/zipkin/", "/zipkin/index.html", "/zipkin/traces/1", "/zipkin/dependency", "/zipkin/?serviceName=x"] {
        let page = server.get(path);
        assert_eq!((page.status, page.header("cache-control")), (200, Some("max-age=60")), "{path}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(page.text().contains("<base href=\"/tracing/\">"), "{}", page.text());
        assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'self';"));
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        let again = server.ask("GET", path, &[("If-None-Match", page.header("etag").unwrap())], None);
        assert_eq!((again.status, again.body.len()), (304, 0));
    }
    assert_eq!(server.get("/zipkin/no-such.js").status, 404);
    assert_eq!(server.get("/zipkin/assets/no-such.js").status, 404);
    server.stop();
}

/// Whatever the page was built to, each of its files comes in every encoding that it was packed in.
#[test]
fn files_of_the_page_come_packed_and_for_a_year() {
    let server = start(&[]);
    let page = server.get("/zipkin/");
    for asset in page.text().split('"').filter(|text| text.contains("assets/")) {
        let path = format!("/zipkin/{}", asset.trim_start_matches("./"));
        let plain = server.get(&path);
        assert_eq!(plain.status, 200, "{path}");
        assert!(plain.header("cache-control").unwrap().contains("immutable"));
        for encoding in ["gzip", "br"] {
            let packed = server.ask("GET", &path, &[("Accept-Encoding", encoding)], None);
            if let Some(used) = packed.header("content-encoding") {
                assert_eq!(used, encoding);
                assert_ne!(packed.header("etag"), plain.header("etag"));
            }
        }
    }
    server.stop();
}

#[test]
fn the_pages_own_api() {
    let server = start(&[]);
    let parent = span("1", "front");
    let child = span("1", "back").replace("\"id\":\"1\"", "\"id\":\"2\",\"parentId\":\"1\"");
    assert_eq!(server.post_spans(&format!("[{parent},{child}]")).status, 202);
    for base in ["/api/tracewell/v1", "/zipkin/api/tracewell/v1"] {
        let found = server.get(&format!("{base}/traces?serviceName=back")).json();
        assert_eq!(found["traces"][0]["rootService"], "front");
        assert_eq!(found["traces"][0]["spanCount"], 2);
        let trace = server.get(&format!("{base}/trace/1"));
        assert_eq!(trace.header("content-type"), Some("application/vnd.tracewell.trace"));
        assert_eq!(&trace.body[..4], b"TWT1");
        assert_eq!(server.get(&format!("{base}/trace/1/span/1")).json()["parentId"], "0000000000000001");
        let by_id = server.get(&format!("{base}/trace/1/span/0000000000000002"));
        assert_eq!((by_id.header("tracewell-row"), &by_id.json()["id"]), (Some("1"), &"0000000000000002".into()));
        assert_eq!(server.get(&format!("{base}/trace/1/span/0000000000000009")).status, 404);
        assert_eq!(server.get(&format!("{base}/trace/1/span/2")).status, 404);
        assert_eq!(server.get(&format!("{base}/trace/1/span/x")).status, 400);
        assert_eq!(server.get(&format!("{base}/trace/2")).json()["error"], "there is no trace 0000000000000002");
        assert_eq!(server.get(&format!("{base}/trace/X")).status, 400);
        assert_eq!(server.get(&format!("{base}/traces?limit=0")).json()["error"], "limit <= 0");
    }
    server.stop();
}

#[test]
fn http_2_without_tls_is_spoken_on_the_same_port() {
    let server = start(&[]);
    let mut stream = server.connect();
    // The preface and an empty SETTINGS frame; the server's first frame is its own SETTINGS.
    std::io::Write::write_all(&mut stream, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut frame = [0; 9];
    std::io::Read::read_exact(&mut stream, &mut frame).unwrap();
    assert_eq!(frame[3], 4);
    drop(stream);
    server.stop();
}
