//! A disk that is really full: a small file system, filled by somebody else while spans are sent. Spans are refused, reads go
//! on, and when there is room again the same server takes spans again; nothing acknowledged is lost, also not by a kill.
//!
//! Mounting takes the rights of root: where it is not permitted, the test says so and ends. (The store's own tests fill the
//! simulated disk, whoever runs them.) `TRACEWELL_FULL_DISK_ROUNDS` (1) fills it so often.

#![expect(clippy::unwrap_used, reason = "a test: what fails here is what it is for")]

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};
use tracewell_e2e::{ServerProcess, server_binary};

/// Room for two log files of 64 MiB and some segments.
const DISK_MIB: u64 = 256;
/// Texts of a span without a rule in them, so that they take room.
const TEXT_BYTES: usize = 4000;
const BATCH_SPANS: u64 = 100;
/// So many refusals in a row are a full disk, not a busy moment.
const REFUSALS: usize = 50;
const BATCHES_MAX: u64 = 5000;
/// Of so many batches one is looked for while the server runs on; in the end all are.
const SOME: usize = 7;
/// As long as the server may take to see that there is room.
const RECOVERY_MAX: Duration = Duration::from_secs(60);

#[test]
fn a_full_disk_refuses_spans_and_recovers_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("disk")) else {
        println!("not run: no file system can be mounted here");
        return;
    };
    let rounds = std::env::var("TRACEWELL_FULL_DISK_ROUNDS").ok().map_or(1, |rounds| rounds.parse::<u64>().unwrap());
    let binary = server_binary().unwrap();
    let data_dir = disk.0.join("data");
    // No limit of its own: the disk is the limit.
    let arguments = ["--disk-free-bytes-min", "0", "--store-memory-bytes-max", "32MiB"];
    let mut acknowledged = vec![];
    let mut next = 0;
    for round in 0..rounds {
        let server = ServerProcess::start(&binary, &data_dir, &arguments).unwrap();
        let agent = agent();
        let taken = send_until(&server, &agent, &mut next, &mut acknowledged, 20);
        assert_eq!(taken, 20, "there is room");
        disk.fill(24 << 20);
        let taken = send_until(&server, &agent, &mut next, &mut acknowledged, BATCHES_MAX);
        assert!(taken < BATCHES_MAX, "the disk never got full");
        find(&server, &agent, acknowledged.iter().step_by(SOME));
        disk.make_room();
        wait_until_taken(&server, &agent, &mut next, &mut acknowledged);
        assert_eq!(health(&server, &agent), 200);
        find(&server, &agent, acknowledged.iter().step_by(SOME));
        server.kill().unwrap();
        let server = ServerProcess::start(&binary, &data_dir, &arguments).unwrap();
        find(&server, &agent, acknowledged.iter());
        println!(
            "round {round}: {} batches acknowledged, {taken} of them before the disk was full",
            acknowledged.len()
        );
        assert!(server.stop().unwrap().0.success());
    }
    let checked = Command::new(&binary).args(["check", "--data-dir"]).arg(&data_dir).output().unwrap();
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stdout));
}

/// A file system of its own, gone with this.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Nothing where that is not permitted.
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={DISK_MIB}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output().ok()?;
        mounted.status.success().then(|| Self(at.to_owned()))
    }

    /// Somebody else takes all room but so much.
    fn fill(&self, leave_bytes: u64) {
        let space = rustix::fs::statvfs(&self.0).unwrap();
        let bytes = (space.f_bavail * space.f_frsize).saturating_sub(leave_bytes);
        std::fs::write(self.balloon(), vec![1; bytes as usize]).unwrap();
    }

    fn make_room(&self) {
        std::fs::remove_file(self.balloon()).unwrap();
    }

    fn balloon(&self) -> PathBuf {
        self.0.join("somebody-else")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whatever still uses it loses it when it ends.
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

/// Sends up to so many batches, until they are refused again and again; answers how many were taken.
fn send_until(
    server: &ServerProcess,
    agent: &ureq::Agent,
    next: &mut u64,
    acknowledged: &mut Vec<u64>,
    batches: u64,
) -> u64 {
    let (mut taken, mut refused) = (0, 0);
    while taken < batches && refused < REFUSALS {
        if post(server, agent, *next) {
            acknowledged.push(*next);
            (taken, refused) = (taken + 1, 0);
        } else {
            refused += 1;
            pause(Duration::from_millis(40));
        }
        *next += 1;
    }
    taken
}

fn wait_until_taken(server: &ServerProcess, agent: &ureq::Agent, next: &mut u64, acknowledged: &mut Vec<u64>) {
    let started = std::time::Instant::now();
    while send_until(server, agent, next, acknowledged, 5) == 0 {
        assert!(started.elapsed() < RECOVERY_MAX, "there is room, and spans are still refused");
    }
}

fn post(server: &ServerProcess, agent: &ureq::Agent, batch: u64) -> bool {
    let spans: Vec<Value> = (0..BATCH_SPANS).map(|n| span(batch, n)).collect();
    let body = serde_json::to_vec(&spans).unwrap();
    let answer = agent.post(server.url("/api/v2/spans")).header("content-type", "application/json").send(&body[..]);
    match answer.unwrap().status().as_u16() {
        202 => true,
        503 => false,
        status => panic!("batch {batch} was answered {status}"),
    }
}

fn health(server: &ServerProcess, agent: &ureq::Agent) -> u16 {
    agent.get(server.url("/health")).call().unwrap().status().as_u16()
}

/// Each of these acknowledged batches is a trace of its own, and there.
fn find<'a>(server: &ServerProcess, agent: &ureq::Agent, batches: impl Iterator<Item = &'a u64>) {
    for &batch in batches {
        let url = server.url(&format!("/api/v2/trace/{}", trace_id(batch)));
        let body = agent.get(&url).call().unwrap().body_mut().with_config().limit(64 << 20).read_to_vec().unwrap();
        let spans: Vec<Value> = serde_json::from_slice(&body).unwrap_or_default();
        assert_eq!(spans.len() as u64, BATCH_SPANS, "acknowledged batch {batch}");
        let found = spans.iter().find(|found| found["id"] == span(batch, 7)["id"]).unwrap();
        assert_eq!(found["tags"], span(batch, 7)["tags"], "acknowledged batch {batch}");
    }
}

fn span(batch: u64, n: u64) -> Value {
    static START_US: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    let start_us = *START_US.get_or_init(|| SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros() as u64 - 60_000_000);
    let mut state = batch * BATCH_SPANS + n;
    let mut text = String::with_capacity(TEXT_BYTES + 16);
    while text.len() < TEXT_BYTES {
        // SplitMix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        text.push_str(&format!("{:016x}", mixed ^ (mixed >> 31)));
    }
    json!({
        "traceId": trace_id(batch),
        "id": format!("{:016x}", batch * BATCH_SPANS + n + 1),
        "name": "fill",
        "timestamp": start_us + batch * 1000 + n,
        "duration": 10,
        "localEndpoint": {"serviceName": "filler"},
        "tags": {"text": text},
    })
}

fn trace_id(batch: u64) -> String {
    format!("{:032x}", batch + 1)
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    config.timeout_global(Some(Duration::from_secs(60))).build().into()
}

#[expect(clippy::disallowed_methods, reason = "who is refused waits before trying again; nothing is decided by it")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
