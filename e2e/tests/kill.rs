//! Nothing acknowledged is lost: several connections send batches, the server is killed (`kill -9`) at random moments, started
//! again over the same data, and asked for every span it had acknowledged.
//!
//! `TRACEWELL_KILL_ROUNDS` (5), `TRACEWELL_KILL_BATCHES` (1000, of all rounds together) and `TRACEWELL_KILL_SEED` (42) choose how
//! much; `TRACEWELL_BIN` the binary. The full run (`make test-long`) is 100 rounds and 20000 batches.

#![expect(clippy::unwrap_used, reason = "a test: what fails here is what it is for")]

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Condvar, Mutex, OnceLock};
use std::time::{Duration, SystemTime};
use tracewell_e2e::{ServerProcess, server_binary};

const CONNECTIONS: u64 = 4;
/// Each batch holds this many spans, in this many traces.
const BATCH_SPANS: u64 = 12;
const BATCH_TRACES: u64 = 2;
/// How many traces are asked for at once.
const QUERY_TRACES: usize = 100;
/// A server that does not answer a request within this is as good as dead.
const REQUEST_MAX: Duration = Duration::from_secs(30);

#[test]
fn every_acknowledged_span_is_found_after_kill_9() {
    let plan = Plan::from_environment();
    let binary = server_binary().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let mut sent = Sent::default();
    let mut moments = Moments(plan.seed);
    for round in 0..plan.rounds {
        let kill_after = plan.kill_after(round, sent.acknowledged.len() as u64, &mut moments);
        let server = start(&binary, &data_dir);
        let known = sent.acknowledged.len();
        send_until_killed(server, kill_after, &mut sent);
        let answered = &sent.acknowledged[known..];
        assert!(answered.len() as u64 >= kill_after, "{} of {kill_after} batches were taken", answered.len());
        if moments.below(4) == 0 {
            let patience = Duration::from_micros(moments.below(50_000));
            ServerProcess::start_and_kill(&binary, &data_dir, patience).unwrap();
        }
        let server = start(&binary, &data_dir);
        find(&server, answered);
        server.kill().unwrap();
    }
    let server = start(&binary, &data_dir);
    find(&server, &sent.acknowledged);
    let unanswered = find_whole_or_not_at_all(&server, &sent.unanswered);
    let spans = sent.acknowledged.len() as u64 * BATCH_SPANS;
    println!(
        "{} rounds, seed {}: {} batches acknowledged, all {spans} spans found; of {} without an answer {unanswered} are there",
        plan.rounds,
        plan.seed,
        sent.acknowledged.len(),
        sent.unanswered.len(),
    );
    assert!(sent.acknowledged.len() as u64 >= plan.batches);
    assert!(server.stop().unwrap().0.success(), "SIGTERM ends the server with 0");
}

struct Plan {
    rounds: u64,
    batches: u64,
    seed: u64,
}

impl Plan {
    fn from_environment() -> Self {
        fn number(name: &str, default: u64) -> u64 {
            let text = std::env::var(name).ok();
            text.map_or(default, |text| {
                u64::from_str(&text).unwrap_or_else(|_| panic!("{name} is not a number: {text}"))
            })
        }
        let plan = Self {
            rounds: number("TRACEWELL_KILL_ROUNDS", 5),
            batches: number("TRACEWELL_KILL_BATCHES", 1000),
            seed: number("TRACEWELL_KILL_SEED", 42),
        };
        assert!(plan.rounds > 0 && plan.batches >= plan.rounds, "at least one round, and a batch in each");
        plan
    }

    /// After how many acknowledgements the server dies: anywhere in what is left for this round and those behind it, on
    /// average an equal part; the last round brings what is missing.
    fn kill_after(&self, round: u64, acknowledged: u64, moments: &mut Moments) -> u64 {
        let left = self.batches.saturating_sub(acknowledged).max(1);
        let rounds_left = self.rounds - round;
        if rounds_left == 1 { left } else { 1 + moments.below((2 * left / rounds_left).max(1)) }
    }
}

/// What was sent so far, batches by the number that decides their content, in the order of their answers.
#[derive(Default)]
struct Sent {
    next: u64,
    acknowledged: Vec<u64>,
    unanswered: Vec<u64>,
}

fn start(binary: &Path, data_dir: &Path) -> ServerProcess {
    ServerProcess::start(binary, data_dir, &[]).unwrap()
}

/// Sends on several connections until `kill_after` batches are acknowledged, and kills the server while the others go on.
fn send_until_killed(server: ServerProcess, kill_after: u64, sent: &mut Sent) {
    let url = server.url("/api/v2/spans");
    let known = sent.acknowledged.len() as u64;
    let progress = (Mutex::new(std::mem::take(sent)), Condvar::new());
    let (state, answered) = &progress;
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(|| send(&url, state, answered))).collect();
        let enough = |sent: &mut Sent| {
            (sent.acknowledged.len() as u64) < known + kill_after && !senders.iter().all(|sender| sender.is_finished())
        };
        let waiting = answered.wait_while(state.lock().unwrap(), enough).unwrap();
        drop(waiting);
        server.kill().unwrap();
    });
    *sent = progress.0.into_inner().unwrap();
}

