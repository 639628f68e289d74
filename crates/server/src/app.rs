//! What all listeners share: the store and the ways to it, the options, the counts.

use crate::archive::Archive;
use crate::ingest::Ingest;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::queries::Queries;
use crate::sampling::{Sampling, StrategiesError};
use std::sync::Arc;
use tracewell_store::Store;

/// One of it a server.
pub(crate) struct App {
    pub(crate) options: Options,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) metrics: Arc<Metrics>,
    /// The way in.
    pub(crate) ingest: Ingest,
    /// The way out.
    pub(crate) queries: Queries,
    /// Traces kept past retention, where the options have an archive.
    pub(crate) archive: Option<Arc<Archive>>,
    /// What services are told to sample.
    pub(crate) sampling: Arc<Sampling>,
}

impl App {
    pub(crate) fn new(options: &Options, store: Arc<dyn Store>) -> Result<Arc<Self>, StrategiesError> {
        let metrics = Arc::new(Metrics::new());
        let sampling = Arc::new(Sampling::open(options, Arc::clone(&metrics))?);
        Ok(Arc::new(Self {
            ingest: Ingest::new(options, Arc::clone(&store), Arc::clone(&metrics), Arc::clone(&sampling)),
            queries: Queries::new(options, Arc::clone(&store), Arc::clone(&metrics)),
            archive: Archive::new(options, Arc::clone(&metrics)).map(Arc::new),
            options: options.clone(),
            store,
            metrics,
            sampling,
        }))
    }

    /// Closes what keeps spans. Blocks.
    pub(crate) fn close(&self) {
        if let Some(archive) = &self.archive {
            archive.close();
        }
        self.store.close();
    }
}
