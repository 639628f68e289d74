//! Threads that take spans in. Each has an event loop of its own and its share of the connections, so that a request is
//! read, decoded, written and answered without waking another thread. What the requests of one turn of the loop brought is
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
    answers: Mutex<Vec<(Answered, Result<(), WriteError>)>>,
}

type Answered = oneshot::Sender<Result<(), WriteError>>;

/// A store to which batches were brought.
struct Brought {
    store: Arc<dyn Store>,
    /// Whether it is to be committed.
    due: Arc<AtomicBool>,
    call: WriterCall,
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

impl Lane {
    fn bring(self: Arc<Self>, store: &Arc<dyn Store>, batch: SpanBatch, done: Answered) {
        self.gathered_bytes.fetch_add(batch.memory_bytes(), Relaxed);
        self.batches.fetch_add(1, Relaxed);
        let lane = Arc::clone(&self);
        store.write_at_commit(batch, Box::new(move |answer| lane.answer(done, answer)));
        let mut stores = self.stores();
        let due = match stores.iter().find(|brought| Arc::ptr_eq(&brought.store, store)) {
            Some(brought) => &brought.due,
            None => {
                stores.push(Brought::new(Arc::clone(store), Arc::downgrade(&self)));
                &stores[stores.len() - 1].due
            }
        };
        due.store(true, Relaxed);
        self.called.notify_one();
    }

    /// Tells who waits in this lane what became of a batch, from any thread.
    fn answer(&self, done: Answered, answer: Result<(), WriteError>) {
        if LANE.with(|lane| lane.get().is_some_and(|lane| std::ptr::eq(&raw const **lane, self))) {
            drop(done.send(answer));
            return;
        }
        let mut answers = self.answers();
        answers.push((done, answer));
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
            for store in self.stores().iter() {
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
        answers.drain(..).for_each(|(done, answer)| drop(done.send(answer)));
    }

    fn answers(&self) -> MutexGuard<'_, Vec<(Answered, Result<(), WriteError>)>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stores(&self) -> MutexGuard<'_, Vec<Brought>> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        Self { store, due, call }
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
