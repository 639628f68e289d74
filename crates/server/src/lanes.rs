//! Threads that take spans in. Each has an event loop of its own and its share of the connections, so that a request is
//! read, decoded, written and answered without waking another thread. The bodies of one turn of the loop become one batch
//! where they can ([`join`]): what a batch costs, its names above all, is paid once for all of them. What a turn brought is
//! committed together, by the thread itself: it has nothing better to do until the disk has it, because whoever sent it
//! waits for that, too. Queries are answered elsewhere.

use std::cell::OnceCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tracewell_model::SpanBatch;
use tracewell_store::{Store, WriteError, WriterCall};

/// A lane gets so many connections before the next gets any: few senders are served best by one thread, whose writes then
/// hold the batches of all of them.
const CONNECTIONS_TOGETHER: usize = 4;
/// What was brought is committed when it is this much, however much more is about to come.
const GATHERED_BYTES_MAX: usize = 1 << 20;
/// What a lane keeps of a batch to fill it again.
const KEPT_BATCH_BYTES_MAX: usize = 1 << 20;

thread_local! {
    /// The lane that this thread is.
    static LANE: OnceCell<Arc<Lane>> = const { OnceCell::new() };
}

/// All of them. They end when this is dropped.
pub(crate) struct Lanes {
    first: Running,
    others: Vec<Running>,
}

struct Running {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
    /// Dropped, it ends the thread.
    _stop: oneshot::Sender<()>,
}

/// What a lane's thread shares with those who write for it.
#[derive(Default)]
struct Lane {
    /// Something is to be done: brought, answered, or it is the lane's turn to write.
    called: Notify,
    stores: Mutex<Vec<Brought>>,
    gathered_bytes: AtomicUsize,
    batches: AtomicUsize,
    /// Answers from other threads, until the lane hands them on.
    answers: Mutex<Vec<Answer>>,
    /// Memory for the next open batch, whatever its store: there may be many stores.
    spare: Mutex<SpanBatch>,
}

type Answered = oneshot::Sender<Result<(), WriteError>>;
/// Who waits for a batch, and what became of it.
type Answer = (Vec<Answered>, Result<(), WriteError>);

/// A body whose spans are in a batch with those of others, which will be committed.
pub(crate) struct Joined {
    /// How many it brought.
    pub(crate) spans: usize,
    answered: oneshot::Receiver<Result<(), WriteError>>,
}

/// A store to which batches were brought.
struct Brought {
    store: Arc<dyn Store>,
    /// Whether it is to be committed.
    due: Arc<AtomicBool>,
    call: WriterCall,
    open: OpenBatch,
}

/// The batch that bodies join, and who waits for it.
#[derive(Default)]
struct OpenBatch {
    batch: SpanBatch,
    /// Of the bodies in it.
    body_bytes: usize,
    waiting: Vec<Answered>,
}

impl Lanes {
    /// Starts one for each processor.
    pub(crate) fn start() -> io::Result<Arc<Self>> {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let others = (1..count).map(|_| Running::start()).collect::<io::Result<_>>()?;
        Ok(Arc::new(Self { first: Running::start()?, others }))
    }

    /// Runs what serves a connection on the lane that has least to do.
    pub(crate) fn spawn(&self, serving: impl Future<Output = ()> + Send + 'static) {
        let load = |lane: &&Running| lane.connections.load(Relaxed) / CONNECTIONS_TOGETHER;
        let lane = [&self.first].into_iter().chain(&self.others).min_by_key(load).unwrap_or(&self.first);
        let open = Connection::new(&lane.connections);
        lane.runtime.spawn(async move {
            serving.await;
            drop(open);
        });
    }

    /// Runs what takes packets, as the connections of the first lane.
    pub(crate) fn spawn_on_first(&self, taking: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.first.runtime.spawn(taking)
    }
}

/// Counts while it is there.
struct Connection(Arc<AtomicUsize>);

impl Connection {
    fn new(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Relaxed);
        Self(Arc::clone(connections))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Running {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = move || {
            let lane = LANE.with(|lane| Arc::clone(lane.get_or_init(Arc::default)));
            runtime.spawn(lane.commit());
            // Nothing is ever sent: that the other end is gone is the sign.
            drop(runtime.block_on(stopped));
            // Decoders that nobody waits for any more do not keep it.
            runtime.shutdown_background();
        };
        thread::Builder::new().name("tracewell-in".to_owned()).spawn(run)?;
        Ok(Self { runtime: handle, connections: Arc::default(), _stop: stop })
    }
}

