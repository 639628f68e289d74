//! What the operating system knows of this process, and what it allows it.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Figures of the process, read when somebody asks.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct ProcessStats {
    pub(crate) resident_memory_bytes: u64,
    pub(crate) cpu_seconds: f64,
    pub(crate) open_files: u64,
    pub(crate) threads: u64,
}

/// Zeros where there is no `/proc`.
pub(crate) fn process_stats() -> ProcessStats {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let pages: u64 = read("/proc/self/statm").split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    let stat = read("/proc/self/stat");
    // The program's name, in parentheses, may hold spaces.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or(vec![], |(_, rest)| rest.split_whitespace().collect());
    let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    ProcessStats {
        resident_memory_bytes: pages * rustix::param::page_size() as u64,
        cpu_seconds: (number(14) + number(15)) as f64 / rustix::param::clock_ticks_per_second() as f64,
        open_files: std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64),
        threads: number(20),
    }
}

/// What the system counts of a UDP socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct UdpSocketStats {
    /// Its number.
    pub(crate) inode: u64,
    pub(crate) queued_bytes: u64,
    pub(crate) dropped_packets: u64,
}

/// All of them; none where there is no `/proc`.
pub(crate) fn udp_sockets() -> Vec<UdpSocketStats> {
    let list = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    ["/proc/net/udp", "/proc/net/udp6"].map(list).iter().flat_map(|list| list.lines().filter_map(udp_socket)).collect()
}

/// A line of that list; see proc(5).
fn udp_socket(line: &str) -> Option<UdpSocketStats> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, queued) = fields.get(4)?.split_once(':')?;
    Some(UdpSocketStats {
        inode: fields.get(9)?.parse().ok()?,
        queued_bytes: u64::from_str_radix(queued, 16).ok()?,
        dropped_packets: fields.get(12)?.parse().ok()?,
    })
}

/// Lets the process have as many open files as it may: many systems begin with 1,024, fewer than the connections we take.
pub(crate) fn raise_open_files_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || limit.maximum.is_none() {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit on open files cannot be raised");
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_system_knows_the_sockets() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&[0; 100], socket.local_addr().unwrap()).unwrap();
        let inode = rustix::fs::fstat(&socket).unwrap().st_ino;
        let found = udp_sockets().into_iter().find(|found| found.inode == inode).unwrap();
        assert!(found.queued_bytes >= 100 && found.dropped_packets == 0, "{found:?}");
    }

    #[test]
    fn the_process_knows_itself() {
        let stats = process_stats();
        assert!(stats.resident_memory_bytes > 1 << 20);
        assert!(stats.open_files >= 3);
        assert!(stats.threads >= 1);
    }
}
