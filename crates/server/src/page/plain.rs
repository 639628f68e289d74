//! The page of a server that was built without the real one.

/// Says what is missing and what works all the same.
pub(super) const PLAIN_PAGE: &str = r#"<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <base href="/zipkin/">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Tracewell</title>
  </head>
  <body>
    <h1>Tracewell</h1>
    <p>This server was built without its page, because the page is built with Node.
      Install Node and run <code>make run</code> in Tracewell's folder to have it.</p>
    <p>Everything else works. Send spans to <code>POST /api/v2/spans</code>, and see:</p>
    <ul>
      <li><a href="api/v2/services">services</a></li>
      <li><a href="api/v2/traces">the newest traces</a>, as JSON</li>
      <li><a href="../health">health</a> and <a href="../prometheus">metrics</a></li>
    </ul>
  </body>
</html>
"#;