/// Hands spans to a store and waits for its answer. On a lane, they are committed with the others of the same turn.
pub(crate) async fn write(store: &Arc<dyn Store>, batch: SpanBatch) -> Result<(), WriteError> {
    let (done, answered) = oneshot::channel();
    match LANE.with(|lane| lane.get().cloned()) {
        Some(lane) => lane.bring(store, batch, done),
        // Nobody waits any more when the sender has gone; the spans are kept all the same.
        None => store.write(batch, Box::new(|answer| drop(done.send(answer)))),
    }
    answered.await.unwrap_or(Err(WriteError::Closed))
}

/// On a lane, has a body of so many bytes fill the batch in which the bodies of one turn go to the store, up to `bytes_max`
/// of them, and commits it with all else. Where `fill` fails it leaves the batch as it was. Nothing is done on a thread that
/// is no lane.
pub(crate) fn join<E>(
    store: &Arc<dyn Store>,
    bytes: usize,
    bytes_max: usize,
    fill: impl FnOnce(&mut SpanBatch) -> Result<(), E>,
) -> Option<Result<Joined, E>> {
    let lane = LANE.with(|lane| lane.get().cloned())?;
    Some(lane.join(store, bytes, bytes_max, fill))
}

impl Joined {
    /// What the store answers.
    pub(crate) async fn answered(self) -> Result<(), WriteError> {
        self.answered.await.unwrap_or(Err(WriteError::Closed))
    }
}

impl Lane {
    fn join<E>(
        self: Arc<Self>,
        store: &Arc<dyn Store>,
        bytes: usize,
        bytes_max: usize,
        fill: impl FnOnce(&mut SpanBatch) -> Result<(), E>,
    ) -> Result<Joined, E> {
        // Taken out while it is filled: should that panic, who waits for the others of the batch is told so.
        let mut open = self.with(store, |brought| {
            if brought.open.body_bytes + bytes > bytes_max {
                self.hand_over(brought);
            }
            std::mem::take(&mut brought.open)
        });
        if open.waiting.is_empty() {
            open.batch = std::mem::take(&mut *self.spare());
        }
        let before = open.batch.len();
        let filled = fill(&mut open.batch);
        let spans = open.batch.len() - before;
        let (done, answered) = oneshot::channel();
        if spans > 0 {
            open.body_bytes += bytes;
            open.waiting.push(done);
            self.gathered_bytes.fetch_add(bytes, Relaxed);
            self.batches.fetch_add(1, Relaxed);
            self.called.notify_one();
        }
        if open.waiting.is_empty() {
            self.keep(open.batch);
        } else {
            self.with(store, |brought| brought.open = open);
        }
        filled.map(|()| Joined { spans, answered })
    }

    /// Hands the batch that bodies joined to the store: a copy that has the room it needs and no more, for it stays in memory
    /// until its spans are in a segment.
    fn hand_over(self: &Arc<Self>, brought: &mut Brought) {
        if brought.open.waiting.is_empty() {
            return;
        }
        let OpenBatch { mut batch, waiting, .. } = std::mem::take(&mut brought.open);
        let whole = if batch.memory_bytes() > KEPT_BATCH_BYTES_MAX {
            batch.shrink_to_fit();
            batch
        } else {
            let whole = batch.clone();
            self.keep(batch);
            whole
        };
        let lane = Arc::clone(self);
        brought.store.write_at_commit(whole, Box::new(move |answer| lane.answer(waiting, answer)));
        brought.due.store(true, Relaxed);
    }

    /// Keeps the memory of a batch, unless it is large.
    fn keep(&self, mut batch: SpanBatch) {
        if batch.memory_bytes() <= KEPT_BATCH_BYTES_MAX {
            batch.clear();
            *self.spare() = batch;
        }
    }

    /// Calls `with` with what is known of a store.
    fn with<T>(self: &Arc<Self>, store: &Arc<dyn Store>, with: impl FnOnce(&mut Brought) -> T) -> T {
        let mut stores = self.stores();
        let known = stores.iter().position(|brought| Arc::ptr_eq(&brought.store, store));
        let at = known.unwrap_or_else(|| {
            stores.push(Brought::new(Arc::clone(store), Arc::downgrade(self)));
            stores.len() - 1
        });
        with(&mut stores[at])
    }

    fn bring(self: Arc<Self>, store: &Arc<dyn Store>, batch: SpanBatch, done: Answered) {
        self.gathered_bytes.fetch_add(batch.memory_bytes(), Relaxed);
        self.batches.fetch_add(1, Relaxed);
        let lane = Arc::clone(&self);
        store.write_at_commit(batch, Box::new(move |answer| lane.answer(vec![done], answer)));
        self.with(store, |brought| brought.due.store(true, Relaxed));
        self.called.notify_one();
    }

    /// Tells who waits in this lane what became of a batch, from any thread.
    fn answer(&self, waiting: Vec<Answered>, answer: Result<(), WriteError>) {
        if LANE.with(|lane| lane.get().is_some_and(|lane| std::ptr::eq(&raw const **lane, self))) {
            return tell(waiting, &answer);
        }
        let mut answers = self.answers();
        answers.push((waiting, answer));
        // One call for all answers of a group: a call from another thread is one of the system.
        if answers.len() == 1 {
            drop(answers);
            self.called.notify_one();
        }
    }