/// One connection: batch after batch until the server is gone.
fn send(url: &str, state: &Mutex<Sent>, answered: &Condvar) {
    let agent = agent();
    loop {
        let batch = {
            let mut sent = state.lock().unwrap();
            sent.next += 1;
            sent.next - 1
        };
        let body = serde_json::to_vec(&spans_of(batch)).unwrap();
        let answer = agent.post(url).header("content-type", "application/json").send(&body[..]);
        let mut sent = state.lock().unwrap();
        match answer {
            Ok(answer) if answer.status() == 202 => {
                sent.acknowledged.push(batch);
                answered.notify_one();
            }
            // Refused for now: the batch promises nothing, and a later one is taken.
            Ok(answer) if answer.status() == 503 => sent.unanswered.push(batch),
            Ok(answer) => panic!("batch {batch} was answered {}", answer.status()),
            Err(_) => {
                sent.unanswered.push(batch);
                return;
            }
        }
    }
}

/// Every span of these batches is there, as it was sent.
fn find(server: &ServerProcess, batches: &[u64]) {
    for batches in batches.chunks(QUERY_TRACES / BATCH_TRACES as usize) {
        let found = ask(server, batches);
        for &batch in batches {
            for span in spans_of(batch) {
                let id = (text(&span, "traceId").to_owned(), text(&span, "id").to_owned());
                assert_eq!(found.get(&id), Some(&span), "acknowledged batch {batch}, as found against as sent");
            }
        }
    }
}

/// Batches that were sent but not answered may be there or not, but not in part, and not altered. Answers how many are.
fn find_whole_or_not_at_all(server: &ServerProcess, batches: &[u64]) -> usize {
    let mut there = 0;
    for batches in batches.chunks(QUERY_TRACES / BATCH_TRACES as usize) {
        let found = ask(server, batches);
        for &batch in batches {
            let spans = spans_of(batch);
            let of_batch: Vec<_> = spans
                .iter()
                .filter_map(|span| found.get(&(text(span, "traceId").to_owned(), text(span, "id").to_owned())))
                .collect();
            assert!(
                of_batch.is_empty() || of_batch == spans.iter().collect::<Vec<_>>(),
                "batch {batch} is there in part: {} of {BATCH_SPANS} spans",
                of_batch.len(),
            );
            there += usize::from(!of_batch.is_empty());
        }
    }
    there
}

/// What the server has of these batches' traces, by trace and span id.
fn ask(server: &ServerProcess, batches: &[u64]) -> BTreeMap<(String, String), Value> {
    let ids: Vec<String> =
        batches.iter().flat_map(|&batch| (0..BATCH_TRACES).map(move |n| trace_id(batch, n))).collect();
    let url = server.url(&format!("/api/v2/traceMany?traceIds={}", ids.join(",")));
    let answer = agent().get(&url).call().unwrap().body_mut().with_config().limit(64 << 20).read_to_vec().unwrap();
    let traces: Vec<Vec<Value>> = serde_json::from_slice(&answer).unwrap();
    let spans = traces.into_iter().flatten();
    spans.map(|span| ((text(&span, "traceId").to_owned(), text(&span, "id").to_owned()), span)).collect()
}

/// The spans of a batch: its number decides all of them. Fields as the server writes them, so that they compare equal.
fn spans_of(batch: u64) -> Vec<Value> {
    let spans_per_trace = BATCH_SPANS / BATCH_TRACES;
    let spans = (0..BATCH_SPANS).map(|n| {
        let (trace, place) = (n / spans_per_trace, n % spans_per_trace);
        let mut span = json!({
            "traceId": trace_id(batch, trace),
            "id": format!("{:016x}", span_id(batch, n)),
            "name": format!("step {place}"),
            "timestamp": start_us() + batch * 1000 + n,
            "duration": 1 + Moments(batch * BATCH_SPANS + n).below(1_000_000),
            "localEndpoint": {"serviceName": format!("service-{}", batch % 7), "ipv4": "10.0.0.1"},
            "tags": {"batch": batch.to_string(), "text": format!("{:x}", Moments(batch + n).below(u64::MAX)).repeat(3)},
        });
        if place > 0 {
            span["parentId"] = json!(format!("{:016x}", span_id(batch, n - 1)));
        }
        span
    });
    spans.collect()
}

/// When the first batch's spans begin: now, so that no retention takes them.
fn start_us() -> u64 {
    static START_US: OnceLock<u64> = OnceLock::new();
    *START_US.get_or_init(|| SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros() as u64 - 60_000_000)
}

fn trace_id(batch: u64, trace: u64) -> String {
    let low = Moments(batch * BATCH_TRACES + trace).below(u64::MAX);
    format!("{:016x}{:016x}", batch + 1, low)
}

fn span_id(batch: u64, place: u64) -> u64 {
    1 + batch * BATCH_SPANS + place
}

fn text<'a>(span: &'a Value, key: &str) -> &'a str {
    span[key].as_str().unwrap_or_else(|| panic!("a span without {key}: {span}"))
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(REQUEST_MAX)).build().into()
}

/// A sequence of numbers that a seed decides (SplitMix64).
struct Moments(u64);

impl Moments {
    /// The next number below `bound`, which is above zero.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

/// The plan spends what it has, whatever the moments are.
#[test]
fn rounds_share_the_batches() {
    let plan = Plan { rounds: 50, batches: 10_000, seed: 1 };
    let mut moments = Moments(plan.seed);
    let mut acknowledged = 0;
    for round in 0..plan.rounds {
        acknowledged += plan.kill_after(round, acknowledged, &mut moments);
    }
    assert!(acknowledged >= plan.batches);
}

/// Where the fixture's paths come from.
#[test]
fn the_log_lies_beside_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let missing = PathBuf::from("no-such-binary");
    assert!(ServerProcess::start(&missing, &folder.path().join("data"), &[]).is_err());
    assert!(folder.path().join("server.log").is_file());
}
