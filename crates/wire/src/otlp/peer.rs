//! The other side of a call: attributes of OTLP to a remote endpoint and back.
//!
//! Which attributes name it, and which of them first, is the OpenTelemetry specification's Zipkin page; how an endpoint is
//! written as attributes is what Jaeger 1.76 makes of Zipkin's spans.

use super::names::ABSENT_START;
use crate::jaeger::{is_field_of_otlp, is_from_jaeger};
use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tracewell_model::{Endpoint, EndpointRef, Kind, SpanBatch, SpanView, ValueRef};

const PEER_SERVICE: &str = "peer.service";
const PEER_IP: &str = "net.peer.ip";
const PEER_PORT: &str = "net.peer.port";
const HOST_IP: &str = "net.host.ip";
const HOST_PORT: &str = "net.host.port";

/// The names of the other side by rank. Those behind the second count for callers only: on an answering side they name itself.
const PEERS: [(&str, &str); 12] = [
    (PEER_SERVICE, PEER_PORT),
    (PEER_IP, PEER_PORT),
    ("server.address", "server.port"),
    ("net.peer.name", PEER_PORT),
    ("network.peer.address", "network.peer.port"),
    ("server.socket.domain", "server.socket.port"),
    ("server.socket.address", "server.socket.port"),
    ("net.sock.peer.name", "net.sock.peer.port"),
    ("net.sock.peer.addr", "net.sock.peer.port"),
    ("peer.hostname", ""),
    ("peer.address", ""),
    ("db.name", ""),
];
pub(super) const FOR_EVERY_KIND: usize = 2;

/// Where in the order of names a key stands, if it may name the other side. A port alone does not.
#[inline]
pub(super) fn rank(key: &str) -> Option<usize> {
    Some(match key {
        PEER_SERVICE => 0,
        PEER_IP => 1,
        "server.address" => 2,
        "net.peer.name" => 3,
        "network.peer.address" => 4,
        "server.socket.domain" => 5,
        "server.socket.address" => 6,
        "net.sock.peer.name" => 7,
        "net.sock.peer.addr" => 8,
        "peer.hostname" => 9,
        "peer.address" => 10,
        "db.name" => 11,
        _ => return None,
    })
}

/// Which of these keys a span has: asked before its attributes are gone through.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PeerKeys {
    of_every_kind: bool,
    of_callers: bool,
}

impl PeerKeys {
    #[inline]
    pub(super) fn saw(&mut self, of_every_kind: bool) {
        self.of_every_kind |= of_every_kind;
        self.of_callers = true;
    }

    #[inline]
    pub(super) fn count_for(self, kind: Kind) -> bool {
        self.of_every_kind || self.of_callers && is_caller(kind)
    }
}

fn is_caller(kind: Kind) -> bool {
    matches!(kind, Kind::Client | Kind::Producer)
}

/// The address, where the text is one. Names are told from addresses at their first letter, mostly.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let may_be = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'.' || byte == b':');
    if may_be { text.parse().ok() } else { None }
}

/// What a span's attributes say of the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Peer<'a> {
    service: &'a str,
    ip: Option<IpAddr>,
    port: u16,
}

impl<'a> Peer<'a> {
    pub(super) fn of(span: impl SpanView<'a>) -> Self {
        let ranks = if is_caller(span.kind()) { PEERS.len() } else { FOR_EVERY_KIND };
        let mut found = [""; PEERS.len()];
        for (key, value) in span.tags() {
            if let (Some(rank), ValueRef::Str(text)) = (rank(key), value) {
                found[rank] = text;
            }
        }
        let mut peer = Self::default();
        let mut port_key = "";
        let named = found[..ranks].iter().zip(PEERS).filter(|(text, _)| !text.is_empty());
        for (&text, (name, port)) in named {
            // A service's name is a name even where it looks like an address.
            if let Some(ip) = parse_ip(text).filter(|_| name != PEER_SERVICE) {
                if peer.ip.is_none() {
                    peer.ip = Some(ip);
                    port_key = port;
                }
            } else if peer.service.is_empty() {
                peer.service = text;
                if peer.ip.is_none() {
                    port_key = port;
                }
            }
        }
        if !port_key.is_empty() {
            peer.port = span.tags().find(|(key, _)| *key == port_key).map_or(0, |(_, value)| port_of(value));
        }
        peer
    }
}

/// Gives the span committed last the remote endpoint that its attributes name, if they do. `scratch` holds a text meanwhile.
pub(super) fn assign_remote(batch: &mut SpanBatch, scratch: &mut String) {
    let Some(last) = batch.len().checked_sub(1) else { return };
    let Peer { service, ip, port } = Peer::of(batch.span(last));
    scratch.clear();
    scratch.push_str(service);
    let service = batch.intern(scratch);
    let mut endpoint = Endpoint { service, port, ..Endpoint::default() };
    match ip {
        Some(IpAddr::V4(ip)) => endpoint.ipv4 = Some(ip.octets()),
        Some(IpAddr::V6(ip)) => endpoint.ipv6 = Some(ip.octets()),
        None => {}
    }
    let remote = batch.intern_endpoint(endpoint);
    batch.assign_remote(remote);
}

