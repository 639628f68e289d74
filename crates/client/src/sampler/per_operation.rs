//! A sampler for each operation, found by name without a lock: Jaeger's adaptive sampling.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use rapidhash::fast::RandomState;
use tracewell_model::TraceId;

use super::probabilistic::{boundary, checked_rate};
use super::rate_limiting::checked_traces_per_second;
use super::{
    Decision, GuaranteedThroughputSampler, OperationStrategies, Sampler, SamplerError, SamplerTags, SamplerType,
};
use crate::clock::{Clock, MonotonicClock};

/// Operations that get a sampler of their own by being seen (Jaeger's default); further ones share the default share.
///
/// ```
/// use tracewell::sampler::{OPERATIONS_MAX, OperationStrategies, PerOperationSampler};
/// let sampler = PerOperationSampler::new(&OperationStrategies::default(), OPERATIONS_MAX)?;
/// assert!(sampler.operation_names().is_empty());
/// # Ok::<(), tracewell::sampler::SamplerError>(())
/// ```
pub const OPERATIONS_MAX: usize = 2000;

/// Each operation by its own probability and guarantee, told by [`OperationStrategies`]; operations not named there
/// get the default ones when they are first seen.
///
/// ```
/// use tracewell::TraceId;
/// use tracewell::sampler::{OPERATIONS_MAX, OperationStrategies, PerOperationSampler, Sampler};
/// let strategies = OperationStrategies {
///     operations: vec![("GET /health".into(), 0.0), ("POST /order".into(), 1.0)],
///     lower_bound: 0.0,
///     ..OperationStrategies::default()
/// };
/// let sampler = PerOperationSampler::new(&strategies, OPERATIONS_MAX)?;
/// assert!(sampler.sample(TraceId::new(u128::MAX), "POST /order").sampled);
/// # Ok::<(), tracewell::sampler::SamplerError>(())
/// ```
pub struct PerOperationSampler {
    clock: Arc<dyn Clock>,
    /// How full a new operation's bucket is; asked for each.
    filled: fn() -> f64,
    hasher: RandomState,
    table: ArcSwap<Table>,
    operations: AtomicUsize,
    operations_max: usize,
    /// The bits of `f64`s.
    default_rate: AtomicU64,
    lower_bound: AtomicU64,
    /// Held while the table changes.
    writer: Mutex<()>,
}

/// Open addressing; slots are filled once and never emptied, at most half of them.
struct Table {
    slots: Box<[OnceLock<Arc<Operation>>]>,
}

struct Operation {
    name: Box<str>,
    sampler: GuaranteedThroughputSampler,
}

impl PerOperationSampler {
    /// By these strategies; operations that are seen beyond them get samplers up to `operations_max`.
    ///
    /// ```
    /// use tracewell::sampler::{OperationStrategies, PerOperationSampler};
    /// let impossible = OperationStrategies { default_rate: 2.0, ..OperationStrategies::default() };
    /// assert!(PerOperationSampler::new(&impossible, 10).is_err());
    /// ```
    pub fn new(strategies: &OperationStrategies, operations_max: usize) -> Result<Self, SamplerError> {
        Self::with_clock(strategies, operations_max, Arc::new(MonotonicClock), fastrand::f64)
    }

    /// By a clock of your own; `filled` is asked how full a new operation's bucket is.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tracewell::MonotonicClock;
    /// use tracewell::sampler::{OperationStrategies, PerOperationSampler};
    /// let strategies = OperationStrategies::default();
    /// let sampler = PerOperationSampler::with_clock(&strategies, 10, Arc::new(MonotonicClock), || 1.0)?;
    /// assert_eq!(sampler.default_rate(), strategies.default_rate);
    /// # Ok::<(), tracewell::sampler::SamplerError>(())
    /// ```
    pub fn with_clock(
        strategies: &OperationStrategies,
        operations_max: usize,
        clock: Arc<dyn Clock>,
        filled: fn() -> f64,
    ) -> Result<Self, SamplerError> {
        let sampler = Self {
            clock,
            filled,
            hasher: RandomState::default(),
            table: ArcSwap::from_pointee(Table::new(16)),
            operations: AtomicUsize::new(0),
            operations_max,
            default_rate: AtomicU64::new(0),
            lower_bound: AtomicU64::new(0),
            writer: Mutex::new(()),
        };
        sampler.update(strategies)?;
        Ok(sampler)
    }

