//! A disk for tests that behaves, by a seed, as badly as disks may: it forgets what was not synced, in any order and sector by
//! sector; it tears the write during which the power goes; a failed sync leaves who knows what; it fills up; it refuses to
//! write, rename or remove; bits flip.
//!
//! What a crash leaves is decided when it happens, so a test can look at the disk before and after.

use super::{Disk, DiskFile, DiskLock, DiskSpace, OpenFile};
use crate::seams::SeamError;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a disk writes wholly or not at all.
const SECTOR_BYTES: usize = 512;

/// Numbers by a seed.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    /// SplitMix64.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`, which is above zero.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }
}

/// See the module's text. Clones are the same disk.
#[derive(Clone)]
pub(crate) struct SimDisk {
    state: Arc<Mutex<State>>,
}

struct State {
    random: Random,
    /// Whether files opened for durable writes are so.
    direct: bool,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    /// The names as a process sees them, and as they are after a power cut.
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    /// Changes of names that are not durable yet: what each did.
    name_changes: Vec<Vec<(String, Option<u64>)>>,
    capacity_bytes: u64,
    steps: u64,
    /// The power goes at this step.
    crash_at: Option<u64>,
    /// Syncs until one fails.
    fail_sync_in: Option<u64>,
    /// Steps until one is refused.
    fail_step_in: Option<u64>,
    off: bool,
    locked: bool,
    /// Grows with every crash; what was opened before one is dead.
    life: u64,
}

#[derive(Default)]
struct Inode {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// What each sector was since it was last durable.
    dirty: BTreeMap<usize, Vec<Vec<u8>>>,
}

impl Inode {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[offset..end].copy_from_slice(bytes);
        for sector in offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            let range = sector * SECTOR_BYTES..((sector + 1) * SECTOR_BYTES).min(self.bytes.len());
            self.dirty.entry(sector).or_default().push(self.bytes[range].to_vec());
        }
    }

    fn sync(&mut self) {
        self.durable.resize(self.bytes.len(), 0);
        for sector in std::mem::take(&mut self.dirty).into_keys() {
            self.persist(sector, None);
        }
    }

    fn persist(&mut self, sector: usize, content: Option<&[u8]>) {
        let start = (sector * SECTOR_BYTES).min(self.durable.len());
        let end = (start + SECTOR_BYTES).min(self.durable.len());
        let from = content.or_else(|| self.bytes.get(start..)).unwrap_or_default();
        let len = from.len().min(end - start);
        self.durable[start..start + len].copy_from_slice(&from[..len]);
    }

    /// Some of what is not durable becomes so, the rest is forgotten by the disk (though not by the cache).
    fn settle(&mut self, random: &mut Random) {
        if random.one_in(2) {
            self.durable.resize(self.bytes.len(), 0);
        }
        for (sector, contents) in std::mem::take(&mut self.dirty) {
            let choice = random.below(contents.len() as u64 + 1) as usize;
            if let Some(content) = contents.get(choice) {
                self.persist(sector, Some(content));
            }
        }
    }
}

impl State {
    /// Counts a step that changes something; an error if the power is off or goes now.
    fn step(&mut self) -> Result<(), SeamError> {
        if self.off {
            return Err(power_is_off());
        }
        let left = self.fail_step_in.map(|left| left.saturating_sub(1));
        self.fail_step_in = left.filter(|&left| left > 0);
        if left == Some(0) {
            return Err(SeamError::Failed("the simulated disk refuses a step".to_owned()));
        }
        self.steps += 1;
        if self.crash_at.is_some_and(|at| self.steps >= at) {
            self.off = true;
        }
        Ok(())
    }

    /// After a step was done: whether the process still lives to see it.
    fn survived(&self) -> Result<(), SeamError> {
        if self.off { Err(power_is_off()) } else { Ok(()) }
    }

    fn used_bytes(&self) -> u64 {
        self.names.values().map(|inode| self.inodes.get(inode).map_or(0, |inode| inode.bytes.len() as u64)).sum()
    }

    fn check_room(&self, inode: u64, len: u64) -> Result<(), SeamError> {
        let has = self.inodes.get(&inode).map_or(0, |inode| inode.bytes.len() as u64);
        let more = len.saturating_sub(has);
        if more > 0 && self.used_bytes() + more > self.capacity_bytes {
            return Err(SeamError::Full("the simulated disk is full".to_owned()));
        }
        Ok(())
    }

    fn change_names(&mut self, changes: Vec<(String, Option<u64>)>) {
        for (name, inode) in &changes {
            apply_name(&mut self.names, name, *inode);
        }
        self.name_changes.push(changes);
    }

