//! Spans of version 1 become spans of version 2, by the rules of Zipkin 3.5.
//!
//! Annotations and tags belong to the half of the service that recorded them; those without an endpoint to the first. Core
//! annotations tell a half's kind, start and end; address annotations who it spoke to.

use super::source::{Source, TagValue};
use crate::zipkin_v2::{DecodeFault, IdFault, commit, positive_micros};
use tracewell_model::{Endpoint, EndpointId, Kind, SpanBatch, SpanFlags, SpanId, SpanRow, StrId, Time, ValueRef};

/// More services than this do not speak in one span; looking for one among them must not take long.
const HALVES_MAX: usize = 256;

const NONE: EndpointId = EndpointId(0);

/// A core annotation: when, and who says so.
type Core = Option<(i64, EndpointId)>;

/// Makes spans of version 2; what it keeps is used again for the next span.
#[derive(Debug, Default)]
pub(super) struct Converter {
    halves: Vec<Half>,
    /// Core annotations that turned out to be ordinary ones: when, what, of which half.
    ordinary: Vec<(i64, &'static str, u32)>,
    core: CoreAnnotations,
}

#[derive(Debug, Default)]
struct CoreAnnotations {
    cs: Core,
    sr: Core,
    ss: Core,
    cr: Core,
    ms: Core,
    mr: Core,
    ws: Core,
    wr: Core,
}

/// A span of version 2 as it takes shape.
#[derive(Debug, Default, Clone, Copy)]
struct Half {
    local: EndpointId,
    remote: EndpointId,
    kind: Kind,
    timestamp: i64,
    duration: i64,
    shared: bool,
}

/// Addresses, the last of each kind.
#[derive(Default)]
struct Addresses {
    client: EndpointId,
    server: EndpointId,
    broker: EndpointId,
}

impl Converter {
    /// Appends what a span of version 1 becomes.
    pub(super) fn convert(&mut self, source: &mut Source, batch: &mut SpanBatch) -> Result<(), DecodeFault> {
        for (field, id) in [("traceId", source.trace_id.low()), ("id", source.id)] {
            if id == 0 {
                return Err(DecodeFault::Id { field, fault: IdFault::ZeroV1 });
            }
        }
        source.sort(batch);
        self.halves.clear();
        self.halves.push(Half::default());
        self.ordinary.clear();
        self.core = CoreAnnotations::default();
        self.take_annotations(source, batch)?;
        self.tell_calls(source, batch)?;
        self.tell_messages(source, batch)?;
        let addresses = self.take_tags(source, batch)?;
        self.tell_addresses(&addresses, batch)?;
        self.commit(source, batch)
    }

    fn take_annotations(&mut self, source: &mut Source, batch: &SpanBatch) -> Result<(), DecodeFault> {
        for at in 0..source.annotations.len() {
            let annotation = &source.annotations[at];
            let half = self.half_of(annotation.endpoint, batch)?;
            let told = Some((annotation.time, annotation.endpoint));
            let core = &mut self.core;
            let (kind, slot) = match source.text(&annotation.value) {
                // Who says so matters: without an endpoint it is an ordinary annotation.
                _ if annotation.endpoint == NONE => (None, None),
                "cs" => (Some(Kind::Client), Some(&mut core.cs)),
                "sr" => (Some(Kind::Server), Some(&mut core.sr)),
                "ss" => (Some(Kind::Server), Some(&mut core.ss)),
                "cr" => (Some(Kind::Client), Some(&mut core.cr)),
                "ms" => (Some(Kind::Producer), Some(&mut core.ms)),
                "mr" => (Some(Kind::Consumer), Some(&mut core.mr)),
                "ws" => (None, Some(&mut core.ws)),
                "wr" => (None, Some(&mut core.wr)),
                _ => (None, None),
            };
            if let Some(kind) = kind {
                self.halves[half].kind = kind;
            }
            source.annotations[at].half = match slot {
                Some(slot) => {
                    *slot = told;
                    None
                }
                None => Some(half as u32),
            };
        }
        Ok(())
    }