    /// New strategies. As in jaeger-client, operations not named in them keep what they had. Taken as a whole: where
    /// one of them is not possible, nothing changes.
    ///
    /// ```
    /// use tracewell::sampler::{OperationStrategies, PerOperationSampler};
    /// let sampler = PerOperationSampler::new(&OperationStrategies::default(), 10)?;
    /// let operations = vec![("GET /health".into(), 0.0)];
    /// sampler.update(&OperationStrategies { operations, ..OperationStrategies::default() })?;
    /// assert_eq!(sampler.operation_names(), ["GET /health"]);
    /// # Ok::<(), tracewell::sampler::SamplerError>(())
    /// ```
    pub fn update(&self, strategies: &OperationStrategies) -> Result<(), SamplerError> {
        let default_rate = checked_rate(strategies.default_rate)?;
        let lower_bound = checked_traces_per_second(strategies.lower_bound)?;
        for (_, rate) in &strategies.operations {
            checked_rate(*rate)?;
        }
        let writer = self.lock();
        self.default_rate.store(default_rate.to_bits(), Ordering::Release);
        self.lower_bound.store(lower_bound.to_bits(), Ordering::Release);
        for (name, rate) in &strategies.operations {
            match self.table.load().find(self.hasher, name) {
                Some(operation) => operation.sampler.update(lower_bound, *rate)?,
                None => {
                    self.insert(&writer, name, lower_bound, *rate)?;
                }
            }
        }
        Ok(())
    }

    /// The names of the operations that have a sampler of their own, sorted.
    ///
    /// ```
    /// use tracewell::TraceId;
    /// use tracewell::sampler::{OperationStrategies, PerOperationSampler, Sampler};
    /// let sampler = PerOperationSampler::new(&OperationStrategies::default(), 10)?;
    /// sampler.sample(TraceId::new(1), "seen");
    /// assert_eq!(sampler.operation_names(), ["seen"]);
    /// # Ok::<(), tracewell::sampler::SamplerError>(())
    /// ```
    pub fn operation_names(&self) -> Vec<String> {
        let table = self.table.load();
        let mut names: Vec<String> = table.operations().map(|operation| operation.name.to_string()).collect();
        names.sort_unstable();
        names
    }

    /// The share of operations that have no sampler of their own.
    ///
    /// ```
    /// use tracewell::sampler::{OperationStrategies, PerOperationSampler};
    /// let strategies = OperationStrategies { default_rate: 0.1, ..OperationStrategies::default() };
    /// assert_eq!(PerOperationSampler::new(&strategies, 10)?.default_rate(), 0.1);
    /// # Ok::<(), tracewell::sampler::SamplerError>(())
    /// ```
    pub fn default_rate(&self) -> f64 {
        f64::from_bits(self.default_rate.load(Ordering::Acquire))
    }

    /// Traces a second at least, of each operation.
    ///
    /// ```
    /// use tracewell::sampler::{OperationStrategies, PerOperationSampler};
    /// let strategies = OperationStrategies { lower_bound: 2.0, ..OperationStrategies::default() };
    /// assert_eq!(PerOperationSampler::new(&strategies, 10)?.lower_bound(), 2.0);
    /// # Ok::<(), tracewell::sampler::SamplerError>(())
    /// ```
    pub fn lower_bound(&self) -> f64 {
        f64::from_bits(self.lower_bound.load(Ordering::Acquire))
    }

    /// An operation seen for the first time. `None`: there are too many, and none was added.
    #[cold]
    fn learn(&self, name: &str) -> Option<Arc<Operation>> {
        let writer = self.lock();
        if let Some(operation) = self.table.load().find(self.hasher, name) {
            return Some(Arc::clone(operation));
        }
        if self.operations.load(Ordering::Acquire) >= self.operations_max {
            return None;
        }
        self.insert(&writer, name, self.lower_bound(), self.default_rate()).ok()
    }

