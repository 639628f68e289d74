//! The shop: frontend, catalog, cart, payment and shipping, with MySQL, Redis and Kafka behind them. Out come the spans that a
//! request to it would leave: shared (B3) and single RPC spans, slow queries, retries, time-outs, errors, messages.

use super::random::Random;
use tracewell_model::{Kind, OwnedAnnotation, OwnedEndpoint, Span, SpanId, Time, TraceId, Value};

/// See the module's text.
pub(super) struct Shop {
    random: Random,
}

/// A service, or what it speaks to.
struct Peer {
    name: &'static str,
    ipv4: [u8; 4],
    port: u16,
    /// Its tracer reports the server's half of a call under the client's span id, as B3 tracers do.
    joins_spans: bool,
}

const fn peer(name: &'static str, host: u8, port: u16, joins_spans: bool) -> Peer {
    Peer { name, ipv4: [10, 1, 0, host], port, joins_spans }
}

static FRONTEND: Peer = peer("frontend", 10, 8080, true);
static CATALOG: Peer = peer("catalog", 20, 9000, true);
static CART: Peer = peer("cart", 30, 9000, true);
static PAYMENT: Peer = peer("payment", 40, 9000, false);
static SHIPPING: Peer = peer("shipping", 50, 9000, false);
static MYSQL: Peer = peer("mysql", 60, 3306, false);
static REDIS: Peer = peer("redis", 61, 6379, false);
static KAFKA: Peer = peer("kafka", 62, 9092, false);

const BROWSERS: &[&str] = &["Firefox/143.0", "Chrome/141.0", "Safari/26.0", "curl/8.14"];
const CARDS_REFUSED: &[&str] = &["card expired", "insufficient funds", "3-D Secure failed"];
/// How often the cart asks for a payment before it gives up.
const CHARGE_ATTEMPTS: u32 = 3;
const CHARGE_TIMEOUT_US: u64 = 400_000;

impl Shop {
    pub(super) fn new(random: Random) -> Self {
        Self { random }
    }

    /// One request, as one trace whose last span ends at this time, microseconds since the epoch.
    pub(super) fn trace_ending_at(&mut self, end_us: u64) -> Vec<Span> {
        let trace_id = TraceId::from_halves(self.random.next(), self.random.next() | 1);
        let mut request = Request { random: &mut self.random, trace_id, now_us: 0, spans: Vec::new() };
        request.browse();
        let spans = request.spans;
        let last_us = spans.iter().map(end_of).max().unwrap_or(0);
        let shift = |time: Time| Time::from_micros(end_us.saturating_sub(last_us) + time.as_micros());
        let shifted = spans.into_iter().map(|mut span| {
            span.start = span.start.map(shift);
            for annotation in &mut span.annotations {
                annotation.time = shift(annotation.time);
            }
            span
        });
        shifted.collect()
    }
}

fn end_of(span: &Span) -> u64 {
    span.start.unwrap_or_default().as_micros() + span.duration.unwrap_or_default().as_micros()
}

/// A request on its way through the shop. Time passes as it is served.
struct Request<'a> {
    random: &'a mut Random,
    trace_id: TraceId,
    now_us: u64,
    spans: Vec<Span>,
}

/// How a call went: a status of HTTP, and what went wrong.
type Outcome = Result<(), (u16, &'static str)>;

/// A call over HTTP.
#[derive(Clone, Copy)]
struct Call<'a> {
    method: &'static str,
    /// With its parameters, as the span's name.
    route: &'static str,
    path: &'a str,
    /// When the caller stops waiting.
    timeout_us: u64,
}