    /// Commits what is brought, again and again, for as long as the lane lives.
    async fn commit(self: Arc<Self>) {
        loop {
            self.called.notified().await;
            self.hand_on_answers();
            if self.batches.swap(0, Relaxed) > 0 {
                self.gather().await;
                self.hand_on_answers();
            }
            self.gathered_bytes.store(0, Relaxed);
            for store in self.stores().iter_mut() {
                self.hand_over(store);
                if store.due.swap(false, Relaxed) && store.commit() {
                    (store.call)();
                }
            }
        }
    }

    /// Lets the requests that have arrived meanwhile bring theirs.
    async fn gather(&self) {
        loop {
            // All that can go on does so first, and the sockets are looked at.
            tokio::task::yield_now().await;
            let brought = self.batches.swap(0, Relaxed);
            if brought == 0 || self.gathered_bytes.load(Relaxed) >= GATHERED_BYTES_MAX {
                return;
            }
        }
    }

    fn hand_on_answers(&self) {
        let mut answers = self.answers();
        answers.drain(..).for_each(|(waiting, answer)| tell(waiting, &answer));
    }

    fn answers(&self) -> MutexGuard<'_, Vec<Answer>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spare(&self) -> MutexGuard<'_, SpanBatch> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stores(&self) -> MutexGuard<'_, Vec<Brought>> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(waiting: Vec<Answered>, answer: &Result<(), WriteError>) {
    // Whether anybody still waits does not matter.
    waiting.into_iter().for_each(|done| drop(done.send(answer.clone())));
}

impl Brought {
    fn new(store: Arc<dyn Store>, lane: Weak<Lane>) -> Self {
        let due = Arc::new(AtomicBool::new(false));
        let call = Arc::new({
            let due = Arc::clone(&due);
            move || {
                due.store(true, Relaxed);
                if let Some(lane) = lane.upgrade() {
                    lane.called.notify_one();
                }
            }
        });
        Self { store, due, call, open: OpenBatch::default() }
    }

    /// Answers whether more is to be committed.
    fn commit(&self) -> bool {
        // Nothing that goes wrong here may end what serves the other connections.
        catch_unwind(AssertUnwindSafe(|| self.store.commit(&self.call))).unwrap_or_else(|_| {
            tracing::error!("committing panicked");
            false
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracewell_model::{Span, SpanId, TraceGrouping, TraceId};
    use tracewell_store::{MemoryOptions, MemoryStore};

    const BYTES: usize = 100;

    fn span(id: u64) -> Span {
        Span { trace_id: TraceId::new(7), id: SpanId::new(id), ..Span::default() }
    }

    /// On a lane: bodies of one span each, of which the second is malformed.
    async fn bring(store: Arc<dyn Store>, bytes_max: usize) -> Vec<Result<usize, &'static str>> {
        let body = |id: u64| {
            let joined = join(&store, BYTES, bytes_max, |batch| {
                let mark = batch.mark();
                batch.push_span(&span(id)).unwrap();
                if id == 2 {
                    batch.rollback(mark);
                    return Err("malformed");
                }
                Ok(())
            });
            joined.unwrap()
        };
        let mut brought = vec![];
        for joined in [1, 2, 3, 4].map(body) {
            brought.push(match joined {
                Ok(joined) => {
                    let spans = joined.spans;
                    joined.answered().await.map(|()| spans).map_err(|_| "refused")
                }
                Err(error) => Err(error),
            });
        }
        brought
    }

    #[test]
    fn bodies_of_one_turn_are_one_batch() {
        for (bytes_max, batches) in [(10 * BYTES, 1), (2 * BYTES, 2), (0, 3)] {
            let store: Arc<dyn Store> = Arc::new(MemoryStore::open(MemoryOptions::default()).unwrap());
            let lanes = Lanes::start().unwrap();
            let (done, answered) = std::sync::mpsc::channel();
            let of_lane = Arc::clone(&store);
            lanes.spawn(async move { done.send(bring(of_lane, bytes_max).await).unwrap() });
            assert_eq!(answered.recv().unwrap(), [Ok(1), Err("malformed"), Ok(1), Ok(1)]);
            let found = store.traces(&[TraceId::new(7)], TraceGrouping::Strict).unwrap();
            let ids: Vec<u64> = found[0].spans().map(|span| span.id().value()).collect();
            assert_eq!((ids, store.stats().batches_written), (vec![1, 3, 4], batches));
            assert!(join(&store, BYTES, bytes_max, |_| Ok::<_, ()>(())).is_none(), "no lane");
        }
    }
}