    fn insert(
        &self,
        _writer: &MutexGuard<'_, ()>,
        name: &str,
        lower_bound: f64,
        rate: f64,
    ) -> Result<Arc<Operation>, SamplerError> {
        let clock = Arc::clone(&self.clock);
        let sampler = GuaranteedThroughputSampler::with_clock(lower_bound, rate, clock, (self.filled)())?;
        let operation = Arc::new(Operation { name: name.into(), sampler });
        let operations = self.operations.load(Ordering::Acquire) + 1;
        let table = self.table.load();
        if operations * 2 <= table.slots.len() {
            table.put(self.hasher, Arc::clone(&operation));
        } else {
            let larger = Table::new(table.slots.len() * 2);
            for known in table.operations().chain([&operation]) {
                larger.put(self.hasher, Arc::clone(known));
            }
            self.table.store(Arc::new(larger));
        }
        self.operations.store(operations, Ordering::Release);
        Ok(operation)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        // It guards no data, so there is nothing that a panic could have left half done.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sampler for PerOperationSampler {
    fn sample(&self, trace_id: TraceId, operation: &str) -> Decision {
        if let Some(known) = self.table.load().find(self.hasher, operation) {
            return known.sampler.sample(trace_id, operation);
        }
        if self.operations.load(Ordering::Acquire) < self.operations_max
            && let Some(learnt) = self.learn(operation)
        {
            return learnt.sampler.sample(trace_id, operation);
        }
        let rate = self.default_rate();
        let sampled = u128::from(trace_id.low()) < boundary(rate);
        Decision { sampled, tags: SamplerTags::number(SamplerType::Probabilistic, rate) }
    }
}

impl Table {
    /// `slots` is a power of two.
    fn new(slots: usize) -> Self {
        Self { slots: (0..slots).map(|_| OnceLock::new()).collect() }
    }

    fn find(&self, hasher: RandomState, name: &str) -> Option<&Arc<Operation>> {
        // Ends at an empty slot: half of them are.
        self.probe(hasher, name).map_while(OnceLock::get).find(|operation| *operation.name == *name)
    }

    /// Into the first empty slot; the caller holds the writer's lock and knows that the name is not there.
    fn put(&self, hasher: RandomState, operation: Arc<Operation>) {
        let name = operation.name.clone();
        let mut operation = Some(operation);
        for slot in self.probe(hasher, &name) {
            if let Some(left) = operation.take() {
                operation = slot.set(left).err();
            } else {
                return;
            }
        }
    }

    fn probe(&self, hasher: RandomState, name: &str) -> impl Iterator<Item = &OnceLock<Arc<Operation>>> {
        let start = hasher.hash_one(name) as usize & (self.slots.len() - 1);
        let (before, after) = self.slots.split_at(start);
        after.iter().chain(before)
    }

    fn operations(&self) -> impl Iterator<Item = &Arc<Operation>> {
        self.slots.iter().filter_map(OnceLock::get)
    }
}

impl fmt::Display for PerOperationSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PerOperationSampler({}, {}, {})", self.default_rate(), self.lower_bound(), self.operations_max)
    }
}

impl fmt::Debug for PerOperationSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learns_up_to_its_limit_from_many_threads() {
        let strategies = OperationStrategies { default_rate: 0.0, ..OperationStrategies::default() };
        let sampler = PerOperationSampler::new(&strategies, 100).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for index in 0..150 {
                        sampler.sample(TraceId::new(1), &format!("op{index}"));
                    }
                });
            }
        });
        let names = sampler.operation_names();
        assert_eq!(names.len(), 100);
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
    }

    #[test]
    fn an_update_with_an_impossible_rate_changes_nothing() {
        let sampler = PerOperationSampler::new(&OperationStrategies::default(), 10).unwrap();
        let operations = vec![("a".into(), 0.5), ("b".into(), 1.5)];
        let impossible = OperationStrategies { default_rate: 0.7, operations, ..OperationStrategies::default() };
        assert!(sampler.update(&impossible).is_err());
        assert_eq!((sampler.default_rate(), sampler.operation_names().len()), (0.001, 0));
    }
}
