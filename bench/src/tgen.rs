//! tgen: a reproducible set of realistic traces of 20 services with 5 to 9 tags a span (the lean profile), as Zipkin v2 JSON,
//! batched as the reporters of each instance would send them: a batch a line, in the order in which spans end.
//!
//! For one seed, number of spans and window the bytes are always the same: figures of different days and servers compare.

use crate::random::Random;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

/// A trace has at most this many spans; few reach it.
const LONG_TRACE_SPANS: usize = 1500;
const INSTANCES: usize = 3;
/// More ids are not listed in `trace_ids.txt`.
const IDS_MAX: usize = 100_000;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TgenOptions {
    /// Spans to write, about
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) spans: usize,
    /// Spans in a batch
    #[arg(long, default_value_t = 100)]
    pub(crate) batch: usize,
    /// The last moment of the window, microseconds since the epoch
    #[arg(long)]
    pub(crate) end_us: u64,
    /// The length of the window, seconds
    #[arg(long, default_value_t = 3600)]
    pub(crate) window_s: u64,
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// The folder to write into
    #[arg(long)]
    pub(crate) out: PathBuf,
}

impl Default for TgenOptions {
    fn default() -> Self {
        Self { spans: 1_000_000, batch: 100, end_us: 0, window_s: 3600, seed: 42, out: PathBuf::from(".") }
    }
}

/// What was written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) spans: usize,
    pub(crate) traces: usize,
    pub(crate) batches: usize,
    pub(crate) end_us: u64,
}

/// Writes `zipkin_v2.ndjson`, `trace_ids.txt` and, the spans of each batch, `batches.txt`.
pub(crate) fn write(options: &TgenOptions) -> anyhow::Result<Made> {
    let spans = generate(options);
    let batches = batches(&spans, options.batch);
    let out = &options.out;
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let create = |name: &str| File::create(out.join(name)).map(|file| BufWriter::with_capacity(1 << 20, file));
    let (mut json, mut ids) = (create("zipkin_v2.ndjson")?, create("trace_ids.txt")?);
    let mut counts = create("batches.txt")?;
    let mut seen = HashSet::new();
    let mut line = String::new();
    for batch in &batches {
        line.clear();
        for (at, &span) in batch.iter().enumerate() {
            let span = &spans[span as usize];
            line.push(if at == 0 { '[' } else { ',' });
            write_span(&mut line, span).context("a line")?;
            if seen.insert(span.trace) && seen.len() <= IDS_MAX {
                writeln!(ids, "{:032x}", span.trace)?;
            }
        }
        line.push_str("]\n");
        json.write_all(line.as_bytes())?;
        writeln!(counts, "{}", batch.len())?;
    }
    for mut file in [json, ids, counts] {
        file.flush()?;
    }
    Ok(Made { spans: spans.len(), traces: seen.len(), batches: batches.len(), end_us: options.end_us })
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Client,
    Server,
    Local,
}

