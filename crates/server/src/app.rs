//! What all listeners share: the store and the ways to it, the options, the counts. With tenants, one of it for each, and one
//! for what is nobody's.

use crate::archive::Archive;
use crate::ingest::Ingest;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::page_api::DrawnTraces;
use crate::queries::Queries;
use crate::sampling::{Sampling, StrategiesError};
use std::sync::Arc;
use tracewell_store::{Store, StoreHealth, StoreStats};

/// One of it a server, and one a tenant.
pub(crate) struct App {
    pub(crate) options: Options,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) metrics: Arc<Metrics>,
    /// The way in.
    pub(crate) ingest: Ingest,
    /// Who watches what comes.
    pub(crate) live: Arc<Live>,
    /// The way out.
    pub(crate) queries: Queries,
    /// What the page drew last.
    pub(crate) drawn: Arc<DrawnTraces>,
    /// Traces kept past retention, where the options have an archive.
    pub(crate) archive: Option<Arc<Archive>>,
    /// What services are told to sample.
    pub(crate) sampling: Arc<Sampling>,
    /// The tenants, by name; none where they are not told apart.
    pub(crate) tenants: Vec<(String, Arc<Self>)>,
}

/// A tenant as it is found: its name, its options and its store.
pub(crate) type TenantStore = (String, Options, Arc<dyn Store>);

impl App {
    pub(crate) fn new(
        options: &Options,
        store: Arc<dyn Store>,
        tenants: Vec<TenantStore>,
    ) -> Result<Arc<Self>, StrategiesError> {
        let metrics = Arc::new(Metrics::new());
        let sampling = Arc::new(Sampling::open(options, Arc::clone(&metrics))?);
        let of = |options: &Options, store| Self::with(options, store, &metrics, &sampling);
        let tenants = tenants.into_iter().map(|(name, options, store)| (name, Arc::new(of(&options, store)))).collect();
        Ok(Arc::new(Self { tenants, ..of(options, store) }))
    }

    fn with(options: &Options, store: Arc<dyn Store>, metrics: &Arc<Metrics>, sampling: &Arc<Sampling>) -> Self {
        let live = Arc::new(Live::default());
        let (of_ingest, of_metrics) = (Arc::clone(&live), Arc::clone(metrics));
        Self {
            ingest: Ingest::new(options, Arc::clone(&store), of_metrics, Arc::clone(sampling), of_ingest),
            live,
            drawn: Arc::default(),
            queries: Queries::new(options, Arc::clone(&store), Arc::clone(metrics)),
            archive: Archive::new(options, Arc::clone(metrics)).map(Arc::new),
            options: options.clone(),
            store,
            metrics: Arc::clone(metrics),
            sampling: Arc::clone(sampling),
            tenants: vec![],
        }
    }

    /// It and those of its tenants.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.tenants.iter().map(|(_, app)| app.as_ref()))
    }

    /// The figures of all stores together.
    pub(crate) fn store_stats(&self) -> StoreStats {
        self.all().map(|app| app.store.stats()).reduce(sum).unwrap_or_default()
    }

    /// Whether all stores work.
    pub(crate) fn store_health(&self) -> StoreHealth {
        let mut whole = StoreHealth::default();
        for health in self.all().map(|app| app.store.health()) {
            whole.writes_refused = whole.writes_refused.or(health.writes_refused);
            whole.damage.extend(health.damage);
        }
        whole
    }

    /// Closes what keeps spans. Blocks.
    pub(crate) fn close(&self) {
        for app in self.all() {
            if let Some(archive) = &app.archive {
                archive.close();
            }
            app.store.close();
        }
    }
}

fn sum(a: StoreStats, b: StoreStats) -> StoreStats {
    StoreStats {
        spans_stored: a.spans_stored + b.spans_stored,
        batches_written: a.batches_written + b.batches_written,
        spans_written: a.spans_written + b.spans_written,
        writes_refused: a.writes_refused + b.writes_refused,
        write_queue_bytes: a.write_queue_bytes + b.write_queue_bytes,
        log_syncs: a.log_syncs + b.log_syncs,
        log_written_bytes: a.log_written_bytes + b.log_written_bytes,
        log_bytes: a.log_bytes + b.log_bytes,
        memory_bytes: a.memory_bytes + b.memory_bytes,
        memory_spans: a.memory_spans + b.memory_spans,
        segments: a.segments + b.segments,
        segment_bytes: a.segment_bytes + b.segment_bytes,
        segment_spans: a.segment_spans + b.segment_spans,
        segments_sealed: a.segments_sealed + b.segments_sealed,
        segments_merged: a.segments_merged + b.segments_merged,
        segments_expired: a.segments_expired + b.segments_expired,
        segments_damaged: a.segments_damaged + b.segments_damaged,
        sealed_bytes: a.sealed_bytes + b.sealed_bytes,
        merged_bytes: a.merged_bytes + b.merged_bytes,
        expired_bytes: a.expired_bytes + b.expired_bytes,
        catalog_written_bytes: a.catalog_written_bytes + b.catalog_written_bytes,
        sealing_us: a.sealing_us + b.sealing_us,
        merging_us: a.merging_us + b.merging_us,
    }
}