    fn restart(&mut self) {
        self.off = false;
        self.locked = false;
        self.crash_at = None;
        self.fail_sync_in = None;
        self.fail_step_in = None;
        self.life += 1;
    }

    /// Whether this is the sync that fails.
    fn sync_fails(&mut self) -> bool {
        let left = self.fail_sync_in.map(|left| left.saturating_sub(1));
        self.fail_sync_in = left.filter(|&left| left > 0);
        left == Some(0)
    }

    fn sync_inode(&mut self, inode: u64) -> Result<(), SeamError> {
        let fails = self.sync_fails();
        let Self { inodes, random, .. } = self;
        let Some(inode) = inodes.get_mut(&inode) else { return Ok(()) };
        if fails {
            inode.settle(random);
            return Err(sync_failed());
        }
        inode.sync();
        Ok(())
    }
}

fn apply_name(names: &mut BTreeMap<String, u64>, name: &str, inode: Option<u64>) {
    match inode {
        Some(inode) => names.insert(name.to_owned(), inode),
        None => names.remove(name),
    };
}

fn sync_failed() -> SeamError {
    SeamError::Failed("a sync of the simulated disk failed".to_owned())
}

fn power_is_off() -> SeamError {
    SeamError::Failed("the power is off".to_owned())
}

impl SimDisk {
    /// An empty disk with plenty of room.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let direct = random.one_in(2);
        let state = State {
            random,
            direct,
            inodes: BTreeMap::new(),
            next_inode: 1,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_changes: vec![],
            capacity_bytes: 1 << 40,
            steps: 0,
            crash_at: None,
            fail_sync_in: None,
            fail_step_in: None,
            off: false,
            locked: false,
            life: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether files opened for durable writes are so.
    pub(crate) fn set_direct(&self, direct: bool) {
        self.state().direct = direct;
    }

    pub(crate) fn set_capacity_bytes(&self, capacity_bytes: u64) {
        self.state().capacity_bytes = capacity_bytes;
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.state().used_bytes()
    }

    /// The power goes so many steps from now.
    pub(crate) fn crash_in(&self, steps: u64) {
        let mut state = self.state();
        state.crash_at = Some(state.steps + steps);
    }

    /// The sync so many from now fails, once.
    pub(crate) fn fail_sync_in(&self, syncs: u64) {
        self.state().fail_sync_in = Some(syncs);
    }

    /// The step so many from now (a write, a name that is made, changed or removed) is refused, once: nothing of it is done.
    pub(crate) fn fail_step_in(&self, steps: u64) {
        self.state().fail_step_in = Some(steps);
    }

    pub(crate) fn is_off(&self) -> bool {
        self.state().off
    }

    /// The power goes, if it has not gone yet, and comes back; nothing is about to fail any more.
    pub(crate) fn power_cycle(&self) {
        let state = &mut *self.state();
        let State { random, inodes, names, durable_names, name_changes, .. } = state;
        // A file system may keep a change of names and lose an earlier one, but not one that it builds upon.
        let mut lost: Vec<(String, Option<u64>)> = vec![];
        for change in name_changes.drain(..) {
            let builds_on = |(name, inode): &(String, Option<u64>)| {
                lost.iter().any(|(lost_name, lost)| lost_name == name || lost.is_some() && lost == inode)
            };
            if change.iter().any(builds_on) || random.one_in(2) {
                lost.extend(change);
            } else {
                change.iter().for_each(|(name, inode)| apply_name(durable_names, name, *inode));
            }
        }
        *names = durable_names.clone();
        for inode in inodes.values_mut() {
            inode.settle(random);
            inode.bytes = inode.durable.clone();
        }
        inodes.retain(|number, _| names.values().any(|named| named == number));
        state.restart();
    }

    /// The process ends without a word, the system and the disk live on.
    pub(crate) fn kill_process(&self) {
        self.state().restart();
    }

    /// The names of all files.
    pub(crate) fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// What a file holds.
    pub(crate) fn contents(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.inodes[&state.names[name]].bytes.clone()
    }

    /// Changes what a file holds, durably, behind everyone's back.
    pub(crate) fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let state = &mut *self.state();
        if let Some(inode) = state.names.get(name).and_then(|inode| state.inodes.get_mut(inode)) {
            change(&mut inode.bytes);
            inode.durable = inode.bytes.clone();
            inode.dirty.clear();
        }
    }

