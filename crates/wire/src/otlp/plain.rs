//! Spans as exporters send them, in one walk over their bytes that expects what came before: the same keys in the same order,
//! often with the same values.
//!
//! What is not so plain is not taken, and then read by [`super::decode_protobuf`]'s reader, which knows every rule: it alone
//! makes errors and repairs texts. What is taken here, that takes to the same spans; tests hold one against the other.

use super::any_value::{ARRAY, BOOL, DOUBLE, INT, KEY, MAP, RAW, STRING, VALUE, last_field};
use super::decode_protobuf::{Decoder, OpenSpan, kind, push_dropped, status_code};
use super::names::Meaning;
use super::peer::SeenPeers;
use super::shared::Target;
use crate::names::same_name;
use crate::protobuf::{BYTES, FIXED64, Reader, VARINT, key};
use crate::seen_keys::{SeenKey, SeenKeys};
use tracewell_model::{ExtraRow, SpanId, Text, Time, TraceId, ValueRef};

/// So many spans may be not plain before it is no more tried, beside a quarter of those that are.
const GIVEN_UP_MAX: usize = 8;
/// What the spans of one body repeat.
pub(super) struct PlainSpans<'a> {
    /// Keys of attributes and names of spans.
    keys: SeenKeys<'a, Meaning>,
    peers: SeenPeers<'a>,
    taken: usize,
    given_up: usize,
}

impl PlainSpans<'_> {
    pub(super) fn new() -> Self {
        Self { keys: SeenKeys::new(), peers: SeenPeers::new(), taken: 0, given_up: 0 }
    }

    /// Takes no span any more.
    #[cfg(test)]
    pub(super) fn give_up(&mut self) {
        self.given_up = usize::MAX;
    }
}

/// Which key of a list of attributes came last, and how many they were.
struct Walk {
    target: Target,
    key: usize,
    count: usize,
}

