//! The log over the simulated disk: what comes back, what a damaged bit costs, what a failed or full disk does.

use super::{Durability, FileLog};
use crate::disk::Disk;
use crate::disk::sim::{Random, SimDisk};
use crate::seams::{Log, ReplayReport, SeamError};
use std::sync::Arc;

const FILE_BYTES: u64 = 16 << 10;

fn open(disk: &SimDisk) -> FileLog {
    FileLog::open(Arc::new(disk.clone()), Durability::Fsync, FILE_BYTES).unwrap()
}

type Records = Vec<(u64, Vec<u8>)>;

fn replay(log: &FileLog, from: u64) -> (Records, ReplayReport) {
    let mut records = vec![];
    let report = log.replay(from, &mut |sequence, bytes| records.push((sequence, bytes.to_vec()))).unwrap();
    (records, report)
}

fn open_new(disk: &SimDisk) -> FileLog {
    let log = open(disk);
    assert_eq!(replay(&log, 1).0, vec![]);
    log
}

/// Groups of records with different lengths.
fn append_groups(log: &FileLog, groups: u64) -> Records {
    let mut written = vec![];
    for group in 0..groups {
        let payloads: Vec<Vec<u8>> = (0..=group % 3)
            .map(|at| vec![b'a' + (group + at) as u8 % 26; 20 + (group * 37 + at) as usize % 90])
            .collect();
        let records: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        let first = log.append(&records).unwrap();
        written.extend((first..).zip(payloads));
    }
    written
}

#[test]
fn what_was_appended_is_replayed_across_files_and_restarts() {
    let disk = SimDisk::new(1);
    let mut written = append_groups(&open_new(&disk), 10);
    for restart in 0..3 {
        disk.power_cycle();
        let log = open(&disk);
        let (records, report) = replay(&log, 1);
        assert_eq!(records, written, "restart {restart}");
        let next_sequence = written.len() as u64 + 1;
        let records = written.len() as u64;
        assert_eq!(report, ReplayReport { records, next_sequence, torn_tail_bytes: 0, damage: vec![] });
        written.extend(append_groups(&log, 5));
    }
    assert!(disk.names().len() > 3, "each file takes four groups: {:?}", disk.names());
}

#[test]
fn trimmed_files_are_used_again_and_their_old_contents_never_come_back() {
    let disk = SimDisk::new(2);
    let log = open_new(&disk);
    let written = append_groups(&log, 40);
    let keep_from = written[written.len() - 3].0;
    log.trim(keep_from).unwrap();
    let files = disk.names();
    assert!(files.len() <= 3 && files.iter().any(|name| name.ends_with(".spare")), "{files:?}");
    let more = append_groups(&log, 6);
    let expected: Records = written.into_iter().chain(more).filter(|(sequence, _)| *sequence >= keep_from).collect();
    disk.power_cycle();
    let (records, report) = replay(&open(&disk), keep_from);
    assert_eq!((records, report.damage), (expected, vec![]));
}

#[test]
fn numbers_go_on_behind_what_segments_cover_even_without_a_log() {
    let disk = SimDisk::new(3);
    let log = open(&disk);
    assert_eq!(replay(&log, 100).1.next_sequence, 100);
    assert_eq!(log.append(&[b"x"]), Ok(100));
}

#[test]
fn a_clean_close_leaves_nothing_to_search_for() {
    let disk = SimDisk::new(4);
    let log = open_new(&disk);
    let written = append_groups(&log, 2);
    log.close().unwrap();
    assert!(log.append(&[b"x"]).is_err());
    disk.power_cycle();
    let name = disk.names()[0].clone();
    assert!(disk.contents(&name).len() < 3 * 4096);
    assert_eq!(replay(&open(&disk), 1).0, written);
}