struct Span {
    trace: u128,
    id: u64,
    parent: u64,
    name: String,
    kind: Kind,
    start_us: u64,
    duration_us: u64,
    service: usize,
    instance: usize,
    /// A service, or beyond them a database.
    remote: Option<usize>,
    tags: Vec<(&'static str, String)>,
    annotation: Option<(u64, &'static str)>,
}

const SERVICES: &[(&str, &[&str])] = &[
    ("frontend", &["GET /", "GET /cart", "POST /checkout", "GET /product/{id}", "GET /search"]),
    ("api-gateway", &["GET /api/v1/products", "GET /api/v1/cart", "POST /api/v1/orders", "GET /api/v1/users/{id}"]),
    ("auth", &["VerifyToken", "Login", "Refresh"]),
    ("users", &["GetUser", "UpdateUser", "ListUsers"]),
    ("catalog", &["GetProduct", "ListProducts", "SearchProducts"]),
    ("cart", &["GetCart", "AddItem", "EmptyCart"]),
    ("checkout", &["PlaceOrder", "Quote"]),
    ("payment", &["Charge", "Refund", "Authorize"]),
    ("shipping", &["GetQuote", "ShipOrder"]),
    ("inventory", &["Reserve", "Release", "Check"]),
    ("pricing", &["Price", "Discounts"]),
    ("recommendation", &["Recommend"]),
    ("ads", &["GetAds"]),
    ("email", &["SendOrderConfirmation"]),
    ("currency", &["Convert", "GetSupportedCurrencies"]),
    ("search", &["Query", "Suggest"]),
    ("fraud", &["Score"]),
    ("notifications", &["Push", "Digest"]),
    ("orders", &["CreateOrder", "GetOrder", "ListOrders"]),
    ("reviews", &["ListReviews", "PostReview"]),
];

/// Whom each service calls.
#[rustfmt::skip]
const CALLS: &[&[usize]] = &[
    &[1, 2, 12], &[2, 3, 4, 5, 6, 15, 18, 19], &[3], &[], &[9, 10, 19], &[4, 10], &[5, 7, 8, 9, 10, 13, 14, 18],
    &[16, 14], &[14], &[], &[14], &[4], &[], &[], &[], &[4], &[3], &[13], &[9, 17], &[3],
];
const DATABASES: &[(&str, &str)] =
    &[("mysql", "SELECT"), ("redis", "GET"), ("postgresql", "INSERT"), ("mongodb", "find")];
const TABLES: &[&str] = &["users", "orders", "order_items", "products", "sessions", "prices", "reviews", "stock"];
const REGIONS: &[&str] = &["eu-west-1", "us-east-1", "us-west-2", "ap-south-1"];
const AGENTS: &[&str] =
    &["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "okhttp/4.12.0", "python-requests/2.31", "curl/8.5.0"];
const ERRORS: &[&str] = &["timeout", "connection reset by peer", "NullPointerException", "deadline exceeded"];
const EXCEPTION: &str =
    "exception: java.lang.IllegalStateException: order not in a payable state at com.shop.Orders.pay(Orders.java:217)";

fn generate(options: &TgenOptions) -> Vec<Span> {
    let begin_us = options.end_us - options.window_s * 1_000_000;
    let mut fleet = Fleet { random: Random(options.seed), spans: Vec::with_capacity(options.spans + 4096) };
    while fleet.spans.len() < options.spans {
        let start_us = begin_us + fleet.random.below(options.window_s * 1_000_000 - 5_000_000);
        let trace = u128::from(fleet.random.next()) << 64 | u128::from(fleet.random.next());
        let user = {
            let unit = fleet.random.unit();
            (unit * unit * 20_000.0) as u64
        };
        let long = fleet.random.chance(0.002);
        let mut budget = if long { LONG_TRACE_SPANS } else { 10 + fleet.random.below(70) as usize };
        let instance = fleet.random.below(INSTANCES as u64) as usize;
        let service = if fleet.random.chance(0.8) { 0 } else { 1 };
        let request = Request { trace, parent: 0, service, instance, start_us, depth: 0, user };
        fleet.serve(request, &mut budget);
    }
    fleet.spans
}

struct Fleet {
    random: Random,
    spans: Vec<Span>,
}

/// A request that a service instance serves.
#[derive(Clone, Copy)]
struct Request {
    trace: u128,
    parent: u64,
    service: usize,
    instance: usize,
    start_us: u64,
    depth: usize,
    user: u64,
}

impl Fleet {
    /// The server's span of a request, with everything below it; answers its end and whether it failed. The order in which
    /// numbers are drawn is the load: another order is another load.
    fn serve(&mut self, request: Request, budget: &mut usize) -> (u64, bool) {
        let Request { trace, parent, service, instance, start_us, depth, .. } = request;
        let id = self.random.next() | 1;
        let operations = SERVICES[service].1;
        let operation = operations[self.random.below(operations.len() as u64) as usize];
        let mut now_us = start_us + self.random.lognormal(150.0, 0.8) as u64;
        let mut failed = self.random.chance(0.012);
        if depth < 6 {
            for &callee in CALLS[service] {
                if *budget == 0 || !self.random.chance(0.55) {
                    continue;
                }
                let repeat = if self.random.chance(0.03) { 2 + self.random.below(8) } else { 1 };
                for _ in 0..repeat {
                    if *budget < 2 {
                        break;
                    }
                    *budget -= 2;
                    (now_us, failed) = self.call(&request, id, callee, now_us, failed, budget);
                }
            }
        }
        for _ in 0..self.random.below(3) {
            if *budget == 0 {
                break;
            }
            *budget -= 1;
            now_us += self.query(&request, id, now_us);
        }
        if self.random.chance(0.35) && *budget > 0 {
            *budget -= 1;
            now_us += self.render(&request, id, now_us);
        }
        now_us += self.random.lognormal(120.0, 0.8) as u64;
        let tags = self.server_tags(&request, operation, failed);
        self.spans.push(Span {
            trace,
            id,
            parent,
            name: operation.to_owned(),
            kind: Kind::Server,
            start_us,
            duration_us: now_us - start_us,
            service,
            instance,
            remote: None,
            tags,
            annotation: failed.then_some((now_us - 1, EXCEPTION)),
        });
        (now_us, failed)
    }

    fn server_tags(&mut self, request: &Request, operation: &str, failed: bool) -> Vec<(&'static str, String)> {
        let Request { service, instance, user, .. } = *request;
        let reads = ["GET", "Get", "List"].iter().any(|verb| operation.starts_with(verb));
        let path =
            operation.trim_start_matches("GET ").trim_start_matches("POST ").trim_start_matches('/').to_lowercase();
        let status = match failed {
            true => "500",
            false if self.random.chance(0.02) => "404",
            false => "200",
        };
        let mut tags = vec![
            ("http.method", if reads { "GET" } else { "POST" }.to_owned()),
            ("http.path", format!("/{path}/{user}")),
            ("http.status_code", status.to_owned()),
            ("http.user_agent", AGENTS[(user % 4) as usize].to_owned()),
            ("user.id", user.to_string()),
            ("region", REGIONS[instance % 4].to_owned()),
            ("k8s.pod.name", format!("{}-7d9f8b6c5-{:05x}", SERVICES[service].0, (service * 31 + instance) * 7919)),
            ("thread", format!("worker-{}", self.random.below(16))),
            ("request.id", format!("{:016x}", self.random.next())),
        ];
        if failed {
            tags.push(("error", ERRORS[self.random.below(4) as usize].to_owned()));
        }
        tags
    }

    /// A call to another service, as its client sees it; answers when it ended and whether the caller has failed by now.
    fn call(
        &mut self,
        of: &Request,
        parent: u64,
        callee: usize,
        now_us: u64,
        failed: bool,
        budget: &mut usize,
    ) -> (u64, bool) {
        let Request { trace, service, instance, depth, user, .. } = *of;
        let mut failed = failed;
        let id = self.random.next() | 1;
        let callee_instance = self.random.below(INSTANCES as u64) as usize;
        let network_us = self.random.lognormal(300.0, 0.5) as u64;
        let start_us = now_us + network_us;
        let request =
            Request { trace, parent: id, service: callee, instance: callee_instance, start_us, depth: depth + 1, user };
        let (end_us, error) = self.serve(request, budget);
        let end_us = end_us + self.random.lognormal(250.0, 0.5) as u64;
        let (name, operations) = SERVICES[callee];
        let mut tags = vec![
            ("http.method", "POST".to_owned()),
            ("http.url", format!("http://{name}:8080/{}/{user}", operations[0])),
            ("http.status_code", if error { "500" } else { "200" }.to_owned()),
            ("net.peer.name", format!("{name}-{callee_instance}.prod.svc.cluster.local")),
            ("component", "http-client".to_owned()),
        ];
        if error {
            tags.push(("error", "upstream returned 500".to_owned()));
            failed |= self.random.chance(0.6);
        }
        self.spans.push(Span {
            trace,
            id,
            parent,
            name: operations[0].to_owned(),
            kind: Kind::Client,
            start_us: now_us,
            duration_us: end_us - now_us,
            service,
            instance,
            remote: Some(callee),
            tags,
            annotation: None,
        });
        (end_us + self.random.below(80), failed)
    }

    /// A question to a database; answers how long it took.
    fn query(&mut self, of: &Request, parent: u64, start_us: u64) -> u64 {
        let Request { trace, service, instance, user, .. } = *of;
        let database = self.random.below(DATABASES.len() as u64) as usize;
        let (system, verb) = DATABASES[database];
        let table = TABLES[self.random.below(TABLES.len() as u64) as usize];
        let duration_us = self.random.lognormal(900.0, 1.1) as u64 + 1;
        let number = self.random.below(1_000_000);
        let tags = vec![
            ("db.system", system.to_owned()),
            ("db.name", "shop".to_owned()),
            ("db.statement", format!("{verb} * FROM {table} WHERE id = {number} AND tenant = {}", user % 50)),
            ("db.rows", self.random.below(40).to_string()),
            ("net.peer.name", format!("{system}-{}.db.internal", user % 4)),
        ];
        let id = self.random.next() | 1;
        let (name, remote) = (format!("{verb} {table}"), Some(SERVICES.len() + database));
        let kind = Kind::Client;
        self.spans.push(Span {
            trace,
            id,
            parent,
            name,
            kind,
            start_us,
            duration_us,
            service,
            instance,
            remote,
            tags,
            annotation: None,
        });
        duration_us
    }

    /// Work inside the service; answers how long it took.
    fn render(&mut self, of: &Request, parent: u64, start_us: u64) -> u64 {
        let Request { trace, service, instance, .. } = *of;
        let duration_us = self.random.lognormal(400.0, 1.0) as u64 + 1;
        let id = self.random.next() | 1;
        let tags = vec![("template", "page.html".to_owned()), ("items", self.random.below(100).to_string())];
        self.spans.push(Span {
            trace,
            id,
            parent,
            name: "render".to_owned(),
            kind: Kind::Local,
            start_us,
            duration_us,
            service,
            instance,
            remote: None,
            tags,
            annotation: Some((start_us + duration_us / 2, "half done")),
        });
        duration_us
    }
}

/// Rows of spans, as each instance reports them: in the order in which they end, `batch` at a time.
fn batches(spans: &[Span], batch: usize) -> Vec<Vec<u32>> {
    let mut order: Vec<u32> = (0..spans.len() as u32).collect();
    order.sort_by_key(|&span| spans[span as usize].start_us + spans[span as usize].duration_us);
    let mut open: Vec<Vec<u32>> = vec![vec![]; SERVICES.len() * INSTANCES];
    let mut batches = vec![];
    for row in order {
        let span = &spans[row as usize];
        let reporter = &mut open[span.service * INSTANCES + span.instance];
        reporter.push(row);
        if reporter.len() == batch {
            batches.push(std::mem::take(reporter));
        }
    }
    batches.extend(open.into_iter().filter(|batch| !batch.is_empty()));
    batches
}

fn write_span(line: &mut String, span: &Span) -> anyhow::Result<()> {
    let text = |text: &str| serde_json::to_string(text);
    let service = |at: usize| SERVICES.get(at).map_or_else(|| DATABASES[at - SERVICES.len()].0, |service| service.0);
    write!(line, "{{\"traceId\":\"{:032x}\",\"id\":\"{:016x}\"", span.trace, span.id)?;
    if span.parent != 0 {
        write!(line, ",\"parentId\":\"{:016x}\"", span.parent)?;
    }
    line.push_str(match span.kind {
        Kind::Client => ",\"kind\":\"CLIENT\"",
        Kind::Server => ",\"kind\":\"SERVER\"",
        Kind::Local => "",
    });
    let (name, start_us, duration_us) = (text(&span.name.to_lowercase())?, span.start_us, span.duration_us.max(1));
    write!(line, ",\"name\":{name},\"timestamp\":{start_us},\"duration\":{duration_us}")?;
    let (local, at, instance) = (service(span.service), span.service, span.instance);
    write!(line, ",\"localEndpoint\":{{\"serviceName\":\"{local}\",\"ipv4\":\"10.{at}.{instance}.{}\"", 10 + instance)?;
    line.push_str(",\"port\":8080}");
    if let Some(at) = span.remote {
        let remote = service(at);
        write!(line, ",\"remoteEndpoint\":{{\"serviceName\":\"{remote}\",\"ipv4\":\"10.{at}.0.1\",\"port\":8080}}")?;
    }
    if let Some((time_us, value)) = span.annotation {
        write!(line, ",\"annotations\":[{{\"timestamp\":{time_us},\"value\":{}}}]", text(value)?)?;
    }
    line.push_str(",\"tags\":{");
    for (at, (key, value)) in span.tags.iter().enumerate() {
        write!(line, "{}\"{key}\":{}", if at == 0 { "" } else { "," }, text(value)?)?;
    }
    line.push_str("}}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The load is what figures compare by: a change of it, however small, is seen here.
    #[test]
    fn the_load_is_the_same_as_ever() {
        let options = TgenOptions { spans: 20_000, end_us: 1_790_000_000_000_000, ..TgenOptions::default() };
        let spans = generate(&options);
        let mut lines = String::new();
        for &row in batches(&spans, options.batch).iter().flatten() {
            write_span(&mut lines, &spans[row as usize]).unwrap();
        }
        let sum = lines
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        assert_eq!((spans.len(), sum), (20_013, 1_286_124_222_487_576_288));
    }
}