impl Request<'_> {
    // ---- the frontend, where requests come in

    fn browse(&mut self) {
        let (user, product) = (self.random.below(5000), self.random.below(800));
        match self.random.below(100) {
            0..40 => self.serve("get", "/", "/", |it, span| it.home(span, user)),
            40..70 => {
                let path = format!("/product/{product}");
                self.serve("get", "/product/{id}", &path, |it, span| it.product(span, product));
            }
            70..85 => self.serve("get", "/cart", "/cart", |it, span| it.look_at_cart(&FRONTEND, span, user)),
            _ => self.serve("post", "/checkout", "/checkout", |it, span| it.checkout(span, user)),
        }
    }

    /// The root: what the frontend answers a browser.
    fn serve(&mut self, method: &str, route: &str, path: &str, work: impl FnOnce(&mut Self, SpanId) -> Outcome) {
        let id = self.id();
        let start_us = self.now_us;
        self.wait(900);
        let outcome = work(self, id);
        let outcome = self.render(id).and(outcome);
        let mut span = self.span(id, None, Kind::Server, &FRONTEND, start_us);
        span.name = format!("{method} {route}");
        span.remote =
            Some(OwnedEndpoint { ipv4: Some([203, 0, 113, self.random.below(250) as u8]), ..Default::default() });
        span.tags = http_tags(&method.to_uppercase(), path, outcome);
        span.tags.push(tag("http.user_agent", self.random.pick(BROWSERS)));
        self.spans.push(span);
    }

    fn home(&mut self, span: SpanId, user: u64) -> Outcome {
        self.list_products(span)?;
        if self.random.chance(0.5) { self.look_at_cart(&FRONTEND, span, user) } else { Ok(()) }
    }

    fn product(&mut self, span: SpanId, product: u64) -> Outcome {
        let path = format!("/products/{product}");
        let call = Call { method: "GET", route: "get /products/{id}", path: &path, timeout_us: u64::MAX };
        self.call(&FRONTEND, &CATALOG, span, call, |it, span| {
            if it.random.chance(0.03) {
                return Err((404, "no such product"));
            }
            it.cached(&CATALOG, span, &format!("product:{product}"), |it| {
                it.query(
                    &CATALOG,
                    span,
                    "select products",
                    &format!("SELECT * FROM products WHERE id = {product}"),
                    2_500,
                );
                it.query(
                    &CATALOG,
                    span,
                    "select reviews",
                    &format!("SELECT * FROM reviews WHERE product = {product}"),
                    6_000,
                );
            });
            Ok(())
        })
    }

    fn checkout(&mut self, span: SpanId, user: u64) -> Outcome {
        let path = format!("/carts/{user}/checkout");
        let call = Call { method: "POST", route: "post /carts/{user}/checkout", path: &path, timeout_us: u64::MAX };
        self.call(&FRONTEND, &CART, span, call, |it, span| {
            it.cache(&CART, span, "get", &format!("cart:{user}"));
            it.charge_until_paid(span, user)?;
            it.send_order(span, user);
            it.cache(&CART, span, "del", &format!("cart:{user}"));
            Ok(())
        })
    }

    fn render(&mut self, parent: SpanId) -> Outcome {
        let (id, start_us) = (self.id(), self.now_us);
        self.wait(2_500);
        let mut span = self.span(id, Some(parent), Kind::Unset, &FRONTEND, start_us);
        span.name = "render page".to_owned();
        span.tags = vec![tag("template", "shop.html")];
        self.spans.push(span);
        Ok(())
    }

    // ---- what is behind it

    fn list_products(&mut self, span: SpanId) -> Outcome {
        let call = Call { method: "GET", route: "get /products", path: "/products", timeout_us: u64::MAX };
        self.call(&FRONTEND, &CATALOG, span, call, |it, span| {
            it.cached(&CATALOG, span, "products:popular", |it| {
                // Now and then the index is not used, and a query takes its time.
                let slow = it.random.chance(0.15);
                let sql = if slow {
                    "SELECT * FROM products ORDER BY rating"
                } else {
                    "SELECT * FROM products WHERE popular"
                };
                it.query(&CATALOG, span, "select products", sql, if slow { 1_200_000 } else { 8_000 });
                if slow && let Some(query) = it.spans.last_mut() {
                    query.tags.push(tag("db.rows_examined", "1204377"));
                }
            });
            Ok(())
        })
    }

    fn look_at_cart(&mut self, caller: &Peer, span: SpanId, user: u64) -> Outcome {
        let path = format!("/carts/{user}");
        let call = Call { method: "GET", route: "get /carts/{user}", path: &path, timeout_us: u64::MAX };
        self.call(caller, &CART, span, call, |it, span| {
            it.cache(&CART, span, "get", &format!("cart:{user}"));
            Ok(())
        })
    }

    fn charge_until_paid(&mut self, span: SpanId, user: u64) -> Outcome {
        let mut outcome = Ok(());
        for attempt in 1..=CHARGE_ATTEMPTS {
            outcome = self.charge(span, user);
            match outcome {
                Err((503 | 504, _)) if attempt < CHARGE_ATTEMPTS => {
                    let failed = self.spans.iter_mut().rev().find(|span| span.kind == Kind::Client);
                    if let Some(failed) = failed {
                        failed.tags.push(tag("retry.attempt", &attempt.to_string()));
                        let time = Time::from_micros(end_of(failed));
                        failed.annotations.push(OwnedAnnotation {
                            time,
                            value: "will try again".to_owned(),
                            details: vec![],
                        });
                    }
                    self.wait(50_000 << attempt);
                }
                _ => break,
            }
        }
        outcome
    }

    fn charge(&mut self, span: SpanId, user: u64) -> Outcome {
        let call = Call { method: "POST", route: "post /charges", path: "/charges", timeout_us: CHARGE_TIMEOUT_US };
        self.call(&CART, &PAYMENT, span, call, |it, span| {
            if it.random.chance(0.12) {
                return Err((503, "too many charges are being made"));
            }
            it.score(span);
            if it.random.chance(0.08) {
                let refused = it.random.pick(CARDS_REFUSED);
                return Err((402, refused));
            }
            // The bank is slow at times, and the caller does not wait for it.
            let bank_us = if it.random.chance(0.1) { 900_000 } else { 45_000 };
            it.query(
                &PAYMENT,
                span,
                "insert charges",
                &format!("INSERT INTO charges (user, state) VALUES ({user}, 'paid')"),
                bank_us,
            );
            Ok(())
        })
    }

    fn score(&mut self, parent: SpanId) {
        let (id, start_us) = (self.id(), self.now_us);
        self.wait(7_000);
        let mut span = self.span(id, Some(parent), Kind::Unset, &PAYMENT, start_us);
        span.name = "score fraud".to_owned();
        span.tags = vec![tag("score", &format!("0.{:02}", self.random.below(100)))];
        self.spans.push(span);
    }

    /// The order goes to shipping by message; nobody waits for what comes of it.
    fn send_order(&mut self, parent: SpanId, user: u64) {
        let sent = self.produce(&CART, parent, "orders", user);
        let after_us = self.now_us;
        self.wait(60_000);
        let received = self.consume(&SHIPPING, sent, "orders", |it, span| {
            it.query(&SHIPPING, span, "insert parcels", &format!("INSERT INTO parcels (user) VALUES ({user})"), 5_000);
            it.random.chance(0.05).then_some("no carrier delivers to this address")
        });
        let stocked = self.produce(&SHIPPING, received, "parcels", user);
        self.wait(30_000);
        self.consume(&CATALOG, stocked, "parcels", |it, span| {
            it.query(&CATALOG, span, "update stock", "UPDATE stock SET count = count - 1 WHERE product = 7", 4_000);
            None
        });
        self.now_us = after_us;
    }

    // ---- kinds of work

    /// A call from one service to another: the client's span and, shared or below it, the server's.
    fn call(
        &mut self,
        caller: &Peer,
        callee: &Peer,
        parent: SpanId,
        call: Call<'_>,
        work: impl FnOnce(&mut Self, SpanId) -> Outcome,
    ) -> Outcome {
        let client = self.id();
        let client_start_us = self.now_us;
        self.wait(400);
        let (server, server_parent) = if callee.joins_spans { (client, parent) } else { (self.id(), client) };
        let server_start_us = self.now_us;
        self.wait(700);
        let outcome = work(self, server);
        let mut span = self.span(server, Some(server_parent), Kind::Server, callee, server_start_us);
        span.shared = callee.joins_spans;
        span.name = call.route.to_owned();
        span.remote = Some(endpoint(caller, false));
        span.tags = http_tags(call.method, call.path, outcome);
        self.spans.push(span);

        self.wait(350);
        let waited_us = self.now_us - client_start_us;
        let outcome = if waited_us > call.timeout_us { Err((504, "timed out after 400 ms")) } else { outcome };
        self.now_us = client_start_us + waited_us.min(call.timeout_us);
        let mut span = self.span(client, Some(parent), Kind::Client, caller, client_start_us);
        span.name = call.route.to_owned();
        span.remote = Some(endpoint(callee, true));
        span.tags = http_tags(call.method, call.path, outcome);
        self.spans.push(span);
        outcome
    }

    /// Asks the cache, and does the work when it does not know.
    fn cached(&mut self, service: &Peer, parent: SpanId, key: &str, work: impl FnOnce(&mut Self)) {
        let hit = self.random.chance(0.7);
        self.cache(service, parent, "get", key);
        if let Some(span) = self.spans.last_mut() {
            span.tags.push(tag("cache.hit", if hit { "true" } else { "false" }));
        }
        if !hit {
            work(self);
            self.cache(service, parent, "set", key);
        }
    }

    fn cache(&mut self, service: &Peer, parent: SpanId, command: &str, key: &str) {
        let tags = vec![tag("redis.key", key)];
        self.ask(service, &REDIS, parent, command, tags, 300);
    }

    fn query(&mut self, service: &Peer, parent: SpanId, name: &str, sql: &str, median_us: u64) {
        let tags = vec![tag("sql.query", sql)];
        self.ask(service, &MYSQL, parent, name, tags, median_us);
    }

    /// A question to something that is not traced itself.
    fn ask(
        &mut self,
        service: &Peer,
        of: &Peer,
        parent: SpanId,
        name: &str,
        tags: Vec<(String, Value)>,
        median_us: u64,
    ) {
        let (id, start_us) = (self.id(), self.now_us);
        self.wait(median_us);
        let mut span = self.span(id, Some(parent), Kind::Client, service, start_us);
        span.name = name.to_owned();
        span.remote = Some(endpoint(of, true));
        span.tags = tags;
        self.spans.push(span);
    }

    fn produce(&mut self, service: &Peer, parent: SpanId, topic: &str, key: u64) -> SpanId {
        let (id, start_us) = (self.id(), self.now_us);
        self.wait(1_500);
        let mut span = self.span(id, Some(parent), Kind::Producer, service, start_us);
        span.name = format!("send {topic}");
        span.remote = Some(endpoint(&KAFKA, true));
        span.tags = vec![tag("kafka.topic", topic), tag("kafka.key", &key.to_string())];
        self.spans.push(span);
        id
    }

    fn consume(
        &mut self,
        service: &Peer,
        parent: SpanId,
        topic: &str,
        work: impl FnOnce(&mut Self, SpanId) -> Option<&'static str>,
    ) -> SpanId {
        let (id, start_us) = (self.id(), self.now_us);
        self.wait(800);
        let error = work(self, id);
        let mut span = self.span(id, Some(parent), Kind::Consumer, service, start_us);
        span.name = format!("receive {topic}");
        span.remote = Some(endpoint(&KAFKA, true));
        span.tags = vec![tag("kafka.topic", topic), tag("kafka.partition", &self.random.below(6).to_string())];
        span.tags.extend(error.map(|error| tag("error", error)));
        self.spans.push(span);
        id
    }

    fn id(&mut self) -> SpanId {
        SpanId::new(self.random.next() | 1)
    }

    fn wait(&mut self, median_us: u64) {
        self.now_us += self.random.around(median_us);
    }

    /// A span from `start_us` to now.
    fn span(&self, id: SpanId, parent: Option<SpanId>, kind: Kind, service: &Peer, start_us: u64) -> Span {
        Span {
            trace_id: self.trace_id,
            id,
            parent,
            kind,
            start: Some(Time::from_micros(start_us)),
            duration: Some(Time::from_micros(self.now_us - start_us)),
            local: Some(endpoint(service, kind == Kind::Server)),
            ..Span::default()
        }
    }
}

