//! Opens the store that the options ask for.

use crate::options::Options;
use std::sync::Arc;
use tracewell_store::{ReferenceStore, Store};

/// The store of these options.
pub fn open_store(options: &Options) -> anyhow::Result<Arc<dyn Store>> {
    Ok(Arc::new(ReferenceStore::new(options.autocomplete_keys.clone())))
}
