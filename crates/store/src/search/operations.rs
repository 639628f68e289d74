//! The names of a service's spans with their kinds, from all parts of a store.

use super::View;
use crate::store::ReadError;
use std::collections::BTreeSet;
use tracewell_model::Kind;

/// See [`crate::Store::operations`].
pub(super) fn operations(view: &View, service: &str) -> Result<Vec<(String, Kind)>, ReadError> {
    let mut found: BTreeSet<(String, u8)> = BTreeSet::new();
    view.each_segment(|segment| {
        segment.each_operation(service, |name, kind| {
            found.insert((name.to_owned(), kind as u8));
        })?;
        Ok(())
    })?;
    for memtable in &view.memtables {
        memtable.with_names(|names| {
            let of_service = names.services.get(service).into_iter().flat_map(|names| names.operations());
            found.extend(of_service.map(|(name, kind)| (name.to_owned(), kind as u8)));
        });
    }
    let operation = |(name, kind): (String, u8)| (name, Kind::from_u8(kind).unwrap_or_default());
    Ok(found.into_iter().map(operation).collect())
}
