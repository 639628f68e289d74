//! The time of day: the only place of the server that asks for it. What it decides takes it as a value, so that tests can choose.

use std::time::SystemTime;

/// The current time.
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}
