//! Recent batches, searchable: whole batches go in, in the order they were acknowledged; spans by trace, names and what a
//! search needs come out. Exists because a span must be found right after its write was answered, long before it is worth
//! a segment.
//!
//! One thread inserts while others read. Everything is append-only, so a reader takes a [`MemSnapshot`], which is a count
//! of rows, and never sees what came after it; locks are held for one insert or one look-up.

use crate::part::next_part_id;
use hashbrown::{HashMap, HashSet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use tracewell_model::{EndpointId, Kind, SpanBatch, SpanRef, StrId, TraceQuery, ValueRef};

/// Of one tag at most this many values are remembered for completion.
const TAG_VALUES_MAX: usize = 10_000;

/// See the module's text.
pub(crate) struct Memtable {
    id: u64,
    tag_keys: Arc<[String]>,
    state: RwLock<State>,
    /// What is known of traces that older parts hold too, by the part's id; grows with the table.
    shared: Mutex<HashMap<u64, SharedTraces>>,
}

#[derive(Default)]
struct State {
    batches: Vec<Arc<SpanBatch>>,
    /// One an inserted span, in order of arrival.
    rows: Vec<RowEntry>,
    traces: Vec<TraceEntry>,
    /// Lower half of a trace's id → row of `traces`.
    by_low: HashMap<u64, u32>,
    names: Names,
    /// What was put into `names`, each combination once: one look tells that a span has nothing new. See [`operation_key`].
    known: HashSet<Box<[u8]>>,
    names_bytes: usize,
    batch_bytes: usize,
    start_us_min: u64,
    start_us_max: u64,
}

#[derive(Clone, Copy)]
struct RowEntry {
    batch: u32,
    row: u32,
    /// The next row of the same trace; none is [`NO_ROW`].
    next: u32,
}

const NO_ROW: u32 = u32::MAX;

/// All spans whose trace ids agree in the lower 64 bits.
#[derive(Clone, Copy)]
struct TraceEntry {
    low: u64,
    first: u32,
    last: u32,
    rows: u32,
    start_us_min: u64,
    start_us_max: u64,
    duration_us_max: u64,
    /// A bit for each service, by a hash of its name: services that are surely not in the trace are seen at once.
    services: u64,
}

/// What completes text fields of the page.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) services: BTreeMap<String, ServiceNames>,
    pub(crate) tag_values: BTreeMap<String, BTreeSet<String>>,
}

/// The names of one service's spans and of the services they spoke to.
#[derive(Default)]
pub(crate) struct ServiceNames {
    pub(crate) spans: BTreeSet<String>,
    pub(crate) remotes: BTreeSet<String>,
    /// Names, the empty one too, with a bit for each kind of such spans.
    operations: BTreeMap<String, u8>,
}

impl ServiceNames {
    /// Names of spans, the empty one too, with each kind of such spans.
    pub(crate) fn operations(&self) -> impl Iterator<Item = (&str, Kind)> {
        self.operations.iter().flat_map(|(name, &kinds)| {
            (0..u8::BITS as u8)
                .filter_map(Kind::from_u8)
                .filter(move |&kind| kinds & kind_bit(kind) != 0)
                .map(|kind| (name.as_str(), kind))
        })
    }
}

const fn kind_bit(kind: Kind) -> u8 {
    1 << kind as u8
}

/// What a batch adds to the names.
#[derive(Default)]
struct NewNames {
    /// Spans with a name, service or kind of span that are new.
    rows: Vec<usize>,
    tags: Vec<(StrId, String)>,
}

/// About what one entry of a tree costs beside its text.
const NODE_BYTES: usize = 40;

/// Kinds of spans of a batch that were looked at: each service has some ten operations.
const SEEN_SLOTS: usize = 128;

/// Traces that an older part holds too: those among the first `checked`.
#[derive(Default)]
struct SharedTraces {
    checked: usize,
    lows: Vec<u64>,
}

/// A memtable as it was at one moment, in whole batches.
#[derive(Clone)]
pub(crate) struct MemSnapshot {
    table: Arc<Memtable>,
    rows: u32,
    traces: u32,
}

/// A trace of a memtable that may answer a query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemCandidate {
    pub(crate) low: u64,
    pub(crate) start_us_max: u64,
}

impl Memtable {
    /// An empty table that remembers the values of these tags.
    pub(crate) fn new(tag_keys: Arc<[String]>) -> Self {
        Self { id: next_part_id(), tag_keys, state: RwLock::default(), shared: Mutex::default() }
    }

