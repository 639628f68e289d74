//! The other side of a call: attributes of OTLP to a remote endpoint and back.
//!
//! Which attributes name it, and which of them first, is the OpenTelemetry specification's Zipkin page; how an endpoint is
//! written as attributes is what Jaeger 1.76 makes of Zipkin's spans.

use super::names::ABSENT_START;
use crate::jaeger::{is_field_of_otlp, is_from_jaeger};
use crate::names::Slots;
use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tracewell_model::{Endpoint, EndpointId, EndpointRef, Kind, SpanBatch, SpanView, StrId, ValueRef};

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
const FOR_EVERY_KIND: usize = 2;

/// The keys of ports.
const PORTS: [&str; 5] = [PEER_PORT, "server.port", "network.peer.port", "server.socket.port", "net.sock.peer.port"];

/// Which of the ports a key is.
pub(super) fn port_rank(key: &str) -> Option<usize> {
    PORTS.iter().position(|&port| port == key)
}

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
    pub(super) fn saw(&mut self, rank: u8) {
        self.of_every_kind |= usize::from(rank) < FOR_EVERY_KIND;
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
#[inline]
fn parse_ip(text: &[u8]) -> Option<IpAddr> {
    let may_be = text.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':'));
    if may_be { str::from_utf8(text).ok()?.parse().ok() } else { None }
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
        let mut found = [""; PEERS.len()];
        for (key, value) in span.tags() {
            if let (Some(rank), ValueRef::Str(text)) = (rank(key), value) {
                found[rank] = text;
            }
        }
        let Ranked { service, ip, port_key } = Ranked::of(span.kind(), u32::MAX, |rank| found[rank].as_bytes());
        let mut peer = Self { service: service.map_or("", |rank| found[rank]), ip, port: 0 };
        if !port_key.is_empty() {
            peer.port = span.tags().find(|(key, _)| *key == port_key).map_or(0, |(_, value)| port_of(value));
        }
        peer
    }
}

/// What texts say of the other side, by their rank.
#[derive(Debug, Clone, Copy, Default)]
struct Ranked {
    service: Option<usize>,
    ip: Option<IpAddr>,
    /// Of the port's key.
    port_key: &'static str,
}

impl Ranked {
    /// `seen` has a bit for each rank that has a text.
    #[inline]
    fn of<'t>(kind: Kind, seen: u32, text: impl Fn(usize) -> &'t [u8]) -> Self {
        let ranks = if is_caller(kind) { PEERS.len() } else { FOR_EVERY_KIND };
        let mut ranked = Self::default();
        let mut seen = seen & ((1 << ranks) - 1);
        while seen != 0 {
            let rank = seen.trailing_zeros() as usize;
            seen &= seen - 1;
            let (text, port_key) = (text(rank), PEERS.get(rank).map_or("", |peer| peer.1));
            if text.is_empty() {
                continue;
            }
            // A service's name is a name even where it looks like an address.
            let ip = if rank == 0 { None } else { parse_ip(text) };
            if let Some(ip) = ip {
                if ranked.ip.is_none() {
                    (ranked.ip, ranked.port_key) = (Some(ip), port_key);
                }
            } else if ranked.service.is_none() {
                ranked.service = Some(rank);
                if ranked.ip.is_none() {
                    ranked.port_key = port_key;
                }
            }
        }
        ranked
    }
}

/// Gives the span committed last the remote endpoint that its attributes name, if they do. `scratch` holds a text meanwhile.
pub(super) fn assign_remote(batch: &mut SpanBatch, scratch: &mut String) {
    let Some(last) = batch.len().checked_sub(1) else { return };
    let Peer { service, ip, port } = Peer::of(batch.span(last));
    scratch.clear();
    scratch.push_str(service);
    let service = batch.intern(scratch);
    let remote = intern_endpoint(batch, service, ip, port);
    batch.assign_remote(remote);
}

fn intern_endpoint(batch: &mut SpanBatch, service: StrId, ip: Option<IpAddr>, port: u16) -> EndpointId {
    let mut endpoint = Endpoint { service, port, ..Endpoint::default() };
    match ip {
        Some(IpAddr::V4(ip)) => endpoint.ipv4 = Some(ip.octets()),
        Some(IpAddr::V6(ip)) => endpoint.ipv6 = Some(ip.octets()),
        None => {}
    }
    batch.intern_endpoint(endpoint)
}

/// What the attributes of one span say of the other side, noted as they are met, and which endpoints came of it for spans
/// before. As [`assign_remote`], which goes through the attributes of a span that is there.
pub(super) struct SeenPeers<'a> {
    /// Bits of the ranks whose texts are noted, above them of the ports.
    seen: u32,
    texts: [&'a [u8]; PEERS.len()],
    ports: [u16; PORTS.len()],
    endpoints: Slots<'a, EndpointId, 64>,
}

const FIRST_PORT_BIT: usize = PEERS.len();

impl<'a> SeenPeers<'a> {
    pub(super) fn new() -> Self {
        Self { seen: 0, texts: [&[]; PEERS.len()], ports: [0; PORTS.len()], endpoints: Slots::default() }
    }

    /// A span begins.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.seen = 0;
    }

    /// An attribute that is a text; of several with one key the last counts.
    #[inline]
    pub(super) fn text(&mut self, rank: u8, text: &'a [u8]) -> Option<()> {
        *self.texts.get_mut(usize::from(rank))? = text;
        self.seen |= 1 << rank;
        Some(())
    }

    /// A port; of several with one key the first counts.
    #[inline]
    pub(super) fn port(&mut self, rank: u8, value: ValueRef<'_>) -> Option<()> {
        let bit = 1 << (FIRST_PORT_BIT + usize::from(rank));
        if self.seen & bit == 0 {
            self.seen |= bit;
            *self.ports.get_mut(usize::from(rank))? = port_of(value);
        }
        Some(())
    }

    /// The endpoint of the span that began last, whose texts were found to be UTF-8.
    #[inline]
    pub(super) fn endpoint(&mut self, kind: Kind, batch: &mut SpanBatch) -> EndpointId {
        let Self { seen, texts, ports, endpoints } = self;
        let Ranked { service, ip, port_key } =
            Ranked::of(kind, *seen, |rank| texts.get(rank).copied().unwrap_or_default());
        let service = service.and_then(|rank| texts.get(rank)).copied().unwrap_or_default();
        let has_ports = *seen >> FIRST_PORT_BIT != 0;
        let port_rank = if has_ports { port_rank(port_key) } else { None };
        let port = port_rank.filter(|rank| *seen >> (FIRST_PORT_BIT + rank) & 1 == 1).map_or(0, |rank| ports[rank]);
        let mut new = || {
            let service = batch.intern(str::from_utf8(service).unwrap_or_default());
            intern_endpoint(batch, service, ip, port)
        };
        if ip.is_none() && port == 0 { endpoints.get(service, new) } else { new() }
    }
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
        assert!(PEERS.iter().all(|(_, port)| port.is_empty() || port_rank(port).is_some()));
        for text in ["1.2.3.4", "::1", "2001:db8::1"] {
            assert_eq!(parse_ip(text.as_bytes()).map(|ip| ip.to_string()).as_deref(), Some(text));
        }
        for text in ["", "db", "1.2.3", "1.2.3.4:80", "face"] {
            assert_eq!(parse_ip(text.as_bytes()), None);
        }
    }
}