fn port_of(value: ValueRef<'_>) -> u16 {
    match value {
        ValueRef::I64(port) => u16::try_from(port).unwrap_or(0),
        ValueRef::Str(text) => text.parse().unwrap_or(0),
        _ => 0,
    }
}

/// Hands out a span's tags: of those that came from Jaeger not the ones that a field says already.
#[inline]
pub(super) fn for_each_tag<'a>(span: impl SpanView<'a>, mut each: impl FnMut(&str, ValueRef<'_>)) {
    let from_jaeger = is_from_jaeger(span);
    for (key, value) in span.tags() {
        if !(from_jaeger && is_field_of_otlp(span, key, value)) {
            each(key, value);
        }
    }
}

/// Hands out, as attributes, what a span has in fields that OTLP lacks: its endpoints and that it has no start. What its
/// tags say already is left out.
#[inline]
pub(super) fn for_each_field<'a>(span: impl SpanView<'a>, mut each: impl FnMut(&str, ValueRef<'_>)) {
    if span.start().is_none() && span.duration().is_some() {
        each(ABSENT_START, ValueRef::Bool(true));
    }
    // Nearly no span has any of them.
    if span.local().is_some_and(|local| local.ipv4.is_some() || local.ipv6.is_some() || local.port != 0) {
        for_each_of_local(span, &mut each);
    }
    // Jaeger's tags say themselves what the remote endpoint was made of.
    if span.remote().is_some() && !is_from_jaeger(span) {
        for_each_of_remote(span, &mut each);
    }
}

#[inline(never)]
fn for_each_of_local<'a>(span: impl SpanView<'a>, each: &mut impl FnMut(&str, ValueRef<'_>)) {
    if let Some(local) = span.local() {
        for_each_address(span, local, (HOST_IP, HOST_PORT), each);
    }
}

#[inline(never)]
fn for_each_of_remote<'a>(span: impl SpanView<'a>, each: &mut impl FnMut(&str, ValueRef<'_>)) {
    let Some(remote) = span.remote() else { return };
    let said = Peer::of(span);
    let same_ip = said.ip == address(remote) && said.port == remote.port;
    let has = |key: &str| span.tags().any(|(found, _)| found == key);
    if said.service != remote.service && !remote.service.is_empty() && !has(PEER_SERVICE) {
        each(PEER_SERVICE, ValueRef::Str(remote.service));
    }
    if !same_ip {
        for_each_address(span, remote, (PEER_IP, PEER_PORT), each);
    }
}

#[inline(never)]
fn for_each_address<'a>(
    span: impl SpanView<'a>,
    endpoint: EndpointRef<'_>,
    (ip_key, port_key): (&str, &str),
    each: &mut impl FnMut(&str, ValueRef<'_>),
) {
    let has = |key: &str| span.tags().any(|(found, _)| found == key);
    if let Some(ip) = address(endpoint)
        && !has(ip_key)
    {
        let mut text = IpText { bytes: [0; 45], len: 0 };
        // No address is longer than the room for it.
        _ = write!(text, "{ip}");
        each(ip_key, ValueRef::Str(text.as_str()));
    }
    if endpoint.port != 0 && !has(port_key) {
        each(port_key, ValueRef::I64(endpoint.port.into()));
    }
}

/// Of two addresses the longer, as Jaeger 1.76 does with a Zipkin endpoint.
fn address(endpoint: EndpointRef<'_>) -> Option<IpAddr> {
    let v6 = endpoint.ipv6.map(|ip| IpAddr::V6(Ipv6Addr::from(ip)));
    v6.or_else(|| endpoint.ipv4.map(|ip| IpAddr::V4(Ipv4Addr::from(ip))))
}

/// An address as text, without an allocation.
struct IpText {
    bytes: [u8; 45],
    len: usize,
}

impl IpText {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl Write for IpText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_rank() {
        for (at, (name, _)) in PEERS.into_iter().enumerate() {
            assert_eq!(rank(name), Some(at));
        }
        assert_eq!((rank(PEER_PORT), rank("")), (None, None));
        for text in ["1.2.3.4", "::1", "2001:db8::1"] {
            assert_eq!(parse_ip(text).map(|ip| ip.to_string()).as_deref(), Some(text));
        }
        for text in ["", "db", "1.2.3", "1.2.3.4:80", "face"] {
            assert_eq!(parse_ip(text), None);
        }
    }
}