impl<'a> Decoder<'a, '_> {
    /// Commits a span if it is plain. If not, the batch is as it was, but for names and texts that nothing refers to.
    #[inline]
    pub(super) fn plain_span(&mut self, message: &'a [u8]) -> bool {
        if self.plain.given_up > GIVEN_UP_MAX + self.plain.taken / 4 {
            return false;
        }
        self.plain.keys.begin_span();
        self.plain.peers.begin();
        if self.plain_fields(message).is_some() {
            self.plain.taken += 1;
            return true;
        }
        self.batch.discard_open();
        self.plain.keys.forget();
        self.plain.given_up += 1;
        false
    }

    fn plain_fields(&mut self, message: &'a [u8]) -> Option<()> {
        const TRACE_ID: u8 = key(1, BYTES) as u8;
        const SPAN_ID: u8 = key(2, BYTES) as u8;
        const TRACE_STATE: u8 = key(3, BYTES) as u8;
        const PARENT_SPAN_ID: u8 = key(4, BYTES) as u8;
        const NAME: u8 = key(5, BYTES) as u8;
        const KIND: u8 = key(6, VARINT) as u8;
        const START: u8 = key(7, FIXED64) as u8;
        const END: u8 = key(8, FIXED64) as u8;
        const ATTRIBUTE: u8 = key(9, BYTES) as u8;
        const DROPPED_ATTRIBUTES: u8 = key(10, VARINT) as u8;
        const EVENT: u8 = key(11, BYTES) as u8;
        const DROPPED_EVENTS: u8 = key(12, VARINT) as u8;
        const LINK: u8 = key(13, BYTES) as u8;
        const DROPPED_LINKS: u8 = key(14, VARINT) as u8;
        const STATUS: u8 = key(15, BYTES) as u8;
        const FLAGS: [u8; 2] = [0x85, 0x01];
        let mut span = OpenSpan::default();
        let mut extra: Option<ExtraRow> = None;
        let (mut events, mut links) = (0, 0);
        let mut walk = Walk { target: Target::Tag, key: 0, count: 0 };
        let mut fields = Fields(message);
        loop {
            while let [ATTRIBUTE, len @ ..0x80, rest @ ..] = fields.0 {
                let (attribute, rest) = rest.split_at_checked(usize::from(*len))?;
                self.plain_attribute(&mut walk, attribute)?;
                fields.0 = rest;
            }
            let Some(key) = fields.byte() else { break };
            match key {
                TRACE_ID => span.row.trace_id = TraceId::new(u128::from_be_bytes(fields.sized()?)),
                SPAN_ID => span.row.id = SpanId::new(u64::from_be_bytes(fields.sized()?)),
                PARENT_SPAN_ID => span.row.parent = SpanId::new(u64::from_be_bytes(fields.sized()?)),
                NAME => {
                    walk.key = self.plain_key(0, fields.message()?)?;
                    span.row.name = self.plain.keys.get(walk.key)?.id;
                }
                KIND => span.row.kind = kind(fields.varint()?),
                START => span.start_nanos = u64::from_le_bytes(fields.array()?),
                END => span.end_nanos = u64::from_le_bytes(fields.array()?),
                ATTRIBUTE => self.plain_rare_attribute(&mut walk, fields.message()?)?,
                EVENT => {
                    events += 1;
                    self.plain_event(fields.message()?)?;
                }
                LINK => {
                    // Rare, and its reader puts texts into the batch: none may be on their way.
                    self.batch.settle_texts().then_some(())?;
                    self.link(&mut links, Reader::new(fields.message()?)).ok()?;
                }
                STATUS => self.plain_status(extra.get_or_insert_default(), fields.message()?)?,
                TRACE_STATE => extra.get_or_insert_default().trace_state = self.plain_text(fields.message()?)?,
                DROPPED_ATTRIBUTES => extra.get_or_insert_default().dropped_tags = fields.varint()? as u32,
                DROPPED_EVENTS => extra.get_or_insert_default().dropped_annotations = fields.varint()? as u32,
                DROPPED_LINKS => extra.get_or_insert_default().dropped_links = fields.varint()? as u32,
                key if key == FLAGS[0] && fields.byte() == Some(FLAGS[1]) => {
                    extra.get_or_insert_default().otlp_flags = u32::from_le_bytes(fields.array()?);
                }
                _ => return None,
            }
        }
        let limits = self.limits;
        if walk.count > limits.tags_max_per_span || events > limits.annotations_max_per_span {
            return None;
        }
        self.batch.settle_texts().then_some(())?;
        span.row.remote = self.plain.peers.endpoint(span.row.kind, self.batch);
        span.commit_row(self.batch, extra.filter(|extra| *extra != ExtraRow::default())).ok()
    }

    /// A text that does not repeat. An empty one is as if it were not there.
    #[inline]
    fn plain_text(&mut self, text: &'a [u8]) -> Option<Text> {
        if text.is_empty() {
            return Some(Text::default());
        }
        (text.len() <= self.limits.string_bytes_max).then(|| self.batch.stage_text(text))
    }

    fn plain_status(&mut self, extra: &mut ExtraRow, message: &'a [u8]) -> Option<()> {
        const MESSAGE: u8 = key(2, BYTES) as u8;
        const CODE: u8 = key(3, VARINT) as u8;
        let mut fields = Fields(message);
        while let Some(key) = fields.byte() {
            match key {
                MESSAGE => extra.status_message = self.plain_text(fields.message()?)?,
                CODE => extra.status = status_code(fields.varint()?),
                _ => return None,
            }
        }
        Some(())
    }

    fn plain_event(&mut self, message: &'a [u8]) -> Option<()> {
        const TIME: u8 = key(1, FIXED64) as u8;
        const NAME: u8 = key(2, BYTES) as u8;
        const ATTRIBUTE: u8 = key(3, BYTES) as u8;
        const DROPPED: u8 = key(4, VARINT) as u8;
        let (mut time, mut name, mut dropped) = (0, Text::default(), 0);
        let mut walk = Walk { target: Target::Detail, key: 0, count: 0 };
        self.batch.annotation(Time::ZERO, "");
        let mut fields = Fields(message);
        while let Some(key) = fields.byte() {
            match key {
                TIME => time = u64::from_le_bytes(fields.array()?),
                NAME => name = self.plain_text(fields.message()?)?,
                ATTRIBUTE => self.plain_rare_attribute(&mut walk, fields.message()?)?,
                DROPPED => dropped = fields.varint()? as u32,
                _ => return None,
            }
        }
        self.batch.describe_annotation(Time::from_nanos(time), name);
        push_dropped(self.batch, dropped);
        (walk.count <= self.limits.tags_max_per_span).then_some(())
    }

    /// Not where nearly all attributes are, which is the tags of a span.
    #[inline(never)]
    fn plain_rare_attribute(&mut self, walk: &mut Walk, message: &'a [u8]) -> Option<()> {
        self.plain_attribute(walk, message)
    }

    /// Inlined, as what it calls: calls in calls for each tag of each span cost as much as what they do.
    #[inline(always)]
    fn plain_attribute(&mut self, walk: &mut Walk, message: &'a [u8]) -> Option<()> {
        const KEY_BYTE: u8 = KEY as u8;
        const VALUE_BYTE: u8 = VALUE as u8;
        const STRING_BYTE: u8 = STRING as u8;
        let [KEY_BYTE, len @ ..0x80, rest @ ..] = message else { return None };
        let (name, rest) = rest.split_at_checked(usize::from(*len))?;
        walk.count += 1;
        walk.key = self.plain_key(walk.key, name)?;
        // Nearly every value: a text whose length is a byte.
        if let [VALUE_BYTE, value_len @ ..0x80, STRING_BYTE, len, text @ ..] = rest
            && usize::from(*len) == text.len()
            && *value_len == *len + 2
        {
            return self.plain_text_value(walk, text);
        }
        self.plain_value(walk, rest)
    }

    #[expect(clippy::inline_always, reason = "see `plain_attribute`")]
    #[inline(always)]
    fn plain_text_value(&mut self, walk: &Walk, text: &'a [u8]) -> Option<()> {
        let key = self.plain.keys.get(walk.key)?;
        if !same_name(key.value, text) {
            if text.len() > self.limits.string_bytes_max {
                return None;
            }
            (key.value, key.place) = (text, self.batch.stage_text(text));
        }
        if walk.target != Target::Tag {
            self.batch.annotation_detail_text(key.id, key.place);
            return Some(());
        }
        self.batch.tag_text(key.id, key.place);
        match key.meaning {
            Meaning::Plain | Meaning::ServiceName => {}
            Meaning::Peer(rank) => self.plain.peers.text(rank, text)?,
            Meaning::PeerPort(rank) => self.plain.peers.port(rank, ValueRef::Str(str::from_utf8(text).ok()?))?,
            Meaning::Warnings => return None,
        }
        Some(())
    }

    /// A value that is no text, or a long one.
    #[inline(never)]
    fn plain_value(&mut self, walk: &Walk, field: &'a [u8]) -> Option<()> {
        let message = Fields(field).expect(VALUE as u8)?.last_message()?;
        let &mut SeenKey { id, meaning, .. } = self.plain.keys.get(walk.key)?;
        let mut fields = Fields(message);
        let value = match u32::from(fields.byte()?) {
            _ if meaning == Meaning::Warnings => return None,
            STRING => {
                let text = fields.last_message()?;
                return self.plain_text_value(walk, text);
            }
            INT => ValueRef::I64(fields.varint()?.cast_signed()),
            BOOL => ValueRef::Bool(fields.varint()? != 0),
            DOUBLE => ValueRef::F64(f64::from_le_bytes(fields.array()?)),
            ARRAY | MAP | RAW => {
                let reader = Reader::new(message);
                if let (Meaning::PeerPort(rank), Target::Tag) = (meaning, walk.target) {
                    // No number, and no later one counts.
                    self.plain.peers.port(rank, ValueRef::Nested(&[]))?;
                }
                // No text: its reader would put that into the batch at once, before those that are on their way.
                return match last_field(reader).ok()?? {
                    (ARRAY | MAP | RAW, _) => self.value(walk.target, id, reader).ok(),
                    _ => None,
                };
            }
            _ => return None,
        };
        if !fields.0.is_empty() {
            return None;
        }
        walk.target.push(self.batch, id, value);
        if let (Meaning::PeerPort(rank), Target::Tag) = (meaning, walk.target) {
            self.plain.peers.port(rank, value)?;
        }
        Some(())
    }

    /// The place of a key that comes behind another one.
    #[expect(clippy::inline_always, reason = "see `plain_attribute`")]
    #[inline(always)]
    fn plain_key(&mut self, before: usize, text: &'a [u8]) -> Option<usize> {
        if let Some(key) = self.plain.keys.behind(before, |known| same_name(known, text)) {
            return Some(key);
        }
        if text.len() > self.limits.string_bytes_max {
            return None;
        }
        self.plain.keys.learn(before, text, self.batch)
    }
}

