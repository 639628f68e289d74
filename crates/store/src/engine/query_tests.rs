//! Random questions to the whole engine, each answer held against brute force: spans that are late, copied, of the far past and
//! future, traces split over memory and many segments, while these are sealed and merged, and after restarts.
//!
//! `TRACEWELL_QUERIES=1000000` makes more of them.

use super::EmbeddedStore;
use super::options::EmbeddedOptions;
use crate::contract::{Comparison, Random};
use crate::disk::sim::SimDisk;
use crate::store::Store;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Unless the environment says otherwise.
const QUERIES: u64 = 10_000;

fn options(random: &mut Random) -> EmbeddedOptions {
    EmbeddedOptions {
        // From a segment a batch to all batches in memory.
        seal_bytes: Some([0, 0, 20_000, 60_000, 16 << 20][random.below(5) as usize]),
        merge_bytes_max: Some([0, 4_000, 1 << 20][random.below(3) as usize]),
        log_file_bytes: 1 << 20,
        disk_free_bytes_min: Some(0),
        tag_keys: vec!["http.method".to_owned(), "env".to_owned()],
        ..EmbeddedOptions::default()
    }
}

/// What was compared.
#[derive(Default)]
struct Totals {
    seeds: AtomicU64,
    queries: AtomicU64,
    answered: AtomicU64,
    restarts: AtomicU64,
    segments: AtomicU64,
    merged: AtomicU64,
}

fn compare(seed: u64, totals: &Totals) {
    let random = &mut Random::new(seed ^ 0xdead_beef);
    let options = options(random);
    let disk = SimDisk::new(seed);
    let open = || EmbeddedStore::open(options.clone(), Arc::new(disk.clone())).unwrap();
    let mut store = open();
    let mut comparison = Comparison::new(store.tag_keys(), seed);
    while comparison.step(&store) {
        if random.below(4) == 0 {
            totals.merged.fetch_add(store.stats().segments_merged, Relaxed);
            drop(store);
            disk.power_cycle();
            store = open();
            totals.restarts.fetch_add(1, Relaxed);
        }
    }
    let (queries, answered) = comparison.searches();
    let stats = store.stats();
    let counts = [(&totals.seeds, 1), (&totals.queries, queries), (&totals.answered, answered)];
    let more = [(&totals.segments, stats.segments), (&totals.merged, stats.segments_merged)];
    counts.iter().chain(&more).for_each(|(total, count)| _ = total.fetch_add(*count, Relaxed));
}

#[test]
fn random_queries_are_answered_as_brute_force_does() {
    let queries = std::env::var("TRACEWELL_QUERIES").ok();
    let queries = queries.map_or(QUERIES, |value| value.parse().unwrap());
    let (totals, next) = (Totals::default(), AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get().min(8));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while totals.queries.load(Relaxed) < queries {
                    let seed = next.fetch_add(1, Relaxed);
                    struct Told(u64);
                    impl Drop for Told {
                        fn drop(&mut self) {
                            if std::thread::panicking() {
                                println!("seed {}", self.0);
                            }
                        }
                    }
                    let _told = Told(seed);
                    compare(seed, &totals);
                }
            });
        }
    });
    let Totals { seeds, queries, answered, restarts, segments, merged } = totals;
    let [seeds, queries, answered] = [seeds, queries, answered].map(AtomicU64::into_inner);
    let [restarts, segments, merged] = [restarts, segments, merged].map(AtomicU64::into_inner);
    println!(
        "{queries} searches over {seeds} random stores ({segments} segments, {merged} merged, {restarts} restarts) \
         as brute force has them; {answered} found something"
    );
    assert!(answered > queries / 10 && restarts > 0 && merged > 0 && segments > seeds / 2);
}
