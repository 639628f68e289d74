//! A server inside the test's process, and a client that sends exactly what a test says.

#![allow(dead_code, unused_macros, unused_imports, reason = "every test program uses its part of this")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

pub(crate) mod grpc;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tracewell_server::{Given, ListenerName, Options, Server};
use tracewell_store::{ReferenceStore, Store};

/// Ends a hang; decides nothing.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

/// A running server and what it runs on.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    server: Option<Server>,
    runtime: tokio::runtime::Runtime,
}

/// An answer, headers by lower-case name.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// Options as flags: `("query-timeout", "5s")`. Only Zipkin's listener runs, but for those that the flags name.
pub(crate) fn options(flags: &[(&str, &str)]) -> Options {
    let all = ListenerName::ALL.map(|name| (name.flag(), "off"));
    let flags = all.iter().chain(&[("zipkin", "127.0.0.1:0")]).chain(flags);
    let flags = flags.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Options::resolve(&Given { flags, ..Given::default() }).unwrap()
}

pub(crate) fn start(flags: &[(&str, &str)]) -> Running {
    let store = Arc::new(ReferenceStore::new(options(flags).autocomplete_keys));
    start_with(flags, store)
}

pub(crate) fn start_with(flags: &[(&str, &str)], store: Arc<dyn Store>) -> Running {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(Server::start(&options(flags), store)).unwrap();
    Running { address: server.zipkin_address().unwrap(), server: Some(server), runtime }
}

impl Running {
    /// Where a listener that was asked for listens.
    pub(crate) fn address_of(&self, name: ListenerName) -> SocketAddr {
        self.server.as_ref().unwrap().address(name).unwrap()
    }

    /// The same server, asked at another of its listeners.
    pub(crate) fn ask_at(
        &self,
        name: ListenerName,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Answer {
        ask(self.address_of(name), method, path, headers, body)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        ask(self.address, method, path, headers, body)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], None)
    }

    pub(crate) fn post_spans(&self, body: &str) -> Answer {
        self.ask("POST", "/api/v2/spans", &[("Content-Type", "application/json")], Some(body.as_bytes()))
    }

    /// A call of gRPC with one message.
    pub(crate) fn call(&self, name: ListenerName, path: &str, message: &[u8]) -> grpc::Called {
        self.call_with(name, path, &[], grpc::framed(message, false))
    }

    /// A call of gRPC with more headers and a body as it is.
    pub(crate) fn call_with(
        &self,
        name: ListenerName,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> grpc::Called {
        let headers: Vec<_> = [("content-type", "application/grpc")].iter().chain(headers).copied().collect();
        self.runtime.block_on(grpc::call(self.address_of(name), path, &headers, body))
    }

    /// The value of a sample of `/prometheus`, named with its labels.
    pub(crate) fn metric(&self, sample: &str) -> f64 {
        let answer = self.get("/prometheus");
        let value = answer.text().lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {sample} in\n{}", answer.text())).parse().unwrap()
    }

    /// Stops the server and waits for its end.
    pub(crate) fn stop(mut self) {
        let server = self.server.take().unwrap();
        self.runtime.block_on(server.stop());
    }

    /// Begins to stop the server, in the background.
    pub(crate) fn stop_in_background(&mut self) -> tokio::task::JoinHandle<()> {
        let server = self.server.take().unwrap();
        self.runtime.spawn(server.stop())
    }

    pub(crate) fn wait<T>(&self, task: tokio::task::JoinHandle<T>) -> T {
        self.runtime.block_on(task).unwrap()
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(ANSWER_TIME_MAX)).unwrap();
    stream
}

fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
    let mut stream = connect(address);
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    if let Some(body) = body {
        head.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
    }
    head.push_str("Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    // A server that refuses may stop reading; its answer is what counts.
    drop(stream.write_all(body.unwrap_or_default()));
    read_answer(stream)
}

/// Reads until the server closes the connection.
pub(crate) fn read_answer(mut stream: TcpStream) -> Answer {
    let mut bytes = vec![];
    let mut buffer = [0; 64 << 10];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if bytes.is_empty() => panic!("no answer: {error}"),
            Err(_) => break,
        }
    }
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head");
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers: HashMap<String, String> = HashMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let values = headers.entry(name.to_lowercase()).or_default();
        if !values.is_empty() {
            values.push_str(", ");
        }
        values.push_str(value);
    }
    Answer { status, headers, body: bytes[end + 4..].to_vec() }
}

/// The time a second ago. A search ends at the millisecond that has begun, as Zipkin's does: a span that began later in it
/// would be found in the next one only.
fn a_second_ago_us() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as u64 - 1_000_000
}

/// A span of one millisecond, a second ago.
pub(crate) fn span(trace: &str, service: &str) -> String {
    format!(
        r#"{{"traceId":"{trace}","id":"{trace}","name":"get","timestamp":{},"duration":1000,"localEndpoint":{{"serviceName":"{service}"}}}}"#,
        a_second_ago_us()
    )
}

/// The reads of a store that is made to be written to in one test: nothing is there.
macro_rules! reads_nothing {
    () => {
        fn traces(
            &self,
            _: &[tracewell_model::TraceId],
            _: tracewell_model::TraceGrouping,
        ) -> Result<Vec<tracewell_model::SpanBatch>, tracewell_store::ReadError> {
            Ok(vec![])
        }
        fn find(
            &self,
            _: &tracewell_model::TraceQuery,
        ) -> Result<Vec<tracewell_model::SpanBatch>, tracewell_store::ReadError> {
            Ok(vec![])
        }
        fn find_spans(
            &self,
            _: &tracewell_model::SpanQuery,
            _: &dyn Fn(tracewell_model::SpanRef<'_>) -> bool,
        ) -> Result<Vec<tracewell_model::SpanBatch>, tracewell_store::ReadError> {
            Ok(vec![])
        }
        fn operations(&self, _: &str) -> Result<Vec<(String, tracewell_model::Kind)>, tracewell_store::ReadError> {
            Ok(vec![])
        }
        fn visit_traces(
            &self,
            _: tracewell_store::DependencyWindow,
            _: tracewell_model::TraceGrouping,
            _: &mut dyn FnMut(&[tracewell_model::SpanRef<'_>]),
        ) -> Result<(), tracewell_store::ReadError> {
            Ok(())
        }
        fn span_names(&self, _: &str) -> Result<Vec<String>, tracewell_store::ReadError> {
            Ok(vec![])
        }
        fn remote_service_names(&self, _: &str) -> Result<Vec<String>, tracewell_store::ReadError> {
            Ok(vec![])
        }
        fn tag_values(&self, _: &str) -> Result<Vec<String>, tracewell_store::ReadError> {
            Ok(vec![])
        }
        fn tag_keys(&self) -> Vec<String> {
            vec![]
        }
        fn dependencies(
            &self,
            _: tracewell_store::DependencyWindow,
        ) -> Result<Vec<tracewell_model::DependencyLink>, tracewell_store::ReadError> {
            Ok(vec![])
        }
        fn stats(&self) -> tracewell_store::StoreStats {
            tracewell_store::StoreStats::default()
        }
        fn capabilities(&self) -> tracewell_store::Capabilities {
            tracewell_store::Capabilities::default()
        }
    };
}

pub(crate) use reads_nothing;
