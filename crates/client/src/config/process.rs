//! What a process knows about itself.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// An address for documentation (RFC 5737): nothing is sent there.
const SOMEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// The address that this machine has towards others, by its routes: no packet is sent and no name looked up.
pub(super) fn own_ip() -> Ipv4Addr {
    let towards = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        socket.connect(SOMEWHERE).ok()?;
        match socket.local_addr().ok()?.ip() {
            IpAddr::V4(ip) if !ip.is_unspecified() => Some(ip),
            _ => None,
        }
    };
    towards().unwrap_or(Ipv4Addr::LOCALHOST)
}

#[cfg(feature = "jaeger")]
pub(super) fn host_name() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}
