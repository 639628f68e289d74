//! The cases of the contract by name: each says one thing that a store has to do, with spans made for it.

use super::write;
use crate::store::Store;
use std::sync::Arc;

type Case = (&'static str, fn(&dyn Store));

pub(super) const CASES: &[Case] = &[("an empty store answers nothing", empty)];

fn empty(store: &dyn Store) {
    assert_eq!(store.service_names(), Ok(vec![]));
    assert_eq!(write(store, Default::default()), Ok(()));
    let _ = Arc::new(());
}