    /// Start and end of the two sides of a call.
    fn tell_calls(&mut self, source: &Source, batch: &SpanBatch) -> Result<(), DecodeFault> {
        let CoreAnnotations { cs, sr, ss, cr, .. } = self.core;
        // Where a start is missing, an end that fits the span's duration tells it.
        let fits = |end: Core| {
            let (time, endpoint) = end?;
            let given = source.timestamp != 0 && source.duration != 0;
            let fits = given && source.timestamp.wrapping_add(source.duration) == time;
            fits.then_some((source.timestamp, endpoint))
        };
        let cs = cs.or_else(|| fits(cr));
        let sr = sr.or_else(|| fits(ss));
        (self.core.cs, self.core.sr) = (cs, sr);
        match (cs, sr) {
            (Some(client_start), Some(server_start)) => {
                // The client's side owns the duration.
                self.tell_time(source, client_start, cr, batch)?;
                let client = self.half_of(client_start.1, batch)?;
                let server = if same_service(client_start.1, server_start.1, batch) {
                    // A service that calls itself has two sides all the same.
                    self.halves[client].kind = Kind::Client;
                    self.new_half(server_start.1, Kind::Server)?
                } else {
                    self.half_of(server_start.1, batch)?
                };
                let half = &mut self.halves[server];
                half.shared = true;
                half.timestamp = server_start.0;
                if let Some(end) = ss {
                    half.duration = end.0.wrapping_sub(server_start.0);
                }
                if cr.is_none() && source.duration == 0 {
                    self.halves[client].duration = 0;
                }
            }
            (Some(start), None) if cr.is_some() => self.tell_time(source, start, cr, batch)?,
            (None, Some(start)) if ss.is_some() => self.tell_time(source, start, ss, batch)?,
            _ => self.tell_incomplete_calls(source),
        }
        // Version 1 had no word for "shared": a server's side without a timestamp was.
        let no_time = source.timestamp == 0 || (ss.is_some() && source.duration == 0);
        if let (None, Some(start), true) = (cs, sr, no_time) {
            let half = self.half_of(start.1, batch)?;
            self.halves[half].shared = true;
        }
        Ok(())
    }

    /// A side that lacks its start or its end: ends become ordinary annotations again.
    fn tell_incomplete_calls(&mut self, source: &Source) {
        let CoreAnnotations { cs, sr, ss, cr, .. } = self.core;
        for (at, half) in self.halves.iter_mut().enumerate() {
            let (start, end, name) = match half.kind {
                Kind::Client => (cs, cr, "cr"),
                Kind::Server => (sr, ss, "ss"),
                _ => continue,
            };
            if let Some((time, _)) = start {
                half.timestamp = time;
            }
            if let Some((time, _)) = end {
                self.ordinary.push((time, name, at as u32));
            }
        }
        if source.timestamp != 0 {
            self.halves[0].timestamp = source.timestamp;
            self.halves[0].duration = source.duration;
        }
    }

    /// Start and end of sending and receiving a message.
    fn tell_messages(&mut self, source: &Source, batch: &SpanBatch) -> Result<(), DecodeFault> {
        let CoreAnnotations { ms, mr, ws, wr, .. } = self.core;
        match (ms, mr) {
            (Some(sent), Some(received)) => {
                let producer = self.half_of(sent.1, batch)?;
                let consumer = if same_service(sent.1, received.1, batch) {
                    self.halves[producer].kind = Kind::Producer;
                    self.new_half(received.1, Kind::Consumer)?
                } else {
                    self.half_of(received.1, batch)?
                };
                let half = &mut self.halves[consumer];
                half.shared = true;
                half.timestamp = received.0;
                if let Some((time, _)) = wr {
                    half.timestamp = time;
                    half.duration = received.0.wrapping_sub(time);
                }
                let half = &mut self.halves[producer];
                half.timestamp = sent.0;
                half.duration = ws.map_or(0, |(time, _)| time.wrapping_sub(sent.0));
            }
            (Some(sent), None) => self.tell_time(source, sent, ws, batch)?,
            (None, Some(received)) => match wr {
                Some(began) => self.tell_time(source, began, mr, batch)?,
                None => self.tell_time(source, received, None, batch)?,
            },
            (None, None) => {
                for (told, name) in [(ws, "ws"), (wr, "wr")] {
                    if let Some((time, endpoint)) = told {
                        let half = self.half_of(endpoint, batch)?;
                        self.ordinary.push((time, name, half as u32));
                    }
                }
            }
        }
        Ok(())
    }

    /// What the span itself says counts, where it says both.
    fn tell_time(
        &mut self,
        source: &Source,
        (begin, endpoint): (i64, EndpointId),
        end: Core,
        batch: &SpanBatch,
    ) -> Result<(), DecodeFault> {
        let at = self.half_of(endpoint, batch)?;
        let half = &mut self.halves[at];
        if source.timestamp != 0 && source.duration != 0 {
            (half.timestamp, half.duration) = (source.timestamp, source.duration);
        } else {
            half.timestamp = begin;
            if let Some((end, _)) = end {
                half.duration = end.wrapping_sub(begin);
            }
        }
        Ok(())
    }

    /// Tags go to the halves of who says them, addresses are answered.
    fn take_tags(&mut self, source: &mut Source, batch: &SpanBatch) -> Result<Addresses, DecodeFault> {
        let mut addresses = Addresses::default();
        for at in 0..source.tags.len() {
            let tag = &source.tags[at];
            match batch.interned(tag.key) {
                // Whatever the value: there are senders that say "1" or "true" instead of true.
                "ca" => addresses.client = tag.endpoint,
                "sa" => addresses.server = tag.endpoint,
                "ma" => addresses.broker = tag.endpoint,
                key => {
                    // An empty local component only says where the span was recorded.
                    let marker = match &tag.value {
                        TagValue::Text(text) => key == "lc" && source.text(text).is_empty(),
                        _ => false,
                    };
                    let half = self.half_of(tag.endpoint, batch)?;
                    source.tags[at].half = (!marker).then_some(half as u32);
                }
            }
        }
        Ok(addresses)
    }