/// What is left of a message. Every method takes what it is named for, or nothing when something else stands there; then
/// nobody asks any more.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    #[inline]
    fn expect(&mut self, expected: u8) -> Option<&mut Self> {
        (self.byte()? == expected).then_some(self)
    }

    /// What is behind its length, and nothing behind that.
    #[inline]
    fn last_message(&mut self) -> Option<&'a [u8]> {
        let message = self.message()?;
        self.0.is_empty().then_some(message)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    /// An array behind its length.
    #[inline]
    fn sized<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.expect(N as u8)?.array()
    }

    #[expect(clippy::inline_always, reason = "nearly every one is a byte")]
    #[inline(always)]
    fn varint(&mut self) -> Option<u64> {
        match self.byte()? {
            byte @ ..0x80 => Some(u64::from(byte)),
            byte => self.long_varint(byte),
        }
    }

    /// Bits beyond 64 are lost, as everywhere.
    #[inline(never)]
    fn long_varint(&mut self, first: u8) -> Option<u64> {
        let mut value = u64::from(first & 0x7f);
        for at in 1..10 {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// What is behind its length.
    #[expect(clippy::inline_always, reason = "see `varint`")]
    #[inline(always)]
    fn message(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        let (message, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode_protobuf::{decode_protobuf, decode_protobuf_by_reader};
    use super::super::encode_protobuf;
    use super::*;
    use crate::Limits;
    use crate::protobuf::{push_bytes_field, push_message, push_text_field};
    use proptest::prelude::*;
    use std::path::Path;
    use tracewell_model::{OwnedAnnotation, Span, SpanBatch, Value};

    /// With and without the plain way: the same answer, the same spans.
    fn check(body: &[u8], limits: &Limits) {
        let (mut batch, mut expected) = (SpanBatch::new(), SpanBatch::new());
        let answers =
            (decode_protobuf(body, limits, &mut batch), decode_protobuf_by_reader(body, limits, &mut expected));
        assert_eq!(answers.0, answers.1, "{body:x?}");
        for (span, expected) in batch.spans().zip(expected.spans()) {
            assert!(span.same(expected), "{span:?}\n{expected:?}\n{body:x?}");
        }
        assert_eq!(batch.len(), expected.len());
    }

    /// How many spans went the plain way, of those that a body has.
    fn taken(body: &[u8]) -> (usize, usize) {
        let (limits, mut batch) = (Limits::default(), SpanBatch::new());
        let mut decoder = Decoder::new(&limits, &mut batch);
        let spans = decoder.request(Reader::new(body)).unwrap();
        (decoder.plain.taken, spans)
    }

    fn text(key: &str, text: &str) -> (String, Value) {
        (key.to_owned(), Value::Str(text.to_owned()))
    }

    fn spans() -> Vec<Span> {
        let tags = [
            vec![text("http.method", "GET"), text("peer.service", "users"), text("net.peer.name", "10.1.2.3")],
            vec![
                text("http.method", "GET"),
                text("server.address", "users"),
                ("server.port".to_owned(), Value::I64(80)),
            ],
            vec![
                text("e", ""),
                ("list".to_owned(), Value::Nested(vec![42, 4, 10, 2, 24, 1])),
                text("k", &"long".repeat(99)),
            ],
            vec![("at".to_owned(), Value::F64(0.5)), ("ok".to_owned(), Value::Bool(true)), text("peer.service", "")],
        ];
        (1..=40)
            .map(|at: usize| Span {
                trace_id: TraceId::new(at as u128),
                id: SpanId::new(at as u64),
                name: ["get", "put", "a name of some length"][at % 3].to_owned(),
                kind: tracewell_model::Kind::from_u8((at % 6) as u8).unwrap(),
                start: Some(Time::from_nanos(at as u64)),
                duration: Some(Time::from_nanos(7)),
                tags: tags[at % 4].clone(),
                annotations: vec![
                    OwnedAnnotation {
                        time: Time::from_nanos(5),
                        value: "exception".to_owned(),
                        details: vec![text("exception.type", "E"), ("n".to_owned(), Value::I64(-1))],
                    };
                    at % 2
                ],
                ..Span::default()
            })
            .collect()
    }

    fn body_of(spans: &[Span]) -> Vec<u8> {
        let (mut batch, mut out) = (SpanBatch::new(), vec![]);
        spans.iter().for_each(|span| batch.push_span(span).unwrap());
        encode_protobuf(batch.spans(), &mut out);
        out
    }

    #[test]
    fn usual_spans_go_the_plain_way_and_come_to_the_same() {
        let body = body_of(&spans());
        let (taken, spans) = taken(&body);
        assert!(spans == 40 && taken == 40, "{taken} of {spans}");
        check(&body, &Limits::default());
        let few = Limits::default();
        check(&body, &Limits { tags_max_per_span: 2, ..few });
        check(&body, &Limits { annotations_max_per_span: 0, ..few });
        check(&body, &Limits { string_bytes_max: 9, ..few });
        check(&body, &Limits { depth_max: 0, ..few });
    }

    #[test]
    fn a_broken_byte_anywhere_comes_to_the_same() {
        let body = body_of(&spans()[..9]);
        for at in 0..body.len() {
            check(&body[..at], &Limits::default());
            for byte in [0, 1, 0x0a, 0x12, 0x7f, 0x80, 0xc3, 0xff, body[at] ^ 1, body[at] ^ 8] {
                let mut broken = body.clone();
                broken[at] = byte;
                check(&broken, &Limits::default());
            }
        }
    }

    #[test]
    fn of_several_ports_the_first_counts_whatever_it_is() {
        let list = Value::Nested(vec![42, 2, 10, 0]);
        for first in [list, Value::Bytes(vec![1]), Value::Bool(true), Value::Str("x".to_owned()), Value::I64(80)] {
            let port = "net.peer.port".to_owned();
            let tags = vec![text("peer.service", "users"), (port.clone(), first), (port, Value::I64(7))];
            let body = body_of(&[Span { id: SpanId::new(1), tags, ..Span::default() }]);
            assert_eq!(taken(&body), (1, 1));
            check(&body, &Limits::default());
        }
    }

    #[test]
    fn more_keys_than_are_remembered_are_read() {
        let tags = |span: usize| (0..700).map(|at| text(&format!("k{span}.{at}"), "v")).collect();
        let spans: Vec<Span> =
            (0..12).map(|at| Span { id: SpanId::new(at as u64), tags: tags(at), ..Span::default() }).collect();
        check(&body_of(&spans), &Limits::default());
    }

    #[test]
    fn the_fuzz_corpus_comes_to_the_same() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/otlp_protobuf");
        let mut bodies = 0;
        for file in std::fs::read_dir(corpus).expect("the corpus") {
            check(&std::fs::read(file.expect("an entry").path()).expect("a body"), &Limits::default());
            bodies += 1;
        }
        assert!(bodies > 0);
    }

    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let attribute = |key: &'static str, value: Vec<u8>| {
            let mut out = vec![];
            push_message(&mut out, 9, 0, |out| {
                push_text_field(out, 1, key);
                push_bytes_field(out, 2, &value);
            });
            out
        };
        let key = prop::sample::select(vec![
            "a",
            "peer.service",
            "net.peer.ip",
            "server.address",
            "server.port",
            "net.peer.port",
            "db.name",
            "@jaeger@warnings",
        ]);
        let value = prop_oneof![
            "[a-z0-9.:\u{e9}]{0,9}".prop_map(|text| {
                let mut out = vec![];
                push_text_field(&mut out, 1, &text);
                out
            }),
            prop::sample::select(vec![
                vec![],
                vec![10, 1, 0xff],
                vec![10, 2, b'8', b'0'],
                vec![10, 7, b'1', b'.', b'2', b'.', b'3', b'.', b'4'],
                vec![24, 80],
                vec![24, 0xff, 0xff, 3],
                vec![16, 1],
                vec![33, 0, 0, 0, 0, 0, 0, 0, 0],
                vec![42, 2, 10, 0],
                vec![42, 5, 10, 3, 10, 1, b'w'],
                vec![58, 1, 7],
                vec![10, 1, b'a', 24, 1],
                vec![24, 1, 10, 1, b'b'],
            ]),
        ];
        prop_oneof![
            6 => (key, value).prop_map(move |(key, value)| attribute(key, value)),
            1 => prop::sample::select(vec![
                vec![0x0a, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], vec![0x0a, 0], vec![0x0a, 1, 1],
                vec![0x12, 8, 1, 2, 3, 4, 5, 6, 7, 8], vec![0x22, 0], vec![0x2a, 1, b'n'], vec![0x2a, 1, 0xc3],
                vec![0x30, 3], vec![0x30, 2], vec![0x39, 9, 0, 0, 0, 0, 0, 0, 0], vec![0x41, 5, 0, 0, 0, 0, 0, 0, 0],
                vec![0x1a, 1, b't'], vec![0x50, 1], vec![0x5a, 9, 0x12, 1, b'e', 0x1a, 4, 10, 0, 18, 0], vec![0x5a, 2, 0x20, 3],
                vec![0x6a, 10, 0x12, 8, 1, 2, 3, 4, 5, 6, 7, 8], vec![0x6a, 4, 0x1a, 2, b's', 0xc3], vec![0x7a, 2, 0x18, 2],
                vec![0x7a, 3, 0x12, 1, b'm'], vec![0x85, 1, 1, 0, 0, 0], vec![0xa0, 6, 1],
            ]),
        ]
    }

    proptest! {
        #[test]
        fn spans_in_pieces_come_to_the_same(spans in prop::collection::vec(prop::collection::vec(pieces(), 0..9), 0..12)) {
            let mut body = vec![];
            push_message(&mut body, 1, 0, |out| push_message(out, 2, 0, |out| {
                spans.iter().for_each(|pieces| push_bytes_field(out, 2, &pieces.concat()));
            }));
            check(&body, &Limits::default());
        }
    }
}