    /// A disk of its own with the same contents, all of them durable.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new(0);
        let state = self.state();
        let mut copied = copy.state();
        copied.direct = state.direct;
        copied.next_inode = state.next_inode;
        copied.names = state.names.clone();
        copied.durable_names = state.names.clone();
        for (&number, inode) in &state.inodes {
            let (bytes, durable) = (inode.bytes.clone(), inode.bytes.clone());
            copied.inodes.insert(number, Inode { bytes, durable, dirty: BTreeMap::new() });
        }
        drop(copied);
        copy
    }
}

impl Disk for SimDisk {
    fn open(&self, name: &str, how: OpenFile) -> Result<Box<dyn DiskFile>, SeamError> {
        let state = &mut *self.state();
        let known = state.names.get(name).copied();
        let inode = match (known, how) {
            _ if state.off => return Err(power_is_off()),
            (Some(inode), _) => inode,
            (None, OpenFile::Read) => return Err(SeamError::NotFound(name.to_owned())),
            (None, _) => {
                state.step()?;
                let inode = state.next_inode;
                state.next_inode += 1;
                state.inodes.insert(inode, Inode::default());
                state.change_names(vec![(name.to_owned(), Some(inode))]);
                state.survived()?;
                inode
            }
        };
        let durable = how == OpenFile::WriteDurable && state.direct;
        let (disk, name, life) = (self.clone(), name.to_owned(), state.life);
        Ok(Box::new(SimFile { disk, name, inode, durable, aligned: how == OpenFile::WriteDurable, life }))
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, SeamError> {
        let state = self.state();
        state.survived()?;
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let inside = state.names.keys().filter_map(|name| name.strip_prefix(&prefix));
        Ok(inside.filter(|name| !name.contains('/')).map(str::to_owned).collect())
    }

    fn create_directory(&self, _directory: &str) -> Result<(), SeamError> {
        // Directories are there when something is in them.
        self.state().step()?;
        self.state().survived()
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), SeamError> {
        let state = &mut *self.state();
        state.step()?;
        let inode = *state.names.get(from).ok_or_else(|| SeamError::NotFound(from.to_owned()))?;
        state.change_names(vec![(from.to_owned(), None), (to.to_owned(), Some(inode))]);
        state.survived()
    }

    fn remove(&self, name: &str) -> Result<(), SeamError> {
        let state = &mut *self.state();
        state.step()?;
        if state.names.contains_key(name) {
            state.change_names(vec![(name.to_owned(), None)]);
        }
        state.survived()
    }

    fn sync_directory(&self, directory: &str) -> Result<(), SeamError> {
        let state = &mut *self.state();
        state.step()?;
        state.survived()?;
        if state.sync_fails() {
            return Err(sync_failed());
        }
        let inside = |name: &str| name.rsplit_once('/').map_or("", |(parent, _)| parent) == directory;
        let State { name_changes, durable_names, .. } = state;
        name_changes.retain(|change| {
            let synced = change.iter().any(|(name, _)| inside(name));
            if synced {
                change.iter().for_each(|(name, inode)| apply_name(durable_names, name, *inode));
            }
            !synced
        });
        Ok(())
    }

    fn space(&self) -> Result<DiskSpace, SeamError> {
        let state = self.state();
        state.survived()?;
        let free_bytes = state.capacity_bytes.saturating_sub(state.used_bytes());
        Ok(DiskSpace { free_bytes, total_bytes: state.capacity_bytes })
    }

    fn lock(&self) -> Result<DiskLock, SeamError> {
        let mut state = self.state();
        state.survived()?;
        if state.locked {
            return Err(SeamError::Failed("the simulated disk is in use by another process".to_owned()));
        }
        state.locked = true;
        Ok(Box::new(SimLock { disk: self.clone(), life: state.life }))
    }
}

struct SimLock {
    disk: SimDisk,
    life: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.life == self.life {
            state.locked = false;
        }
    }
}

struct SimFile {
    disk: SimDisk,
    name: String,
    inode: u64,
    durable: bool,
    aligned: bool,
    life: u64,
}

impl SimFile {
    /// Does one step on the file if the process that opened it still lives.
    fn change(&self, change: impl FnOnce(&mut State) -> Result<(), SeamError>) -> Result<(), SeamError> {
        let state = &mut *self.disk.state();
        if state.life != self.life {
            return Err(power_is_off());
        }
        state.step()?;
        change(state)?;
        state.survived()
    }