/// Every flipped bit is either harmless or reported, costs at most its own group, and brings up nothing that was not
/// written.
#[test]
fn every_flipped_bit_is_harmless_or_reported() {
    let disk = SimDisk::new(5);
    disk.set_direct(true);
    let written = append_groups(&open_new(&disk), 4);
    let name = disk.names()[0].clone();
    let used = 4 * 4096;
    assert_eq!(disk.contents(&name).len(), used);
    let mut lossy = 0;
    for byte in 0..used {
        // Between the groups there are zeros; some of them are enough.
        let in_padding = byte % 4096 > 600;
        for bit in (0..8).step_by(if in_padding { 8 } else { 1 }) {
            if in_padding && byte % 64 != 0 {
                continue;
            }
            let damaged = disk.copy();
            damaged.damage(&name, |bytes| bytes[byte] ^= 1 << bit);
            let (records, report) = replay(&open(&damaged), 1);
            let lost = written.iter().filter(|record| !records.contains(record)).count();
            assert!(records.iter().all(|record| written.contains(record)), "byte {byte} bit {bit}");
            assert!(records.is_sorted(), "byte {byte} bit {bit}");
            let reported = report.torn_tail_bytes > 0 || !report.damage.is_empty();
            assert_eq!(lost > 0, reported, "byte {byte} bit {bit}: {report:?}");
            assert!(lost <= 3 && (lost <= 1 || report.damage.is_empty()), "byte {byte} bit {bit}: {lost}");
            if let Some(damage) = report.damage.first() {
                assert!(damage.contains(&name) && damage.contains("at byte"), "{damage}");
            }
            lossy += usize::from(lost > 0);
        }
    }
    assert!(lossy > 2000, "{lossy}");
}

#[test]
fn a_missing_file_is_reported() {
    let disk = SimDisk::new(6);
    let written = append_groups(&open_new(&disk), 12);
    let second = disk.names()[1].clone();
    disk.remove(&second).unwrap();
    let (records, report) = replay(&open(&disk), 1);
    assert!(records.len() < written.len() && records.iter().all(|record| written.contains(record)));
    assert_eq!(report.damage.len(), 1);
}

#[test]
fn after_a_failed_sync_nothing_is_taken_until_the_next_start() {
    for seed in 0..100 {
        let disk = SimDisk::new(seed);
        let log = open_new(&disk);
        let mut written = append_groups(&log, 1);
        disk.fail_sync_in(1);
        assert!(matches!(log.append(&[b"maybe"]), Err(SeamError::Failed(_))));
        assert!(matches!(log.append(&[b"never"]), Err(SeamError::Failed(_))));
        disk.power_cycle();
        let log = open(&disk);
        let (records, report) = replay(&log, 1);
        let maybe = (2, b"maybe".to_vec());
        assert!(records == written || records == [&written[..], &[maybe]].concat(), "seed {seed}");
        assert_eq!(report.damage, Vec::<String>::new(), "seed {seed}");
        written = records;
        written.push((report.next_sequence, b"after".to_vec()));
        assert_eq!(log.append(&[b"after"]), Ok(report.next_sequence));
        disk.power_cycle();
        assert_eq!(replay(&open(&disk), 1).0, written, "seed {seed}");
    }
}

#[test]
fn a_full_disk_refuses_and_takes_again() {
    let disk = SimDisk::new(7);
    let log = open_new(&disk);
    let mut written = append_groups(&log, 4);
    disk.set_capacity_bytes(disk.used_bytes() + 100);
    for _ in 0..3 {
        assert!(matches!(log.append(&[b"no room"]), Err(SeamError::Full(_))));
    }
    disk.set_capacity_bytes(1 << 30);
    let sequence = log.append(&[b"room"]).unwrap();
    written.push((sequence, b"room".to_vec()));
    disk.power_cycle();
    assert_eq!(replay(&open(&disk), 1).0, written);
}

/// Power cuts at any step: what was acknowledged is there, then perhaps the start of the group that was being written, and
/// never a report of damage.
#[test]
fn power_cuts_lose_nothing_acknowledged() {
    for seed in 0..600 {
        let mut random = Random::new(seed);
        let disk = SimDisk::new(seed);
        let mut acknowledged: Records = vec![];
        for _ in 0..4 {
            let log = open(&disk);
            let (records, report) = replay(&log, 1);
            assert!(records.starts_with(&acknowledged), "seed {seed}: {} of {}", records.len(), acknowledged.len());
            assert_eq!(report.damage, Vec::<String>::new(), "seed {seed}");
            acknowledged = records;
            disk.crash_in(1 + random.below(40));
            while !disk.is_off() {
                let payloads: Vec<Vec<u8>> =
                    (0..1 + random.below(4)).map(|_| vec![random.next() as u8; random.below(3000) as usize]).collect();
                let records: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
                if let Ok(first) = log.append(&records) {
                    acknowledged.extend((first..).zip(payloads));
                }
            }
            disk.power_cycle();
        }
    }
}