    fn tell_addresses(&mut self, addresses: &Addresses, batch: &mut SpanBatch) -> Result<(), DecodeFault> {
        let CoreAnnotations { cs, sr, ss, cr, ms, mr, .. } = self.core;
        let Addresses { client, server, broker } = *addresses;
        let no_call = cs.is_none() && cr.is_none() && ss.is_none() && sr.is_none();
        if no_call && (client != NONE || server != NONE) {
            let half = if client != NONE && server != NONE { self.half_of(client, batch)? } else { 0 };
            if server == NONE {
                self.halves[half].kind = Kind::Server;
            }
            self.halves[half].remote = if server == NONE { client } else { server };
            return Ok(());
        }
        if let (true, Some((_, local))) = (client != NONE, sr.or(ss))
            && client != local
        {
            let half = self.half_of(local, batch)?;
            // Finagle names the server's own service in the client's address.
            let loopback = same_service(client, local, batch);
            self.halves[half].remote = if loopback { without_service(client, batch) } else { client };
        }
        if let (true, Some((_, local))) = (server != NONE, cs.or(cr)) {
            let half = self.half_of(local, batch)?;
            self.halves[half].remote = server;
        }
        if broker != NONE {
            for (_, local) in [ms, mr].into_iter().flatten() {
                let half = self.half_of(local, batch)?;
                self.halves[half].remote = broker;
            }
        }
        Ok(())
    }

    fn commit(&self, source: &Source, batch: &mut SpanBatch) -> Result<(), DecodeFault> {
        for (at, half) in self.halves.iter().enumerate() {
            let here = Some(at as u32);
            for annotation in source.annotations.iter().filter(|annotation| annotation.half == here) {
                batch.annotation(annotation_time(annotation.time), source.text(&annotation.value));
            }
            for &(time, value, _) in self.ordinary.iter().filter(|ordinary| Some(ordinary.2) == here) {
                batch.annotation(annotation_time(time), value);
            }
            for tag in source.tags.iter().filter(|tag| tag.half == here) {
                let value = match &tag.value {
                    TagValue::Text(text) => ValueRef::Str(source.text(text)),
                    TagValue::Bool(value) => ValueRef::Bool(*value),
                    TagValue::I64(value) => ValueRef::I64(*value),
                    TagValue::F64(value) => ValueRef::F64(*value),
                    TagValue::Bytes(range) => ValueRef::Bytes(source.bytes(range)),
                };
                batch.tag(tag.key, value);
            }
            let mut flags = if source.debug { SpanFlags::DEBUG } else { SpanFlags::NONE };
            if half.shared {
                flags = flags.with(SpanFlags::SHARED);
            }
            let row = SpanRow {
                trace_id: source.trace_id,
                id: SpanId::new(source.id),
                parent: SpanId::new(source.parent),
                name: source.name,
                kind: half.kind,
                flags,
                start: positive_micros(half.timestamp),
                duration: positive_micros(half.duration),
                local: half.local,
                remote: half.remote,
                ..SpanRow::default()
            };
            commit(batch, row)?;
        }
        Ok(())
    }

    /// The half of an endpoint's service. The first half takes the first endpoint that comes.
    fn half_of(&mut self, endpoint: EndpointId, batch: &SpanBatch) -> Result<usize, DecodeFault> {
        if endpoint == NONE {
            return Ok(0);
        }
        for (at, half) in self.halves.iter_mut().enumerate() {
            if half.local == NONE {
                half.local = endpoint;
                return Ok(at);
            }
            if half.local == endpoint || same_service(half.local, endpoint, batch) {
                return Ok(at);
            }
        }
        self.new_half(endpoint, Kind::Unset)
    }

    fn new_half(&mut self, local: EndpointId, kind: Kind) -> Result<usize, DecodeFault> {
        if self.halves.len() == HALVES_MAX {
            return Err(DecodeFault::TooMany { what: "services in a span", max: HALVES_MAX });
        }
        self.halves.push(Half { local, kind, ..Half::default() });
        Ok(self.halves.len() - 1)
    }
}

/// A time before the epoch has no place in the model and becomes the epoch.
fn annotation_time(micros: i64) -> Time {
    Time::from_micros(micros.max(0).unsigned_abs())
}

fn service(endpoint: EndpointId, batch: &SpanBatch) -> StrId {
    batch.endpoint(endpoint).map_or(StrId::EMPTY, |endpoint| endpoint.service)
}

fn same_service(a: EndpointId, b: EndpointId, batch: &SpanBatch) -> bool {
    service(a, batch) == service(b, batch)
}

fn without_service(id: EndpointId, batch: &mut SpanBatch) -> EndpointId {
    let endpoint = batch.endpoint(id).copied().unwrap_or_default();
    batch.intern_endpoint(Endpoint { service: StrId::EMPTY, ..endpoint })
}