    /// Appends a batch; readers that begin afterwards see all of it. One thread at a time, hence `&self`: the table is
    /// shared with readers while it is filled. The table takes up to 2^32 - 1 spans; the engine seals it long before.
    pub(crate) fn insert(&self, batch: Arc<SpanBatch>) {
        if batch.is_empty() {
            return;
        }
        let new = self.new_names(&batch);
        let masks: Vec<u64> = (0..=batch.endpoints_len() as u32)
            .map(|id| {
                batch
                    .endpoint(EndpointId(id))
                    .map_or_else(|| service_bit(""), |e| service_bit(batch.interned(e.service)))
            })
            .collect();
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.put_rows(&batch, &masks);
        state.put_names(&batch, &new);
        state.batch_bytes += batch.memory_bytes();
        state.batches.push(batch);
    }

    /// About how many bytes the batches and their index hold.
    pub(crate) fn memory_bytes(&self) -> usize {
        let state = self.read();
        state.batch_bytes
            + state.names_bytes
            + state.rows.capacity() * size_of::<RowEntry>()
            + state.traces.capacity() * size_of::<TraceEntry>()
            + state.by_low.allocation_size()
            + state.batches.capacity() * size_of::<Arc<SpanBatch>>()
    }

    /// How many spans it holds.
    pub(crate) fn spans(&self) -> usize {
        self.read().rows.len()
    }

    /// Whether it holds no span.
    pub(crate) fn is_empty(&self) -> bool {
        self.spans() == 0
    }

    /// The keys whose values are remembered.
    pub(crate) fn tag_keys(&self) -> &[String] {
        &self.tag_keys
    }

    /// Calls `read` with the names known so far.
    pub(crate) fn with_names<T>(&self, read: impl FnOnce(&Names) -> T) -> T {
        read(&self.read().names)
    }

    /// The table as it is now.
    pub(crate) fn snapshot(self: &Arc<Self>) -> MemSnapshot {
        let state = self.read();
        MemSnapshot { table: Arc::clone(self), rows: state.rows.len() as u32, traces: state.traces.len() as u32 }
    }

    /// All batches, and the order a segment has their rows in: traces by their first start, inside a trace by arrival.
    pub(crate) fn rows_by_trace(&self) -> RowsByTrace {
        let state = self.read();
        let mut order: Vec<u32> = (0..state.traces.len() as u32).collect();
        order.sort_unstable_by_key(|&at| (state.traces[at as usize].start_us_min, at));
        let mut places = vec![0; state.rows.len()];
        let mut place = 0u32;
        let place_rows = |at: &u32| {
            let trace = state.traces[*at as usize];
            let mut next = trace.first;
            while let Some(entry) = state.rows.get(next as usize) {
                places[next as usize] = place;
                place += 1;
                next = entry.next;
            }
            let TraceEntry { low, start_us_min, start_us_max, rows, .. } = trace;
            TraceRows { low, start_us_min, start_us_max, rows }
        };
        let traces = order.iter().map(place_rows).collect();
        RowsByTrace { batches: state.batches.clone(), traces, places }
    }

