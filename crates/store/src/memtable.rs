//! Stand-in until the real one is merged.
use std::sync::{Arc, Mutex};
use tracewell_model::SpanBatch;
pub(crate) struct Memtable(pub(crate) Mutex<Vec<Arc<SpanBatch>>>);
impl Memtable {
    pub(crate) fn new(_: Arc<[String]>) -> Self {
        Self(Mutex::default())
    }
    pub(crate) fn insert(&self, batch: Arc<SpanBatch>) {
        self.0.lock().unwrap().push(batch);
    }
    pub(crate) fn memory_bytes(&self) -> usize {
        self.0.lock().unwrap().iter().map(|b| b.memory_bytes()).sum()
    }
    pub(crate) fn spans(&self) -> usize {
        self.0.lock().unwrap().iter().map(|b| b.len()).sum()
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.spans() == 0
    }
}