fn endpoint(peer: &Peer, listens: bool) -> OwnedEndpoint {
    let port = if listens { peer.port } else { 0 };
    OwnedEndpoint { service: peer.name.to_owned(), ipv4: Some(peer.ipv4), port, ..OwnedEndpoint::default() }
}

fn http_tags(method: &str, path: &str, outcome: Outcome) -> Vec<(String, Value)> {
    let status = outcome.map_or_else(|(status, _)| status, |()| 200);
    let mut tags =
        vec![tag("http.method", method), tag("http.path", path), tag("http.status_code", &status.to_string())];
    if let Err((_, why)) = outcome {
        tags.push(tag("error", why));
    }
    tags
}

fn tag(key: &str, value: &str) -> (String, Value) {
    (key.to_owned(), Value::Str(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    const END_US: u64 = 1_790_000_000_000_000;

    fn traces(seed: u64, count: usize) -> Vec<Vec<Span>> {
        let mut shop = Shop::new(Random::new(seed));
        (0..count).map(|_| shop.trace_ending_at(END_US)).collect()
    }

    #[test]
    fn a_seed_decides_all() {
        assert_eq!(traces(7, 20), traces(7, 20));
        assert_ne!(traces(7, 20), traces(8, 20));
    }

    #[test]
    fn every_trace_is_a_tree_of_its_own() {
        let traces = traces(1, 300);
        let ids: BTreeSet<TraceId> = traces.iter().map(|spans| spans[0].trace_id).collect();
        assert_eq!(ids.len(), traces.len());
        for spans in &traces {
            let known: BTreeSet<u64> = spans.iter().map(|span| span.id.value()).collect();
            assert_eq!(spans.iter().filter(|span| span.parent.is_none()).count(), 1);
            assert!(spans.iter().all(|span| span.parent.is_none_or(|parent| known.contains(&parent.value()))));
            assert_eq!(spans.iter().map(end_of).max(), Some(END_US));
        }
    }

    #[test]
    fn shared_spans_come_in_pairs_of_client_and_server() {
        for spans in traces(2, 300) {
            let mut halves: BTreeMap<u64, Vec<&Span>> = BTreeMap::new();
            for span in &spans {
                halves.entry(span.id.value()).or_default().push(span);
            }
            for (_, halves) in halves.into_iter().filter(|(_, halves)| halves.len() > 1) {
                let [server, client] = halves[..] else { panic!("{halves:?}") };
                assert_eq!((server.kind, server.shared, client.kind), (Kind::Server, true, Kind::Client));
                assert_eq!(server.parent, client.parent);
                assert!(server.start > client.start && end_of(server) < end_of(client) || has(client, "error"));
            }
        }
    }

    #[test]
    fn everything_worth_seeing_happens() {
        let spans: Vec<Span> = traces(3, 500).into_iter().flatten().collect();
        let services: BTreeSet<&str> =
            spans.iter().filter_map(|span| Some(span.local.as_ref()?.service.as_str())).collect();
        assert_eq!(services.into_iter().collect::<Vec<_>>(), ["cart", "catalog", "frontend", "payment", "shipping"]);
        let some = |what: &dyn Fn(&Span) -> bool| spans.iter().any(what);
        assert!(
            some(&|span| span.kind == Kind::Producer)
                && some(&|span| span.kind == Kind::Consumer && has(span, "error"))
        );
        assert!(some(&|span| has(span, "retry.attempt") && !span.annotations.is_empty()), "a retry");
        assert!(
            some(&|span| has(span, "db.rows_examined") && span.duration > Some(Time::from_micros(500_000))),
            "a slow query"
        );
        assert!(
            some(&|span| span.kind == Kind::Server && span.parent.is_none() && has(span, "error")),
            "a failed request"
        );
    }

    fn has(span: &Span, key: &str) -> bool {
        span.tags.iter().any(|(name, _)| name == key)
    }
}