    /// What of a batch's names is not known yet: nothing, once a service has run for a while.
    fn new_names(&self, batch: &SpanBatch) -> NewNames {
        let mut new = NewNames::default();
        let mut seen = [None; SEEN_SLOTS];
        let keys: Vec<StrId> = self.tag_keys.iter().filter_map(|key| batch.find_interned(key)).collect();
        let state = self.read();
        let mut key = vec![];
        for span in batch.spans() {
            let about = (span.local_id(), span.remote_id(), span.name_id(), span.kind());
            let slot = about.0.0 ^ about.1.0.wrapping_mul(7) ^ about.2.0.wrapping_mul(31) ^ about.3 as u32;
            let seen = &mut seen[slot as usize % SEEN_SLOTS];
            if *seen != Some(about) {
                *seen = Some(about);
                operation_key(span, &mut key);
                if !state.known.contains(key.as_slice()) {
                    new.rows.push(span.row());
                }
            }
            if keys.is_empty() {
                continue;
            }
            for (key, value) in span.tags().iter_ids().filter(|(key, _)| keys.contains(key)) {
                if let ValueRef::Str(value) = value
                    && !state.names.has_tag_value(batch.interned(key), value)
                {
                    new.tags.push((key, value.to_owned()));
                }
            }
        }
        new
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        // An insert that panicked leaves at worst rows that no trace names.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_shared(&self) -> MutexGuard<'_, HashMap<u64, SharedTraces>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a segment is written from.
pub(crate) struct RowsByTrace {
    /// In order of arrival.
    pub(crate) batches: Vec<Arc<SpanBatch>>,
    /// In the order of the segment.
    pub(crate) traces: Vec<TraceRows>,
    /// The place in the segment of each row, in order of arrival: batch by batch.
    pub(crate) places: Vec<u32>,
}

/// One trace of a segment.
pub(crate) struct TraceRows {
    pub(crate) low: u64,
    pub(crate) start_us_min: u64,
    pub(crate) start_us_max: u64,
    pub(crate) rows: u32,
}

impl State {
    fn put_rows(&mut self, batch: &SpanBatch, masks: &[u64]) {
        let batch_number = self.batches.len() as u32;
        let mut last: Option<(u64, u32)> = None;
        for span in batch.spans() {
            let row = self.rows.len() as u32;
            self.rows.push(RowEntry { batch: batch_number, row: span.row() as u32, next: NO_ROW });
            let low = span.trace_id().low();
            // Spans of a trace mostly come one behind the other.
            let at = match last.filter(|&(of, _)| of == low) {
                Some((_, at)) => at,
                None => *self.by_low.entry(low).or_insert_with(|| {
                    self.traces.push(TraceEntry::new(low, row));
                    self.traces.len() as u32 - 1
                }),
            };
            last = Some((low, at));
            let trace = &mut self.traces[at as usize];
            if trace.rows > 0 {
                self.rows[trace.last as usize].next = row;
            }
            let start_us = span.timestamp_us();
            trace.last = row;
            trace.rows += 1;
            trace.start_us_min = min_known(trace.start_us_min, start_us);
            trace.start_us_max = trace.start_us_max.max(start_us);
            trace.duration_us_max = trace.duration_us_max.max(span.duration_us());
            trace.services |= masks[span.local_id().0 as usize];
            self.start_us_min = min_known(self.start_us_min, start_us);
            self.start_us_max = self.start_us_max.max(start_us);
        }
    }

    fn put_names(&mut self, batch: &SpanBatch, new: &NewNames) {
        let mut key = vec![];
        for &row in &new.rows {
            let span = batch.span(row);
            let (service, remote) = (span.service_name(), span.remote_service_name());
            self.names_bytes += self.names.put(service, span.name(), remote, span.kind());
            operation_key(span, &mut key);
            if !self.known.contains(key.as_slice()) {
                self.known.insert(key.as_slice().into());
                self.names_bytes += key.len() + NODE_BYTES;
            }
        }
        for (key, value) in &new.tags {
            self.names_bytes += self.names.put_tag_value(batch.interned(*key), value);
        }
    }
}

impl TraceEntry {
    fn new(low: u64, first: u32) -> Self {
        Self { low, first, last: first, rows: 0, start_us_min: 0, start_us_max: 0, duration_us_max: 0, services: 0 }
    }
}

impl Names {
    /// Answers about how many bytes more are held.
    fn put(&mut self, service: &str, span: &str, remote: &str, kind: Kind) -> usize {
        if service.is_empty() {
            return 0;
        }
        let known = match self.services.get_mut(service) {
            Some(known) => known,
            None => self.services.entry(service.to_owned()).or_default(),
        };
        let mut bytes = 0;
        for (set, name) in [(&mut known.spans, span), (&mut known.remotes, remote)] {
            if !name.is_empty() && !set.contains(name) {
                set.insert(name.to_owned());
                bytes += name.len() + NODE_BYTES;
            }
        }
        match known.operations.get_mut(span) {
            Some(kinds) => *kinds |= kind_bit(kind),
            None => {
                known.operations.insert(span.to_owned(), kind_bit(kind));
                bytes += span.len() + NODE_BYTES;
            }
        }
        bytes
    }

    fn has_tag_value(&self, key: &str, value: &str) -> bool {
        let known = self.tag_values.get(key);
        value.is_empty() || known.is_some_and(|known| known.len() == TAG_VALUES_MAX || known.contains(value))
    }

    /// Answers about how many bytes more are held.
    fn put_tag_value(&mut self, key: &str, value: &str) -> usize {
        let known = match self.tag_values.get_mut(key) {
            Some(known) => known,
            None => self.tag_values.entry(key.to_owned()).or_default(),
        };
        if value.is_empty() || known.len() == TAG_VALUES_MAX || known.contains(value) {
            return 0;
        }
        known.insert(value.to_owned());
        value.len() + NODE_BYTES
    }
}

impl MemSnapshot {
    /// The number of the part; see [`next_part_id`].
    pub(crate) fn id(&self) -> u64 {
        self.table.id
    }

    /// The latest start of any span, zero when none has one. May already count spans that came later.
    pub(crate) fn start_us_max(&self) -> u64 {
        self.table.read().start_us_max
    }

    /// The latest start of the spans of a trace, if they are here. May already count spans that came later.
    pub(crate) fn trace_start_us_max(&self, low: u64) -> Option<u64> {
        let state = self.table.read();
        state.by_low.get(&low).filter(|&&at| at < self.traces).map(|&at| state.traces[at as usize].start_us_max)
    }

    /// Calls `each` with every span of the trace, in order of arrival.
    pub(crate) fn trace(&self, low: u64, mut each: impl FnMut(&Arc<SpanBatch>, usize)) {
        let state = self.table.read();
        let Some(&at) = state.by_low.get(&low) else { return };
        let mut next = state.traces[at as usize].first;
        while next < self.rows {
            let entry = state.rows[next as usize];
            each(&state.batches[entry.batch as usize], entry.row as usize);
            next = entry.next;
        }
    }

    /// How many spans of the trace are here. May already count spans that came later.
    pub(crate) fn trace_len(&self, low: u64) -> u64 {
        let state = self.table.read();
        state.by_low.get(&low).map_or(0, |&at| u64::from(state.traces[at as usize].rows))
    }

    /// The lower halves of the traces' ids, in order of arrival, without the first `skip`.
    pub(crate) fn lows(&self, skip: usize) -> Vec<u64> {
        self.table.read().traces[skip..self.traces as usize].iter().map(|trace| trace.low).collect()
    }

    /// The traces that may answer the query if no other part has spans of them.
    pub(crate) fn candidates(&self, query: &TraceQuery) -> Vec<MemCandidate> {
        let bit = query.service_name.as_deref().map_or(0, service_bit);
        let duration_us_min = query.min_duration_us.unwrap_or(0);
        let (start_us, end_us) = (query.start_us(), query.end_us());
        let state = self.table.read();
        let possible = state.traces[..self.traces as usize].iter().filter(|trace| {
            trace.start_us_max != 0
                && trace.start_us_max >= start_us
                && trace.start_us_min <= end_us
                && trace.services & bit == bit
                && trace.duration_us_max >= duration_us_min
        });
        possible.map(|trace| MemCandidate { low: trace.low, start_us_max: trace.start_us_max }).collect()
    }

    /// Adds to `lows` the traces that are also in another, older part: one that gets no more traces and is asked by
    /// `contains`. Each trace is looked up once in the life of the table.
    pub(crate) fn shared_with(&self, part: u64, contains: impl Fn(u64) -> bool, lows: &mut HashSet<u64>) {
        let mut all = self.table.lock_shared();
        let known = all.entry(part).or_default();
        if known.checked < self.traces as usize {
            let new = self.lows(known.checked);
            known.lows.extend(new.into_iter().filter(|&low| contains(low)));
            known.checked = self.traces as usize;
        }
        lows.extend(&known.lows);
    }

    /// Forgets what [`MemSnapshot::shared_with`] learned of parts that are gone.
    pub(crate) fn keep_shared(&self, parts: impl Fn(u64) -> bool) {
        self.table.lock_shared().retain(|&part, _| parts(part));
    }
}

/// What [`Names`] learn from a span, as bytes that no other span has unless they learn the same from it.
fn operation_key(span: SpanRef<'_>, key: &mut Vec<u8>) {
    let (service, remote) = (span.service_name(), span.remote_service_name());
    key.clear();
    key.push(span.kind() as u8);
    key.extend_from_slice(&(service.len() as u32).to_le_bytes());
    key.extend_from_slice(&(remote.len() as u32).to_le_bytes());
    [service, remote, span.name()].iter().for_each(|text| key.extend_from_slice(text.as_bytes()));
}

/// The same for a name in any case.
fn service_bit(service: &str) -> u64 {
    if !service.is_ascii() {
        return bit_of(service.to_lowercase().bytes());
    }
    bit_of(service.bytes().map(|byte| byte.to_ascii_lowercase()))
}

fn bit_of(bytes: impl Iterator<Item = u8>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64; // FNV-1a
    for byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    1 << (hash >> 58)
}

/// The smaller of two times of which zero means unknown.
pub(crate) fn min_known(a: u64, b: u64) -> u64 {
    if a == 0 || b == 0 { a.max(b) } else { a.min(b) }
}