    fn look<T>(&self, look: impl FnOnce(&[u8]) -> Result<T, SeamError>) -> Result<T, SeamError> {
        let state = &*self.disk.state();
        if state.life != self.life || state.off {
            return Err(power_is_off());
        }
        look(state.inodes.get(&self.inode).map_or(&[], |inode| &inode.bytes))
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), SeamError> {
        if self.aligned {
            let block = super::BLOCK_BYTES;
            assert!(offset.is_multiple_of(block as u64) && bytes.len().is_multiple_of(block));
            assert_eq!(bytes.as_ptr().align_offset(block), 0);
        }
        self.change(|state| {
            state.check_room(self.inode, offset + bytes.len() as u64)?;
            if let Some(inode) = state.inodes.get_mut(&self.inode) {
                inode.write(bytes, offset as usize);
            }
            // During the last write the power goes: it stays unsynced, so any part of it is left.
            if self.durable && !state.off { state.sync_inode(self.inode) } else { Ok(()) }
        })
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<(), SeamError> {
        self.look(|bytes| {
            let part = bytes.get(offset as usize..offset as usize + into.len());
            let part = part.ok_or_else(|| SeamError::Damaged(format!("{} ends early", self.name)))?;
            into.copy_from_slice(part);
            Ok(())
        })
    }

    fn size_bytes(&self) -> Result<u64, SeamError> {
        self.look(|bytes| Ok(bytes.len() as u64))
    }

    fn truncate(&self, len: u64) -> Result<(), SeamError> {
        self.change(|state| {
            if let Some(inode) = state.inodes.get_mut(&self.inode) {
                inode.bytes.truncate(len as usize);
            }
            Ok(())
        })
    }

    fn allocate(&self, len: u64) -> Result<(), SeamError> {
        self.change(|state| {
            state.check_room(self.inode, len)?;
            if let Some(inode) = state.inodes.get_mut(&self.inode) {
                let len = inode.bytes.len().max(len as usize);
                inode.bytes.resize(len, 0);
            }
            Ok(())
        })
    }

    fn sync(&self) -> Result<(), SeamError> {
        // When the power goes during a sync, any part of it was done.
        self.change(|state| if state.off { Ok(()) } else { state.sync_inode(self.inode) })
    }

    fn writes_are_durable(&self) -> bool {
        self.durable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(disk: &SimDisk, name: &str, bytes: &[u8]) -> Box<dyn DiskFile> {
        let file = disk.open(name, OpenFile::Write).unwrap();
        file.write_at(bytes, 0).unwrap();
        file
    }

    #[test]
    fn what_is_synced_survives_and_what_is_not_may_be_torn() {
        let (mut torn, mut nameless, mut old) = (0, 0, 0);
        for seed in 0..200 {
            let disk = SimDisk::new(seed);
            let file = write(&disk, "a", &[1; 2048]);
            file.sync().unwrap();
            disk.sync_directory("").unwrap();
            file.write_at(&[2; 2048], 0).unwrap();
            write(&disk, "b", &[3; 512]).sync().unwrap();
            disk.power_cycle();
            let a = disk.contents("a");
            assert_eq!(a.len(), 2048);
            for sector in a.chunks(512) {
                assert!(sector == [1; 512] || sector == [2; 512]);
            }
            torn += u32::from(a.contains(&1) && a.contains(&2));
            old += u32::from(!a.contains(&2));
            if disk.names().contains(&"b".to_owned()) {
                assert_eq!(disk.contents("b"), [3; 512]);
            } else {
                nameless += 1;
            }
            assert!(file.sync().is_err(), "a file opened before the crash is dead");
        }
        assert!(torn > 20 && nameless > 20 && old > 2, "{torn} {nameless} {old}");
    }

    #[test]
    fn a_failed_sync_is_not_made_good_by_the_next() {
        let lost = (0..100).filter(|&seed| {
            let disk = SimDisk::new(seed);
            let file = write(&disk, "a", &[1; 512]);
            disk.sync_directory("").unwrap();
            disk.fail_sync_in(1);
            file.sync().unwrap_err();
            file.sync().unwrap();
            let mut seen = [0; 512];
            file.read_at(&mut seen, 0).unwrap();
            assert_eq!(seen, [1; 512], "the cache still shows it");
            disk.power_cycle();
            disk.contents("a") != [1; 512]
        });
        assert!(lost.count() > 20);
    }

    #[test]
    fn it_fills_up_and_crashes_when_told() {
        let disk = SimDisk::new(1);
        disk.set_capacity_bytes(1000);
        let file = write(&disk, "a", &[1; 900]);
        assert!(matches!(file.write_at(&[1; 200], 900), Err(SeamError::Full(_))));
        assert_eq!(disk.space().unwrap().free_bytes, 100);
        disk.crash_in(2);
        file.write_at(&[1; 10], 0).unwrap();
        assert!(!disk.is_off());
        file.write_at(&[1; 10], 0).unwrap_err();
        assert!(disk.is_off() && disk.list("").is_err());
    }
}
