//! Opens the store that the options ask for.

use crate::options::{Durability, Options, StorageKind};
use anyhow::Context;
use std::sync::Arc;
use tracewell_store::{EmbeddedOptions, EmbeddedStore, MemoryOptions, MemoryStore, RealDisk, Store};

/// The store of these options. On disk, everything acknowledged before is there when this returns.
pub fn open_store(options: &Options) -> anyhow::Result<Arc<dyn Store>> {
    tracewell_store::set_block_cache_bytes_max(options.block_cache_bytes_max());
    let unless_said = if options.mem_max_spans.is_some() { StorageKind::Memory } else { StorageKind::Disk };
    if options.storage.unwrap_or(unless_said) == StorageKind::Memory {
        let memory = memory_options(options);
        tracing::warn!(
            spans_max = memory.spans_max,
            "spans are kept in memory alone: they are lost when the server stops"
        );
        return Ok(Arc::new(MemoryStore::open(memory).context("--storage memory")?));
    }
    let disk = RealDisk::open(&options.data_dir)
        .with_context(|| format!("--data-dir {}: cannot be used", options.data_dir.display()))?;
    let store = EmbeddedStore::open(embedded_options(options), Arc::new(disk))
        .with_context(|| format!("--data-dir {}", options.data_dir.display()))?;
    Ok(Arc::new(store))
}

fn memory_options(options: &Options) -> MemoryOptions {
    let default = MemoryOptions::default();
    MemoryOptions {
        spans_max: options.mem_max_spans.unwrap_or(default.spans_max),
        // As on disk: the largest body that is taken has to fit, decoded, with room for others.
        write_queue_bytes_max: options.store_memory_bytes_max() / 2,
        tag_keys: options.autocomplete_keys.clone(),
        search_enabled: options.search_enabled,
    }
}

/// What an engine is opened with.
pub(crate) fn embedded_options(options: &Options) -> EmbeddedOptions {
    let memory_bytes_max = options.store_memory_bytes_max();
    EmbeddedOptions {
        durability: match options.durability {
            Durability::Fsync => tracewell_store::Durability::Fsync,
            Durability::Os => tracewell_store::Durability::Os,
        },
        memory_bytes_max,
        // The largest body that is taken has to fit, decoded, with room for others.
        write_queue_bytes_max: memory_bytes_max / 2,
        retention_age_us: u64::try_from(options.retention_age.as_micros()).unwrap_or(u64::MAX),
        retention_bytes_max: options.retention_bytes_max.map(|bytes| bytes.0 as u64),
        disk_free_bytes_min: options.disk_free_bytes_min.map(|bytes| bytes.0 as u64),
        tag_keys: options.autocomplete_keys.clone(),
        search_enabled: options.search_enabled,
        ..EmbeddedOptions::default()
    }
}
