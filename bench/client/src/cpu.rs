//! CPU time, in nanoseconds, of this thread and of all threads.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Of the calling thread.
pub(crate) fn thread_ns() -> u64 {
    nanos(clock_gettime(ClockId::ThreadCPUTime))
}

/// Of the process.
pub(crate) fn process_ns() -> u64 {
    nanos(clock_gettime(ClockId::ProcessCPUTime))
}

fn nanos(time: Timespec) -> u64 {
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
